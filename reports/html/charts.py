"""Charts drawn as inline SVG, which printers print. Each says its numbers beside it; a table with all of them follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

LEGEND_PAIR = "实心为本月，空心为上月"
LEGEND_MOVES = "右侧实心为增加的人数，左侧空心为减少的人数"


@dataclass(frozen=True)
class Bar:
    """A named number, with last month's where known, what it says in words, and the number that fills the row."""

    name: str
    now: float
    label: str
    full: float
    before: float | None = None


@dataclass(frozen=True)
class Move:
    """How many people went up and down, and what it says in words."""

    name: str
    up: int
    down: int
    label: str


def draw_bars(title: str, rows: Sequence[Bar]) -> str:
    """Horizontal bars; last month's beneath each."""
    legend = LEGEND_PAIR if any(row.before is not None for row in rows) else ""
    return _figure(title, legend, [(row.name, _bar(row), row.label) for row in rows])


def draw_moves(title: str, rows: Sequence[Move]) -> str:
    """Bars to both sides of a middle line."""
    full = max((max(row.up, row.down) for row in rows), default=0) or 1
    return _figure(title, LEGEND_MOVES, [(row.name, _move(row, full), row.label) for row in rows])


def draw_histograms(title: str, rows: Sequence[tuple[str, str, Sequence[int]]]) -> str:
    """Small upright ones side by side: name, words, numbers. Each is filled by its own highest column."""
    drawn = "".join(
        f"<div><p>{escape(name)}<br><span class='soft'>{escape(label)}</span></p>{_columns(numbers)}</div>"
        for name, label, numbers in rows
    )
    return f'<figure><figcaption>{escape(title)}</figcaption><div class="small" aria-hidden="true">{drawn}</div></figure>'


def _figure(title: str, legend: str, rows: Sequence[tuple[str, str, str]]) -> str:
    caption = f"{title}（{legend}）" if legend else title
    drawn = "".join(
        f"<span>{escape(name)}</span>{svg}<span class='value'>{escape(label)}</span>"
        for name, svg, label in rows
    )
    return f'<figure><figcaption>{escape(caption)}</figcaption><div class="bars" aria-hidden="true">{drawn}</div></figure>'


def _svg(box: str, content: str) -> str:
    return f'<svg viewBox="{box}" preserveAspectRatio="none">{content}</svg>'


def _bar(row: Bar) -> str:
    full = row.full or 1
    drawn = _rect("now", 0, 1, 100 * row.now / full, 8 if row.before is not None else 14)
    if row.before is not None:
        drawn += _rect("then", 0, 11, 100 * row.before / full, 5)
    return _svg("0 0 100 17", drawn)


def _move(row: Move, full: int) -> str:
    up, down = 100 * row.up / full, 100 * row.down / full
    drawn = _rect("fewer", -down, 3, down, 10) + _rect("more", 0, 2, up, 12)
    return _svg("-101 0 202 16", f'{drawn}<line class="axis" x1="0" x2="0" y1="0" y2="16"/>')


def _columns(numbers: Sequence[int]) -> str:
    full, width = max(numbers, default=0) or 1, 100 / max(len(numbers), 1)
    drawn = (
        _rect(
            "now", place * width + 0.8, 100 - 100 * number / full, width - 1.6, 100 * number / full
        )
        for place, number in enumerate(numbers)
    )
    return _svg("0 0 100 100", "".join(drawn))


def _rect(kind: str, x: float, y: float, width: float, height: float) -> str:
    if width <= 0 or height <= 0:
        return ""
    return (
        f'<rect class="{kind}" x="{x:.2f}" y="{y:.2f}" width="{width:.2f}" height="{height:.2f}"/>'
    )
