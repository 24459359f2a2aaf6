"""Every fact that the city declares, by hand from department rows: who has it, and where its window begins and ends."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pyarrow.parquet as pq
import pytest

from expectations.month import Month
from expectations.source_loader import load_sources
from expectations.source_model import Fact
from tests.parity.reference.national_id import compute_check_character
from tests.parity.reference.values import clean_extract
from tests.support.clean_files import write_clean, write_reference
from tests.support.fact_tables import build_fact_table
from transforms.engine.session import EngineSettings, open_engine
from transforms.facts.build import FactInputs, MonthParams

MONTH = Month.parse("2021-10")  # scored on 31 October 2021
DECLARED = load_sources()
A_LINE_MORE = {  # another window, and records that count for 2.5 to 3 hours each
    "title": "时长", "unit": "hours", "meaning": "时长", "meaning_en": "hours", "measure": "sum", "of": "quantity",
    "where": {"kind": "service"}, "within": {"of": "on_date", "last_months": 36}, "clip": {"min": "2.5", "max": "3"},
}  # fmt: skip
MORE = {**DECLARED["volunteer"].facts, "service_36m": Fact.model_validate(A_LINE_MORE)}
SOURCES = {**DECLARED, "volunteer": DECLARED["volunteer"].model_copy(update={"facts": MORE})}
D = Decimal
Raw = dict[str, Any]
VALID = {"status": "valid"}
RENTS = [
    {"district": "330212", "community": "甬江苑", "from_month": month, "average_rent": rent}
    for month, rent in (("2021-10", "1010"), ("2021-09", "900"), ("2021-11", "2000"))
]
LISTED = [
    {"year": year, "occupation": code, "title": "职业"}
    for year, code in (("2021", "4-01"), ("2020", "4-02"))
]
TABLES = {"community_rents": RENTS, "shortage_occupations": LISTED, "award_quotas": []}


def home(tenure: str, begun: str, ended: str = "", **more: str) -> Raw:
    place = {"district": "330212", "community": "甬江苑", "registered": "是", "monthly_rent": "800"}
    return {"tenure": tenure, **place, "from_on": begun, "to_on": ended, **more}


def job(begun: str, ended: str = "", occupation: str = "9-99", created: str = "") -> Raw:
    work = {"employer_id": "E", "occupation": occupation, "jobs_created": created}
    return {**work, "started_on": begun, "ended_on": ended}


def paper(kind: str, level: str) -> Raw:
    return {"kind": kind, "level": level, "awarded_on": "2010-06-30"}


def paid(*months: str, insurance: str = "pension") -> list[Raw]:
    common = {
        "insurance": insurance,
        "district": "330203",
        "kind": "paid",
        "posted_on": "2021-10-20",
    }
    return [{**common, "month": month} for month in months]


def record(kind: str, level: str, day: str, **more: str) -> Raw:
    return {"kind": kind, "level": level, "on_date": day, **VALID, **more}


def deed(kind: str, quantity: str, day: str, **more: str) -> Raw:
    return {"kind": kind, "quantity": quantity, "on_date": day, **VALID, **more}


def patent(kind: str, **more: str) -> Raw:
    return {"kind": kind, "granted_on": "2001-01-01", **VALID, **more}


def award(points: str, day: str, district: str = "330211", **more: str) -> Raw:
    return {"district": district, "indicator": "x", "grantor_kind": "district", "grantor_id": district, **VALID,
            "points": points, "on_date": day, **more}  # fmt: skip


# what it is about -> rows by source (of the registry: what differs), facts
CASES: Mapping[str, tuple[Raw, Raw]] = {
    "birthday on the scoring date": ({"born": "19801031"}, {"age": 41}),
    "birthday in the month scored": ({"born": "19801001"}, {"age": 41}),
    "birthday the day after": ({"born": "19801101"}, {"age": 40}),
    "registered on a month's last day": (
        {"registry": {"registered_on": "2020-09-30"}},
        {"residence_months": 13, "registered_on": dt.date(2020, 9, 30), "registered_year": 2020},
    ),
    "registered in the month scored": ({"registry": {"registered_on": "2021-10-01"}}, {"residence_months": 0}),
    "permit on its last day": (
        {"registry": {"permit_issued_on": "2020-10-31", "permit_valid_to": "2021-10-31"}},
        {"permit_held": True, "permit_months": 12, "permit_issued_on": dt.date(2020, 10, 31),
         "permit_valid_to": dt.date(2021, 10, 31)},
    ),
    "permit over by a day": (
        {"registry": {"permit_issued_on": "2020-10-31", "permit_valid_to": "2021-10-30"}},
        {"permit_held": False, "permit_months": 0, "permit_issued_on": dt.date(2020, 10, 31)},
    ),
    "permit without an end": (
        {"registry": {"permit_issued_on": "2020-10-31"}},
        {"permit_held": False, "permit_months": 0},
    ),
    "insured without a break": (
        {"social_security": paid("2021-10", "2021-09", "2021-08", "2021-06", "2021-12") + paid("2021-01", insurance="medical")},
        {"pension_months": 4, "pension_last_month": dt.date(2021, 10, 1), "pension_gap_months": 0, "pension_run_months": 3,
         "insured_now": True, "medical_months": 1},
    ),
    "insured last month": ({"social_security": paid("2021-09")}, {"pension_gap_months": 1, "insured_now": True}),
    "insured two months ago": ({"social_security": paid("2021-08")}, {"pension_gap_months": 2, "insured_now": False}),
    "the highest degree": (
        {"education": [paper("degree", level) for level in ("bachelor", "doctor", "primary", "master")]},
        {"degree": "doctor", "skill": None},
    ),
    "degrees from low to high": (
        {"education": [paper("degree", level) for level in ("junior_college", "senior_middle", "junior_middle", "primary")]},
        {"degree": "junior_college"},
    ),
    "a junior title is level 3": (
        {"education": [paper("skill", "level_5"), paper("skill", "level_4"), paper("title", "junior")]},
        {"skill": "level_3", "degree": None},
    ),
    "an intermediate title is level 2": (
        {"education": [paper("skill", "level_3"), paper("title", "intermediate")]},
        {"skill": "level_2"},
    ),
    "a senior title is level 1": ({"education": [paper("skill", "level_2"), paper("title", "senior")]}, {"skill": "level_1"}),
    "level 4 is above level 5": ({"education": [paper("skill", "level_5"), paper("skill", "level_4")]}, {"skill": "level_4"}),
    "the best current tenure": (
        {"housing": [home("rented", "2020-01-01"), home("owned", "2021-10-31"), home("public_rental", "2019-01-01")]},
        {"tenure": "owned", "owns_home": True},
    ),
    "a home until the scoring date": (
        {"housing": [home("owned", "2010-01-01", "2021-10-31"), home("dormitory", "2021-10-01")]},
        {"tenure": "owned", "owns_home": True},
    ),
    "a home until the day before": (
        {"housing": [home("owned", "2010-01-01", "2021-10-30"), home("dormitory", "2021-10-01")]},
        {"tenure": "dormitory", "owns_home": False, "rental_district": None, "rental_registered": False},
    ),
    "public rental before rented before dormitory": (
        {"housing": [home("public_rental", "2020-01-01"), home("rented", "2018-01-01"), home("dormitory", "2010-01-01")]},
        {"tenure": "public_rental"},
    ),
    "the newest rental": (
        {"housing": [
            home("rented", "2019-10-31", record_id="9"),
            home("public_rental", "2019-10-31", record_id="10", registered="否", community="别处", monthly_rent="1"),
            home("dormitory", "2021-01-01", record_id="a"),
            home("rented", "2021-05-01", "2021-10-30", record_id="b"),
        ]},
        {"rental_registered": True, "rental_months": 24, "rental_district": "330212", "rental_community": "甬江苑",
         "rental_rent": D(800), "market_rent": D(1010), "tenure": "public_rental"},
    ),
    "a newer rental elsewhere": (
        {"housing": [home("rented", "2019-10-31"), home("public_rental", "2020-10-31", registered="否", district="330203")]},
        {"rental_registered": False, "rental_months": 12, "rental_district": "330203", "market_rent": None},
    ),
    "the current contract that began first": (
        {"employment": [job("2019-10-31", "2021-10-30"), job("2021-01-01"), job("2020-10-31", "2021-10-31")]},
        {"employed_months": 12, "employed_now": True, "shortage_job": False},
    ),
    "a contract of one day": ({"employment": [job("2021-10-31", "2021-10-31")]}, {"employed_now": True, "employed_months": 0}),
    "a contract over by a day": ({"employment": [job("2021-01-01", "2021-10-30")]}, {"employed_now": False}),
    "an occupation on the year's list": ({"employment": [job("2021-10-31", occupation="4-01")]}, {"shortage_job": True}),
    "an occupation on last year's list": ({"employment": [job("2021-10-31", occupation="4-02")]}, {"shortage_job": False}),
    "a listed occupation of old": ({"employment": [job("2020-01-01", "2021-10-30", "4-01")]}, {"shortage_job": False}),
    "jobs of current contracts": (
        {"employment": [job("2020-01-01", created="5"), job("2020-01-01", created="7"), job("2020-01-01", "2021-10-30", "1", "99")]},
        {"jobs_created": 12},
    ),
    "patents granted": (
        {"patents": [patent("invention"), patent("invention"), patent("utility_model"), patent("design"),
                     patent("design"), patent("design"), patent("invention", status="void")]},
        {"patents_invention": 2, "patents_utility_model": 1, "patents_design": 3},
    ),
    "honours of 60 months": (
        {"credit": [*(record("honour", level, "2016-10-31") for level in ("national", "provincial", "city", "district")),
                    record("honour", "provincial", "2016-11-01"),
                    record("honour", "city", "2021-10-31"), record("honour", "city", "2020-01-01"),
                    record("honour", "district", "2016-11-01")]},
        {"honours_national": 0, "honours_provincial": 1, "honours_city": 2, "honours_district": 1, "honour_level": "provincial"},
    ),
    "honours from low to high": (
        {"credit": [record("honour", "district", "2021-01-01"), record("honour", "city", "2021-01-01")]},
        {"honour_level": "city"},
    ),
    "the highest honour": (
        {"credit": [record("honour", "national", "2016-11-01"), record("honour", "provincial", "2021-01-01")]},
        {"honours_national": 1, "honour_level": "national"},
    ),
    "service of 24 months": (
        {"volunteer": [deed("service", "2", "2019-10-31"), deed("service", "3.5", "2019-11-01"), deed("service", "4", "2021-10-31"),
                       deed("service", "8", "2021-01-01", status="void"), deed("blood", "200", "2021-01-01")]},
        {"service_hours_24m": D("7.5"), "service_36m": D("8.5"),
         "service_hours_by_year": [{"year": 2019, "hours": D("5.5")}, {"year": 2021, "hours": D(4)}]},
    ),
    "service of five calendar years": (
        {"volunteer": [deed("service", "2", "2016-12-31"), deed("service", "3", "2017-01-01"), deed("service", "1.25", "2017-12-31")]},
        {"service_hours_24m": 0, "service_hours_by_year": [{"year": 2017, "hours": D("4.25")}]},
    ),
    "blood and platelets ever": (
        {"volunteer": [deed("blood", "400", "1999-01-01"), deed("platelets", "2", "2021-10-31"), deed("marrow", "1", "2005-05-05"),
                       deed("organ", "1", "2006-06-06"), deed("organ", "1", "2007-07-07", status="void")]},
        {"blood_ml": 800, "donations": 2, "service_hours_24m": 0},
    ),
    "general dishonesty": (
        {"credit": [record("dishonesty", "general", "2001-01-01"), record("dishonesty", "general", "2021-10-31"),
                    record("dishonesty", "serious", "2021-01-01", cleared_on="2021-10-31")]},
        {"dishonesty_general": 2, "dishonesty_serious": 0, "frozen": False},
    ),
    "serious dishonesty": (
        {"credit": [record("dishonesty", "serious", "2001-01-01")]},
        {"dishonesty_general": 0, "dishonesty_serious": 1, "frozen": True},
    ),
    "penalties of 24, detentions of 60 months": (
        {"credit": [record("penalty", "general", "2019-10-31"), record("penalty", "general", "2019-11-01"),
                    record("detention", "general", "2016-10-31"), record("detention", "general", "2016-11-01"),
                    record("detention", "general", "2021-10-31")]},
        {"penalties_24m": 1, "detentions_60m": 2, "crimes_120m": 0, "frozen": False},
    ),
    "a crime of 120 months": (
        {"credit": [record("crime", "general", "2011-10-31"), record("crime", "general", "2011-11-01")]},
        {"crimes_120m": 1, "frozen": True},
    ),
    "a crime before": ({"credit": [record("crime", "general", "2011-10-31")]}, {"crimes_120m": 0, "frozen": False}),
    "awards of 24 months": (
        {"local_awards": [award("3", "2019-10-31"), award("2.5", "2019-11-01"), award("4", "2021-10-31"),
                          award("5", "2021-01-01", district="330203"), award("9", "2021-01-01", status="void")]},
        {"awards": [{"key": "330203:x", "points": D(5)}, {"key": "330211:x", "points": D("6.5")}]},
    ),
    "nothing that counts": (
        {
            "social_security": paid("2021-12") + paid("2021-10", insurance="injury"),
            "housing": [home("rented", "2010-01-01", "2021-10-30")],
            "employment": [job("2010-01-01", "2021-10-30", "4-01", "8")],
            "patents": [patent("design", status="void")],
            "credit": [record("honour", "city", "2001-01-01"), record("dishonesty", "serious", "2001-01-01", cleared_on="2002-01-01")],
            "volunteer": [deed("service", "2", "2001-01-01"), deed("marrow", "1", "2001-01-01", status="void")],
            "local_awards": [award("3", "2001-01-01")],
            "children": [{"child_id": "33020319900101001" + compute_check_character("33020319900101001"), "enrolled": "none"}],
        },
        {},
    ),
    "nobody has heard of": ({}, {}),
}  # fmt: skip
NULLS = {
    "degree", "skill", "honour_level", "pension_last_month", "pension_gap_months", "rental_district", "rental_community",
    "rental_rent", "market_rent", "permit_issued_on", "permit_valid_to",
    "registered_on", "registered_year",
}  # fmt: skip


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Mapping[str, Any]]:
    """The facts of every case's person, from one run of the fact statements."""
    raw: dict[str, list[Raw]] = {name: [] for name in SOURCES}
    people = {}
    for number, (case, (rows, _)) in enumerate(CASES.items()):
        digits = f"360402{rows.get('born', '19800101')}{number:03d}"
        person = digits + compute_check_character(digits)
        people[digits] = case
        lives = {"resident_id": person, "residence_district": "330203", "status": "resident"}
        raw["registry"].append(lives | rows.get("registry", {}))
        for name in rows.keys() - {"born", "registry"}:
            source = SOURCES[name]
            for index, row in enumerate(rows[name]):
                raw[name].append(
                    dict.fromkeys(source.key, f"{number}-{index}") | {source.person: person} | row
                )
    clean = {}
    for name, lines in raw.items():
        extract = clean_extract(SOURCES[name], lines, MONTH, ["330203", "330211"])
        assert not extract.refused, (name, extract.refused)
        clean[name] = [(MONTH, row) for row in extract.clean]
    folder = tmp_path_factory.mktemp("facts")
    with open_engine(EngineSettings("500MB", 1), folder / "spill") as engine:
        folders = write_clean(folder / "clean", clean)
        reference = write_reference(folder / "reference", TABLES)
        inputs = FactInputs(SOURCES, folders, reference, [])
        build_fact_table(engine, inputs, MonthParams(MONTH, b"key"), folder)
    return {
        people[row["resident_id"][:17]]: row for row in pq.read_table(folder / "facts").to_pylist()
    }


@pytest.mark.promises(
    {
        "points-56": "A month posted ahead counts once it has come",
        "points-58": "A birthday in the month scored has been reached",
        "points-59": "Last n months: after the last day of M-n, up to the scoring date",
        "points-60": "Current: began by the scoring date, no end or an end on it or later",
        "points-61": "A new window, or a clip per record, is a line of the source's file",
        "points-65": "age: full years, from the ID",
        "points-66": "residence_months: full months since registered_on",
        "points-67": "permit_held: issued <= scoring date <= valid to; without an end not held",
        "points-68": "permit_months while held, else 0; both permit dates from this month's row",
        "points-69": "pension_months, medical_months: distinct insured months up to M",
        "points-70": "pension_last_month, gap (0 = M paid, null if never), run",
        "points-71": "insured_now: gap at most 1",
        "points-72": "degree: the highest",
        "points-73": "skill: titles and skills on one ladder, given as level_n",
        "points-74": "tenure: best current, owned > public_rental > rented > dormitory > none",
        "points-75": "owns_home: a current owned record",
        "points-76": "rental_*: newest from_on, then largest record_id as text; months since then",
        "points-78": "employed_months: since the current contract that began first",
        "points-79": "shortage_job: occupation of a current contract on this year's list",
        "points-80": "jobs_created: sum over current contracts",
        "points-81": "patents_*: granted, by kind",
        "points-82": "honours_* of 60 months; honour_level the highest of them",
        "points-83": "service_hours_24m",
        "points-84": "service_hours_by_year: five calendar years up to the scoring date's",
        "points-85": "blood_ml: whole blood plus 200 a platelet unit, ever",
        "points-86": "donations: marrow and organ, ever",
        "points-87": "dishonesty_*: recorded and not cleared by the scoring date",
        "points-88": "penalties 24, detentions 60, crimes 120 months",
        "points-89": "awards: district:indicator to points, in quota, 24 months",
        "points-91": "frozen: open serious dishonesty, or a crime in 120 months",
    }
)
@pytest.mark.proves("points-77")
@pytest.mark.parametrize("case", CASES)
def test_a_fact_is_what_the_rows_say(case: str, known: Mapping[str, Mapping[str, Any]]) -> None:
    wanted = CASES[case][1]
    assert {name: known[case][name] for name in wanted} == wanted


def test_every_fact_of_one_row_is_tested_by_hand() -> None:
    """Children due have a chapter of their own in the manual."""
    tested = {name for _, facts in CASES.values() for name in facts}
    declared = {name for source in SOURCES.values() for name in source.facts}
    assert {name for name in declared - tested if not name.startswith("children_due")} == set()


@pytest.mark.promise(
    "points-62", "Unknown person: 0, no, `none`, listed nulls; maps and lists empty, never null"
)
@pytest.mark.promise("points-63", "The same when rows exist and none qualifies")
def test_rows_that_do_not_count_change_no_fact(known: Mapping[str, Mapping[str, Any]]) -> None:
    names = [name for source in SOURCES.values() for name in source.facts]
    nobody = {name: known["nobody has heard of"][name] for name in names}
    assert {name: known["nothing that counts"][name] for name in names} == nobody
    assert {name for name in names if nobody[name] is None} == NULLS
    assert all(
        nobody.pop(name) == [] for name in ("service_hours_by_year", "awards", "children_due")
    )
    assert (nobody.pop("age"), nobody.pop("tenure")) == (41, "none")
    assert {value for value in nobody.values() if value is not None} == {
        0
    }  # and no: the same in Python


@pytest.mark.promise(
    "points-55", "Rows dated after the scoring date do not count (cleaning refuses them)"
)
def test_only_end_dates_and_corrections_may_be_in_the_future() -> None:
    """Other days after the scoring date are refused: what has not happened never comes to be counted."""
    ahead = {
        f"{source.source}.{name}"
        for source in DECLARED.values()
        for name, c in source.columns.items()
        if c.future
    }
    ends = {"registry.permit_valid_to", "employment.ended_on", "housing.to_on"}
    assert ahead == ends | {"corrections.valid_from", "corrections.valid_to"}
