"""More rows or people than fit into memory: hash partitions of people, and batches of districts.

Hash partitions (docs/developing/decisions/0003-hash-partitions.md): a grouping of hundreds of
millions of rows runs once for each part of the people. District batches
(docs/developing/decisions/0004-district-batches.md): the fact table is joined and sorted for some
districts after the others, in its final order, so that it is written once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transforms.engine.parquet import INTERMEDIATE_PARQUET, read_folder_sql, read_parquet_sql
from transforms.engine.session import Session
from transforms.engine.sql import sql_literal
from transforms.engine.statements import Statement, filter_inputs


@dataclass(frozen=True)
class Partitioning:
    """How much is processed at once; results never depend on it.

    `rows` to group or the rows of so many `people` are a hash partition; so many `people` are a
    district batch.
    """

    rows: int = 256_000_000
    people: int = 5_500_000

    def count_partitions(self, rows: int = 0, people: int = 0) -> int:
        """Return into how many hash partitions a query over so many rows and people is cut."""
        return 1 + max(rows // self.rows, people // self.people)

    def plan_district_batches(self, people: Mapping[str, int]) -> list[list[str]]:
        """Return districts in their order, in batches. `people`: district -> how many.

        A batch has at most `people` people, or one district. Where everyone fits into one batch,
        it names no district: it is of everyone.
        """
        if sum(people.values()) <= self.people:
            return [[]]
        batches: list[list[str]] = []
        free = 0
        for district, count in sorted(people.items()):
            if not batches or count > free:
                batches.append([])
                free = self.people
            batches[-1].append(district)
            free -= count
        return batches


def run_partitioned(
    session: Session,
    statement: Statement,
    params: Mapping[str, Any],
    folder: Path,
    count: int,
    by_person: Iterable[str],
) -> str:
    """Write the rows of a statement to a new folder, a file for each hash partition of the people.

    `by_person`: the inputs that have a `person` and are read partition by partition. Return the
    relation that reads the files.
    """
    folder.mkdir(parents=True)
    for part in range(count):
        own = dict.fromkeys(by_person, _partition_filter(part, count)) if count > 1 else {}
        partition = filter_inputs(statement, own) if own else statement
        session.write(
            partition, folder / f"{part:05d}.parquet", params, options=INTERMEDIATE_PARQUET
        )
    return read_folder_sql(folder)


def _partition_filter(part: int, count: int) -> str:
    """Filter by hash, not by the person's last digits: they depend on sex, or come in fours."""
    return f"hash(person) % {count}::UBIGINT = {part}::UBIGINT"  # else it divides 128-bit numbers


def spill_by_district(
    session: Session, rows: Statement, params: Mapping[str, Any], folder: Path
) -> None:
    """Write rows, which have a `district`, to files by district; a view of their name has them."""
    target = folder / rows.name
    options = f"{INTERMEDIATE_PARQUET}, PARTITION_BY (district)"
    session.write(rows, target, params, options=options)
    files = sorted(target.rglob("*.parquet"))
    if files:
        relation = read_parquet_sql(*files, hive_partitioning="true", hive_types_autocast="false")
        session.create_view(Statement(rows.name, f"FROM {relation}", form="view"))
    else:  # no rows, no files
        session.create_table(rows, params)


def in_districts_sql(column: str, districts: Sequence[str]) -> str:
    """Return the condition that a column's district is one of these."""
    return f"{column} IN ({', '.join(map(sql_literal, districts))})"
