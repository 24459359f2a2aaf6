"""A fact that is a `value` of one row: what it is when there is no row, or nothing in it, on both engines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from expectations.month import Month
from expectations.source_loader import load_sources
from expectations.source_model import COUNTED_UNITS, Fact
from tests.parity.reference.facts import compute_facts
from tests.parity.reference.national_id import compute_check_character
from tests.parity.reference.values import clean_extract
from tests.support.clean_files import write_clean, write_reference
from tests.support.fact_tables import build_fact_table
from transforms.engine.session import EngineSettings, open_engine
from transforms.facts.build import FactInputs, MonthParams

MONTH = Month.parse("2021-10")
DISTRICT = "330203"
PERSON = "33020319800229001" + compute_check_character("33020319800229001")
DECLARED = load_sources()
PAPERS = {"title": "值", "meaning": "值", "meaning_en": "value"}


def fact(unit: str) -> Fact:
    return Fact.model_validate(
        {
            **PAPERS,
            "unit": unit,
            "measure": "value",
            "of": "jobs_created",
            "pick": ["started_on", "contract_id"],
        }
    )


SOURCES = {
    **{name: DECLARED[name] for name in ("registry", "corrections")},
    "employment": DECLARED["employment"].model_copy(
        update={"facts": {f"in_{u}": fact(u) for u in sorted(COUNTED_UNITS)}}
    ),
}


@pytest.mark.proves("points-63")
@pytest.mark.parametrize("created", [None, "", "3"], ids=["no row", "nothing in it", "3"])
def test_without_rows_counts_are_0_and_prices_are_null(created: str | None, tmp_path: Path) -> None:
    job = {
        "contract_id": "1",
        "resident_id": PERSON,
        "employer_id": "E",
        "occupation": "1",
        "started_on": "2020-01-01",
    }
    raw: dict[str, list[Any]] = {
        "registry": [{"resident_id": PERSON, "residence_district": DISTRICT, "status": "resident"}],
        "employment": [] if created is None else [{**job, "jobs_created": created}],
    }
    clean = {
        name: [(MONTH, row) for row in clean_extract(SOURCES[name], rows, MONTH, [DISTRICT]).clean]
        for name, rows in raw.items()
    }
    none: dict[str, list[dict[str, str]]] = {}
    by_reference = compute_facts(SOURCES, clean, MONTH, none)[PERSON]
    target = tmp_path / "facts"
    with open_engine(EngineSettings("500MB", 1), tmp_path / "spill") as engine:
        folders = write_clean(tmp_path / "clean", clean)
        reference = write_reference(tmp_path / "reference", none)
        inputs = FactInputs(SOURCES, folders, reference, [])
        build_fact_table(engine, inputs, MonthParams(MONTH, b"key"), tmp_path)
    (by_sql,) = pq.read_table(target).to_pylist()
    wanted = {
        f"in_{unit}": 3 if created else None if unit == "yuan" else 0 for unit in COUNTED_UNITS
    }
    assert {name: by_reference[name] for name in wanted} == wanted
    assert {name: by_sql[name] for name in wanted} == wanted
