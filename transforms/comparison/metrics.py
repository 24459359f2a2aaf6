"""The figures of a month: what the drift check compares, the run report shows, and the manifest keeps for the next month."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any

from transforms.engine.session import Session
from transforms.engine.sql import sql_literal
from transforms.outputs import list_points_columns
from transforms.points.columns import strip_points_suffix

BAND, TOP_BAND = 20, 9  # points of one band of the distribution; the last band is open
BANDS = range(-1, TOP_BAND + 1)


def score_band_sql(column: str) -> str:
    """The band of a number of points: -1 below zero, then 20 points each, the last one open."""
    return f"CASE WHEN {column} < 0 THEN -1 ELSE least(CAST(floor({column}) AS INTEGER) // {BAND}, {TOP_BAND}) END"


def list_band_names() -> dict[int, str]:
    """What the bands are called, ascending."""
    inner = {band: f"{band * BAND} 至不足 {(band + 1) * BAND} 分" for band in range(TOP_BAND)}
    return {-1: "低于 0 分", **inner, TOP_BAND: f"{TOP_BAND * BAND} 分以上"}


def compute_metrics(
    session: Session, paying: Collection[str], looked_up: Collection[str]
) -> dict[str, Any]:
    """Figures of the views `scores`, `eligibility`, `changes` and `known`, as plain data; sums of points are decimals as text.

    `known` is the fact table, of which the columns `looked_up` find values in reference tables.

    districts: code -> residents, total (sum of points), bands (people by band); items: points column without `_points`
    -> residents who have it, points (sum); moved: item -> up, down (people), points (sum of all changes);
    amount_unknown: service of `paying` -> people who reach it, but whose amount cannot be worked out; places_unknown:
    the same -> how many different values of `looked_up` they have (communities without a rent).
    """
    return {
        "districts": _districts(session),
        "items": _items(session),
        "moved": _moved(session),
        **_unknown(session, paying, looked_up),
    }


def hash_schema(session: Session, table: str) -> str:
    """The version of a table's columns, their order and their types: another one when, and only when, these are others."""
    columns = session.execute(f"DESCRIBE {table}").fetchall()
    return hashlib.sha256(
        "\n".join(f"{name} {kind}" for name, kind, *_ in columns).encode()
    ).hexdigest()[:12]


def compute_mean(line: Mapping[str, Any], points: str = "points") -> Decimal | None:
    """Mean points of a line of `districts` or `items`; None over nobody."""
    return Decimal(line[points]) / line["residents"] if line["residents"] else None


def _districts(session: Session) -> dict[str, Any]:
    found: dict[str, Any] = {}
    rows = session.execute(f"""
        SELECT district, {score_band_sql("total_points")} AS band, count(*), sum(total_points)
        FROM scores GROUP BY ALL ORDER BY ALL""").fetchall()
    for district, band, people, points in rows:
        line = found.setdefault(district, {"residents": 0, "total": "0", "bands": [0] * len(BANDS)})
        line["residents"] += people
        line["total"] = str(Decimal(line["total"]) + points)
        line["bands"][BANDS.index(band)] += people
    return found


def _items(session: Session) -> dict[str, Any]:
    columns = list_points_columns(session, "scores")
    sums = ", ".join(f"count({column}), coalesce(sum({column}), 0)" for column in columns)
    row = session.execute(f"SELECT {sums} FROM scores").fetchall()[0]
    return {
        strip_points_suffix(column): {"residents": people, "points": str(points)}
        for column, people, points in zip(columns, row[0::2], row[1::2], strict=True)
    }


def _moved(session: Session) -> dict[str, Any]:
    rows: Sequence[tuple[str, int, int, Decimal]] = session.execute("""
        SELECT item, count(*) FILTER (after > before), count(*) FILTER (after < before), sum(after - before)
        FROM changes WHERE before IS NOT NULL AND after IS NOT NULL GROUP BY item ORDER BY item""").fetchall()
    return {
        item: {"up": up, "down": down, "points": str(points)} for item, up, down, points in rows
    }


def _unknown(
    session: Session, paying: Collection[str], looked_up: Collection[str]
) -> dict[str, dict[str, int]]:
    listed = ", ".join(map(sql_literal, sorted(paying))) or "NULL"
    place = (
        f"struct_pack({', '.join(f'{name} := known.{name}' for name in looked_up)})"
        if looked_up
        else "NULL"
    )
    rows = session.execute(f"""
        SELECT service, count(*), count(DISTINCT {place}) FROM eligibility JOIN known USING (resident_key)
        WHERE eligible AND monthly_amount IS NULL AND service IN ({listed})
        GROUP BY service ORDER BY service""").fetchall()
    people = {service: count for service, count, _ in rows}
    return {
        "amount_unknown": people,
        "places_unknown": {service: places for service, _, places in rows},
    }


def count_refused(session: Session, rows: str) -> dict[str, Any]:
    """Of the staged rows of a delivery that the gate stopped: received, quarantined, and reasons and defects with their counts."""
    received, refused = session.execute(f"SELECT count(*), count(reasons) FROM {rows}").fetchall()[
        0
    ]
    tallies = {
        kind: dict(
            session.execute(
                f"SELECT unnest({kind}), count(*) FROM {rows} WHERE {kind} IS NOT NULL GROUP BY 1 ORDER BY 1"
            ).fetchall()
        )
        for kind in ("reasons", "defects")
    }
    return {"received": received, "quarantined": refused, **tallies}
