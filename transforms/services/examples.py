"""The examples beside services and reminders, run through the statements that decide a month."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from expectations.errors import Diagnostic
from expectations.month import Month
from expectations.yaml_document import YamlDocument
from transforms.engine.session import Session
from transforms.engine.sql import sql_literal
from transforms.engine.statements import Statement
from transforms.expressions.fact_values import parse_fact_value
from transforms.expressions.kinds import Kind
from transforms.expressions.language import parse_condition
from transforms.facts.measures import FACT_TYPES
from transforms.facts.pseudonyms import hmac_params
from transforms.reminders.models import ReminderExample, StandingReminder
from transforms.services.eligibility_sql import SHORT, bind_names, count_rank_keys, eligibility_sql
from transforms.services.families import children_statement, guardians_statement
from transforms.services.models import Service, ServiceExample, ServiceVersion
from transforms.services.namespace import (
    STABLE_SUMS,
    build_reminder_names,
    build_service_names,
    list_points_columns_on,
)
from transforms.services.validate import ValidationScope

_Outcome = tuple[Any, ...]
_CHILD = "000000201601010000"
"""Stands for the child of an example; nobody's ID."""


def check_service_examples(
    session: Session,
    folder: Path,
    services: Iterable[Service],
    known: ValidationScope,
) -> list[Diagnostic]:
    """Return every example of a service whose outcome is not the one it states.

    `services`: as loaded from `folder`.

    Uses a temporary table `scored` of the session and drops it again.
    """
    problems: list[Diagnostic] = []
    for service in services:
        file = YamlDocument(folder / f"{service.service}.yaml")
        for index, version in enumerate(service.versions):
            for number, example in enumerate(version.examples):
                given = _service_outcome(session, service.service, version, example, known)
                if given != example.outcome:
                    place = ("versions", index, "examples", number)
                    file.add_error(
                        place,
                        f"例中写{_describe_outcome(example.outcome)}，按规则得{_describe_outcome(given)}",
                        "请核对规则与例子",
                    )
        problems += file.problems
    return problems


def check_reminder_examples(
    session: Session,
    folder: Path,
    reminders: Iterable[StandingReminder],
    known: ValidationScope,
) -> list[Diagnostic]:
    """Return every example of a standing reminder whose outcome is not the one it states."""
    problems: list[Diagnostic] = []
    for reminder in reminders:
        file = YamlDocument(folder / f"{reminder.kind}.yaml")
        for number, example in enumerate(reminder.examples):
            given = _reminder_outcome(session, reminder, example, known)
            if given != (example.reminded, example.due_on):
                said = "提醒" if given[0] else "不提醒"
                file.add_error(
                    ("examples", number),
                    f"按规则{said}，到期日 {given[1] or '无'}",
                    "请核对规则与例子",
                )
        problems += file.problems
    return problems


def _service_outcome(
    session: Session,
    code: str,
    version: ServiceVersion,
    example: ServiceExample,
    known: ValidationScope,
) -> _Outcome:
    as_of = example.as_of or Month.of(version.begins).last_day
    points = sorted(list_points_columns_on(known.tables, as_of))
    names = build_service_names(known.facts, points, known.districts)
    values = {"as_of": as_of, "month": as_of.replace(day=1)}
    if version.guardians is not None:
        return _child_outcome(session, (code, version), example, (names, points, values), known)
    statement = eligibility_sql({code: version}, names)
    outcome = f"SELECT eligible, points_short, monthly_amount FROM ({statement})"
    resident = _Resident(example.district, example.facts, points)
    rows = _run_on_residents(session, outcome, values, [resident], known)
    return rows[0] if rows else (False, None, None)


def _child_outcome(
    session: Session,
    service: tuple[str, ServiceVersion],
    example: ServiceExample,
    context: tuple[Mapping[str, Kind], Sequence[str], Mapping[str, Any]],
    known: ValidationScope,
) -> _Outcome:
    """What a service says of one child; `context`: names, points columns, parameters."""
    code, version = service
    names, points, values = context
    assert version.guardians
    fact = version.guardians.children
    level = example.child_level or next(iter(known.facts[fact].levels))
    due = [{"child": _CHILD, "level": level, "enrolment_year": values["as_of"].year}]
    guardians = [
        _Resident(
            given.get("district", example.district),
            {name: value for name, value in given.items() if name != "district"},
            points,
            {fact: due},
        )
        for given in example.guardians
    ]
    declared = {code: version}
    keys = count_rank_keys([version])
    counted = guardians_statement(declared, names, keys)
    decided = children_statement(declared, names, keys)
    outcome = f"""
WITH guardians AS ({counted.sql}),
children AS ({decided.sql})
SELECT short = 0 AS eligible, short, amount FROM children"""
    rows = _run_on_residents(session, outcome, {**values, **hmac_params(b"")}, guardians, known)
    return rows[0] if rows else (False, None, None)


def _reminder_outcome(
    session: Session,
    reminder: StandingReminder,
    example: ReminderExample,
    known: ValidationScope,
) -> _Outcome:
    who = bind_names(
        parse_condition(reminder.who, build_reminder_names(known.facts, known.districts))
    )
    due_on = reminder.due_on or "CAST(NULL AS DATE)"
    outcome = f"SELECT true AS reminded, {due_on} AS due_on FROM scored WHERE {who}"
    resident = _Resident("", example.facts, STABLE_SUMS)
    rows = _run_on_residents(session, outcome, {"as_of": example.as_of}, [resident], known)
    return rows[0] if rows else (False, None)


@dataclass(frozen=True)
class _Resident:
    """The resident of an example: what is given of them, as written, and which points they have.

    `typed`: further facts, as the fact table holds them.
    """

    district: str
    given: Mapping[str, Any]
    points: Sequence[str]
    typed: Mapping[str, Any] = field(default_factory=dict)


def _run_on_residents(
    session: Session,
    statement: str,
    values: Mapping[str, Any],
    residents: Sequence[_Resident],
    known: ValidationScope,
) -> list[_Outcome]:
    """Return the rows of a statement over some residents of equal points columns."""
    types = {name: FACT_TYPES[fact.unit] for name, fact in known.facts.items()} | dict.fromkeys(
        residents[0].points, SHORT
    )
    columns = ", ".join(f'"{name}" {kind}' for name, kind in types.items())
    places = ", ".join("?" for _ in types)
    try:
        session.execute(
            f"CREATE TEMP TABLE scored (resident_key VARCHAR, district VARCHAR, {columns})"
        )
        for number, resident in enumerate(residents):
            own = {
                name: parse_fact_value(known.facts[name], value)
                for name, value in resident.given.items()
                if name in known.facts
            }
            own |= {name: str(resident.given.get(name, 0)) for name in resident.points}
            own |= resident.typed
            row = [own.get(name) for name in types]
            district = sql_literal(resident.district)
            session.execute(f"INSERT INTO scored VALUES ('{number}', {district}, {places})", row)
        return session.fetch(Statement("outcome", statement, ("scored",)), values)
    finally:
        session.execute("DROP TABLE IF EXISTS temp.scored")


def _describe_outcome(outcome: _Outcome) -> str:
    eligible, short, amount = outcome
    words = "符合" if eligible else "不符合" if short is None else f"差 {short:f} 分"
    return words if amount is None else f"{words}、每月 {amount:f} 元"
