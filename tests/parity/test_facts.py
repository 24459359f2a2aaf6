"""Generated people through the real fact statements: every fact of every resident is what the plain reference says."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given

from expectations.month import Month
from tests.parity.reference.facts import compute_facts
from tests.parity.reference.rows import (
    count_unmatched,
    find_over_quota,
    find_residents,
    keep_last_received,
    select_standing,
)
from tests.parity.reference.strategies import MONTHS, PATIENCE, draw_worlds, with_examples
from tests.parity.reference.values import Row, clean_extract
from tests.parity.reference.worlds import DISTRICTS, World
from tests.support.clean_files import SOURCES, Clean, write_clean, write_reference
from tests.support.fact_tables import build_fact_table, is_same_fact
from transforms.engine.partitioning import Partitioning
from transforms.engine.session import EngineSettings, open_engine
from transforms.facts.build import FactInputs, MonthFacts, MonthParams

pytestmark = pytest.mark.timeout(PATIENCE)
PEOPLE = 50


def clean_rows(world: World) -> dict[str, list[tuple[Month, Row]]]:
    return {
        name: [
            (month, row)
            for month, raw in extracts.items()
            for row in clean_extract(SOURCES[name], raw, month, DISTRICTS).clean
        ]
        for name, extracts in world.extracts.items()
    }


def run_facts(world: World, clean: Clean, root: Path) -> tuple[MonthFacts, list[dict[str, Any]]]:
    """Compute the facts with the engine: from all rows, and from last month's state.

    At once, in hash partitions, and in district batches: always the same facts.
    """
    reference = write_reference(root / "reference", world.tables)
    clean_folders = write_clean(root / "clean", clean)

    def compute(month: Month, folder: Path, state: Path | None, **sizes: int) -> MonthFacts:
        received = {
            name: [folder for folder in folders if folder.parent.name <= f"received={month}"]
            for name, folders in clean_folders.items()
        }
        previous = {path.name: path for path in state.iterdir()} if state else {}
        inputs = FactInputs(SOURCES, received, reference, ["education"], previous)
        with open_engine(EngineSettings(memory="500MB"), root / "spill") as engine:
            return build_fact_table(
                engine, inputs, MonthParams(month, b"key"), folder, Partitioning(**sizes)
            )

    compute(world.month, root / "at_once", None)
    compute(world.month - 1, root / "before", None, rows=100)
    state = root / "before" / "state"
    made = compute(world.month, root / "partitioned", state, rows=100)
    assert bytes_of(root / "partitioned") == bytes_of(root / "at_once")
    assert compute(world.month, root / "batches", state, rows=100, people=2) == made
    assert pq.read_table(root / "batches" / "facts") == pq.read_table(root / "at_once" / "facts")
    return made, pq.read_table(root / "at_once" / "facts").to_pylist()


def bytes_of(folder: Path) -> list[bytes]:
    return [file.read_bytes() for file in sorted((folder / "facts").iterdir())]


@pytest.mark.promise(
    "sources-84",
    "newest posting of person, insurance, month, employer decides; tie: reversed; any "
    "employer's paid; back-payments",
)
@pytest.mark.promise("sources-112", "a bit mask of months, two words, reversals separate")
@pytest.mark.promise("outputs-27", "Facts: one row per resident from all clean extracts up to now")
@pytest.mark.proves(
    "sources-64",
    "sources-81",
    "sources-87",
    "sources-94",
    "sources-99",
    "sources-134",
    "sources-140",
    "points-57",
)
@pytest.mark.parametrize("month", MONTHS, ids=str)
def test_every_fact_of_every_resident_is_what_the_reference_says(month: Month) -> None:
    with_examples(3)(given(draw_worlds(SOURCES, PEOPLE, months=[month]))(check_world))()


def check_world(world: World) -> None:
    clean = clean_rows(world)
    wanted = compute_facts(SOURCES, clean, world.month, world.tables)
    with tempfile.TemporaryDirectory() as folder:
        made, rows = run_facts(world, clean, Path(folder))
    kept = {name: keep_last_received(source, clean[name]) for name, source in SOURCES.items()}
    people = find_residents(SOURCES, kept)
    assert {row["resident_id"][:17] for row in rows} == {person[:17] for person in people}
    assert made.residents == len(rows) == len(wanted)
    others = {name: source for name, source in SOURCES.items() if not source.spine}
    assert made.unmatched == {
        name: count_unmatched(source, clean[name], people) for name, source in others.items()
    }
    assert made.over_quota == {"local_awards": count_over_quota(clean, world)}
    by_number = {person[:17]: (person, known) for person, known in wanted.items()}
    for row in rows:
        person, known = by_number[row["resident_id"][:17]]
        assert row["district"] == people[person]["residence_district"]
        differing = {
            name: (value, row[name])
            for name, value in known.items()
            if not is_same_fact(value, row[name])
        }
        assert not differing, f"resident {person}, fact: (reference, engine)"


def count_over_quota(clean: Clean, world: World) -> int:
    source = SOURCES["local_awards"]
    assert source.quota
    valid = select_standing(
        source.model_copy(update={"quota": None}), clean["local_awards"], world.month.last_day, {}
    )
    return len(find_over_quota(source.quota, valid, world.month.last_day, world.tables))
