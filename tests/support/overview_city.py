"""Metrics of months written by hand, and the overview page of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import duckdb

from expectations.source_loader import load_sources
from reports.html.explored_charts import build_vega_script
from reports.overview.figures import Figures, read_figures
from reports.overview.page import OverviewInputs, OverviewNames, render_overview_page
from transforms.engine.session import Session
from transforms.engine.sql import sql_literal

YINZHOU, HAISHU = "330212", "330203"
NAMES = OverviewNames(
    {YINZHOU: "鄞州区", HAISHU: "海曙区"},
    {"rent_subsidy": "租房补贴", "points_loan": "积分贷款"},
    {"reminders": {"service_reached": "达标提醒"}},
    load_sources(),
)
Cell = tuple[str, str, str, float | None, int | None]


def write_metrics(folder: Path, months: Mapping[str, Iterable[Cell]]) -> dict[str, Path]:
    """Write a metrics file per month; cells: metric, district, item, value, people."""
    files = {}
    for month, cells in months.items():
        files[month] = folder / f"{month}.parquet"
        rows = ", ".join(
            f"({', '.join('NULL' if one is None else sql_literal(str(one)) for one in cell)})"
            for cell in cells
        )
        duckdb.execute(f"""COPY (
            SELECT DATE '{month}-01' AS month, 1 AS revision, metric, district, item,
                CAST(value AS DECIMAL(18,2)) AS value, CAST(people AS BIGINT) AS people,
                CAST(NULL AS DECIMAL(18,2)) AS previous
            FROM (VALUES {rows}) AS t(metric, district, item, value, people)
        ) TO {sql_literal(str(files[month]))} (FORMAT parquet)""")
    return files


def city_cells(people: Mapping[str, int], mean: float = 50) -> list[Cell]:
    """Some cells of every metric that the page shows, of districts and the city.

    As in the table of a month, cells of fewer than ten people are null.
    """

    def cell(metric: str, district: str, item: str, value: float, number: int) -> Cell:
        return (metric, district, item, *((value, number) if number >= 10 else (None, None)))

    found = []
    for district, number in {**people, "city": sum(people.values())}.items():
        half = number // 2
        found += [
            cell("residents", district, "", number, number),
            cell("total_points", district, "", mean * number, number),
            cell("total_points_squared", district, "", (mean**2 + 100) * number, number),
            cell("points_band", district, "2", half, half),
            cell("points_band", district, "3", number - half, number - half),
            cell("eligible", district, "rent_subsidy", half, half),
            cell("eligible", district, "points_loan", number, number),
            cell("amount", district, "rent_subsidy", 404 * half, half),
            cell("near", district, "rent_subsidy", number - half, number - half),
            cell("near_amount", district, "rent_subsidy", 404 * half, half),
            cell("movement", district, "new", half, half),
            cell("reminders", district, "service_reached", number, number),
            cell("portrait", district, "age:18", half, half),
            cell("portrait", district, "age:30", number - half, number - half),
            cell("portrait", district, "degree:bachelor", number, number),
            cell("portrait_pair", district, "age:18/degree:bachelor", half, half),
            cell("portrait_pair", district, "age:30/degree:bachelor", number - half, number - half),
        ]
    return found


def manifest(month: str, **counts: Any) -> dict[str, Any]:
    """What the page reads of a manifest: a source that delivered, one that did not."""
    account = {"source": "education", "month": month, "received": 4321, "quarantined": 123}
    return {"month": month, "accounts": [account], "carried": {}, "missing": {}, **counts}


def figures_of(files: Mapping[str, Path]) -> Figures:
    """The figures of these months."""
    with duckdb.connect() as connection:
        return read_figures(Session(connection), files)


charts_script = cache(build_vega_script)
"""The charts' script, put together once."""


def render(files: Mapping[str, Path], manifests: Mapping[str, Any]) -> str:
    """The page of these months."""
    given = OverviewInputs(figures_of(files), manifests, NAMES, "2024-05-05T02:00:00+08:00")
    return render_overview_page(given, charts_script())
