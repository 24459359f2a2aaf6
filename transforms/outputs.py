"""The tables of a month, as projections of the fact table: scores, facts, identities."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from expectations.source_model import Fact, Source
from transforms.engine.parquet import PARQUET, read_parquet_sql
from transforms.engine.session import Session
from transforms.engine.sql import sql_literal
from transforms.engine.statements import Statement, run_statement
from transforms.facts.sql import public_column


def write_table(
    session: Session,
    statement: str,
    target: Path,
    values: Mapping[str, Any] | None = None,
) -> int:
    """Write one table as Parquet, in the order of its statement; return its rows."""
    target.parent.mkdir(parents=True, exist_ok=True)
    run_statement(
        session,
        Statement(target.parent.name, f"COPY ({statement}) TO {sql_literal(target)} ({PARQUET})"),
        values or {},
    )
    return int(session.scalar(f"SELECT count(*) FROM {read_parquet_sql(target)}"))


def find_table_file(revision: Path, table: str) -> Path:
    """The one file of a table of a revision (`facts`, `restricted/facts`)."""
    return revision / table / f"{Path(table).name}.parquet"


def read_with_row_number(revision: Path, table: str) -> str:
    """A table of a revision (`facts`, `restricted/facts`) with `file_row_number`: all hold the same residents in one order."""
    return read_parquet_sql(find_table_file(revision, table), file_row_number="true")


def zip_aligned(left: str, right: str, columns: Iterable[str]) -> str:
    """SELECT `columns` of two relations, `a` and `b`, that hold the same residents in the same order; after resident_key.

    Read row by row by one thread, in that order. A row whose keys differ stops the statement.
    """
    same = "CASE WHEN a.resident_key = b.resident_key THEN a.resident_key"
    return f"""SELECT {same} ELSE error('rows side by side differ in their residents') END AS resident_key,
    {", ".join(columns)}
FROM {left} AS a POSITIONAL JOIN {right} AS b"""


def list_published_columns(facts: Mapping[str, Fact]) -> dict[str, dict[str, str]]:
    """The tables that are columns of the fact table, one row per resident: name -> column there -> what it is called here.

    `facts` are pseudonymous; a department's own texts come in as codes only. `restricted/facts` are what only `explain`
    and the identified lists need; `restricted/identities` who stands behind a resident_key.
    """
    by_code = {
        name: public_column(name) if fact.unit == "points_by_key" else name
        for name, fact in facts.items()
    }
    open_ones = {by_code[name]: name for name, fact in facts.items() if not fact.restricted}
    restricted = [name for name, fact in facts.items() if fact.restricted]
    return {
        "facts": {**_same("month", "resident_key", "district"), **open_ones},
        "restricted/facts": _same("resident_key", *restricted, "corrections"),
        "restricted/identities": _same(
            "resident_key", "resident_id", "name", "phone", "district", "community"
        ),
    }


def _same(*columns: str) -> dict[str, str]:
    return {column: column for column in columns}


def count_unknown_award_codes(
    session: Session, sources: Mapping[str, Source], known: Collection[str]
) -> dict[str, int]:
    """Source of points by key -> residents' entries in `facts` under a key that is not `known`: kept, but nobody's points."""
    listed = ", ".join(map(sql_literal, sorted(known))) or "NULL"
    entries = (
        "SELECT count(*) FROM (SELECT unnest({0}).key AS key FROM facts) WHERE key NOT IN ({1})"
    )
    return {
        source.source: int(session.scalar(entries.format(name, listed)))
        for source in sources.values()
        for name, fact in source.facts.items()
        if fact.unit == "points_by_key"
    }


def list_points_columns(session: Session, relation: str) -> list[str]:
    """The points columns of a scores table, in order."""
    columns = session.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
    return [name for name, *_ in columns if name.endswith("_points")]
