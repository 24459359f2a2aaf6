"""Who qualifies for what, what is lacking, how much money: on tiny tables of residents."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import duckdb
import pytest
import sqlglot

from expectations.month import Month
from tests.reference.services import Resident
from tests.transforms.services_town import (
    DATA,
    FACTS,
    KNOWN,
    REFERENCE,
    SERVICES,
    STANDING,
    TABLES,
    eligibility,
    make_scored,
    resident,
    resident_key,
)  # fmt: skip
from transforms.engine import EngineSettings, open_engine
from transforms.facts import Step
from transforms.make_facts import run_step
from transforms.policy.tables import CITY
from transforms.services.compile import ELIGIBILITY_COLUMNS, lacking_sql, scored_sql
from transforms.services.examples import check_reminder_examples, check_service_examples
from transforms.services.load import services_in_force
from transforms.services.models import Service
from transforms.services.names import expression_names, points_columns_on

OCTOBER = dt.date(2021, 10, 31)
RENTER = {
    "tenure": "rented", "rental_registered": True, "rental_district": "330212", "insured_now": True,
    "market_rent": Decimal(1010),
}  # fmt: skip
PARENT = {"children_due_primary": 1, "permit_held": True, "insured_now": True, "pension_run_months": 6}


@pytest.fixture
def engine(tmp_path: Any) -> Iterator[duckdb.DuckDBPyConnection]:
    with open_engine(EngineSettings(memory="500MB"), tmp_path / "spill") as connection:
        yield connection


def decide(
    engine: duckdb.DuckDBPyConnection,
    *residents: Resident,
    as_of: dt.date = OCTOBER,
    services: Sequence[Service] = SERVICES,
) -> list[dict[str, Any]]:
    statement = eligibility(engine, residents, services, as_of)
    step = Step("eligibility", f"CREATE OR REPLACE TEMP TABLE decided AS {statement}")
    run_step(engine, step, {"month": as_of.replace(day=1), "as_of": as_of})
    return engine.sql("FROM decided").to_arrow_table().to_pylist()


def one(found: list[dict[str, Any]], service: str) -> dict[str, Any] | None:
    return next((row for row in found if row["service"] == service), None)


def outcome(found: list[dict[str, Any]], service: str) -> Any:
    """True or the points short; None without a row."""
    row = one(found, service)
    return row and (row["eligible"] or row["points_short"])


@pytest.mark.parametrize(
    ("rent", "amount"),
    [
        ("1010", 404),
        ("1001.25", 401),
        ("1001.24", 400),
        ("1003.75", 402),
        ("0", 0),
        ("0.01", 0),
        ("9999999.99", 4000000),
    ],
)
def test_the_subsidy_is_forty_per_cent_in_whole_yuan_half_up(
    engine: duckdb.DuckDBPyConnection, rent: str, amount: int
) -> None:
    found = decide(engine, resident(1, "330212", "60", **RENTER | {"market_rent": Decimal(rent)}))
    assert one(found, "rent_subsidy") == {
        "month": dt.date(2021, 10, 1),
        "resident_key": resident_key(resident().resident_id),
        "service": "rent_subsidy",
        "district": "330212",
        "eligible": True,
        "points_short": Decimal(0),
        "monthly_amount": Decimal(amount),
    }


def test_the_published_case_is_paid_808_yuan_for_october_and_november(engine: duckdb.DuckDBPyConnection) -> None:
    renter = resident(1, "330212", "60", **RENTER)
    paid = [one(decide(engine, renter, as_of=Month.parse(m).last_day), "rent_subsidy") for m in ("2021-10", "2021-11")]
    assert sum(row["monthly_amount"] for row in paid if row and row["eligible"]) == 808


def test_without_an_average_rent_the_person_stays_eligible_and_the_amount_is_null(
    engine: duckdb.DuckDBPyConnection,
) -> None:
    row = one(decide(engine, resident(1, "330212", "60", **RENTER | {"market_rent": None})), "rent_subsidy")
    assert row and row["eligible"] and row["monthly_amount"] is None


def test_points_short_and_the_amount_once_eligible(engine: duckdb.DuckDBPyConnection) -> None:
    row = one(decide(engine, resident(1, "330212", "59.99", **RENTER)), "rent_subsidy")
    assert row and not row["eligible"]
    assert (row["points_short"], row["monthly_amount"]) == (Decimal("0.01"), 404)


def test_points_below_zero_are_that_much_shorter(engine: duckdb.DuckDBPyConnection) -> None:
    assert outcome(decide(engine, resident(1, "330212", "-20", **RENTER)), "rent_subsidy") == Decimal(80)


@pytest.mark.parametrize(
    "lacking",
    [
        {"tenure": "dormitory"}, {"rental_registered": False}, {"rental_district": "330203"}, {"rental_district": None},
        {"owns_home": True}, {"insured_now": False}, {"frozen": True}, {"frozen": None}, {"insured_now": None},
    ],
)  # fmt: skip
def test_who_lacks_more_than_points_has_no_row(engine: duckdb.DuckDBPyConnection, lacking: dict[str, Any]) -> None:
    assert outcome(decide(engine, resident(1, "330212", "99", **RENTER | lacking)), "rent_subsidy") is None


def test_a_service_of_one_district_is_closed_to_the_others(engine: duckdb.DuckDBPyConnection) -> None:
    assert outcome(decide(engine, resident(1, "330203", "99", **RENTER)), "rent_subsidy") is None


@pytest.mark.parametrize(
    ("district", "total", "wanted"),
    [
        ("330211", "40", True), ("330211", "39.5", Decimal("0.5")),
        ("330212", "45", True), ("330212", "40", Decimal(5)),
        ("330203", "44", Decimal(1)), ("330282", "35", True), ("330282", "34", Decimal(1)),
    ],
)  # fmt: skip
def test_thresholds_by_district(engine: duckdb.DuckDBPyConnection, district: str, total: str, wanted: Any) -> None:
    assert outcome(decide(engine, resident(1, district, total, **PARENT)), "school_enrolment") == wanted


def test_the_version_in_force_on_the_scoring_date_decides(engine: duckdb.DuckDBPyConnection) -> None:
    settled = resident(1, "330205", "120", permit_months=60, pension_months=60)
    assert outcome(decide(engine, settled, as_of=dt.date(2022, 3, 31)), "household_registration") is True
    assert outcome(decide(engine, settled, as_of=dt.date(2022, 4, 30)), "household_registration") == Decimal(30)


def test_before_its_first_version_a_service_says_nothing(engine: duckdb.DuckDBPyConnection) -> None:
    assert decide(engine, resident(1, "330205", "200", permit_months=90), as_of=dt.date(2021, 8, 31)) == []


def test_rows_are_sorted_by_district_resident_and_service(engine: duckdb.DuckDBPyConnection) -> None:
    people = [resident(n, d, "70", insured_now=True, permit_held=True) for n, d in enumerate(["330282", "330203"] * 5)]
    found = [(row["district"], row["resident_key"], row["service"]) for row in decide(engine, *people)]
    assert found == sorted(found) and len(found) == len(set(found)) == 20
    assert set(decide(engine, people[0])[0]) == set(ELIGIBILITY_COLUMNS)


def test_a_score_can_be_another_sum_and_a_condition_can_ask_for_what_is_unknown(
    engine: duckdb.DuckDBPyConnection,
) -> None:
    version = SERVICES[0].versions[0]
    conditions = [{"when": "degree is null or skill = 'level_1'", "lacking": "无学历"}]
    changed = version.model_dump(by_alias=True) | {
        "from": "2021-09-08", "conditions": conditions, "examples": [{"district": "330211", "eligible": False}],
        "points": {"score": "base_points + bonus_points / 2", "threshold": "60"}, "amount": None,
        "values": dict.fromkeys(("districts", "conditions", "points"), "illustrative"),
    }  # fmt: skip
    service = SERVICES[0].model_copy(update={"versions": [type(version).model_validate(changed)]})

    def points(number: int, base: str, bonus: str, **facts: Any) -> Resident:
        sums = {"base_points": Decimal(base), "bonus_points": Decimal(bonus)}
        return Resident(**{**vars(resident(number, **facts)), "points": sums})

    asked = [points(1, "50", "20"), points(2, "50", "19"), points(3, "90", "0", degree="bachelor")]
    asked.append(points(4, "60", "0", degree="bachelor", skill="level_1"))
    found = {row["resident_key"]: row["points_short"] for row in decide(engine, *asked, services=[service])}
    short = [found.get(resident_key(who.resident_id)) for who in asked]
    assert short == [0, Decimal("0.5"), None, 0]


def test_lacking_names_every_requirement_with_its_truth(engine: duckdb.DuckDBPyConnection) -> None:
    who = resident(1, "330203", "55.5", **RENTER | {"insured_now": None, "owns_home": True})
    points = sorted(points_columns_on(TABLES, OCTOBER))
    make_scored(engine, [who], points)
    in_force = services_in_force(SERVICES, OCTOBER)
    statement = lacking_sql(in_force, expression_names(FACTS, points, REFERENCE.districts))
    found = engine.execute(statement).fetchall()
    subsidy = [(place, holds, lacking) for _, service, place, _, holds, lacking in found if service == "rent_subsidy"]
    assert subsidy == [
        (0, False, "居住区县未开展此项服务"),
        (1, True, "需租房居住"),
        (2, True, "需办理租赁备案"),
        (3, True, "需租住在鄞州区"),
        (4, False, "需无自有住房"),
        (5, None, "需正在缴纳养老保险"),
        (6, True, "需无未修复的严重失信记录，且近 120 个月无犯罪记录"),
        (7, False, "积分需达到 60 分，还差 4.5 分"),
    ]
    assert {service for _, service, *_ in found} == set(in_force)


def test_facts_and_scores_of_different_residents_stop_the_run(engine: duckdb.DuckDBPyConnection) -> None:
    versions = {authority: table.in_force(OCTOBER) for authority, table in TABLES.items()}
    points = sorted(points_columns_on(TABLES, OCTOBER))
    make_scored(engine, [resident(1), resident(2)], points)
    engine.execute("CREATE TEMP VIEW facts AS SELECT person, resident_key, district FROM scored")
    engine.execute("CREATE TEMP VIEW scores AS SELECT * FROM scored")
    columns = engine.sql(scored_sql(versions)).columns
    assert columns[:3] == ["person", "resident_key", "district"] and sorted(columns[3:]) == points
    assert CITY in versions
    assert len(engine.execute(f"SELECT resident_key FROM ({scored_sql(versions)})").fetchall()) == 2
    engine.execute("CREATE OR REPLACE TEMP VIEW scores AS SELECT * FROM scored LIMIT 1")
    with pytest.raises(duckdb.Error, match="differ in their residents"):
        engine.execute(f"SELECT resident_key FROM ({scored_sql(versions)})").fetchall()


def test_the_statement_can_be_carried_to_spark(engine: duckdb.DuckDBPyConnection) -> None:
    statement = eligibility(engine, [resident()], SERVICES, OCTOBER)
    spark = sqlglot.transpile(statement, read="duckdb", write="spark", unsupported_level=sqlglot.ErrorLevel.RAISE)
    assert sqlglot.parse_one(spark[0], read="spark")


def test_the_examples_beside_the_declarations_hold(engine: duckdb.DuckDBPyConnection) -> None:
    assert check_service_examples(engine, DATA / "services", SERVICES, KNOWN) == []
    assert check_reminder_examples(engine, DATA / "reminders", STANDING, KNOWN) == []
