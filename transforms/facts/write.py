"""Write the fact table from what is known of people: stretch by stretch, in the order in which everything else reads it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from expectations.reference_tables import Reference
from expectations.source_loader import collect_facts
from expectations.source_model import Source
from transforms.engine.errors import explain_overflow
from transforms.engine.parquet import PARQUET
from transforms.engine.session import Session
from transforms.engine.sql import enum_type, sql_literal
from transforms.engine.statements import Statement, run_statement
from transforms.expressions.language import list_levels
from transforms.facts.corrections import CorrectionResult
from transforms.facts.sql import facts_sql, list_fact_table_columns, list_joined_tables

IN_ORDER = "\nORDER BY district, resident_key"


def write_fact_table(
    session: Session,
    sources: Mapping[str, Source],
    reference: Reference,
    corrected: CorrectionResult,
    apart: Sequence[Sequence[str]],
    values: Mapping[str, Any],
    target: Path,
    report_progress: Callable[[str], None],
) -> Statement:
    """Write the fact table, a file for each stretch, and tell of each; the query of the whole."""
    facts = collect_facts(sources)
    columns = ", ".join(list_fact_table_columns(facts))
    few = {
        "district": reference.districts,
        **{name: list_levels(fact) for name, fact in facts.items()},
    }
    with (
        explain_overflow(session, facts, list_joined_tables(sources)),
        session.keep_join_order(),
    ):
        for number, stretch in enumerate(apart, 1):
            report_progress(f"汇总（{number}/{len(apart)}）" if len(apart) > 1 else "汇总")
            joined = Statement("facts", facts_sql(sources, corrected.facts, stretch))
            write_sorted(session, joined, columns, few, values, target / f"{number:05d}.parquet")
    return Statement(
        "facts", f"SELECT {columns}\nFROM ({facts_sql(sources, corrected.facts)}{IN_ORDER}\n)"
    )


def write_sorted(
    session: Session,
    joined: Statement,
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
    kinds = {name: enum_type(sorted(texts)) for name, texts in few.items() if texts}
    types = ", ".join(f"CAST({name} AS {kind}) AS {name}" for name, kind in kinds.items())
    words = ", ".join(f"CAST({name} AS VARCHAR) AS {name}" for name in kinds)
    rows = f"SELECT {columns} FROM (SELECT * REPLACE ({types}) FROM ({joined.sql}){IN_ORDER})"
    copy = f"COPY (SELECT TRY(COLUMNS(*)) FROM (SELECT * REPLACE ({words}) FROM ({rows}))) TO {sql_literal(target)} ({PARQUET})"
    run_statement(session, Statement(joined.name, copy), values)
