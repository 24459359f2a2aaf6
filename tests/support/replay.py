"""A published month computed again from its folder alone: the statements in `sql/`, their inputs, the tables.

The compiler is not called: what is run is what is published. The inputs are the clean rows of the
deliveries, the reference tables, and the tables of the month before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from expectations.month import Month
from flows.pipeline.compute import list_parts
from flows.storage.revisions import find_published
from tests.support.world import World
from transforms.engine.parquet import empty_relation_sql, read_parquet_sql
from transforms.engine.reference_tables import load_reference_tables
from transforms.engine.session import Session
from transforms.engine.statements import Statement
from transforms.facts.build import MonthParams, clean_rows_statement
from transforms.outputs import ELIGIBILITY, REMINDERS, SCORES, find_table_file

GROUPS = ("facts", "points", "services", "changes", "reminders")
_CREATES = re.compile(r"CREATE OR REPLACE TEMP (TABLE|VIEW) (\w+) AS\n(.*)", re.DOTALL)
_READ_AS = {"points": "scores"}
"""The statements whose rows the others read under another name."""
PUBLISHED = {
    "published_facts": "facts/*.parquet",
    "published_restricted_facts": "restricted/facts/*.parquet",
    "published_restricted_identities": "restricted/identities/*.parquet",
    "scores": "scores/*.parquet",
    "eligibility": "eligibility/*.parquet",
    "districts": "districts/*.parquet",
    "services": "services/*.parquet",
    "thresholds": "thresholds/*.parquet",
    "families": "restricted/families/*.parquet",
    "changes": "changes/*.parquet",
    "reminders": "reminders/*.parquet",
    "withdrawn_reminders": "reminders/withdrawn/*.parquet",
    "over_quota_local_awards": "restricted/over_quota/local_awards.parquet",
}
"""The tables of a revision by the relation that is it, with their files."""


def read_statements(revision: Path) -> dict[str, list[Statement]]:
    """Return the statements of a revision by group, in the order in which they ran."""
    found: dict[str, list[Statement]] = {}
    for group in GROUPS:
        for path in sorted((revision / "sql" / group).glob("*.sql")):
            text = path.read_text(encoding="utf-8").strip().removesuffix(";")
            name = path.stem.split("_", 1)[1]
            statement = Statement(_READ_AS.get(name, name), text, form="file")
            if creates := _CREATES.fullmatch(text):
                form: Literal["table", "view"] = "view" if creates[1] == "VIEW" else "table"
                statement = Statement(creates[2], creates[3], form=form)
            found.setdefault(group, []).append(statement)
    return found


def list_published_tables(revision: Path) -> dict[str, list[Path]]:
    """Return the tables of a revision that its statements make, with their files."""
    found = {name: sorted(revision.glob(files)) for name, files in PUBLISHED.items()}
    return {name: files for name, files in found.items() if files}


def build_values(world: World, month: str) -> dict[str, dict[str, Any]]:
    """Return the parameters of a month's statements by group, with nothing known of months before.

    In facts `$month` is a number, in the others the first day.
    """
    scored = Month.parse(month)
    *former, key = world.root.keys()
    values = MonthParams(scored, key, tuple(former)).to_values()
    values |= {"revision": world.revision(month).number, "state_month": ""}
    others = {**values, "month": scored.first_day}
    return {group: values if group == "facts" else others for group in GROUPS}


def list_inputs(world: World, month: str) -> Iterator[tuple[str, str]]:
    """Yield the relations that a month's statements read and none makes: name and query."""
    scored = Month.parse(month)
    for name, source in world.project.sources.items():
        folders = sorted((world.root.path / "clean" / name).glob("received=*/d*"))
        received = {folder: Month.parse(folder.parent.name[-7:]) for folder in folders}
        first = scored if source.delivery == "snapshot" else min(received.values(), default=scored)
        used = [folder for folder in folders if first <= received[folder] <= scored]
        yield f"clean_{name}", clean_rows_statement(source, used).sql
    before = find_published(world.root, scored - 1)
    scores = find_table_file((before or world.revision(month)).path, SCORES)
    nothing = "" if before else " WHERE false"
    yield "previous_scores", f"SELECT * FROM {read_parquet_sql(scores)}{nothing}"
    parts = list_parts(before.path / ELIGIBILITY.folder) if before else []
    eligibility = read_parquet_sql(*parts) if parts else empty_relation_sql(ELIGIBILITY.columns)
    yield "eligibility_before", f"SELECT * FROM {eligibility}"
    others = [path for other, _, path in world.root.revision_folders() if other < scored]
    lists = [file for path in others for file in list_parts(path / REMINDERS.folder)]
    for name, files in (("sent", lists), ("kept", [])):
        rows = f"SELECT * FROM {empty_relation_sql(REMINDERS.columns)}"
        if files:
            rows += f" UNION ALL BY NAME SELECT * FROM {read_parquet_sql(*files)}"
        yield name, rows


def load_inputs(session: Session, world: World, month: str) -> list[str]:
    """Make a table of every input; return their names."""
    load_reference_tables(session, world.project.reference)
    made = [name for (name,) in session.fetch_rows("SELECT table_name FROM duckdb_tables()")]
    for name, sql in list_inputs(world, month):
        session.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {sql}")
        made.append(name)
    return made


def replay_month(session: Session, world: World, month: str) -> None:
    """Run the statements of a published month with DuckDB: a relation of every statement's name."""
    load_inputs(session, world, month)
    values = build_values(world, month)
    for group, statements in read_statements(world.revision(month).path).items():
        for statement in statements:
            taken = {name: values[group][name] for name in statement.params}
            session.execute(
                f"CREATE OR REPLACE TEMP TABLE {statement.name} AS {statement.sql}", taken
            )


def read_made(files: list[Path], expected: str) -> str:
    """Return the query of files that an engine has written; without rows it may write none."""
    return f"FROM {read_parquet_sql(*files)}" if files else f"FROM ({expected}) WHERE false"


def widen_integers(session: Session, query: str) -> str:
    """Return a query with whole numbers of one width: engines count in 32 bits or in 64."""
    kinds = session.describe(f"({query})")
    whole = [name for name, kind in kinds.items() if kind in ("TINYINT", "INTEGER", "BIGINT")]
    wide = ", ".join(f"CAST({name} AS BIGINT) AS {name}" for name in whole)
    return f"SELECT * REPLACE ({wide}) FROM ({query})" if whole else query


def count_differences(session: Session, one: str, other: str) -> tuple[int, int, int]:
    """Return how many rows and cells two queries compare, and how many rows only one has.

    Columns are compared by name and type, rows as a multiset.
    """
    kinds = [session.describe(f"({query})") for query in (one, other)]
    assert kinds[0] == kinds[1], kinds[0].items() ^ kinds[1].items()
    missing = f"(FROM ({one}) EXCEPT ALL FROM ({other}))"
    added = f"(FROM ({other}) EXCEPT ALL FROM ({one}))"
    [(rows, differ)] = session.fetch_rows(
        f"SELECT (SELECT count(*) FROM ({one})),"
        f" (SELECT count(*) FROM ({missing} UNION ALL {added}))"
    )
    return rows, rows * len(kinds[0]), differ
