"""What charts show, and the charts with axes: SVG by Altair and vl-convert.

Text stays text, nothing is loaded. Made 360 pixels wide, so that they are read on a phone and
printed as they are. Every extent is set: the fonts of a machine change no byte. Colours are those
of `templates/page.css`. Bars and bars in tables are drawn by the templates.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from reports.numbers import format_count

WIDTH = 360
ROW = 24  # height of a row of a bar chart
PROFILE = 32  # height of a small histogram
BAR = 14
FONT = "system-ui, 'PingFang SC', 'Microsoft YaHei', 'Noto Sans CJK SC', sans-serif"
FONT_SIZE = 12
NOW, DOWN, INK, SOFT, LINE = (f"var(--{name})" for name in ("now", "down", "ink", "soft", "line"))
COUNT_TEXT = (
    "datum.value == 0 ? '0' : abs(datum.value) < 10000 ? format(abs(datum.value), ',')"
    " : format(abs(datum.value) / 10000, ',') + ' 万'"
)

Rows = Sequence[Mapping[str, object]]


@dataclass(frozen=True)
class Bar:
    """A named number and the previous month's.

    label: both in words; full: the number that fills the row; before: None where not comparable.
    """

    name: str
    now: float
    label: str
    full: float
    before: float | None = None


@dataclass(frozen=True)
class Move:
    """How many people went up and down."""

    name: str
    up: int
    down: int


@dataclass(frozen=True)
class Histogram:
    """People by band; label: what stands over it."""

    name: str
    label: str
    numbers: Sequence[int]


@dataclass(frozen=True)
class DataBar:
    """A row of a table with a bar in it: percent of the longest; kind: `up` solid, `down` hollow."""

    name: str
    percent: int
    text: str
    kind: str = "up"


def draw_bands(bands: Sequence[str], now: Sequence[int], before: Sequence[int]) -> str:
    """Return one bar per band of points; an outline is the previous month's (none: not known)."""
    alt = _import_altair()
    rows = [
        {"name": band, "now": people, "label": format_count(people)}
        | ({"before": before[place]} if before else {})
        for place, (band, people) in enumerate(zip(bands, now, strict=True))
    ]
    most = max([*now, *before, 1])
    base = _base(alt, rows, len(rows) * ROW).encode(y=_names(alt))
    count = alt.X("now:Q", title="人数", axis=_count_axis(alt), scale=alt.Scale(domain=[0, most]))
    layers = [base.mark_bar(color=NOW, height=BAR).encode(x=count)]
    if before:
        outline = base.mark_bar(filled=False, stroke=INK, height=BAR + 5)
        layers.append(outline.encode(x="before:Q"))
    label = base.mark_text(align="left", dx=6, color=INK).encode(x="now:Q", text="label:N")
    return _draw(alt.layer(*layers, label), left=116, right=74)


def draw_histograms(bands: Sequence[str], charts: Sequence[Histogram]) -> str:
    """Return one small histogram per row, each filled by its own highest band."""
    alt = _import_altair()
    rows = [
        {"band": band, "low": row, "high": row - 0.85 * people / (max(one.numbers) or 1)}
        for row, one in enumerate(charts, 1)
        for band, people in zip(bands, one.numbers, strict=True)
    ]
    names = [{"name": one.name, "label": one.label, "low": n} for n, one in enumerate(charts, 1)]
    height = len(charts) * PROFILE
    scale = alt.Scale(domain=[0, len(charts)], reverse=True)
    shown = alt.Axis(values=[bands[0], bands[-1]], labelOverlap=False, labelAngle=0, ticks=False)
    bars = _base(alt, rows, height).mark_bar(color=NOW, width=11)
    bars = bars.encode(
        x=alt.X("band:N", sort=None, title=None, axis=shown),
        y=alt.Y("low:Q", scale=scale, axis=None),
        y2="high:Q",
    )
    base = _base(alt, names, height).encode(y="low:Q")
    title = base.mark_text(align="right", dy=-PROFILE / 2, color=INK).encode(
        x=alt.value(-8), text="name:N"
    )
    label = base.mark_text(align="left", dy=-PROFILE / 2, color=INK).encode(
        x=alt.value(WIDTH - 50 - 154 + 6), text="label:N"
    )
    return _draw(alt.layer(bars, title, label), left=50, right=154, bottom=24)


def draw_moves(moves: Sequence[Move]) -> str:
    """Return bars to both sides of zero: people with more points right, with fewer left."""
    alt = _import_altair()
    rows = [
        {"name": one.name, "up": one.up, "down": -one.down, "more": format_count(one.up)}
        | {"fewer": format_count(one.down)}
        for one in moves
    ]
    most = max([1, *(max(one.up, one.down) for one in moves)])
    mark = _round_down(most)
    axis = alt.Axis(values=[-mark, 0, mark], labelOverlap=False, labelExpr=COUNT_TEXT)
    margin = 0.8 * most  # for the numbers left of the bars
    scale = alt.Scale(domain=[-margin - max([0, *(one.down for one in moves)]), most])
    base = _base(alt, rows, len(rows) * ROW).encode(y=_names(alt))
    count = alt.X("up:Q", title="减少（空心）　　增加（实心）", axis=axis, scale=scale)
    more = base.mark_bar(color=NOW, height=BAR).encode(x=count)
    fewer = base.mark_bar(filled=False, stroke=DOWN, strokeWidth=2, height=BAR - 2)
    return _draw(
        alt.layer(
            more,
            fewer.encode(x="down:Q"),
            base.mark_text(align="left", dx=6, color=INK).encode(x="up:Q", text="more:N"),
            base.mark_text(align="right", dx=-6, color=INK).encode(x="down:Q", text="fewer:N"),
        ),
        left=124,
        right=66,
    )


def _import_altair() -> ModuleType:
    """Import it where a chart is drawn: it takes a second, which most commands need not wait."""
    import altair

    return altair


def _round_down(number: int) -> int:
    """Return the greatest 1, 2 or 5 of its power of ten that is not above it."""
    power: int = 10 ** (len(str(number)) - 1)
    return max(step * power for step in (1, 2, 5) if step * power <= number)


def _base(alt: ModuleType, rows: Rows, height: int) -> Any:
    return alt.Chart(alt.Data(values=rows), height=height)


def _names(alt: ModuleType) -> Any:
    axis = alt.Axis(labelLimit=0, labelOverlap=False, ticks=False, domain=False)
    return alt.Y("name:N", sort=None, title=None, axis=axis)


def _count_axis(alt: ModuleType) -> Any:
    return alt.Axis(tickCount=3, labelOverlap=False, labelExpr=COUNT_TEXT)


def _draw(chart: Any, left: int, right: int, bottom: int = 44) -> str:
    """Return SVG that stands in a page; `left`, `right`, `bottom`: pixels outside the axes."""
    import vl_convert

    text: dict[str, object] = {"labelFont": FONT, "titleFont": FONT, "titleFontWeight": "normal"}
    text |= {"labelFontSize": FONT_SIZE, "titleFontSize": FONT_SIZE}
    colours = {"labelColor": INK, "titleColor": SOFT, "gridColor": LINE, "domainColor": INK}
    spec = chart.to_dict() | {
        "width": WIDTH - left - right,
        "autosize": "none",
        "padding": {"left": left, "right": right, "top": 4, "bottom": bottom},
        "config": {
            "background": None,
            "axis": {**text, **colours, "tickColor": INK},
            "text": {"font": FONT, "fontSize": FONT_SIZE, "baseline": "middle"},
            "view": {"stroke": None},
        },
    }
    return re.sub(r' xmlns(:xlink)?="[^"]*"', "", vl_convert.vegalite_to_svg(spec))
