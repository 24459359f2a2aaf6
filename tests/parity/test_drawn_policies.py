"""The generated policies reach everything that a points table can say: what is never drawn is never compared."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given

from expectations.source_loader import collect_facts, load_sources
from tests.parity.reference.policies import EXTRA_FACTS, DrawnPolicy, draw_policies
from tests.parity.reference.strategies import with_examples
from transforms.points.models import Group, Indicator, PointsVersion, Section
from transforms.points.rules import Axis, Each, PerYear, Range, Rule, Slope, Steps, Tiers

LIMITS = ("cap", "cap_share", "floor", "when", "unless", "all_of")
OPTIONAL = {
    PointsVersion: ("floor",),
    Indicator: ("cap", "when", "unless", "at_most", "replaces"),
    Section: (*LIMITS, "subtract"),
    Group: LIMITS,
    Range: ("low", "high", "below"),
    Slope: ("low", "high"),
    Each: ("unit", "pro_rata", "start"),
}


def parts(version: PointsVersion) -> Iterator[object]:
    """A version, its sections, groups, indicators, and what their rules are made of."""
    yield version
    yield from (*version.sections.values(), *version.groups.values(), *version.indicators.values())
    for indicator in version.indicators.values():
        rule = indicator.rule.per_year.rule if indicator.rule.per_year else indicator.rule
        yield from (indicator.rule, rule)
        yield from (rule.bands or ())
        yield from (rule.content, indicator.rule.content)
        if rule.table is not None:
            yield from (rule.table.down, rule.table.across)


def said(part: object) -> Iterator[str]:
    """What a part makes use of, by name."""
    if isinstance(part, Rule):
        yield part.form
    if isinstance(part, Group):
        yield f"groups {part.combine}"
    if isinstance(part, Steps | Tiers):
        yield f"{type(part).__name__} {part.mode}"
    if isinstance(part, PerYear):
        yield f"PerYear {'plain' if isinstance(part.years, int) else part.years.ending}"
    if isinstance(part, Axis):
        yield "Axis bands" if part.bands else "Axis names"
    if isinstance(part, Slope):
        yield f"Slope {part.direction}"
    for kind, names in OPTIONAL.items():
        if isinstance(part, kind):
            yield from (
                f"{kind.__name__} {name}"
                for name in names
                if getattr(part, name) not in (None, False, [])
            )


def test_every_rule_form_and_every_option_is_drawn() -> None:
    seen: set[str] = set()

    @with_examples(40)
    @given(draw_policies(collect_facts(load_sources()) | EXTRA_FACTS))
    def look(policy: DrawnPolicy) -> None:
        for version in (policy.city, *policy.districts.values()):
            seen.update(use for part in parts(version) for use in said(part))

    look()
    modes = (
        "groups sum",
        "groups highest",
        "Steps sum",
        "Steps highest",
        "Tiers whole",
        "Tiers marginal",
        "PerYear plain",
        "PerYear this",
        "PerYear previous",
        "Axis bands",
        "Axis names",
    )
    wanted = {*Rule.model_fields, *modes, "Slope below", "Slope above"}
    wanted |= {f"{kind.__name__} {name}" for kind, names in OPTIONAL.items() for name in names}
    assert seen == wanted
