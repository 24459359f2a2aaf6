"""One reminder per cycle over months, re-runs, late months and backfills.

`repeat` reminds again; `--send` overrides.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from expectations.month import Month
from tests.support.services_town import STANDING, Town, resident
from transforms.reminders.build import may_add_reminders
from transforms.reminders.models import StandingReminder

NEWCOMER = resident(1, residence_months=6)
SECOND = resident(2, residence_months=6)


def repeating(months: int) -> list[StandingReminder]:
    return [
        r.model_copy(update={"repeat": months}) for r in STANDING if r.kind == "permit_application"
    ]


@pytest.mark.promise("points-155", "A re-run keeps the replaced list and marks what it adds")
def test_a_rerun_keeps_the_list_and_marks_what_it_adds(town: Town) -> None:
    first = town.publish("2021-10", NEWCOMER)
    again = town.publish("2021-10", NEWCOMER, SECOND)
    assert [row for row in again if row["added_in"] == 1] == first
    assert [row["resident_id"] for row in again if row["added_in"] == 2] == [SECOND.resident_id]
    assert town.made and (town.made.listed, town.made.added) == (
        {"permit_application": 2},
        {"permit_application": 1},
    )


@pytest.mark.proves("points-155")
def test_a_rerun_keeps_what_no_longer_holds(town: Town) -> None:
    """The message has gone out: a list that forgot it would be wrong."""
    first = town.publish("2021-10", NEWCOMER)
    moved = resident(1, "330282", residence_months=6, name="改名")
    assert town.publish("2021-10", moved) == first
    assert town.publish("2021-10") == first


@pytest.mark.slow
@pytest.mark.promise(
    "points-154", "Sent = in any published revision, replaced too, of another month"
)
def test_reminders_of_replaced_revisions_count_as_sent(town: Town) -> None:
    """Even if the revision in force had lost it: no list of another month is overlooked."""
    town.publish("2021-09")
    town.publish("2021-10", NEWCOMER)
    town.publish("2021-10", NEWCOMER)
    nothing = town.path(Month.parse("2021-09"), 1, "reminders").read_bytes()
    town.path(Month.parse("2021-10"), 2, "reminders").write_bytes(nothing)
    assert town.publish("2021-11", NEWCOMER) == []


@pytest.mark.proves("points-158")
def test_only_the_newest_month_may_add_reminders() -> None:
    october, november, december = Month.span(Month.parse("2021-10"), Month.parse("2021-12"))
    assert (
        may_add_reminders(november, [])
        and may_add_reminders(november, [october, november])
        and may_add_reminders(december, [october, november])
    )
    assert not may_add_reminders(october, [october, november]) and not may_add_reminders(
        november, [october], last=False
    )
    assert may_add_reminders(october, [november], send=True) and may_add_reminders(
        october, [], last=False, send=True
    )


@pytest.mark.proves("points-153")
def test_repeat_looks_at_later_months_too(tmp_path: Path) -> None:
    town = Town(tmp_path, standing=repeating(3))
    town.publish("2021-12", NEWCOMER)
    assert town.publish("2021-10", NEWCOMER, send=True) == []
    assert len(town.publish("2021-09", NEWCOMER, send=True)) == 1


def test_equal_inputs_make_equal_bytes(tmp_path: Path) -> None:
    people = [resident(n, residence_months=6) for n in range(20)]
    lists = []
    for folder, order in ((tmp_path / "a", people), (tmp_path / "b", people[::-1])):
        town = Town(folder)
        town.publish("2021-10", *order)
        lists.append(town.path(Month.parse("2021-10"), 1, "reminders").read_bytes())
    assert lists[0] == lists[1]
