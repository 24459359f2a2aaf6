"""Generated facts over generated people: the statements agree with the plain reference."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given

from expectations.fact_validation import validate_fact, validate_spell
from expectations.month import Month
from expectations.source_model import Source
from tests.parity.reference.fact_forms import Text, draw_facts, make_source
from tests.parity.reference.facts import compute_facts
from tests.parity.reference.strategies import MONTHS, PATIENCE, SEEDS, with_examples
from tests.parity.reference.values import clean_extract
from tests.parity.reference.worlds import DISTRICTS, World, make_world
from tests.support.clean_files import SOURCES, Clean, write_clean, write_reference
from tests.support.fact_tables import build_fact_table, is_same_fact
from transforms.engine.partitioning import Partitioning
from transforms.engine.session import EngineSettings, open_engine
from transforms.facts.build import FactInputs, MonthParams

pytestmark = pytest.mark.timeout(PATIENCE)
PEOPLE, EACH = 40, 4
AT_CUT_OFF = {
    "age_then": {"unit": "years", "measure": "full_years", "of": "resident_id"},
    "months_then": {"unit": "months", "measure": "full_months", "of": "registered_on"},
}


def make_sources(facts: dict[str, Text], cut_off: Any) -> dict[str, Source]:
    registry = SOURCES["registry"]
    words = {"title": "数据", "meaning": "义", "meaning_en": "one", "at": cut_off}
    own = {
        name: type(registry.facts["age"]).model_validate({**words, **fact})
        for name, fact in AT_CUT_OFF.items()
    }
    registry = registry.model_copy(update={"facts": {**registry.facts, **own}})
    sources = {
        "registry": registry,
        "forms": make_source("forms", "increment", facts),
        "other": make_source("other", "snapshot", {}),
    }
    for source in sources.values():
        for name, fact in source.facts.items():
            assert list(validate_fact(source, name, fact)) == [], (name, fact)
            for spell in fact.every_spell:
                assert list(validate_spell(sources, source, spell)) == []
    return sources


def run(sources: dict[str, Source], world: World, clean: Clean, root: Path) -> list[dict[str, Any]]:
    """Compute the facts at once, and from last month's state in partitions: always the same."""
    reference = write_reference(root / "reference", world.tables)
    folders = write_clean(root / "clean", clean, sources)

    def compute(month: Month, folder: Path, state: Path | None, **sizes: int) -> None:
        received = {
            name: [one for one in found if one.parent.name <= f"received={month}"]
            for name, found in folders.items()
        }
        previous = {path.name: path for path in state.iterdir()} if state else {}
        inputs = FactInputs(sources, received, reference, [], previous)
        with open_engine(EngineSettings(memory="500MB"), root / "spill") as engine:
            params = MonthParams(month, b"key")
            build_fact_table(engine, inputs, params, folder, Partitioning(**sizes))

    compute(world.month, root / "at_once", None)
    compute(world.month - 1, root / "before", None, rows=100)
    compute(world.month, root / "state", root / "before" / "state", rows=100, people=2)
    found = pq.read_table(root / "at_once" / "facts")
    assert pq.read_table(root / "state" / "facts") == found
    return found.to_pylist()


@pytest.mark.parametrize("month", MONTHS[:4], ids=str)
def test_every_form_of_fact_is_what_the_reference_says(month: Month) -> None:
    with_examples(2)(
        given(draw_facts(EACH), SEEDS)(lambda facts, seed: check(month, facts, seed))
    )()


def check(month: Month, facts: dict[str, Text], seed: int) -> None:
    sources = make_sources(facts, {"month": 2, "day": 28} if seed % 2 else "first_of_month")
    world = make_world(sources, month, [0, *range(seed, seed + PEOPLE)])
    clean = {
        name: [
            (received, row)
            for received, raw in extracts.items()
            for row in clean_extract(sources[name], raw, received, DISTRICTS).clean
        ]
        for name, extracts in world.extracts.items()
    }
    wanted = compute_facts(sources, clean, month, world.tables)
    with tempfile.TemporaryDirectory() as folder:
        rows = run(sources, world, clean, Path(folder))
    by_number = {person[:17]: known for person, known in wanted.items()}
    assert len(rows) == len(wanted)
    for row in rows:
        known = by_number[row["resident_id"][:17]]
        differing = {
            name: (value, row[name], facts.get(name))
            for name, value in known.items()
            if not is_same_fact(value, row[name])
        }
        assert not differing, f"{world.month} fact: (reference, engine, as declared) {differing}"
