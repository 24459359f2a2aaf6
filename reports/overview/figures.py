"""The figures of the overview, read from the months' metrics, rounded as pages for others are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from reports.disclosure import round_amount, round_mean, round_people
from transforms.comparison.metric_table import DECLARED_METRICS
from transforms.engine.parquet import read_parquet_sql
from transforms.engine.session import Session
from transforms.engine.sql import sql_literal
from transforms.points.models import CITY

NEWEST_ONLY = ("portrait", "portrait_pair")
SHOWN = tuple(one.code for one in DECLARED_METRICS if one.leaves_bureau)


@dataclass(frozen=True)
class Cell:
    """The exact value and people of a cell of ten people or more; of fewer it has neither."""

    value: Decimal | None
    people: int | None


NOBODY = Cell(Decimal(0), 0)
"""A cell that is not in the table. Pages show it as one of fewer than ten people."""


@dataclass(frozen=True)
class Figures:
    """What the page is made of.

    Attributes:
        months: `YYYY-MM`, ascending: those that have metrics.
        districts: The codes that have people in any of them, ascending, the city's first.
        cells: (metric, district) -> item -> month -> cell.
    """

    months: Sequence[str]
    districts: Sequence[str]
    cells: Mapping[tuple[str, str], Mapping[str, Mapping[str, Cell]]]

    def list_items(self, metric: str, district: str) -> Sequence[str]:
        """Return the items of a metric that a district has in any month."""
        return list(self.cells.get((metric, district), {}))

    def find(self, metric: str, district: str, month: str, item: str = "") -> Cell:
        """Return a cell."""
        return self.cells.get((metric, district), {}).get(item, {}).get(month, NOBODY)

    def has_movement(self, month: str) -> bool:
        """Return whether a month was compared with the one before it."""
        return any(
            month in months
            for (metric, _), items in self.cells.items()
            if metric == "movement"
            for months in items.values()
        )

    def count_people(self, metric: str, district: str, month: str, item: str = "") -> int | None:
        """Return the rounded people of a cell; None for fewer than ten."""
        return round_people(self.find(metric, district, month, item).people or 0)

    def count_value(self, metric: str, district: str, month: str, item: str) -> int | None:
        """Return a value that is a number of things, rounded; None for fewer than ten people."""
        cell = self.find(metric, district, month, item)
        return None if cell.value is None else round_people(int(cell.value))

    def compute_mean(self, district: str, month: str) -> Decimal | None:
        """Return the mean of total points, rounded."""
        cell = self.find("total_points", district, month)
        return None if cell.value is None else round_mean(cell.value, cell.people or 0)

    def compute_deviation(self, district: str, month: str) -> Decimal | None:
        """Return the standard deviation of total points, rounded; None where it is not known."""
        points = self.find("total_points", district, month)
        squares = self.find("total_points_squared", district, month)
        if not points.people or not squares.people or points.value is None or squares.value is None:
            return None
        mean = points.value / points.people
        deviation = max(squares.value / squares.people - mean * mean, Decimal(0)).sqrt()
        return round_mean(deviation * points.people, points.people)

    def compute_amount(self, metric: str, district: str, month: str, item: str) -> Decimal | None:
        """Return yuan a month, rounded; None for fewer than ten people."""
        cell = self.find(metric, district, month, item)
        return None if cell.value is None else round_amount(cell.value, cell.people or 0)


def read_figures(session: Session, files: Mapping[str, Path]) -> Figures:
    """Return the figures of months.

    Args:
        session: Runs the query.
        files: Month `YYYY-MM` -> the file of its metrics, ascending.
    """
    if not files:
        return Figures([], [], {})
    shown, newest = (", ".join(map(sql_literal, names)) for names in (SHOWN, NEWEST_ONLY))
    rows = session.fetch_rows(
        f"""
        SELECT metric, district, item, strftime(month, '%Y-%m'), value, people
        FROM {read_parquet_sql(*files.values())}
        WHERE metric IN ({shown})
            AND (metric NOT IN ({newest}) OR month = CAST($newest AS DATE) AND district = {sql_literal(CITY)})
        ORDER BY ALL""",
        {"newest": f"{max(files)}-01"},
    )
    cells: dict[tuple[str, str], dict[str, dict[str, Cell]]] = {}
    for metric, district, item, month, value, people in rows:
        items = cells.setdefault((metric, district), {})
        items.setdefault(item, {})[month] = Cell(value, people)
    districts = sorted({d for metric, d in cells if metric == "residents"} - {CITY})
    return Figures(list(files), [CITY, *districts], cells)
