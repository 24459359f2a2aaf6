"""Returns: what a department has to mend of a delivery, row by row, in words."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from expectations.causes import describe_wanted_form
from expectations.refusals import (
    NOTED_CODES,
    OTHER_PERSON_TEXT,
    REASON_TEXTS,
    SUPERSEDED_TEXT,
    count_values_sql,
    describe_reason,
    may_name_record,
)
from expectations.source_model import Column, Source
from transforms.clean import national_id
from transforms.engine.parquet import PARQUET, copy_sql
from transforms.engine.session import Session
from transforms.engine.sql import sql_literal

RETURNS = "returns/rows.parquet"
"""The file of returns, below the folder of a delivery's quarantined rows."""
MAX_NAMED = 200
"""So many refused rows are named at most: the others stand in the file of returns."""


@dataclass(frozen=True)
class DeliveredPart:
    """A file of a delivery: its name, and the district that delivered it if the place says so."""

    name: str
    district: str = ""


def list_delivered_parts(parts: Sequence[Path], districts: Collection[str]) -> list[DeliveredPart]:
    """Return the parts of a delivery, named below the folder that holds them all.

    File names may repeat. The district is that whose code is the name of the part or of its folder.
    """
    folder = os.path.commonpath([part.parent for part in parts])
    names = [part.relative_to(folder).as_posix() for part in parts]
    return [
        DeliveredPart(name, _find_part_district(part, districts))
        for name, part in zip(names, parts, strict=True)
    ]


def _find_part_district(part: Path, districts: Collection[str]) -> str:
    named = (part.parent.name, part.name.partition(".")[0])
    return next((name for name in named if name in districts), "")


def write_returns(
    session: Session, source: Source, parts: Sequence[DeliveredPart], target: Path
) -> None:
    """Write one row per refused row, per emptied value and per replaced row of the view `staged`.

    Columns: source, file, record, kind (refused, emptied, replaced), column (titles), reason,
    wanted (the form of such values), delivered (the row as JSON), district (of a source that
    districts deliver: who delivered the row, else whom it names; null when neither is known).

    Args:
        session: Where `staged` is.
        source: The declaration.
        parts: The parts of the delivery, in their order.
        target: The file to write.
    """
    columns = source.columns
    title = _by_column({name: column.title for name, column in columns.items()})
    form = _by_column({name: describe_wanted_form(column) for name, column in columns.items()})
    code = "split_part(note, ':', 2)"
    texts = f"map_extract_value({_map(REASON_TEXTS)}, {code})"
    reason = f"{title} || '：' || coalesce({texts}, {code})"
    files = f"[{', '.join(sql_literal(part.name) for part in parts)}]"
    district = _district_sql(source, parts)
    noted = ", ".join(map(sql_literal, set(NOTED_CODES) - {"stand_in"}))
    key = "、".join(columns[name].title for name in source.key)
    replaced = f"CASE WHEN other_person THEN '{OTHER_PERSON_TEXT}' ELSE '{SUPERSEDED_TEXT}' END"
    query = f"""
        WITH noted AS (
            SELECT part, record, 'refused' AS kind, reasons AS notes, raw, {district} AS district
            FROM staged WHERE reasons IS NOT NULL
            UNION ALL
            SELECT part, record, 'emptied', [note], raw, district
            FROM (
                SELECT part, record, raw, unnest(defects) AS note, {district} AS district
                FROM staged WHERE defects IS NOT NULL AND reasons IS NULL
            ) WHERE {code} NOT IN ({noted})
        ),
        returned AS (
            SELECT part, record, kind, {_joined(title)} AS "column", {_joined(reason)} AS reason,
                {_joined(form)} AS wanted, raw AS delivered, district
            FROM noted
            UNION ALL
            SELECT part, record, 'replaced', {sql_literal(key)}, {replaced}, '每条记录一个编号',
                {row_json_sql(source)}, {district}
            FROM staged WHERE superseded
        )
        SELECT {sql_literal(source.source)} AS source, ({files})[part + 1] AS file,
            * EXCLUDE (part)
        FROM returned ORDER BY part, record, kind, reason"""
    target.parent.mkdir()
    session.execute(copy_sql(query, target, PARQUET))


def _district_sql(source: Source, parts: Sequence[DeliveredPart]) -> str:
    """Return SQL of the district that a staged row is of, if districts deliver the source."""
    if not source.from_districts:
        return "CAST(NULL AS VARCHAR)"
    delivered = f"nullif({parts_district_sql(parts)}, '')"
    return f"coalesce({', '.join([delivered, *source.list_columns_of('district')])})"


def parts_district_sql(parts: Sequence[DeliveredPart]) -> str:
    """Return SQL of the district that delivered the part numbered `part`."""
    districts = ", ".join(sql_literal(part.district) for part in parts)
    return f"([{districts}])[part + 1]" if parts else "CAST(NULL AS VARCHAR)"


def _by_column(texts: Mapping[str, str]) -> str:
    """Return SQL of the text of the column that a `note` is about."""
    column = "split_part(note, ':', 1)"
    return f"coalesce(map_extract_value({_map(texts)}, {column}), {column})"


def _map(texts: Mapping[str, str]) -> str:
    entries = (f"{sql_literal(key)}: {sql_literal(text)}" for key, text in texts.items())
    return f"MAP {{{', '.join(entries)}}}"


def _joined(text: str) -> str:
    return f"array_to_string(list_distinct(list_transform(notes, lambda note: {text})), '；')"


def row_json_sql(source: Source) -> str:
    """Return SQL of a clean row as JSON, written as departments write values."""
    fields = (f"{name} := {_text(name, column)}" for name, column in source.columns.items())
    return f"CAST(to_json(struct_pack({', '.join(fields)})) AS VARCHAR)"


def _text(name: str, column: Column) -> str:
    if column.type == "id":
        return national_id.to_text_sql(name)
    if column.type == "month":
        return f"printf('%04d-%02d', {name} // 12, {name} % 12 + 1)"
    return name


def list_refused_cases(session: Session, source: Source) -> list[str]:
    """Return the refused rows of `staged` by number and reason, if the source wants them named.

    A number that looks like a person's is not repeated: such a row is named by its place.
    """
    if not source.bounds.name_refused:
        return []
    rows = session.fetch_rows(f"""
        SELECT json_extract_string(raw, {sql_literal("$." + source.key[0])}), record, reasons
        FROM staged WHERE reasons IS NOT NULL ORDER BY part, record LIMIT {MAX_NAMED}""")
    return [_describe_case(source, *row) for row in rows]


def _describe_case(source: Source, number: str | None, record: int, reasons: Iterable[str]) -> str:
    is_named = number and number.strip() and may_name_record(number)
    name = number.strip() if number and is_named else f"第 {record} 行"
    return f"{name}（{'、'.join(describe_reason(source, reason) for reason in reasons)}）"


def count_values(session: Session, source: Source, notes: Iterable[str]) -> dict[str, int]:
    """Return how many values each column has that notes are about, those emptied included."""
    noted = sorted({note.partition(":")[0] for note in notes})
    if not noted:
        return {}
    counts = ", ".join(count_values_sql(name) for name in noted)
    [row] = session.fetch_rows(f"SELECT {counts} FROM staged")
    return dict(zip(noted, map(int, row), strict=True))


def fingerprint_rows(session: Session, source: Source, relation: str) -> str:
    """Return what rows of a source hold, whatever their order, format and encoding.

    The engine's version and the columns stand before it: with others it says nothing.
    """
    columns = ", ".join(source.columns)
    query = f"SELECT count(*), coalesce(sum(hash({columns})), 0), version() FROM {relation}"
    [(rows, content, version)] = session.fetch_rows(query)
    return json.dumps([version, columns, int(rows), str(content)], ensure_ascii=False)


def is_same_basis(one: str, another: str) -> bool:
    """Return whether two fingerprints were computed alike, so that they can be compared."""
    return bool(one) and bool(another) and json.loads(one)[:2] == json.loads(another)[:2]
