"""Steps: named statements, run one after the other; each can be run by hand to see what it makes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import duckdb

from expectations.problems import naming


@dataclass(frozen=True)
class Step:
    """One statement and what it is called, in errors and in the files of sql/."""

    name: str
    sql: str


def run_step(connection: duckdb.DuckDBPyConnection, step: Step, values: Mapping[str, Any]) -> None:
    """Run one statement with those of the values it names. What goes wrong is told with the step's name."""
    named = {name: value for name, value in values.items() if f"${name}" in step.sql}
    with naming(step.name):
        connection.execute(step.sql, named or None)
