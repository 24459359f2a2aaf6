"""What a points table may say of facts, sections and groups: every mistake at its place."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from decimal import Decimal

from expectations.errors import did_you_mean
from expectations.source_model import COUNTED_UNITS, Fact
from transforms.expressions.fact_values import (
    HOURS_BY_YEAR,
    UNIT_WORDS,
    find_fact,
    parse_fact_value,
)
from transforms.expressions.language import (
    ExpressionError,
    build_fact_kinds,
    list_levels,
    parse_condition,
)
from transforms.points.models import AWARD, CITY, Group, Indicator, Section
from transforms.points.rules import WHOLE_UNITS, Axis, Range, Rule

Place = tuple[str | int, ...]
Mistake = tuple[Place, str, str]
"""Where (keys below the thing checked), what was found, what was meant."""

NUMBER_FORMS = frozenset({"bands", "slope", "each", "tiers", "steps"})
UNITS_OF_FORM: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(NUMBER_FORMS, COUNTED_UNITS),
    "by_count": WHOLE_UNITS,
    "counts": WHOLE_UNITS,
    "levels": frozenset({"level"}),
    "flat": frozenset({"yes_no"}),
    "per_year": frozenset({HOURS_BY_YEAR}),
}
RESERVED = frozenset({"common", "district", "total"})


def describe_unknown(what: str, name: str, known: Iterable[str]) -> tuple[str, str]:
    """The message for a name that nothing declares, with the nearest one that is."""
    return f"没有名为 {name} 的{what}", did_you_mean(name, sorted(known))


def validate_indicator(
    indicator: Indicator, authority: str, facts: Mapping[str, Fact]
) -> Iterator[Mistake]:
    """Mistakes of one indicator by itself: its facts, rule, guards, evidence and examples."""
    unfit = list(_validate_own_fact(indicator, authority, facts))
    yield from unfit
    if not unfit:  # a fact that is not the one meant makes no sense of levels and examples either
        yield from _validate_rule(indicator, facts)
        yield from _validate_examples(indicator, facts)
    yield from _validate_limit(indicator, facts)
    for key, text in (("when", indicator.when), ("unless", indicator.unless)):
        if text is not None:
            try:
                parse_condition(text, build_fact_kinds(facts))
            except ExpressionError as error:
                yield (key,), error.found, error.expected
    yield from _validate_evidence(indicator, facts)


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
        yield from _validate_fact(("fact",), indicator.fact, UNITS_OF_FORM[form], authority, facts)


def _validate_fact(
    place: Place, name: str, units: frozenset[str], authority: str, facts: Mapping[str, Fact]
) -> Iterator[Mistake]:
    fact = find_fact(name, facts)
    if name.startswith(AWARD) and authority == CITY:
        yield place, f"市级积分表不能用 {name}", "区县赋分只能写在区县积分表中"
    elif fact is None:
        yield place, *describe_unknown("数据", name, facts)
    elif fact.unit not in units:
        wanted = "、".join(dict.fromkeys(UNIT_WORDS[unit] for unit in sorted(units)))
        yield place, f"{name} 的单位是{UNIT_WORDS[fact.unit]}", f"这种规则只用于：{wanted}"


def _validate_rule(indicator: Indicator, facts: Mapping[str, Fact]) -> Iterator[Mistake]:
    rule, place = indicator.rule, ("rule", indicator.rule.form)
    if rule.levels is not None:
        yield from _validate_levels(place, rule.levels, find_fact(indicator.fact or "", facts))
    for name in rule.counts or ():
        yield from _validate_fact((*place, name), name, WHOLE_UNITS, "", facts)
    yield from _validate_overlaps((*place,), list(enumerate(rule.bands or ())))
    if rule.per_year is not None:
        yield from _validate_per_year(
            rule.per_year.rule, rule.per_year.years, find_fact(indicator.fact or "", facts)
        )
    if rule.table is not None:
        yield from _validate_axis((*place, "down"), rule.table.down, facts)
        yield from _validate_axis((*place, "across"), rule.table.across, facts)
        yield from _validate_cells((*place, "points"), rule.table.down, rule.table.points, facts)
        for row, cells in rule.table.points.items():
            yield from _validate_cells((*place, "points", row), rule.table.across, cells, facts)


def _validate_levels(place: Place, levels: Iterable[str], fact: Fact | None) -> Iterator[Mistake]:
    if fact is None or fact.unit != "level":
        return
    for level in levels:
        if level not in list_levels(fact):
            yield (*place, level), *describe_unknown("等级", level, list_levels(fact))


def _validate_overlaps(place: Place, ranges: list[tuple[str | int, Range]]) -> Iterator[Mistake]:
    """Every range that shares a value with one before it."""
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
    units = frozenset({"level"}) if axis.bands is None else COUNTED_UNITS
    yield from _validate_fact((*place, "fact"), axis.fact, units, "", facts)
    yield from _validate_overlaps((*place, "bands"), list((axis.bands or {}).items()))


def _validate_cells(
    place: Place, axis: Axis, names: Iterable[str], facts: Mapping[str, Fact]
) -> Iterator[Mistake]:
    """Rows or columns of a two-way table that its axis does not have."""
    if axis.bands is None:
        yield from _validate_levels(place, names, facts.get(axis.fact))
        return
    for name in names:
        if name not in axis.bands:
            yield (*place, name), *describe_unknown("区间", name, axis.bands)


def _validate_per_year(inner: Rule, years: int, fact: Fact | None) -> Iterator[Mistake]:
    place = ("rule", "per_year")
    if inner.form not in NUMBER_FORMS:
        yield (
            (*place, "rule"),
            f"每年之内不能用 {inner.form}",
            f"可用：{'、'.join(sorted(NUMBER_FORMS))}",
        )
    yield from _validate_overlaps((*place, "rule", "bands"), list(enumerate(inner.bands or ())))
    if fact is not None and fact.years is not None and years > fact.years:
        yield (*place, "years"), f"{years} 年", f"这项数据只有 {fact.years} 个自然年"


def _validate_limit(indicator: Indicator, facts: Mapping[str, Fact]) -> Iterator[Mistake]:
    name = indicator.at_most
    if name is None:
        return
    fact, own = facts.get(name), find_fact(indicator.fact or "", facts)
    if fact is None:
        yield ("at_most",), *describe_unknown("数据", name, facts)
    elif indicator.rule.form not in {*NUMBER_FORMS, "by_count"}:
        yield ("at_most",), f"规则 {indicator.rule.form} 不能用 at_most", "at_most 只用于数值"
    elif own is not None and fact.unit != own.unit:
        yield (
            ("at_most",),
            f"{name} 的单位是{UNIT_WORDS[fact.unit]}",
            f"应与 fact 相同：{UNIT_WORDS[own.unit]}",
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


def validate_structure(
    authority: str,
    sections: Mapping[str, Section | None],
    groups: Mapping[str, Group | None],
    indicators: Mapping[str, Indicator | None],
    mentioned: Collection[str],
) -> Iterator[Mistake]:
    """Mistakes of a version as a whole: what stands where, and names that collide.

    None = itself mistaken, and reported already; `mentioned` are the sections and groups that such
    entries are in.
    """
    parents = {**sections, **groups}
    yield from _validate_parents(parents, groups, indicators, mentioned)
    yield from _validate_cycles(groups)
    if authority != CITY and list(sections) != ["district"]:
        yield (
            ("sections",),
            f"区县积分表的部分：{'、'.join(sections) or '无'}",
            "应只有一个部分 district",
        )
    if not indicators:
        yield ("indicators",), "没有指标", "至少写一个指标"
    taken: set[str] = set()
    for kind, codes in (("sections", sections), ("groups", groups), ("indicators", indicators)):
        for code in codes:
            own = authority != CITY and kind == "sections" and code == "district"
            if code in taken or (code in RESERVED and not own) or re.match(r"d\d{6}_", code):
                yield (kind, code), f"名称 {code} 已有别的含义", "请换一个代码"
            taken.add(code)


def _validate_parents(
    parents: Mapping[str, object],
    groups: Mapping[str, Group | None],
    indicators: Mapping[str, Indicator | None],
    mentioned: Collection[str],
) -> Iterator[Mistake]:
    used = set(mentioned)
    misplaced = False
    for kind, key, entries in (("indicators", "section", indicators), ("groups", "in", groups)):
        for code, entry in entries.items():
            parent = (
                entry.section
                if isinstance(entry, Indicator)
                else entry.parent
                if entry is not None
                else None
            )
            used.add(str(parent))
            if parent is not None and parent not in parents:
                misplaced = True
                yield (kind, code, key), *describe_unknown("部分或分组", parent, parents)
    for code in () if misplaced else parents:  # what is misplaced may be what is missing elsewhere
        if code not in used:
            kind = "groups" if code in groups else "sections"
            yield (kind, code), f"{code} 中没有任何指标", "请把指标的 section 写成它，或删去它"


def _validate_cycles(groups: Mapping[str, Group | None]) -> Iterator[Mistake]:
    """One message per circle of groups, at its first group in the file."""
    reported: set[str] = set()
    for code in groups:
        path = [code]
        while (
            (group := groups.get(path[-1])) is not None
            and group.parent in groups
            and group.parent not in path
        ):
            path.append(group.parent)
        closes = group is not None and group.parent == code
        if closes and not reported & set(path):
            yield (
                ("groups", code, "in"),
                f"分组互相包含：{' → '.join([*path, code])}",
                "分组最终应在某个部分之内",
            )
            reported |= set(path)
