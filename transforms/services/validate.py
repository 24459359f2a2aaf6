"""What a service or a reminder may say: every mistake at its place, in a policy writer's words."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from expectations.month import Month
from expectations.source_model import Fact
from transforms.expressions.fact_values import parse_fact_value
from transforms.expressions.kinds import DATE, NUMBER, YES_NO, Kind
from transforms.points.models import CITY, PointsTable
from transforms.points.validate import Mistake, describe_unknown
from transforms.reminders.models import Reminder, ServiceReminder, StandingReminder
from transforms.services.expression_scope import ExpressionScope
from transforms.services.models import (
    ALL,
    DEFAULT,
    Service,
    ServiceExample,
    ServiceVersion,
)
from transforms.services.namespace import (
    WINDOW,
    build_child_names,
    build_reminder_names,
    build_service_names,
    build_text_names,
    list_points_columns_on,
)
from transforms.services.validate_families import validate_example_guardians, validate_guardians
from transforms.services.validate_ranks import validate_multipliers, validate_rank
from transforms.versions import Place


@dataclass(frozen=True)
class ValidationScope:
    """What declarations may refer to: facts by name, points tables by authority, districts."""

    facts: Mapping[str, Fact]
    tables: Mapping[str, PointsTable]
    districts: Mapping[str, str]


def validate_version(
    version: ServiceVersion, ends: dt.date, known: ValidationScope
) -> Iterator[Mistake]:
    """Mistakes of one version of a service, that is in force until the day before `ends`."""
    if version.districts != ALL:
        for index, code in enumerate(version.districts):
            if code not in known.districts:
                yield ("districts", index), *describe_unknown("区县", code, known.districts)
    columns = _list_points_columns(version, ends, known)
    every = frozenset().union(*columns.values())
    names = build_service_names(known.facts, every, known.districts)
    scope = ExpressionScope(names, columns)
    expressions: list[tuple[Place, str, Kind]] = [
        (("points", "score"), version.points.score, NUMBER)
    ]
    expressions += [
        (("conditions", n, "when"), c.when, YES_NO) for n, c in enumerate(version.conditions)
    ]
    if version.amount:
        expressions.append((("amount", "monthly"), version.amount.monthly, NUMBER))
    for place, text, kind in expressions:
        yield from scope.validate_expression(place, text, kind)
    yield from validate_multipliers(version.points.multipliers, scope)
    yield from _validate_comparison(version, scope, known)
    yield from _validate_threshold(version, known)
    for index, example in enumerate(version.examples):
        yield from _validate_service_example(("examples", index), version, example, known, every)


def _validate_comparison(
    version: ServiceVersion, scope: ExpressionScope, known: ValidationScope
) -> Iterator[Mistake]:
    """Mistakes in what takes more than one resident: ranks, and guardians of a child."""
    guardians = version.guardians
    if guardians is not None and guardians.children in known.facts:
        child = build_child_names(known.facts[guardians.children])
        yield from validate_guardians(version, scope.add_names(child), known.facts)
        scope = scope.add_names(child)
    elif guardians is not None:
        yield from validate_guardians(version, scope, known.facts)
    if version.rank is not None:
        yield from validate_rank(version.rank, scope)


def _validate_service_example(
    place: Place,
    version: ServiceVersion,
    example: ServiceExample,
    known: ValidationScope,
    points: frozenset[str],
) -> Iterator[Mistake]:
    day = example.as_of or Month.of(version.begins).last_day
    if known.tables and not list_points_columns_on(known.tables, day):
        first = known.tables[CITY].versions[0].begins
        yield (
            (*place, "as_of") if example.as_of else ("from",),
            f"{day} 时市级积分表尚未生效（最早自 {first} 起）",
            f"请写不早于 {first} 的日期",
        )
    mistaken = list(validate_example_guardians(version, example))
    yield from (((*place, *below), found, meant) for below, found, meant in mistaken)
    if not mistaken:
        yield from _validate_example(place, example.facts, known.facts, points)
    for index, guardian in enumerate(example.guardians):
        given = {name: value for name, value in guardian.items() if name != "district"}
        own = (*place, "guardians", index)
        yield from _validate_example(own, given, known.facts, points)
        yield from _validate_district(own, guardian.get("district", example.district), known)
    yield from _validate_district(place, example.district, known)


def _validate_district(place: Place, district: str, known: ValidationScope) -> Iterator[Mistake]:
    if district not in known.districts:
        yield (*place, "district"), *describe_unknown("区县", district, known.districts)


def validate_service(service: Service, known: ValidationScope) -> Iterator[Mistake]:
    """Mistakes of a service's reminder. What the versions say is checked one by one."""
    reminder = service.reminder
    if reminder is None:
        return
    if any(version.subject == "child" for version in service.versions):
        yield (
            ("reminder",),
            "按子女计的服务（subject: child）没有提醒",
            "请删去；要提醒监护人的，写成 reminders/ 中的常设提醒",
        )
    child = reminder.each == "child"
    names = build_reminder_names(known.facts, known.districts, child=child)
    mistakes = _validate_reminder(
        reminder, names, build_text_names(known.facts, service=True, child=child)
    )
    yield from ((("reminder", *place), found, meant) for place, found, meant in mistakes)
    if child and any(version.window != "school_calendar" for version in service.versions):
        yield ("reminder", "each"), "child", "只有 window: school_calendar 的服务可以按子女提醒"
    elif (
        reminder.cycle == "child"
    ) != child:  # or one child's message would bear the number of another's
        yield ("reminder", "cycle"), f"{reminder.cycle}", "each: child 与 cycle: child 须一同写"


def validate_standing_reminder(
    reminder: StandingReminder, known: ValidationScope
) -> Iterator[Mistake]:
    """Mistakes of a reminder that no service declares."""
    yield from _validate_reminder(
        reminder, build_reminder_names(known.facts, known.districts), build_text_names(known.facts)
    )
    if reminder.cycle == "child":
        yield ("cycle",), "child", "只有服务的提醒可以按子女"
    for index, example in enumerate(reminder.examples):
        yield from _validate_example(("examples", index), example.facts, known.facts, ())


def _list_points_columns(
    version: ServiceVersion, ends: dt.date, known: ValidationScope
) -> dict[dt.date, frozenset[str]]:
    """The points columns at each day on which they change while the version is in force."""
    changes = {
        v.begins
        for table in known.tables.values()
        for v in table.versions
        if version.begins < v.begins < ends
    }
    found = {
        day: list_points_columns_on(known.tables, day) for day in sorted({version.begins, *changes})
    }
    return {day: columns for day, columns in found.items() if columns}


def _validate_threshold(version: ServiceVersion, known: ValidationScope) -> Iterator[Mistake]:
    threshold = version.points.threshold
    for code in threshold.keys() - known.districts.keys() - {DEFAULT}:
        yield (
            ("points", "threshold", code),
            *describe_unknown("区县", code, [*known.districts, DEFAULT]),
        )
    uncovered = [
        code for code in known.districts if version.open_in(code) and code not in threshold
    ]
    if DEFAULT not in threshold and uncovered:
        yield ("points", "threshold"), f"没有 {'、'.join(uncovered)} 的分数", "请补上，或写 default"


def _validate_example(
    place: Place, given: Mapping[str, Any], facts: Mapping[str, Fact], points: Iterable[str]
) -> Iterator[Mistake]:
    names = {*facts, *points}
    for name, value in given.items():
        try:
            if name in facts:
                parse_fact_value(facts[name], value)
            elif name not in names:
                yield (*place, name), *describe_unknown("数据或积分", name, names)
            elif not re.fullmatch(r"-?\d{1,5}(\.\d{1,2})?", str(value)):
                raise ValueError("应为最多两位小数的分值")
        except ValueError as error:
            yield (*place, name), f"{value}", str(error)


def _validate_reminder(
    reminder: Reminder, names: Mapping[str, Kind], allowed: frozenset[str]
) -> Iterator[Mistake]:
    who = reminder.who if isinstance(reminder, ServiceReminder | StandingReminder) else None
    if who is not None:
        scope = ExpressionScope(names, {})
        yield from scope.validate_expression(("who",), who, YES_NO)
    dates = [
        name for name, kind in names.items() if kind == DATE and name not in ("as_of", *WINDOW)
    ]
    words = ["once", "year", "month", "child"]
    if reminder.cycle not in (*words, *dates):
        yield ("cycle",), *describe_unknown("周期", reminder.cycle, [*words, *dates])
    windows = [name for name in WINDOW if name in names]
    if reminder.due_on is not None and reminder.due_on not in (*dates, *windows):
        yield ("due_on",), *describe_unknown("日期", reminder.due_on, [*dates, *windows])
    try:
        placeholders = reminder.placeholders
    except ValueError:
        yield ("text",), "花括号不成对，或内有别的写法", "名称写作 {name}"
        return
    for name in placeholders:
        if name not in allowed:
            yield ("text",), *describe_unknown("可写入提醒的名称", name, allowed)
        elif name == "due_on" and reminder.due_on is None:
            yield ("text",), "这个提醒没有 due_on", "请删去 {due_on}，或写明 due_on"
