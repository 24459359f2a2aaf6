"""Quotas of people, and of a share of last year's residents: both engines on generated worlds."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given

from expectations.month import Month
from expectations.source_model import Quota
from tests.parity.reference.facts import compute_facts
from tests.parity.reference.strategies import MONTHS, draw_worlds, with_examples
from tests.parity.reference.values import Row, clean_extract
from tests.parity.reference.worlds import DISTRICTS, World
from tests.support.clean_files import SOURCES, write_clean, write_reference
from tests.support.fact_tables import build_fact_table, is_same_fact
from transforms.engine.session import EngineSettings, open_engine
from transforms.facts.build import FactInputs, MonthParams

AWARDS = SOURCES["local_awards"]
QUOTAS: dict[str, dict[str, Any]] = {
    "people": {"people": "true"},
    "share": {"people": "true", "share": "0.1"},
}


def clean_rows(world: World) -> dict[str, list[tuple[Month, Row]]]:
    return {
        name: [
            (month, row)
            for month, raw in extracts.items()
            for row in clean_extract(SOURCES[name], raw, month, DISTRICTS).clean
        ]
        for name, extracts in world.extracts.items()
    }


@pytest.mark.parametrize("kind", QUOTAS)
def test_awards_count_for_so_many_people_a_year(kind: str) -> None:
    assert AWARDS.quota
    described = AWARDS.quota.model_dump(exclude={"of", "table", "people", "share"})
    quota = Quota.model_validate({**described, "table": "grantor_people", **QUOTAS[kind]})
    sources = {**SOURCES, "local_awards": AWARDS.model_copy(update={"quota": quota})}
    counted = 0

    @with_examples(3)
    @given(draw_worlds(SOURCES, 40, months=MONTHS[:1]))
    def check(world: World) -> None:
        nonlocal counted
        clean = clean_rows(world)
        wanted = compute_facts(sources, clean, world.month, world.tables)
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            inputs = FactInputs(
                sources,
                write_clean(root / "clean", clean),
                write_reference(root / "reference", world.tables),
                [],
            )
            with open_engine(EngineSettings(memory="500MB"), root / "spill") as engine:
                build_fact_table(engine, inputs, MonthParams(world.month, b"key"), root / "made")
            rows = pq.read_table(root / "made" / "facts").to_pylist()
        found = {row["resident_id"][:17]: row["awards"] for row in rows}
        for person, known in wanted.items():
            assert is_same_fact(known["awards"], found[person[:17]]), person
        counted += sum(bool(known["awards"]) for known in wanted.values())

    check()
    assert counted
