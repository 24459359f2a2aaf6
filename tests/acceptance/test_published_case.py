"""The published case, through raw extracts: a 41-year-old from Jiangxi who rents in 鄞州, every indicator by hand.

Scored with the table in force from 2021-09-08, on 31 October and 30 November 2021.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest

from tests.support.world import World, national_id

PERSON = national_id(
    "36010219800315202"
)  # born 15 March 1980 in Nanchang, Jiangxi: 41 in autumn 2021
AWARD = {
    "resident_id": PERSON,
    "district": "330212",
    "indicator": "local_volunteer",
    "status": "valid",
}

# indicator -> (points in October, points in November), each worked out by hand
BY_HAND = {
    "age": ("8.00", "8.00"),  # 41 years: 36 to 45
    "permit": (
        "18.00",
        "18.00",
    ),  # held since 2012-03-20: 115 and 116 full months, 9 full years, 2 each
    "social_insurance": (
        "25.00",
        "25.00",
    ),  # 2008-01 to 2021-10 less all of 2013: 154 months, 0.2 each = 30.8, cap 25
    "education": ("12.00", "12.00"),  # junior college
    "skill": ("8.00", "8.00"),  # senior child-care certificate, level 3
    "employment": (
        "10.00",
        "10.00",
    ),  # contract since 2014-01-06: 93 and 94 months, 7 full years, 14, cap 10
    "housing": ("8.00", "8.00"),  # rented
    "shortage_post": ("0.00", "0.00"),  # her occupation is on no list
    "job_creation": ("0.00", "0.00"),
    "inventions": ("0.00", "0.00"),
    "honours": ("5.00", "5.00"),  # a district honour in 2019
    "volunteering": (
        "14.00",
        "15.00",
    ),  # 2017: 20 h 2; 2018: 60 h 5 (cap a year); 2019: 39.5 h 3; 2020: 48 h 4; 2021: 9 h 0, then 12 h 1
    "blood": ("2.00", "2.00"),  # 400 ml
    "donation": ("0.00", "0.00"),
    "dishonesty": ("0.00", "0.00"),
    "penalties": ("0.00", "0.00"),
    "detentions": ("0.00", "0.00"),
    "crimes": ("0.00", "0.00"),
    "base": ("89.00", "89.00"),  # 8 + 18 + 25 + 12 + 8 + 10 + 8
    "bonus": ("21.00", "22.00"),  # 5 + 14 + 2, then 5 + 15 + 2
    "deduction": ("0.00", "0.00"),
    "common": ("110.00", "111.00"),
    "d330212_registered_rental": (
        "4.00",
        "5.00",
    ),  # since 2016-11-15: 59 full months on 31 October, 60 on 30 November
    "d330212_local_volunteer": (
        "6.00",
        "6.00",
    ),  # 4 and 2 from the district; the village without a quota gives nothing
    "district": ("10.00", "11.00"),
    "total": ("120.00", "122.00"),
}


def _postings(first: tuple[int, int], last: tuple[int, int]) -> list[dict[str, str]]:
    months = [
        (y, m)
        for y in range(2008, 2022)
        for m in range(1, 13)
        if first <= (y, m) <= last and y != 2013
    ]
    common = {
        "resident_id": PERSON,
        "district": "330212",
        "employer_id": "E1",
        "base": "4000",
        "kind": "paid",
    }
    return [
        {**common, "insurance": insurance, "month": f"{y}-{m:02d}", "posted_on": f"{y}-{m:02d}-20"}
        for y, m in months
        for insurance in ("pension", "medical")
    ]


def _service(event: str, day: str, hours: str) -> dict[str, str]:
    return {
        "event_id": event,
        "resident_id": PERSON,
        "kind": "service",
        "on_date": day,
        "quantity": hours,
        "status": "valid",
    }


def _snapshots() -> dict[str, Any]:
    return {
        "registry": [
            {
                "resident_id": PERSON, "name": "例女士", "phone": "05740000000", "residence_district": "330212",
                "residence_community": "东湖花园", "registered_on": "2001-09-01", "permit_issued_on": "2012-03-20",
                "permit_valid_to": "2022-03-19", "status": "resident", "updated_on": "2021-09-30",
            }
        ],
        "education": [
            {"certificate_no": "D1", "resident_id": PERSON, "kind": "degree", "level": "junior_college", "awarded_on": "2001-06-30"},
            {"certificate_no": "S1", "resident_id": PERSON, "kind": "skill", "level": "level_3", "awarded_on": "2018-05-20"},
        ],
        "housing": [
            {
                "record_id": "H1", "resident_id": PERSON, "tenure": "rented", "district": "330212", "community": "东湖花园",
                "registered": "是", "from_on": "2016-11-15", "to_on": "2022-11-14", "monthly_rent": "1000",
            }
        ],
        "employment": [
            {"contract_id": "W1", "resident_id": PERSON, "employer_id": "E1", "occupation": "9-00-00-00", "started_on": "2014-01-06"}
        ],
    }  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Both months delivered and run."""
    world = World(tmp_path_factory.mktemp("case"))
    hours = [("2017-05-01", "20"), ("2018-05-01", "24"), ("2018-06-01", "24"), ("2018-07-01", "12")]
    hours += [
        ("2019-05-01", "20"),
        ("2019-08-01", "19.5"),
        ("2020-05-01", "24"),
        ("2020-06-01", "24"),
        ("2021-03-01", "9"),
    ]
    world.deliver(
        "2021-10",
        **_snapshots(),
        social_security=_postings((2008, 1), (2021, 10)),
        volunteer=[
            *(_service(f"V{i}", *given) for i, given in enumerate(hours)),
            {"event_id": "B1", "resident_id": PERSON, "kind": "blood", "on_date": "2015-01-10", "quantity": "400", "status": "valid"},
        ],
        credit=[
            {"event_id": "K1", "resident_id": PERSON, "kind": "honour", "level": "district", "on_date": "2019-12-01", "status": "valid"}
        ],
        local_awards=[
            {**AWARD, "award_id": "A1", "grantor_kind": "district", "grantor_id": "330212", "points": "4", "on_date": "2021-03-01"},
            {**AWARD, "award_id": "A2", "grantor_kind": "district", "grantor_id": "330212", "points": "2", "on_date": "2021-04-01"},
            {**AWARD, "award_id": "A3", "grantor_kind": "village", "grantor_id": "无配额村", "points": "9", "on_date": "2021-05-01"},
        ],
    )  # fmt: skip
    world.deliver(
        "2021-11",
        **_snapshots(),
        social_security=_postings((2021, 11), (2021, 11)),
        volunteer=[_service("V99", "2021-11-07", "3")],
    )
    world.run("2021-10")
    world.run("2021-11")
    return world


@pytest.mark.promise("points-146", "Published case through raw extracts, every indicator by hand")
@pytest.mark.proves("points-93", "outputs-111")
@pytest.mark.parametrize(("month", "place"), [("2021-10", 0), ("2021-11", 1)])
def test_every_indicator_of_the_published_case_matches_manual_calculation(
    world: World, month: str, place: int
) -> None:
    score = world.score(month, PERSON)
    assert {name: str(score[f"{name}_points"]) for name in BY_HAND} == {
        name: points[place] for name, points in BY_HAND.items()
    }
    assert score["policy_city"].isoformat() == "2021-09-08"


@pytest.mark.promise("outputs-85", "over_quota is kept, and shown by `explain`")
@pytest.mark.proves("sources-91")
def test_other_districts_awards_are_null_and_over_quota_awards_listed(world: World) -> None:
    score = world.score("2021-10", PERSON)
    assert score["d330211_village_award_points"] is None
    assert [row["award_id"] for row in world.table("2021-10", "restricted/over_quota")] == ["A3"]


def test_the_facts_behind_the_case(world: World) -> None:
    (facts,) = world.table("2021-10", "facts")
    assert facts["pension_months"] == 154
    assert facts["pension_run_months"] == 94  # from January 2014
    assert facts["pension_gap_months"] == 0
    assert facts["residence_months"] == 241  # from 1 September 2001 to 31 October 2021
    assert facts["rental_months"] == 59
    assert facts["rental_district"] == "330212"
    (restricted,) = world.table("2021-10", "restricted/facts")
    assert restricted["market_rent"] == Decimal("1010.00")


@pytest.mark.promise("outputs-83", "changes: only what moved against the month before")
def test_the_changes_of_november_are_the_points_that_moved(world: World) -> None:
    moved = {
        row["item"]: (str(row["before"]), str(row["after"]))
        for row in world.table("2021-11", "changes")
    }
    assert moved == {
        name: (before, after) for name, (before, after) in BY_HAND.items() if before != after
    }


@pytest.mark.promise("points-147", "404 yuan for a rent of 1,010; 808 for both months")
@pytest.mark.parametrize("month", ["2021-10", "2021-11"])
def test_404_yuan_a_month_from_an_average_rent_of_1010(world: World, month: str) -> None:
    rows = {row["service"]: row for row in world.table(month, "eligibility")}
    assert rows["rent_subsidy"]["eligible"]
    assert rows["rent_subsidy"]["monthly_amount"] == 404
    assert rows["recuperation"]["eligible"]  # 80 points
    assert (
        rows["household_registration"]["points_short"] == {"2021-10": 0, "2021-11": 0}[month]
    )  # 120 points in 2021


@pytest.mark.proves("points-147")
def test_october_and_november_together_are_808_yuan(world: World) -> None:
    paid = [
        row
        for month in ("2021-10", "2021-11")
        for row in world.table(month, "eligibility")
        if row["monthly_amount"]
    ]
    assert sum(row["monthly_amount"] for row in paid if row["eligible"]) == 808


@pytest.mark.promise("outputs-141", "Budget")
def test_the_report_says_what_the_subsidy_costs_a_month(world: World) -> None:
    page = (world.revision("2021-11").path / "report" / "index.html").read_text(encoding="utf-8")
    lines = [
        re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", line)
        for line in re.findall(r"<tr>(.*?)</tr>", page)
    ]
    assert [
        "公租房租赁补贴",
        "1",
        "1",
        "404",
        "404",
        "",
    ] in lines  # people, last month; yuan, last month; unknown


def test_she_gets_one_reminder_with_a_masked_name(world: World) -> None:
    (reminder,) = world.table("2021-10", "reminders")
    assert (reminder["kind"], reminder["service"], reminder["added_in"]) == (
        "rent_subsidy",
        "rent_subsidy",
        1,
    )
    assert (reminder["resident_id"], reminder["phone"], reminder["district"]) == (
        PERSON,
        "05740000000",
        "330212",
    )
    assert "例**" in reminder["text"]
    assert "404" in reminder["text"]
    assert PERSON not in reminder["text"]
    assert world.table("2021-11", "reminders") == []


def test_her_district_and_no_other_has_her_in_its_package(world: World) -> None:
    exports = world.revision("2021-10").path / "exports"
    holding = {
        path.parent.name
        for path in exports.glob("*/scores.csv")
        if PERSON in path.read_text(encoding="utf-8-sig")
    }
    assert holding == {"330212"}
    reminded = (exports / "330212" / "reminders.csv").read_text(encoding="utf-8-sig")
    assert f'"\t{PERSON}"' in reminded
