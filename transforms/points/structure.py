"""What a version of a points table may say as a whole: sections, groups, limits, signs.

Every check yields mistakes at their place, in a policy writer's words.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from graphlib import CycleError

from expectations.fact_model import (
    Fact,
)
from transforms.expressions.fact_values import find_fact
from transforms.objections.open_cases import UNKNOWN_TARGET
from transforms.points.models import (
    CITY,
    CapShare,
    Group,
    Indicator,
    PointsSum,
    PointsVersion,
    Section,
)
from transforms.points.rule_range import apply_number_rule, find_range
from transforms.points.rules import Rule
from transforms.points.validate import Mistake, describe_unknown, validate_guards

_RESERVED = frozenset({"common", "district", "total", UNKNOWN_TARGET})


@dataclass(frozen=True)
class Structure:
    """The parts of a version by code, as far as they can be understood.

    None: itself mistaken, and reported already. mentioned: the sections and groups that such parts
    stand in.
    """

    sections: Mapping[str, Section | None]
    groups: Mapping[str, Group | None]
    indicators: Mapping[str, Indicator | None]
    mentioned: Collection[str] = field(default_factory=tuple)

    @property
    def sums(self) -> dict[tuple[str, str], PointsSum]:
        """Sections and groups by kind and code."""
        kinds = (("sections", self.sections), ("groups", self.groups))
        return {
            (kind, code): found
            for kind, parts in kinds
            for code, found in parts.items()
            if found is not None
        }

    def find_section(self, parent: str) -> Section | None:
        """Return the section at the top of the groups that something stands in."""
        seen: set[str] = set()
        while parent in self.groups and parent not in seen:
            seen.add(parent)
            group = self.groups[parent]
            if group is None:
                return None
            parent = group.parent
        return self.sections.get(parent)


def validate_structure(
    authority: str, parts: Structure, facts: Mapping[str, Fact]
) -> Iterator[Mistake]:
    """Yield mistakes of a version as a whole: what stands where, and names that collide."""
    yield from _validate_parents(parts)
    yield from _validate_cycles(parts.groups)
    if not parts.indicators:
        yield ("indicators",), "没有指标", "至少写一个指标"
    yield from _validate_names(authority, parts)
    for (kind, code), found in parts.sums.items():
        for place, what, expected in _validate_sum(code, found, parts, facts):
            yield (kind, code, *place), what, expected
    for code, indicator in parts.indicators.items():
        if indicator is not None:
            section = parts.find_section(indicator.section)
            for place, what, expected in _validate_sign(indicator, section, facts):
                yield ("indicators", code, *place), what, expected


def _validate_names(authority: str, parts: Structure) -> Iterator[Mistake]:
    taken: set[str] = set()
    for kind, codes in (
        ("sections", parts.sections),
        ("groups", parts.groups),
        ("indicators", parts.indicators),
    ):
        for code in codes:
            own = authority != CITY and kind == "sections" and code == "district"
            if code in taken or (code in _RESERVED and not own) or re.match(r"d\d{6}_", code):
                yield (kind, code), f"名称 {code} 已有别的含义", "请换一个代码"
            taken.add(code)


def _validate_sum(
    code: str, found: PointsSum, parts: Structure, facts: Mapping[str, Fact]
) -> Iterator[Mistake]:
    """Yield mistakes of what limits and guards a section or group."""
    yield from validate_guards(found.when, found.unless, facts)
    if found.cap == 0:
        yield ("cap",), "0", "这样其中各项永远不起作用；请写大于 0 的上限，或删去"
    for index, name in enumerate(found.all_of):
        if name not in parts.indicators:
            yield ("all_of", index), *describe_unknown("指标", name, parts.indicators)
    if len(set(found.all_of)) < len(found.all_of):
        yield ("all_of",), "、".join(found.all_of), "同一个指标只写一次"
    if found.cap_share is not None:
        yield from _validate_cap_share(code, found.cap_share, parts)


def _validate_cap_share(code: str, limit: CapShare, parts: Structure) -> Iterator[Mistake]:
    known = {*parts.indicators, *parts.groups, *parts.sections}
    for index, name in enumerate(limit.of):
        if name not in known:
            yield ("cap_share", "of", index), *describe_unknown("指标、分组或分项", name, known)
        elif name == code:
            yield ("cap_share", "of", index), f"{name} 以自己为上限", "请写别的指标、分组或分项"


def validate_order(version: PointsVersion) -> Iterator[Mistake]:
    """Yield limits that follow points which follow them."""
    try:
        version.sums_in_order()
    except CycleError as error:
        circle: list[str] = error.args[1]
        limited = next(code for code in circle if version.find_sum(code).cap_share)
        kind = "groups" if limited in version.groups else "sections"
        yield (
            (kind, limited, "cap_share"),
            f"上限互相依赖：{' → '.join(circle)}",
            "of 不能是包含它的分组或分项",
        )


def _validate_sign(
    indicator: Indicator, section: Section | None, facts: Mapping[str, Fact]
) -> Iterator[Mistake]:
    """Yield penalties that would add points: two minus signs, or an offence that earns."""
    if section is None:
        return
    own = find_fact(indicator.fact or "", facts)
    unit = own.unit if own is not None else "count"
    if section.subtract and find_range(indicator.rule, unit)[0] < 0:
        yield (
            ("rule",),
            "扣分的分项里，规则又得出负分：两次相减成了加分",
            "扣分写成正数；或把指标放进加分的分项",
        )
    if not section.subtract:
        for name in indicator.facts:
            fact = find_fact(name, facts)
            if fact is not None and fact.adverse and _rewards(indicator.rule, name):
                yield (
                    ("section",),
                    f"{name}（{fact.title}）是不利记录，放在加分的分项会越多得分越多",
                    "请放进 subtract: true 的分项",
                )


def _rewards(rule: Rule, name: str) -> bool:
    """Return whether a record gives more points than none."""
    if rule.counts is not None:
        return rule.counts[name] > 0
    if rule.flat is not None:
        return rule.flat > 0
    without = apply_number_rule(rule, Decimal(0))
    return any(apply_number_rule(rule, Decimal(count)) > without for count in range(1, 61))


def _validate_parents(parts: Structure) -> Iterator[Mistake]:
    parents = {**parts.sections, **parts.groups}
    used = set(parts.mentioned)
    placed = {
        ("indicators", code, "section"): one.section
        for code, one in parts.indicators.items()
        if one is not None
    } | {("groups", code, "in"): one.parent for code, one in parts.groups.items() if one}
    misplaced = {place: parent for place, parent in placed.items() if parent not in parents}
    for place, parent in misplaced.items():
        yield place, *describe_unknown("分项或分组", parent, parents)
    used |= set(placed.values())
    for code in () if misplaced else parents:  # what is misplaced may be what is missing elsewhere
        if code not in used:
            kind = "groups" if code in parts.groups else "sections"
            yield (kind, code), f"{code} 中没有任何指标", "请把指标的 section 写成它，或删去它"


def _validate_cycles(groups: Mapping[str, Group | None]) -> Iterator[Mistake]:
    """Yield one message per circle of groups, at its first group in the file."""
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
                "分组最终应在某个分项之内",
            )
            reported |= set(path)
