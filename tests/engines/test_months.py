"""Whole months, from the statements beside them alone, on Apache Spark and Sail: no cell differs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.replay import (
    build_values,
    count_differences,
    list_published_tables,
    load_inputs,
    read_made,
    read_statements,
)
from tests.support.spark_engines import SparkSession, copy_to_engine, run_statement
from tests.support.synthetic_city import MONTHS
from tests.support.world import World
from transforms.engine.parquet import read_parquet_sql
from transforms.engine.session import EngineSettings, Session, open_engine

pytestmark = pytest.mark.timeout(600)


@dataclass(frozen=True)
class Comparison:
    """What is compared: a month of a town, on another engine, by DuckDB, with files in a folder."""

    session: Session
    engine: SparkSession
    folder: Path

    def compute_tables(self, world: World, month: str) -> dict[str, list[Path]]:
        """Run the published statements; return the files of the tables that are published."""
        for name in load_inputs(self.session, world, month):
            copy_to_engine(self.session, self.engine, name, self.folder / "inputs")
        values, made = build_values(world, month), {}
        for group, statements in read_statements(world.revision(month).path).items():
            for statement in statements:
                files = run_statement(
                    self.engine, statement, values[group], self.folder / "made" / group
                )
                made[statement.name] = files
        return made

    def find_differences(self, world: World, month: str) -> tuple[int, dict[str, int]]:
        """Return how many cells were compared, and by table how many rows differ, if any."""
        made = self.compute_tables(world, month)
        cells, differ = 0, {}
        for name, files in list_published_tables(world.revision(month).path).items():
            published = f"FROM {read_parquet_sql(*files)}"
            own = read_made(made[name], published)
            _, compared, rows = count_differences(self.session, published, own)
            cells += compared
            differ |= {name: rows} if rows else {}
        return cells, differ


@pytest.fixture
def duckdb_session(tmp_path: Path) -> Iterator[Session]:
    with open_engine(EngineSettings("1GB"), tmp_path / "spill") as session:
        yield session


@pytest.mark.parametrize("month", MONTHS)
def test_a_month_on_sail_has_the_same_cells(
    synthetic_city: World, sail: SparkSession, duckdb_session: Session, tmp_path: Path, month: str
) -> None:
    comparison = Comparison(duckdb_session, sail, tmp_path)
    cells, differ = comparison.find_differences(synthetic_city, month)
    assert differ == {}
    assert cells > 7_000


def test_a_month_on_spark_has_the_same_cells(
    synthetic_city: World, spark: SparkSession, duckdb_session: Session, tmp_path: Path
) -> None:
    comparison = Comparison(duckdb_session, spark, tmp_path)
    cells, differ = comparison.find_differences(synthetic_city, MONTHS[-1])
    assert differ == {}
    assert cells > 7_000
