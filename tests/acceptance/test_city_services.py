"""The city's services and reminders, cell by cell: who has each service, what each condition shuts out, what it pays."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.parity.reference.services import ScoredResident
from tests.support.declarations import copy_declarations, find_service_problems
from tests.support.services_town import (
    REFERENCE,
    SERVICES,
    STANDING,
    TABLES,
    Town,
    eligibility,
    resident,
    resident_key,
)
from transforms.engine.statements import Statement
from transforms.services.models import Condition, Service

OLD, NEW = dt.date(2021, 10, 31), dt.date(2022, 4, 30)
D = Decimal
PARENT = {
    "children_due_primary": 1,
    "permit_held": True,
    "insured_now": True,
    "pension_run_months": 6,
}
RENTER = {
    "tenure": "rented",
    "rental_registered": True,
    "rental_district": "330212",
    "insured_now": True,
}
# service: what is just enough, one thing less each time (of what nobody has: one thing more)
CELLS: Mapping[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {
    "school_enrolment": (
        PARENT, [{"children_due_primary": 0}, {"permit_held": False}, {"insured_now": False}, {"pension_run_months": 5}]
    ),
    "household_registration": (
        {"permit_months": 60, "pension_months": 60}, [{"permit_months": 59}, {"pension_months": 59}, {"frozen": True}]
    ),
    "recuperation": ({"insured_now": True}, [{"insured_now": False}, {"frozen": True}]),
    "points_loan": (
        {"age": 18, "employed_months": 6},
        [{"age": 17}, {"age": 61}, {"employed_months": 5}, {"dishonesty_general": 1}, {"dishonesty_serious": 1}, {"frozen": True}],
    ),
    "rent_subsidy": (
        RENTER,
        [{"tenure": "public_rental"}, {"tenure": "dormitory"}, {"rental_registered": False}, {"rental_district": "330203"},
         {"owns_home": True}, {"insured_now": False}, {"frozen": True}],
    ),
    "public_rental": (
        {"insured_now": True, "permit_months": 12},
        [{"owns_home": True}, {"insured_now": False}, {"permit_months": 11}, {"frozen": True}],
    ),
    "health_check": ({"permit_held": True, "insured_now": True}, [{"permit_held": False}, {"insured_now": False}]),
    "union_service": ({"employed_now": True}, [{"employed_now": False}, {"employed_now": None}]),
    "skills_subsidy": (
        {"employed_months": 12, "degree": "bachelor", "skill": "level_4"}, [{"employed_months": 11}, {"skill": "level_3"}]
    ),
    "culture_card": ({"permit_held": True}, [{"permit_held": False}]),
}  # fmt: skip
OPEN_TO_FROZEN = ("union_service", "skills_subsidy", "culture_card")
FROZEN_IS_NO_MATTER = ("school_enrolment", "health_check", *OPEN_TO_FROZEN)
THRESHOLDS = {
    "school_enrolment": 40, "recuperation": 80, "points_loan": 70, "rent_subsidy": 60, "public_rental": 65,
    "health_check": 50, "household_registration": 120, "union_service": 30, "skills_subsidy": 30, "culture_card": 20,
}  # fmt: skip


def decided(
    engine: duckdb.DuckDBPyConnection,
    people: Sequence[ScoredResident],
    as_of: dt.date = OLD,
    declared: Sequence[Service] = SERVICES,
) -> list[dict[str, dict[str, Any]]]:
    """Of each resident the rows by service."""
    statement = eligibility(engine, people, declared, as_of)
    days = {"month": as_of.replace(day=1), "as_of": as_of}
    engine.create_table(Statement("decided", statement, ("scored",)), days)
    rows = engine.fetch_dicts("FROM decided")
    keys = [resident_key(who.resident_id) for who in people]
    return [{row["service"]: row for row in rows if row["resident_key"] == key} for key in keys]


@pytest.mark.promises(
    {
        "points-53": "Freezing is a fact; each service says whether it closes",
        "points-134": "school_enrolment: child due (either level), permit, insured, run of 6",
        "points-135": "household_registration: permit 60, pension 60, not frozen",
        "points-136": "recuperation: insured, not frozen",
        "points-137": "points_loan: 18 to 60, employed 6, no dishonesty, not frozen",
        "points-138": "rent_subsidy: rented, registered, in 330212, owns none, insured, not frozen",
        "points-139": "public_rental: owns none, insured, permit 12, not frozen",
        "points-140": "health_check: permit held, insured",
    }
)
@pytest.mark.parametrize("code", CELLS)
def test_a_service_is_for_those_who_meet_every_condition(
    code: str, engine: duckdb.DuckDBPyConnection
) -> None:
    enough, less = CELLS[code]
    people = [resident(n, "330212", "999", **enough | one) for n, one in enumerate([{}, *less], 1)]
    assert [code in rows for rows in decided(engine, people)] == [True] + [False] * len(less)


@pytest.mark.proves("points-53")
@pytest.mark.parametrize("code", FROZEN_IS_NO_MATTER)
def test_services_without_that_condition_are_open_to_frozen_residents(
    code: str, engine: duckdb.DuckDBPyConnection
) -> None:
    (rows,) = decided(engine, [resident(1, "330205", "999", **CELLS[code][0] | {"frozen": True})])
    assert rows[code]["eligible"]


@pytest.mark.proves("points-134", "points-137")
def test_other_ways_to_have_a_service(engine: duckdb.DuckDBPyConnection) -> None:
    pupil = {**PARENT, "children_due_primary": 0, "children_due_junior_middle": 1}
    people = [
        resident(1, "330205", "40", **pupil),
        resident(2, "330205", "70", age=60, employed_months=6),
    ]
    school, loan = decided(engine, people)
    assert school["school_enrolment"]["eligible"] and loan["points_loan"]["eligible"]


@pytest.mark.promise(
    "points-132", "Codes, and thresholds incl. 鄞州 45, 海曙 45, 慈溪 35, 120 then 150"
)
@pytest.mark.proves("points-129")
@pytest.mark.parametrize("code", CELLS)
def test_points_are_enough_from_the_threshold_on(
    code: str, engine: duckdb.DuckDBPyConnection
) -> None:
    marks = [("330212" if code == "rent_subsidy" else "330205", OLD, THRESHOLDS[code])]
    if code == "school_enrolment":
        marks += [("330212", OLD, 45), ("330203", OLD, 45), ("330282", OLD, 35)]
    if code == "household_registration":
        marks += [("330205", dt.date(2022, 3, 31), 120), ("330205", NEW, 150)]
    for district, as_of, mark in marks:
        people = [
            resident(n, district, str(D(mark) - D(n) / 100), **CELLS[code][0]) for n in (0, 1)
        ]
        found = [rows[code] for rows in decided(engine, people, as_of)]
        assert [(row["eligible"], row["points_short"]) for row in found] == [
            (True, 0),
            (False, D("0.01")),
        ], district


@pytest.mark.promises(
    {
        "points-127": "Only services open to the residence district",
        "points-130": "monthly_amount null when nothing is paid, else what it pays once eligible",
        "points-133": "All open in the whole city but rent_subsidy: 330212 only",
        "points-142": "40 % of the market rent, whole yuan, half up",
    }
)
def test_only_the_rent_subsidy_belongs_to_a_district_and_pays_by_a_fact(
    engine: duckdb.DuckDBPyConnection,
) -> None:
    everything = {name: value for enough, _ in CELLS.values() for name, value in enough.items()} | {
        "permit_months": 60
    }
    people = [
        resident(n, code, "999", **everything) for n, code in enumerate(sorted(REFERENCE.districts))
    ]
    for who, rows in zip(people, decided(engine, people), strict=True):
        agreed = {code: row for code, row in rows.items() if code in CELLS}
        assert set(agreed) == set(CELLS) - ({"rent_subsidy"} if who.district != "330212" else set())
        flat = {
            code: row["monthly_amount"] for code, row in agreed.items() if row["monthly_amount"]
        }
        assert flat == {"skills_subsidy": 300}  # the market rent is not known
    rents = {"1010": 404, "1001.25": 401, "1001.24": 400}  # 400.5 is half up
    tenants = [
        resident(n, "330212", "1", **RENTER, market_rent=D(rent)) for n, rent in enumerate(rents)
    ]
    paid = [rows["rent_subsidy"] for rows in decided(engine, tenants)]
    assert [(row["eligible"], row["monthly_amount"]) for row in paid] == [
        (False, amount) for amount in rents.values()
    ]


@pytest.mark.promise("points-117", "Over facts, points, sections, as_of and district")
def test_a_condition_may_use_district_day_and_section(engine: duckdb.DuckDBPyConnection) -> None:
    when = "district in ('330203', '330205') and as_of > date '2021-10-30' and base_points - deduction_points >= 10"
    (service,) = [one for one in SERVICES if one.service == "recuperation"]
    version = service.versions[0].model_copy(
        update={"conditions": [Condition(when=when, lacking="示例")]}
    )
    declared = [service.model_copy(update={"versions": [version]})]
    given = [
        ("330203", "10", "0"),
        ("330205", "30", "20"),
        ("330206", "10", "0"),
        ("330203", "29", "20"),
    ]
    people = [resident(n, district, "80") for n, (district, _, _) in enumerate(given)]
    people = [
        ScoredResident(
            **{
                **vars(who),
                "points": who.points | {"base_points": D(base), "deduction_points": D(minus)},
            }
        )
        for who, (_, base, minus) in zip(people, given, strict=True)
    ]
    assert [bool(rows) for rows in decided(engine, people, OLD, declared)] == [
        True,
        True,
        False,
        False,
    ]
    assert not any(decided(engine, people, dt.date(2021, 9, 30), declared))


@pytest.mark.promise(
    "points-165",
    "service_reached: five services, each by itself, newly eligible, service and month",
)
@pytest.mark.proves("points-167")
def test_every_other_service_reminds_when_newly_reached() -> None:
    reminders = {s.service: s.reminder for s in SERVICES if s.reminder}
    found = {
        service: (one.kind, one.title, one.newly, one.cycle, one.due_on)
        for service, one in reminders.items()
    }
    assert found.pop("rent_subsidy") == ("rent_subsidy", "租房补贴", False, "year", None)
    assert found.pop("school_enrolment") == (
        "school_enrolment",
        "入学报名",
        False,
        "child",
        "closes_on",
    )
    others = set(CELLS) - {"rent_subsidy", "school_enrolment"}
    assert {found[code] for code in others} == {
        ("service_reached", "积分达标", True, "month", None)
    }
    agreed = [s.reminder for s in SERVICES if s.reminder and s.service in CELLS]
    repeated = {one.kind: one.repeat for one in (*STANDING, *agreed) if one.repeat}
    assert repeated == {"job_service": 3}  # at most once a quarter


@pytest.mark.proves("points-165")
def test_each_newly_reached_service_has_its_own_reminder(tmp_path: Path) -> None:
    """They share a kind: the cycle is the service and the month."""
    town = Town(tmp_path)
    town.publish(
        "2021-10", resident(1, "330205", "0", permit_held=True, insured_now=True, permit_months=12)
    )
    reminders = town.publish(
        "2021-11", resident(1, "330205", "80", permit_held=True, insured_now=True, permit_months=12)
    )
    assert [row["service"] for row in reminders] == [
        "culture_card",
        "health_check",
        "public_rental",
        "recuperation",
    ]
    assert {row["kind"] for row in reminders} == {"service_reached"} and len(
        {row["reminder_id"] for row in reminders}
    ) == 4


@pytest.mark.promise("points-112", "Code, title, department, purpose, legal basis must be there")
@pytest.mark.promise(
    "points-113", "Districts, points, window, basis, values must be there; amount may be missing"
)
@pytest.mark.parametrize(
    ("within", "indent", "key"),
    [("", "", key) for key in ("title", "department", "purpose", "legal_basis", "service")]
    + [
        ("versions.0.", "    ", key) for key in ("basis", "values", "districts", "points", "window")
    ],
)
def test_a_service_without_what_it_must_say_is_refused(
    within: str, indent: str, key: str, tmp_path: Path
) -> None:
    folder = copy_declarations(tmp_path, "services", "health_check")
    path = folder / "health_check.yaml"
    kept = [
        line
        for line in path.read_text(encoding="utf-8").splitlines()
        if not line.startswith(f"{indent}{key}:")
    ]
    path.write_text("\n".join(kept), encoding="utf-8")
    assert [(one.key, "缺少" in one.found) for one in find_service_problems(folder)] == [
        (f"{within}{key}", True)
    ]


@pytest.mark.proves("points-7")
def test_the_tables_name_the_services_that_read_them() -> None:
    """A service reads the city's table, and those of the districts in which it is open."""
    for authority, table in TABLES.items():
        reads = {
            s.service for s in SERVICES if authority == "city" or s.versions[-1].open_in(authority)
        }
        assert set(table.effect) <= reads and set(table.effect) & set(CELLS) == reads & set(
            CELLS
        ), authority
