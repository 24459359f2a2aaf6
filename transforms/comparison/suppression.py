"""Which cells of the metrics are hidden, so that none of few people follows from the others."""

from __future__ import annotations

from collections.abc import Collection

from transforms.engine.sql import sql_literal
from transforms.points.models import CITY

FEW_PEOPLE = 10
VALUE = "DECIMAL(18,2)"
HIDDEN_DISTRICTS, HIDDEN_PARTS = 3, 2
"""At least so many districts of an item are hidden, and parts of a whole, if one is."""
PASSES = 4
"""What is hidden for one whole may have to be hidden for another one, so often in turn."""
CITY_SQL = sql_literal(CITY)


def in_list_sql(values: Collection[str]) -> str:
    """Return values as SQL has them within IN (...)."""
    return ", ".join(map(sql_literal, sorted(values))) or "''"


def wholes_sql() -> str:
    """Return SQL of the wholes that a cell is a part of, and how many parts have to be hidden."""
    left, right = "split_part(item, '/', 1)", "split_part(item, '/', 2)"
    first, second = f"split_part({left}, ':', 1)", f"split_part({right}, ':', 1)"
    parts = [
        f"SELECT metric, district, item, item AS whole, {HIDDEN_DISTRICTS} AS least"
        f" FROM everywhere WHERE district <> {CITY_SQL}"
    ] + [
        f"SELECT metric, district, item, {whole}, {HIDDEN_PARTS}"
        f" FROM everywhere WHERE metric = {sql_literal(metric)}"
        for metric, whole in (
            ("portrait", f"'of ' || district || ' ' || {first}"),
            ("points_band", "'of ' || district"),
            ("portrait_pair", f"{left} || '/' || {second}"),
            ("portrait_pair", f"{first} || '/' || {right}"),
        )
    ]
    return "\nUNION ALL\n".join(parts)


def hide_more_sql(number: int) -> str:
    """Return a step that hides the smallest of those parts of a whole that are still shown."""
    return f"""hidden_{number} AS MATERIALIZED (
    SELECT metric, district, item, value, people, bool_or(hidden OR place <= needed) AS hidden
    FROM (
        SELECT part.*,
            row_number() OVER (whole ORDER BY hidden DESC, people, district, item) AS place,
            CASE WHEN whole IS NULL OR count(*) FILTER (hidden) OVER whole = 0 THEN 0
                ELSE greatest(least, count(*) FILTER (hidden) OVER whole + CAST(coalesce(
                    sum(people) FILTER (hidden) OVER whole, 0) < {FEW_PEOPLE} AS INTEGER))
            END AS needed
        FROM hidden_{number - 1} AS part LEFT JOIN wholes USING (metric, district, item)
        WINDOW whole AS (PARTITION BY metric, whole)
    )
    GROUP BY metric, district, item, value, people
)"""


def round_added_sql(added: Collection[str]) -> str:
    """Return SQL of a value: rounded to hundreds where, less the total, it gives a hidden deduction.

    What is added is rounded and not the total, from which everybody takes means and deviations.
    The city's is not: at least three districts are rounded, and it gives their sum only.
    """
    return f"""CASE
        WHEN metric IN ('points', 'raised', 'lowered') AND item IN ({in_list_sql(added)})
            AND district IN (FROM rounded)
            THEN CAST(round(shown.value, -2) AS {VALUE})
        ELSE shown.value
    END"""
