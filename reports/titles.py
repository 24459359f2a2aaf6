"""What the columns of the scores are called."""

from __future__ import annotations

from collections.abc import Mapping

from transforms.points.columns import points_column_name, strip_points_suffix
from transforms.points.models import CITY, PointsTable

SUMS = {"common": "共性分", "district": "个性分", "total": "总分"}


def collect_item_titles(
    tables: Mapping[str, PointsTable], districts: Mapping[str, str]
) -> dict[str, str]:
    """The title of every points column (without `_points`) of any version, in the order of the tables, sums last.

    A district's indicator has the district's name before it: several districts may use the same title.
    """
    indicators: dict[str, str] = {}
    sections: dict[str, str] = {}
    for authority, table in tables.items():
        for version in table.versions:
            for code, indicator in version.indicators.items():
                whose = f"{districts.get(authority, authority)}·" if authority != CITY else ""
                indicators[strip_points_suffix(points_column_name(authority, code))] = (
                    whose + indicator.title
                )
            if authority == CITY:
                sections |= {code: section.title for code, section in version.sections.items()}
    return {**indicators, **sections, **SUMS}
