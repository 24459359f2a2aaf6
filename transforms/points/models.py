"""A points table: one authority, its dated versions, their sections, groups and indicators.

From indicators to the total (for an indicator's points see `Indicator` and
`transforms.points.rules`):

    group or section = least(cap, sum or highest of its own indicators and groups)
    common           = the city's sections that add - its sections that subtract
    district         = the section `district` of the residence district's table
    total            = common + district
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from expectations.errors import ExitCode, JifenError
from expectations.yaml_document import ClosedModel, Switch
from transforms.points.rules import Rule
from transforms.points.scalars import Cap, Code, Day, Points, Result, Text, literal_type
from transforms.templates import list_names
from transforms.versions import DatedVersion, find_in_force, split_examples

CITY = "city"
AWARD = "award:"


class Section(ClosedModel):
    """A capped sum of its groups and indicators; `subtract`: taken off the common points."""

    title: Text
    cap: Cap | None = None
    subtract: Switch = False


class Group(ClosedModel):
    """Indicators (and groups) that count together: added up, or only the highest, at most `cap`."""

    title: Text
    parent: Text = Field(alias="in")
    combine: Annotated[Literal["sum", "highest"], literal_type("sum", "highest")]
    cap: Cap | None = None


class IndicatorExample(ClosedModel):
    """Known values and the points that they must give.

    `value` is that of the indicator's own fact (short form `{18: 10}`), `facts` names several (long
    form); facts that are not named are unknown. `as_of`: the scoring date, by default the last day
    of the month the version begins in.
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
    `at_most` the lesser of the two facts (unknown if either is); the rule; at most `cap`; rounded
    to two decimals, halves away from zero. A correction of the indicator replaces the result.
    `section` is a section or a group. `fact: award:x` is what the district granted under its
    indicator x. `fact` is left out for the rules `counts` and `table`, which name their facts.
    """

    title: Text
    section: Text
    fact: Text | None = None
    rule: Rule
    cap: Points | None = None
    when: Text | None = None
    unless: Text | None = None
    at_most: Code | None = None
    basis: Text
    values: Annotated[
        Literal["published", "illustrative"], literal_type("published", "illustrative")
    ]
    evidence: Text
    examples: Annotated[list[IndicatorExample], BeforeValidator(_examples), Field(min_length=1)]

    @property
    def facts(self) -> list[str]:
        """The facts that the rule reads, as written: its own, or those of `counts` and `table`."""
        if self.rule.counts is not None:
            return list(self.rule.counts)
        if self.rule.table is not None:
            return [self.rule.table.down.fact, self.rule.table.across.fact]
        return [self.fact] if self.fact is not None else []

    def given(self, example: IndicatorExample) -> dict[str, Any]:
        """The values of an example by fact, as written in the table."""
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
    """The table that holds from the scoring date `from` on, until the next version begins."""

    not_modelled: list[NotModelled] = []
    sections: dict[Code, Section]
    groups: dict[Code, Group] = {}
    indicators: dict[Code, Indicator]

    @property
    def said(self) -> Any:
        """What the version says; sections and indicators have an order, that of the columns."""
        return [super().said, [list(self.sections), list(self.indicators)]]

    def members(self, parent: str) -> list[str]:
        """Return the codes of a section's or group's own indicators, then of its groups."""
        indicators = [
            code for code, indicator in self.indicators.items() if indicator.section == parent
        ]
        return indicators + [code for code, group in self.groups.items() if group.parent == parent]

    def inner_first(self) -> list[tuple[str, Group]]:
        """Return the groups by code, inner ones first: each is computed before what holds it."""

        def depth(code: str) -> int:
            return 1 + depth(self.groups[code].parent) if code in self.groups else 0

        return sorted(self.groups.items(), key=lambda item: depth(item[0]), reverse=True)


class PointsTable(ClosedModel):
    """The points table of an authority: `city`, or a district by code. Versions ascend by date."""

    authority: Text
    title: Text
    purpose: Text
    legal_basis: Text
    effect: list[Code] = Field(min_length=1)
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
