"""The pocket companion (随身宝): everything that holds for a person, in one list, nearest first."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reports.explain.text import StatementWriter, describe_forecasts
from reports.statements.model import ServiceLine, StatementRow, StatementTexts

_NEVER = 1_000
"""Months that stand for: not by time alone."""


@dataclass(frozen=True)
class PersonReminder:
    """A reminder of the month's list: by when, if there is a date, and what it says."""

    due_on: dt.date | None
    text: str


@dataclass(frozen=True)
class CompanionEntry:
    """One thing of the list; `forecast`: when it will be reached, if time brings it."""

    title: str
    reached: bool
    state: str
    forecast: str = ""


def list_companion(
    writer: StatementWriter,
    row: StatementRow,
    texts: StatementTexts,
    months: Mapping[str, int | None],
    reminders: Sequence[PersonReminder],
) -> list[CompanionEntry]:
    """Return what holds for a person now, then what is nearest.

    Services that are reached; reminders, the first due first; then services by how many conditions
    do not hold, the months until they are reached, and the points that lack; last those that the
    district does not have.

    Args:
        writer: Writes what services say.
        row: The person's row.
        texts: The words of its month.
        months: Service -> months until it is reached (`forecast_services`).
        reminders: Those that the month's list has for the person.
    """
    lines = {one.code: one for one in row.services}
    forecasts = describe_forecasts(months, row, texts)
    services = [
        (
            _rank(lines.get(one.code), months),
            CompanionEntry(
                one.title, one.reached, writer.describe_service(one), forecasts.get(one.code, "")
            ),
        )
        for one in writer.found.services
    ]
    ordered = [entry for _, entry in sorted(services, key=lambda pair: pair[0])]
    due = sorted(reminders, key=lambda one: (one.due_on or dt.date.max, one.text))
    return [
        *(entry for entry in ordered if entry.reached),
        *(CompanionEntry("提醒", False, one.text) for one in due),
        *(entry for entry in ordered if not entry.reached),
    ]


def _rank(
    line: ServiceLine | None, months: Mapping[str, int | None]
) -> tuple[bool, int, int, float]:
    """Return what puts the nearest service first; one that the district does not have is last."""
    if line is None:
        return True, _NEVER, _NEVER, 0.0
    after = months.get(line.code)
    wait = _NEVER if after is None else after
    return not line.reached, len(line.unmet), wait, float(line.points_short)
