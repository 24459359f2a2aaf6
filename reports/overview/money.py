"""The money of the overview: yuan due by month, and a budget for a year ahead."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from expectations.month import Month
from reports.disclosure import FEW_TEXT, round_people
from reports.html import explored_charts
from reports.numbers import NO_VALUE
from reports.overview.figures import Figures
from reports.overview.sections import (
    ExploredChart,
    KeyedTable,
    OverviewSection,
    Row,
    format_people,
    format_value,
    make_point,
    order_items,
)

MONTHS_AHEAD = 12


def build_money(figures: Figures, titles: Mapping[str, str]) -> OverviewSection | None:
    """Return yuan due by month, and for a year ahead if nothing changes; None: nothing is paid."""
    services = order_items(figures, "amount", titles)
    if not services:
        return None
    newest = figures.months[-1]
    months = [str(Month.parse(newest) + place) for place in range(1, MONTHS_AHEAD + 1)]
    chart, history, ahead, budget = {}, {}, {}, {}
    for district in figures.districts:
        amounts = {
            month: [figures.compute_amount("amount", district, month, code) for code in services]
            for month in figures.months
        }
        chart[district] = [_money_point(month, sums) for month, sums in amounts.items()]
        history[district] = [
            (month, *map(_format_money, sums), _format_money(_add(sums)))
            for month, sums in amounts.items()
        ]
        monthly = _add(amounts[newest])
        ahead[district] = [
            make_point(month, number, format_value(number, " 元"))
            for place, month in enumerate(months, 1)
            for number in [None if monthly is None else place * monthly]
        ]
        budget[district] = list(_list_budget(figures, district, services))
    bars = explored_charts.specify_columns
    return OverviewSection(
        "money",
        "金额和预算",
        [
            ExploredChart("money-chart", "各月应发的金额", ["district"], bars("元", figures.months), chart),
            ExploredChart(
                "budget-chart",
                f"{newest} 以后十二个月累计应发的金额，假定一切不变",
                ["district"],
                bars("元", months),
                ahead,
            ),
        ],
        [
            KeyedTable(
                ("服务", "达标（人）", "金额待定（人）", "每月（元）", "十二个月（元）",
                 "接近达标（人）", "都达标时每月另增（元）"),
                ["district"],
                budget,
            ),
            KeyedTable(("月份", *services.values(), "合计（元）"), ["district"], history),
        ],
        [
            "一切不变：人员、各人的金额、办法都和最新月份一样。",
            f"金额按取整后的人数折算，取整到百元；{FEW_TEXT} 人的服务没有金额，也不在合计之内。",
            "金额待定的人已达标，但计算金额的资料不全，不在金额之内。",
        ],
    )  # fmt: skip


def _money_point(month: str, sums: Sequence[Decimal | None]) -> dict[str, Any]:
    total = _add(sums)
    return make_point(month, total, format_value(total, " 元"))


def _list_budget(figures: Figures, district: str, services: Mapping[str, str]) -> Iterator[Row]:
    newest = figures.months[-1]
    for code, name in services.items():
        eligible = figures.find("eligible", district, newest, code)
        paid = figures.find("amount", district, newest, code)
        monthly = figures.compute_amount("amount", district, newest, code)
        unknown = NO_VALUE
        if eligible.people is not None and paid.people is not None:
            missing = eligible.people - paid.people
            unknown = format_people(round_people(missing)) if missing else "0"
        yield (
            name,
            format_people(figures.count_people("eligible", district, newest, code)),
            unknown,
            _format_money(monthly),
            _format_money(None if monthly is None else MONTHS_AHEAD * monthly),
            format_people(figures.count_people("near", district, newest, code)),
            _format_money(figures.compute_amount("near_amount", district, newest, code)),
        )


def _add(sums: Sequence[Decimal | None]) -> Decimal | None:
    shown = [one for one in sums if one is not None]
    return sum(shown, Decimal(0)) if shown else None


def _format_money(value: Decimal | None) -> str:
    return format_value(value)
