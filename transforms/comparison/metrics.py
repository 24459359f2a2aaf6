"""The metrics of a month: what the drift check compares, the run report shows, and the manifest
keeps for the next month.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any

from transforms.engine.session import Session
from transforms.engine.sql import sql_literal
from transforms.engine.statements import Statement
from transforms.points.columns import strip_points_suffix

BAND, TOP_BAND = 20, 9  # points of one band of the distribution; the last band is open
BANDS = range(-1, TOP_BAND + 1)


def score_band_sql(column: str) -> str:
    """Return the band of a number of points: -1 below zero, then 20 points each, the last open."""
    band = f"least(CAST(floor({column}) AS INTEGER) // {BAND}, {TOP_BAND})"
    return f"CASE WHEN {column} < 0 THEN -1 ELSE {band} END"


def list_band_names() -> dict[int, str]:
    """Return what the bands are called, ascending."""
    inner = {band: f"{band * BAND} 至不足 {(band + 1) * BAND} 分" for band in range(TOP_BAND)}
    return {-1: "低于 0 分", **inner, TOP_BAND: f"{TOP_BAND * BAND} 分以上"}


def compute_metrics(
    session: Session,
    tables: Mapping[str, str],
    paying: Collection[str],
    looked_up: Collection[str],
) -> dict[str, Any]:
    """Return the metrics of a month as plain data; sums of points are decimals as text.

    Args:
        session: Runs the queries.
        tables: Relations by name: `scores`, `eligibility`, `changes` and `facts` (fact table).
        paying: The services that pay an amount.
        looked_up: The columns of facts by which reference tables are looked into.

    Returns:
        districts: code -> residents, total (sum of points), bands (people by band).
        items: points column without `_points` -> residents who have it, points (sum).
        moved: item -> up, down (people), points (sum of all changes).
        amount_unknown: service of `paying` -> people eligible whose amount is not known.
        places_unknown: the same -> how many different values of `looked_up` they have
        (communities without a rent).
    """
    return {
        "districts": _districts(session, tables),
        "items": _items(session, tables),
        "moved": _moved(session, tables),
        **_unknown(session, tables, paying, looked_up),
    }


def hash_schema(session: Session, relation: str) -> str:
    """Return the version of a table's columns: it changes with their names, order or types."""
    columns = "\n".join(f"{name} {kind}" for name, kind in session.describe(relation).items())
    return hashlib.sha256(columns.encode()).hexdigest()[:12]


def compute_mean(line: Mapping[str, Any], points: str = "points") -> Decimal | None:
    """Mean points of a line of `districts` or `items`; None over nobody."""
    return Decimal(line[points]) / line["residents"] if line["residents"] else None


def _districts(session: Session, tables: Mapping[str, str]) -> dict[str, Any]:
    band = score_band_sql("total_points")
    sql = f"""
SELECT district, {band} AS band, count(*), sum(total_points)
FROM scores GROUP BY ALL ORDER BY ALL"""
    found: dict[str, Any] = {}
    for district, band, people, points in _fetch(session, "districts", sql, tables, "scores"):
        line = found.setdefault(district, {"residents": 0, "total": "0", "bands": [0] * len(BANDS)})
        line["residents"] += people
        line["total"] = str(Decimal(line["total"]) + points)
        line["bands"][BANDS.index(band)] += people
    return found


def _items(session: Session, tables: Mapping[str, str]) -> dict[str, Any]:
    columns = [name for name in session.describe(tables["scores"]) if name.endswith("_points")]
    sums = ", ".join(f"count({column}), coalesce(sum({column}), 0)" for column in columns)
    (row,) = _fetch(session, "items", f"SELECT {sums} FROM scores", tables, "scores")
    return {
        strip_points_suffix(column): {"residents": people, "points": str(points)}
        for column, people, points in zip(columns, row[0::2], row[1::2], strict=True)
    }


def _moved(session: Session, tables: Mapping[str, str]) -> dict[str, Any]:
    sql = """
SELECT item, count(*) FILTER (after > before), count(*) FILTER (after < before),
    sum(after - before)
FROM changes WHERE before IS NOT NULL AND after IS NOT NULL GROUP BY item ORDER BY item"""
    return {
        item: {"up": up, "down": down, "points": str(points)}
        for item, up, down, points in _fetch(session, "moved", sql, tables, "changes")
    }


def _unknown(
    session: Session,
    tables: Mapping[str, str],
    paying: Collection[str],
    looked_up: Collection[str],
) -> dict[str, dict[str, int]]:
    listed = ", ".join(map(sql_literal, sorted(paying))) or "NULL"
    values = ", ".join(f"{name} := facts.{name}" for name in looked_up)
    sql = f"""
SELECT service, count(*), count(DISTINCT {f"struct_pack({values})" if values else "NULL"})
FROM eligibility JOIN facts USING (resident_key)
WHERE eligible AND monthly_amount IS NULL AND service IN ({listed})
GROUP BY service ORDER BY service"""
    rows = _fetch(session, "unknown", sql, tables, "eligibility", "facts")
    return {
        "amount_unknown": {service: people for service, people, _ in rows},
        "places_unknown": {service: places for service, _, places in rows},
    }


def _fetch(
    session: Session, name: str, sql: str, tables: Mapping[str, str], *inputs: str
) -> list[Any]:
    given = {one: tables[one] for one in inputs}
    return session.fetch(Statement(f"metrics_{name}", sql, inputs), inputs=given)


def count_refused(session: Session, rows: str) -> dict[str, Any]:
    """Return what the gate stopped: rows received, quarantined, and their reasons and defects.

    `rows`: the staged rows of a delivery. Reasons and defects have their counts.
    """
    received, refused = session.fetch_rows(f"SELECT count(*), count(reasons) FROM {rows}")[0]
    tallies = {
        kind: dict(
            session.fetch_rows(f"""
                SELECT unnest({kind}), count(*) FROM {rows} WHERE {kind} IS NOT NULL
                GROUP BY 1 ORDER BY 1""")
        )
        for kind in ("reasons", "defects")
    }
    return {"received": received, "quarantined": refused, **tallies}
