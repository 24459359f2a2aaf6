"""A reminder list: its columns, the identity of a reminder, and no needless personal data.

The manual shows who gets each kind of reminder (`tests/spec/27_reminders` and after).
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac

import pytest

from expectations.month import Month
from tests.support.services_town import KEY, Town, child, resident
from transforms.outputs import REMINDER_COLUMNS


@pytest.mark.proves("points-162", "points-169")
def test_a_reminder_about_a_child_does_not_name_it(town: Town) -> None:
    due = [child(1, "primary", 2022), child(2, "primary", 2022), child(3, "junior_middle", 2022)]
    who = resident(
        1, "330203", "50", permit_held=True, insured_now=True, pension_run_months=6, children_due=due,
        children_due_primary=2, children_due_junior_middle=1,
    )  # fmt: skip
    found = [row for row in town.publish("2022-03", who) if row["kind"] == "school_enrolment"]
    assert len({row["reminder_id"] for row in found}) == 3
    assert not any(one["child"] in str(row) for one in due for row in found)


@pytest.mark.proves("points-166")
def test_service_reached_compares_with_the_revision_in_force(town: Town) -> None:
    short, reached = (
        resident(1, "330206", "79", insured_now=True),
        resident(1, "330206", "80", insured_now=True),
    )
    town.publish("2021-10", short)
    town.publish("2021-10", reached)
    assert town.kinds("2021-11", reached) == []


@pytest.mark.proves("points-170")
def test_names_are_literal_and_texts_hold_no_id_or_phone(town: Town) -> None:
    (row,) = town.publish("2021-10", resident(residence_months=6, name="张{name}'三"))
    assert row["text"].startswith("张**：您在本市登记居住已满6个月")
    assert row["name"] == "张{name}'三"
    assert row["resident_id"] not in row["text"] and row["phone"] not in row["text"]


@pytest.mark.promise(
    "points-169", "reminder_id: HMAC of kind, resident, cycle; the cycle is not written"
)
def test_a_reminder_id_hashes_kind_resident_and_cycle(town: Town) -> None:
    (row,) = town.publish("2021-10", resident(residence_months=6))
    message = f"permit_application|{row['resident_id']}|once"
    assert row["reminder_id"] == hmac.new(KEY, message.encode(), hashlib.sha256).hexdigest()


@pytest.mark.promise("points-168", "Columns, in order; added_in is the revision")
@pytest.mark.promise("points-173", "An empty list is a file with its header")
@pytest.mark.promise("outputs-86", "reminders/ are identified, with their columns")
def test_a_list_has_its_columns_and_an_empty_one_too(town: Town) -> None:
    (row,) = town.publish("2021-10", resident(residence_months=6))
    assert list(row) == list(REMINDER_COLUMNS)
    assert (row["added_in"], row["month"], row["service"], row["due_on"]) == (
        1,
        dt.date(2021, 10, 1),
        None,
        None,
    )
    assert (
        town.publish("2021-11") == [] and town.path(Month.parse("2021-11"), 1, "reminders").exists()
    )
