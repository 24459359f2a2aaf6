"""Rows of a source that count only within a quota, and those that a quota leaves out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from expectations.source_model import Quota, Source
from transforms.engine.session import Session
from transforms.engine.statements import Statement
from transforms.facts.measures import equals_sql


def within_quota_sql(source: Source, quota: Quota, rows: str) -> str:
    """Return rows with `within_quota`: the grantor's running sum of the year is within its quota.

    The row itself is included in the sum; without a row in the table of quotas the quota is 0. Of a
    quota of people, it is the number of people up to the row's person, by their first rows.
    """
    if quota.people:
        return _within_quota_of_people_sql(source, quota, rows)
    counted = f"{equals_sql(source.standing)} AND NOT ({equals_sql(quota.unless)})"
    columns = ", ".join(f"summed.{name}" for name in list_row_columns(source))
    return f"""WITH summed AS (
    SELECT *, sum(CASE WHEN {counted} THEN {quota.of} ELSE 0 END) OVER (
        PARTITION BY {quota.per}, year({quota.date}) ORDER BY {", ".join(quota.order)}
        ROWS UNBOUNDED PRECEDING
    ) AS running
    FROM {rows}
),
allowed AS (
    SELECT {quota.per} AS allowed_to, year AS allowed_in, points AS allowed FROM {quota.table}
)
SELECT {columns},
    ({equals_sql(quota.unless)}) OR running <= coalesce(allowed, 0) AS within_quota
FROM summed LEFT JOIN allowed ON allowed_to = {quota.per} AND allowed_in = year({quota.date})"""


def _within_quota_of_people_sql(source: Source, quota: Quota, rows: str) -> str:
    counted = f"{equals_sql(source.standing)} AND NOT ({equals_sql(quota.unless)})"
    columns = ", ".join(f"numbered.{name}" for name in list_row_columns(source))
    year, number = f"year({quota.date})", quota.number
    allowed, allowed_in = number, "year"
    if quota.share is not None:
        share = format(quota.share.normalize(), "f")
        allowed, allowed_in = f"FLOOR({number} * {share})", "year + 1"
    return f"""WITH placed AS (
    SELECT *, row_number() OVER (
        PARTITION BY {quota.per}, {year}
        ORDER BY CASE WHEN {counted} THEN 0 ELSE 1 END, {", ".join(quota.order)}
    ) AS place
    FROM {rows}
),
first_rows AS (
    SELECT *, min(place) OVER (PARTITION BY {quota.per}, {year}, {source.person}) AS first_place
    FROM placed
),
numbered AS (
    SELECT *, dense_rank() OVER (
        PARTITION BY {quota.per}, {year} ORDER BY first_place
    ) AS running
    FROM first_rows
),
allowed AS (
    SELECT {quota.per} AS allowed_to, {allowed_in} AS allowed_in, {allowed} AS allowed
    FROM {quota.table}
)
SELECT {columns},
    ({equals_sql(quota.unless)}) OR running <= coalesce(allowed, 0) AS within_quota
FROM numbered LEFT JOIN allowed ON allowed_to = {quota.per} AND allowed_in = {year}"""


def list_row_columns(source: Source) -> list[str]:
    """Return the columns of `clean_<source>`: declared, place in the delivery, month received."""
    return [*source.columns, "part", "record", "received"]


def over_quota_statement(source: Source) -> Statement:
    """Return the query of the rows that a quota leaves out, sorted by the source's key."""
    name = source.source
    sql = f"""SELECT {", ".join(list_row_columns(source))} FROM latest_{name}
WHERE {equals_sql(source.standing)} AND NOT within_quota ORDER BY {", ".join(source.key)}"""
    return Statement(f"over_quota_{name}", sql, inputs=(f"latest_{name}",), form="file")


def write_over_quota(
    session: Session, sources: Mapping[str, Source], folder: Path
) -> dict[str, int]:
    """Write the rows that quotas leave out to `<source>.parquet`; return how many, by source."""
    return {
        name: session.write(over_quota_statement(source), folder / f"{name}.parquet")
        for name, source in sources.items()
        if source.quota
    }
