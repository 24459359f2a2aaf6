"""The examples beside the rules, run through the very statement that scores a month."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from expectations.errors import Diagnostic
from expectations.month import Month
from expectations.source_model import COUNTED_UNITS, Fact
from expectations.yaml_document import YamlDocument
from transforms.engine.session import NumberError, Session
from transforms.expressions.fact_values import HOURS_BY_YEAR, find_fact, parse_fact_value
from transforms.points.columns import points_column_name
from transforms.points.compile import points_sql
from transforms.points.models import (
    AWARD,
    CITY,
    Indicator,
    IndicatorExample,
    PointsTable,
    PointsVersion,
)
from transforms.points.rules import WHOLE_UNITS

_LIST_TYPES = {
    HOURS_BY_YEAR: "STRUCT(year INTEGER, hours DECIMAL(18, 2))[]",
    "points_by_key": "STRUCT(key VARCHAR, points DECIMAL(18, 2))[]",
}
_NO_CITY = PointsVersion.model_validate(
    {"from": "1900-01-01", "basis": "-", "sections": {}, "indicators": {}}
)
"""Districts' examples are scored without the city's table."""


@dataclass(frozen=True)
class _Case:
    """One example: its table and place, the column it is about, the scoring date, the facts.

    `missing`: what the indicator's conditions ask for and the example does not give.
    """

    authority: str
    place: tuple[str | int, ...]
    column: str
    as_of: dt.date
    facts: dict[str, Any]
    points: Decimal
    missing: tuple[str, ...]


def check_examples(
    session: Session,
    folder: Path,
    tables: list[PointsTable],
    facts: Mapping[str, Fact],
) -> list[Diagnostic]:
    """Every example that does not give its points. `tables`: as loaded from `folder`.

    Uses a temporary table `facts` of the session, one row per example, and drops it again.
    """
    wrong: list[tuple[_Case, Decimal | None]] = []
    for index in range(max(len(table.versions) for table in tables)):
        for city in (True, False):
            some = [
                table
                for table in tables
                if (table.authority == CITY) is city and index < len(table.versions)
            ]
            versions = {table.authority: table.versions[index] for table in some}
            cases = [case for table in some for case in _build_cases(table, index, facts)]
            wrong += _find_wrong(session, versions, cases, facts)
    problems: list[Diagnostic] = []
    for authority in sorted({case.authority for case, _ in wrong}):
        file = YamlDocument(folder / f"{authority}.yaml")
        for case, given in wrong:
            if case.authority == authority:
                missing = (
                    f"；例中没有写条件用到的 {'、'.join(case.missing)}" if case.missing else ""
                )
                gives = "的分超出 99,999.99" if given is None else f"得 {given:f} 分"
                found = f"例中写 {case.points:f} 分，按规则{gives}"
                file.add_error(case.place, found, f"请核对规则与例子{missing}")
        problems += file.problems
    return problems


def _build_cases(table: PointsTable, index: int, facts: Mapping[str, Fact]) -> list[_Case]:
    version = table.versions[index]
    return [
        _Case(
            table.authority,
            (
                "versions",
                index,
                "indicators",
                code,
                "examples",
                number if example.value is None else example.value,
            ),
            points_column_name(table.authority, code),
            example.as_of or Month.of(version.begins).last_day,
            _build_resident(indicator, example, table.authority, facts),
            example.points,
            _find_missing_facts(indicator, example, facts),
        )
        for code, indicator in version.indicators.items()
        for number, example in enumerate(indicator.examples)
    ]


def _find_missing_facts(
    indicator: Indicator, example: IndicatorExample, facts: Mapping[str, Fact]
) -> tuple[str, ...]:
    words = re.findall(
        r"\w+", f"{indicator.when or ''} {indicator.unless or ''} {indicator.at_most or ''}"
    )
    return tuple(
        dict.fromkeys(
            word for word in words if word in facts and word not in indicator.given(example)
        )
    )


def _build_resident(
    indicator: Indicator, example: IndicatorExample, authority: str, facts: Mapping[str, Fact]
) -> dict[str, Any]:
    """The facts of an example's resident; awards are one list, as in the facts of a month."""
    known: dict[str, Any] = {"awards": []}
    for name, given in indicator.given(example).items():
        fact = find_fact(name, facts)
        assert fact is not None, "the loader lets no example through with an unknown fact"
        value = parse_fact_value(fact, given)
        if not name.startswith(AWARD):
            known[name] = value
        elif value is not None:
            known["awards"].append(
                {"key": f"{authority}:{name.removeprefix(AWARD)}", "points": value}
            )
    return known


def _find_wrong(
    session: Session,
    versions: dict[str, PointsVersion],
    cases: list[_Case],
    facts: Mapping[str, Fact],
) -> list[tuple[_Case, Decimal | None]]:
    """The cases of these versions that give other points than they say, with what they give."""
    districts = dict(versions)
    city = districts.pop(CITY, _NO_CITY)
    statement = points_sql(city, districts, facts)
    wrong = []
    for as_of in sorted({case.as_of for case in cases}):
        due = [case for case in cases if case.as_of == as_of]
        for case, given in zip(due, _score_cases(session, statement, due, facts), strict=True):
            if given != case.points:
                wrong.append((case, given))
    return wrong


def _score_cases(
    session: Session,
    statement: str,
    due: list[_Case],
    facts: Mapping[str, Fact],
) -> list[Decimal | None]:
    """What each of the cases of one day gives; None: more than points can be."""
    as_of = due[0].as_of
    try:
        _create_facts_table(session, due, facts)
        scored = session.execute(statement, {"month": as_of.replace(day=1), "as_of": as_of})
        names = [column[0] for column in scored.description or ()]
        rows = [dict(zip(names, row, strict=True)) for row in scored.fetchall()]
        points = {int(row["resident_key"]): row for row in rows}
        return [points[number][case.column] for number, case in enumerate(due)]
    except NumberError:
        if len(due) == 1:
            return [None]
    finally:
        session.execute("DROP TABLE IF EXISTS temp.facts")
    return [given for case in due for given in _score_cases(session, statement, [case], facts)]


def _create_facts_table(session: Session, cases: list[_Case], facts: Mapping[str, Fact]) -> None:
    """The relation `facts`, one row per case; the row's number is its key."""
    declared = "".join(f', "{name}" {_sql_type(fact)}' for name, fact in facts.items())
    session.execute(
        f"CREATE TEMP TABLE facts (resident_key VARCHAR, district VARCHAR{declared}, "
        "corrections STRUCT(target VARCHAR, case_id VARCHAR, value DECIMAL(12, 2))[])"
    )
    values: list[Any] = []
    for number, case in enumerate(cases):
        values += [str(number), case.authority, *(case.facts.get(name) for name in facts)]
    row = f"({', '.join(['?'] * (len(facts) + 2))}, NULL)"
    session.execute(f"INSERT INTO facts VALUES {', '.join([row] * len(cases))}", values)


def _sql_type(fact: Fact) -> str:
    if fact.unit in COUNTED_UNITS:
        return "BIGINT" if fact.unit in WHOLE_UNITS else "DECIMAL(18, 2)"
    return {"yes_no": "BOOLEAN", "date": "DATE", "month": "DATE", **_LIST_TYPES}.get(
        fact.unit, "VARCHAR"
    )
