"""Rows that count, the plain way: the last copy of each record, not void, the ledger's newest posting, within quota.

Rows are typed rows as `values.one_extract` gives them, in the order received, each with the month it was received in.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from expectations.month import Month
from expectations.source_model import Quota, Source, Span
from tests.parity.reference.values import Row

Received = Sequence[tuple[Month, Row]]
Tables = Mapping[str, Sequence[Mapping[str, str]]]


@dataclass(frozen=True)
class Correction:
    """An upheld correction that holds on the scoring date."""

    case_id: str
    value: Decimal
    text: str = ""


def find_residents(
    sources: Mapping[str, Source], kept: Mapping[str, Sequence[Row]]
) -> dict[str, Row]:
    """The people who are scored, with their row of the spine."""
    return {
        row[source.person]: row
        for name, source in sources.items()
        if source.spine
        for row in kept[name]
        if all(row[column] == value for column, value in source.spine.where.items())
    }


def keep_last_received(source: Source, received: Received) -> list[Row]:
    """Across months the row received last wins; without a key every row is its own record."""
    in_order = [row for _, row in sorted(received, key=lambda item: item[0])]
    if not source.key:
        return in_order
    return list({tuple(row[name] for name in source.key): row for row in in_order}.values())


def select_standing(
    source: Source, received: Received, as_of: dt.date, tables: Tables
) -> list[Row]:
    """The rows that count: the last copy of each record, not void, by the ledger's newest posting, within quota."""
    rows = keep_last_received(source, received)
    rows = [
        row
        for row in rows
        if all(row[column] == value for column, value in source.standing.items())
    ]
    if source.ledger:
        rows = _posted(source, rows)
    if source.quota:
        over = find_over_quota(source.quota, rows, as_of, tables)
        rows = [row for row in rows if row not in over]
    return rows


def _posted(source: Source, rows: Sequence[Row]) -> list[Row]:
    """Of the postings of one person and account (null is one account) the newest decides, on a tie the named one."""
    ledger = source.ledger
    assert ledger is not None
    accounts: dict[Any, list[Row]] = {}
    for row in rows:
        accounts.setdefault((row[source.person], *(row[name] for name in ledger.per)), []).append(
            row
        )
    deciding = []
    for postings in accounts.values():
        newest_day = max(row[ledger.newest] for row in postings)
        newest = [row for row in postings if row[ledger.newest] == newest_day]
        tied = [
            row for row in newest if all(row[name] == value for name, value in ledger.tie.items())
        ]
        deciding.append((tied or newest)[0])
    return [
        row for row in deciding if all(row[name] == value for name, value in ledger.holds.items())
    ]


def find_over_quota(quota: Quota, rows: Sequence[Row], as_of: dt.date, tables: Tables) -> list[Row]:
    """The rows whose running sum, per grantor and calendar year, whoever they are for, exceeds the quota (none: 0).

    Of a quota of people: the rows of those who come after so many others.
    """
    if quota.people:
        return _find_over_quota_of_people(quota, rows, as_of, tables)
    allowed = {
        (line[quota.per], int(line["year"])): Decimal(line[quota.number])
        for line in tables[quota.table]
    }
    bound = [row for row in rows if any(row[name] != value for name, value in quota.unless.items())]
    running: dict[Any, Decimal] = {}
    over = []
    for row in sorted(bound, key=lambda row: [row[name] for name in quota.order]):
        if row[quota.date] > as_of:
            continue
        account = (row[quota.per], row[quota.date].year)
        running[account] = running.get(account, Decimal(0)) + row[quota.of]
        if running[account] > allowed.get(account, Decimal(0)):
            over.append(row)
    return over


def _find_over_quota_of_people(
    quota: Quota, rows: Sequence[Row], as_of: dt.date, tables: Tables
) -> list[Row]:
    """The rows of people beyond the quota, who are counted once a year, by their first rows."""
    listed = {
        (line[quota.per], int(line["year"])): int(line["people"]) for line in tables[quota.table]
    }
    people: dict[Any, list[Any]] = {}
    over = []
    for row in sorted(rows, key=lambda row: [row[name] for name in quota.order]):
        bound = any(row[name] != value for name, value in quota.unless.items())
        if not bound or row[quota.date] > as_of:
            continue
        grantor, year = row[quota.per], row[quota.date].year
        share, before = quota.share or Decimal(1), 1 if quota.share else 0
        allowed = int(listed.get((grantor, year - before), 0) * share)
        counted = people.setdefault((grantor, year), [])
        if row["resident_id"] not in counted:
            counted.append(row["resident_id"])
        if counted.index(row["resident_id"]) >= allowed:
            over.append(row)
    return over


def find_corrections(
    sources: Mapping[str, Source], kept: Mapping[str, Sequence[Row]], as_of: dt.date
) -> dict[str, dict[str, Correction]]:
    """Per person and target the upheld correction that holds: decided, valid, the newest, then the largest case."""
    holding: dict[str, dict[str, Correction]] = {}
    for name, source in sources.items():
        if said := source.corrects:
            (case,) = source.key
            for row in sorted(kept[name], key=lambda row: (row[said.decided], row[case])):
                upheld = all(row[column] == value for column, value in said.holds.items())
                valid = is_running(said.valid, row, as_of)
                if upheld and valid and row[said.decided] <= as_of:
                    targets = holding.setdefault(row[source.person], {})
                    text = row[said.value].strip()
                    is_number = re.fullmatch(r"-?[0-9]{1,10}(\.[0-9]{1,2})?", text)
                    value = Decimal(text) if is_number else Decimal(-1)
                    targets[row[said.target]] = Correction(row[case], value, text)
    return holding


def is_running(span: Span, row: Row, as_of: dt.date) -> bool:
    """Began on or before the day, and has not ended before it."""
    begun, ended = row[span.begins], row[span.ends]
    if begun is None or begun > as_of:
        return False
    return span.open_end if ended is None else ended >= as_of


def count_unmatched(source: Source, received: Received, people: Mapping[str, Any]) -> int:
    """How many of the rows received are about somebody who is no resident."""
    said = [row[source.person] for _, row in received]
    return sum(1 for person in said if person is not None and person not in people)
