"""Cases of the plain reference worked out by hand: values, rows of a key, rows that count, facts."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from stdnum.cn import ric

from expectations.month import Month
from expectations.source_loader import load_sources
from tests.parity.reference.facts import compute_facts, count_full_months
from tests.parity.reference.national_id import compute_check_character, normalise_id, to_full_width
from tests.parity.reference.rows import Tables
from tests.parity.reference.values import RawRow, clean_extract, parse_row

SOURCES = load_sources()
MONTH = Month.parse("2021-10")
DISTRICTS = ("330211", "330212")
ANNA, BERT = "330212198004010017", "360100196010310028"
ANNA, BERT = (
    ANNA[:17] + compute_check_character(ANNA[:17]),
    BERT[:17] + compute_check_character(BERT[:17]),
)
NO_TABLES: Tables = {
    "community_rents": [],
    "shortage_occupations": [],
    "award_quotas": [],
    "grantor_people": [],
}
D = Decimal


def reasons(source: str, **raw: str | None) -> set[str]:
    return parse_row(SOURCES[source], raw, MONTH, DISTRICTS).reasons


def known(month: Month = MONTH, tables: Tables = NO_TABLES, **rows: list[RawRow]) -> dict[str, Any]:
    """Facts of Anna, a resident, from raw rows received in the month scored."""
    rows.setdefault(
        "registry", [{"resident_id": ANNA, "residence_district": "330212", "status": "resident"}]
    )
    clean = {
        name: [
            (MONTH, row) for row in clean_extract(SOURCES[name], extract, MONTH, DISTRICTS).clean
        ]
        for name, extract in rows.items()
    }
    return compute_facts(SOURCES, clean, month, tables)[ANNA]


def posting(
    month: str, kind: str, on: str, employer: str = "E1", insurance: str = "pension"
) -> RawRow:
    common = {"resident_id": ANNA, "district": "330212", "insurance": insurance}
    return {**common, "month": month, "kind": kind, "posted_on": on, "employer_id": employer}


@pytest.mark.promise("outputs-66", "A resident ID: 18 characters, check character MOD 11-2")
@pytest.mark.proves("sources-50")
def test_check_characters_are_those_of_the_standard() -> None:
    assert compute_check_character("11010519491231002") == "X"  # the standard's own example
    assert ric.calc_check_digit("11010519491231002X") == "X"
    assert all(
        compute_check_character(i[:17]) == ric.calc_check_digit(i) == i[17] for i in (ANNA, BERT)
    )


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("11010519491231002x", "11010519491231002X"),
        (to_full_width("11010519491231002X"), "11010519491231002X"),
        (" 110105 19491231\u3000002X\ufeff", "11010519491231002X"),
        ("110105491231002", "11010519491231002X"),
        ("110105194912310021", None),  # wrong check character
        ("11010519491231002", None),  # its check character is missing
        ("110105194913310020", None),
        ("1101051949123100200", None),
        ("", None),
    ],
)
def test_ids_are_normalised(written: str, meant: str | None) -> None:
    assert normalise_id(written, MONTH.last_day) == meant


@pytest.mark.parametrize(
    ("born", "is_valid"),
    [("19000101", True), ("18991231", False), ("20000229", True), ("19000229", False), ("20211031", True), ("20211101", False)],
)  # fmt: skip
def test_birth_dates_exist_and_are_not_in_the_future(born: str, is_valid: bool) -> None:
    first = f"330212{born}001"
    assert (
        normalise_id(first + compute_check_character(first), MONTH.last_day) is not None
    ) == is_valid


def test_every_reason_is_found() -> None:
    valid = {
        "resident_id": ANNA,
        "event_id": "e",
        "kind": "platelets",
        "on_date": "20211031",
        "quantity": "2",
        "status": "有效",
    }
    assert reasons("volunteer", **valid) == set()
    for change, wanted in (
        ({"resident_id": ANNA[:17] + "A"}, "resident_id:bad_id"),
        ({"resident_id": " "}, "resident_id:missing"),
        ({"event_id": "\u200b"}, "event_id:missing"),
        ({"quantity": "1e0"}, "quantity:bad_value"),
        ({"quantity": "3"}, "quantity:not_in_set"),
        ({"kind": "service", "quantity": "24.01"}, "quantity:out_of_range"),
        ({"kind": "service", "quantity": "0"}, "quantity:out_of_range"),
        ({"kind": "bloood"}, "kind:not_in_set"),
        ({"on_date": "2021-11-01"}, "on_date:in_future"),
        ({"on_date": "1/10/2021"}, "on_date:day_first"),
        ({"on_date": "2021-02-29"}, "on_date:bad_value"),
    ):
        assert reasons("volunteer", **{**valid, **change}) == {wanted}, change
    assert reasons("volunteer") == {
        f"{n}:missing" for n in ("event_id", "resident_id", "kind", "on_date", "quantity", "status")
    }
    case = {
        "case_id": "c",
        "resident_id": ANNA,
        "target": "age",
        "valid_from": "2030-01-01",
        "decided_on": "2021-10-01",
    }
    assert reasons("corrections", **case, decision="upheld") == {"value:missing"}
    assert reasons("corrections", **case, decision="rejected") == set()
    assert reasons("corrections", **case, decision="rejected", valid_to="2029-12-31") == {
        "valid_to:too_early"
    }
    assert reasons("social_security", **posting("2022-10", "paid", "2021-10-01")) == set()
    assert reasons("social_security", **posting("2022-11", "paid", "2021-10-01")) == {
        "month:in_future"
    }
    assert reasons("social_security", **posting("1980-04", "paid", "2021-10-01")) == set()
    assert reasons("social_security", **posting("1980-03", "paid", "2021-10-01")) == {
        "month:before_birth"
    }
    before_1980 = {**posting("1979-12", "paid", "2021-10-01"), "resident_id": BERT}
    assert reasons("social_security", **before_1980) == {"month:out_of_range"}


def test_an_invalid_optional_value_is_nulled() -> None:
    raw = {
        "resident_id": ANNA,
        "residence_district": "330212",
        "status": "在住",
        "updated_on": "tomorrow",
    }
    row = parse_row(
        SOURCES["registry"],
        {**raw, "permit_issued_on": "2021-05-02", "permit_valid_to": "2021-05-01"},
        MONTH,
        DISTRICTS,
    )
    assert row.reasons == set()
    assert row.defects == {
        "updated_on:bad_value",
        "permit_issued_on:too_early",
        "permit_valid_to:too_early",
    }
    assert (
        row.values["permit_issued_on"],
        row.values["permit_valid_to"],
        row.values["status"],
    ) == (
        None,
        None,
        "resident",
    )


def test_newest_update_wins_in_the_registry_later_row_elsewhere() -> None:
    base = {"resident_id": ANNA, "residence_district": "330212", "status": "resident"}
    dates = ["2021-03-01", "2021-05-01", "", "2021-05-01", "2021-04-01"]
    found = clean_extract(
        SOURCES["registry"], [{**base, "updated_on": day} for day in dates], MONTH, DISTRICTS
    )
    assert (len(found.clean), found.superseded, found.clean[0]["updated_on"]) == (
        1,
        [0, 1, 2, 4],
        dt.date(2021, 5, 1),
    )
    patent = {
        "patent_no": "p",
        "resident_id": ANNA,
        "kind": "design",
        "granted_on": "2021-01-01",
        "status": "valid",
    }
    rows = [patent, {**patent, "kind": "invention"}, {**patent, "status": "gone"}]
    found = clean_extract(SOURCES["patents"], rows, MONTH, DISTRICTS)
    assert ([row["kind"] for row in found.clean], found.superseded, list(found.refused)) == (
        ["invention"],
        [0],
        [2],
    )


@pytest.mark.promise(
    "points-57", "A period is complete on the corresponding day, or the month's last"
)
@pytest.mark.parametrize(
    ("begun", "as_of", "months"),
    [
        ("2021-01-31", "2021-02-28", 1),  # no 31 February: complete on the month's last day
        ("2020-02-29", "2021-02-28", 12),
        ("2021-10-01", "2021-10-31", 0),
        ("2021-09-30", "2021-10-31", 1),
        ("2021-10-31", "2021-11-30", 1),
        ("2021-11-01", "2021-10-31", 0),
    ],
)
def test_full_months_follow_the_civil_code(begun: str, as_of: str, months: int) -> None:
    assert count_full_months(dt.date.fromisoformat(begun), dt.date.fromisoformat(as_of)) == months


@pytest.mark.proves("points-62")
def test_an_unknown_person_has_nothing() -> None:
    found = known()
    nulls = {name for name, value in found.items() if value is None}
    assert nulls == {
        "degree", "skill", "honour_level", "pension_last_month", "pension_gap_months", "rental_district",
        "rental_community", "rental_rent", "market_rent", "permit_issued_on", "permit_valid_to",
        "registered_on", "registered_year",
    }  # fmt: skip
    assert (found["age"], found["tenure"], found["insured_now"], found["awards"]) == (
        41,
        "none",
        False,
        {},
    )


@pytest.mark.proves("sources-83", "sources-84", "points-56", "points-69")
def test_the_newest_posting_of_each_employer_decides() -> None:
    found = known(
        social_security=[
            posting("2021-09", "paid", "2021-09-10"),
            posting("2021-09", "reversed", "2021-09-10"),  # a tie: reversed
            posting("2021-08", "paid", "2021-09-11"),
            posting("2021-08", "reversed", "2021-09-10"),  # superseded by the payment
            posting("2021-07", "reversed", "2021-09-10"),
            posting("2021-07", "paid", "2021-07-10", employer=""),  # another employer's stands
            posting("2021-05", "paid", "2021-07-10"),
            posting("1999-01", "paid", "2021-07-10"),
            posting("2021-11", "paid", "2021-10-10"),  # has not come yet
            posting("2021-10", "paid", "2021-10-10", insurance="medical"),
        ]
    )
    assert [found[f"pension_{name}"] for name in ("months", "gap_months", "run_months")] == [
        4,
        2,
        2,
    ]
    assert (found["pension_last_month"], found["insured_now"]) == (dt.date(2021, 8, 1), False)
    assert found["medical_months"] == 1


@pytest.mark.proves("points-59", "points-87")
def test_windows_begin_after_the_previous_month_end() -> None:
    def crime(on: str, **more: str) -> RawRow:
        row = {
            "event_id": on,
            "resident_id": ANNA,
            "kind": "penalty",
            "level": "general",
            "on_date": on,
        }
        return {**row, "status": "valid", **more}

    found = known(
        credit=[
            crime("2019-10-31"),
            crime("2019-11-01"),
            crime("2021-10-31"),
            crime("2021-10-30", status="void"),
        ]
    )
    assert found["penalties_24m"] == 2
    cleared = [crime(f"2021-0{n}-01", kind="dishonesty", level="serious", cleared_on=day)
               for n, day in enumerate(("2021-10-30", "2021-10-31", ""), 1)]  # fmt: skip
    assert (known(credit=cleared)["dishonesty_serious"], known(credit=cleared)["frozen"]) == (
        1,
        True,
    )


@pytest.mark.proves("sources-90", "points-89")
def test_awards_count_while_the_running_sum_is_within_the_quota() -> None:
    def award(number: str, points: str, on: str, **more: str) -> RawRow:
        row = {
            "award_id": number,
            "resident_id": ANNA,
            "district": "330211",
            "indicator": "x",
            "points": points,
        }
        return {
            **row,
            "on_date": on,
            "grantor_kind": "village",
            "grantor_id": "V",
            "status": "valid",
            **more,
        }

    quota = [{"grantor_id": "V", "year": "2021", "points": "10"}]
    found = known(
        tables={**NO_TABLES, "award_quotas": quota},
        local_awards=[
            award("b", "4", "2021-03-01"),
            award("a", "5", "2021-03-01", resident_id=BERT),
            award("c", "3", "2021-04-01"),  # 12 in all
            award("d", "1", "2021-05-01"),  # the sum stays above
            award("e", "30", "2021-01-01", status="void"),
            award("f", "0.5", "2020-01-01"),  # no quota that year
            award("g", "7", "2021-06-01", grantor_kind="district", indicator="y"),
        ],
    )
    assert found["awards"] == {"330211:x": D(4), "330211:y": D(7)}


@pytest.mark.proves("points-64")
def test_newest_valid_correction_counts_and_derived_facts_follow() -> None:
    def case(number: str, value: str, decided: str, **more: str) -> RawRow:
        row = {
            "case_id": number,
            "resident_id": ANNA,
            "target": "fact:dishonesty_serious",
            "decision": "upheld",
        }
        return {**row, "value": value, "valid_from": "2021-10-31", "decided_on": decided, **more}

    assert (
        known(corrections=[case("1", "2", "2021-10-01"), case("2", "3", "2021-10-01")])[
            "dishonesty_serious"
        ]
        == 3
    )
    assert known(corrections=[case("1", "2", "2021-10-01")])["frozen"] is True
    not_yet = [
        case("1", "1", "2021-10-01", valid_from="2021-11-01"),
        case("2", "1", "2021-10-01", decision="rejected"),
    ]
    over = case("3", "1", "2021-10-01", valid_from="2021-01-01", valid_to="2021-10-30")
    assert known(corrections=[*not_yet, over])["dishonesty_serious"] == 0
    assert (
        known(corrections=[case("1", "0.5", "2021-10-01")])["dishonesty_serious"] == 0
    )  # no number of records
    assert (
        known(corrections=[case("1", "1", "2021-10-01", target="fact:owns_home")])["owns_home"]
        is True
    )


@pytest.mark.promise("sources-87", "a child's birth date comes from its ID")
@pytest.mark.proves("points-90")
def test_children_turn_six_or_twelve_by_the_coming_31_august() -> None:
    def child(born: str, enrolled: str) -> RawRow:
        first = f"330212{born}001"
        return {
            "child_id": first + compute_check_character(first),
            "guardian_id": ANNA,
            "enrolled": enrolled,
        }

    born_for_primary = (
        "20150831",
        "20150901",
        "20160831",
        "20160901",
    )  # enrolment year 2022: the middle two
    found = known(
        children=[*(child(born, "none") for born in born_for_primary), child("20100101", "primary")]
    )
    assert (found["children_due_primary"], found["children_due_junior_middle"]) == (2, 1)
    assert [(level, year) for _, level, year in found["children_due"]] == [
        ("junior_middle", 2022), ("primary", 2022), ("primary", 2022)
    ]  # fmt: skip


@pytest.mark.promise(
    "sources-99", "dated rows: the newest rent up to the month; the year's list, the year's quota"
)
@pytest.mark.proves("points-76")
def test_newest_rental_and_rent_up_to_the_month_count() -> None:
    def home(number: str, begun: str, **more: str) -> RawRow:
        row = {
            "record_id": number,
            "resident_id": ANNA,
            "tenure": "rented",
            "district": "330212",
            "registered": "是",
        }
        return {**row, "from_on": begun, "community": "甬江苑", **more}

    rents = [
        {"district": "330212", "community": "甬江苑", "from_month": month, "average_rent": rent}
        for month, rent in (("2021-10", "1010"), ("2021-09", "900"), ("2021-11", "2000"))
    ]
    homes = [
        home("9", "2019-10-31"),
        home("10", "2019-10-31", registered="否"),
        home("8", "2021-10-01", to_on="2021-10-30"),
    ]
    found = known(tables={**NO_TABLES, "community_rents": rents}, housing=homes)
    assert (found["rental_registered"], found["rental_months"], found["market_rent"]) == (
        True,
        24,
        D(1010),
    )  # "9" > "10"


def test_hours_and_blood_are_added_up() -> None:
    def event(number: str, kind: str, quantity: str, on: str) -> RawRow:
        row = {"event_id": number, "resident_id": ANNA, "status": "valid"}
        return {**row, "kind": kind, "quantity": quantity, "on_date": on}

    found = known(
        volunteer=[
            event("1", "service", "7.5", "2017-01-01"), event("2", "service", "3", "2016-12-31"),
            event("3", "service", "4", "2021-10-31"), event("4", "service", "0.25", "2021-01-01"),
            event("5", "blood", "300", "2001-01-01"), event("6", "platelets", "2", "2021-01-01"),
        ]
    )  # fmt: skip
    assert found["service_hours_by_year"] == {2017: D("7.5"), 2021: D("4.25")}
    assert (found["service_hours_24m"], found["blood_ml"]) == (D("4.25"), D(700))
