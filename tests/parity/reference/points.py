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

from tests.parity.reference.expressions import evaluate_expression, is_condition_met
from tests.parity.reference.rows import Correction
from transforms.points.models import AWARD, CITY, Indicator, PointsVersion
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
    """Every points column of the resident's row, by name; indicators of other districts are None."""
    own = _indicator_points(city, facts, district, as_of, corrections)
    columns: dict[str, Decimal | None] = {f"{code}_points": value for code, value in own.items()}
    local: dict[str, Decimal] = {}
    for code, version in districts.items():
        lived_in = code == district
        if lived_in:
            local = _indicator_points(version, facts, district, as_of, corrections, f"{code}:")
        columns |= {
            f"d{code}_{name}_points": local[name] if lived_in else None
            for name in version.indicators
        }
    sections = {
        code: _combined(city, code, section.cap, "sum", own)
        for code, section in city.sections.items()
    }
    columns |= {f"{code}_points": value for code, value in sections.items()}
    common = sum(
        (-v if city.sections[code].subtract else v for code, v in sections.items()), Decimal(0)
    )
    given = _district_points(districts.get(district), local)
    return columns | {
        "common_points": common,
        "district_points": given,
        "total_points": common + given,
    }


def compute_points_before_corrections(
    city: PointsVersion,
    districts: Mapping[str, PointsVersion],
    facts: Facts,
    district: str,
    as_of: dt.date,
) -> dict[str, Decimal]:
    """What each indicator would give without corrections, by correction target."""
    found = _indicator_points(city, facts, district, as_of, NOTHING)
    if district in districts:
        local = _indicator_points(districts[district], facts, district, as_of, NOTHING)
        found |= {f"{district}:{name}": value for name, value in local.items()}
    return found


def compute_point_details(
    authority: str,
    version: PointsVersion,
    facts: Facts,
    district: str,
    as_of: dt.date,
    corrections: Mapping[str, Correction] = NOTHING,
) -> dict[str, Any]:
    """Return the columns that explain the points of the table of one authority (`city`, district)."""
    prefix, target = ("", "") if authority == CITY else (f"d{authority}_", f"{authority}:")
    columns: dict[str, Any] = {}
    for code, indicator in version.indicators.items():
        alone = indicator.model_copy(update={"cap": None, "when": None, "unless": None})
        given = _worth(alone, facts, district, as_of)
        columns[f"{prefix}{code}_by_rule"] = round_points(min(given, Fraction("99999.99")))
        if indicator.when or indicator.unless:
            columns[f"{prefix}{code}_closed_by"] = _closed_by(indicator, facts, district, as_of)
    own = _indicator_points(version, facts, district, as_of, corrections, target)
    for code, group in version.groups.items():
        columns[f"{prefix}{code}_points"] = _combined(version, code, group.cap, group.combine, own)
        columns[f"{prefix}{code}_uncapped"] = _combined(version, code, None, group.combine, own)
    for code in version.sections:
        columns[f"{prefix}{code}_uncapped"] = _combined(version, code, None, "sum", own)
    return columns


def _closed_by(indicator: Indicator, facts: Facts, district: str, as_of: dt.date) -> str | None:
    names = {**facts, "as_of": as_of, "district": district}
    if indicator.when is not None and not is_condition_met(indicator.when, names):
        return "when"
    if indicator.unless is not None and evaluate_expression(indicator.unless, names) is True:
        return "unless"
    return None


def _indicator_points(
    version: PointsVersion,
    facts: Facts,
    district: str,
    as_of: dt.date,
    corrections: Mapping[str, Correction],
    prefix: str = "",
) -> dict[str, Decimal]:
    """The points of every indicator of a version; a correction of the indicator is its points."""
    return {
        code: given.value
        if (given := corrections.get(prefix + code)) and 0 <= given.value <= MOST
        else round_points(_worth(indicator, facts, district, as_of))
        for code, indicator in version.indicators.items()
    }


def _district_points(version: PointsVersion | None, local: Mapping[str, Decimal]) -> Decimal:
    return (
        _combined(version, "district", version.sections["district"].cap, "sum", local)
        if version
        else Decimal(0)
    )


def _combined(
    version: PointsVersion, parent: str, cap: Decimal | None, how: str, own: Mapping[str, Decimal]
) -> Decimal:
    """The sum or the highest of what stands directly in a section or group (inner groups first), at most the cap."""
    inside = [
        own[code] for code, indicator in version.indicators.items() if indicator.section == parent
    ]
    inside += [
        _combined(version, code, group.cap, group.combine, own)
        for code, group in version.groups.items()
        if group.parent == parent
    ]
    value = max(inside) if how == "highest" and inside else sum(inside, Decimal(0))
    return value if cap is None else min(cap, value)


def _worth(indicator: Indicator, facts: Facts, district: str, as_of: dt.date) -> Fraction:
    """The unrounded points of an indicator: conditions, then the lesser of two facts, then the rule, then the cap."""
    names = {**facts, "as_of": as_of, "district": district}
    if indicator.when is not None and not is_condition_met(indicator.when, names):
        return Fraction(0)
    if indicator.unless is not None and evaluate_expression(indicator.unless, names) is True:
        return Fraction(0)
    value = _fact_value(indicator.fact, facts, district) if indicator.fact else None
    if indicator.at_most is not None:
        limit = facts[indicator.at_most]
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
    years = [year for year in hours if as_of.year - per_year.years < year <= as_of.year]
    return sum(
        (
            min(Fraction(per_year.cap), apply_rule(per_year.rule, hours[y], {}, as_of))
            for y in years
        ),
        Fraction(0),
    )


def _table(table: Table, facts: Facts) -> Fraction:
    row, column = _place(table.down, facts), _place(table.across, facts)
    return Fraction(table.points.get(row or "", {}).get(column or "", 0))


def _place(axis: Axis, facts: Facts) -> str | None:
    """The level, or the name of the range, that the resident's fact is in."""
    value = facts[axis.fact]
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
