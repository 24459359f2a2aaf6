"""What the charts of a page show; `templates/charts.html.j2` draws it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


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
    """How many people went up and down; label: both in words."""

    name: str
    up: int
    down: int
    label: str


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
