"""Compare what a peer wrote with the published month: how many residents differ, and in which columns."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import duckdb

from expectations.month import Month
from tests.benchmarks.peers import city

KEYS = ("person", "resident_key", "key")


@dataclass
class Agreement:
    """Columns and rows compared (a row is a resident; of `awards` a resident and a key), those that differ, and by column how many."""

    width: int
    compared: int
    differing: int
    columns: dict[str, int]


def compare(root: Path, month: Month, written: Path, table: str) -> Agreement:
    """Compare `table` (facts, awards or scores) as far as no correction has a say: peers do not know corrections."""
    revision = (root / "published" / str(month)).resolve()
    with duckdb.connect(
        config={"memory_limit": "4GB", "temp_directory": str(written / "spill")}
    ) as connection:
        connection.execute(f"""
            CREATE TEMP TABLE people AS
            SELECT resident_key, CAST(left(resident_id, 17) AS BIGINT) AS person
            FROM '{revision}/restricted/identities/*.parquet'
            JOIN '{revision}/restricted/facts/*.parquet' AS restricted USING (resident_key)
            WHERE coalesce(len(restricted.corrections), 0) = 0""")
        published = "scores" if table == "scores" else "facts"
        connection.execute(
            f"CREATE VIEW known AS FROM '{revision}/{published}/*.parquet' JOIN people USING (resident_key)"
        )
        files = written / f"{table}.parquet"
        connection.execute(
            f"CREATE VIEW written AS FROM '{files / '*.parquet' if files.is_dir() else files}'"
        )
        given = _columns(connection, "written")
        columns = _compared(connection, table, month, given)
        key = [name for name in given if name in KEYS]
        source = (
            "(SELECT person, unnest(awards, recursive := true) FROM known)"
            if table == "awards"
            else "known"
        )
        connection.execute(
            f"CREATE VIEW ours AS SELECT {', '.join(key)}, {', '.join(columns)} FROM {source}"
        )
        connection.execute(f"CREATE VIEW theirs AS FROM written SEMI JOIN people USING ({key[0]})")
        return _differences(connection, key)


def _compared(
    connection: duckdb.DuckDBPyConnection, table: str, month: Month, given: Collection[str]
) -> list[str]:
    """The columns compared, as SQL over the published table: of facts those that the peer has."""
    if table == "awards":
        return ["points"]
    if table == "scores":
        parts = (
            *city.PROVINCE,
            *city.CITY,
            *city.DEDUCTIONS,
            "province",
            "city",
            "deduction",
            "common",
        )
        return [f"{part}_points" for part in parts]
    hours = "list_filter(service_hours_by_year, lambda one: one.year = {0})[1].hours"
    yearly = [
        f"coalesce({hours.format(year)}, 0) AS hours_{year}"
        for year in city.last_years(month)
        if f"hours_{year}" in given
    ]
    published = _columns(connection, "known")
    return [name for name in published if name in given and name not in KEYS] + yearly


def _columns(connection: duckdb.DuckDBPyConnection, relation: str) -> dict[str, str]:
    """The columns of a relation and their types."""
    described = connection.execute(f"DESCRIBE {relation}").fetchall()
    return {name: kind for name, kind, *_ in described}


def _differences(connection: duckdb.DuckDBPyConnection, key: list[str]) -> Agreement:
    types = {name: kind for name, kind in _columns(connection, "ours").items() if name not in key}
    exact = {name: "DOUBLE" if kind.startswith("DECIMAL") else kind for name, kind in types.items()}
    differs = [
        f"CAST(ours.{name} AS {kind}) IS DISTINCT FROM CAST(theirs.{name} AS {kind})"
        for name, kind in exact.items()
    ]
    missing = f"ours.{key[-1]} IS NULL OR theirs.{key[-1]} IS NULL"
    counts = ", ".join(f"count(*) FILTER (WHERE {condition})" for condition in differs)
    compared, differing, *by_column = connection.execute(f"""
        SELECT count(*), count(*) FILTER (WHERE {" OR ".join([missing, *differs])}), {counts}
        FROM ours FULL JOIN theirs ON {" AND ".join(f"ours.{name} = theirs.{name}" for name in key)}""").fetchall()[0]
    different = {name: n for name, n in zip(types, by_column, strict=True) if n}
    return Agreement(len(types), compared, differing, different)
