"""A points table: one authority, its dated versions, their sections, groups and indicators.

From indicators (see `Indicator` and `transforms.points.rules`) to the total:

    group or section = what stands directly in it, combined and limited (see `PointsSum`)
    common           = the city's sections that add - its sections that subtract
    district         = the same of the residence district's table, 0 without one
    total            = common + district
"""

from __future__ import annotations

import datetime as dt
from graphlib import TopologicalSorter
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from expectations.errors import ExitCode, JifenError
from expectations.yaml_document import ClosedModel, Switch
from transforms.points.rules import Rule
from transforms.scalars import (
    Cap,
    Code,
    Day,
    Points,
    Result,
    Share,
    Text,
    literal_type,
)
from transforms.templates import list_names
from transforms.versions import DatedVersion, find_in_force, split_examples

CITY = "city"


def _listed(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


class CapShare(ClosedModel):
    """A limit that follows other points: `share` of what `of` comes to, added up.

    `of` names indicators, groups or sections of the same table; below 0 they count as 0.
    """

    of: Annotated[list[Code], BeforeValidator(_listed), Field(min_length=1)]
    share: Share


class PointsSum(ClosedModel):
    """What sections and groups have in common: points that count together.

    In this order: the indicators and groups that stand directly in it, added up (or the highest);
    at most `cap`, and at most `cap_share`; at least `floor`; 0 unless `when` is true, 0 if `unless`
    is true, and 0 unless every indicator named in `all_of` has more than 0 points.
    """

    title: Text
    cap: Cap | None = None
    cap_share: CapShare | None = None
    floor: Result | None = None
    when: Text | None = None
    unless: Text | None = None
    all_of: list[Code] = []

    @property
    def has_guard(self) -> bool:
        """Whether the points can be closed: set to 0 for some people."""
        return bool(self.when or self.unless or self.all_of)

    @model_validator(mode="after")
    def _order(self) -> Self:
        if self.cap is not None and self.floor is not None and self.floor > self.cap:
            raise ValueError("floor（最低）不能大于 cap（最高）")
        return self


class Section(PointsSum):
    """A top-level sum of a table; with `subtract` it is taken off."""

    subtract: Switch = False


class Group(PointsSum):
    """A sum within a section or group: added up, or only the highest."""

    parent: Text = Field(alias="in")
    combine: Annotated[Literal["sum", "highest"], literal_type("sum", "highest")]


class IndicatorExample(ClosedModel):
    """Values of facts and the points that they must give.

    `value` is that of the indicator's own fact (short form `{18: 10}`), `facts` names several (long
    form). Facts that are not named have the value of a person without records. `as_of` is the
    scoring date, by default the last day of the month that the version begins in.
    """

    value: str | None = None
    facts: dict[str, Any] = {}
    points: Result
    as_of: Day | None = None


def _examples(value: Any) -> Any:
    """Read both ways of writing examples.

    They are `{value: points}`, or a list of `{fact: value, ..., points: p}`.
    """
    if isinstance(value, dict):
        return [{"value": given, "points": points} for given, points in value.items()]
    if not isinstance(value, list) or not all(isinstance(case, dict) for case in value):
        raise ValueError("应为 {数据值: 分值}，或 [{数据: 值, points: 分值}] 的列表")
    return split_examples(value, {"points", "as_of"})


class Indicator(ClosedModel):
    """One line of a points table: a fact, a rule, and what stands around the rule.

    Points of a resident, in this order: 0 unless `when` is true; 0 if `unless` is true (a condition
    that is null does not hold: `when` then closes, `unless` does not); the value of `fact`, with
    `at_most` the lesser of the fact and that expression (unknown if either is); the rule; at most
    `cap`; rounded to two decimals, halves away from zero. A correction of the indicator replaces
    the result. `section` is a section or a group. `fact: award:x` is what the district granted
    under its indicator x. `fact` is left out for the rules `counts` and `table`, which name their
    facts. In a district's table `replaces` names an indicator of the city that is 0 for the
    district's residents: this one counts instead. `nobody` confirms the points of people without
    records, where the rule gives them any.
    """

    title: Text
    section: Text
    fact: Text | None = None
    rule: Rule
    cap: Points | None = None
    when: Text | None = None
    unless: Text | None = None
    at_most: Text | None = None
    replaces: Code | None = None
    nobody: Result | None = None
    basis: Text
    values: Annotated[
        Literal["published", "illustrative"], literal_type("published", "illustrative")
    ]
    evidence: Text
    examples: Annotated[list[IndicatorExample], BeforeValidator(_examples), Field(min_length=1)]

    @property
    def facts(self) -> list[str]:
        """The facts that the rule reads: the indicator's own, or those of `counts`, `table`."""
        if self.rule.counts is not None:
            return list(self.rule.counts)
        if self.rule.table is not None:
            return [self.rule.table.down.fact, self.rule.table.across.fact]
        return [self.fact] if self.fact is not None else []

    def given(self, example: IndicatorExample) -> dict[str, Any]:
        """Return the values of an example by fact, as written in the table."""
        return (
            example.facts
            if example.value is None or self.fact is None
            else {self.fact: example.value}
        )

    @property
    def placeholders(self) -> list[str]:
        """The names in braces in `evidence`: facts, or `value` for the indicator's own.

        Raises:
            ValueError: There is anything but a plain name in braces.
        """
        return list_names(self.evidence)


class NotModelled(ClosedModel):
    """A part of the published table that cannot be scored yet, and why."""

    title: Text
    reason: Text


class PointsVersion(DatedVersion):
    """The table in force from the scoring date `from` on, until the next version begins.

    `floor` is the least that the total can be, in a district's table the least of the district's
    points. `required_of_districts` names indicators that every district's table must have.
    """

    not_modelled: list[NotModelled] = []
    floor: Result | None = None
    required_of_districts: list[Code] = []
    sections: dict[Code, Section]
    groups: dict[Code, Group] = {}
    indicators: dict[Code, Indicator]

    @property
    def said(self) -> Any:
        """What the version says; sections and indicators have an order, that of the columns."""
        return [super().said, [list(self.sections), list(self.indicators)]]

    def members(self, parent: str) -> list[str]:
        """Return the indicators, then the groups, that stand directly in a section or group."""
        indicators = [
            code for code, indicator in self.indicators.items() if indicator.section == parent
        ]
        return indicators + [code for code, group in self.groups.items() if group.parent == parent]

    def inner_first(self) -> list[tuple[str, Group]]:
        """Return the groups by code, those inside others first."""

        def depth(code: str) -> int:
            return 1 + depth(self.groups[code].parent) if code in self.groups else 0

        return sorted(self.groups.items(), key=lambda item: depth(item[0]), reverse=True)

    def find_sum(self, code: str) -> PointsSum:
        """Return a group or section by its code."""
        return self.groups[code] if code in self.groups else self.sections[code]

    def sums_in_order(self) -> list[str]:
        """Return the groups and sections so that each comes after what it is made of.

        That is what stands in it, and what its `cap_share` follows.

        Raises:
            CycleError: A limit follows points that follow it.
        """
        needs: dict[str, list[str]] = {}
        for code in [*(code for code, _ in self.inner_first()), *self.sections]:
            found = self.find_sum(code)
            inside = [one for one in self.members(code) if one in self.groups]
            limits = found.cap_share.of if found.cap_share else []
            needs[code] = inside + [one for one in limits if one not in self.indicators]
        return list(TopologicalSorter(needs).static_order())


class PointsTable(ClosedModel):
    """The points table of one authority: `city`, or a district by its code.

    Versions ascend by date. `effect` names the services that read the points.
    """

    authority: Text
    title: Text
    purpose: Text
    legal_basis: Text
    effect: list[Code]
    versions: list[PointsVersion] = Field(min_length=1)

    def in_force(self, as_of: dt.date) -> PointsVersion:
        """Return the newest version that begins on or before the scoring date.

        Raises:
            JifenError: Exit code 10, before the first version.
        """
        version = find_in_force(self.versions, as_of)
        if version is None:
            raise JifenError(
                ExitCode.DECLARATIONS,
                f"{self.title}在计分日 {as_of} 尚无生效版本（最早自 {self.versions[0].begins} 起）",
                where=f"{self.authority}.yaml",
                hint="选择更晚的月份，或在积分表中补上当时的版本",
            )
        return version
