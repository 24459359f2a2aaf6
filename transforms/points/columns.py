"""The names and the order of what the scores hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from transforms.engine.session import Session
from transforms.engine.sql import sql_literal
from transforms.points.models import CITY, Indicator, PointsVersion


@dataclass(frozen=True)
class ScoredIndicator:
    """One indicator of one authority, with its names in the statement and in corrections.

    replaced_in: the districts whose tables put an indicator of their own in place of this one.
    """

    authority: str
    code: str
    indicator: Indicator
    replaced_in: tuple[str, ...] = ()

    @property
    def column(self) -> str:
        """Its points column."""
        return points_column_name(self.authority, self.code)

    @property
    def target(self) -> str:
        """What a correction of it names."""
        return self.code if self.authority == CITY else f"{self.authority}:{self.code}"

    @property
    def has_guard(self) -> bool:
        """Whether it can be closed: 0 for some people, whatever the rule gives."""
        return bool(self.indicator.when or self.indicator.unless or self.replaced_in)

    @property
    def replaced_sql(self) -> str:
        """The condition under which a district's indicator counts instead."""
        return f"district IN ({', '.join(map(sql_literal, self.replaced_in))})"

    def here(self, sql: str) -> str:
        """Return an expression for those to whom the indicator applies.

        A district's is null for others; the city's is 0 where a district has replaced it.
        """
        if self.authority == CITY:
            return (
                f"CASE WHEN {self.replaced_sql} THEN 0 ELSE {sql} END" if self.replaced_in else sql
            )
        return f"CASE WHEN district = {sql_literal(self.authority)} THEN {sql} END"


def points_column_name(authority: str, code: str) -> str:
    """Return the column of an indicator, group or section in the scores.

    `age_points` of the city, `d330211_village_award_points` of a district.
    """
    return f"{code}_points" if authority == CITY else f"d{authority}_{code}_points"


def strip_points_suffix(column: str) -> str:
    """Return what a points column is called where points are listed item by item."""
    return column.removesuffix("_points")


def list_score_columns(city: PointsVersion, districts: Mapping[str, PointsVersion]) -> list[str]:
    """Return the columns of the scores: keys, indicators, sections, sums, corrections."""
    return [
        *("month", "resident_key", "district", "policy_city", "policy_district"),
        *(line.column for line in list_scored_indicators(city, districts)),
        *(points_column_name(CITY, section) for section in city.sections),
        *("common_points", "district_points", "total_points", "corrected"),
    ]


def rule_points_column(line: ScoredIndicator) -> str:
    """Return the column of what an indicator's rule gives alone: before guards, cap, correction."""
    return f"{strip_points_suffix(line.column)}_by_rule"


def closed_by_column(line: ScoredIndicator) -> str:
    """Return the column that says what closed an indicator.

    `when`, `unless`, `replaced` (by the district's), or null.
    """
    return f"{strip_points_suffix(line.column)}_closed_by"


def uncapped_column(authority: str, code: str) -> str:
    """Return the column of what a group or section comes to before its limits."""
    return f"{strip_points_suffix(points_column_name(authority, code))}_uncapped"


def closed_by_column_of_sum(authority: str, code: str) -> str:
    """Return the column that says what closed a group or section.

    `when`, `unless`, `all_of:<indicator>` or null.
    """
    return f"{strip_points_suffix(points_column_name(authority, code))}_closed_by"


def list_detail_columns(city: PointsVersion, districts: Mapping[str, PointsVersion]) -> list[str]:
    """Return the columns that explain the points, after those of the scores.

    What the rule of each indicator gives and, where it can be closed, what closed it; the points of
    each group and of districts' sections; what each comes to before its limits, and what closed
    it.
    """
    columns = []
    for line in list_scored_indicators(city, districts):
        columns.append(rule_points_column(line))
        if line.has_guard:
            columns.append(closed_by_column(line))
    for authority, version in [(CITY, city), *sorted(districts.items())]:
        groups = [code for code, _ in version.inner_first()]
        shown = groups if authority == CITY else [*groups, *version.sections]
        columns += [points_column_name(authority, code) for code in shown]
        columns += [uncapped_column(authority, code) for code in (*groups, *version.sections)]
        columns += [
            closed_by_column_of_sum(authority, code)
            for code in (*groups, *version.sections)
            if version.find_sum(code).has_guard
        ]
    return columns


def list_scored_indicators(
    city: PointsVersion, districts: Mapping[str, PointsVersion]
) -> list[ScoredIndicator]:
    """Return all indicators in force, the city's first, then district by district."""
    replaced: dict[str, list[str]] = {}
    for district, version in sorted(districts.items()):
        for indicator in version.indicators.values():
            if indicator.replaces is not None:
                replaced.setdefault(indicator.replaces, []).append(district)
    lines = [
        ScoredIndicator(CITY, code, indicator, tuple(replaced.get(code, ())))
        for code, indicator in city.indicators.items()
    ]
    return lines + [
        ScoredIndicator(district, code, indicator)
        for district, version in sorted(districts.items())
        for code, indicator in version.indicators.items()
    ]


@dataclass(frozen=True)
class PointsItem:
    """What a points column of the scores is, and how it counts in the total.

    Attributes:
        authority: Whose table declares it.
        kind: `indicator`, `section`, `common`, `district` or `total`.
        sign: -1 within a section that subtracts, else 1.
    """

    authority: str
    kind: str
    sign: int


ITEM_KINDS = ("indicator", "section", "common", "district", "total")


def list_points_items(
    city: PointsVersion, districts: Mapping[str, PointsVersion]
) -> dict[str, PointsItem]:
    """Return what every points column of the scores is, by column."""
    versions = {CITY: city, **districts}

    def sign(version: PointsVersion, code: str) -> int:
        while code in version.groups:
            code = version.groups[code].parent
        return -1 if version.sections[code].subtract else 1

    items = {
        line.column: PointsItem(
            line.authority,
            "indicator",
            sign(versions[line.authority], line.indicator.section),
        )
        for line in list_scored_indicators(city, districts)
    }
    for code in city.sections:
        items[points_column_name(CITY, code)] = PointsItem(CITY, "section", sign(city, code))
    for kind in ("common", "district", "total"):
        items[points_column_name(CITY, kind)] = PointsItem(CITY, kind, 1)
    return items


def list_points_columns(session: Session, relation: str) -> list[str]:
    """Return the points columns of a scores table, in order."""
    return [name for name in session.describe(relation) if name.endswith("_points")]
