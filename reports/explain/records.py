"""The records behind one person's facts: rows that count, rows that do not and why, rows that were refused.

IDs, names and phones are left out: the reader knows whom they asked about, and rows may name others (children).
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from expectations.month import Month
from expectations.refusals import REASON_TEXTS
from expectations.source_model import Fact, Source
from transforms.clean import national_id
from transforms.clean.types import SQL_TYPES
from transforms.engine.parquet import read_deliveries, read_parquet_sql
from transforms.engine.session import Session
from transforms.engine.sql import sql_literal
from transforms.facts import month_bitmaps
from transforms.facts.measures import equals_sql, filter_sql
from transforms.facts.windows import month_window
from transforms.templates import format_number

MAX_ROWS = 24  # of a source and person in a list


@dataclass(frozen=True)
class Record:
    """One row of a department. `facts`: the titles of what it is counted in; `reasons`: why it is not, or was refused."""

    source: str
    received: str
    values: dict[str, str]
    facts: list[str]
    reasons: list[str]


@dataclass(frozen=True)
class InputRows:
    """The clean rows of a source that a month was computed from.

    Attributes:
        source: The source.
        folders: Its clean deliveries.
        over_quota: The file of rows that a quota left out, which need not exist.
    """

    source: Source
    folders: Sequence[Path]
    over_quota: Path | None = None


def load_person_records(
    session: Session, inputs: InputRows, person: int, month: Month
) -> list[Record]:
    """Return the person's rows, by their month or date, then as received.

    Needs the reference tables on the session. Reads the person column of every row of the source.
    """
    source = inputs.source
    if not inputs.folders:
        return []
    facts = {
        name: fact for name, fact in source.facts.items() if fact.measure not in (None, "list")
    }
    rows = _with_declared_columns(session, source, read_deliveries(inputs.folders))
    statement = f"""
        WITH inputs AS ({_marked_rows(source, rows, inputs.over_quota)})
        SELECT {", ".join(_shown(source))}, received, {_status(source)} AS status,
            [{", ".join(f"({_counts(source, fact)}) IS TRUE" for fact in facts.values()) or "false"}] AS counts
        FROM inputs WHERE {source.person} = $person
        ORDER BY {", ".join([*_dates(source), "received", "part", "record"])}"""
    values = {"person": person, "as_of": month.last_day, "month": month.ordinal}
    result = session.execute(
        statement, {name: value for name, value in values.items() if f"${name}" in statement}
    )
    titles = [fact.title for fact in facts.values()]
    return [_record(source, row, titles) for row in result.fetchall()]


def load_rows_of_people(
    session: Session, source: Source, folders: Sequence[Path], people: Collection[int]
) -> dict[int, list[str]]:
    """Return by person the newest of their clean rows, a line each, in the order of receipt.

    One pass over the source for all of them. Of more than MAX_ROWS rows the line above says so.
    """
    if not folders or not people:
        return {}
    rows = _with_declared_columns(session, source, read_deliveries(folders))
    shown = _shown(source)
    listed = ", ".join(map(str, sorted(people)))
    newest = ", ".join(f"{one} DESC" for one in (*_dates(source), "received", "part", "record"))
    oldest = newest.replace(" DESC", "")
    found = session.fetch_rows(f"""
        SELECT {source.person}, received, count(*) OVER (PARTITION BY {source.person}),
            {", ".join(shown)}
        FROM {rows} WHERE {source.person} IN ({listed})
        QUALIFY row_number() OVER (PARTITION BY {source.person} ORDER BY {newest}) <= {MAX_ROWS}
        ORDER BY {source.person}, {oldest}""")
    lines: dict[int, list[str]] = {}
    for person, received, count, *values in found:
        said = "，".join(
            f"{source.columns[name].title} {_said(source, name, value)}"
            for name, value in zip(shown, values, strict=True)
            if value is not None
        )
        own = lines.setdefault(person, [])
        if not own and count > MAX_ROWS:
            own.append(f"{source.title}：共 {count} 行，以下是最近的 {MAX_ROWS} 行")
        own.append(f"{source.title} {received}：{said}")
    return lines


def load_refused_records(
    session: Session, source: Source, folders: Sequence[Path], person: int
) -> list[Record]:
    """The person's rows in quarantine, with their reasons. A row whose ID cannot be read is nobody's."""
    files = [file for folder in folders for file in sorted(folder.glob("*.parquet"))]
    if not files:
        return []
    given = f"json_extract_string(raw, {sql_literal('$.' + source.person)})"
    rows = session.execute(
        f"""
        SELECT received, raw, reasons FROM (
            SELECT *, {national_id.normalise_sql(given)} AS text
            FROM {read_parquet_sql(*files)}
        ) WHERE {national_id.to_number_sql("text")} = ? ORDER BY received, record""",
        [person],
    ).fetchall()
    return [
        Record(
            source.title,
            str(Month.of(received)),
            _raw_values(source, raw),
            [],
            [_reason(source, r) for r in reasons],
        )
        for received, raw, reasons in rows
    ]


def has_returned_rows(session: Session, source: Source, file: Path, person: int) -> bool:
    """Return whether a file of returns has rows of a person."""
    given = f"json_extract_string(delivered, {sql_literal('$.' + source.person)})"
    rows = session.fetch_rows(
        f"""
        SELECT 1 FROM (
            SELECT {national_id.normalise_sql(given)} AS text FROM {read_parquet_sql(file)}
        ) WHERE {national_id.to_number_sql("text")} = ? LIMIT 1""",
        [person],
    )
    return bool(rows)


def list_returned_districts(session: Session, source: Source, file: Path, person: int) -> list[str]:
    """Return the districts that have rows of a person to mend by a file of returns."""
    rows = read_parquet_sql(file)
    if "district" not in session.describe(rows):  # written before rows had one
        return []
    given = f"json_extract_string(delivered, {sql_literal('$.' + source.person)})"
    found = session.fetch_rows(
        f"""
        SELECT DISTINCT district FROM (
            SELECT district, {national_id.normalise_sql(given)} AS text FROM {rows}
            WHERE district IS NOT NULL
        ) WHERE {national_id.to_number_sql("text")} = ? ORDER BY district""",
        [person],
    )
    return [district for (district,) in found]


def _with_declared_columns(session: Session, source: Source, rows: str) -> str:
    """Return clean rows with every declared column: one declared since they were cleaned is null."""
    known = session.describe(rows)
    added = [
        f"CAST(NULL AS {SQL_TYPES[column.type]}) AS {name}"
        for name, column in source.columns.items()
        if name not in known
    ]
    return f"(SELECT *, {', '.join(added)} FROM {rows})" if added else rows


def _dates(source: Source) -> list[str]:
    """Return the columns by which people look for a row: the first month, or the first date."""
    for kind in ("month", "date"):
        found = [name for name, column in source.columns.items() if column.type == kind]
        if found:
            return found[:1]
    return []


def _marked_rows(source: Source, rows: str, over_quota: Path | None) -> str:
    """The person's rows, with marks: `superseded` by a later row of the same key (whoever's that is), `decides`, `over`."""
    mine, superseded, decides, over = f"{source.person} = $person", "false", "true", "false"
    if source.delivery == "increment" and source.key:
        key = ", ".join(source.key)
        mine = f"({key}) IN (SELECT ({key}) FROM {rows} WHERE {source.person} = $person)"
        superseded = f"received < max(received) OVER (PARTITION BY {key})"
    if source.ledger:
        ledger = source.ledger
        order = f"{ledger.newest} DESC, ({equals_sql(ledger.tie)}) DESC"
        decides = f"row_number() OVER (PARTITION BY {', '.join(ledger.per)} ORDER BY {order}) = 1"
    if source.quota and over_quota and over_quota.exists():
        key = ", ".join(source.key)
        over = f"({key}) IN (SELECT ({key}) FROM {read_parquet_sql(over_quota)})"
    return f"SELECT *, {superseded} AS superseded, {decides} AS decides, {over} AS over FROM {rows} WHERE {mine}"


def _status(source: Source) -> str:
    """Why a row does not count whatever the fact; null when it does."""
    holds = equals_sql(source.ledger.holds) if source.ledger else "true"
    return f"""CASE WHEN superseded THEN '已被后来收到的同一记录取代' WHEN NOT decides THEN '已被同月更新的记录取代'
        WHEN NOT ({equals_sql(source.standing)}) THEN '已作废' WHEN NOT ({holds}) THEN '已冲销' WHEN over THEN '超出当年配额' END"""


def _counts(source: Source, fact: Fact) -> str:
    """Return whether a fact is measured over a row."""
    if fact.measure not in month_bitmaps.MEASURES:
        return filter_sql(source, fact)
    first, last = month_window(fact)
    since = f" AND {fact.of} >= {first}" if fact.within else ""
    return f"{filter_sql(source, fact)} AND {fact.of} <= {last}{since}"


def _shown(source: Source) -> list[str]:
    """The columns that are shown: no IDs, no name, no phone."""
    hidden = {source.spine.name, source.spine.phone} if source.spine else set()
    return [
        name
        for name, column in source.columns.items()
        if column.type != "id" and name not in hidden
    ]


def _record(source: Source, row: Sequence[Any], titles: Sequence[str]) -> Record:
    *values, received, status, counts = row
    values_shown = {
        source.columns[name].title: _said(source, name, value)
        for name, value in zip(_shown(source), values, strict=True)
        if value is not None
    }
    facts = (
        [] if status else [title for title, counted in zip(titles, counts, strict=False) if counted]
    )
    reasons = (
        [status] if status else [] if facts or not titles else ["不在任何一项数据的统计范围内"]
    )
    return Record(source.title, received, values_shown, facts, reasons)


def _said(source: Source, name: str, value: Any) -> str:
    column = source.columns[name]
    if column.type == "month":
        return str(Month(value))
    if isinstance(value, bool):
        return "是" if value else "否"
    if column.type == "set":
        return next(iter(column.values.get(value, [])), value)
    return (
        value.isoformat()
        if isinstance(value, dt.date)
        else str(value)
        if isinstance(value, str)
        else format_number(value)
    )


def _raw_values(source: Source, raw: str) -> dict[str, str]:
    given = json.loads(raw)
    return {
        source.columns[name].title: given[name]
        for name in _shown(source)
        if given.get(name) is not None
    }


def _reason(source: Source, reason: str) -> str:
    column, _, code = reason.partition(":")
    title = source.columns[column].title if column in source.columns else column
    return f"{title}{REASON_TEXTS.get(code, code)}"


def format_records(records: Sequence[Record]) -> Iterator[str]:
    """Records as text: one line each."""
    for record in records:
        values = "，".join(f"{title} {value}" for title, value in record.values.items())
        use = f"计入 {'、'.join(record.facts)}" if record.facts else "；".join(record.reasons)
        yield f"  {record.source} {record.received}：{values}" + (f"（{use}）" if use else "")
