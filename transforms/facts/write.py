"""Write the fact table, in the order in which everything else reads it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from expectations.reference_tables import Reference
from expectations.source_loader import collect_facts, find_spine
from expectations.source_model import Source
from transforms.engine.errors import explain_overflow
from transforms.engine.parquet import INTERMEDIATE_PARQUET, sort_for_writing_sql
from transforms.engine.partitioning import in_districts_sql
from transforms.engine.session import Session
from transforms.engine.statements import Statement, filter_inputs
from transforms.expressions.kinds import list_levels
from transforms.facts.pseudonyms import count_stages
from transforms.facts.sql import (
    joined_facts_statement,
    list_fact_table_columns,
    list_person_tables,
)
from transforms.outputs import RESIDENT_ORDER


@dataclass(frozen=True)
class FactTable:
    """What the fact table is made of.

    Attributes:
        sources: The sources in force, by code.
        reference: The reference tables.
        corrected: The facts that corrections of this month replace.
        params: Values of the statements' parameters.
    """

    sources: Mapping[str, Source]
    reference: Reference
    corrected: Collection[str]
    params: Mapping[str, Any]


def write_fact_table(
    session: Session,
    made_of: FactTable,
    batches: Sequence[Sequence[str]],
    target: Path,
    report_progress: Callable[[str], None],
) -> None:
    """Write the fact table to a folder: a file for each district batch, in the table's order."""
    sources = made_of.sources
    facts = collect_facts(sources)
    low_cardinality: dict[str, Collection[str]] = {"district": made_of.reference.districts}
    low_cardinality |= {name: list_levels(fact) for name, fact in facts.items()}
    joined = joined_facts_statement(sources, made_of.corrected, count_stages(made_of.params))
    with (
        explain_overflow(session, facts, list_person_tables(sources)),
        session.keep_join_order(),
    ):
        for number, districts in enumerate(batches, 1):
            report_progress(f"汇总（{number}/{len(batches)}）" if len(batches) > 1 else "汇总")
            rows = _of_districts(joined, sources, districts) if districts else joined
            sql = sort_for_writing_sql(
                rows.sql, list_fact_table_columns(facts), RESIDENT_ORDER, low_cardinality
            )
            statement = Statement("facts", sql, joined.inputs, "file")
            file = target / f"{number:05d}.parquet"
            session.write(statement, file, made_of.params, options=INTERMEDIATE_PARQUET)


def _of_districts(
    joined: Statement, sources: Mapping[str, Source], districts: Sequence[str]
) -> Statement:
    """The facts of a district batch: registry and per-person tables are read for it alone."""
    registry = find_spine(sources)
    assert registry.spine
    tables = dict.fromkeys(list_person_tables(sources), "district")
    columns = {f"counted_{registry.source}": registry.spine.district, **tables}
    conditions = {name: in_districts_sql(column, districts) for name, column in columns.items()}
    return filter_inputs(joined, conditions)
