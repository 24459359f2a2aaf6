"""The second half of a month: facts, points, services, lists; each made once in the build folder."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb

from flows import onward
from flows import publish as publishing
from flows.house import House, city_version
from flows.receiving import cleaning_job
from flows.root import fingerprint, fresh_folder
from flows.run import Run
from reports.district_lists import Policy
from reports.exports import District, write_exports
from transforms import month_tables
from transforms.changes import write_changes
from transforms.column_copy import copy_columns
from transforms.engine import parquet, parquet_in, two_at_once
from transforms.make_facts import load_reference_tables, make_facts
from transforms.overflow import overflow_told
from transforms.policy.columns import score_lines
from transforms.policy.compile import points_sql
from transforms.services.compile import eligibility_sql, scored_sql
from transforms.services.reminders import Declared, Published, tells, write_reminders


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
    with run.engine() as connection, onward.handing_on(run) as folder:
        made = make_facts(
            connection, house.sources, folders, house.reference, targets, run.month, run.key,
            fresh_folder(run.making.wide), revision / "restricted" / "over_quota", lambda what: run.tell(f"指标数据：{what}"),
            before=onward.handed_on(run), onward=folder, identities=_identities_before(run),
        )  # fmt: skip
        connection.execute(f"CREATE TEMP VIEW facts AS FROM {parquet_in(run.making.wide)}")
        unknown = month_tables.unknown_keys(connection, house.sources, house.district_indicators())
    for table, columns in month_tables.published_columns(house.facts).items():
        copy_columns(_parts(run.making.wide), month_tables.table_file(revision, table), columns)
    write_sql(revision, "facts", [(step.name, step.sql) for step in made.statements])
    return {
        "residents": made.residents,
        "unmatched": made.unmatched,
        "over_quota": made.over_quota,
        "unknown_keys": unknown,
        "corrected": sorted(made.corrected.indicators),
        "corrections_without_target": made.corrected.without_target,
    }


def _identities_before(run: Run) -> Path | None:
    """The identities published with the month before, if they are with this key, and what they were."""
    before = publishing.published(run.root, run.month - 1)
    if before is None or before.manifest["key_fingerprint"] != fingerprint(run.key):
        return None
    path = month_tables.table_file(before.path, "restricted/identities")
    known = before.manifest["files"].get(path.relative_to(before.path).as_posix())
    return path if publishing.describe(path) == known else None


def points(run: Run) -> dict[str, Any]:
    """Points of everyone: one statement over the fact table."""
    return run.making.step("points", lambda: _points(run))


def _points(run: Run) -> dict[str, Any]:
    city, districts = city_version(run.house.in_force(run.month))
    corrected = run.making.done()["facts"]["corrected"]
    statement = points_sql(city, districts, run.house.facts, corrected=corrected)
    target = month_tables.table_file(run.making.revision, "scores")
    with run.engine() as connection:
        connection.execute(f"CREATE TEMP VIEW facts AS FROM {parquet_in(run.making.wide)}")
        with overflow_told(connection, run.house.facts, ["facts"]):
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
    revision = run.making.revision
    owners = {line.column: line.authority for line in score_lines(*city_version(run.house.in_force(run.month)))}
    with run.engine() as connection:
        made = write_changes(
            connection, revision, before.path if before else None, run.month, owners, revision / "changes"
        )
    compared = f"{before.month}/r{before.number}" if before else None
    return {"changes": made.items, "moved": made.moved, "compared_with": compared}


def services(run: Run) -> dict[str, Any]:
    """Who qualifies for what, and who lacks nothing but points."""
    return run.making.step("services", lambda: _services(run))


def _services(run: Run) -> dict[str, Any]:
    statement = eligibility_sql(run.house.services_in_force(run.month), run.house.names(run.month))
    folder = run.making.revision / "eligibility"
    values = {"month": run.month.first_day, "as_of": run.month.last_day}

    def write(own: duckdb.DuckDBPyConnection, district: str) -> None:
        own.execute(f"CREATE TEMP VIEW scored AS {scored_sql(run.house.in_force(run.month), district)}")
        month_tables.write_table(own, statement, folder / f"{district}.parquet", values)

    with run.engine() as connection:
        _view_facts_and_scores(connection, run)
        two_at_once(connection, run.house.reference.districts, write)
        rows = connection.execute(f"""
            SELECT service, count(*) FILTER (WHERE eligible), coalesce(sum(monthly_amount) FILTER (WHERE eligible), 0)
            FROM {parquet_in(folder)} GROUP BY service ORDER BY service""").fetchall()
    write_sql(run.making.revision, "services", [("eligibility", statement)])
    return {
        "eligible": {code: count for code, count, _ in rows},
        "monthly_amounts": {c: str(a) for c, _, a in rows if a},
    }


def reminders(run: Run) -> dict[str, Any]:
    """The month's reminder list."""
    return run.making.step("reminders", lambda: _reminders(run))


def _reminders(run: Run) -> dict[str, Any]:
    house, made = run.house, publishing.revisions(run.root, run.month)
    told = tells(run.month, publishing.published_months(run.root), last=run.last, send=run.send)
    before = publishing.published(run.root, run.month - 1)
    others = [path for month, _, path in run.root.revision_folders() if month != run.month]
    published = Published(
        eligibility_before=_parts(before.path / "eligibility") if before else [],
        told=[file for path in others for file in _parts(path / "reminders")],
        kept=_parts(made[-1].path / "reminders") if made else [],
    )
    open_services = [service for service in house.services if service.in_force(run.month.last_day)]
    declared = Declared(open_services, house.reminders, house.facts, house.reference.districts)
    with run.engine() as connection:
        load_reference_tables(connection, house.reference)
        _view_facts_and_scores(connection, run)
        connection.execute(f"CREATE VIEW scored AS {scored_sql(house.in_force(run.month))}")
        listed = write_reminders(
            connection, declared, _parts(run.making.revision / "eligibility"), published, month=run.month,
            revision=publishing.next_number(run.root, run.month), key=run.key, tell=told,
            target=run.making.revision / "reminders" / "reminders.parquet",
        )  # fmt: skip
    write_sql(run.making.revision, "reminders", [(step.name, step.sql) for step in listed.statements])
    return {"told": told, "reminders": listed.listed, "reminders_added": listed.added}


def exports(run: Run) -> dict[str, Any]:
    """Each district's package."""
    return run.making.step("exports", lambda: _exports(run))


def _exports(run: Run) -> dict[str, Any]:
    house = run.house
    compared = run.making.done()["changes"]
    city, versions = city_version(house.in_force(run.month))
    policy = Policy(
        city, versions, {service.service: service.title for service in house.services}, house.reminder_titles()
    )
    with run.engine() as connection:
        counts = write_exports(
            connection, run.making.revision, package_districts(house), policy, run.month,
            moved=compared["moved"] if compared["compared_with"] else None,
            number=publishing.next_number(run.root, run.month), require_encryption=house.settings.exports.require_encryption,
            tell=lambda code: run.tell(f"区县导出：{house.reference.districts[code]}"),
        )  # fmt: skip
    return {"exports": counts}


def package_districts(house: House) -> list[District]:
    """Everyone who gets a package."""
    return [District(code, name, recipient) for code, name, _, recipient in house.reference.rows["districts"]]


def _view_facts_and_scores(connection: duckdb.DuckDBPyConnection, run: Run) -> None:
    """The views `facts` and `scores` of the same residents in the same order."""
    scores = run.making.revision / "scores" / "scores.parquet"
    connection.execute(f"CREATE VIEW facts AS FROM {parquet_in(run.making.wide)}")
    connection.execute(f"CREATE VIEW scores AS FROM {parquet(scores)}")


def _parts(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.parquet"))


def write_sql(revision: Path, group: str, statements: Sequence[tuple[str, str]]) -> None:
    """Keep the statements that made the month beside it, one file each, numbered in the order they ran."""
    folder = revision / "sql" / group
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for number, (name, sql) in enumerate(statements, 1):
        (folder / f"{number:02d}_{name}.sql").write_text(sql.strip() + ";\n", encoding="utf-8")
