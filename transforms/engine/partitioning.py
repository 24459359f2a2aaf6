"""More people than fit into memory: the fact table is made in stretches of its order, some districts after the others.

What is known of people is put down by district first, so that each stretch reads its own alone. Otherwise everyone would
have to be joined before anyone could be sorted, and the whole table be written twice (docs/developing/decisions/0004-district-batches.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from transforms.engine.parquet import INTERMEDIATE_PARQUET, read_parquet_sql
from transforms.engine.session import Session
from transforms.engine.sql import sql_literal
from transforms.engine.statements import (
    MAX_BATCH_PEOPLE,
    Statement,
    create_table_statement,
    run_statement,
)


def plan_district_batches(people: Mapping[str, int]) -> list[list[str]]:
    """Districts in their order, as many together as come to no more than PEOPLE. `people`: district -> how many.

    Where all of them fit, one stretch without a district: of everyone.
    """
    if sum(people.values()) <= MAX_BATCH_PEOPLE:
        return [[]]
    found: list[list[str]] = []
    room = 0
    for district, count in sorted(people.items()):
        if not found or count > room:
            found.append([])
            room = MAX_BATCH_PEOPLE
        found[-1].append(district)
        room -= count
    return found


def spill_by_district(
    session: Session, rows: Statement, values: Mapping[str, Any], folder: Path
) -> None:
    """Write the rows of a query, which tell their `district`, to new files by district; a view of its name reads them."""
    target = folder / rows.name
    copy = f"COPY ({rows.sql}) TO {sql_literal(target)} ({INTERMEDIATE_PARQUET}, PARTITION_BY (district))"
    run_statement(session, Statement(rows.name, copy), values)
    files = sorted(target.rglob("*.parquet"))
    if files:
        relation = read_parquet_sql(*files, hive_partitioning="true", hive_types_autocast="false")
        session.execute(f"CREATE OR REPLACE TEMP VIEW {rows.name} AS FROM {relation}")
    else:  # no rows, no files
        run_statement(session, create_table_statement(rows), values)


def select_batch(table: str, districts: Sequence[str]) -> str:
    """The rows about a stretch's people in what is put down by district; the whole table, for a stretch of everyone."""
    return (
        f"(SELECT * EXCLUDE (district) FROM {table} WHERE {in_districts_sql('district', districts)})"
        if districts
        else table
    )


def in_districts_sql(column: str, districts: Sequence[str]) -> str:
    """Whether a column's district is one of these, as SQL; true of every row for a stretch of everyone."""
    return f"{column} IN ({', '.join(map(sql_literal, districts))})" if districts else "true"
