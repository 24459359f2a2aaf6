"""More people than fit into memory: the fact table is made in stretches of its order, some districts after the others.

What is known of people is put down by district first, so that each stretch reads its own alone. Otherwise everyone would
have to be joined before anyone could be sorted, and the whole table be written twice (docs/benchmarks.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb

from transforms.engine import PASSING, parquet, quoted
from transforms.steps import PEOPLE, Step, run_step, table_step


def stretches(people: Mapping[str, int]) -> list[list[str]]:
    """Districts in their order, as many together as come to no more than PEOPLE. `people`: district -> how many.

    Where all of them fit, one stretch without a district: of everyone.
    """
    if sum(people.values()) <= PEOPLE:
        return [[]]
    found: list[list[str]] = []
    room = 0
    for district, count in sorted(people.items()):
        if not found or count > room:
            found.append([])
            room = PEOPLE
        found[-1].append(district)
        room -= count
    return found


def put_down(connection: duckdb.DuckDBPyConnection, rows: Step, values: Mapping[str, Any], folder: Path) -> None:
    """Write the rows of a query, which tell their `district`, to new files by district; a view of its name reads them."""
    target = folder / rows.name
    copy = f"COPY ({rows.sql}) TO {quoted(target)} ({PASSING}, PARTITION_BY (district))"
    run_step(connection, Step(rows.name, copy), values)
    files = sorted(target.rglob("*.parquet"))
    if files:
        relation = parquet(*files, hive_partitioning="true", hive_types_autocast="false")
        connection.execute(f"CREATE OR REPLACE TEMP VIEW {rows.name} AS FROM {relation}")
    else:  # no rows, no files
        run_step(connection, table_step(rows), values)


def of_stretch(table: str, districts: Sequence[str]) -> str:
    """The rows about a stretch's people in what is put down by district; the whole table, for a stretch of everyone."""
    return f"(SELECT * EXCLUDE (district) FROM {table} WHERE {within('district', districts)})" if districts else table


def within(column: str, districts: Sequence[str]) -> str:
    """Whether a column's district is one of these, as SQL; true of every row for a stretch of everyone."""
    return f"{column} IN ({', '.join(map(quoted, districts))})" if districts else "true"
