"""Points the plain way: one resident, one indicator after the other, in exact fractions.

Meanings are those written beside the rule models; nothing is shared with the SQL compiler but the models.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

from expectations.window_model import YearSpan
from tests.parity.reference.expressions import evaluate_expression, is_condition_met
from tests.parity.reference.rows import Correction
from transforms.expressions.fact_values import AWARD
from transforms.points.models import CITY, Indicator, PointsSum, PointsVersion
from transforms.points.rules import (
    Axis,
    Band,
    Each,
    PerYear,
    Range,
    Rule,
    Slope,
    Steps,
    Table,
    Tiers,
)

Facts = Mapping[str, Any]
MOST = Decimal("999.99")  # a corrected indicator has 0 to this many points
NOTHING: Mapping[str, Correction] = {}


def compute_points(
    city: PointsVersion,
    districts: Mapping[str, PointsVersion],
    facts: Facts,
    district: str,
    as_of: dt.date,
    corrections: Mapping[str, Correction] = NOTHING,
) -> dict[str, Decimal | None]:
    """Return every points column of a resident by name; those of other districts are None."""
    local = districts.get(district)
    replaced = _find_replaced(local)
    common = _Table(city, facts, district, as_of, corrections, replaced=replaced)
    own = None if local is None else _Table(local, facts, district, as_of, corrections, district)
    columns: dict[str, Decimal | None] = {
        f"{code}_points": common.indicators[code] for code in city.indicators
    }
    for code, version in districts.items():
        columns |= {
            f"d{code}_{name}_points": own.indicators[name] if own and code == district else None
            for name in version.indicators
        }
    columns |= {f"{code}_points": common.total_of(code) for code in city.sections}
    given = own.total if own else Decimal(0)
    total = common.signed + given
    if city.floor is not None:
        total = max(total, city.floor)
    return columns | {
        "common_points": common.signed,
        "district_points": given,
        "total_points": total,
    }


def compute_points_before_corrections(
    city: PointsVersion,
    districts: Mapping[str, PointsVersion],
    facts: Facts,
    district: str,
    as_of: dt.date,
) -> dict[str, Decimal]:
    """Return what each indicator gives without corrections, by correction target."""
    replaced = _find_replaced(districts.get(district))
    table = _Table(city, facts, district, as_of, NOTHING, replaced=replaced)
    found = {code: value for code, value in table.indicators.items() if code not in replaced}
    if district in districts:
        local = _Table(districts[district], facts, district, as_of, NOTHING, district)
        found |= {f"{district}:{name}": value for name, value in local.indicators.items()}
    return found


def compute_point_details(
    authority: str,
    versions: Mapping[str, PointsVersion],
    facts: Facts,
    district: str,
    as_of: dt.date,
    corrections: Mapping[str, Correction] = NOTHING,
) -> dict[str, Any]:
    """Return the columns that explain the points of one authority's table (`city`, district).

    `versions`: the tables that hold for the resident, by authority.
    """
    version = versions[authority]
    prefix, code_of = ("", None) if authority == CITY else (f"d{authority}_", authority)
    replaced = _find_replaced(versions.get(district)) if authority == CITY else frozenset()
    table = _Table(version, facts, district, as_of, corrections, code_of, replaced)
    replaceable = {
        one.replaces
        for name, other in versions.items()
        if name != CITY and authority == CITY
        for one in other.indicators.values()
    }
    columns: dict[str, Any] = {}
    for code, indicator in version.indicators.items():
        alone = indicator.model_copy(update={"cap": None, "when": None, "unless": None})
        given = Fraction(0) if code in replaced else _worth(alone, facts, district, as_of)
        columns[f"{prefix}{code}_by_rule"] = round_points(min(given, Fraction("99999.99")))
        if indicator.when or indicator.unless or code in replaceable:
            closed = _closed_by(indicator, facts, district, as_of)
            columns[f"{prefix}{code}_closed_by"] = "replaced" if code in replaced else closed
    for code in (*version.groups, *version.sections):
        if code in version.groups or authority != CITY:
            columns[f"{prefix}{code}_points"] = table.total_of(code)
        columns[f"{prefix}{code}_uncapped"] = table.combined(code)
        if version.find_sum(code).has_guard:
            columns[f"{prefix}{code}_closed_by"] = table.closed_by(code)
    return columns


def _find_replaced(version: PointsVersion | None) -> frozenset[str]:
    """The city's indicators in whose place a district puts its own."""
    found = version.indicators.values() if version else ()
    return frozenset(one.replaces for one in found if one.replaces is not None)


def _closed_by(
    found: Indicator | PointsSum, facts: Facts, district: str, as_of: dt.date
) -> str | None:
    names = {**facts, "as_of": as_of, "district": district}
    if found.when is not None and not is_condition_met(found.when, names):
        return "when"
    if found.unless is not None and evaluate_expression(found.unless, names) is True:
        return "unless"
    return None


class _Table:
    """One table for one resident: the points of its indicators, groups and sections."""

    def __init__(
        self,
        version: PointsVersion,
        facts: Facts,
        district: str,
        as_of: dt.date,
        corrections: Mapping[str, Correction],
        authority: str | None = None,
        replaced: frozenset[str] = frozenset(),
    ) -> None:
        self.version, self.facts, self.district, self.as_of = version, facts, district, as_of
        prefix = f"{authority}:" if authority else ""
        self.indicators: dict[str, Decimal] = {}
        for code, indicator in version.indicators.items():
            given = corrections.get(prefix + code)
            if code in replaced:
                self.indicators[code] = Decimal(0)
            elif given and 0 <= given.value <= MOST:
                self.indicators[code] = given.value
            else:
                worth = _worth(indicator, facts, district, as_of)
                self.indicators[code] = round_points(worth)

    def combined(self, code: str) -> Decimal:
        """What stands directly in a group or section, added up, or the highest of it."""
        inside = [
            self.indicators[name]
            for name, indicator in self.version.indicators.items()
            if indicator.section == code
        ]
        groups = self.version.groups
        inside += [self.total_of(name) for name, group in groups.items() if group.parent == code]
        if code in groups and groups[code].combine == "highest" and inside:
            return max(inside)
        return sum(inside, Decimal(0))

    def closed_by(self, code: str) -> str | None:
        """What sets a group or section to 0."""
        found = self.version.find_sum(code)
        absent = [name for name in found.all_of if self.indicators[name] <= 0]
        return _closed_by(found, self.facts, self.district, self.as_of) or (
            f"all_of:{absent[0]}" if absent else None
        )

    def total_of(self, code: str) -> Decimal:
        """An indicator, or a group or section within its limits."""
        if code in self.indicators:
            return self.indicators[code]
        found = self.version.find_sum(code)
        if self.closed_by(code) is not None:
            return Decimal(0)
        value = self.combined(code)
        if found.cap is not None:
            value = min(value, found.cap)
        if found.cap_share is not None:
            of = sum((self.total_of(name) for name in found.cap_share.of), Decimal(0))
            share = Fraction(max(of, Decimal(0))) * Fraction(found.cap_share.share)
            value = min(value, round_points(share))
        if found.floor is not None:
            value = max(value, found.floor)
        return value

    @property
    def signed(self) -> Decimal:
        """Sections that add, minus sections that subtract."""
        return sum(
            (
                -self.total_of(code) if section.subtract else self.total_of(code)
                for code, section in self.version.sections.items()
            ),
            Decimal(0),
        )

    @property
    def total(self) -> Decimal:
        """What a district's table comes to."""
        floor = self.version.floor
        return self.signed if floor is None else max(self.signed, floor)


def _worth(indicator: Indicator, facts: Facts, district: str, as_of: dt.date) -> Fraction:
    """The unrounded points of an indicator: conditions, then the lesser of two facts, then the rule, then the cap."""
    names = {**facts, "as_of": as_of, "district": district}
    if indicator.when is not None and not is_condition_met(indicator.when, names):
        return Fraction(0)
    if indicator.unless is not None and evaluate_expression(indicator.unless, names) is True:
        return Fraction(0)
    value = _fact_value(indicator.fact, facts, district) if indicator.fact else None
    if indicator.at_most is not None:
        limit = evaluate_expression(indicator.at_most, names)
        value = None if value is None or limit is None else min(value, limit)
    given = apply_rule(indicator.rule, value, facts, as_of)
    return given if indicator.cap is None else min(given, Fraction(indicator.cap))


def _fact_value(fact: str, facts: Facts, district: str) -> Any:
    """The value of a fact; `award:x` is what the residence district granted under x, None when nothing."""
    return (
        facts["awards"].get(f"{district}:{fact.removeprefix(AWARD)}")
        if fact.startswith(AWARD)
        else facts[fact]
    )


def round_points(value: Fraction) -> Decimal:
    """Two decimals, halves away from zero."""
    cents = math.floor(abs(value) * 100 + Fraction(1, 2))
    return Decimal(-cents if value < 0 else cents) / 100


def apply_rule(rule: Rule, value: Any, facts: Facts, as_of: dt.date) -> Fraction:
    """What a rule gives for a value (families and two-way tables read their own facts); unknown gives nothing."""
    if rule.counts is not None:
        return sum(
            (Fraction(each) * Fraction(facts[fact] or 0) for fact, each in rule.counts.items()),
            Fraction(0),
        )
    if rule.table is not None:
        return _table(rule.table, facts)
    if value is None:
        return Fraction(0)
    if rule.per_year is not None:
        return _per_year(rule.per_year, value, as_of)
    return RULES[rule.form](rule.content, value)


def _units(value: Fraction, unit: Decimal) -> int:
    return max(0, math.floor(value / Fraction(unit)))


def _within(span: Range, value: Decimal) -> bool:
    above = span.low is None or value >= span.low
    return (
        above
        and (span.high is None or value <= span.high)
        and (span.below is None or value < span.below)
    )


def _bands(bands: list[Band], value: Decimal) -> Fraction:
    return next((Fraction(band.points) for band in bands if _within(band, value)), Fraction(0))


def _slope(slope: Slope, value: Decimal) -> Fraction:
    if (slope.low is not None and value < slope.low) or (
        slope.high is not None and value > slope.high
    ):
        return Fraction(0)
    away = slope.start - value if slope.direction == "below" else value - slope.start
    return Fraction(slope.points) + Fraction(slope.each) * _units(Fraction(away), slope.unit)


def _levels(levels: Mapping[str, Decimal], value: str) -> Fraction:
    return Fraction(levels.get(value, 0))


def _each(each: Each, value: Decimal) -> Fraction:
    start = each.start or Decimal(0)
    if each.start is not None and value < each.start:
        return Fraction(0)
    length = max(Fraction(0), Fraction(value) - Fraction(start))
    units = length if each.unit is None else _units(length, each.unit)
    return Fraction(each.first or 0) + Fraction(each.points) * units


def _tiers(tiers: Tiers, value: Decimal) -> Fraction:
    units = _units(Fraction(value), tiers.unit)
    if tiers.mode == "whole":
        return units * _rate(tiers, units)
    return sum((_rate(tiers, unit) for unit in range(1, units + 1)), Fraction(0))


def _rate(tiers: Tiers, unit: int) -> Fraction:
    reached = [Fraction(rate.points) for rate in tiers.rates if rate.begins <= unit]
    return reached[-1] if reached else Fraction(0)


def _steps(steps: Steps, value: Decimal) -> Fraction:
    reached = [Fraction(steps.marks[mark]) for mark in sorted(steps.marks) if value >= mark]
    if not reached:
        return Fraction(0)
    return reached[-1] if steps.mode == "highest" else sum(reached, Fraction(0))


def _by_count(by_count: Mapping[int, Decimal], value: Decimal) -> Fraction:
    reached = [times for times in by_count if times <= value]
    return Fraction(by_count[max(reached)]) if reached else Fraction(0)


def _flat(amount: Decimal, value: bool) -> Fraction:
    return Fraction(amount) if value is True else Fraction(0)


def _per_year(per_year: PerYear, hours: Mapping[int, Decimal], as_of: dt.date) -> Fraction:
    years = [year for year in hours if as_of.year - year in list_years(per_year.years)]
    return sum(
        (
            min(Fraction(per_year.cap), apply_rule(per_year.rule, hours[y], {}, as_of))
            for y in years
        ),
        Fraction(0),
    )


def list_years(years: int | YearSpan) -> list[int]:
    """Return how many years before the scoring date's the calendar years are that count."""
    if isinstance(years, int):
        return list(range(years))
    first = 1 if years.ending == "previous" else 0
    return [first + number for number in range(years.last)]


def _table(table: Table, facts: Facts) -> Fraction:
    row, column = _place(table.down, facts), _place(table.across, facts)
    return Fraction(table.points.get(row or "", {}).get(column or "", 0))


def _place(axis: Axis, facts: Facts) -> str | None:
    """The level, or the name of the range, that the resident's fact is in."""
    value = facts[axis.fact]
    if isinstance(value, bool):
        return "true" if value else "false"
    if axis.bands is None or value is None:
        return None if value is None else str(value)
    return next((name for name, span in axis.bands.items() if _within(span, value)), None)


RULES: dict[str, Callable[[Any, Any], Fraction]] = {
    "bands": _bands,
    "slope": _slope,
    "levels": _levels,
    "each": _each,
    "tiers": _tiers,
    "steps": _steps,
    "by_count": _by_count,
    "flat": _flat,
}
