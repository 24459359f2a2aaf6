"""What does not fit into memory at once is made part by part of the people: of even parts, and of everyone once."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from tests.support.world import needless_words
from transforms.engine.parquet import sort_for_writing_sql
from transforms.engine.partitioning import Partitioning, run_partitioned
from transforms.engine.session import EngineSettings, open_engine
from transforms.engine.statements import Statement

PEOPLE_OF_A_TOWN = 8_000


@pytest.mark.parametrize("step", [1, 2, 4, 1000])
def test_parts_are_even_whatever_running_numbers_people_have(
    engine: duckdb.DuckDBPyConnection, tmp_path: Path, step: int
) -> None:
    town = f"SELECT 33020519800101000 + {step} * i AS person FROM range({PEOPLE_OF_A_TOWN}) AS r(i)"
    engine.create_view(Statement("town", town, form="view"))
    people = Statement("people", "SELECT person FROM town", ("town",))
    relation = run_partitioned(engine, people, {}, tmp_path / "town", 8, ["town"])
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


def test_a_reference_city_needs_one_partition_also_from_scratch() -> None:
    default = Partitioning()
    assert default.count_partitions(rows=4_000_000, people=5_100_000) == 1
    assert default.count_partitions(rows=233_000_000, people=5_100_000) == 1
    assert default.count_partitions(people=5_499_999) == 1
    assert default.count_partitions(rows=255_999_999) == 1
    assert default.count_partitions(rows=900_000_000, people=20_000_000) == 4


@pytest.mark.slow
def test_the_fact_table_is_sorted_and_its_columns_are_nullable(tmp_path: Path) -> None:
    """Many row groups, made on several threads with little memory; no column is marked as one that is always there."""
    district = "(CASE range % 3 WHEN 0 THEN '330212' ELSE '330203' END)"
    people = f"SELECT range AS person, md5(range::VARCHAR) AS resident_key, {district} AS district, 7 AS age FROM range(900000)"
    joined = f"SELECT resident_key, district, age FROM ({people})"
    columns, order = ["resident_key", "district", "age"], ["district", "resident_key"]
    sql = sort_for_writing_sql(joined, columns, order, {"district": ["330212", "330203"]})
    with open_engine(EngineSettings("300MB", 4), tmp_path / "spill") as engine:
        engine.write(Statement("facts", sql), tmp_path / "wide.parquet")
    table = pq.read_table(tmp_path / "wide.parquet")
    assert pq.read_metadata(tmp_path / "wide.parquet").num_row_groups > 2
    rows = list(zip(table["district"].to_pylist(), table["resident_key"].to_pylist(), strict=True))
    assert rows == sorted(rows) and len(set(rows)) == 900_000
    assert all(field.nullable for field in table.schema)
    assert not needless_words(tmp_path / "wide.parquet", "district")
