"""What the expressions, texts and examples of services and reminders may name."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping

from expectations.source_model import COUNTED_UNITS, Fact
from transforms.expressions.kinds import DATE, NUMBER, Kind, build_fact_kinds
from transforms.points.columns import list_score_columns
from transforms.points.models import CITY, PointsTable

STABLE_SUMS = ("common_points", "district_points", "total_points")
"""The sums of points that every version of every points table has."""
WINDOW = ("opens_on", "closes_on")
RANK_SCORE = "score"
"""What the keys of a rank call the score that the service counts."""
CHILD_BORN_ON, CHILD_LEVEL = "child_born_on", "child_level"
"""What ranks of children may name beside what their guardians' may."""


def list_points_columns_on(tables: Mapping[str, PointsTable], day: dt.date) -> frozenset[str]:
    """Return the points columns of the tables in force on a day; none before the city's first."""
    begun = {
        authority: [v for v in table.versions if v.begins <= day]
        for authority, table in tables.items()
    }
    versions = {authority: found[-1] for authority, found in begun.items() if found}
    city = versions.pop(CITY, None)
    columns = list_score_columns(city, versions) if city else []
    return frozenset(name for name in columns if name.endswith("_points"))


def build_service_names(
    facts: Mapping[str, Fact], points: Collection[str], districts: Collection[str]
) -> dict[str, Kind]:
    """The names of a service's expressions: facts, points columns, `as_of` and `district`."""
    return {
        **build_fact_kinds(facts),
        "district": Kind("text", frozenset(districts)),
        **dict.fromkeys(points, NUMBER),
    }


def build_child_names(fact: Fact) -> dict[str, Kind]:
    """Return what ranks of children may name of a child: its birth date and its level.

    `fact`: the one that lists the children.
    """
    return {CHILD_BORN_ON: DATE, CHILD_LEVEL: Kind("text", frozenset(fact.levels))}


def build_reminder_names(
    facts: Mapping[str, Fact], districts: Collection[str], *, child: bool = False
) -> dict[str, Kind]:
    """Return the names of a reminder's `who`: facts, lasting sums, `as_of`, `district`.

    For a child due, the school's window, too.
    """
    return {
        **build_service_names(facts, STABLE_SUMS, districts),
        **(dict.fromkeys(WINDOW, DATE) if child else {}),
    }


def build_text_names(
    facts: Mapping[str, Fact], *, service: bool = False, child: bool = False
) -> frozenset[str]:
    """Return what a reminder's text may name in braces: no ID, no place, no other person."""
    allowed = {"name", "district", "due_on", *STABLE_SUMS}
    allowed |= {
        name
        for name, fact in facts.items()
        if fact.unit in COUNTED_UNITS or fact.unit in ("date", "month")
    }
    return frozenset(
        allowed
        | ({"service", "monthly_amount"} if service else set())
        | ({"level", *WINDOW} if child else set())
    )
