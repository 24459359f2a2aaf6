"""The tables of what is declared: districts, services in force, thresholds, as analysts read them."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.support.services_town import REFERENCE, SERVICES
from transforms.engine.session import EngineSettings, open_engine
from transforms.engine.statements import Statement
from transforms.outputs import DISTRICTS, Output
from transforms.outputs import SERVICES as SERVICES_OUTPUT
from transforms.outputs import THRESHOLDS as THRESHOLDS_OUTPUT
from transforms.services.declared_tables import (
    districts_statement,
    services_statement,
    thresholds_statement,
)
from transforms.services.load import select_services_in_force

MONTH = {"month": dt.date(2022, 5, 1)}
IN_FORCE = select_services_in_force(SERVICES, dt.date(2022, 5, 31))
TITLES = {service.service: service.title for service in SERVICES}


def read(folder: Path, output: Output, statement: Statement) -> list[dict[str, Any]]:
    """The rows of a statement; its columns are those that the output declares."""
    with open_engine(EngineSettings("200MB", 1), folder / "spill") as session:
        file = folder / "table.parquet"
        session.write(statement, file, MONTH)
        described = session.describe(f"'{file}'")
        assert described == output.columns
        return session.fetch_dicts(f"FROM '{file}'")


def test_every_district_has_its_name(tmp_path: Path) -> None:
    rows = read(tmp_path, DISTRICTS, districts_statement(REFERENCE.districts))
    assert {row["district"]: row["name"] for row in rows} == REFERENCE.districts
    assert {row["month"] for row in rows} == {MONTH["month"]}


def test_a_service_says_what_it_counts_and_pays(tmp_path: Path) -> None:
    rows = read(tmp_path, SERVICES_OUTPUT, services_statement(IN_FORCE, TITLES))
    assert [row["service"] for row in rows] == sorted(IN_FORCE)
    (rent,) = (row for row in rows if row["service"] == "rent_subsidy")
    assert rent == {
        "month": MONTH["month"],
        "service": "rent_subsidy",
        "title": "公租房租赁补贴",
        "version": dt.date(2021, 9, 8),
        "conditions": 6,
        "score": "total_points",
        "monthly_amount": "market_rent * 0.4",
        "illustrative": "conditions, points",
    }


def test_a_threshold_is_that_of_the_district_where_the_service_is_open(tmp_path: Path) -> None:
    rows = read(tmp_path, THRESHOLDS_OUTPUT, thresholds_statement(IN_FORCE, REFERENCE.districts))
    found = {(row["service"], row["district"]): row["points"] for row in rows}
    assert len(found) == len(rows)
    assert [code for service, code in found if service == "rent_subsidy"] == ["330212"]
    school = {
        code: points for (service, code), points in found.items() if service == "school_enrolment"
    }
    own = {"330203": Decimal(45), "330212": Decimal(45), "330282": Decimal(35)}
    assert school == dict.fromkeys(REFERENCE.districts, Decimal(40)) | own


@pytest.mark.parametrize("output", [SERVICES_OUTPUT, THRESHOLDS_OUTPUT], ids=lambda o: o.folder)
def test_a_month_without_services_has_the_same_columns(tmp_path: Path, output: Output) -> None:
    none = {
        SERVICES_OUTPUT.folder: services_statement({}, {}),
        THRESHOLDS_OUTPUT.folder: thresholds_statement({}, REFERENCE.districts),
    }
    assert read(tmp_path, output, none[output.folder]) == []
