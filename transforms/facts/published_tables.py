"""The published tables that are columns of the fact table: facts and identities."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from expectations.source_model import Fact, Source
from transforms.engine.session import Session
from transforms.engine.sql import sql_literal
from transforms.engine.statements import Statement
from transforms.facts.sql import public_column
from transforms.outputs import FACTS, IDENTITIES, RESTRICTED_FACTS, Output


def list_published_columns(facts: Mapping[str, Fact]) -> dict[str, dict[str, str]]:
    """Return the tables that are columns of the fact table: name -> column there -> name here.

    They are the outputs FACTS, RESTRICTED_FACTS and IDENTITIES, one row per resident. `facts` are
    pseudonymous; a department's own texts come in as codes only.
    """
    by_code = {
        name: public_column(name) if fact.unit == "points_by_key" else name
        for name, fact in facts.items()
    }
    public = {by_code[name]: name for name, fact in facts.items() if not fact.restricted}
    restricted = [name for name, fact in facts.items() if fact.restricted]
    return {
        FACTS.folder: {**_same("month", "resident_key", "district"), **public},
        RESTRICTED_FACTS.folder: _same("resident_key", *restricted, "corrections"),
        IDENTITIES.folder: _same(
            "resident_key", "resident_id", "name", "phone", "district", "community"
        ),
    }


def published_fact_statement(facts: Mapping[str, Fact], output: Output) -> Statement:
    """Return the query of an output whose columns are those of the fact table, in its order.

    Named `published_<output>`, for `facts` is the fact table that it reads.
    """
    columns = list_published_columns(facts)[output.folder]
    name = f"published_{output.folder.replace('/', '_')}"
    return Statement(name, f"SELECT {_select(columns)} FROM facts", ("facts",), "file")


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
