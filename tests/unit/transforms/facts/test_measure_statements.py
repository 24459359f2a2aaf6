"""The compiled statement of every measure, as a file to read in a diff."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import pytest
from syrupy.assertion import SnapshotAssertion

from expectations.fact_model import Measure
from expectations.source_loader import load_sources
from expectations.source_model import Source
from tests.parity.reference.fact_forms import make_source
from tests.support.snapshots import SqlSnapshot
from transforms.engine.statements import Statement
from transforms.facts import month_bitmaps
from transforms.facts.sql import joined_facts_statement, source_statements

OWN = {
    "covered_months": {
        "title": "数据",
        "unit": "months",
        "meaning": "义",
        "meaning_en": "one",
        "measure": "covered_months",
        "spells": [{"from": "on_date", "to": "until"}],
        "without": [{"from": "on_date", "to": "until", "where": {"kind": "other"}}],
    }
}
"""Facts of measures that the city's own sources do not have."""


def find_source(measure: str) -> Source:
    """Return the first of the city's sources with a fact of this measure, with that fact and what it reads."""
    for source in load_sources().values():
        for name, fact in source.facts.items():
            if fact.measure == measure:
                needed = {name, *fact.levels.values()}
                facts = {other: source.facts[other] for other in source.facts if other in needed}
                return source.model_copy(update={"facts": facts})
    return make_source("forms", "snapshot", {measure: OWN[measure]})


def compile_source(source: Source) -> str:
    """Return the statements that measure a source's facts, after its incremental state is there."""
    if source.spine:
        return joined_facts_statement({source.source: source}, []).sql
    statements = source_statements(source, {source.source: source})
    if month_bitmaps.list_month_facts(source):
        statements.append(month_bitmaps.months_statement(source))
    return write_script(statements)


def write_script(statements: Sequence[Statement]) -> str:
    return "\n".join(f"-- {one.name}\n{one.sql}\n" for one in statements)


def test_incremental_state(snapshot: SnapshotAssertion) -> None:
    statements = month_bitmaps.state_statements(find_source("distinct_months"))
    assert write_script(statements) == snapshot(extension_class=SqlSnapshot)


@pytest.mark.parametrize("measure", get_args(Measure))
def test_statement(measure: str, snapshot: SnapshotAssertion) -> None:
    assert compile_source(find_source(measure)) == snapshot(extension_class=SqlSnapshot)
