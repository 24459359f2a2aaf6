"""What stands beside a person's points: the change against the month before, and the services with what is lacking."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from pathlib import Path

import duckdb

from reports.explanation import Change, ServiceState
from reports.rules import Rules
from transforms.engine import parquet_in


def changes(
    connection: duckdb.DuckDBPyConnection,
    revision: Path,
    titles: Mapping[str, str],
    district: str,
    resident_key: str,
) -> list[Change]:
    """The person's rows of the revision's `changes`, in the order of the titles (`item_titles`)."""
    order = {item: place for place, item in enumerate(titles)}
    rows = connection.execute(
        f"SELECT item, before, after FROM {parquet_in(revision / 'changes')} WHERE district = ? AND resident_key = ?",
        [district, resident_key],
    ).fetchall()
    rows.sort(key=lambda row: order.get(row[0], len(order)))
    return [Change(item, titles.get(item, item), before, after) for item, before, after in rows]


def service_states(connection: duckdb.DuckDBPyConnection, revision: Path, rules: Rules) -> list[ServiceState]:
    """Every service in force for the one person in `scored`: reached, or what is lacking; with what it pays, as published."""
    if not rules.services_in_force:
        return []
    asked = connection.execute(rules.lacking, {"as_of": rules.as_of} if "$as_of" in rules.lacking else None).fetchall()
    district, key = connection.execute("SELECT district, resident_key FROM scored").fetchall()[0]
    amounts = dict(
        connection.execute(
            f"SELECT service, monthly_amount FROM {parquet_in(revision / 'eligibility')}"
            " WHERE district = ? AND resident_key = ?",
            [district, key],
        ).fetchall()
    )
    titles = {service.service: service.title for service in rules.services}
    states = []
    for code, rows in groupby(asked, key=lambda row: str(row[1])):
        lacking = [(place, sentence) for _, _, place, _, holds, sentence in rows if not holds]
        here = [sentence for place, sentence in lacking if place == 0]  # not open in the district: nothing else matters
        sentences = here or [sentence for _, sentence in lacking]
        states.append(ServiceState(code, titles[code], not sentences, sentences, amounts.get(code)))
    return states
