"""The relation `scored`: one row per resident, with all facts and all points columns.

Services, reminders, explanations and simulations read it; nobody else says what it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from transforms.engine.aligned import zip_aligned
from transforms.engine.sql import sql_literal
from transforms.engine.statements import Statement
from transforms.points.columns import list_score_columns
from transforms.points.models import CITY, PointsVersion


def list_points_columns_in_force(points: Mapping[str, PointsVersion]) -> list[str]:
    """Return the points columns of scores under these versions, by authority, in order."""
    versions = dict(points)
    city = versions.pop(CITY)
    return [name for name in list_score_columns(city, versions) if name.endswith("_points")]


def scored_statement(columns: Iterable[str], scores: str = "scores") -> Statement:
    """Return the query of `scored` from `facts` and scores, joined by key, in no order.

    `columns`: the points columns taken. `scores`: the relation that has them.
    """
    points = "".join(f", {scores}.{name}" for name in columns)
    same = f"{scores}.resident_key = facts.resident_key"
    sql = f"SELECT facts.*{points}\nFROM facts JOIN {scores} ON {same}"
    return Statement("scored", sql, ("facts", scores), "view")


def scored_of_district_sql(columns: Iterable[str], district: str) -> str:
    """Return the same rows for a district, by resident_key, from aligned `facts` and `scores`."""
    facts, scores = (
        f"(FROM {table} WHERE district = {sql_literal(district)})" for table in ("facts", "scores")
    )
    points = (f"b.{name}" for name in columns)
    return zip_aligned(facts, scores, ["a.* EXCLUDE (resident_key)", *points])
