"""The tables of a month, as projections of the fact table: scores, facts, identities."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from expectations.source_model import Fact, Source
from transforms.engine.parquet import read_parquet_sql
from transforms.engine.session import Session
from transforms.engine.sql import sql_literal
from transforms.engine.statements import Statement
from transforms.facts.sql import public_column


def find_table_file(revision: Path, table: str) -> Path:
    """The one file of a table of a revision (`facts`, `restricted/facts`)."""
    return revision / table / f"{Path(table).name}.parquet"


def read_with_row_number(revision: Path, table: str) -> str:
    """Return SQL of a revision's table (`facts`, `restricted/facts`) with `file_row_number`.

    All tables of a revision hold the same residents in one order.
    """
    return read_parquet_sql(find_table_file(revision, table), file_row_number="true")


def list_published_columns(facts: Mapping[str, Fact]) -> dict[str, dict[str, str]]:
    """Return the tables that are columns of the fact table: name -> column there -> name here.

    They have one row per resident. `facts` are pseudonymous; a department's own texts come in as
    codes only. `restricted/facts` are what only `explain` and the identified lists need;
    `restricted/identities` who is behind a resident_key.
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


def published_fact_statements(facts: Mapping[str, Fact]) -> list[Statement]:
    """Return the queries of the tables that are columns of the fact table `facts`, in its order."""
    return [
        Statement(table, f"SELECT {_select(columns)} FROM facts", ("facts",), "file")
        for table, columns in list_published_columns(facts).items()
    ]


def _select(columns: Mapping[str, str]) -> str:
    return ", ".join(f"{column} AS {name}" for column, name in columns.items())


def _same(*columns: str) -> dict[str, str]:
    return {column: column for column in columns}


def count_unknown_award_codes(
    session: Session, facts: str, sources: Mapping[str, Source], known: Collection[str]
) -> dict[str, int]:
    """Return how many entries of residents in `facts` have a key that is not `known`, by source.

    They are kept, but nobody's points.
    """
    listed = ", ".join(map(sql_literal, sorted(known))) or "NULL"
    return {
        source.source: int(
            session.scalar(
                f"SELECT count(*) FROM (SELECT unnest({name}).key AS key FROM {facts})"
                f" WHERE key NOT IN ({listed})"
            )
        )
        for source in sources.values()
        for name, fact in source.facts.items()
        if fact.unit == "points_by_key"
    }


def list_points_columns(session: Session, relation: str) -> list[str]:
    """The points columns of a scores table, in order."""
    return [name for name in session.describe(relation) if name.endswith("_points")]
