"""Each rule form as one SQL expression that is never null: an unknown value gives 0 points.

`GREATEST(x, 0)` skips nulls (in DuckDB and in Spark), so it turns both an unknown and a negative
value into 0. Numbers are BIGINT or DECIMAL(18, 2); nothing here may divide with `/`, which would be
floating point.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from transforms.engine.sql import sql_literal
from transforms.points.rules import Axis, Each, PerYear, Rule, Slope, Steps, Table, Tiers


@dataclass(frozen=True)
class RuleInput:
    """What a rule reads: a column, and whether it holds whole numbers only, or yes and no."""

    column: str
    whole: bool = True
    yes_no: bool = False


def number_sql(value: Decimal | int) -> str:
    """Return a declared number as SQL, without an exponent or trailing zeros."""
    return format(Decimal(value).normalize(), "f")


def case_sql(branches: Sequence[tuple[str, str]], subject: str = "") -> str:
    """Return CASE [subject] WHEN ... THEN ... ELSE 0 END."""
    whens = " ".join(f"WHEN {condition} THEN {result}" for condition, result in branches)
    return f"CASE {subject + ' ' if subject else ''}{whens} ELSE 0 END"


def year_column_name(column: str, years_ago: int) -> str:
    """Return the column of a map by calendar year that holds one of its years."""
    return f"{column}_{years_ago}_years_ago"


def rule_sql(rule: Rule, values: Mapping[str, RuleInput], value: RuleInput | None) -> str:
    """Return the points of a rule, before the indicator's cap.

    Args:
        rule: The rule.
        values: The facts by name, for rules that name theirs.
        value: The indicator's own fact.
    """
    if rule.counts is not None:
        return " + ".join(
            _times(f"GREATEST({values[fact].column}, 0)", points)
            for fact, points in rule.counts.items()
        )
    if rule.table is not None:
        return _table(rule.table, values)
    assert value is not None, "the loader lets no other rule through without a fact"
    if rule.levels is not None:
        return case_sql(
            [(sql_literal(level), number_sql(p)) for level, p in rule.levels.items()], value.column
        )
    if rule.flat is not None:
        return case_sql([(value.column, number_sql(rule.flat))])
    if rule.per_year is not None:
        return _per_year(rule.per_year, values, value)
    return _number_rule(rule, value)


def _number_rule(rule: Rule, value: RuleInput) -> str:
    column = value.column
    if rule.bands is not None:
        return case_sql(
            [(_within(column, b.low, b.high, b.below), number_sql(b.points)) for b in rule.bands]
        )
    if rule.by_count is not None:
        return case_sql(
            [
                (f"{column} >= {n}", number_sql(p))
                for n, p in sorted(rule.by_count.items(), reverse=True)
            ]
        )
    if rule.slope is not None:
        return _slope(rule.slope, value)
    if rule.each is not None:
        return _each(rule.each, value)
    if rule.tiers is not None:
        return _tiers(rule.tiers, value)
    assert rule.steps is not None
    return _steps(rule.steps, column)


def _within(
    column: str, low: Decimal | None, high: Decimal | None, below: Decimal | None = None
) -> str:
    """A test that is true between the bounds given, and never for an unknown value."""
    if low is not None and high is not None:
        return f"{column} BETWEEN {number_sql(low)} AND {number_sql(high)}"
    bounds = [(">=", low), ("<=", high), ("<", below)]
    tests = [f"{column} {sign} {number_sql(bound)}" for sign, bound in bounds if bound is not None]
    return " AND ".join(tests) or f"{column} IS NOT NULL"


def _times(units: str, points: Decimal) -> str:
    return units if points == 1 else f"{units} * {number_sql(points)}"


def _is_whole(amount: Decimal) -> bool:
    return amount == amount.to_integral_value()


def _full_units(amount: str, unit: Decimal, whole: bool) -> str:
    """The full units of an amount, at least 0; decimals are counted in hundredths, for `//`."""
    if not (whole and _is_whole(unit)):
        amount, unit = f"CAST({amount} * 100 AS BIGINT)", unit * 100
    return f"GREATEST({amount if unit == 1 else f'{amount} // {number_sql(unit)}'}, 0)"


def _slope(slope: Slope, value: RuleInput) -> str:
    start = number_sql(slope.start)
    distance = (
        f"({start} - {value.column})"
        if slope.direction == "below"
        else f"({value.column} - {start})"
    )
    units = _full_units(distance, slope.unit, value.whole and _is_whole(slope.start))
    sign = "-" if slope.each < 0 else "+"
    points = f"{number_sql(slope.points)} {sign} {_times(units, abs(slope.each))}"
    return case_sql([(_within(value.column, slope.low, slope.high), points)])


def _each(each: Each, value: RuleInput) -> str:
    def earned(amount: str, whole: bool) -> str:
        units = (
            f"GREATEST({amount}, 0)" if each.unit is None else _full_units(amount, each.unit, whole)
        )
        return _times(units, each.points)

    if each.start is None or each.first is None:
        return earned(value.column, value.whole)
    start = number_sql(each.start)
    more = earned(f"({value.column} - {start})", value.whole and _is_whole(each.start))
    return case_sql([(f"{value.column} >= {start}", f"{number_sql(each.first)} + {more}")])


def _tiers(tiers: Tiers, value: RuleInput) -> str:
    """From the longest tier down; marginal: what those before have earned, and this one's units."""
    units = _full_units(value.column, tiers.unit, value.whole)
    branches, earned = [], Decimal(0)
    for index, rate in enumerate(tiers.rates):
        if tiers.mode == "whole":
            points = _times(units, rate.points)
        else:
            if index:
                before = tiers.rates[index - 1]
                earned += before.points * (rate.begins - before.begins)
            points = (
                f"{number_sql(earned)} + {_times(f'({units} - {rate.begins - 1})', rate.points)}"
            )
        branches.append((f"{units} >= {rate.begins}", points))
    return case_sql(branches[::-1])


def _steps(steps: Steps, column: str) -> str:
    """From the greatest mark down; `sum` adds the amounts of all marks up to the one reached."""
    branches, total = [], Decimal(0)
    for mark, points in sorted(steps.marks.items()):
        total += points
        branches.append(
            (
                f"{column} >= {number_sql(mark)}",
                number_sql(total if steps.mode == "sum" else points),
            )
        )
    return case_sql(branches[::-1])


def _per_year(per_year: PerYear, values: Mapping[str, RuleInput], value: RuleInput) -> str:
    years = [
        RuleInput(year_column_name(value.column, ago), whole=False) for ago in per_year.years_ago
    ]
    cap = number_sql(per_year.cap)
    return " + ".join(f"LEAST({rule_sql(per_year.rule, values, year)}, {cap})" for year in years)


def _table(table: Table, values: Mapping[str, RuleInput]) -> str:
    def across(row: Mapping[str, Decimal]) -> str:
        return _axis(
            table.across, values, {cell: number_sql(points) for cell, points in row.items()}
        )

    return _axis(table.down, values, {name: across(row) for name, row in table.points.items()})


def _axis(axis: Axis, values: Mapping[str, RuleInput], results: Mapping[str, str]) -> str:
    value = values[axis.fact]
    column = value.column
    if axis.bands is not None:
        bands = {name: axis.bands[name] for name in results}
        return case_sql(
            [(_within(column, b.low, b.high, b.below), results[name]) for name, b in bands.items()]
        )
    if value.yes_no:
        return case_sql(
            [
                (column if answer == "true" else f"NOT {column}", result)
                for answer, result in results.items()
            ]
        )
    return case_sql([(sql_literal(level), result) for level, result in results.items()], column)
