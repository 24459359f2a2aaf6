"""The kinds of values that expressions name: numbers with their size, texts, dates, yes or no."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from expectations.source_model import COUNTED_UNITS, WHOLE_UNITS, Fact

# The most that people's data come to, by unit; what is larger still is a mistake of the data.
_LARGEST = {"year": 10**4, "years": 10**3, "months": 10**4, "percent": 10**6, "yuan": 10**10}
_LARGEST_COUNT, _LARGEST_AMOUNT = 10**7, 10**9


@dataclass(frozen=True)
class Size:
    """What a number can be: at most `most` in size, with so many decimals."""

    most: Decimal
    decimals: int = 0


@dataclass(frozen=True)
class Kind:
    """What a name stands for.

    A text with `levels` can only be one of them (or null); an `area` is a six-digit code.
    """

    name: Literal["number", "yes_no", "text", "date"]
    levels: frozenset[str] = frozenset()
    area: bool = False
    size: Size = field(default=Size(Decimal(10**10), 2), compare=False)


NUMBER, YES_NO, TEXT, DATE = Kind("number"), Kind("yes_no"), Kind("text"), Kind("date")
POINTS = Kind("number", size=Size(Decimal(10**5), 2))


def list_levels(fact: Fact) -> list[str]:
    """Return the levels a fact can have, lowest first, then what a person without any has."""
    return [rung[0] for rung in fact.ladder] + ([fact.otherwise] if fact.otherwise else [])


def build_fact_kinds(facts: Mapping[str, Fact]) -> dict[str, Kind]:
    """Return what expressions over these facts may name, with `as_of`.

    Maps and lists have no place in expressions.
    """
    kinds = {"as_of": DATE}
    for name, fact in facts.items():
        if fact.unit in COUNTED_UNITS:
            kinds[name] = Kind("number", size=_find_size(fact.unit))
        elif fact.unit == "yes_no":
            kinds[name] = YES_NO
        elif fact.unit in ("date", "month"):
            kinds[name] = DATE
        elif fact.unit in ("level", "area", "text"):
            kinds[name] = Kind("text", frozenset(list_levels(fact)), fact.unit == "area")
    return kinds


def _find_size(unit: str) -> Size:
    whole = unit in WHOLE_UNITS
    largest = _LARGEST.get(unit, _LARGEST_COUNT if whole else _LARGEST_AMOUNT)
    return Size(Decimal(largest), 0 if whole else 2)
