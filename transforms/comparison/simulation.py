"""A draft policy applied to a published month: the same residents and facts, other points.

What differs is written district by district, so that memory does not grow with the city: the
tables of a revision are aligned, and a district is one range of rows in each of them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from expectations.month import Month
from expectations.source_model import Fact
from transforms.engine.parquet import read_folder_sql
from transforms.engine.session import Session
from transforms.engine.sql import sql_literal
from transforms.engine.statements import Statement
from transforms.expressions.kinds import Kind
from transforms.outputs import (
    ELIGIBILITY,
    FACTS,
    RESTRICTED_FACTS,
    SCORES,
    Output,
    read_with_row_number,
)
from transforms.points.columns import list_points_columns, strip_points_suffix
from transforms.points.compile import points_sql
from transforms.points.models import CITY, PointsVersion
from transforms.points.scored import scored_statement
from transforms.services.eligibility_sql import eligibility_sql, select_services_of
from transforms.services.models import ServiceVersion

POINTS = "DECIMAL(7, 2)"
_DECIDED = ("eligible", "points_short", "monthly_amount")


@dataclass(frozen=True)
class Draft:
    """The versions of a draft in force on a day: points tables by authority, services by code.

    `kinds`: what the services' expressions may name.
    """

    day: dt.date
    tables: Mapping[str, PointsVersion]
    services: Mapping[str, ServiceVersion]
    kinds: Mapping[str, Kind]


@dataclass(frozen=True)
class ScoredMonth:
    """A published revision to which a draft is applied; it is only read.

    `facts`: those that the revision holds. `corrected`: the indicators that its corrections
    replace. `of_children`: its services of children. `fact_table`: the folder of facts measured
    again, in place of the published ones.
    """

    path: Path
    month: Month
    facts: Mapping[str, Fact]
    corrected: Collection[str]
    of_children: Collection[str] = ()
    fact_table: Path | None = None


def simulate_draft(session: Session, revision: ScoredMonth, draft: Draft, target: Path) -> None:
    """Write what the draft changes: `points/<district>.parquet`, `services/<district>.parquet`.

    points: resident_key, district, item (a points column without `_points`), before, after;
    nothing for points that stay the same (a column that is not there counts as 0). services:
    resident_key, district, service, and eligible, points_short, monthly_amount, each `_before`
    and after; null where there is no row.
    """
    versions = dict(draft.tables)
    city = versions.pop(CITY)
    sql = points_sql(city, versions, revision.facts, corrected=revision.corrected)
    drafted = Statement("drafted", sql, ("facts",))
    eligibility = eligibility_sql(draft.services, draft.kinds) if draft.services else ""
    values = {"month": revision.month.first_day, "as_of": revision.month.last_day}
    for name in ("points", "services"):
        (target / name).mkdir(parents=True)
    for district, first, last in _district_ranges(session, revision.path):
        tables = _tables_of_district(revision.path, district, first, last)
        if revision.fact_table is not None:
            own = f"WHERE district = {sql_literal(district)}"
            tables["facts"] = f"(FROM {read_folder_sql(revision.fact_table)} {own})"
        session.create_table(drafted, values, {"facts": tables["facts"]})
        changed = [_points_changed(session, tables["scores"])]
        if eligibility:
            columns = list_points_columns(session, "drafted")
            left_out = select_services_of(draft.services, "child").keys() | set(
                revision.of_children
            )
            changed.append(_services_changed(eligibility, columns, district, left_out))
        for statement in changed:
            given = {name: tables[name] for name in statement.inputs if name in tables}
            file = target / statement.name / f"{district}.parquet"
            session.write(statement, file, values, given)
    session.drop("drafted")


def _district_ranges(session: Session, revision: Path) -> list[tuple[str, int, int]]:
    """Every district with its first and last row."""
    return session.fetch_rows(f"""
        SELECT district, min(file_row_number), max(file_row_number)
        FROM {read_with_row_number(revision, FACTS)} GROUP BY 1 ORDER BY 1""")


def _tables_of_district(revision: Path, district: str, first: int, last: int) -> dict[str, str]:
    """Relations of a district's residents: `facts` (with restricted ones), scores, eligibility."""

    def rows(output: Output) -> str:
        found = f"FROM {read_with_row_number(revision, output)}"
        here = f"WHERE file_row_number BETWEEN {first} AND {last}"
        return f"(SELECT * EXCLUDE (file_row_number) {found} {here})"

    own = f"WHERE district = {sql_literal(district)}"
    return {
        "facts": f"(FROM {rows(FACTS)} JOIN {rows(RESTRICTED_FACTS)} USING (resident_key))",
        "scores": rows(SCORES),
        "eligibility": f"(FROM {read_folder_sql(revision / ELIGIBILITY.folder)} {own})",
    }


def _points_changed(session: Session, scores: str) -> Statement:
    """Every points column of every resident that is not what was published.

    Which columns differ for anybody is asked first: comparing all of them row by row costs three
    times as much.
    """
    now, before = list_points_columns(session, "drafted"), list_points_columns(session, scores)

    def value(side: str, columns: Collection[str], column: str) -> str:
        return f"{side}.{column}" if column in columns else f"CAST(NULL AS {POINTS})"

    values = {
        column: (value("b", before, column), value("a", now, column))
        for column in dict.fromkeys([*now, *before])
    }
    differs = {
        column: f"coalesce({then}, 0) <> coalesce({after}, 0)"
        for column, (then, after) in values.items()
    }
    inputs = ("drafted", "scores")
    joined = "drafted AS a JOIN scores AS b ON a.resident_key = b.resident_key"
    asked = ", ".join(f"bool_or({test})" for test in differs.values())
    question = Statement("differing_items", f"SELECT {asked} FROM {joined}", inputs)
    (answers,) = session.fetch(question, inputs={"scores": scores})
    entry = f"STRUCT(item VARCHAR, before {POINTS}, after {POINTS})"
    changed = ", ".join(
        f"CASE WHEN {differs[column]} THEN {_change(column, *pair)} END"
        for (column, pair), answer in zip(values.items(), answers, strict=True)
        if answer
    )
    listed = f"list_filter(CAST([{changed}] AS {entry}[]), lambda change: change IS NOT NULL)"
    sql = f"""
SELECT resident_key, district, change.item AS item, change.before AS before, change.after AS after
FROM (SELECT a.resident_key, a.district, unnest({listed}) AS change FROM {joined})
ORDER BY resident_key, item"""
    return Statement("points", sql, inputs, "file")


def _change(column: str, before: str, after: str) -> str:
    item = sql_literal(strip_points_suffix(column))
    return f"{{'item': {item}, 'before': {before}, 'after': {after}}}"


def _services_changed(
    eligibility: str, columns: Collection[str], district: str, left_out: Collection[str]
) -> Statement:
    """Every resident and service whose row is not what was published.

    `left_out`: services of children, which take more than one district at a time.
    """
    scored = scored_statement(columns, "drafted")
    both = ", ".join(f"b.{name} AS {name}_before, a.{name} AS {name}" for name in _DECIDED)
    differs = " OR ".join(f"a.{name} IS DISTINCT FROM b.{name}" for name in _DECIDED)
    listed = ", ".join(map(sql_literal, sorted(left_out)))
    published = f" WHERE service NOT IN ({listed})" if listed else ""
    sql = f"""
WITH scored AS ({scored.sql}),
tried AS ({eligibility})
SELECT coalesce(a.resident_key, b.resident_key) AS resident_key,
    {sql_literal(district)} AS district, coalesce(a.service, b.service) AS service, {both}
FROM tried AS a FULL JOIN (SELECT * FROM eligibility{published}) AS b
    ON a.resident_key = b.resident_key AND a.service = b.service
WHERE {differs}
ORDER BY resident_key, service"""
    return Statement("services", sql, (*scored.inputs, "eligibility"), "file")
