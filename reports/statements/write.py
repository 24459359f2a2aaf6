"""Write the statements of a month: a file of rows per district, and the words beside them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reports.statements.model import StatementTexts
from reports.statements.rows_sql import (
    CHILDREN_TYPE,
    CODE,
    OBJECTIONS_TYPE,
    StatementCompiler,
    facts_of_district,
)
from transforms.engine.parquet import read_folder_sql, read_parquet_sql
from transforms.engine.session import Session, map_concurrently
from transforms.engine.sql import enum_type, sql_literal
from transforms.engine.statements import Statement
from transforms.outputs import ELIGIBILITY, FAMILIES, find_table_file

TEXTS, EXAMPLES = "texts.json", "examples.jsonl"
NO_RANKS = "(SELECT '' AS resident_key, '' AS service, '' AS rank_class, 0 AS rank WHERE false)"
NO_CHILDREN = (
    f"(SELECT '' AS resident_key, UNNEST(CAST([] AS {CHILDREN_TYPE}), max_depth := 2) WHERE false)"
)
NO_OBJECTIONS = f"(SELECT '' AS resident_id, CAST([] AS {OBJECTIONS_TYPE}) AS cases WHERE false)"


@dataclass(frozen=True)
class StatementInputs:
    """What statements are made of.

    Attributes:
        fact_table: The fact table as SQL, by district and resident_key.
        changes: The folder of the month's changes.
        objections: The relation of open objections as SQL: resident_id, cases.
        values: The parameters $month, $as_of, $revision.
        ranks: The relation of ranks as SQL (`ranks_of_folder`).
        children: That of children in services of children (`child_lines_of_revision`).
    """

    fact_table: str
    changes: Path
    values: Mapping[str, Any] = field(default_factory=dict)
    objections: str = NO_OBJECTIONS
    ranks: str = NO_RANKS
    children: str = NO_CHILDREN


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
        "ranks": inputs.ranks,
        "child_lines": inputs.children,
    }


def ranks_of_folder(eligibility: Path) -> str:
    """Return the relation of ranks of a month's eligibility, as SQL."""
    rows = read_folder_sql(eligibility)
    ranked = f"SELECT * FROM {rows} WHERE rank IS NOT NULL"
    return f"(SELECT resident_key, service, rank_class, rank, district FROM ({ranked}))"


def child_lines_of_revision(revision: Path) -> str:
    """Return the relation of children in services of children, one row per guardian, as SQL."""
    families = read_parquet_sql(find_table_file(revision, FAMILIES))
    eligibility = read_folder_sql(revision / ELIGIBILITY.folder)
    return f"""(
    SELECT mine.guardian_key AS resident_key, mine.service AS code, mine.born_on, mine.level,
        child.district AS district, child.eligible AS reached, child.score, child.points_short, child.monthly_amount,
        family.guardians, mine.counted, child.rank_class, child.rank
    FROM (
        SELECT service, child_key, guardian_key, MIN(child_born_on) AS born_on,
            MIN(child_level) AS level,
            COALESCE(LIST_SORT(LIST(part) FILTER (WHERE counted)), []) AS counted
        FROM {families} GROUP BY service, child_key, guardian_key
    ) AS mine
    JOIN (
        SELECT service, child_key, CAST(COUNT(DISTINCT guardian_key) AS INTEGER) AS guardians
        FROM {families} GROUP BY service, child_key
    ) AS family ON family.service = mine.service AND family.child_key = mine.child_key
    JOIN (SELECT * FROM {eligibility}) AS child
        ON child.service = mine.service AND child.resident_key = mine.child_key
)"""


def write_texts(texts: StatementTexts, folder: Path) -> None:
    """Write `texts.json`."""
    text = json.dumps(texts.model_dump(mode="json", by_alias=True), ensure_ascii=False, indent=1)
    (folder / TEXTS).write_text(text + "\n", encoding="utf-8")
