"""A draft policy applied to a published month: the same residents and facts, other points; written down is what differs.

District by district, so that memory does not grow with the city: the tables of a revision hold the same residents in
the same order, sorted by district, and a district is one stretch of rows in each of them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from expectations.month import Month
from expectations.source_model import Fact
from transforms.engine.parquet import PARQUET, read_folder_sql
from transforms.engine.session import Session
from transforms.engine.sql import sql_literal
from transforms.engine.statements import Statement, run_statement
from transforms.expressions.language import Kind
from transforms.outputs import list_points_columns, read_with_row_number
from transforms.points.columns import strip_points_suffix
from transforms.points.compile import points_sql
from transforms.points.models import CITY, PointsVersion
from transforms.services.eligibility_sql import eligibility_sql
from transforms.services.models import ServiceVersion


@dataclass(frozen=True)
class Draft:
    """What is tried: the versions in force on one day, of every points table by authority, and of the services by code.

    `kinds`: what the services' expressions may name.
    """

    day: dt.date
    tables: Mapping[str, PointsVersion]
    services: Mapping[str, ServiceVersion]
    kinds: Mapping[str, Kind]


def simulate_draft(
    session: Session,
    revision: Path,
    draft: Draft,
    facts: Mapping[str, Fact],
    corrected: Collection[str],
    month: Month,
    target: Path,
) -> None:
    """Write what the draft changes: `target/points/<district>.parquet` and `target/services/<district>.parquet`.

    points: resident_key, district, item (a points column without `_points`), before, after; nothing for points that
    stay the same (a column that is not there counts as 0). services: resident_key, district, service, and eligible,
    points_short, monthly_amount, each `_before` and after; null where there is no row. `facts`: those that the
    revision holds. `corrected`: the indicators that corrections of the month replace. The revision is only read.
    """
    versions = dict(draft.tables)
    statement = points_sql(versions.pop(CITY), versions, facts, corrected=corrected)
    values = {"month": month.first_day, "as_of": month.last_day}
    for name in ("points", "services"):
        (target / name).mkdir(parents=True)
    for district, first, last in _district_ranges(session, revision):
        _take_district(session, revision, first, last)
        run_statement(
            session,
            Statement("drafted", f"CREATE OR REPLACE TEMP TABLE drafted AS {statement}"),
            values,
        )
        compared = {"points": _points_changed(session)}
        if draft.services:
            compared["services"] = _services_changed(
                revision, eligibility_sql(draft.services, draft.kinds), district
            )
        for name, sql in compared.items():
            file = sql_literal(target / name / f"{district}.parquet")
            run_statement(session, Statement(name, f"COPY ({sql}) TO {file} ({PARQUET})"), values)
    session.execute("DROP TABLE IF EXISTS drafted")


def _district_ranges(session: Session, revision: Path) -> list[tuple[str, int, int]]:
    """Every district with its first and last row."""
    return session.execute(
        f"SELECT district, min(file_row_number), max(file_row_number) FROM {read_with_row_number(revision, 'facts')} GROUP BY 1 ORDER BY 1"
    ).fetchall()


def _take_district(session: Session, revision: Path, first: int, last: int) -> None:
    """The views `facts` (published and restricted ones), `published` (the scores) and `scored` (facts, drafted points)."""

    def rows(table: str) -> str:
        found = f"FROM {read_with_row_number(revision, table)} WHERE file_row_number BETWEEN {first} AND {last}"
        return f"(SELECT * EXCLUDE (file_row_number) {found})"

    session.execute(
        f"CREATE OR REPLACE TEMP VIEW facts AS FROM {rows('facts')} JOIN {rows('restricted/facts')} USING (resident_key)"
    )
    session.execute(f"CREATE OR REPLACE TEMP VIEW published AS FROM {rows('scores')}")


def _points_changed(session: Session) -> str:
    """Every points column of every resident that is not what was published.

    Which columns differ for anybody is asked first: taking all of them apart row by row costs three times as much.
    """
    now, then = (
        list_points_columns(session, "drafted"),
        list_points_columns(session, "published"),
    )

    def value(side: str, known: Collection[str], item: str) -> str:
        return f"{side}.{item}" if item in known else "CAST(NULL AS DECIMAL(7, 2))"

    values = {
        item: (value("b", then, item), value("a", now, item))
        for item in dict.fromkeys([*now, *then])
    }
    differs = {
        item: f"coalesce({before}, 0) <> coalesce({after}, 0)"
        for item, (before, after) in values.items()
    }
    joined = "drafted AS a JOIN published AS b ON a.resident_key = b.resident_key"
    asked = ", ".join(f"bool_or({test})" for test in differs.values())
    answers = session.execute(f"SELECT {asked} FROM {joined}").fetchall()[0]
    entry = "STRUCT(item VARCHAR, before DECIMAL(7, 2), after DECIMAL(7, 2))"
    changed = ", ".join(
        f"CASE WHEN {differs[item]} THEN {{'item': {sql_literal(strip_points_suffix(item))}, 'before': {before}, 'after': {after}}} END"
        for (item, (before, after)), answer in zip(values.items(), answers, strict=True)
        if answer
    )
    return f"""
SELECT resident_key, district, change.item AS item, change.before AS before, change.after AS after
FROM (
    SELECT a.resident_key, a.district,
        unnest(list_filter(CAST([{changed}] AS {entry}[]), lambda change: change IS NOT NULL)) AS change
    FROM {joined}
)
ORDER BY resident_key, item"""


def _services_changed(revision: Path, eligibility: str, district: str) -> str:
    """Every resident and service whose row is not what was published."""
    told = ("eligible", "points_short", "monthly_amount")
    published = read_folder_sql(revision / "eligibility")
    columns = ", ".join(f"b.{name} AS {name}_before, a.{name} AS {name}" for name in told)
    differs = " OR ".join(f"a.{name} IS DISTINCT FROM b.{name}" for name in told)
    return f"""
WITH scored AS (
    SELECT facts.*, drafted.* EXCLUDE (month, resident_key, district, policy_city, policy_district, corrected)
    FROM facts JOIN drafted USING (resident_key)
),
tried AS ({eligibility})
SELECT coalesce(a.resident_key, b.resident_key) AS resident_key, '{district}' AS district,
    coalesce(a.service, b.service) AS service, {columns}
FROM tried AS a FULL JOIN (FROM {published} WHERE district = '{district}') AS b
    ON a.resident_key = b.resident_key AND a.service = b.service
WHERE {differs}
ORDER BY resident_key, service"""
