"""The names and the order of what the scores hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from transforms.engine.session import Session
from transforms.engine.sql import sql_literal
from transforms.points.models import CITY, Indicator, PointsVersion


@dataclass(frozen=True)
class ScoredIndicator:
    """One indicator of one authority, with its names in the statement and the corrections."""

    authority: str
    code: str
    indicator: Indicator

    @property
    def column(self) -> str:
        return points_column_name(self.authority, self.code)

    @property
    def target(self) -> str:
        return self.code if self.authority == CITY else f"{self.authority}:{self.code}"

    def here(self, sql: str) -> str:
        """Return a district's SQL for its own residents, null for others; the city's as it is."""
        if self.authority == CITY:
            return sql
        return f"CASE WHEN district = {sql_literal(self.authority)} THEN {sql} END"


def points_column_name(authority: str, code: str) -> str:
    """Return the column of an indicator, group or section in the scores.

    For example `age_points`, `d330211_village_award_points`.
    """
    return f"{code}_points" if authority == CITY else f"d{authority}_{code}_points"


def strip_points_suffix(column: str) -> str:
    """Return a points column's name where points are listed by item: changes, figures."""
    return column.removesuffix("_points")


def list_score_columns(city: PointsVersion, districts: Mapping[str, PointsVersion]) -> list[str]:
    """Return the columns of the scores: handles, indicators, sections, sums, corrections."""
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
    """Return the column that says which guard closed an indicator: `when`, `unless`, or null."""
    return f"{strip_points_suffix(line.column)}_closed_by"


def uncapped_column(authority: str, code: str) -> str:
    """Return the column of a group's or section's sum before its cap."""
    return f"{strip_points_suffix(points_column_name(authority, code))}_uncapped"


def list_detail_columns(city: PointsVersion, districts: Mapping[str, PointsVersion]) -> list[str]:
    """Return the columns that explain the points, after those of the scores.

    What the rule of each indicator gives and, where it has guards, which one closed it; the points
    of each group; the sum of each group and section before its cap.
    """
    columns = []
    for line in list_scored_indicators(city, districts):
        columns.append(rule_points_column(line))
        if line.indicator.when or line.indicator.unless:
            columns.append(closed_by_column(line))
    for authority, version in [(CITY, city), *sorted(districts.items())]:
        groups = [code for code, _ in version.inner_first()]
        columns += [points_column_name(authority, code) for code in groups]
        columns += [uncapped_column(authority, code) for code in (*groups, *version.sections)]
    return columns


def list_scored_indicators(
    city: PointsVersion, districts: Mapping[str, PointsVersion]
) -> list[ScoredIndicator]:
    """All indicators in force, the city's first, then district by district."""
    authorities = [(CITY, city), *sorted(districts.items())]
    return [
        ScoredIndicator(name, code, line)
        for name, version in authorities
        for code, line in version.indicators.items()
    ]


def list_points_columns(session: Session, relation: str) -> list[str]:
    """Return the points columns of a scores table, in order."""
    return [name for name in session.describe(relation) if name.endswith("_points")]
