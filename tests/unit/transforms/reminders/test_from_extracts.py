"""Reminders from department rows, through the real fact statements: a void record and a move."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from expectations.month import Month
from expectations.source_loader import load_sources
from tests.parity.reference.services import ScoredResident
from tests.support.clean_files import write_clean
from tests.support.fact_tables import build_fact_table
from tests.support.services_town import FACTS, KEY, REFERENCE, Town, resident
from transforms.engine.session import EngineSettings, open_engine
from transforms.facts.build import FactInputs, MonthParams

SOURCES = load_sources()
PERSON = resident().resident_id
OCTOBER, NOVEMBER = Month.parse("2021-10"), Month.parse("2021-11")


def row(source: str, **given: Any) -> dict[str, Any]:
    columns = SOURCES[source].columns
    assert given.keys() <= columns.keys()
    return dict.fromkeys(columns) | given


def registry(district: str) -> dict[str, Any]:
    return row(
        "registry", resident_id=PERSON, name="张三", residence_district=district, status="resident"
    )


def crime(status: str) -> dict[str, Any]:
    return row(
        "credit", event_id="K1", resident_id=PERSON, kind="crime", level="general", on_date=dt.date(2020, 2, 29),
        status=status,
    )  # fmt: skip


def insured(month: Month) -> dict[str, Any]:
    return row(
        "social_security", resident_id=PERSON, insurance="pension", month=month, district="330206", kind="paid",
        posted_on=month.last_day,
    )  # fmt: skip


def scored(
    folder: Path, month: Month, received: dict[str, list[tuple[Month, dict[str, Any]]]]
) -> ScoredResident:
    """The person as the month's fact statements know them, with 80 points."""
    folders = write_clean(folder / "clean", received)
    target = folder / "facts"
    with open_engine(EngineSettings(memory="500MB"), folder / "spill") as engine:
        inputs = FactInputs(SOURCES, folders, REFERENCE, [])
        build_fact_table(engine, inputs, MonthParams(month, KEY), folder)
        (known,) = pq.read_table(target).to_pylist()
    facts = {name: known[name] for name in FACTS}
    return ScoredResident(
        PERSON,
        known["district"],
        known["name"],
        known["phone"],
        facts,
        {"total_points": Decimal(80)},
    )


@pytest.mark.slow
def test_a_voided_crime_reopens_the_service_after_a_move(tmp_path: Path) -> None:
    credit, insurance = [(OCTOBER, crime("valid"))], [(OCTOBER, insured(OCTOBER))]
    in_october = {
        "registry": [(OCTOBER, registry("330206"))],
        "credit": credit,
        "social_security": insurance,
    }
    in_november = {
        "registry": [(NOVEMBER, registry("330211"))],
        "credit": [*credit, (NOVEMBER, crime("void"))],
        "social_security": insurance,
    }
    october, november = (
        scored(tmp_path / "o", OCTOBER, in_october),
        scored(tmp_path / "n", NOVEMBER, in_november),
    )
    assert (october.facts["frozen"], november.facts["frozen"]) == (True, False)
    town = Town(tmp_path / "town")
    assert town.publish("2021-10", october) == []
    listed = town.publish("2021-11", november)
    (reminder,) = (row for row in listed if row["service"])  # besides, there is no contract
    assert (reminder["kind"], reminder["service"], reminder["district"]) == (
        "service_reached",
        "recuperation",
        "330211",
    )
