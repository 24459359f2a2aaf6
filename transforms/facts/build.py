"""Run the fact statements of a month, one named step after the other."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from expectations.month import Month
from expectations.reference_tables import TABLES, Reference
from expectations.source_loader import collect_facts, find_spine
from expectations.source_model import Source
from transforms.clean.types import SQL_TYPES
from transforms.engine.parquet import PARQUET, read_deliveries, read_folder_sql, read_parquet_sql
from transforms.engine.partitioning import plan_district_batches, spill_by_district
from transforms.engine.session import Session
from transforms.engine.sql import sql_literal
from transforms.engine.statements import (
    Statement,
    create_table_statement,
    partition_count,
    run_partitioned,
    run_statement,
)
from transforms.facts.corrections import (
    CorrectionResult,
    correction_statements,
    current_corrections_statement,
    match_targets,
)
from transforms.facts.measures import equals_sql
from transforms.facts.month_bitmaps import (
    empty_state,
    is_append_only,
    list_month_facts,
    months_statement,
    state_statements,
)
from transforms.facts.sql import counted_rows_statement, residents_statement, source_statements
from transforms.facts.write import write_fact_table


@dataclass
class MonthFacts:
    """What the fact statements made: how many residents, what was corrected, rows of unknown people, the SQL."""

    residents: int
    corrected: CorrectionResult
    unmatched: dict[str, int]
    over_quota: dict[str, int]
    statements: list[Statement] = field(default_factory=list)


def load_reference_tables(session: Session, reference: Reference) -> None:
    """Every reference table as a table of its own name."""
    for name, (_, columns) in TABLES.items():
        values = (
            zip(*reference.rows[name], strict=True)
            if reference.rows[name]
            else ([] for _ in columns)
        )
        rows = pa.table(dict(zip(columns, map(list, values), strict=True)))
        typed = ", ".join(
            f"CAST({column} AS {kind}) AS {column}" for column, (_, kind) in columns.items()
        )
        session.register("reference_rows", rows)
        session.execute(
            f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT {typed} FROM reference_rows"
        )
        session.unregister("reference_rows")


def hmac_params(key: bytes) -> dict[str, bytes]:
    """The two padded keys of HMAC-SHA256 (RFC 2104), as the statement of the residents takes them."""
    block = (hashlib.sha256(key).digest() if len(key) > 64 else key).ljust(64, b"\0")
    return {"outer": bytes(b ^ 0x5C for b in block), "inner": bytes(b ^ 0x36 for b in block)}


def build_facts(
    session: Session,
    sources: Mapping[str, Source],
    served: Mapping[str, Sequence[Path]],
    reference: Reference,
    indicators: Collection[str],
    month: Month,
    key: bytes,
    target: Path,
    over_quota: Path,
    report_progress: Callable[[str], None] = lambda name: None,
    *,
    onward: Path,
    before: Mapping[str, Path] | None = None,
    identities: Path | None = None,
) -> MonthFacts:
    """Write the fact table (one row per resident, sorted by district and resident_key) from the clean folders served.

    To the new folder `target`: a file for each stretch, in the order of their names. `served`: per source the folders of
    the clean deliveries that count for the month. `indicators`: what a correction may replace. Rows that a quota left out
    go to `over_quota/<source>.parquet`. What the next month can take up goes to the new folders `onward/<source>`.
    `before`: per source that folder of the month before, from the same deliveries up to that month. `identities`: of
    residents that were scored before with this key. The result depends on neither.
    """
    values: dict[str, Any] = {
        "as_of": month.last_day, "month": month.ordinal, "first_day": month.first_day, **hmac_params(key)
    }  # fmt: skip
    load_reference_tables(session, reference)
    statements: list[Statement] = []

    def run(step: Statement) -> None:
        run_statement(session, step, values)
        statements.append(step)

    for source in sources.values():
        _create_source_view(session, source, served.get(source.source, ()))
        for step in [*latest_row_statements(source), counted_rows_statement(source)]:
            run(step)
    run(residents_statement(find_spine(sources), reference.districts))
    people = dict(
        session.execute("SELECT district, count(*) FROM residents GROUP BY district").fetchall()
    )
    apart, by_district = plan_district_batches(people), target / "by_district"
    by_district.mkdir(parents=True)

    def keep(known: Statement) -> None:
        if len(apart) == 1:
            run(create_table_statement(known))
        else:
            rows = f"SELECT known.*, district FROM (\n{known.sql}\n) AS known JOIN residents USING (person)"
            spill_by_district(session, Statement(known.name, rows), values, by_district)
            statements.append(create_table_statement(known))

    for (
        name,
        source,
    ) in sources.items():  # these before all others: the largest by far, while memory is free
        if list_month_facts(source):
            report_progress(f"{source.title}：月份")
            handed = (before or {}).get(name) if is_append_only(source) else None
            statements += _update_state(session, source, handed, month, onward / name)
            keep(months_statement(source))
    for source in sources.values():
        report_progress(source.title)
        for step in source_statements(source):
            keep(step)
    corrected = _correct(session, sources, indicators, run)
    unmatched, left_out = (
        _unmatched(session, sources),
        _write_over_quota(session, sources, over_quota),
    )
    _view_known_pseudonyms(session, identities)
    _drop_intermediate_tables(session, sources)
    statements.append(
        write_fact_table(
            session, sources, reference, corrected, apart, values, target, report_progress
        )
    )
    shutil.rmtree(by_district)
    return MonthFacts(sum(people.values()), corrected, unmatched, left_out, statements)


def _correct(
    session: Session,
    sources: Mapping[str, Source],
    indicators: Collection[str],
    run: Callable[[Statement], None],
) -> CorrectionResult:
    """Make the tables of the corrections that hold; what they replace."""
    facts = collect_facts(sources)
    run(
        current_corrections_statement(
            next((source for source in sources.values() if source.corrects), None)
        )
    )
    corrected = match_targets(session, facts, indicators)
    for step in correction_statements(corrected, facts):
        run(step)
    return corrected


def _drop_intermediate_tables(session: Session, sources: Mapping[str, Source]) -> None:
    """Drop what the fact table does not read: it wants all the memory that there is."""
    for table in [
        "residents",
        *(f"last_{name}" for name, source in sources.items() if source.quota),
    ]:
        session.execute(f"DROP TABLE {table}")


def _create_source_view(session: Session, source: Source, folders: Sequence[Path]) -> None:
    """`clean_<source>`: the rows served, with the month they were received in (`received`, text)."""
    if folders:
        rows = f"FROM {read_deliveries(folders)}"
    else:
        columns = ", ".join(
            f"CAST(NULL AS {SQL_TYPES[column.type]}) AS {name}"
            for name, column in source.columns.items()
        )
        rows = f"SELECT {columns}, 0 AS part, 0 AS record, '' AS received WHERE false"
    session.execute(f"CREATE OR REPLACE TEMP VIEW clean_{source.source} AS {rows}")


def _view_known_pseudonyms(session: Session, identities: Path | None) -> None:
    """`known` (person, resident_key, district): the pseudonyms in a file of identities; without one nobody's."""
    person, key = (
        "CAST(left(resident_id, 17) AS BIGINT) AS person",
        "CAST(unhex(resident_key) AS UUID) AS resident_key",
    )
    rows = (
        read_parquet_sql(identities)
        if identities
        else "(SELECT '' AS resident_id, '' AS resident_key, '' AS district) WHERE false"
    )
    session.execute(
        f"CREATE OR REPLACE TEMP VIEW known AS SELECT {person}, {key}, district FROM {rows}"
    )


def _update_state(
    session: Session,
    source: Source,
    before: Path | None,
    month: Month,
    folder: Path,
) -> list[Statement]:
    """Make the tables that the next month takes up, `folder/<table>/*.parquet`, and views on them; their queries.

    They are made of what was handed on to this month and the rows received since.
    """
    for table, nothing in empty_state(source).items():
        query = f"FROM {read_folder_sql(before / table)}" if before else nothing
        session.execute(f"CREATE OR REPLACE TEMP VIEW {table}_before AS {query}")
    name, since = source.source, str(month - 1) if before else ""
    rows = int(session.scalar(f"SELECT count(*) FROM rows_{name} WHERE received > ?", [since]))
    people = int(session.scalar(f"SELECT count(*) FROM words_{name}_before"))
    values = {"month": month.ordinal, "handed_on": since}
    steps = state_statements(source)
    for step in steps:
        made = run_partitioned(
            session, step, values, folder / step.name, partition_count(rows, people)
        )
        session.execute(f"CREATE OR REPLACE TEMP VIEW {step.name} AS FROM {made}")
    return steps


def latest_row_statements(source: Source) -> list[Statement]:
    """`last_<source>`: of a key received in several months the last row; with `within_quota` where there is a quota."""
    name, rows, steps = source.source, f"clean_{source.source}", []
    if source.delivery == "increment" and source.key:
        key = ", ".join(source.key)
        steps.append(
            Statement(
                f"overtaken_{name}",
                f"""
CREATE OR REPLACE TEMP TABLE overtaken_{name} AS
WITH several AS (SELECT {key} FROM {rows} GROUP BY ALL HAVING count(*) > 1)
SELECT {key}, received FROM {rows} SEMI JOIN several USING ({key})
QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY received DESC) > 1""",
            )
        )
        rows = f"{rows} ANTI JOIN overtaken_{name} USING ({key}, received)"
    # What is within a quota takes a sort, and is asked for more than once.
    kind, statement = (
        ("TABLE", _within_quota(source, rows))
        if source.quota
        else ("VIEW", f"SELECT * FROM {rows}")
    )
    steps.append(
        Statement(f"last_{name}", f"CREATE OR REPLACE TEMP {kind} last_{name} AS\n{statement}")
    )
    return steps


def _within_quota(source: Source, rows: str) -> str:
    """`within_quota`: the grantor's running sum of the year, this row included, is within its quota (no quota row: 0)."""
    assert source.quota
    quota = source.quota
    counted = f"{equals_sql(source.standing)} AND NOT ({equals_sql(quota.unless)})"
    return f"""WITH summed AS (
    SELECT *, sum(CASE WHEN {counted} THEN {quota.of} ELSE 0 END) OVER (
        PARTITION BY {quota.per}, year({quota.date}) ORDER BY {", ".join(quota.order)} ROWS UNBOUNDED PRECEDING
    ) AS running
    FROM {rows}
),
allowed AS (SELECT {quota.per} AS allowed_to, year AS allowed_in, points AS allowed FROM {quota.table})
SELECT summed.* EXCLUDE (running), ({equals_sql(quota.unless)}) OR running <= coalesce(allowed, 0) AS within_quota
FROM summed LEFT JOIN allowed ON allowed_to = {quota.per} AND allowed_in = year({quota.date})"""


def _unmatched(session: Session, sources: Mapping[str, Source]) -> dict[str, int]:
    """Rows about people who are not residents, by source. In one query, for which everyone is looked up at once."""
    about = {
        name: f"SELECT {sql_literal(name)} AS source, person, postings AS rows FROM words_{name}"
        if source.ledger
        else f"SELECT {sql_literal(name)} AS source, {source.person} AS person, 1 AS rows FROM clean_{name}"
        for name, source in sources.items()
        if not source.spine
    }
    everything = "\nUNION ALL\n".join(about.values())
    query = f"SELECT source, sum(rows) FROM ({everything}) ANTI JOIN residents USING (person) GROUP BY source"
    found = dict(session.execute(query).fetchall()) if about else {}
    return {name: int(found.get(name, 0)) for name in about}


def _write_over_quota(
    session: Session, sources: Mapping[str, Source], folder: Path
) -> dict[str, int]:
    """Write the rows that a quota left out, and count them."""
    counts = {}
    for name, source in sources.items():
        if source.quota:
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"{name}.parquet"
            key = ", ".join(source.key)
            rows = f"""SELECT * EXCLUDE (within_quota) FROM last_{name}
                WHERE {equals_sql(source.standing)} AND NOT within_quota ORDER BY {key}"""
            session.execute(f"COPY ({rows}) TO {sql_literal(path)} ({PARQUET})")
            counts[name] = int(session.scalar(f"SELECT count(*) FROM {read_parquet_sql(path)}"))
    return counts
