"""The portrait of the overview: who the residents are, by trait and by every two traits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from expectations.source_model import Source
from reports.html import explored_charts
from reports.overview.figures import Figures
from reports.overview.sections import (
    ExploredChart,
    KeyedTable,
    OverviewSection,
    Row,
    Rows,
    format_people,
)
from transforms.comparison.portrait import TRAITS
from transforms.expressions.kinds import list_levels
from transforms.points.models import CITY


def build_portrait(
    figures: Figures, traits: Mapping[str, tuple[str, Mapping[str, str]]]
) -> OverviewSection | None:
    """Return who the residents are, by trait and by every two traits, in the newest month.

    Args:
        figures: The figures.
        traits: Code -> title, and title of each value in order.
    """
    newest = figures.months[-1]
    single, pairs = (
        {item: figures.count_people(metric, CITY, newest, item)
         for item in figures.list_items(metric, CITY)}
        for metric in ("portrait", "portrait_pair")
    )  # fmt: skip
    present = [code for code in traits if any(item.startswith(f"{code}:") for item in single)]
    if not present:
        return None
    values = {code: _list_values(code, single, traits[code][1]) for code in present}
    chart: dict[str, Rows] = {}
    tables: dict[str, list[Row]] = {}
    heads: dict[str, Sequence[str]] = {}
    for one in present:
        for other in ["", *present]:
            if one == other:
                continue
            key = f"{one}|{other}"
            columns = values[other] if other else {"": "人数"}
            cells = {
                (row, column): _find_pair(single, pairs, (one, row), (other, column))
                for row in values[one]
                for column in columns
            }
            chart[key] = [
                {"y": values[one][row], "x": columns[column], "value": number or 0,
                 "label": format_people(number)}
                for (row, column), number in cells.items()
            ]  # fmt: skip
            heads[key] = (traits[one][0], *columns.values())
            tables[key] = [
                (title, *(format_people(cells[row, column]) for column in columns))
                for row, title in values[one].items()
            ]
    longest = max(len(one) for one in values.values())
    return OverviewSection(
        "portrait",
        "居民画像",
        [
            ExploredChart(
                "portrait-chart",
                f"{newest} 全市新居民，圆的面积表示人数",
                ["one", "other"],
                explored_charts.specify_circles(longest),
                chart,
            )
        ],
        [
            KeyedTable(heads[key], ["one", "other"], {key: rows}, first=next(iter(tables)))
            for key, rows in tables.items()
        ],
        ["养老保险、居住方式等以部门交来的数据为准；没有登记的不等于没有。"],
    )


def _list_values(
    code: str, single: Mapping[str, int | None], titles: Mapping[str, str]
) -> dict[str, str]:
    """Return the values of a trait that somebody has, with their titles, in order."""
    found = [item.partition(":")[2] for item in single if item.startswith(f"{code}:")]
    ordered = [value for value in titles if value in found]
    return {
        value: titles.get(value, value) for value in [*ordered, *sorted(set(found) - set(titles))]
    }


def _find_pair(
    single: Mapping[str, int | None],
    pairs: Mapping[str, int | None],
    one: tuple[str, str],
    other: tuple[str, str],
) -> int | None:
    """Return the people of a value, or of two; the table has the traits in one order only."""
    first, second = ":".join(one), ":".join(other)
    if not other[0]:
        return single.get(first)
    return pairs.get(f"{first}/{second}", pairs.get(f"{second}/{first}"))


def list_trait_titles(
    sources: Mapping[str, Source],
) -> dict[str, tuple[str, dict[str, str]]]:
    """Return trait -> its title, and the title of each value in order."""
    facts = {
        name: (source, fact) for source in sources.values() for name, fact in source.facts.items()
    }
    titles = {}
    for trait in TRAITS:
        values: dict[str, str] = {}
        if trait.levels_of in facts:
            source, fact = facts[trait.levels_of]
            named = source.columns[str(fact.of)].values
            values = {
                level: named[level][0] if named.get(level) else level
                for level in list_levels(fact)
                if level not in trait.titles
            }
        titles[trait.code] = (trait.title, {**values, **trait.titles})
    return titles
