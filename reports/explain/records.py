"""The records behind one person's facts: rows that count, rows that do not and why, rows that were refused.

IDs, names and phones are left out: the reader knows whom they asked about, and rows may name others (children).
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from expectations.month import Month
from expectations.source_model import Fact, Source
from transforms.clean import national_id
from transforms.engine.parquet import read_deliveries, read_parquet_sql
from transforms.engine.session import Session
from transforms.engine.sql import sql_literal
from transforms.facts import month_bitmaps
from transforms.facts.measures import equals_sql, filter_sql
from transforms.templates import format_number

REASONS = {
    "missing": "缺少", "bad_id": "号码不合规则", "bad_value": "无法识别", "not_in_set": "不在取值范围内",
    "out_of_range": "超出允许范围", "in_future": "晚于交付月份", "too_early": "早于起始日期",
    "lost_digits": "尾数已丢失（科学计数法）", "day_first": "日在前，应为年月日",
    "short_year": "年份只有两位", "serial_number": "是序列号，应设为日期格式",
    "time_of_day": "带有时刻，应只有日期", "time_zone": "带有时区，应只有日期",
    "stand_in": "是占位日期", "before_birth": "早于本人出生日期",
    "control_character": "含有控制字符", "placeholder": "是占位值，按空值处理",
    "cleaned": "控制字符已去除",
}  # fmt: skip


@dataclass(frozen=True)
class Record:
    """One row of a department. `facts`: the titles of what it is counted in; `reasons`: why it is not, or was refused."""

    source: str
    received: str
    values: dict[str, str]
    facts: list[str]
    reasons: list[str]


def load_person_records(
    session: Session,
    source: Source,
    folders: Sequence[Path],
    person: int,
    month: Month,
    over_quota: Path | None = None,
) -> list[Record]:
    """The person's clean rows in the deliveries used, oldest first.

    `folders`: of the clean deliveries. `over_quota`: the file of rows that a quota left out, which need not exist.
    Needs the reference tables on the session. Reads the person column of every row of the source.
    """
    if not folders:
        return []
    facts = {
        name: fact for name, fact in source.facts.items() if fact.measure not in (None, "list")
    }
    statement = f"""
        WITH marked AS ({_marked_rows(source, folders, over_quota)})
        SELECT {", ".join(_shown(source))}, received, {_status(source)} AS status,
            [{", ".join(f"({_counts(fact)}) IS TRUE" for fact in facts.values()) or "false"}] AS counts
        FROM marked WHERE {source.person} = $person ORDER BY received, part, record"""
    values = {"person": person, "as_of": month.last_day, "month": month.ordinal}
    result = session.execute(
        statement, {name: value for name, value in values.items() if f"${name}" in statement}
    )
    titles = [fact.title for fact in facts.values()]
    return [_record(source, row, titles) for row in result.fetchall()]


def load_refused_records(
    session: Session, source: Source, folders: Sequence[Path], person: int
) -> list[Record]:
    """The person's rows in quarantine, with their reasons. A row whose ID cannot be read is nobody's."""
    files = [file for folder in folders for file in sorted(folder.glob("*.parquet"))]
    if not files:
        return []
    given = f"json_extract_string(raw, {sql_literal('$.' + source.person)})"
    rows = session.execute(
        f"""
        SELECT received, raw, reasons FROM (
            SELECT *, {national_id.normalise_sql(given)} AS text
            FROM {read_parquet_sql(*files)}
        ) WHERE {national_id.to_number_sql("text")} = ? ORDER BY received, record""",
        [person],
    ).fetchall()
    return [
        Record(
            source.title,
            str(Month.of(received)),
            _raw_values(source, raw),
            [],
            [_reason(source, r) for r in reasons],
        )
        for received, raw, reasons in rows
    ]


def _marked_rows(source: Source, folders: Sequence[Path], over_quota: Path | None) -> str:
    """The person's rows, with marks: `superseded` by a later row of the same key (whoever's that is), `decides`, `over`."""
    rows = read_deliveries(folders)
    mine, superseded, decides, over = f"{source.person} = $person", "false", "true", "false"
    if source.delivery == "increment" and source.key:
        key = ", ".join(source.key)
        mine = f"({key}) IN (SELECT ({key}) FROM {rows} WHERE {source.person} = $person)"
        superseded = f"received < max(received) OVER (PARTITION BY {key})"
    if source.ledger:
        ledger = source.ledger
        order = f"{ledger.newest} DESC, ({equals_sql(ledger.tie)}) DESC"
        decides = f"row_number() OVER (PARTITION BY {', '.join(ledger.per)} ORDER BY {order}) = 1"
    if source.quota and over_quota and over_quota.exists():
        key = ", ".join(source.key)
        over = f"({key}) IN (SELECT ({key}) FROM {read_parquet_sql(over_quota)})"
    return f"SELECT *, {superseded} AS superseded, {decides} AS decides, {over} AS over FROM {rows} WHERE {mine}"


def _status(source: Source) -> str:
    """Why a row does not count whatever the fact; null when it does."""
    holds = equals_sql(source.ledger.holds) if source.ledger else "true"
    return f"""CASE WHEN superseded THEN '已被后来收到的同一记录取代' WHEN NOT decides THEN '已被同月更新的记录取代'
        WHEN NOT ({equals_sql(source.standing)}) THEN '已作废' WHEN NOT ({holds}) THEN '已冲销' WHEN over THEN '超出当年配额' END"""


def _counts(fact: Fact) -> str:
    """Whether a fact is measured over a row."""
    upto = f" AND {fact.of} <= $month" if fact.measure in month_bitmaps.MEASURES else ""
    return filter_sql(fact) + upto


def _shown(source: Source) -> list[str]:
    """The columns that are shown: no IDs, no name, no phone."""
    hidden = {source.spine.name, source.spine.phone} if source.spine else set()
    return [
        name
        for name, column in source.columns.items()
        if column.type != "id" and name not in hidden
    ]


def _record(source: Source, row: Sequence[Any], titles: Sequence[str]) -> Record:
    *values, received, status, counts = row
    values_shown = {
        source.columns[name].title: _said(source, name, value)
        for name, value in zip(_shown(source), values, strict=True)
        if value is not None
    }
    facts = (
        [] if status else [title for title, counted in zip(titles, counts, strict=False) if counted]
    )
    reasons = (
        [status] if status else [] if facts or not titles else ["不在任何一项数据的统计范围内"]
    )
    return Record(source.title, received, values_shown, facts, reasons)


def _said(source: Source, name: str, value: Any) -> str:
    column = source.columns[name]
    if column.type == "month":
        return str(Month(value))
    if isinstance(value, bool):
        return "是" if value else "否"
    if column.type == "set":
        return next(iter(column.values.get(value, [])), value)
    return (
        value.isoformat()
        if isinstance(value, dt.date)
        else str(value)
        if isinstance(value, str)
        else format_number(value)
    )


def _raw_values(source: Source, raw: str) -> dict[str, str]:
    given = json.loads(raw)
    return {
        source.columns[name].title: given[name]
        for name in _shown(source)
        if given.get(name) is not None
    }


def _reason(source: Source, reason: str) -> str:
    column, _, code = reason.partition(":")
    title = source.columns[column].title if column in source.columns else column
    return f"{title}{REASONS.get(code, code)}"


def format_records(records: Sequence[Record]) -> Iterator[str]:
    """Records as text: one line each."""
    for record in records:
        values = "，".join(f"{title} {value}" for title, value in record.values.items())
        use = f"计入 {'、'.join(record.facts)}" if record.facts else "；".join(record.reasons)
        yield f"  {record.source} {record.received}：{values}" + (f"（{use}）" if use else "")
