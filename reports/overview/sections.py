"""What the overview shows, section by section: rows of charts, and of the tables behind them.

Everything here is rounded already. A chart has rows by the key of what the reader has chosen
(`330203`, `city|rent_subsidy`); a table, too. Keys are joined by `|` in the order of `choices`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from expectations.month import Month
from reports.disclosure import FEW_TEXT
from reports.html import explored_charts
from reports.numbers import NO_VALUE, format_count
from reports.overview.figures import Figures
from transforms.comparison.metric_table import POINTS_NEAR
from transforms.comparison.metrics import list_band_names
from transforms.points.models import CITY

Row = Sequence[str | int | None]
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class ExploredChart:
    """A chart of a section.

    Attributes:
        id: Of its element.
        caption: What it shows.
        choices: The choices that its rows depend on: `district`, `service`, `one`, `other`.
        spec: Its specification, which reads `rows`.
        rows: Rows by key of the choices.
    """

    id: str
    caption: str
    choices: Sequence[str]
    spec: Mapping[str, Any]
    rows: Mapping[str, Rows]


@dataclass(frozen=True)
class KeyedTable:
    """A table of a section, once for every key of the choices; `first`: the key shown at first."""

    head: Sequence[str]
    choices: Sequence[str]
    rows: Mapping[str, Sequence[Row]]
    first: str = CITY


@dataclass(frozen=True)
class OverviewSection:
    """A titled part of the page: charts, the tables behind them, and what is to be known."""

    id: str
    title: str
    charts: Sequence[ExploredChart]
    tables: Sequence[KeyedTable]
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class CountedMetric:
    """A metric that counts things by item and month: a section of one kind.

    Attributes:
        metric: Its code.
        title: The title of its section.
        unit: What is counted.
        note: What is to be known of it.
    """

    metric: str
    title: str
    unit: str
    note: str = ""


# A metric that a month does not have yet makes no section: another one is a line here.
COUNTED = (
    CountedMetric(
        "reminders", "提醒", "条", "各月清单所列的提醒；一人可有多条。只有最新月份会增加新的提醒。"
    ),
    CountedMetric(
        "reminders_answered", "提醒办理结果", "条", "各区县当月交回的结果，按提醒所列的区县计。"
    ),
    CountedMetric("objection_cases", "异议", "件", "当月末未决的，和当月收到处理结果的。"),
)


def format_people(people: int | None) -> str:
    """Return rounded people in words."""
    return FEW_TEXT if people is None else format_count(people)


def format_value(value: Decimal | None, unit: str = "") -> str:
    """Return a rounded value with its unit; a dash for none."""
    return NO_VALUE if value is None else f"{value:,}{unit}"


def make_point(month: str, value: float | Decimal | None, label: str) -> dict[str, Any]:
    """Return a row of a chart over months."""
    return {"month": month, "value": None if value is None else float(value), "label": label}


def build_people(figures: Figures) -> OverviewSection:
    """Return people scored, and mean and deviation of their points, by month."""
    people, spread, table = {}, {}, {}
    for district in figures.districts:
        people[district] = [
            make_point(month, number, f"{format_people(number)} 人")
            for month in figures.months
            for number in [figures.count_people("residents", district, month)]
        ]
        spread[district] = [_spread(figures, district, month) for month in figures.months]
        table[district] = [_people_row(figures, district, month) for month in figures.months]
    head = ("月份", "人数", "平均总分", "标准差", "新增", "不再登记", "迁入", "迁出")
    return OverviewSection(
        "people",
        "人数和积分",
        [
            ExploredChart(
                "people-chart",
                "计分人数，纵轴不从零起",
                ["district"],
                explored_charts.specify_line("人", figures.months),
                people,
            ),
            ExploredChart(
                "spread-chart",
                "平均总分（实线），及其上下各一个标准差（虚线）",
                ["district"],
                explored_charts.specify_spread("分", figures.months),
                spread,
            ),
        ],
        [KeyedTable(head, ["district"], table)],
        [
            "迁入、迁出指在本市各区县之间。"
            "标准差越大，各人的分数相差越大；约三分之二的人在平均分上下一个标准差以内。"
        ],
    )


def _spread(figures: Figures, district: str, month: str) -> dict[str, Any]:
    mean = figures.compute_mean(district, month)
    deviation = figures.compute_deviation(district, month)
    label = format_value(mean, " 分") + ("" if deviation is None else f"，标准差 {deviation}")
    if mean is None:
        return make_point(month, None, label)
    around = deviation or Decimal(0)
    return make_point(month, mean, label) | {
        "low": float(mean - around),
        "high": float(mean + around),
    }


def _people_row(figures: Figures, district: str, month: str) -> Row:
    def move(item: str) -> str:
        if district == CITY and item.startswith("moved"):
            return NO_VALUE
        if not figures.has_movement(month):
            return NO_VALUE
        return format_people(figures.count_people("movement", district, month, item))

    return (
        month,
        format_people(figures.count_people("residents", district, month)),
        format_value(figures.compute_mean(district, month)),
        format_value(figures.compute_deviation(district, month)),
        *map(move, ("new", "gone", "moved_in", "moved_out")),
    )


def build_distribution(figures: Figures) -> OverviewSection:
    """Return people by band of points in the newest month, and in the month a year before it."""
    newest = figures.months[-1]
    earlier = str(Month.parse(newest) - 12)
    months = [newest, *([earlier] if earlier in figures.months else [])]
    bands = {str(band): name for band, name in list_band_names().items()}
    chart, table = {}, {}
    for district in figures.districts:
        counts = {
            band: [figures.count_people("points_band", district, month, band) for month in months]
            for band in bands
        }
        chart[district] = [
            {
                "name": name,
                "value": counts[band][0] or 0,
                "label": f"{format_people(counts[band][0])} 人",
            }
            for band, name in bands.items()
        ]
        table[district] = [
            (name, *map(format_people, counts[band])) for band, name in bands.items()
        ]
    spec = explored_charts.specify_bars("人", len(bands))
    return OverviewSection(
        "distribution",
        "积分分布",
        [ExploredChart("bands-chart", f"{newest} 各分数段的人数", ["district"], spec, chart)],
        [KeyedTable(("总分", *months), ["district"], table)],
    )


def build_services(figures: Figures, titles: Mapping[str, str]) -> OverviewSection:
    """Return who qualifies for which service, by month."""
    services = order_items(figures, "eligible", titles)
    newest = figures.months[-1]
    reached, trend, near, history = {}, {}, {}, {}
    for district in figures.districts:
        counts = {
            code: [
                figures.count_people("eligible", district, month, code) for month in figures.months
            ]
            for code in services
        }
        reached[district] = [
            {
                "name": name,
                "value": counts[code][-1] or 0,
                "label": f"{format_people(counts[code][-1])} 人",
            }
            for code, name in services.items()
        ]
        for code in services:
            trend[f"{district}|{code}"] = [
                make_point(month, number, f"{format_people(number)} 人")
                for month, number in zip(figures.months, counts[code], strict=True)
            ]
        near[district] = [
            (
                name,
                format_people(counts[code][-1]),
                format_people(figures.count_people("near", district, newest, code)),
            )
            for code, name in services.items()
        ]
        history[district] = [
            (month, *(format_people(counts[code][place]) for code in services))
            for place, month in enumerate(figures.months)
        ]
    return OverviewSection(
        "services",
        "服务",
        [
            ExploredChart(
                "reached-chart",
                f"{newest} 各项服务达标的人数",
                ["district"],
                explored_charts.specify_bars("人", len(services)),
                reached,
            ),
            ExploredChart(
                "service-chart",
                "所选服务各月达标的人数，纵轴不从零起",
                ["district", "service"],
                explored_charts.specify_line("人", figures.months),
                trend,
            ),
        ],
        [
            KeyedTable(("服务", "达标", "接近达标"), ["district"], near),
            KeyedTable(("月份", *services.values()), ["district"], history),
        ],
        [f"接近达标：只差积分，且差 {POINTS_NEAR} 分以内。"],
    )


def build_counted(
    figures: Figures, counted: CountedMetric, titles: Mapping[str, str]
) -> OverviewSection | None:
    """Return a count by month and item; None where no month has it."""
    items = order_items(figures, counted.metric, titles)
    if not items:
        return None
    chart: dict[str, Rows] = {}
    table: dict[str, list[Row]] = {}
    for district in figures.districts:
        chart[district], table[district] = [], []
        for month in figures.months:
            counts = [figures.count_value(counted.metric, district, month, item) for item in items]
            total = sum(filter(None, counts))
            chart[district].append(
                make_point(month, total, f"{format_count(total)} {counted.unit}")
            )
            table[district].append((month, *map(format_people, counts)))
    return OverviewSection(
        counted.metric,
        counted.title,
        [
            ExploredChart(
                f"{counted.metric}-chart",
                f"各月的{counted.title}",
                ["district"],
                explored_charts.specify_columns(counted.unit, figures.months),
                chart,
            )
        ],
        [KeyedTable(("月份", *items.values()), ["district"], table)],
        [note for note in (counted.note, f"合计不含{FEW_TEXT} 人的各项。") if note],
    )


def order_items(figures: Figures, metric: str, titles: Mapping[str, str]) -> dict[str, str]:
    """Return the items of a metric that the city has in some month, in declared order."""
    found = figures.list_items(metric, CITY)
    ordered = [code for code in titles if code in found]
    return {code: titles.get(code, code) for code in [*ordered, *sorted(set(found) - set(titles))]}
