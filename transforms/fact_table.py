"""Write the fact table from what is known of people: stretch by stretch, in the order in which everything else reads it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb

from expectations.declarations import all_facts
from expectations.reference import Reference
from expectations.source import Source
from transforms.corrections import Corrected
from transforms.engine import PARQUET, numbered, quoted, sides_as_written
from transforms.facts import fact_table_columns, facts_sql, joined_tables
from transforms.overflow import overflow_told
from transforms.policy.expressions import level_names
from transforms.steps import Step, run_step

IN_ORDER = "\nORDER BY district, resident_key"


def write_fact_table(
    connection: duckdb.DuckDBPyConnection,
    sources: Mapping[str, Source],
    reference: Reference,
    corrected: Corrected,
    apart: Sequence[Sequence[str]],
    values: Mapping[str, Any],
    target: Path,
    tell: Callable[[str], None],
) -> Step:
    """Write the fact table, a file for each stretch, and tell of each; the query of the whole."""
    facts = all_facts(sources)
    columns = ", ".join(fact_table_columns(facts))
    few = {"district": reference.districts, **{name: level_names(fact) for name, fact in facts.items()}}
    with overflow_told(connection, facts, joined_tables(sources)), sides_as_written(connection):
        for number, stretch in enumerate(apart, 1):
            tell(f"汇总（{number}/{len(apart)}）" if len(apart) > 1 else "汇总")
            joined = Step("facts", facts_sql(sources, corrected.facts, stretch))
            in_order(connection, joined, columns, few, values, target / f"{number:05d}.parquet")
    return Step("facts", f"SELECT {columns}\nFROM ({facts_sql(sources, corrected.facts)}{IN_ORDER}\n)")


def in_order(
    connection: duckdb.DuckDBPyConnection,
    joined: Step,
    columns: str,
    few: Mapping[str, Collection[str]],
    values: Mapping[str, Any],
    target: Path,
) -> None:
    """Write rows of the fact table, sorted.

    `columns`: what is written, as SQL over the rows joined. `few`: texts of few values, which are sorted as numbers:
    column -> all its values. TRY makes the engine forget which columns cannot be null by what it knows of the files
    behind them: it would mark them as required, and equal rows from other files would not be equal bytes.
    """
    kinds = {name: numbered(sorted(texts)) for name, texts in few.items() if texts}
    types = ", ".join(f"CAST({name} AS {kind}) AS {name}" for name, kind in kinds.items())
    words = ", ".join(f"CAST({name} AS VARCHAR) AS {name}" for name in kinds)
    rows = f"SELECT {columns} FROM (SELECT * REPLACE ({types}) FROM ({joined.sql}){IN_ORDER})"
    copy = (
        f"COPY (SELECT TRY(COLUMNS(*)) FROM (SELECT * REPLACE ({words}) FROM ({rows}))) TO {quoted(target)} ({PARQUET})"
    )
    run_step(connection, Step(joined.name, copy), values)
