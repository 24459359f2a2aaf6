"""How the engine runs the staging pass: a delivery's values are typed once, not once more to be judged."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from expectations.month import Month
from expectations.source_loader import load_sources
from transforms.clean.staging_sql import valid_rows_sql
from transforms.clean.types import ValidationContext
from transforms.engine.session import Session

SOURCES = load_sources()
TYPING = ("regexp_full_match", "TRY_CAST")


def list_filters(plan: dict[str, Any]) -> Iterator[str]:
    """Return the conditions of a plan and of all below it."""
    if plan["name"] == "FILTER":
        yield str(plan["extra_info"])
    for below in plan["children"]:
        yield from list_filters(below)


@pytest.mark.parametrize("name", SOURCES)
def test_no_value_is_typed_again_for_the_condition(engine: Session, name: str) -> None:
    source = SOURCES[name]
    texts = {column: f"c_{column}" for column in source.columns}
    cells = ", ".join(f"CAST(range AS VARCHAR) AS {text}" for text in texts.values())
    engine.execute(
        f"CREATE OR REPLACE TABLE raw_rows AS SELECT range AS record, {cells} FROM range(9)"
    )
    context = ValidationContext(Month.parse("2024-04"), ["330203", "330212"])
    sql = valid_rows_sql(source, "raw_rows", texts, 0, context)
    ((_, plan),) = engine.fetch_rows(f"EXPLAIN (FORMAT json) {sql}")
    filters = [one for root in json.loads(plan) for one in list_filters(root)]
    assert filters
    assert [one for one in filters if any(word in one for word in TYPING)] == []
