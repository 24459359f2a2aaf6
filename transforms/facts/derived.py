"""Facts that follow from others: their expressions are read at load, before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from expectations.errors import Diagnostic
from expectations.source_loader import collect_facts
from expectations.source_model import Source
from expectations.yaml_document import YamlDocument
from transforms.expressions.language import (
    ExpressionError,
    build_fact_kinds,
    parse_condition,
    parse_expression,
)


def validate_derived_facts(sources: Mapping[str, Source], folder: Path) -> list[Diagnostic]:
    """Return what is wrong with the `derive` of the sources' facts, at its line in the file."""
    kinds, problems = build_fact_kinds(collect_facts(sources)), []
    for source in sources.values():
        for name, text, unit in (
            (name, fact.derive, fact.unit) for name, fact in source.facts.items() if fact.derive
        ):
            try:
                (parse_condition if unit == "yes_no" else parse_expression)(text, kinds)
            except ExpressionError as error:
                file = YamlDocument(folder / f"{source.source}.yaml")
                file.add_error(("facts", name, "derive"), error.found, error.expected)
                problems += file.problems
    return problems
