"""What does not fit into memory at once is made part by part of the people: of even parts, and of everyone once."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from tests.support.world import needless_words
from transforms.engine.session import EngineSettings, open_engine
from transforms.engine.statements import (
    MAX_BATCH_PEOPLE,
    MAX_PARTITION_ROWS,
    PARTITION_FILTER,
    Statement,
    partition_count,
    run_partitioned,
)
from transforms.facts.write import write_sorted

PEOPLE_OF_A_TOWN = 8_000


@pytest.mark.parametrize("step", [1, 2, 4, 1000])
def test_parts_are_even_whatever_running_numbers_people_have(
    engine: duckdb.DuckDBPyConnection, tmp_path: Path, step: int
) -> None:
    town = f"SELECT 33020519800101000 + {step} * i AS person FROM range({PEOPLE_OF_A_TOWN}) AS r(i)"
    query = Statement("town", f"SELECT person FROM ({town}) WHERE {PARTITION_FILTER}")
    relation = run_partitioned(engine, query, {}, tmp_path / "town", 8)
    sizes = [
        engine.execute(f"SELECT count(*) FROM '{file}'").fetchall()[0][0]
        for file in (tmp_path / "town").iterdir()
    ]
    assert len(sizes) == 8
    assert max(sizes) < 1.2 * PEOPLE_OF_A_TOWN / 8
    assert (
        engine.execute(f"SELECT * FROM {relation} ORDER BY ALL").fetchall()
        == engine.execute(town).fetchall()
    )


def test_what_names_no_part_is_made_once(engine: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    relation = run_partitioned(engine, Statement("one", "SELECT 1 AS one"), {}, tmp_path / "one", 8)
    assert engine.execute(f"FROM {relation}").fetchall() == [(1,)]


def test_a_reference_city_is_one_part_and_its_first_month_two() -> None:
    assert partition_count(rows=4_000_000, people=5_100_000) == 1
    assert partition_count(rows=228_000_000) == 2
    assert (
        partition_count(people=MAX_BATCH_PEOPLE - 1)
        == partition_count(rows=MAX_PARTITION_ROWS - 1)
        == 1
    )
    assert partition_count(people=20_000_000) == 4


def test_the_fact_table_lies_in_its_order_whatever_is_known_of_nulls(tmp_path: Path) -> None:
    """Many row groups, made on several threads with little memory; no column is marked as one that is always there."""
    district = "(CASE range % 3 WHEN 0 THEN '330212' ELSE '330203' END)"
    people = f"SELECT range AS person, md5(range::VARCHAR) AS resident_key, {district} AS district, 7 AS age FROM range(900000)"
    joined = Statement("facts", f"SELECT resident_key, district, age FROM ({people})")
    few, values = {"district": ["330212", "330203"]}, {"first_day": dt.date(2024, 4, 1)}
    with open_engine(EngineSettings("300MB", 4), tmp_path / "spill") as engine:
        write_sorted(
            engine, joined, "resident_key, district, age", few, values, tmp_path / "wide.parquet"
        )
    table = pq.read_table(tmp_path / "wide.parquet")
    assert pq.read_metadata(tmp_path / "wide.parquet").num_row_groups > 2
    rows = list(zip(table["district"].to_pylist(), table["resident_key"].to_pylist(), strict=True))
    assert rows == sorted(rows) and len(set(rows)) == 900_000
    assert all(field.nullable for field in table.schema)
    assert not needless_words(tmp_path / "wide.parquet", "district")
