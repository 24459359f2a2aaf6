"""The examples beside the rules, run through the very statement that scores a month."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from expectations.errors import Diagnostic
from expectations.fact_model import (
    COUNTED_UNITS,
    WHOLE_UNITS,
    YEAR_UNITS,
    Fact,
    find_value_without_records,
)
from expectations.month import Month
from expectations.yaml_document import YamlDocument
from transforms.engine.session import NumberError, Session
from transforms.engine.sql import sql_literal
from transforms.expressions.fact_values import AWARD, find_fact, parse_fact_value
from transforms.expressions.kinds import build_fact_kinds
from transforms.expressions.language import parse_expression
from transforms.facts.derived import order_derived_facts
from transforms.points.columns import points_column_name
from transforms.points.compile import points_sql
from transforms.points.models import CITY, Indicator, IndicatorExample, PointsTable, PointsVersion
from transforms.points.proofread import list_guard_facts
from transforms.versions import Place

_LIST_TYPES = {
    **{unit: f"STRUCT(year INTEGER, {one} DECIMAL(18, 2))[]" for unit, one in YEAR_UNITS.items()},
    "points_by_key": "STRUCT(key VARCHAR, points DECIMAL(18, 2))[]",
    "children": "STRUCT(child VARCHAR, level VARCHAR, enrolment_year INTEGER)[]",
}
_NO_CITY = PointsVersion.model_validate(
    {"from": "1900-01-01", "basis": "-", "sections": {}, "indicators": {}}
)
"""Districts' examples are scored without the city's table."""


@dataclass(frozen=True)
class _Case:
    """One example: whose table and where in it, its column, the scoring date, one resident's facts.

    missing: what the indicator's conditions read and the example does not give. of_nobody: a person
    without records, whose points the indicator must confirm.
    """

    authority: str
    place: Place
    column: str
    as_of: dt.date
    facts: Mapping[str, Any]
    points: Decimal
    missing: tuple[str, ...] = ()
    of_nobody: bool = False

    def describe(self, given: Decimal | None) -> tuple[str, str]:
        """Return what the case shows when it gives other points, and what to do."""
        gives = "的分超出 99,999.99" if given is None else f"得 {given:f} 分"
        if self.of_nobody:
            if self.place[-1] == "nobody":
                return f"没有记录的人按规则{gives}", f"请核对，或写 nobody: {given}"
            return (
                f"没有记录的人算作 0 个月，按规则{gives}",
                f"本意如此请写 nobody: {given}；否则用 when 排除没有记录的人",
            )
        missing = f"；例中没有写条件用到的 {'、'.join(self.missing)}" if self.missing else ""
        return f"例中写 {self.points:f} 分，按规则{gives}", f"请核对规则与例子{missing}"


def check_examples(
    session: Session,
    folder: Path,
    tables: list[PointsTable],
    facts: Mapping[str, Fact],
) -> list[Diagnostic]:
    """Return every example that does not give its points.

    So are people without records, where a rule on "months since" gives them points that the
    indicator does not confirm (`nobody`). What an example does not name, a person without records
    has. Makes a temporary table `facts`, one row per example, and drops it again.

    Args:
        session: An engine.
        folder: Where the tables were read from.
        tables: As loaded from there.
        facts: All facts declared, by name.
    """
    wrong: list[tuple[_Case, Decimal | None]] = []
    for index in range(max((len(table.versions) for table in tables), default=0)):
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
                file.add_error(case.place, *case.describe(given))
        problems += file.problems
    return problems


def _build_cases(table: PointsTable, index: int, facts: Mapping[str, Fact]) -> Iterator[_Case]:
    version = table.versions[index]
    last_day = Month.of(version.begins).last_day
    for code, indicator in version.indicators.items():
        place: Place = ("versions", index, "indicators", code)
        column = points_column_name(table.authority, code)
        for number, example in enumerate(indicator.examples):
            yield _Case(
                table.authority,
                (*place, "examples", number if example.value is None else example.value),
                column,
                example.as_of or last_day,
                _build_resident(indicator, example, table.authority, facts),
                example.points,
                _find_missing_facts(indicator, example, facts),
            )
        own = find_fact(indicator.fact or "", facts)
        if indicator.nobody is not None or (own is not None and own.measure == "full_months"):
            key = "rule" if indicator.nobody is None else "nobody"
            points = indicator.nobody or Decimal(0)
            nobody: dict[str, Any] = {"awards": []}
            yield _Case(
                table.authority, (*place, key), column, last_day, nobody, points, of_nobody=True
            )


def _find_missing_facts(
    indicator: Indicator, example: IndicatorExample, facts: Mapping[str, Fact]
) -> tuple[str, ...]:
    given = indicator.given(example)
    return tuple(name for name in list_guard_facts(indicator, facts) if name not in given)


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
    session: Session, statement: str, due: list[_Case], facts: Mapping[str, Fact]
) -> list[Decimal | None]:
    """What each of the cases of one day gives; None: more than points can be."""
    as_of = due[0].as_of
    try:
        create_example_facts(session, [(case.authority, case.facts) for case in due], facts, as_of)
        scored = session.fetch_dicts(statement, {"month": as_of.replace(day=1), "as_of": as_of})
        points = {int(row["resident_key"]): row for row in scored}
        return [points[number][case.column] for number, case in enumerate(due)]
    except NumberError:
        if len(due) == 1:
            return [None]
    finally:
        session.execute("DROP TABLE IF EXISTS temp.facts")
        session.execute("DROP TABLE IF EXISTS temp.given")
    return [given for case in due for given in _score_cases(session, statement, [case], facts)]


def create_example_facts(
    session: Session,
    people: list[tuple[str, Mapping[str, Any]]],
    facts: Mapping[str, Fact],
    as_of: dt.date,
) -> None:
    """Make the relation `facts` of people given by their district and some of their facts.

    The number of a person is the key. What is not given, a person without records has; what is
    derived from other facts follows from them, as in a month. `corrections` are null.
    """
    columns = "".join(f', "{name}" {_sql_type(fact)}' for name, fact in facts.items())
    session.execute(
        f"CREATE TEMP TABLE given (resident_key VARCHAR, district VARCHAR{columns}, "
        "corrections STRUCT(target VARCHAR, case_id VARCHAR, value DECIMAL(12, 2))[], "
        "named VARCHAR[])"
    )
    values: list[Any] = []
    for number, (district, known) in enumerate(people):
        row = [known.get(name) for name in facts]
        defaults = [find_value_without_records(fact) for fact in facts.values()]
        filled = [one if value is None else value for value, one in zip(row, defaults, strict=True)]
        values += [str(number), district, *filled, [name for name in known if name in facts]]
    one = f"({', '.join(['?'] * (len(facts) + 2))}, NULL, ?)"
    session.execute(f"INSERT INTO given VALUES {', '.join([one] * len(people))}", values)
    rows, kinds = "given", build_fact_kinds(facts)
    for name in order_derived_facts(facts):
        expression = parse_expression(str(facts[name].derive), kinds)
        day = f"CAST({sql_literal(as_of.isoformat())} AS DATE)"
        derived = expression.sql(lambda column, day=day: day if column == "as_of" else column)  # type: ignore[misc]
        if facts[name].unit == "yes_no":
            derived = f"coalesce({derived}, false)"
        kept = f"CASE WHEN list_contains(named, '{name}') THEN {name} ELSE {derived} END"
        rows = (
            f"(SELECT * REPLACE (CAST({kept} AS {_sql_type(facts[name])}) AS {name}) FROM {rows})"
        )
    session.execute(f"CREATE TEMP TABLE facts AS SELECT * EXCLUDE (named) FROM {rows}")


def _sql_type(fact: Fact) -> str:
    if fact.unit in COUNTED_UNITS:
        return "BIGINT" if fact.unit in WHOLE_UNITS else "DECIMAL(18, 2)"
    others = {"yes_no": "BOOLEAN", "date": "DATE", "month": "DATE"}
    return others.get(fact.unit, _LIST_TYPES.get(fact.unit, "VARCHAR"))
