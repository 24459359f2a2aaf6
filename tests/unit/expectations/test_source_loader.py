"""An unknown name in a `synthetic` block is reported at load with file, line and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from expectations.source_loader import load_sources
from tests.support.declarations import find_source_problems


@pytest.mark.parametrize(
    ("source", "was", "becomes", "key", "found"),
    [
        ("patents", 'patent_no: {text:', 'patent_number: {text:', "columns.patent_number", "patent_number"),
        ("patents", "invention: 25,", "inventions: 25,", "columns.kind", "inventions"),
        ("patents", "{void: 1}", "{gone: 1}", "again.0.set.status", "gone"),
        ("patents", "set: {status:", "set: {state:", "again.0.set.state", "state"),
        ("credit", "{kind: dishonesty}", "{sort: dishonesty}", "again.0.where", "sort"),
        ("credit", "{kind: dishonesty}", "{kind: dishonest}", "again.0.where", "dishonest"),
        ("credit", "dishonesty: {general: 75, serious: 25}", "dishonesty: {general: 75, grave: 25}", "columns.level", "grave"),
        ("credit", "penalty: {general: 1}", "penalties: {general: 1}", "columns.level", "penalties"),
        ("housing", "by: tenure\n      weights", "by: tenur\n      weights", "columns.monthly_rent", "tenur"),
        ("social_security", "{insurance: {pension: 0.99,", "{insurance: {old_age: 0.99,", "rows.fan", "old_age"),
        ("social_security", "fan: {insurance:", "fan: {kinds:", "rows.fan", "kinds"),
        ("corrections", "after: decided_on", "after: decided", "columns.valid_from", "decided"),
        ("education", "on: {after: born", "on: {after: birth", "rows.on", "birth"),
        ("local_awards", "{grantor_kind}-{district}", "{grantor}-{district}", "columns.grantor_id", "grantor"),
    ],
)  # fmt: skip
def test_an_unknown_name_in_a_synthetic_block_is_reported(
    tmp_path: Path, source: str, was: str, becomes: str, key: str, found: str
) -> None:
    (problem,) = find_source_problems(tmp_path, source, was, becomes)
    assert (problem.key, problem.found) == (f"synthetic.{key}", found)
    assert problem.expected
    written = problem.file.read_text(encoding="utf-8").splitlines()
    assert problem.line > written.index("synthetic:")


def test_the_built_in_synthetic_blocks_are_valid() -> None:
    """All but what comes back from districts and residents: a demo starts without it."""
    assert all(source.synthetic or source.optional for source in load_sources().values())
