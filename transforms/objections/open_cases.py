"""Open cases: objections that no decision has come for, and how cases of each target stand."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from expectations.month import Month
from expectations.refusals import may_name_record
from expectations.source_model import Source
from transforms.clean.national_id import to_text_sql
from transforms.engine.parquet import read_parquet_sql
from transforms.engine.session import Session
from transforms.engine.sql import sql_literal
from transforms.engine.statements import Statement
from transforms.facts.build import clean_rows_statement
from transforms.facts.measures import equals_sql
from transforms.facts.sql import latest_row_statements
from transforms.objections.working_days import find_due_day, has_calendar
from transforms.outputs import DistrictCount

OPEN_CASES = "restricted/objections/open_cases.parquet"
"""The open cases of a revision, one row per case."""
STATES = ("open", "due", "overdue", "upheld", "rejected", "late")
CASE_TITLES = {"open": "待决定", "overdue": "逾期", "upheld": "成立", "rejected": "不成立"}
"""How a case stands in the metric `objection_cases`."""
UNKNOWN_TARGET = "unknown"
"""What a target is counted as that the city does not declare: it may be any text."""
MAX_NAMED = 200


@dataclass(frozen=True)
class CaseSources:
    """The sources of objections and of their decisions, with the folders of their clean rows."""

    objections: Source
    filed: Sequence[Path]
    corrections: Source | None
    decided: Sequence[Path]


@dataclass(frozen=True)
class CaseTerms:
    """What open cases depend on but rows.

    Attributes:
        month: The month scored.
        working_days: How many of them a decision may take.
        targets: What the city declares that one can object to: indicators, and `fact:` facts.
    """

    month: Month
    working_days: int
    targets: Collection[str]


@dataclass(frozen=True)
class CaseResult:
    """How cases stand on the scoring date.

    Attributes:
        by_target: Target (`unknown`: none that is declared; what was written instead may be
            anything) -> how many cases are `open`, of these `due` in the month after or
            `overdue`; and decided by what came this month: `upheld`, `rejected`, of these `late`.
        overdue: The overdue ones by number, those that look like a person's left out.
        years: The years whose calendar is not known yet.
        by_district: Cases of people scored, by their district: not decided and in time (`open`),
            not decided in time (`overdue`), and decided by what came this month (`upheld`,
            `rejected`).
    """

    by_target: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    overdue: tuple[str, ...] = ()
    years: tuple[int, ...] = ()
    by_district: tuple[DistrictCount, ...] = ()


def write_open_cases(
    session: Session, sources: CaseSources, facts: str, terms: CaseTerms, target: Path
) -> CaseResult:
    """Write the cases that are open on the scoring date, with the day by which they are due.

    A case is open until a decision with its number is there, upheld or rejected. Columns: case_id,
    person, resident_id, target, filed_on, due_on, channel, claim; by case_id.

    Args:
        session: The engine.
        sources: Objections and decisions.
        facts: The relation of people scored: resident_id, district.
        terms: The month, and how long a decision may take.
        target: The file to write.
    """
    month = terms.month
    values = {"as_of": month.last_day}
    for statement in _case_statements(sources):
        session.create(statement, values)
    filed = session.fetch_rows("SELECT DISTINCT filed_on FROM cases ORDER BY filed_on")
    due = {day: find_due_day(day, terms.working_days) for (day,) in filed}
    dates = [f"(DATE '{day}', DATE '{until}')" for day, until in due.items()]
    listed = ", ".join(dates) or "(CAST(NULL AS DATE), CAST(NULL AS DATE))"
    session.execute(
        "CREATE OR REPLACE TEMP TABLE dated_cases AS SELECT cases.*, days.due_on FROM cases"
        f" JOIN (VALUES {listed}) AS days(filed_on, due_on) ON days.filed_on = cases.filed_on"
    )
    session.write(Statement("open_cases", _OPEN, (), "file"), target)
    years = {day.year for one in due.items() for day in one if not has_calendar(day)}
    return CaseResult(
        _count_cases(session, month, terms.targets),
        _list_overdue(session, month),
        (*sorted(years),),
        _count_by_district(session, facts, month),
    )


def _case_statements(sources: CaseSources) -> list[Statement]:
    """Return `cases`: every objection filed by the scoring date, with its decision if there is one.

    Parameters: $as_of.
    """
    source, decisions = sources.objections, sources.corrections
    asked = source.objects
    assert asked
    statements = [clean_rows_statement(source, sources.filed), *latest_row_statements(source)]
    decided = (
        "SELECT '' AS case_id, false AS upheld, $as_of AS decided_on, '' AS received WHERE false"
    )
    if decisions and decisions.corrects:
        said = decisions.corrects
        statements += [clean_rows_statement(decisions, sources.decided)]
        statements += latest_row_statements(decisions)
        decided = f"""SELECT {decisions.key[0]} AS case_id, {equals_sql(said.holds)} AS upheld,
        {said.decided} AS decided_on, received
    FROM latest_{decisions.source} WHERE {said.decided} <= $as_of"""
    cases = f"""
SELECT o.{source.key[0]} AS case_id, o.{source.person} AS person,
    {to_text_sql("o." + source.person)} AS resident_id, o.{asked.target} AS target,
    o.{asked.filed} AS filed_on, o.{asked.channel} AS channel, o.{asked.claim} AS claim, d.upheld, d.decided_on, d.received AS decided_in
FROM latest_{source.source} AS o LEFT JOIN (
    {decided}
) AS d ON d.case_id = o.{source.key[0]}
WHERE o.{asked.filed} <= $as_of"""
    inputs = [f"latest_{source.source}"] + ([f"latest_{decisions.source}"] if decisions else [])
    return [*statements, Statement("cases", cases, tuple(inputs))]


_OPEN = """
SELECT case_id, person, resident_id, target, filed_on, due_on, channel, claim
FROM dated_cases WHERE decided_on IS NULL ORDER BY case_id"""


def open_objections_sql(file: Path) -> str:
    """Return the relation of open objections that statements read: resident_id, cases."""
    return f"""(
    SELECT resident_id,
        list_sort(list({{'case_id': case_id, 'target': target, 'due_on': due_on}})) AS cases
    FROM {read_parquet_sql(file)} GROUP BY resident_id
)"""


def _count_cases(
    session: Session, month: Month, targets: Collection[str]
) -> dict[str, dict[str, int]]:
    declared = ", ".join(map(sql_literal, sorted(targets)))
    now = {"as_of": month.last_day, "next": (month + 1).last_day, "month": str(month)}
    rows = session.fetch_rows(
        f"""
        SELECT CASE WHEN target IN ({declared}) THEN target ELSE '{UNKNOWN_TARGET}' END AS about,
            count(*) FILTER (decided_on IS NULL),
            count(*) FILTER (decided_on IS NULL AND due_on > $as_of AND due_on <= $next),
            count(*) FILTER (decided_on IS NULL AND due_on <= $as_of),
            count(*) FILTER (upheld AND decided_in = $month),
            count(*) FILTER (NOT upheld AND decided_in = $month),
            count(*) FILTER (decided_on > due_on AND decided_in = $month)
        FROM dated_cases GROUP BY about ORDER BY about""",
        now,
    )
    found = {str(target): dict(zip(STATES, counts, strict=True)) for target, *counts in rows}
    return {target: counts for target, counts in found.items() if any(counts.values())}


def _count_by_district(session: Session, facts: str, month: Month) -> tuple[DistrictCount, ...]:
    rows = session.fetch_rows(
        f"""
        SELECT facts.district, CASE WHEN upheld THEN 'upheld' WHEN NOT upheld THEN 'rejected'
                WHEN due_on <= $as_of THEN 'overdue' ELSE 'open' END AS item,
            count(*), count(DISTINCT resident_id)
        FROM dated_cases JOIN {facts} AS facts USING (resident_id)
        WHERE decided_on IS NULL OR decided_in = $month
        GROUP BY ALL ORDER BY ALL""",
        {"as_of": month.last_day, "month": str(month)},
    )
    return tuple((district, item, cases, people) for district, item, cases, people in rows)


def _list_overdue(session: Session, month: Month) -> tuple[str, ...]:
    rows = session.fetch_rows(
        "SELECT case_id FROM dated_cases WHERE decided_on IS NULL AND due_on <= $as_of"
        f" ORDER BY due_on, case_id LIMIT {MAX_NAMED}",
        {"as_of": month.last_day},
    )
    return tuple(case for (case,) in rows if may_name_record(case))


def read_open_cases(session: Session, file: Path) -> list[dict[str, Any]]:
    """Return the open cases, by the day by which they are due."""
    return session.fetch_dicts(f"FROM {read_parquet_sql(file)} ORDER BY due_on, case_id")


def is_overdue(case: Mapping[str, Any], as_of: dt.date) -> bool:
    """Return whether the day has passed by which a case had to be decided."""
    return bool(case["due_on"] <= as_of)
