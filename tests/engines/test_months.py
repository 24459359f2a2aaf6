"""Whole months, from the statements beside them alone, on Apache Spark and Sail: no cell differs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import umask_of_machine
from tests.support.replay import (
    PublishedStatement,
    build_values,
    count_differences,
    list_published_tables,
    list_values,
    load_inputs,
    read_made,
    read_statements,
)
from tests.support.spark_engines import SparkSession
from tests.support.synthetic_city import MONTHS, build_synthetic_city
from tests.support.world import World
from transforms.engine.parquet import copy_sql, read_parquet_sql
from transforms.engine.session import EngineSettings, Session, open_engine
from transforms.engine.spark_dialect import RULES, to_spark_sql

pytestmark = pytest.mark.timeout(600)
RESIDENTS = 1_500


@pytest.fixture(scope="session")
def planted_town(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Two published months of people with planted faults and corrections; read only."""
    with umask_of_machine():
        return build_synthetic_city(tmp_path_factory.mktemp("planted_town"), RESIDENTS)


@dataclass(frozen=True)
class Replay:
    """A month on another engine: its tables are files, read by DuckDB to be compared."""

    session: Session
    engine: SparkSession
    folder: Path

    def run(self, world: World, month: str) -> dict[str, list[Path]]:
        """Run the published statements; return the files of the tables that are published."""
        for name in load_inputs(self.session, world, month):
            file = self.folder / "inputs" / f"{name}.parquet"
            file.parent.mkdir(exist_ok=True)
            self.session.execute(copy_sql(f"FROM {name}", file))
            self.engine.view_files(name, [file])
        revision = world.revision(month).path
        published, values = list_published_tables(revision), build_values(world, month)
        made = {}
        for statement in read_statements(revision):
            sql = to_spark_sql(statement.sql, list_values(statement, values), RULES)
            if self.is_kept(statement):
                files = self.engine.write(sql, self.folder / "made" / statement.name)
                if files:
                    self.engine.view_files(statement.name, files)
                if statement.name in published:
                    made[statement.name] = files
            else:
                self.engine.view_query(statement.name, sql)
        assert made.keys() == published.keys()
        return made

    @staticmethod
    def is_kept(statement: PublishedStatement) -> bool:
        """Whether the rows are written; others are views, computed where they are read."""
        return statement.form == "file" or statement.name.startswith("month_bitmaps")

    def count_different_cells(self, world: World, month: str) -> tuple[int, dict[str, int]]:
        """Return how many cells were compared, and of each table how many rows differ, if any."""
        published = list_published_tables(world.revision(month).path)
        cells, differ = 0, {}
        for name, files in self.run(world, month).items():
            expected = f"FROM {read_parquet_sql(*published[name])}"
            made = read_made(files, expected)
            _, compared, rows = count_differences(self.session, expected, made)
            cells += compared
            differ |= {name: rows} if rows else {}
        return cells, differ


@pytest.fixture
def duckdb_session(tmp_path: Path) -> Iterator[Session]:
    with open_engine(EngineSettings("1GB"), tmp_path / "spill") as session:
        yield session


@pytest.mark.parametrize("month", MONTHS)
def test_a_month_on_sail_has_the_same_cells(
    planted_town: World, sail: SparkSession, duckdb_session: Session, tmp_path: Path, month: str
) -> None:
    replay = Replay(duckdb_session, sail, tmp_path)
    cells, differ = replay.count_different_cells(planted_town, month)
    assert differ == {}
    assert cells > 200_000


def test_a_month_on_spark_has_the_same_cells(
    planted_town: World, spark: SparkSession, duckdb_session: Session, tmp_path: Path
) -> None:
    replay = Replay(duckdb_session, spark, tmp_path)
    cells, differ = replay.count_different_cells(planted_town, MONTHS[-1])
    assert differ == {}
    assert cells > 200_000
