"""Open cases for the departments that answer for them: a workbook each, which comes back decided.

Its last columns are those of corrections: filled in, the workbook is their extract as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from expectations.month import Month
from expectations.source_model import Source
from reports.explain.compute import explain_row
from reports.explain.records import load_rows_of_people
from reports.explain.values import put_value
from reports.packages.csv_cells import ListColumn
from reports.packages.tables import create_text_table
from reports.packages.xlsx import (
    ROW_NUMBER,
    XLSX_ROWS,
    Sheet,
    column_to_fill,
    data_column,
    date_to_fill,
    list_parts,
    write_workbook,
)
from reports.statements.model import StatementRow, StatementTexts
from transforms.engine.parquet import copy_sql, read_parquet_sql
from transforms.engine.session import Session
from transforms.facts.corrections import FACT_PREFIX
from transforms.objections.open_cases import OPEN_CASES, is_overdue, read_open_cases
from transforms.points.models import CITY

FOLDER = "restricted/objections"
"""Where a revision keeps the workbooks, `<department>.xlsx`, or of a district by its name."""
ASSIGNED = "assigned.parquet"
"""Beside the workbooks: one row per case and recipient."""
DECISIONS = ["成立", "不成立"]
_COLUMNS = [
    ListColumn("case_id", "案件编号", "text", width=14),
    ListColumn("filed_on", "申请日期", width=12),
    ListColumn("due_on", "办理期限", width=12),
    ListColumn("state", "期限状态", width=10),
    ListColumn("resident_id", "公民身份号码", "code", width=21),
    ListColumn("name", "姓名", "text", width=10),
    ListColumn("district", "居住区县", width=10),
    ListColumn("target", "更正对象", "text", width=18),
    ListColumn("title", "对象名称", "text", width=16),
    ListColumn("published", "公布内容", "text", width=40),
    ListColumn("records", "部门记录", "text", width=48),
    ListColumn("claim", "申请内容", "text", width=36),
    ListColumn("channel", "申请渠道", "text", width=10),
    ListColumn("others", "同办部门", "text", width=12),
]
_SHEET_COLUMNS = [
    ROW_NUMBER,
    *map(data_column, _COLUMNS),
    column_to_fill("处理结果", 9, DECISIONS),
    column_to_fill("更正值", 10),
    date_to_fill("生效日期", 12),
    date_to_fill("失效日期", 12),
    date_to_fill("决定日期", 12),
    column_to_fill("说明", 20),
]
_NOT_SCORED = "本月没有计分"
_NO_TARGET = "没有这个指标或数据，请先核对更正对象"


@dataclass(frozen=True)
class CaseInputs:
    """What the workbooks are made of.

    Attributes:
        open_cases: The revision's file of open cases.
        statements: The files of the month's statements.
        texts: Their words.
        sources: All sources by name.
        folders: By source the folders of clean rows that serve the month.
        evidence: Target of an indicator -> the sources whose facts it reads.
        owner: The department of the source of objections, for targets that nobody answers for.
    """

    open_cases: Path
    statements: Sequence[Path]
    texts: StatementTexts
    sources: Mapping[str, Source]
    folders: Mapping[str, Sequence[Path]]
    evidence: Mapping[str, Sequence[str]]
    owner: str


def write_case_workbooks(
    session: Session, inputs: CaseInputs, month: Month, folder: Path
) -> dict[str, int]:
    """Write a workbook for everybody who answers for an open case; return cases by who does.

    A department, or a district: its own only has cases of people who live there.
    """
    cases = read_open_cases(session, inputs.open_cases)
    if not cases:
        return {}
    answering = _Answering(inputs)
    published = _load_published(session, inputs, cases)
    records = _load_records(session, inputs, answering, cases)
    lists: dict[str, list[dict[str, Any]]] = {}
    for case in cases:
        said = published[case["case_id"]]
        departments = answering.list_departments(case["target"], said["district"])
        for department in departments:
            row = {
                **case,
                **said,
                "state": "已逾期" if is_overdue(case, month.last_day) else "未到期",
                "records": "\n".join(records.get(case["case_id"], [])) or "没有记录",
                "others": "、".join(one for one in departments if one != department),
            }
            lists.setdefault(department, []).append(row)
    folder.mkdir(parents=True, exist_ok=True)
    for department, rows in sorted(lists.items()):
        title = f"{department} {month.first_day.year}年{month.first_day.month}月 异议办理单"
        create_text_table(session, "case_rows", [column.name for column in _COLUMNS], rows)
        sheet = Sheet("异议办理单", title, _SHEET_COLUMNS)
        for file, span in list_parts(department, ".xlsx", len(rows), XLSX_ROWS):
            write_workbook(session, "case_rows", sheet, span, folder / file)
    _write_assigned(session, lists, folder / ASSIGNED)
    return {department: len(rows) for department, rows in sorted(lists.items())}


def _write_assigned(
    session: Session, lists: Mapping[str, Sequence[Mapping[str, Any]]], target: Path
) -> None:
    """Write which case is in whose workbook."""
    rows = [
        {"case_id": case["case_id"], "recipient": recipient}
        for recipient, cases in sorted(lists.items())
        for case in cases
    ]
    create_text_table(session, "assigned", ["case_id", "recipient"], rows)
    session.execute(copy_sql("FROM assigned ORDER BY case_id, recipient", target))


def has_assigned_case(session: Session, folder: Path, person: int, recipient: str) -> bool:
    """Return whether a recipient's workbook has a case of a person.

    Args:
        session: The engine.
        folder: The folder of the revision's workbooks.
        person: The person's number.
        recipient: A department, or the name of a district.
    """
    assigned, cases = folder / ASSIGNED, folder / Path(OPEN_CASES).name
    if not assigned.is_file() or not cases.is_file():
        return False
    rows = session.fetch_rows(
        f"SELECT 1 FROM {read_parquet_sql(assigned)} JOIN {read_parquet_sql(cases)} USING (case_id)"
        " WHERE person = ? AND recipient = ? LIMIT 1",
        [person, recipient],
    )
    return bool(rows)


class _Answering:
    """Which departments, and which sources of theirs, a target is evidence of."""

    def __init__(self, inputs: CaseInputs) -> None:
        self.inputs, self.texts = inputs, inputs.texts
        self.origin = {fact: name for name, one in inputs.sources.items() for fact in one.facts}
        self.indicators = {one.code: one for one in inputs.texts.indicators}

    def list_departments(self, target: str, district: str) -> list[str]:
        """Return who answers for a target of a resident.

        For a district's own indicator, and for what districts deliver, it is the resident's
        district, and the owner of objections where that is another one: no district gets to see
        another's people.

        Args:
            target: What the case is about.
            district: The name of the resident's district; empty of who was not scored.
        """
        words, owner = self.indicators.get(target), self.inputs.owner
        if words and words.authority != CITY:
            own = self.texts.districts.get(words.authority, words.authority)
            return [own if own == district else owner]
        found = list(words.departments) if words else []
        source = self.origin.get(target.removeprefix(FACT_PREFIX))
        if target.startswith(FACT_PREFIX) and source is not None:
            found = [self.inputs.sources[source].department]
        of_districts = {
            one.department for one in self.inputs.sources.values() if one.from_districts
        }
        named = (district or owner if one in of_districts else one for one in found or [owner])
        return list(dict.fromkeys(named))

    def list_sources(self, target: str) -> Sequence[str]:
        """Return the sources whose rows are the evidence of a target."""
        if target in self.inputs.evidence:
            return self.inputs.evidence[target]
        source = self.origin.get(target.removeprefix(FACT_PREFIX))
        return [source] if source and target.startswith(FACT_PREFIX) else []


def _load_published(
    session: Session, inputs: CaseInputs, cases: Sequence[Mapping[str, Any]]
) -> dict[str, dict[str, str]]:
    """Return by case what was published of its person and target."""
    relation = read_parquet_sql(*inputs.statements)
    rows = session.fetch_dicts(
        f"SELECT * FROM {relation} WHERE resident_id IN"
        f" (SELECT resident_id FROM {read_parquet_sql(inputs.open_cases)})"
    )
    people = {row["resident_id"]: StatementRow.model_validate(row) for row in rows}
    found = {}
    for case in cases:
        row = people.get(case["resident_id"])
        said = _describe_target(case["target"], row, inputs.texts)
        found[case["case_id"]] = {
            "name": (row.name or "") if row else "",
            "district": inputs.texts.districts.get(row.district, row.district) if row else "",
            **said,
        }
    return found


def _describe_target(
    target: str, row: StatementRow | None, texts: StatementTexts
) -> dict[str, str]:
    """Return the title of a target, and what its line says of a person."""
    titles = {one.code: one.title for one in texts.indicators}
    titles |= {FACT_PREFIX + name: one.title for name, one in texts.facts.items()}
    if target not in titles:
        return {"title": "", "published": _NO_TARGET}
    if row is None:
        return {"title": titles[target], "published": _NOT_SCORED}
    if target.startswith(FACT_PREFIX):
        name = target.removeprefix(FACT_PREFIX)
        known = name in row.facts
        said = put_value(name, row.facts, texts) if known else "见部门记录"
        return {"title": titles[target], "published": said}
    for line, explained in zip(row.lines, explain_row(row, texts).lines, strict=True):
        if line.code == target:
            said = f"{explained.points} 分：{explained.evidence}；{explained.rule}"
            closed = f"（{explained.closed_by}）" if explained.closed_by else ""
            return {"title": titles[target], "published": said + closed}
    return {"title": titles[target], "published": "本人的居住区县没有这个指标"}


def _load_records(
    session: Session,
    inputs: CaseInputs,
    answering: _Answering,
    cases: Sequence[Mapping[str, Any]],
) -> dict[str, list[str]]:
    """Return by case the rows that are the evidence of its target, a line each."""
    wanted: dict[str, set[int]] = {}
    for case in cases:
        for name in answering.list_sources(case["target"]):
            wanted.setdefault(name, set()).add(case["person"])
    rows = {
        name: load_rows_of_people(session, inputs.sources[name], inputs.folders.get(name, ()), who)
        for name, who in wanted.items()
    }
    return {
        case["case_id"]: list(_list_lines(case, answering.list_sources(case["target"]), rows))
        for case in cases
    }


def _list_lines(
    case: Mapping[str, Any], sources: Sequence[str], rows: Mapping[str, Mapping[int, list[str]]]
) -> Iterator[str]:
    for name in sources:
        yield from rows[name].get(case["person"], [])
