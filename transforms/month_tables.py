"""The tables of a month, as projections of the fact table: scores, facts, identities, and changes against a month before."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb

from expectations.month import Month
from expectations.source import Fact, Source
from transforms.clean.identity import id_text
from transforms.engine import PARQUET, parquet, quoted, scalar
from transforms.policy.columns import item_of
from transforms.steps import Step, run_step


def write_table(
    connection: duckdb.DuckDBPyConnection, statement: str, target: Path, values: Mapping[str, Any] | None = None
) -> int:
    """Write one table as Parquet, in the order of its statement; return its rows."""
    target.parent.mkdir(parents=True, exist_ok=True)
    run_step(connection, Step(target.stem, f"COPY ({statement}) TO {quoted(target)} ({PARQUET})"), values or {})
    return int(scalar(connection, f"SELECT count(*) FROM {parquet(target)}"))


def numbered_rows(revision: Path, table: str) -> str:
    """A table of a revision (`facts`, `restricted/facts`) with `file_row_number`: all hold the same residents in one order."""
    return parquet(revision / table / f"{Path(table).name}.parquet", file_row_number="true")


def facts_statement(facts: Mapping[str, Fact]) -> str:
    """The published facts: one row per resident, pseudonymous. A department's own texts come in as codes only."""
    coded = "list_filter({0}, lambda entry: regexp_full_match(entry.key, '[0-9]{{6}}:[a-z][a-z0-9_]*')) AS {0}"
    names = ", ".join(
        coded.format(name) if fact.unit == "points_by_key" else name
        for name, fact in facts.items()
        if not fact.restricted
    )
    return f"SELECT CAST($month AS DATE) AS month, resident_key, district, {names} FROM facts"


def restricted_statement(facts: Mapping[str, Fact]) -> str:
    """What only `explain` and the identified lists need: one row per resident."""
    names = ", ".join(name for name, fact in facts.items() if fact.restricted)
    return f"SELECT resident_key, {names}, corrections FROM facts"


def identities_statement() -> str:
    """Who stands behind a resident_key: one row per resident."""
    return f"SELECT resident_key, {id_text('person')} AS resident_id, name, phone, district, community FROM facts"


def unknown_keys(
    connection: duckdb.DuckDBPyConnection, sources: Mapping[str, Source], known: Collection[str]
) -> dict[str, int]:
    """Source of points by key -> residents' entries in `facts` under a key that is not `known`: kept, but nobody's points."""
    listed = ", ".join(map(quoted, sorted(known))) or "NULL"
    entries = "SELECT count(*) FROM (SELECT unnest({0}).key AS key FROM facts) WHERE key NOT IN ({1})"
    return {
        source.source: int(scalar(connection, entries.format(name, listed)))
        for source in sources.values()
        for name, fact in source.facts.items()
        if fact.unit == "points_by_key"
    }


def points_columns(connection: duckdb.DuckDBPyConnection, relation: str) -> list[str]:
    """The points columns of a scores table, in order."""
    columns = connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
    return [name for name, *_ in columns if name.endswith("_points")]


def changes_statement(connection: duckdb.DuckDBPyConnection, before: Sequence[Path], month: Month) -> str:
    """Every points column that differs from the month before: month, resident_key, district, item, before, after.

    Someone new has null before, someone gone null after (with the district they had). Sorted like the scores. While they
    are put in order, districts and items are numbers (ENUM, in the order of their names): a sixth to a fifth less work
    (docs/benchmarks.md).
    """
    if not before:
        columns = (
            "CAST(NULL AS VARCHAR) AS item, CAST(NULL AS DECIMAL(7,2)) AS before, CAST(NULL AS DECIMAL(7,2)) AS after"
        )
        return f"SELECT DATE '{month.first_day}' AS month, resident_key, district, {columns} FROM scores WHERE false"
    earlier = parquet(*before)
    now, then = points_columns(connection, "scores"), points_columns(connection, earlier)
    items = sorted({*now, *then}, key=item_of)
    listed = connection.execute(f"SELECT district FROM scores UNION SELECT district FROM {earlier} ORDER BY district")
    district = _numbered([code for (code,) in listed.fetchall()])
    item_name = _numbered(map(item_of, items))

    def value(side: str, known: Sequence[str], item: str) -> str:
        return f"{side}.{item}" if item in known else "CAST(NULL AS DECIMAL(7,2))"

    changed = ", ".join(
        f"CASE WHEN {value('a', now, item)} IS DISTINCT FROM {value('b', then, item)} THEN"
        f" {{'item': CAST({quoted(item_of(item))} AS {item_name}),"
        f" 'before': {value('b', then, item)}, 'after': {value('a', now, item)}}} END"
        for item in items
    )
    return f"""
WITH changed AS (
    SELECT coalesce(a.resident_key, b.resident_key) AS resident_key,
        CAST(coalesce(a.district, b.district) AS {district}) AS district,
        unnest(list_filter([{changed}], lambda change: change IS NOT NULL)) AS change
    FROM scores AS a FULL JOIN {earlier} AS b ON a.resident_key = b.resident_key
),
in_order AS (
    SELECT resident_key, district, change.item AS item, change.before AS before, change.after AS after
    FROM changed ORDER BY district, resident_key, item
)
SELECT DATE '{month.first_day}' AS month, resident_key, CAST(district AS VARCHAR) AS district,
    CAST(item AS VARCHAR) AS item, before, after
FROM in_order"""


def _numbered(names: Iterable[str]) -> str:
    """The type of texts that are kept and put in order as numbers; it cannot be without any text."""
    return f"ENUM({', '.join(map(quoted, names)) or quoted('')})"
