"""Keys across deliveries: rows of earlier months that a row about another person replaces."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from expectations.source_model import Source
from transforms.engine.parquet import read_deliveries, read_folder_sql
from transforms.engine.session import Session


def count_replaced_persons(
    session: Session, source: Source, delivery: Path, earlier: Sequence[Path]
) -> int:
    """Return how many clean rows of a delivery have the key of another person's earlier row.

    A department that numbers its records anew every month would replace last month's so.

    Args:
        session: Runs the query.
        source: The source, of which the row received last counts for a key.
        delivery: The folder of the delivery's clean rows.
        earlier: Those of the deliveries before.
    """
    if source.delivery != "increment" or not source.key or source.person in source.key:
        return 0
    if not earlier or not list(delivery.glob("*.parquet")):
        return 0
    key = ", ".join(source.key)
    query = f"""
        SELECT count(DISTINCT (part, record))
        FROM (SELECT {key}, {source.person} AS person, part, record FROM {read_folder_sql(delivery)})
        JOIN (SELECT {key}, {source.person} AS before FROM {read_deliveries(earlier)}) USING ({key})
        WHERE person <> before"""
    return int(session.scalar(query))
