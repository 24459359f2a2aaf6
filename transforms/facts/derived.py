"""Facts that follow from others: their expressions are checked at load and put in order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from expectations.errors import Diagnostic
from expectations.source_loader import collect_facts
from expectations.source_model import COUNTED_UNITS, Fact, Source
from expectations.yaml_document import YamlDocument
from transforms.expressions.kinds import Kind, build_fact_kinds
from transforms.expressions.language import ExpressionError, check_condition, parse_expression

_KINDS_OF_UNIT = {"date": "date", "month": "date", "yes_no": "yes_no"}
_KIND_TITLES = {"number": "数值", "yes_no": "是否", "text": "文字", "date": "日期"}


def validate_derived_facts(
    sources: Mapping[str, Source], folder: Path, draft: Path | None = None
) -> list[Diagnostic]:
    """Return what is wrong with the `derive` of facts, at its line in the source's file.

    `draft`: a folder whose files stand in place of those of the same name.
    """
    facts = collect_facts(sources)
    kinds, problems = build_fact_kinds(facts), []
    cycle = find_derivation_cycle(facts)
    for source in sources.values():
        name = f"{source.source}.yaml"
        drafted = draft is not None and (draft / name).exists()
        file = YamlDocument((draft if draft and drafted else folder) / name)
        for name, fact in source.facts.items():
            found = list(_find_mistakes(name, fact, kinds)) if fact.derive else []
            if not found and name in cycle:
                found = [(f"互相推算：{' → '.join([*cycle, cycle[0]])}", "请改为由别的数据得出")]
            for mistake in found:
                file.add_error(("facts", name, "derive"), *mistake)
        problems += file.problems
    return problems


def _find_mistakes(name: str, fact: Fact, kinds: Mapping[str, Kind]) -> Iterator[tuple[str, str]]:
    try:
        read = check_condition if fact.unit == "yes_no" else parse_expression
        expression = read(str(fact.derive), kinds)
    except ExpressionError as error:
        yield error.found, error.expected
        return
    wanted = "number" if fact.unit in COUNTED_UNITS else _KINDS_OF_UNIT.get(fact.unit, "text")
    if expression.kind.name != wanted:
        yield (
            f"{fact.derive!r} 是{_KIND_TITLES[expression.kind.name]}",
            f"unit: {fact.unit} 应为{_KIND_TITLES[wanted]}",
        )
    elif name in expression.names:
        yield f"{name} 由自己得出", "请改为由别的数据得出"


def order_derived_facts(facts: Mapping[str, Fact]) -> list[str]:
    """Return the derived facts so that each comes after those it is derived from.

    Otherwise they keep the order of their declarations.
    """
    needs = _derivations(facts)
    ordered: dict[str, None] = {}

    def add(name: str) -> None:
        if name not in ordered:
            for other in needs[name]:
                add(other)
            ordered[name] = None

    for name in needs:
        add(name)
    return list(ordered)


def find_derivation_cycle(facts: Mapping[str, Fact]) -> list[str]:
    """Return facts that are derived from each other in a circle; empty if there is none."""
    try:
        TopologicalSorter(_derivations(facts)).prepare()
    except CycleError as error:
        circle: list[str] = error.args[1]
        return circle[:-1]
    return []


def _derivations(facts: Mapping[str, Fact]) -> dict[str, list[str]]:
    """Return for each derived fact the derived ones that it reads."""
    kinds = build_fact_kinds(facts)
    derived = {name: fact.derive for name, fact in facts.items() if fact.derive}
    found = {}
    for name, text in derived.items():
        try:
            names = parse_expression(text, kinds).names
        except ExpressionError:
            names = frozenset()
        found[name] = [other for other in derived if other in names]
    return found
