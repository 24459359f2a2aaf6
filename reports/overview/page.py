"""The city at a glance (数据驾驶舱): one page that loads nothing, over all published months.

It may leave the operators' hands: people are rounded to tens, nothing is shown of fewer than ten.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from expectations.source_model import Source
from reports.disclosure import FEW_TEXT
from reports.html.environment import render_template
from reports.overview.deliveries import build_deliveries
from reports.overview.figures import Figures
from reports.overview.money import build_money
from reports.overview.portrait import build_portrait, list_trait_titles
from reports.overview.sections import (
    COUNTED,
    OverviewSection,
    build_counted,
    build_distribution,
    build_people,
    build_services,
)
from transforms.points.models import CITY


@dataclass(frozen=True)
class OverviewNames:
    """What things are called: districts, services, and items of counted metrics by code."""

    districts: Mapping[str, str]
    services: Mapping[str, str]
    counted: Mapping[str, Mapping[str, str]]
    sources: Mapping[str, Source]


@dataclass(frozen=True)
class OverviewInputs:
    """What the page is made of.

    Attributes:
        figures: Of the months that have metrics.
        manifests: Month -> manifest, of all months asked for.
        names: What things are called.
        made_at: When, in the city's time.
    """

    figures: Figures
    manifests: Mapping[str, Mapping[str, Any]]
    names: OverviewNames
    made_at: str


def render_overview_page(given: OverviewInputs, script: str) -> str:
    """Return the page. `script`: that of the charts (`build_vega_script`)."""
    figures, names = given.figures, given.names
    sections = _build_sections(given)
    charts = [chart for section in sections for chart in section.charts]
    traits = {code: title for code, (title, _) in list_trait_titles(names.sources).items()}
    shown = [one for one in sections if one.id == "portrait"]
    present = {key.partition("|")[0] for one in shown for key in one.charts[0].rows}
    months = figures.months
    return render_template(
        "overview.html.j2",
        title="新居民积分数据驾驶舱",
        span=f"{months[0]} 至 {months[-1]}" if months else "",
        months=months,
        without=[month for month in given.manifests if month not in months],
        sections=sections,
        districts={
            code: "全市" if code == CITY else names.districts.get(code, code)
            for code in figures.districts
        },
        services=_list_choices(charts, "service-chart", names.services),
        traits={code: title for code, title in traits.items() if code in present},
        charts=json.dumps(
            [
                {"id": one.id, "choices": one.choices, "spec": one.spec, "rows": one.rows}
                for one in charts
            ],
            ensure_ascii=False,
            separators=(",", ":"),
        ).replace("<", "\\u003c"),
        script=script if charts else "",
        few=FEW_TEXT,
        made_at=given.made_at[:16].replace("T", " "),
    )


def _build_sections(given: OverviewInputs) -> list[OverviewSection]:
    """Return the sections that the months have figures for."""
    figures, names = given.figures, given.names
    if not figures.months:
        return [build_deliveries(given.manifests, names.sources)] if given.manifests else []
    found = [
        build_people(figures),
        build_distribution(figures),
        build_services(figures, names.services),
        build_money(figures, names.services),
        *(build_counted(figures, one, names.counted.get(one.metric, {})) for one in COUNTED),
        build_portrait(figures, list_trait_titles(names.sources)),
        build_deliveries(given.manifests, names.sources),
    ]
    return [section for section in found if section]


def _list_choices(charts: Sequence[Any], chart: str, titles: Mapping[str, str]) -> dict[str, str]:
    """Return the second choices of a chart's keys, with their titles."""
    keys = [key for one in charts if one.id == chart for key in one.rows]
    codes = dict.fromkeys(key.partition("|")[2] for key in keys)
    return {code: titles.get(code, code) for code in codes}
