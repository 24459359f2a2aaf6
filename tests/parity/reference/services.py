"""Eligibility, amounts and reminders in plain Python: loops over residents, services and reminders.

Only the declaration models are shared with the SQL. Rows are plain dicts.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from typing import Any

from expectations.source_model import Fact
from tests.parity.reference.expressions import evaluate_expression, is_condition_met
from transforms.reminders.models import Reminder, ServiceReminder, StandingReminder
from transforms.services.models import Service, ServiceVersion

LEVELS = {"primary": "小学", "junior_middle": "初中"}
LONG_SURNAMES = ("欧阳", "司马", "诸葛")
Row = dict[str, Any]


@dataclass(frozen=True)
class ScoredResident:
    """One person on the scoring date: who they are, all facts and all points by column."""

    resident_id: str
    district: str
    name: str | None
    phone: str | None
    facts: Mapping[str, Any]
    points: Mapping[str, Decimal]

    def known(self, as_of: dt.date) -> dict[str, Any]:
        return {**self.facts, **self.points, "as_of": as_of, "district": self.district}


@dataclass(frozen=True)
class ReminderMonth:
    """What else decides a month's reminders.

    eligible_before: None when the month before is not published.
    calendar: (district, year, level) to the first and last day.
    sent: (month, reminder_id) of the lists of other months.
    """

    as_of: dt.date
    revision: int
    key: bytes
    calendar: Mapping[tuple[str, int, str], tuple[dt.date, dt.date]]
    facts: Mapping[str, Fact]
    districts: Mapping[str, str]
    eligible_before: set[tuple[str, str]] | None = None
    sent: Sequence[tuple[dt.date, str]] = ()
    kept: Sequence[Row] = field(default_factory=list)


def decide_services(
    resident: ScoredResident, services: Iterable[Service], as_of: dt.date
) -> list[Row]:
    """The resident's rows of eligibility, by service; without ranks."""
    rows = []
    for service in sorted(services, key=lambda one: one.service):
        version = find_version(service, as_of)
        if version and (row := _decided(resident, version, as_of)):
            rows.append({"service": service.service, "district": resident.district, **row})
    return rows


def find_version(service: Service, as_of: dt.date) -> ServiceVersion | None:
    """The version in force."""
    begun = [version for version in service.versions if version.begins <= as_of]
    return max(begun, key=lambda one: one.begins) if begun else None


def _decided(resident: ScoredResident, version: ServiceVersion, as_of: dt.date) -> Row | None:
    if version.subject == "child" or not may_have(resident, version, as_of):
        return None
    known = resident.known(as_of)
    score = compute_score(resident, version, as_of)
    return {
        **compare_with_threshold(score, version, resident.district),
        "monthly_amount": compute_amount(version, known),
    }


def may_have(resident: ScoredResident, version: ServiceVersion, as_of: dt.date) -> bool:
    """Whether the service is open to the resident's district and all conditions hold."""
    if version.districts != "all" and resident.district not in version.districts:
        return False
    known = resident.known(as_of)
    return all(is_condition_met(condition.when, known) for condition in version.conditions)


def compute_score(resident: ScoredResident, version: ServiceVersion, as_of: dt.date) -> Decimal:
    """What the service counts of a resident, exact."""
    known = resident.known(as_of)
    in_sums = known | {name: Decimal(0) for name, given in resident.points.items() if given is None}
    score = Decimal(evaluate_expression(version.points.score, in_sums) or 0)
    return score * next(
        (
            one.times
            for one in version.points.multipliers
            if one.when is None or is_condition_met(one.when, known)
        ),
        Decimal(1),
    )


def compare_with_threshold(score: Decimal, version: ServiceVersion, district: str) -> Row:
    """What a score lacks of the district's threshold, and how it is shown."""
    numbers = version.points.threshold
    short = (numbers[district] if district in numbers else numbers["default"]) - score
    return {
        "eligible": short <= 0,
        "points_short": max(Decimal(short).quantize(Decimal("0.01"), ROUND_CEILING), Decimal(0)),
        "score": score.quantize(Decimal("0.01"), ROUND_FLOOR),
    }


def compute_amount(version: ServiceVersion, known: Mapping[str, Any]) -> Decimal | None:
    """What the service pays a month."""
    if version.amount is None:
        return None
    value = evaluate_expression(version.amount.monthly, known)
    step = Decimal(1) if version.amount.rounding == "yuan" else Decimal("0.01")
    return None if value is None else Decimal(value).quantize(step, ROUND_HALF_UP)


def list_reminders(
    residents: Iterable[ScoredResident],
    services: Sequence[Service],
    standing: Iterable[StandingReminder],
    month: ReminderMonth,
) -> list[Row]:
    """Return the list of a month that may add reminders: those kept, then those not sent before."""
    kept = {row["reminder_id"] for row in month.kept}
    due = [
        row
        for resident in residents
        for row in (*_standing(resident, standing, month), *_of_services(resident, services, month))
        if row["reminder_id"] not in kept
    ]
    return [
        *month.kept,
        *(
            {name: row[name] for name in row if name != "repeat"}
            for row in due
            if not _was_sent(row, month)
        ),
    ]


def _was_sent(row: Row, month: ReminderMonth) -> bool:
    """Whether another month sent it; with `repeat`, a month less than that many months away."""
    away = [
        abs(_ordinal(month.as_of) - _ordinal(day))
        for day, reminder_id in month.sent
        if reminder_id == row["reminder_id"]
    ]
    return bool(away) and (row["repeat"] is None or min(away) < row["repeat"])


def _ordinal(day: dt.date) -> int:
    return day.year * 12 + day.month


def _standing(
    resident: ScoredResident, standing: Iterable[StandingReminder], month: ReminderMonth
) -> Iterator[Row]:
    for reminder in standing:
        known = resident.known(month.as_of)
        if is_condition_met(reminder.who, known):
            yield _row(resident, reminder, None, known, month)


def _of_services(
    resident: ScoredResident, services: Sequence[Service], month: ReminderMonth
) -> Iterator[Row]:
    eligible = {
        row["service"]: row
        for row in decide_services(resident, services, month.as_of)
        if row["eligible"]
    }
    for service in services:
        reminder = service.reminder
        if reminder is None or service.service not in eligible:
            continue
        if reminder.newly and (
            month.eligible_before is None
            or (resident.resident_id, service.service) in month.eligible_before
        ):
            continue
        known = resident.known(month.as_of) | {
            "monthly_amount": eligible[service.service]["monthly_amount"]
        }
        for more in _children(resident, reminder, month):
            if reminder.who is None or is_condition_met(reminder.who, known | more):
                yield _row(resident, reminder, service, known | more, month)


def _children(
    resident: ScoredResident, reminder: ServiceReminder, month: ReminderMonth
) -> Iterator[Row]:
    """What a reminder for every child knows besides: the child, and the window of the district the family lives in."""
    if reminder.each != "child":
        yield {}
        return
    for child in resident.facts["children_due"]:
        window = month.calendar.get((resident.district, child["enrolment_year"], child["level"]))
        if window:
            yield {"opens_on": window[0], "closes_on": window[1], "one_child": child}


def _row(
    resident: ScoredResident,
    reminder: Reminder,
    service: Service | None,
    known: Mapping[str, Any],
    month: ReminderMonth,
) -> Row:
    cycle = (f"{service.service}:" if service else "") + _cycle(reminder, known)
    message = f"{reminder.kind}|{resident.resident_id}|{cycle}"
    return {
        "reminder_id": hmac.new(month.key, message.encode(), hashlib.sha256).hexdigest(),
        "added_in": month.revision,
        "month": month.as_of.replace(day=1),
        "kind": reminder.kind,
        "service": service.service if service else None,
        "resident_id": resident.resident_id,
        "name": resident.name,
        "phone": resident.phone,
        "district": resident.district,
        "due_on": known[reminder.due_on] if reminder.due_on else None,
        "text": _text(resident, reminder, service, known, month),
        "attempt": 1,
        "last_outcome": None,
        "repeat": reminder.repeat,
    }


def _cycle(reminder: Reminder, known: Mapping[str, Any]) -> str:
    as_of = known["as_of"]
    if reminder.cycle == "once":
        return "once"
    if reminder.cycle == "year":
        return str(as_of.year)
    if reminder.cycle == "month":
        return f"{as_of:%Y-%m}"
    if reminder.cycle == "child":
        return f"{known['one_child']['child']}:{known['one_child']['enrolment_year']}"
    day = known[reminder.cycle]
    return "" if day is None else day.isoformat()


def _text(
    resident: ScoredResident,
    reminder: Reminder,
    service: Service | None,
    known: Mapping[str, Any],
    month: ReminderMonth,
) -> str:
    words = {name: _said(value, month.facts.get(name)) for name, value in known.items()}
    words |= {"name": _masked(resident.name), "district": month.districts[resident.district]}
    if reminder.due_on:
        words["due_on"] = words[reminder.due_on]
    if service:
        words["service"] = service.title
    if "one_child" in known:
        words["level"] = LEVELS[known["one_child"]["level"]]
    return reminder.text.format_map(words)


def _said(value: Any, fact: Fact | None) -> str:
    if value is None:
        return "（待核定）"
    if isinstance(value, dt.date):
        day = "" if fact and fact.unit == "month" else f"{value.day}日"
        return f"{value.year}年{value.month}月{day}"
    if isinstance(value, int | Decimal):
        text = f"{Decimal(value):.2f}"
        return text.rstrip("0").rstrip(".")
    return str(value)


def _masked(name: str | None) -> str:
    if not name:
        return "居民"
    return (name[:2] if len(name) > 2 and name[:2] in LONG_SURNAMES else name[0]) + "**"
