"""Generated extracts through the real cleaning: every row ends where the plain reference puts it, typed alike."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expectations.month import Month
from expectations.source_loader import load_sources
from expectations.source_model import Source
from tests.parity.reference.strategies import PATIENCE, draw_worlds, with_examples
from tests.parity.reference.values import Extract, clean_extract, parse_row
from tests.parity.reference.worlds import BROKEN, DISTRICTS, RawRow, World, make_world
from tests.support.world import no_key_twice
from transforms.clean.delivery import CleaningJob, RowCounts, clean_delivery

pytestmark = pytest.mark.timeout(PATIENCE)
SOURCES = load_sources()
PEOPLE = 25


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("root")


def deliver(folder: Path, source: Source, rows: list[RawRow], split: int) -> tuple[Path, ...]:
    """The rows as CSV, in two parts; headers Chinese in the first, canonical in the second."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = []
    for index, some in enumerate((rows[:split], rows[split:])):
        path = folder / f"p{index}.csv"
        with path.open("w", encoding="utf-8", newline="") as text:
            writer = csv.writer(text, quoting=csv.QUOTE_ALL)
            writer.writerow(
                [column.title if index == 0 else name for name, column in source.columns.items()]
            )
            writer.writerows([[row[name] for name in source.columns] for row in some])
        parts.append(path)
    return tuple(parts)


def cleaned(
    engine: duckdb.DuckDBPyConnection,
    root: Path,
    source: Source,
    rows: list[RawRow],
    received: Month,
    split: int,
) -> tuple[RowCounts, CleaningJob]:
    """Run the real cleaning over a delivery, without the gate."""
    parts = deliver(root / "raw", source, rows, split)
    job = CleaningJob(source, received, 1, parts, "utf-8", frozenset(DISTRICTS), "generated")
    (job.folder(root, "clean") / "account.json").unlink(missing_ok=True)
    return clean_delivery(
        engine, job, root, root / "tmp" / "work", no_key_twice(engine, source)
    ), job


def stored(source: Source, row: dict[str, Any]) -> tuple[Any, ...]:
    """A typed row of the reference as clean Parquet holds it: IDs as 17-digit numbers, months as ordinals."""
    return tuple(
        int(value[:17])
        if source.columns[name].type == "id" and value is not None
        else value.ordinal
        if isinstance(value, Month)
        else value
        for name, value in row.items()
    )


def listed(
    engine: duckdb.DuckDBPyConnection,
    job: CleaningJob,
    root: Path,
    kind: str,
    column: str,
    split: int,
) -> Any:
    """Reasons or defects by the row's place in the delivery."""
    rows = engine.execute(
        f"SELECT file, record, {column} FROM '{job.folder(root, kind)}/*.parquet'"
    ).fetchall()
    assert all(len(set(found)) == len(found) for _, _, found in rows), "a reason is listed twice"
    return {
        record - 1 + (split if file == "p1.csv" else 0): set(found) for file, record, found in rows
    }


@pytest.mark.promise("sources-48", "all of this on generated rows")
@pytest.mark.promise("sources-53", "keys, joins, pseudonyms use the normalised ID")
@pytest.mark.promise("outputs-23", "Stage: typed values, normalised IDs, reasons per row")
@pytest.mark.proves("sources-3", "sources-60", "points-55")
@pytest.mark.parametrize("name", SOURCES)
def test_every_row_ends_where_the_reference_puts_it(
    name: str, engine: duckdb.DuckDBPyConnection, root: Path
) -> None:
    source = SOURCES[name]

    @with_examples(3)
    @given(draw_worlds({name: source}, PEOPLE, broken=0.04), st.floats(0, 1))
    def check(world: World, share: float) -> None:
        for month, rows in world.extracts[name].items():
            split = int(len(rows) * share)
            wanted = clean_extract(source, rows, month, DISTRICTS)
            account, job = cleaned(engine, root, source, rows, month, split)
            agree(engine, root, source, job, account, wanted, split)

    check()


@pytest.mark.parametrize("name", SOURCES)
def test_odd_spellings_are_treated_as_by_the_reference(
    name: str, engine: duckdb.DuckDBPyConnection, root: Path
) -> None:
    """Each value of BROKEN in each column of an otherwise valid row: never one row more or less."""
    source = SOURCES[name]
    month = Month.parse("2024-03")
    world = make_world({name: source}, month, list(range(1, 60)))
    valid = [
        row
        for rows in world.extracts[name].values()
        for row in rows
        if not parse_row(source, row, month, DISTRICTS).reasons
    ]
    rows = [
        {**valid[place % len(valid)], column: value}
        for column, declared in source.columns.items()
        for place, value in enumerate(BROKEN[declared.type])
    ]
    split = len(rows) // 2
    wanted = clean_extract(source, rows, month, DISTRICTS)
    account, job = cleaned(engine, root, source, rows, month, split)
    agree(engine, root, source, job, account, wanted, split)


def agree(
    engine: duckdb.DuckDBPyConnection,
    root: Path,
    source: Source,
    job: CleaningJob,
    account: RowCounts,
    wanted: Extract,
    split: int,
) -> None:
    """Clean rows, quarantine, defects and account are those of the reference."""
    assert listed(engine, job, root, "quarantine", "reasons", split) == wanted.refused
    assert listed(engine, job, root, "defects", "defects", split) == wanted.defects
    columns = ", ".join(source.columns)
    clean = engine.execute(
        f"SELECT {columns} FROM '{job.folder(root, 'clean')}/*.parquet' ORDER BY part, record"
    )
    assert clean.fetchall() == [stored(source, row) for row in wanted.clean]
    counts = (account.clean, account.quarantined, account.superseded)
    assert counts == (len(wanted.clean), len(wanted.refused), len(wanted.superseded))
    assert account.received == sum(counts)
