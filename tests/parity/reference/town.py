"""Months of reminder lists in plain Python, one after the other.

What is sent once, what a re-run keeps, and which month may add reminders.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from expectations.month import Month
from expectations.source_model import Fact
from tests.parity.reference.services import (
    ReminderMonth,
    Row,
    ScoredResident,
    decide_services,
    list_reminders,
)
from transforms.reminders.models import StandingReminder
from transforms.services.models import Service


@dataclass
class PlainTown:
    """Publishes months as a city does, and remembers every list of every revision.

    calendar: (district, year, level) to the first and last day of enrolment.
    """

    services: Sequence[Service]
    standing: Sequence[StandingReminder]
    key: bytes
    facts: Mapping[str, Fact]
    districts: Mapping[str, str]
    calendar: Mapping[tuple[str, int, str], tuple[dt.date, dt.date]]
    lists: dict[Month, list[list[Row]]] = field(default_factory=dict)
    eligible: dict[Month, set[tuple[str, str]]] = field(default_factory=dict)

    def publish(
        self, text: str, *residents: ScoredResident, last: bool = True, send: bool = False
    ) -> list[Row]:
        """Run a month with these residents; its reminder list, in the contract's order."""
        month = Month.parse(text)
        kept = self.lists[month][-1] if month in self.lists else []
        if send or (last and all(month >= other for other in self.lists)):
            found = list_reminders(
                residents, self.services, self.standing, self._month(month, kept)
            )
        else:
            found = kept
        self.lists.setdefault(month, []).append(sorted(found, key=_place))
        self.eligible[month] = {
            (one.resident_id, row["service"])
            for one in residents
            for row in decide_services(one, self.services, month.last_day)
            if row["eligible"]
        }
        return self.lists[month][-1]

    def _month(self, month: Month, kept: list[Row]) -> ReminderMonth:
        sent = [
            (other.last_day, row["reminder_id"])
            for other, revisions in self.lists.items()
            for rows in revisions
            for row in rows
            if other != month
        ]
        revision = len(self.lists.get(month, [])) + 1
        before = self.eligible.get(month - 1)
        return ReminderMonth(
            month.last_day,
            revision,
            self.key,
            self.calendar,
            self.facts,
            self.districts,
            before,
            sent,
            kept,
        )


def _place(row: Row) -> tuple[Any, ...]:
    return (
        row["district"],
        row["kind"],
        row["service"] or "",
        row["resident_id"],
        row["reminder_id"],
    )
