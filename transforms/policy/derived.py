"""Facts that follow from others: their expressions are read at load, before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from expectations.declarations import all_facts
from expectations.problems import Problem
from expectations.source import Source
from expectations.yaml_file import YamlFile
from transforms.policy.expressions import ExpressionError, condition, fact_kinds, parse


def derived_mistakes(sources: Mapping[str, Source], folder: Path) -> list[Problem]:
    """What is wrong with the `derive` of the sources' facts, at its line in the source's file of the folder."""
    kinds, problems = fact_kinds(all_facts(sources)), []
    for source in sources.values():
        for name, text, unit in ((name, fact.derive, fact.unit) for name, fact in source.facts.items() if fact.derive):
            try:
                (condition if unit == "yes_no" else parse)(text, kinds)
            except ExpressionError as error:
                file = YamlFile(folder / f"{source.source}.yaml")
                file.refuse(("facts", name, "derive"), error.found, error.meant)
                problems += file.problems
    return problems
