"""Steps: named statements, run one after the other; each can be run by hand to see what it makes.

A query about everyone that would not fit into memory is run part by part of the people: it names $part and $parts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from expectations.errors import attach_statement
from transforms.engine.parquet import INTERMEDIATE_PARQUET, read_folder_sql
from transforms.engine.session import Session
from transforms.engine.sql import sql_literal

# At most so many rows to group, or people to join, are a partition; at most so many people are a
# district batch: docs/developing/decisions/0003-hash-partitions.md, 0004-district-batches.md.
MAX_PARTITION_ROWS, MAX_BATCH_PEOPLE = 128_000_000, 5_500_000
# Not the last digits of the person: they tell men from women, and may come in fours. As UBIGINT, for else the engine
# divides numbers of 128 bits, which takes longer than all the rest.
PARTITION_FILTER = "hash(person) % CAST($parts AS UBIGINT) = CAST($part AS UBIGINT)"


@dataclass(frozen=True)
class Statement:
    """One statement, or the query of a table, and what it is called in errors and in the files of sql/."""

    name: str
    sql: str


def create_table_statement(query: Statement) -> Statement:
    """The statement that makes the table of a query."""
    return Statement(query.name, f"CREATE OR REPLACE TEMP TABLE {query.name} AS\n{query.sql}")


def run_statement(session: Session, step: Statement, values: Mapping[str, Any]) -> None:
    """Run one statement with those of the values it names. What goes wrong is told with the step's name."""
    named = {name: value for name, value in values.items() if f"${name}" in step.sql}
    with attach_statement(step.name):
        session.execute(step.sql, named or None)


def partition_count(rows: int = 0, people: int = 0) -> int:
    """In how many parts a query about so many rows and people is run."""
    return 1 + rows // MAX_PARTITION_ROWS + people // MAX_BATCH_PEOPLE


def run_partitioned(
    session: Session,
    query: Statement,
    values: Mapping[str, Any],
    folder: Path,
    count: int,
) -> str:
    """Write the rows of a query to a new folder, a file for each part (one, if it names no part); the relation to read them."""
    folder.mkdir(parents=True)
    for part in range(count if PARTITION_FILTER in query.sql else 1):
        target = folder / f"{part:05d}.parquet"
        copy = Statement(
            query.name, f"COPY ({query.sql}) TO {sql_literal(target)} ({INTERMEDIATE_PARQUET})"
        )
        run_statement(session, copy, {**values, "parts": count, "part": part})
    return read_folder_sql(folder)
