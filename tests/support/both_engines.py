"""Residents given by some of their facts, scored by the compiled statement and by the plain reference."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import duckdb

from expectations.fact_model import YEAR_UNITS, Fact, find_value_without_records
from tests.parity.reference import points as reference
from tests.parity.reference.rows import Correction
from transforms.expressions.fact_values import AWARD, parse_fact_value
from transforms.facts.measures import FACT_TYPES
from transforms.points.compile import points_sql
from transforms.points.models import CITY, PointsTable

Scores = Mapping[str, Decimal | None]
LISTS = (*YEAR_UNITS, "points_by_key", "children")
CORRECTIONS = "STRUCT(target VARCHAR, case_id VARCHAR, value DECIMAL(12, 2))[]"


@dataclass(frozen=True)
class ExampleResident:
    """Some facts as a table of examples writes them (`award:x` for awards).

    What is not named a person without records has; what is derived is unknown, or no.
    """

    facts: Mapping[str, Any]
    as_of: dt.date
    district: str = "330203"
    corrections: Mapping[str, Decimal] = field(default_factory=dict)


def score_by_sql(
    connection: duckdb.DuckDBPyConnection,
    tables: Iterable[PointsTable],
    facts: Mapping[str, Fact],
    residents: Sequence[ExampleResident],
) -> list[Scores]:
    """The points columns of each resident, in their order, one statement per scoring date."""
    found: dict[int, Scores] = {}
    tables = list(tables)
    for as_of in {resident.as_of for resident in residents}:
        due = {
            number: resident for number, resident in enumerate(residents) if resident.as_of == as_of
        }
        city, districts = _in_force(tables, as_of)
        targets = {target for resident in due.values() for target in resident.corrections}
        _fill(connection, due, facts)
        statement = points_sql(city, districts, facts, corrected=targets)
        scored = connection.execute(statement, {"month": as_of.replace(day=1), "as_of": as_of})
        names = [column[0] for column in scored.description or ()]
        for row in scored.fetchall():
            columns = dict(zip(names, row, strict=True))
            found[int(columns["resident_key"])] = {
                n: v for n, v in columns.items() if n.endswith("_points")
            }
        connection.execute("DROP TABLE temp.facts")
    return [found[number] for number in range(len(residents))]


def score_by_reference(
    tables: Iterable[PointsTable], facts: Mapping[str, Fact], residents: Sequence[ExampleResident]
) -> list[Scores]:
    """The same columns, one resident after the other in plain Python."""
    tables = list(tables)
    return [_plain(tables, facts, resident) for resident in residents]


def _in_force(tables: Iterable[PointsTable], as_of: dt.date) -> tuple[Any, dict[str, Any]]:
    versions = {table.authority: table.in_force(as_of) for table in tables}
    return versions.pop(CITY), versions


def read_fact_values(resident: ExampleResident, facts: Mapping[str, Fact]) -> dict[str, Any]:
    """Return all facts of a resident, typed as the fact table holds them."""
    values: dict[str, Any] = {
        name: False if fact.derive and fact.unit == "yes_no" else find_value_without_records(fact)
        for name, fact in facts.items()
    }
    for name, given in resident.facts.items():
        if name.startswith(AWARD):
            key = f"{resident.district}:{name.removeprefix(AWARD)}"
            values["awards"] = [
                *values["awards"],
                {"key": key, "points": Decimal(given)},
            ]
        else:
            value = parse_fact_value(facts[name], given)
            values[name] = values[name] if value is None else value
    return values


def _fill(
    connection: duckdb.DuckDBPyConnection,
    due: Mapping[int, ExampleResident],
    facts: Mapping[str, Fact],
) -> None:
    """The relation `facts`, one row per resident; the resident's number is the key."""
    columns = "".join(f", {name} {FACT_TYPES[fact.unit]}" for name, fact in facts.items())
    connection.execute(
        f"CREATE TEMP TABLE facts (resident_key VARCHAR, district VARCHAR{columns}, corrections {CORRECTIONS})"
    )
    rows = []
    for number, resident in due.items():
        values = read_fact_values(resident, facts)
        held = [
            {"target": t, "case_id": "1", "value": value}
            for t, value in resident.corrections.items()
        ]
        rows.append(
            [str(number), resident.district, *(values.get(name) for name in facts), held or None]
        )
    one = f"({', '.join('?' * len(rows[0]))})"
    connection.execute(
        f"INSERT INTO facts VALUES {', '.join([one] * len(rows))}",
        [value for row in rows for value in row],
    )


def _plain(
    tables: Iterable[PointsTable], facts: Mapping[str, Fact], resident: ExampleResident
) -> Scores:
    city, districts = _in_force(tables, resident.as_of)
    known: dict[str, Any] = {}
    for name, value in read_fact_values(resident, facts).items():
        unit = YEAR_UNITS.get(facts[name].unit)
        if unit is not None:
            value = {entry["year"]: entry[unit] for entry in value}
        elif facts[name].unit == "points_by_key":
            value = {entry["key"]: entry["points"] for entry in value}
        known[name] = value
    corrections = {target: Correction("1", value) for target, value in resident.corrections.items()}
    return reference.compute_points(
        city, districts, known, resident.district, resident.as_of, corrections
    )
