"""Reminders as SQL: whom each declaration calls for this month, with the text they read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from expectations.source_model import COUNTED_UNITS, Fact
from transforms.engine.sql import sql_literal
from transforms.engine.statements import Statement
from transforms.expressions.language import parse_condition
from transforms.facts.pseudonyms import hmac_sql
from transforms.reminders.models import Reminder, ServiceReminder, StandingReminder
from transforms.services.eligibility_sql import bind_names
from transforms.services.models import Service
from transforms.services.namespace import STABLE_SUMS, WINDOW, build_reminder_names
from transforms.templates import (
    fill_template_sql,
    format_date_sql,
    format_number_sql,
    mask_name_sql,
)

_LEVEL_TITLES = {"primary": "小学", "junior_middle": "初中"}
_UNKNOWN = "（待核定）"


def newly_eligible_statement(
    services: Iterable[Service], before: bool, again: str = ""
) -> Statement:
    """Return `reached`: (resident_key, service, monthly_amount, again) of those a reminder is for.

    They are eligible for a service that has one. Reads `eligibility`, and `eligibility_before`, the
    calendar month before as published, when there is one (`before`); without one nobody is newly
    eligible. `again`: the query of further people, whom only an earlier reminder is for.
    """
    always = [s.service for s in services if s.reminder and not s.reminder.newly]
    newly = [s.service for s in services if s.reminder and s.reminder.newly] if before else []
    rows = (
        "SELECT resident_key, service, monthly_amount, false AS again\n"
        "FROM eligibility WHERE eligible AND service"
    )
    statement = f"{rows} IN ({_list_sql(always)})"
    if newly:
        statement += f"""
UNION ALL
{rows} IN ({_list_sql(newly)}) AND NOT EXISTS (
    SELECT 1 FROM eligibility_before AS before
    WHERE before.eligible AND before.resident_key = eligibility.resident_key
        AND before.service = eligibility.service
)"""
    if again:
        statement += f"\nUNION ALL{again}"
    return Statement("reached", statement)


def newly_eligible_residents_statement(
    services: Iterable[Service], facts: Mapping[str, Fact]
) -> Statement:
    """`reached_residents`: those of `reached` with what the reminders of services read of them."""
    names = {
        name
        for service in services
        if service.reminder
        for name in _list_read_facts(service.reminder, facts)
    }
    columns = [name for name in (*facts, *STABLE_SUMS) if name in names | {"children_due"}]
    more = "".join(f", scored.{name}" for name in columns)
    return Statement(
        "reached_residents",
        f"""
SELECT reached.service, reached.monthly_amount, reached.again, scored.resident_id, scored.name, scored.phone,
    scored.district{more}
FROM scored JOIN reached ON reached.resident_key = scored.resident_key""",
    )


def due_statement(
    services: Iterable[Service],
    standing: Iterable[StandingReminder],
    facts: Mapping[str, Fact],
    districts: Mapping[str, str],
    stages: int = 1,
) -> Statement:
    """Return `due`: everyone whom a declaration calls for, reminded before or not.

    One row per reminder_id. The identity is HMAC-SHA256 (RFC 2104, padded keys bound as $outer and
    $inner) of kind, resident and cycle, joined by bars: neither a kind nor an ID holds one, so that
    no two triples give the same message. The cycle of a service's reminder begins with the service,
    as services may share a kind. `stages`: how many keys the root has.
    """
    writer = _DueWriter(facts, districts)
    selects = [
        writer.select(reminder, None, _residents_sql(reminder, facts)) for reminder in standing
    ]
    selects += [
        writer.of_service(service, service.reminder) for service in services if service.reminder
    ]
    if not selects:  # a city without reminders is a city
        texts = ("kind", "service", "resident_id", "name", "phone", "district", "cycle")
        columns = ", ".join(f"CAST(NULL AS VARCHAR) AS {name}" for name in texts)
        selects = [
            f"SELECT {columns}, CAST(NULL AS DATE) AS due_on,"
            " CAST(NULL AS INTEGER) AS repeat_months, CAST(NULL AS VARCHAR) AS text,"
            " false AS again\nWHERE false"
        ]
    message = "kind || '|' || resident_id || '|' || cycle"
    everything = "\nUNION ALL\n".join(selects)
    return Statement(
        "due",
        f"""
SELECT {hmac_sql(message, stages)} AS reminder_id, kind, service, resident_id, name, phone,
    district, due_on, repeat_months, text, again
FROM (
{everything}
)""",
    )


@dataclass(frozen=True)
class _DueWriter:
    """Writes the rows of `due`, one SELECT per declaration."""

    facts: Mapping[str, Fact]
    districts: Mapping[str, str]

    def of_service(self, service: Service, reminder: ServiceReminder) -> str:
        rows = f"(SELECT * FROM reached_residents WHERE service = {sql_literal(service.service)})"
        if reminder.each == "child":
            rows = f"""(
    SELECT one.*, school_calendar.opens_on, school_calendar.closes_on
    FROM (SELECT *, unnest(children_due) AS child FROM {rows}) AS one
    JOIN school_calendar ON school_calendar.district = one.district
        AND school_calendar.year = one.child.enrolment_year
        AND school_calendar.level = one.child.level
)"""
        return self.select(reminder, service, rows)

    def select(
        self, reminder: ServiceReminder | StandingReminder, service: Service | None, rows: str
    ) -> str:
        """`rows`: one row per resident (or child due) that the declaration may call for."""
        names = build_reminder_names(self.facts, self.districts, child=service is not None)
        where = (
            f"\nWHERE {bind_names(parse_condition(reminder.who, names))}" if reminder.who else ""
        )
        code = sql_literal(service.service) if service else "CAST(NULL AS VARCHAR)"
        due_on = reminder.due_on or "CAST(NULL AS DATE)"
        repeat = f"CAST({reminder.repeat or 'NULL'} AS INTEGER)"
        return f"""SELECT {sql_literal(reminder.kind)} AS kind, {code} AS service, resident_id,
    name, phone, district, {_cycle_sql(reminder, service)} AS cycle,
    {due_on} AS due_on, {repeat} AS repeat_months,
    {self.text(reminder, service)} AS text, {"again" if service else "false AS again"}
FROM {rows}{where}"""

    def text(self, reminder: Reminder, service: Service | None) -> str:
        """Return the sentence, joined from its words and values; an unknown value says so."""
        return fill_template_sql(reminder.text, lambda name: self.value(name, reminder, service))

    def value(self, name: str, reminder: Reminder, service: Service | None) -> str:
        """What stands for a name in braces."""
        if name == "name":
            return mask_name_sql("name")
        if name == "service" and service:
            return sql_literal(service.title)
        if name == "level":
            return _titles_sql("child.level", _LEVEL_TITLES)
        if name == "district":
            return _titles_sql("district", self.districts)
        column = reminder.due_on if name == "due_on" and reminder.due_on else name
        unit = (
            self.facts[column].unit
            if column in self.facts
            else "date"
            if column in WINDOW
            else "points"
        )
        said = format_number_sql(column)
        if unit not in COUNTED_UNITS:
            said = format_date_sql(column, unit)
        return f"coalesce({said}, {sql_literal(_UNKNOWN)})"


def _cycle_sql(reminder: Reminder, service: Service | None) -> str:
    """Return what a reminder is sent once for, as text."""
    words = {
        "once": "'once'",
        "year": "CAST(year($as_of) AS VARCHAR)",
        "month": "left(CAST($as_of AS VARCHAR), 7)",
        "child": "child.child || ':' || CAST(child.enrolment_year AS VARCHAR)",
    }
    cycle = words.get(reminder.cycle, f"coalesce(CAST({reminder.cycle} AS VARCHAR), '')")
    return f"{sql_literal(service.service + ':')} || {cycle}" if service else cycle


def _titles_sql(column: str, words: Mapping[str, str]) -> str:
    cases = " ".join(
        f"WHEN {sql_literal(code)} THEN {sql_literal(word)}" for code, word in words.items()
    )
    return f"CASE {column} {cases} ELSE '' END"


def _residents_sql(reminder: StandingReminder, facts: Mapping[str, Fact]) -> str:
    """Return the relation of a standing reminder's people: without points if it reads none."""
    return "facts" if _list_read_facts(reminder, facts).isdisjoint(STABLE_SUMS) else "scored"


def _list_read_facts(
    reminder: ServiceReminder | StandingReminder, facts: Mapping[str, Fact]
) -> set[str]:
    """The names that a reminder reads."""
    names = {*reminder.placeholders, reminder.cycle, reminder.due_on or ""}
    return names | (
        parse_condition(reminder.who, build_reminder_names(facts, {}, child=True)).names
        if reminder.who
        else set()
    )


def _list_sql(codes: Iterable[str]) -> str:
    return ", ".join(sql_literal(code) for code in codes) or "NULL"
