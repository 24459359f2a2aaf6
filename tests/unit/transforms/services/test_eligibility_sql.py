"""The statements of eligibility as a whole; who qualifies for what stands in the manual (`tests/spec/21_service` and after)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import duckdb
import pytest
import sqlglot

from tests.parity.reference.services import ScoredResident, decide_services
from tests.support.services_town import (
    DATA,
    KNOWN,
    SERVICES,
    STANDING,
    TABLES,
    eligibility,
    make_scored,
    resident,
    resident_key,
)
from transforms.engine.statements import Statement
from transforms.points.scored import (
    list_points_columns_in_force,
    scored_of_district_sql,
    scored_statement,
)
from transforms.services.examples import check_reminder_examples, check_service_examples
from transforms.services.models import PointsNeeded, Service
from transforms.services.namespace import list_points_columns_on

OCTOBER = dt.date(2021, 10, 31)
RENTER = {
    "tenure": "rented", "rental_registered": True, "rental_district": "330212", "insured_now": True,
    "market_rent": Decimal(1010),
}  # fmt: skip
PARENT = {
    "children_due_primary": 1,
    "permit_held": True,
    "insured_now": True,
    "pension_run_months": 6,
}


def decide(
    connection: duckdb.DuckDBPyConnection,
    *residents: ScoredResident,
    as_of: dt.date = OCTOBER,
    services: Sequence[Service] = SERVICES,
) -> list[dict[str, Any]]:
    statement = eligibility(connection, residents, services, as_of)
    days = {"month": as_of.replace(day=1), "as_of": as_of}
    connection.create_table(Statement("decided", statement, ("scored",)), days)
    return connection.fetch_dicts("FROM decided")


def one(found: list[dict[str, Any]], service: str) -> dict[str, Any] | None:
    return next((row for row in found if row["service"] == service), None)


def outcome(found: list[dict[str, Any]], service: str) -> Any:
    """True or the points short; None without a row."""
    row = one(found, service)
    return row and (row["eligible"] or row["points_short"])


@pytest.mark.promise("points-128", "The columns and their types; points_short 0 when eligible")
@pytest.mark.promise("outputs-82", "eligibility is pseudonymous, with its columns")
def test_a_row_has_its_columns_with_their_types(connection: duckdb.DuckDBPyConnection) -> None:
    assert one(decide(connection, resident(1, "330212", "60", **RENTER)), "rent_subsidy") == {
        "month": dt.date(2021, 10, 1),
        "resident_key": resident_key(resident().resident_id),
        "service": "rent_subsidy",
        "district": "330212",
        "eligible": True,
        "points_short": Decimal(0),
        "score": Decimal(60),
        "monthly_amount": Decimal(404),
        "rank_class": None,
        "rank": None,
    }


@pytest.mark.proves("points-119", "points-126")
@pytest.mark.parametrize(
    "lacking",
    [
        {"tenure": "dormitory"}, {"rental_registered": False}, {"rental_district": "330203"}, {"rental_district": None},
        {"owns_home": True}, {"insured_now": False}, {"frozen": True}, {"frozen": None}, {"insured_now": None},
    ],
)  # fmt: skip
def test_who_lacks_more_than_points_has_no_row(
    connection: duckdb.DuckDBPyConnection, lacking: dict[str, Any]
) -> None:
    assert (
        outcome(decide(connection, resident(1, "330212", "99", **RENTER | lacking)), "rent_subsidy")
        is None
    )


@pytest.mark.parametrize(
    ("score", "threshold", "points", "wanted"),
    [
        ("total_points + d330203_deliberation_points + d330212_local_volunteer_points", "16",
         {"total_points": "14", "d330203_deliberation_points": None, "d330212_local_volunteer_points": "5"}, True),
        ("total_points / 3", "4.67", {"total_points": "14"}, Decimal("0.01")),  # 4.6666: nearly is not reached
        ("total_points / 3", "4.66", {"total_points": "14"}, True),
        ("total_points * 10000", "5", {"total_points": "11"}, True),  # over by more than points can be
    ],
)  # fmt: skip
def test_a_score_of_other_sums(
    score: str,
    threshold: str,
    points: dict[str, str | None],
    wanted: Any,
    connection: duckdb.DuckDBPyConnection,
) -> None:
    """Points of another district are 0 in a sum; the threshold is reached exactly or not at all."""
    (service,) = (service for service in SERVICES if service.service == "health_check")
    needed = PointsNeeded(score=score, threshold={"default": Decimal(threshold)})
    version = service.versions[0].model_copy(update={"points": needed, "conditions": []})
    declared = [service.model_copy(update={"versions": [version]})]
    given = {name: Decimal(value) if value else None for name, value in points.items()}
    who = replace(resident(1, "330212"), points=given)
    found = decide(connection, who, services=declared)
    assert outcome(found, "health_check") == wanted
    (expected,) = decide_services(who, declared, OCTOBER)
    assert (expected["eligible"], expected["points_short"]) == (
        found[0]["eligible"],
        found[0]["points_short"],
    )


def test_rows_are_sorted_by_district_resident_and_service(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    people = [
        resident(n, d, "70", insured_now=True, permit_held=True)
        for n, d in enumerate(["330282", "330203"] * 5)
    ]
    found = [
        (row["district"], row["resident_key"], row["service"])
        for row in decide(connection, *people)
    ]
    assert found == sorted(found) and len(found) == len(set(found)) == 30
    assert list(decide(connection, people[0])[0]) == [
        "month", "resident_key", "service", "district", "eligible", "points_short", "score", "monthly_amount",
        "rank_class", "rank",
    ]  # fmt: skip


def test_facts_and_scores_of_different_residents_stop_the_run(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    versions = {authority: table.in_force(OCTOBER) for authority, table in TABLES.items()}
    points = sorted(list_points_columns_on(TABLES, OCTOBER))
    make_scored(connection, [resident(1), resident(2)], points)
    connection.execute(
        "CREATE TEMP VIEW facts AS SELECT resident_id, resident_key, district FROM scored"
    )
    connection.execute("CREATE TEMP VIEW scores AS SELECT * FROM scored")
    columns = list_points_columns_in_force(versions)
    aligned = scored_of_district_sql(columns, "330211")
    joined = scored_statement(columns)
    first = ["resident_key", "resident_id", "district"]
    assert list(connection.describe(f"({aligned})")) == [*first, *columns]
    assert sorted(columns) == points
    assert len(connection.fetch_rows(aligned)) == len(connection.fetch(joined)) == 2
    assert set(connection.describe(f"({joined.sql})")) == {*first, *columns}
    connection.execute("CREATE OR REPLACE TEMP VIEW scores AS SELECT * FROM scored LIMIT 1")
    with pytest.raises(duckdb.Error, match="differ in their residents"):
        connection.execute(f"SELECT resident_key FROM ({aligned})").fetchall()


def test_the_statement_can_be_carried_to_spark(connection: duckdb.DuckDBPyConnection) -> None:
    statement = eligibility(connection, [resident()], SERVICES, OCTOBER)
    spark = sqlglot.transpile(
        statement, read="duckdb", write="spark", unsupported_level=sqlglot.ErrorLevel.RAISE
    )
    assert sqlglot.parse_one(spark[0], read="spark")


@pytest.mark.proves("points-124")
def test_the_examples_beside_the_declarations_hold(connection: duckdb.DuckDBPyConnection) -> None:
    assert check_service_examples(connection, DATA / "services", SERVICES, KNOWN) == []
    assert check_reminder_examples(connection, DATA / "reminders", STANDING, KNOWN) == []
