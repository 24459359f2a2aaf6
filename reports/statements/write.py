"""Write the statements of a month: a file of rows per district, and the words beside them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reports.statements.model import StatementTexts
from reports.statements.rows_sql import (
    CODE,
    OBJECTIONS_TYPE,
    StatementCompiler,
    facts_of_district,
)
from transforms.engine.parquet import read_folder_sql, read_parquet_sql
from transforms.engine.session import Session, map_concurrently
from transforms.engine.sql import enum_type, sql_literal
from transforms.engine.statements import Statement

TEXTS, EXAMPLES = "texts.json", "examples.jsonl"
NO_OBJECTIONS = f"(SELECT '' AS resident_id, CAST([] AS {OBJECTIONS_TYPE}) AS cases WHERE false)"


@dataclass(frozen=True)
class StatementInputs:
    """What statements are made of.

    Attributes:
        fact_table: The fact table as SQL, by district and resident_key.
        changes: The folder of the month's changes.
        objections: The relation of open objections as SQL: resident_id, cases.
        values: The parameters $month, $as_of, $revision.
    """

    fact_table: str
    changes: Path
    values: Mapping[str, Any] = field(default_factory=dict)
    objections: str = NO_OBJECTIONS


def write_statements(
    session: Session,
    compiler: StatementCompiler,
    inputs: StatementInputs,
    districts: Sequence[str],
    folder: Path,
) -> tuple[int, list[Statement]]:
    """Write `<district>.parquet` for every district, sorted as the fact table.

    Returns:
        The rows written, and the statements by which.
    """
    inhabited = {
        district
        for (district,) in session.fetch_rows(f"SELECT DISTINCT district FROM {inputs.fact_table}")
    }
    # Every district has a file: one without residents that of another's columns.
    first = next((code for code in districts if code in inhabited), districts[0])
    made = [code for code in districts if code in inhabited or code == first]
    create_code_type(session, compiler, districts)
    statements = {code: compiler.compile_district(code) for code in made}

    def write(own: Session, district: str) -> int:
        with own.keep_join_order():
            return own.write(
                statements[district],
                folder / f"{district}.parquet",
                inputs.values,
                make_relations(inputs, district),
            )

    rows = map_concurrently(session, made, write)
    empty = Statement("statements", "SELECT * FROM other WHERE false", ("other",), "file")
    for district in [code for code in districts if code not in made]:
        other = read_parquet_sql(folder / f"{first}.parquet")
        session.write(empty, folder / f"{district}.parquet", None, {"other": other})
    return sum(rows), [statements[first]]


def create_code_type(
    session: Session, compiler: StatementCompiler, districts: Sequence[str]
) -> None:
    """Make the type of codes: they are moved as small numbers, and written as texts.

    Every row of a file has the same codes in the same order, so that the bytes do not depend on
    which thread came first.
    """
    codes = dict.fromkeys(code for one in districts for code in compiler.list_codes(one))
    session.execute(f"DROP TYPE IF EXISTS {CODE}; CREATE TYPE {CODE} AS {enum_type(codes)}")


def make_relations(inputs: StatementInputs, district: str) -> dict[str, str]:
    """Return the relations that a district's statement reads, as SQL."""
    changes = f"{read_folder_sql(inputs.changes)} WHERE district = {sql_literal(district)}"
    return {
        "facts": facts_of_district(inputs.fact_table, district),
        "changes": f"(SELECT * FROM {changes})",
        "open_objections": inputs.objections,
    }


def write_texts(texts: StatementTexts, folder: Path) -> None:
    """Write `texts.json`."""
    text = json.dumps(texts.model_dump(mode="json", by_alias=True), ensure_ascii=False, indent=1)
    (folder / TEXTS).write_text(text + "\n", encoding="utf-8")
