"""What rules can give, for the checks at load: at one value, and over all plausible values.

Months are scored by the compiled statement alone (`rule_sql`); nothing here reaches a score.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from itertools import pairwise

from expectations.fact_model import WHOLE_UNITS, YEAR_UNITS
from transforms.points.rules import Each, Rule, Slope, Steps, Tiers

ZERO = Decimal(0)
# The most that a person can plausibly have of a unit; what needs more is a typing mistake.
_PLAUSIBLE: Mapping[str, int] = {
    "year": 9999, "years": 120, "months": 1440, "count": 100, "times": 1000, "people": 10_000, "hours": 50_000,
    "ml": 500_000, "points": 1000, "yuan": 10**7, "m2": 10_000, "percent": 100, "number": 10**6,
}  # fmt: skip
_PLAUSIBLE_YEAR: Mapping[str, int] = {"hours": 8784, "times": 366, "ml": 10_000, "yuan": 10**7}


def apply_number_rule(rule: Rule, value: Decimal) -> Decimal:
    """Return the points of a rule for numbers; 0 of any other rule."""
    if rule.bands is not None:
        return next((band.points for band in rule.bands if band.holds(value)), ZERO)
    if rule.slope is not None:
        return _slope(rule.slope, value)
    if rule.each is not None:
        return _each(rule.each, value)
    if rule.tiers is not None:
        return _tiers(rule.tiers, int(max(ZERO, value // rule.tiers.unit)))
    if rule.steps is not None:
        return _steps(rule.steps, value)
    if rule.by_count is not None:
        return rule.by_count.get(min(max(rule.by_count), int(value)), ZERO) if value > 0 else ZERO
    return ZERO


def _slope(slope: Slope, value: Decimal) -> Decimal:
    outside = (slope.low is not None and value < slope.low) or (
        slope.high is not None and value > slope.high
    )
    if outside:
        return ZERO
    away = slope.start - value if slope.direction == "below" else value - slope.start
    return slope.points + slope.each * max(ZERO, away // slope.unit)


def _each(each: Each, value: Decimal) -> Decimal:
    start = each.start or ZERO
    if each.start is not None and value < start:
        return ZERO
    length = max(ZERO, value - start)
    return (each.first or ZERO) + each.points * (
        length if each.unit is None else length // each.unit
    )


def _tiers(tiers: Tiers, units: int) -> Decimal:
    rates = [rate for rate in tiers.rates if rate.begins <= units]
    if not rates:
        return ZERO
    if tiers.mode == "whole":
        return units * rates[-1].points
    ends = [*(rate.begins - 1 for rate in rates[1:]), units]
    counted = (end - rate.begins + 1 for rate, end in zip(rates, ends, strict=True))
    return sum((n * rate.points for n, rate in zip(counted, rates, strict=True)), ZERO)


def _steps(steps: Steps, value: Decimal) -> Decimal:
    reached = [points for mark, points in sorted(steps.marks.items()) if value >= mark]
    if not reached:
        return ZERO
    return reached[-1] if steps.mode == "highest" else sum(reached, ZERO)


def list_rows(rule: Rule) -> list[Decimal]:
    """Return the points that single rows of a rule name: what a cap below them would cut."""
    if rule.bands is not None:
        return [band.points for band in rule.bands]
    if rule.levels is not None:
        return list(rule.levels.values())
    if rule.by_count is not None:
        return list(rule.by_count.values())
    if rule.flat is not None:
        return [rule.flat]
    if rule.table is not None:
        return [points for row in rule.table.points.values() for points in row.values()]
    if rule.steps is not None and rule.steps.mode == "highest":
        return list(rule.steps.marks.values())
    return []


def find_range(rule: Rule, unit: str) -> tuple[Decimal, Decimal]:
    """Return the least and the most that a rule gives over plausible values of a unit."""
    if rule.counts is not None:
        return ZERO, max(rule.counts.values()) * _PLAUSIBLE["count"]
    if rule.per_year is not None:
        inner = YEAR_UNITS.get(unit, "hours")
        low, high = _number_range(rule.per_year.rule, inner, _PLAUSIBLE_YEAR[inner])
        years = len(rule.per_year.years_ago)
        return years * low, years * min(high, rule.per_year.cap)
    if rule.levels is not None or rule.flat is not None or rule.table is not None:
        return ZERO, max(list_rows(rule), default=ZERO)
    return _number_range(rule, unit, _PLAUSIBLE.get(unit, 1000))


def _number_range(rule: Rule, unit: str, most: int) -> tuple[Decimal, Decimal]:
    """A rule for numbers turns where it names a number, and reaches furthest at the ends."""
    step = Decimal(1) if unit in WHOLE_UNITS else Decimal("0.01")
    turns = [value for turn in _turns(rule) for value in (turn - step, turn, turn + step)]
    values = [ZERO, Decimal(most), *(value for value in turns if value <= most)]
    found = [apply_number_rule(rule, value) for value in values]
    return min(found), max(found)


def _turns(rule: Rule) -> Iterator[Decimal]:
    bounds: Iterable[Decimal | None] = ()
    if rule.bands is not None:
        bounds = [end for band in rule.bands for end in (band.low, band.high, band.below)]
    elif rule.slope is not None:
        bounds = [rule.slope.start, rule.slope.low, rule.slope.high]
    elif rule.each is not None:
        bounds = [rule.each.start]
    elif rule.steps is not None:
        bounds = list(rule.steps.marks)
    elif rule.tiers is not None:
        bounds = [rate.begins * rule.tiers.unit for rate in rule.tiers.rates]
    yield from (bound for bound in bounds if bound is not None)


def find_drops(rule: Rule) -> Iterator[str]:
    """Yield where more of what is counted gives fewer points, which is seldom meant."""
    if rule.steps is not None and rule.steps.mode == "highest":
        for (low, before), (high, after) in pairwise(sorted(rule.steps.marks.items())):
            if after < before:
                yield f"达到 {high} 得 {after} 分，比达到 {low} 的 {before} 分少"
    if rule.tiers is not None:
        for rate in rule.tiers.rates[1:]:
            before, after = _tiers(rule.tiers, rate.begins - 1), _tiers(rule.tiers, rate.begins)
            if after < before:
                yield f"满 {rate.begins} 个得 {after} 分，比满 {rate.begins - 1} 个的 {before} 分少"
    if rule.by_count is not None:
        for (few, before), (many, after) in pairwise(sorted(rule.by_count.items())):
            if after < before:
                yield f"{many} 次得 {after} 分，比 {few} 次的 {before} 分少"
