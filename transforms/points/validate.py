"""What an indicator of a points table may say of facts.

Every check yields mistakes at their place, in a policy writer's words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal

from expectations.errors import did_you_mean
from expectations.fact_model import COUNTED_UNITS, WHOLE_UNITS, YEAR_UNITS, Fact
from expectations.window_model import Years, list_years_ago
from transforms.expressions.fact_values import AWARD, UNIT_TITLES, find_fact, parse_fact_value
from transforms.expressions.kinds import Kind, build_fact_kinds, list_levels
from transforms.expressions.language import (
    Expression,
    ExpressionError,
    check_condition,
    parse_expression,
)
from transforms.points.models import (
    CITY,
    Indicator,
)
from transforms.points.rules import Axis, PerYear, Range
from transforms.scalars import BRACES
from transforms.versions import Place

Mistake = tuple[Place, str, str]
"""Where (keys below the thing checked), what was found, what was expected."""

NUMBER_FORMS = frozenset({"bands", "slope", "each", "tiers", "steps"})
_UNITS_OF_FORM: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(NUMBER_FORMS, COUNTED_UNITS),
    "by_count": WHOLE_UNITS,
    "counts": WHOLE_UNITS,
    "levels": frozenset({"level", "area"}),
    "flat": frozenset({"yes_no"}),
    "per_year": frozenset(YEAR_UNITS),
}
_AXIS_UNITS = frozenset({"level", "yes_no", "area"})
YES_NO_CELLS = ("true", "false")


def describe_unknown(what: str, name: str, known: Iterable[str]) -> tuple[str, str]:
    """Return the message for a name that nothing declares, with the nearest one that is."""
    return f"没有名为 {name} 的{what}", did_you_mean(name, sorted(known))


def validate_indicator(
    indicator: Indicator, authority: str, facts: Mapping[str, Fact]
) -> Iterator[Mistake]:
    """Yield mistakes of one indicator by itself: facts, rule, guards, evidence and examples."""
    unfit = list(_validate_own_fact(indicator, authority, facts))
    yield from unfit
    if not unfit:  # levels and examples make no sense with a fact that is not the one meant
        yield from _validate_rule(indicator, facts)
        yield from _validate_examples(indicator, facts)
    yield from _validate_limit(indicator, facts)
    yield from validate_guards(indicator.when, indicator.unless, facts)
    yield from validate_template(("evidence",), indicator.evidence)
    yield from _validate_evidence(indicator, facts)
    if indicator.cap == 0:
        yield ("cap",), "0", "这样永远不得分；请写大于 0 的上限，或删去这个指标"
    if indicator.replaces is not None and authority == CITY:
        yield ("replaces",), indicator.replaces, "只有区县积分表的指标可以代替市级指标"


def validate_guards(
    when: str | None, unless: str | None, facts: Mapping[str, Fact]
) -> Iterator[Mistake]:
    """Yield mistakes of the conditions around an indicator, group or section."""
    for key, text in (("when", when), ("unless", unless)):
        if text is not None:
            yield from validate_expression((key,), text, build_fact_kinds(facts), check_condition)


def validate_expression(
    place: Place,
    text: str,
    kinds: Mapping[str, Kind],
    parse: Callable[[str, Mapping[str, Kind]], Expression],
) -> Iterator[Mistake]:
    """Yield what is wrong with an expression as `parse` reads it."""
    try:
        parse(text, kinds)
    except ExpressionError as error:
        yield place, error.found, error.expected


def validate_template(place: Place, text: str) -> Iterator[Mistake]:
    """Yield braces that are no braces: people would read them."""
    if any(brace in text for brace in BRACES):
        yield place, "花括号是全角的", "数据写作 {数据名称}，用半角花括号"


def _validate_own_fact(
    indicator: Indicator, authority: str, facts: Mapping[str, Fact]
) -> Iterator[Mistake]:
    form = indicator.rule.form
    if form in ("counts", "table"):
        if indicator.fact is not None:
            yield ("fact",), f"规则 {form} 自带数据名称", "请删去 fact"
    elif indicator.fact is None:
        yield ("rule",), f"规则 {form} 缺少 fact", "请写出这个指标用的数据"
    else:
        units = _UNITS_OF_FORM[form]
        yield from _validate_fact(("fact",), indicator.fact, units, authority, facts)


def _validate_fact(
    place: Place, name: str, units: frozenset[str], authority: str, facts: Mapping[str, Fact]
) -> Iterator[Mistake]:
    fact = find_fact(name, facts)
    if name.startswith(AWARD) and authority == CITY:
        yield place, f"市级积分表不能用 {name}", "区县赋分只能写在区县积分表中"
    elif fact is None:
        yield place, *describe_unknown("数据", name, facts)
    elif fact.unit not in units:
        wanted = "、".join(dict.fromkeys(UNIT_TITLES[unit] for unit in sorted(units)))
        yield place, f"{name} 的单位是{UNIT_TITLES[fact.unit]}", f"这种规则只用于：{wanted}"


def _validate_rule(indicator: Indicator, facts: Mapping[str, Fact]) -> Iterator[Mistake]:
    rule, place = indicator.rule, ("rule", indicator.rule.form)
    own = find_fact(indicator.fact or "", facts)
    if rule.levels is not None:
        yield from _validate_levels(place, rule.levels, own)
    for name in rule.counts or ():
        yield from _validate_fact((*place, name), name, WHOLE_UNITS, "", facts)
    yield from _validate_overlaps((*place,), list(enumerate(rule.bands or ())))
    if rule.per_year is not None:
        yield from _validate_per_year(rule.per_year, own)
    if rule.table is not None:
        yield from _validate_axis((*place, "down"), rule.table.down, facts)
        yield from _validate_axis((*place, "across"), rule.table.across, facts)
        yield from _validate_cells((*place, "points"), rule.table.down, rule.table.points, facts)
        for row, cells in rule.table.points.items():
            yield from _validate_cells((*place, "points", row), rule.table.across, cells, facts)


def _validate_levels(place: Place, names: Iterable[str], fact: Fact | None) -> Iterator[Mistake]:
    if fact is not None and fact.unit == "area":
        for name in names:
            if not re.fullmatch("[0-9]{6}", name):
                yield (*place, name), f"{name} 不是区划代码", "区划写六位代码，例如 330203"
    elif fact is not None and fact.unit == "level":
        for name in names:
            if name not in list_levels(fact):
                yield (*place, name), *describe_unknown("等级", name, list_levels(fact))


def _validate_overlaps(place: Place, ranges: list[tuple[str | int, Range]]) -> Iterator[Mistake]:
    """Yield every range that shares a value with one before it."""
    for index, (key, band) in enumerate(ranges):
        for other_key, other in ranges[:index]:
            if _do_overlap(band, other):
                name = other_key + 1 if isinstance(other_key, int) else other_key
                yield (*place, key), f"区间与“{name}”重叠", "同一个数值只能落在一个区间"
                break


def _do_overlap(one: Range, other: Range) -> bool:
    """Two ranges share a value exactly when both hold the higher of their lower bounds."""
    lows = [band.low for band in (one, other) if band.low is not None]
    lowest = max(lows) if lows else min(_list_ends(one, other)) - 1
    return one.holds(lowest) and other.holds(lowest)


def _list_ends(*ranges: Range) -> list[Decimal]:
    return [end for band in ranges for end in (band.high, band.below) if end is not None]


def _validate_axis(place: Place, axis: Axis, facts: Mapping[str, Fact]) -> Iterator[Mistake]:
    fact = facts.get(axis.fact)
    if axis.bands is None and fact is not None and fact.unit in COUNTED_UNITS:
        yield (
            (*place, "bands"),
            f"{axis.fact} 是数值，没有写 bands",
            "数值要先分段并命名：bands: {低: {below: 12}, 高: {from: 12}}",
        )
        return
    units = _AXIS_UNITS if axis.bands is None else COUNTED_UNITS
    yield from _validate_fact((*place, "fact"), axis.fact, units, "", facts)
    yield from _validate_overlaps((*place, "bands"), list((axis.bands or {}).items()))


def _validate_cells(
    place: Place, axis: Axis, names: Iterable[str], facts: Mapping[str, Fact]
) -> Iterator[Mistake]:
    """Yield rows or columns of a two-way table that its axis does not have."""
    fact = facts.get(axis.fact)
    if axis.bands is None and fact is not None and fact.unit == "yes_no":
        for name in names:
            if name not in YES_NO_CELLS:
                yield (*place, name), name, "是否的两格写作 true 和 false"
    elif axis.bands is None:
        yield from _validate_levels(place, names, fact)
    else:
        for name in names:
            if name not in axis.bands:
                yield (*place, name), *describe_unknown("区间", name, axis.bands)


def _validate_per_year(per_year: PerYear, fact: Fact | None) -> Iterator[Mistake]:
    place, inner = ("rule", "per_year"), per_year.rule
    if inner.form not in NUMBER_FORMS:
        yield (
            (*place, "rule"),
            f"每年之内不能用 {inner.form}",
            f"可用：{'、'.join(sorted(NUMBER_FORMS))}",
        )
    yield from _validate_overlaps((*place, "rule", "bands"), list(enumerate(inner.bands or ())))
    if fact is not None and fact.years is not None:
        kept = list_years_ago(fact.years)
        if not set(per_year.years_ago) <= set(kept):
            yield (
                (*place, "years"),
                f"要用 {_describe_years(per_year.years)}",
                f"这项数据只有 {_describe_years(fact.years)}",
            )


def _describe_years(years: Years) -> str:
    if isinstance(years, int):
        return f"到计分日所在年为止的 {years} 个自然年"
    end = "到计分日所在年为止" if years.ending == "this" else "到上一年为止"
    return f"{end}的 {years.last} 个自然年"


def _validate_limit(indicator: Indicator, facts: Mapping[str, Fact]) -> Iterator[Mistake]:
    text = indicator.at_most
    if text is None:
        return
    if indicator.rule.form not in {*NUMBER_FORMS, "by_count"}:
        yield ("at_most",), f"规则 {indicator.rule.form} 不能用 at_most", "at_most 只用于数值"
        return
    if text == indicator.fact:
        yield ("at_most",), f"{text} 就是这个指标自己的数据", "请写另一项数据，或删去"
        return
    try:
        limit = parse_expression(text, build_fact_kinds(facts))
    except ExpressionError as error:
        yield ("at_most",), error.found, error.expected
        return
    own = find_fact(indicator.fact or "", facts)
    if limit.kind.name != "number":
        yield ("at_most",), f"{text} 不是数值", "应为数值的数据，或由它们加减得出"
    elif text in facts and own is not None and facts[text].unit != own.unit:
        yield (
            ("at_most",),
            f"{text} 的单位是{UNIT_TITLES[facts[text].unit]}",
            f"应与 fact 相同：{UNIT_TITLES[own.unit]}",
        )


def _validate_evidence(indicator: Indicator, facts: Mapping[str, Fact]) -> Iterator[Mistake]:
    try:
        names = indicator.placeholders
    except ValueError:
        yield ("evidence",), "花括号不成对，或内有别的写法", "数据写作 {数据名称}"
        return
    known = {*facts, "value"} if indicator.fact else {*facts}
    for name in names:
        if name not in known:
            yield ("evidence",), *describe_unknown("数据", name, known)


def _validate_examples(indicator: Indicator, facts: Mapping[str, Fact]) -> Iterator[Mistake]:
    for index, example in enumerate(indicator.examples):
        short = example.value is not None
        if short and indicator.fact is None:
            yield ("examples",), "这个指标没有单一的 fact", "请写成列表：[{数据: 值, points: 分值}]"
            return
        for name, given in indicator.given(example).items():
            place: Place = ("examples", str(example.value)) if short else ("examples", index, name)
            fact = find_fact(name, facts)
            if fact is None:
                yield place, *describe_unknown("数据", name, facts)
                continue
            try:
                parse_fact_value(fact, given)
            except ValueError as error:
                yield place, f"{given}", str(error)
