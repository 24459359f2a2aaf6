"""What a points table may say but seldom means: warnings, which `jifen check --strict` refuses.

Every check yields remarks: the place, what was found, what to do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise

from expectations.fact_model import COUNTED_UNITS, WHOLE_UNITS, YEAR_UNITS, Fact
from transforms.expressions.fact_values import find_fact
from transforms.expressions.kinds import build_fact_kinds
from transforms.expressions.language import ExpressionError, parse_expression
from transforms.points.models import Indicator, PointsSum
from transforms.points.rule_range import find_drops, find_range, list_rows
from transforms.points.rules import Range, Rule
from transforms.points.structure import Structure
from transforms.points.validate import Mistake, describe_unknown

_MOST_POINTS = Decimal("99999.99")
_DEDUCTION_TITLE = re.compile("扣分|减分|扣减|负分")


@dataclass(frozen=True)
class ProofreadingScope:
    """What remarks refer to: the facts declared, and the codes of the districts."""

    facts: Mapping[str, Fact]
    districts: Iterable[str]


def proofread_structure(parts: Structure, scope: ProofreadingScope) -> Iterator[Mistake]:
    """Yield remarks on the parts of a version."""
    for code, indicator in parts.indicators.items():
        if indicator is not None:
            limits = list(_list_limits(indicator.section, parts))
            for place, found, expected in proofread_indicator(indicator, limits, scope):
                yield ("indicators", code, *place), found, expected
    for (kind, code), one in parts.sums.items():
        limits = list(_list_limits(getattr(one, "parent", ""), parts))
        for place, found, expected in _proofread_sum(one, limits, scope):
            yield (kind, code, *place), found, expected
        if kind == "sections" and _DEDUCTION_TITLE.search(one.title):
            section = parts.sections[code]
            if section is not None and not section.subtract:
                yield (kind, code), f"“{one.title}”是加分的分项", "要扣分请写 subtract: true"


def _list_limits(parent: str, parts: Structure) -> Iterator[tuple[str, Decimal]]:
    """Yield the title and cap of everything that something stands in, from the inside out."""
    seen: set[str] = set()
    while parent and parent not in seen:
        seen.add(parent)
        found = parts.groups.get(parent) or parts.sections.get(parent)
        if found is None:
            return
        if found.cap is not None:
            yield found.title, found.cap
        parent = getattr(found, "parent", "")


def _proofread_sum(
    found: PointsSum, limits: list[tuple[str, Decimal]], scope: ProofreadingScope
) -> Iterator[Mistake]:
    if found.cap is not None:
        yield from _warn_of_wide_cap(found.cap, limits)
    yield from _warn_of_unknown_areas(found.when, found.unless, scope)


def _warn_of_wide_cap(cap: Decimal, limits: list[tuple[str, Decimal]]) -> Iterator[Mistake]:
    narrow = next(((title, limit) for title, limit in limits if limit < cap), None)
    if narrow:
        yield (
            ("cap",),
            f"上限 {cap} 大于所在的“{narrow[0]}”的上限 {narrow[1]}，不起作用",
            "请核对两个上限",
        )


def proofread_indicator(
    indicator: Indicator, limits: list[tuple[str, Decimal]], scope: ProofreadingScope
) -> Iterator[Mistake]:
    """Yield remarks on an indicator; `limits`: title and cap of what it stands in."""
    rule, fact = indicator.rule, find_fact(indicator.fact or "", scope.facts)
    if indicator.cap is not None:
        yield from _warn_of_wide_cap(indicator.cap, limits)
    caps = [indicator.cap, *(limit for _, limit in limits)]
    cap = min((one for one in caps if one is not None), default=_MOST_POINTS)
    cut = [points for points in list_rows(rule) if points > cap]
    if cut:
        yield ("rule",), f"有一行得 {max(cut)} 分，上限只有 {cap} 分", "请核对这一行和上限"
    yield from _warn_of_unlisted_levels(rule, fact)
    for drop in find_drops(rule.per_year.rule if rule.per_year else rule):
        yield ("rule",), drop, "请核对分值"
    low, high = find_range(rule, fact.unit if fact is not None else "count")
    if low < 0:
        yield (
            ("rule",),
            f"会降到 {low} 分",
            "只减到 0 为止的，用 from、to 写明范围；确实要得负分的不必改",
        )
    if high > _MOST_POINTS and indicator.cap is None:
        yield ("rule",), f"没有上限，数值大时超过 {_MOST_POINTS} 分，无法计分", "请写 cap"
    yield from find_gaps(indicator, scope.facts)
    yield from _proofread_examples(indicator, scope.facts)
    yield from _warn_of_unknown_areas(indicator.when, indicator.unless, scope)


def _warn_of_unlisted_levels(rule: Rule, fact: Fact | None) -> Iterator[Mistake]:
    """Yield the levels between listed ones that are not listed: they would get nothing."""
    if rule.levels is None or fact is None or not fact.ladder:
        return
    rungs = [rung[0] for rung in fact.ladder]
    listed = [rungs.index(name) for name in rule.levels if name in rungs]
    between = rungs[min(listed, default=0) : max(listed, default=0)]
    unlisted = [name for name in between if name not in rule.levels]
    if unlisted:
        yield (
            ("rule",),
            f"没有写 {'、'.join(unlisted)}，夹在写了的等级之间却得 0 分",
            "请写上它们的分值；确实不得分的写 0",
        )


def find_gaps(indicator: Indicator, facts: Mapping[str, Fact]) -> Iterator[Mistake]:
    """Yield values between two ranges that no range holds: allowed, but seldom meant."""
    for name, ranges in _list_ranges(indicator):
        fact = find_fact(name, facts)
        unit = YEAR_UNITS.get(fact.unit, fact.unit) if fact is not None else ""
        if unit in COUNTED_UNITS:
            step = Decimal(1) if unit in WHOLE_UNITS else Decimal("0.01")
            more = "" if unit in WHOLE_UNITS else f"（{name} 可有小数）"
            for gap in _gaps(ranges, step):
                yield ("rule",), f"{gap} 之间的数值不得分{more}", "请核对区间的两端"


def _list_ranges(indicator: Indicator) -> list[tuple[str, Iterable[Range]]]:
    """Return the facts of a rule, each with the ranges that its values are sorted into."""
    table = indicator.rule.table
    if table is not None:
        return [(axis.fact, (axis.bands or {}).values()) for axis in (table.down, table.across)]
    rule = indicator.rule.per_year.rule if indicator.rule.per_year else indicator.rule
    return [(indicator.fact or "", rule.bands or ())]


def _gaps(ranges: Iterable[Range], step: Decimal) -> Iterator[str]:
    ascending = sorted(ranges, key=lambda one: Decimal("-Infinity") if one.low is None else one.low)
    for one, two in pairwise(ascending):
        end = one.below if one.high is None else one.high
        following = end if one.high is None or end is None else end + step
        if following is not None and two.low is not None and following < two.low:
            yield f"{end} 与 {two.low}"


def _proofread_examples(indicator: Indicator, facts: Mapping[str, Fact]) -> Iterator[Mistake]:
    if all(example.points == 0 for example in indicator.examples):
        yield ("examples",), "例子都得 0 分，没有检验到规则", "至少写一个得分的例子"
    names = list_guard_facts(indicator, facts)
    for index, example in enumerate(indicator.examples):
        missing = [name for name in names if name not in indicator.given(example)]
        if missing and example.points == 0:
            key = index if example.value is None else str(example.value)
            yield (
                ("examples", key),
                f"没有写条件用到的 {'、'.join(missing)}，因此得 0 分",
                "请在例子中写出条件用到的数据：[{数据: 值, ..., points: 分值}]",
            )


def list_guard_facts(indicator: Indicator, facts: Mapping[str, Fact]) -> list[str]:
    """Return the facts that an indicator's conditions and `at_most` read, in their order."""
    words = " ".join(text or "" for text in (indicator.when, indicator.unless, indicator.at_most))
    return [word for word in dict.fromkeys(re.findall(r"\w+", words)) if word in facts]


def _warn_of_unknown_areas(
    when: str | None, unless: str | None, scope: ProofreadingScope
) -> Iterator[Mistake]:
    """Yield areas that begin like the city's districts and are none of them."""
    cities = {code[:4] for code in scope.districts}
    kinds = build_fact_kinds(scope.facts)
    for key, text in (("when", when), ("unless", unless)):
        try:
            areas = parse_expression(text, kinds).areas if text else frozenset()
        except ExpressionError:  # reported as a mistake
            continue
        for area in sorted(areas):
            if area[:4] in cities and area not in scope.districts:
                yield (key,), *describe_unknown("区县", area, scope.districts)


def describe_left_out(before: str, left_out: Mapping[str, str]) -> tuple[str, str]:
    """Return the remark on indicators of the version before that a version no longer has."""
    titles = "、".join(f"{code}（{title}）" for code, title in left_out.items())
    return (
        f"比 {before} 版少了 {len(left_out)} 个指标：{titles}",
        f"确实取消的，在这个版本写 without: [{', '.join(left_out)}]",
    )
