"""What analysts read beside people's rows: districts, services and thresholds in force in a month.

One statement per table, made of the declarations alone; rows in the order of their keys.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from transforms.engine.sql import sql_literal
from transforms.engine.statements import Statement
from transforms.outputs import DISTRICTS, SERVICES, THRESHOLDS, Output
from transforms.services.models import DEFAULT, ServiceVersion

Row = Sequence[str | None]


def districts_statement(districts: Mapping[str, str]) -> Statement:
    """Return the statement of the districts: one row each. Parameter: $month (first day)."""
    return _statement(DISTRICTS, sorted(districts.items()))


def services_statement(
    services: Mapping[str, ServiceVersion], titles: Mapping[str, str]
) -> Statement:
    """Return the statement of the services in force: one row each. Parameter: $month (first day).

    `services`: the versions by code; `titles`: what the services are called.
    """
    return _statement(
        SERVICES,
        [
            (
                code,
                titles[code],
                str(version.begins),
                str(len(version.conditions)),
                version.points.described_score,
                version.amount.monthly if version.amount else None,
                ", ".join(version.illustrative) or None,
            )
            for code, version in sorted(services.items())
        ],
    )


def thresholds_statement(
    services: Mapping[str, ServiceVersion], districts: Iterable[str]
) -> Statement:
    """Return the statement of the thresholds: one row per service and district it is open in.

    Parameter: $month (first day).
    """
    return _statement(
        THRESHOLDS,
        [
            (code, district, str(find_threshold(version, district)), str(version.begins))
            for code, version in sorted(services.items())
            for district in sorted(districts)
            if version.open_in(district)
        ],
    )


def find_threshold(version: ServiceVersion, district: str) -> object:
    """Return the points that residents of a district need."""
    thresholds = version.points.threshold
    return thresholds[district] if district in thresholds else thresholds[DEFAULT]


def _statement(output: Output, rows: Iterable[Row]) -> Statement:
    columns = {name: kind for name, kind in output.columns.items() if name != "month"}
    values = [f"({', '.join(map(_literal, row))})" for row in rows]
    nothing = f"({', '.join('NULL' for _ in columns)})"
    typed = ",\n    ".join(f"CAST({name} AS {kind}) AS {name}" for name, kind in columns.items())
    listed = ",\n    ".join(values or [nothing])
    sql = f"""SELECT CAST($month AS DATE) AS month,
    {typed}
FROM (VALUES
    {listed}
) AS declared({", ".join(columns)})"""
    return Statement(output.folder, sql if values else f"{sql}\nWHERE false", form="file")


def _literal(text: str | None) -> str:
    return "NULL" if text is None else sql_literal(text)
