"""The second half of a month: facts, points and changes, each made once in the build folder."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flows import publish as publishing
from flows.house import city_version
from flows.receiving import cleaning_job
from flows.run import Run
from transforms import month_tables
from transforms.engine import quoted
from transforms.make_facts import make_facts
from transforms.policy.columns import score_lines
from transforms.policy.compile import points_sql


def facts(run: Run) -> dict[str, Any]:
    """The fact table, and what is published of it."""
    return run.making.step("facts", lambda: _facts(run))


def _facts(run: Run) -> dict[str, Any]:
    revision, house = run.making.revision, run.house
    folders = {
        name: [cleaning_job(house, delivery).folder(run.root.path, "clean") for delivery in served.deliveries]
        for name, served in run.served.items()
    }
    city, districts = city_version(house.in_force(run.month))
    targets = {line.target for line in score_lines(city, districts)}
    with run.engine() as connection:
        made = make_facts(
            connection, house.sources, folders, house.reference, targets, run.month, run.key,
            run.making.wide, revision / "restricted" / "over_quota", run.tell,
        )  # fmt: skip
        connection.execute(f"CREATE TEMP VIEW facts AS FROM read_parquet({quoted(run.making.wide)})")
        month = {"month": run.month.first_day}
        write = month_tables.write_table
        write(connection, month_tables.facts_statement(house.facts), revision / "facts" / "facts.parquet", month)
        write(
            connection,
            month_tables.identities_statement(),
            revision / "restricted" / "identities" / "identities.parquet",
        )
        write(
            connection,
            month_tables.restricted_statement(house.facts),
            revision / "restricted" / "facts" / "facts.parquet",
        )
    write_sql(revision, "facts", [(step.name, step.sql) for step in made.statements])
    return {
        "residents": made.residents,
        "unmatched": made.unmatched,
        "over_quota": made.over_quota,
        "corrected": sorted(made.corrected.indicators),
        "corrections_without_target": made.corrected.without_target,
    }


def points(run: Run) -> dict[str, Any]:
    """Points of everyone: one statement over the fact table."""
    return run.making.step("points", lambda: _points(run))


def _points(run: Run) -> dict[str, Any]:
    city, districts = city_version(run.house.in_force(run.month))
    corrected = run.making.done()["facts"]["corrected"]
    statement = points_sql(city, districts, run.house.facts, corrected=corrected)
    target = run.making.revision / "scores" / "scores.parquet"
    with run.engine() as connection:
        connection.execute(f"CREATE TEMP VIEW facts AS FROM read_parquet({quoted(run.making.wide)})")
        rows = month_tables.write_table(
            connection, statement, target, {"month": run.month.first_day, "as_of": run.month.last_day}
        )
    write_sql(run.making.revision, "points", [("points", statement)])
    return {"scored": rows}


def changes(run: Run) -> dict[str, Any]:
    """What changed against the month before as published."""
    return run.making.step("changes", lambda: _changes(run))


def _changes(run: Run) -> dict[str, Any]:
    before = publishing.published(run.root, run.month - 1)
    target = run.making.revision / "changes" / "changes.parquet"
    with run.engine() as connection:
        now = run.making.revision / "scores" / "scores.parquet"
        connection.execute(f"CREATE TEMP VIEW scores AS FROM read_parquet({quoted(now)})")
        earlier = sorted((before.path / "scores").glob("*.parquet")) if before else []
        rows = month_tables.write_table(
            connection, month_tables.changes_statement(connection, earlier, run.month), target
        )
    return {"changes": rows, "compared_with": f"{before.month}/r{before.number}" if before else None}


def write_sql(revision: Path, group: str, statements: Sequence[tuple[str, str]]) -> None:
    """Keep the statements that made the month beside it, one file each, numbered in the order they ran."""
    folder = revision / "sql" / group
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for number, (name, sql) in enumerate(statements, 1):
        (folder / f"{number:02d}_{name}.sql").write_text(sql.strip() + ";\n", encoding="utf-8")
