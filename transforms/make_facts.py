"""Run the fact statements of a month, one named step after the other."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from expectations.declarations import all_facts, spine
from expectations.month import Month
from expectations.reference import TABLES, Reference
from expectations.source import Source
from transforms.clean.values import SQL_TYPES
from transforms.corrections import Corrected, corrected_targets, correction_steps, holding_step
from transforms.engine import (
    PARQUET,
    parquet,
    parquet_in,
    quoted,
    received_rows,
    scalar,
)
from transforms.fact_table import write_fact_table
from transforms.facts import residents_step, rows_step, source_steps
from transforms.measures import equal
from transforms.months import adds_up, handed_on, handing_on_steps, month_facts, months_step
from transforms.steps import Step, parts, run_in_parts, run_step, table_step
from transforms.stretches import put_down, stretches


@dataclass
class MonthFacts:
    """What the fact statements made: how many residents, what was corrected, rows of unknown people, the SQL."""

    residents: int
    corrected: Corrected
    unmatched: dict[str, int]
    over_quota: dict[str, int]
    statements: list[Step] = field(default_factory=list)


def load_reference_tables(connection: duckdb.DuckDBPyConnection, reference: Reference) -> None:
    """Every reference table as a table of its own name."""
    for name, (_, columns) in TABLES.items():
        values = zip(*reference.rows[name], strict=True) if reference.rows[name] else ([] for _ in columns)
        rows = pa.table(dict(zip(columns, map(list, values), strict=True)))
        typed = ", ".join(f"CAST({column} AS {kind}) AS {column}" for column, (_, kind) in columns.items())
        connection.register("reference_rows", rows)
        connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT {typed} FROM reference_rows")
        connection.unregister("reference_rows")


def padded_keys(key: bytes) -> dict[str, bytes]:
    """The two padded keys of HMAC-SHA256 (RFC 2104), as the statement of the residents takes them."""
    block = (hashlib.sha256(key).digest() if len(key) > 64 else key).ljust(64, b"\0")
    return {"outer": bytes(b ^ 0x5C for b in block), "inner": bytes(b ^ 0x36 for b in block)}


def make_facts(
    connection: duckdb.DuckDBPyConnection,
    sources: Mapping[str, Source],
    served: Mapping[str, Sequence[Path]],
    reference: Reference,
    indicators: Collection[str],
    month: Month,
    key: bytes,
    target: Path,
    over_quota: Path,
    tell: Callable[[str], None] = lambda name: None,
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
        "as_of": month.last_day, "month": month.ordinal, "first_day": month.first_day, **padded_keys(key)
    }  # fmt: skip
    load_reference_tables(connection, reference)
    statements: list[Step] = []

    def run(step: Step) -> None:
        run_step(connection, step, values)
        statements.append(step)

    for source in sources.values():
        _serve(connection, source, served.get(source.source, ()))
        for step in [*latest_steps(source), rows_step(source)]:
            run(step)
    run(residents_step(spine(sources), reference.districts))
    people = dict(connection.execute("SELECT district, count(*) FROM residents GROUP BY district").fetchall())
    apart, by_district = stretches(people), target / "by_district"
    by_district.mkdir(parents=True)

    def keep(known: Step) -> None:
        if len(apart) == 1:
            run(table_step(known))
        else:
            rows = f"SELECT known.*, district FROM (\n{known.sql}\n) AS known JOIN residents USING (person)"
            put_down(connection, Step(known.name, rows), values, by_district)
            statements.append(table_step(known))

    for name, source in sources.items():  # these before all others: the largest by far, while memory is free
        if month_facts(source):
            tell(f"{source.title}：月份")
            handed = (before or {}).get(name) if adds_up(source) else None
            statements += _hand_on(connection, source, handed, month, onward / name)
            keep(months_step(source))
    for source in sources.values():
        tell(source.title)
        for step in source_steps(source):
            keep(step)
    corrected = _correct(connection, sources, indicators, run)
    unmatched, left_out = _unmatched(connection, sources), _leave_out(connection, sources, over_quota)
    _view_known(connection, identities)
    _give_back(connection, sources)
    statements.append(write_fact_table(connection, sources, reference, corrected, apart, values, target, tell))
    shutil.rmtree(by_district)
    return MonthFacts(sum(people.values()), corrected, unmatched, left_out, statements)


def _correct(
    connection: duckdb.DuckDBPyConnection,
    sources: Mapping[str, Source],
    indicators: Collection[str],
    run: Callable[[Step], None],
) -> Corrected:
    """Make the tables of the corrections that hold; what they replace."""
    facts = all_facts(sources)
    run(holding_step(next((source for source in sources.values() if source.corrects), None)))
    corrected = corrected_targets(connection, facts, indicators)
    for step in correction_steps(corrected, facts):
        run(step)
    return corrected


def _give_back(connection: duckdb.DuckDBPyConnection, sources: Mapping[str, Source]) -> None:
    """Drop what the fact table does not read: it wants all the memory that there is."""
    for table in ["residents", *(f"last_{name}" for name, source in sources.items() if source.quota)]:
        connection.execute(f"DROP TABLE {table}")


def _serve(connection: duckdb.DuckDBPyConnection, source: Source, folders: Sequence[Path]) -> None:
    """`clean_<source>`: the rows served, with the month they were received in (`received`, text)."""
    if folders:
        rows = f"FROM {received_rows(folders)}"
    else:
        columns = ", ".join(
            f"CAST(NULL AS {SQL_TYPES[column.type]}) AS {name}" for name, column in source.columns.items()
        )
        rows = f"SELECT {columns}, 0 AS part, 0 AS record, '' AS received WHERE false"
    connection.execute(f"CREATE OR REPLACE TEMP VIEW clean_{source.source} AS {rows}")


def _view_known(connection: duckdb.DuckDBPyConnection, identities: Path | None) -> None:
    """`known` (person, resident_key, district): the pseudonyms in a file of identities; without one nobody's."""
    person, key = "CAST(left(resident_id, 17) AS BIGINT) AS person", "CAST(unhex(resident_key) AS UUID) AS resident_key"
    rows = (
        parquet(identities)
        if identities
        else "(SELECT '' AS resident_id, '' AS resident_key, '' AS district) WHERE false"
    )
    connection.execute(f"CREATE OR REPLACE TEMP VIEW known AS SELECT {person}, {key}, district FROM {rows}")


def _hand_on(
    connection: duckdb.DuckDBPyConnection, source: Source, before: Path | None, month: Month, folder: Path
) -> list[Step]:
    """Make the tables that the next month takes up, `folder/<table>/*.parquet`, and views on them; their queries.

    They are made of what was handed on to this month and the rows received since.
    """
    for table, nothing in handed_on(source).items():
        query = f"FROM {parquet_in(before / table)}" if before else nothing
        connection.execute(f"CREATE OR REPLACE TEMP VIEW {table}_before AS {query}")
    name, since = source.source, str(month - 1) if before else ""
    rows = int(scalar(connection, f"SELECT count(*) FROM rows_{name} WHERE received > ?", [since]))
    people = int(scalar(connection, f"SELECT count(*) FROM words_{name}_before"))
    values = {"month": month.ordinal, "handed_on": since}
    steps = handing_on_steps(source)
    for step in steps:
        made = run_in_parts(connection, step, values, folder / step.name, parts(rows, people))
        connection.execute(f"CREATE OR REPLACE TEMP VIEW {step.name} AS FROM {made}")
    return steps


def latest_steps(source: Source) -> list[Step]:
    """`last_<source>`: of a key received in several months the last row; with `within_quota` where there is a quota."""
    name, rows, steps = source.source, f"clean_{source.source}", []
    if source.delivery == "increment" and source.key:
        key = ", ".join(source.key)
        steps.append(
            Step(
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
    kind, statement = ("TABLE", _within_quota(source, rows)) if source.quota else ("VIEW", f"SELECT * FROM {rows}")
    steps.append(Step(f"last_{name}", f"CREATE OR REPLACE TEMP {kind} last_{name} AS\n{statement}"))
    return steps


def _within_quota(source: Source, rows: str) -> str:
    """`within_quota`: the grantor's running sum of the year, this row included, is within its quota (no quota row: 0)."""
    assert source.quota
    quota = source.quota
    counted = f"{equal(source.standing)} AND NOT ({equal(quota.unless)})"
    return f"""WITH summed AS (
    SELECT *, sum(CASE WHEN {counted} THEN {quota.of} ELSE 0 END) OVER (
        PARTITION BY {quota.per}, year({quota.date}) ORDER BY {", ".join(quota.order)} ROWS UNBOUNDED PRECEDING
    ) AS running
    FROM {rows}
),
allowed AS (SELECT {quota.per} AS allowed_to, year AS allowed_in, points AS allowed FROM {quota.table})
SELECT summed.* EXCLUDE (running), ({equal(quota.unless)}) OR running <= coalesce(allowed, 0) AS within_quota
FROM summed LEFT JOIN allowed ON allowed_to = {quota.per} AND allowed_in = year({quota.date})"""


def _unmatched(connection: duckdb.DuckDBPyConnection, sources: Mapping[str, Source]) -> dict[str, int]:
    """Rows about people who are not residents, by source. In one query, for which everyone is looked up at once."""
    about = {
        name: f"SELECT {quoted(name)} AS source, person, postings AS rows FROM words_{name}"
        if source.ledger
        else f"SELECT {quoted(name)} AS source, {source.person} AS person, 1 AS rows FROM clean_{name}"
        for name, source in sources.items()
        if not source.spine
    }
    everything = "\nUNION ALL\n".join(about.values())
    query = f"SELECT source, sum(rows) FROM ({everything}) ANTI JOIN residents USING (person) GROUP BY source"
    found = dict(connection.execute(query).fetchall()) if about else {}
    return {name: int(found.get(name, 0)) for name in about}


def _leave_out(connection: duckdb.DuckDBPyConnection, sources: Mapping[str, Source], folder: Path) -> dict[str, int]:
    """Write the rows that a quota left out, and count them."""
    counts = {}
    for name, source in sources.items():
        if source.quota:
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"{name}.parquet"
            key = ", ".join(source.key)
            rows = f"SELECT * EXCLUDE (within_quota) FROM last_{name} WHERE {equal(source.standing)} AND NOT within_quota ORDER BY {key}"
            connection.execute(f"COPY ({rows}) TO {quoted(path)} ({PARQUET})")
            counts[name] = int(scalar(connection, f"SELECT count(*) FROM {parquet(path)}"))
    return counts
