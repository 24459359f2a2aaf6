"""Compute the facts of a month: run the statements of its sources, and write the fact table."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from expectations.month import Month
from expectations.reference_tables import Reference
from expectations.source_loader import collect_facts, find_spine
from expectations.source_model import Source
from transforms.clean.types import SQL_TYPES
from transforms.engine.parquet import empty_relation_sql, read_deliveries, read_folder_sql
from transforms.engine.partitioning import Partitioning, run_partitioned, spill_by_district
from transforms.engine.reference_tables import load_reference_tables
from transforms.engine.session import Session
from transforms.engine.sql import sql_literal
from transforms.engine.statements import Statement
from transforms.facts.corrections import (
    INEFFECTIVE,
    CorrectionResult,
    applicable_corrections_statement,
    correction_statements,
    current_corrections_statement,
    read_correction_result,
)
from transforms.facts.month_bitmaps import (
    empty_state,
    is_append_only,
    list_month_facts,
    months_statement,
    state_statements,
)
from transforms.facts.pseudonyms import count_stages, hmac_params
from transforms.facts.quotas import list_row_columns, over_quota_statement, write_over_quota
from transforms.facts.sql import (
    counted_rows_statement,
    facts_statement,
    latest_row_statements,
    residents_statement,
    source_statements,
)
from transforms.facts.write import FactTable, write_fact_table


@dataclass(frozen=True)
class FactInputs:
    """What facts are computed from.

    `clean_folders`: per source the folders of the clean deliveries that count for the month.
    `correction_targets`: the indicators that a correction may replace. `previous_state`: per
    source the folder of last month's incremental state, from the same deliveries up to that
    month; the result does not depend on it.
    """

    sources: Mapping[str, Source]
    clean_folders: Mapping[str, Sequence[Path]]
    reference: Reference
    correction_targets: Collection[str]
    previous_state: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class FactTargets:
    """Folders to write to.

    `table`: the fact table, a file for each district batch. `over_quota`: `<source>.parquet`, rows
    that a quota left out. `state`: the month's incremental state, `<source>/<table>/`. `returns`:
    what departments have to mend.
    """

    table: Path
    over_quota: Path
    state: Path
    returns: Path


@dataclass(frozen=True)
class MonthParams:
    """The month scored, the root's key, and those before it."""

    month: Month
    key: bytes
    former: tuple[bytes, ...] = ()

    def to_values(self) -> dict[str, Any]:
        """Return the parameters of the fact statements by name."""
        month = self.month
        days = {"month": month.ordinal, "first_day": month.first_day, "as_of": month.last_day}
        return {**days, **hmac_params(*self.former, self.key)}


@dataclass
class MonthFacts:
    """What was computed: residents, what corrections replace, rows of people who are no residents
    and rows over quota by source, and the statements in their order.
    """

    residents: int
    corrected: CorrectionResult
    unmatched: dict[str, int]
    over_quota: dict[str, int]
    statements: list[Statement] = field(default_factory=list)


def build_facts(
    session: Session,
    inputs: FactInputs,
    params: MonthParams,
    targets: FactTargets,
    partitioning: Partitioning | None = None,
    report_progress: Callable[[str], None] = lambda name: None,
) -> MonthFacts:
    """Write the fact table of a month: one row per resident, by district and resident_key.

    Also rows over quota and the month's incremental state. Raises JifenError 12 if numbers are too
    large to compute with.
    """
    return _Build(session, inputs, params, targets, partitioning or Partitioning()).run(
        report_progress
    )


class _Build:
    """One run of the fact statements; `statements` are those that ran, as they are published."""

    def __init__(
        self,
        session: Session,
        inputs: FactInputs,
        params: MonthParams,
        targets: FactTargets,
        partitioning: Partitioning,
    ) -> None:
        self.session, self.inputs, self.targets = session, inputs, targets
        self.month, self.values = params.month, params.to_values()
        self.partitioning = partitioning
        self.sources = inputs.sources
        self.statements: list[Statement] = []
        self.spilled = targets.table / "by_district"

    def run(self, report_progress: Callable[[str], None]) -> MonthFacts:
        """Run everything, and write what is to be written."""
        load_reference_tables(self.session, self.inputs.reference)
        for source in self.sources.values():
            self.session.create_view(clean_rows_statement(source, self._folders(source)))
            self._create(*latest_row_statements(source), counted_rows_statement(source))
        self._create(residents_statement(find_spine(self.sources)))
        counted = "SELECT district, count(*) FROM residents GROUP BY district"
        people = dict(self.session.fetch_rows(counted))
        batches = self.partitioning.plan_district_batches(people)
        # those with month facts first: the largest by far, while memory is free
        for source in self.sources.values():
            if list_month_facts(source):
                report_progress(f"{source.title}：月份")
                self._update_state(source, sum(people.values()))
                self._keep(months_statement(source), batches)
        for source in self.sources.values():
            report_progress(source.title)
            for statement in source_statements(source, self.sources):
                self._keep(statement, batches)
        corrected = self._apply_corrections()
        unmatched = count_unmatched(self.session, self.sources)
        over_quota = write_over_quota(self.session, self.sources, self.targets.over_quota)
        self.statements += [over_quota_statement(one) for one in self.sources.values() if one.quota]
        quotas = [f"latest_{name}" for name, source in self.sources.items() if source.quota]
        self.session.drop("residents", *quotas)  # the fact table wants all the memory there is
        made_of = FactTable(self.sources, self.inputs.reference, corrected.facts, self.values)
        write_fact_table(self.session, made_of, batches, self.targets.table, report_progress)
        shutil.rmtree(self.spilled, ignore_errors=True)
        stages = count_stages(self.values)
        self.statements.append(facts_statement(self.sources, corrected.facts, stages))
        total = sum(people.values())
        return MonthFacts(total, corrected, unmatched, over_quota, self.statements)

    def _folders(self, source: Source) -> Sequence[Path]:
        return self.inputs.clean_folders.get(source.source, ())

    def _create(self, *statements: Statement) -> None:
        for statement in statements:
            self.session.create(statement, self.values)
            self.statements.append(statement)

    def _keep(self, statement: Statement, batches: Sequence[Sequence[str]]) -> None:
        """Keep what is known of people as a table, or by district on disk if there are batches."""
        if len(batches) == 1:
            self.session.create_table(statement, self.values)
        else:
            known = f"SELECT known.*, district FROM (\n{statement.sql}\n) AS known"
            sql = f"{known} JOIN residents USING (person)"
            rows = Statement(statement.name, sql, (*statement.inputs, "residents"))
            spill_by_district(self.session, rows, self.values, self.spilled)
        self.statements.append(statement)

    def _update_state(self, source: Source, people: int) -> None:
        """Write the source's incremental state, from last month's and the rows received since."""
        name, folder = source.source, self.targets.state / source.source
        previous = self.inputs.previous_state.get(name) if is_append_only(source) else None
        for table, columns in empty_state(source).items():
            self.session.create_view(_previous_state_statement(table, columns, previous))
            self.statements.append(_empty_state_statement(table, columns))
        since = {"state_month": str(self.month - 1) if previous else ""}
        new = f"SELECT count(*) FROM counted_{name} WHERE received > $state_month"
        rows, values = int(self.session.scalar(new, since)), self.values | since
        for statement in state_statements(source):
            # a person's postings are in one partition; months disputed are few, and not cut
            is_large = statement.name.startswith("month_bitmaps_")
            count = self.partitioning.count_partitions(rows, people) if is_large else 1
            target = folder / statement.name
            # reversals are few, and counted as fewer still: the engine would hash the history
            with self.session.keep_join_order():
                made = run_partitioned(
                    self.session, statement, values, target, count, statement.inputs
                )
            self.session.create_view(Statement(statement.name, f"FROM {made}", form="view"))
            self.statements.append(statement)

    def _apply_corrections(self) -> CorrectionResult:
        """Make the tables of the corrections that apply; return what they replace."""
        facts = collect_facts(self.sources)
        corrections = next((one for one in self.sources.values() if one.corrects), None)
        self._create(
            current_corrections_statement(corrections),
            applicable_corrections_statement(self.sources, self.inputs.correction_targets),
        )
        target = self.targets.returns / INEFFECTIVE
        corrected = read_correction_result(self.session, corrections, self.values, target)
        self._create(*correction_statements(corrected, facts))
        return corrected


def clean_rows_statement(source: Source, folders: Iterable[Path]) -> Statement:
    """Return the query of `clean_<source>`: the rows in folders of clean deliveries.

    `received`: the month in which a row was received, as text.
    """
    kinds = {name: SQL_TYPES[column.type] for name, column in source.columns.items()}
    places = {"part": "INTEGER", "record": "BIGINT", "received": "VARCHAR"}
    rows = read_deliveries(folders) if folders else empty_relation_sql({**kinds, **places})
    columns = ", ".join(list_row_columns(source))
    return Statement(f"clean_{source.source}", f"SELECT {columns} FROM {rows}", form="view")


def _empty_state_statement(table: str, columns: Mapping[str, str]) -> Statement:
    """The state before, as it is published: without any, a month reads all rows ($state_month '')."""
    return Statement(
        f"previous_{table}", f"SELECT * FROM {empty_relation_sql(columns)}", form="view"
    )


def _previous_state_statement(
    table: str, columns: Mapping[str, str], previous: Path | None
) -> Statement:
    """The state before, empty if there is none."""
    rows = read_folder_sql(previous / table) if previous else empty_relation_sql(columns)
    sql = f"SELECT {', '.join(columns)} FROM {rows}"
    return Statement(f"previous_{table}", sql, form="view")


def _about_somebody(source: Source) -> str:
    """Return the condition that a row says whom it is about, where it need not."""
    required = source.columns[source.person].required
    return "" if required else f" WHERE {source.person} IS NOT NULL"


def count_unmatched(session: Session, sources: Mapping[str, Source]) -> dict[str, int]:
    """Return how many rows are about people who are no residents, by source.

    In one query, for which everyone is looked up at once.
    """
    rows = {
        name: f"SELECT {sql_literal(name)} AS source, person, postings AS rows"
        f" FROM month_bitmaps_{name}"
        if source.ledger
        else f"SELECT {sql_literal(name)} AS source, {source.person} AS person, 1 AS rows"
        f" FROM clean_{name}{_about_somebody(source)}"
        for name, source in sources.items()
        if not source.spine
    }
    if not rows:
        return {}
    everything = "\nUNION ALL\n".join(rows.values())
    query = f"""SELECT source, sum(rows)
FROM ({everything}) ANTI JOIN residents USING (person) GROUP BY source"""
    found = dict(session.fetch_rows(query))
    return {name: int(found.get(name, 0)) for name in rows}
