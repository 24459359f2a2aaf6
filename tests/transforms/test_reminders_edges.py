"""Each kind of reminder at its edges: the day before, on, and after; 29 February; moved residents; taken-back events."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from expectations.month import Month
from tests.reference.services import Resident
from tests.transforms.services_town import KEY, Town, child, resident
from transforms.services.reminders import REMINDER_COLUMNS

RENTER = {
    "tenure": "rented", "rental_registered": True, "rental_district": "330212", "insured_now": True,
    "market_rent": Decimal(1010),
}  # fmt: skip
FAMILY = {"permit_held": True, "insured_now": True, "pension_run_months": 6}


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return Town(tmp_path)


def parent(year: int, district: str = "330203", level: str = "primary", children: int = 1, **facts: Any) -> Resident:
    due = [child(n, level, year) for n in range(children)]
    return resident(1, district, "50", **FAMILY, children_due=due, **{f"children_due_{level}": children}, **facts)


def day(text: str | None) -> dt.date | None:
    return dt.date.fromisoformat(text) if text else None


@pytest.mark.parametrize(
    ("month", "valid_to", "told"),
    [
        ("2021-10", "2021-10-30", False), ("2021-10", "2021-10-31", False), ("2021-10", "2021-11-01", True),
        ("2021-10", "2021-12-15", True), ("2021-10", "2021-12-16", False), ("2021-10", None, False),
        ("2024-02", "2024-02-29", False), ("2024-02", "2024-03-01", True), ("2024-02", "2024-04-14", True),
        ("2024-02", "2024-04-15", False), ("2024-01", "2024-02-29", True), ("2023-02", "2023-04-14", True),
        ("2023-02", "2023-04-15", False),
    ],
)  # fmt: skip
def test_permit_endorsement_from_tomorrow_to_the_45th_day(
    town: Town, month: str, valid_to: str | None, told: bool
) -> None:
    who = resident(permit_issued_on=dt.date(2016, 2, 29), permit_valid_to=day(valid_to))
    found = town.publish(month, who)
    assert [(row["kind"], row["due_on"]) for row in found] == ([("permit_endorsement", day(valid_to))] if told else [])


@pytest.mark.parametrize(
    ("months", "issued", "told"), [(5, None, False), (6, None, True), (90, None, True), (6, "2015-01-01", False)]
)
def test_permit_application_after_six_months_without_a_permit(
    town: Town, months: int, issued: str | None, told: bool
) -> None:
    who = resident(residence_months=months, permit_issued_on=day(issued))
    assert town.kinds("2021-10", who) == (["permit_application"] if told else [])


@pytest.mark.parametrize(
    ("gap", "run", "told"),
    [(None, 0, False), (0, 6, False), (1, 6, False), (2, 6, True), (3, 6, True), (4, 6, False), (2, 5, False)],
)
def test_insurance_gap_of_two_or_three_months_after_a_run_of_six(
    town: Town, gap: int | None, run: int, told: bool
) -> None:
    last = None if gap is None else (Month.parse("2021-10") - gap).first_day
    who = resident(pension_gap_months=gap, pension_run_months=run, pension_last_month=last)
    assert town.kinds("2021-10", who) == (["insurance_gap"] if told else [])


@pytest.mark.parametrize(
    ("month", "told"),
    [
        ("2022-01", False),
        ("2022-02", True),
        ("2022-03", True),
        ("2022-04", True),
        ("2022-05", False),
        ("2022-06", False),
    ],
)
def test_school_enrolment_when_the_window_opens_within_sixty_days_and_has_not_closed(
    town: Town, month: str, told: bool
) -> None:
    """海曙, primary 2022: open from 20 April to 31 May."""
    found = town.publish(month, parent(2022))
    assert [(row["kind"], row["due_on"]) for row in found if row["service"] == "school_enrolment"] == (
        [("school_enrolment", dt.date(2022, 5, 31))] if told else []
    )


def test_school_enrolment_is_told_for_each_child_by_level(town: Town) -> None:
    due = [child(1, "primary", 2022), child(2, "primary", 2022), child(3, "junior_middle", 2022)]
    who = resident(1, "330203", "50", **FAMILY, children_due=due, children_due_primary=2, children_due_junior_middle=1)
    found = [row for row in town.publish("2022-03", who) if row["kind"] == "school_enrolment"]
    assert sorted(str(row["due_on"]) for row in found) == ["2022-05-31", "2022-05-31", "2022-06-15"]
    assert len({row["reminder_id"] for row in found}) == 3
    assert not any(one["child"] in str(row) for one in due for row in found)


def test_school_enrolment_follows_the_family_to_the_new_district(town: Town) -> None:
    told = town.publish("2022-03", parent(2022, "330212"))
    assert [row["due_on"] for row in told if row["kind"] == "school_enrolment"] == [dt.date(2022, 5, 26)]
    assert town.kinds("2022-04", parent(2022, "330203")).count("school_enrolment") == 0  # the same child and year


def test_school_enrolment_needs_eligibility_where_the_family_lives(town: Town) -> None:
    short = Resident(**{**vars(parent(2022, "330203")), "points": {"total_points": Decimal("44.99")}})
    assert town.kinds("2022-03", short) == []


def test_without_a_calendar_row_there_is_no_window(town: Town) -> None:
    assert "school_enrolment" not in town.kinds("2022-03", parent(2099))


def test_rent_subsidy_once_in_a_calendar_year_and_again_in_the_next(town: Town) -> None:
    who = resident(1, "330212", "60", **RENTER)
    told = {
        month: town.kinds(month, who).count("rent_subsidy") for month in ("2021-11", "2021-12", "2022-01", "2022-02")
    }
    assert told == {"2021-11": 1, "2021-12": 0, "2022-01": 1, "2022-02": 0}


def test_rent_subsidy_text_is_a_sentence_with_surname_and_amount(town: Town) -> None:
    (row,) = town.publish("2021-10", resident(1, "330212", "60", **RENTER))
    assert (
        row["text"]
        == "张**：您的积分为60分，已达到公租房租赁补贴的要求，每月可领取的补贴金额（元）为404，请携带租赁合同申请。"
    )
    (row,) = town.publish("2021-11", resident(2, "330212", "60.5", **RENTER | {"market_rent": None}))
    assert "为（待核定），" in row["text"]


def test_service_reached_needs_the_month_before_published_and_not_eligible_in_it(town: Town) -> None:
    short, reached = resident(1, "330206", "79", insured_now=True), resident(1, "330206", "80", insured_now=True)
    assert town.kinds("2021-10", reached) == []  # nothing to compare with
    assert town.kinds("2021-11", reached) == []  # was eligible
    assert town.kinds("2021-12", short) == []
    found = town.publish("2022-01", reached)
    assert [(row["kind"], row["service"]) for row in found] == [("service_reached", "recuperation")]
    assert town.kinds("2022-03", short) == [] and town.kinds("2022-05", reached) == []  # April is not published


def test_service_reached_compares_with_the_revision_in_force(town: Town) -> None:
    short, reached = resident(1, "330206", "79", insured_now=True), resident(1, "330206", "80", insured_now=True)
    town.publish("2021-10", short)
    town.publish("2021-10", reached)
    assert town.kinds("2021-11", reached) == []


def test_who_moves_to_another_district_and_stays_eligible_is_not_told_again(town: Town) -> None:
    town.publish("2021-10", resident(1, "330206", "80", insured_now=True))
    assert town.kinds("2021-11", resident(1, "330211", "80", insured_now=True)) == []


def test_who_moves_to_where_a_service_is_open_is_told(town: Town) -> None:
    assert town.kinds("2021-10", resident(1, "330203", "60", **RENTER)) == []
    found = town.publish("2021-11", resident(1, "330212", "60", **RENTER))
    assert [(row["kind"], row["district"]) for row in found] == [("rent_subsidy", "330212")]


def test_a_record_that_was_taken_back_opens_the_service(town: Town) -> None:
    """A crime that turned out void: frozen in October, not in November."""
    town.publish("2021-10", resident(1, "330206", "80", insured_now=True, crimes_120m=1, frozen=True))
    assert town.kinds("2021-11", resident(1, "330206", "80", insured_now=True)) == ["service_reached"]


@pytest.mark.parametrize(
    ("name", "masked"),
    [("张三", "张**"), ("欧阳", "欧**"), ("欧阳修文", "欧阳**"), ("司马光", "司马**"), ("李", "李**"),
     ("阿依古丽·买买提", "阿**"), (None, "居民"), ("", "居民"), ("张{name}'三", "张**")],
)  # fmt: skip
def test_texts_show_the_surname_only(town: Town, name: str | None, masked: str) -> None:
    (row,) = town.publish("2021-10", resident(residence_months=6, name=name))
    assert row["text"].startswith(f"{masked}：您在本市登记居住已满6个月")
    assert row["name"] == name
    assert row["resident_id"] not in row["text"] and row["phone"] not in row["text"]


def test_the_identity_is_a_keyed_hash_of_kind_resident_and_cycle(town: Town) -> None:
    (row,) = town.publish("2021-10", resident(residence_months=6))
    message = f"permit_application|{row['resident_id']}|once"
    assert row["reminder_id"] == hmac.new(KEY, message.encode(), hashlib.sha256).hexdigest()


def test_a_list_has_its_columns_and_an_empty_one_too(town: Town) -> None:
    (row,) = town.publish("2021-10", resident(residence_months=6))
    assert list(row) == list(REMINDER_COLUMNS)
    assert (row["added_in"], row["month"], row["service"], row["due_on"]) == (1, dt.date(2021, 10, 1), None, None)
    assert town.publish("2021-11") == [] and town.path(Month.parse("2021-11"), 1, "reminders").exists()
