"""Days and months up to which facts are measured, and windows of dates or months, as SQL.

A fact is measured on the scoring date `$as_of`, or on its cut-off day (`at`): the newest such day
on or before the scoring date. A month counts when it has ended by that day; months are numbers
(year * 12 + month - 1), and `$month` is that of the scoring date.
"""

from __future__ import annotations

import datetime as dt

from expectations.fact_model import Fact
from expectations.window_model import Within, list_years_ago
from transforms.engine.sql import sql_literal

ALWAYS = -(2**31)  # before every month


def day_sql(fact: Fact) -> str:
    """Return the day on which a fact is measured."""
    if fact.at is None:
        return "$as_of"
    if isinstance(fact.at, str):
        return "CAST(date_trunc('month', $as_of) AS DATE)"
    this, before = (
        f"make_date(year($as_of){years}, {fact.at.month}, {fact.at.day})" for years in ("", " - 1")
    )
    return f"(CASE WHEN {this} <= $as_of THEN {this} ELSE {before} END)"


def month_sql(fact: Fact) -> str:
    """Return the last month that has ended on the day on which a fact is measured."""
    if fact.at is None:
        return "$month"
    day = day_sql(fact)
    return f"(year({day}) * 12 + month({day}) - 1 - CAST({day} < last_day({day}) AS INTEGER))"


def date_window_terms(fact: Fact, within: Within) -> list[str]:
    """Return the conditions that a date lies in a window, and has come."""
    of, day = str(within.of), day_sql(fact)
    if within.last_months is not None:
        if within.ending == "month_before":
            after = f"last_day({day} - INTERVAL {within.last_months + 1} MONTH)"
            return [f"{of} > {after} AND {of} <= last_day({day} - INTERVAL 1 MONTH)"]
        return [f"{of} > {_months_before_sql(fact, within.last_months)} AND {of} <= {day}"]
    if within.between:
        first, last = within.between
        return [f"{of} BETWEEN {_date_sql(first)} AND {_date_sql(last)}", f"{of} <= {day}"]
    if within.since:
        return [f"{of} >= {_date_sql(within.since)}", f"{of} <= {day}"]
    assert within.calendar_years is not None
    ago = list_years_ago(within.calendar_years)
    return [
        f"year({of}) BETWEEN year({day}) - {ago.stop - 1} AND year({day}) - {ago.start}",
        f"{of} <= {day}",
    ]


def month_window(fact: Fact) -> tuple[str, str]:
    """Return the first and the last month that count for a fact, as SQL."""
    last, within = month_sql(fact), fact.within
    if within is None:
        return str(ALWAYS), last
    if within.last_months is not None:
        back = 1 if within.ending == "month_before" else 0
        return f"({last} - {within.last_months - 1 + back})", f"({last} - 1)" if back else last
    if within.between:
        first, end = (_month_number(text) for text in within.between)
        return str(first), f"least({end}, {last})"
    if within.since:
        return str(_month_number(within.since)), last
    assert within.calendar_years is not None
    ago = list_years_ago(within.calendar_years)
    year = f"year({day_sql(fact)})"
    return f"(({year} - {ago.stop - 1}) * 12)", f"least(({year} - {ago.start}) * 12 + 11, {last})"


def _months_before_sql(fact: Fact, months: int) -> str:
    """Return the corresponding day some months before; of a month's last day the last day."""
    day = day_sql(fact)
    month_end = f"last_day({day} - INTERVAL {months} MONTH)"
    if fact.at is None:
        return month_end
    before = f"CAST({day} - INTERVAL {months} MONTH AS DATE)"
    return f"(CASE WHEN {day} = last_day({day}) THEN {month_end} ELSE {before} END)"


def _date_sql(text: str) -> str:
    return f"DATE {sql_literal(text)}"


def _month_number(text: str) -> int:
    day = dt.date.fromisoformat(f"{text[:7]}-01")
    return day.year * 12 + day.month - 1
