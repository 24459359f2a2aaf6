"""`jifen explain`: one person found in a published month by their ID, explained, and noted in the access log."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import duckdb

from expectations.declarations import HOUSE_SOURCES, load_sources, spine
from expectations.month import Month
from expectations.problems import ExitCode, JifenError
from expectations.reference import load_reference
from expectations.source import Source
from flows.publish import Revision, published, published_months
from flows.root import Root, open_root
from flows.settings import Settings
from reports.explain import explain, find_row
from reports.explain_text import as_data, as_lines
from reports.records import Record, person_records, record_lines, refused_records
from reports.rules import Rules
from transforms.clean import identity
from transforms.engine import open_engine
from transforms.policy.load import load_tables
from transforms.policy.words import names_of
from transforms.services.load import load_services


def explain_person(
    settings: Settings, given: str, month: Month | None, tell: Callable[[str], None], *, as_json: bool, records: bool
) -> None:
    """Tell why a person has the points they have in a month (default: the newest published), or why they have none.

    `given`: their ID, written as departments write it. JifenError 2: no ID, or the month is not published.
    """
    root = open_root(settings)
    revision = chosen_revision(root, month)
    sources = declared_sources(settings)
    with open_engine(settings.engine_settings, root.tmp / "spill") as connection:
        person, resident_id = read_id(connection, given, revision.month)
        resident_key = hmac.new(root.key(), resident_id.encode(), hashlib.sha256).hexdigest()[:32]
        root.access_log(
            "explain", resident_key=resident_key, month=str(revision.month), records="yes" if records else "no"
        )
        row = find_row(connection, revision.path, resident_key)
        data, lines = _answer(connection, sources, revision, row, root, person)
        if records:
            data["records"], more = _records(connection, root, sources, revision, person)
            lines += more
    if as_json:
        tell(json.dumps(data, ensure_ascii=False, indent=1))
    else:
        for line in lines:
            tell(line)


def chosen_revision(root: Root, month: Month | None) -> Revision:
    """The revision in force of a month, by default of the newest one. Error: exit 2, not published."""
    months = published_months(root)
    if not months:
        raise JifenError(ExitCode.USAGE, "还没有发布任何月份", where=str(root.path), todo="先运行 jifen run")
    revision = published(root, month or months[-1])
    if revision is None:
        raise JifenError(ExitCode.USAGE, f"{month} 没有发布", todo=f"已发布：{'、'.join(map(str, months))}")
    return revision


def declared_sources(settings: Settings) -> dict[str, Source]:
    """The sources' declarations: facts and what they are called."""
    own = settings.paths.policy / "sources"
    return load_sources(own if own.is_dir() else HOUSE_SOURCES)


def read_id(connection: duckdb.DuckDBPyConnection, given: str, month: Month) -> tuple[int, str]:
    """The person's number and normalised 18-character ID, by the rules of the cleaning. Error: exit 2, which never quotes it."""
    text, number = identity.normalised("given"), identity.number("text")
    person, resident_id, sound = connection.execute(
        f"""
        SELECT person, {identity.id_text("person")}, {identity.is_sound("text", "person", month.last_day)}
        FROM (SELECT *, {number} AS person FROM (SELECT {text} AS text FROM (SELECT CAST(? AS VARCHAR) AS given)))""",
        [given],
    ).fetchall()[0]
    if person is None or not sound:
        raise JifenError(ExitCode.USAGE, "公民身份号码不合规则（位数、出生日期或校验码）", todo="核对号码后再查")
    return int(person), str(resident_id)


def rules_of(revision: Revision, sources: Mapping[str, Source]) -> Rules:
    """The points tables and services that scored a revision, from the copies that are published with it."""
    policy = revision.path / "policy"
    names = names_of(sources)
    districts = load_reference(policy / "reference").districts
    tables = {table.authority: table for table in load_tables(policy / "points", names.facts, districts)}
    folder = policy / "services"  # not there in months that were published before there were services
    services = load_services(folder, names.facts, tables, districts) if folder.is_dir() else []
    return Rules(revision.month.last_day, tables, services, names, districts)


def clean_folders(kind: Path, revision: Revision) -> dict[str, list[Path]]:
    """Per source the folders of the deliveries that a revision used, of one kind (the root's clean or quarantine)."""
    folders: dict[str, list[Path]] = {}
    for used in revision.manifest["deliveries"]:
        folder = kind / used["source"] / f"received={used['month']}" / f"d{used['number']}"
        folders.setdefault(used["source"], []).append(folder)
    return folders


def _answer(
    connection: duckdb.DuckDBPyConnection,
    sources: Mapping[str, Source],
    revision: Revision,
    row: int | None,
    root: Root,
    person: int,
) -> tuple[dict[str, Any], list[str]]:
    """The answer as data and as lines: an explanation, or why there is none."""
    month = {"month": str(revision.month), "revision": revision.number, "as_of": str(revision.month.last_day)}
    told = f"{revision.month} 第 {revision.number} 版"
    if row is None:
        why = why_not_scored(connection, spine(sources), root, revision, person)
        return {**month, "scored": False, "why": why}, [f"{told}：没有此人的积分。{why}"]
    found = explain(connection, rules_of(revision, sources), revision.path, revision.manifest, row)
    return {**month, "scored": True, **as_data(found)}, list(as_lines(found, told))


def why_not_scored(
    connection: duckdb.DuckDBPyConnection, registry: Source, root: Root, revision: Revision, person: int
) -> str:
    """Why a person has no row: another status in the registry, refused with reasons, or unknown to it."""
    assert registry.spine
    known = person_records(
        connection, registry, clean_folders(root.clean, revision).get(registry.source, []), person, revision.month
    )
    for record in known:
        statuses = [record.values.get(registry.columns[column].title, "") for column in registry.spine.where]
        return f"{registry.title}中的状态为：{'、'.join(statuses)}（{record.received} 的数据）"
    refused = refused_records(
        connection, registry, clean_folders(root.quarantine, revision).get(registry.source, []), person
    )
    if refused:
        reasons = dict.fromkeys(reason for record in refused for reason in record.reasons)
        return f"{registry.title}中的记录被退回：{'、'.join(reasons)}（{refused[-1].received} 的数据）"
    return f"{registry.title}中没有此人"


def _records(
    connection: duckdb.DuckDBPyConnection,
    root: Root,
    sources: Mapping[str, Source],
    revision: Revision,
    person: int,
) -> tuple[list[dict[str, Any]], list[str]]:
    """The person's rows of every source as data and as lines: clean ones with what they count in, then refused ones."""
    from transforms.make_facts import load_reference_tables

    load_reference_tables(connection, load_reference(revision.path / "policy" / "reference"))
    clean, quarantine = clean_folders(root.clean, revision), clean_folders(root.quarantine, revision)
    kept: list[Record] = []
    refused: list[Record] = []
    for name, source in sources.items():
        over_quota = revision.path / "restricted" / "over_quota" / f"{name}.parquet"
        kept += person_records(connection, source, clean.get(name, []), person, revision.month, over_quota)
        refused += refused_records(connection, source, quarantine.get(name, []), person)
    lines = ["", f"数据依据（{len(kept)} 条）：", *record_lines(kept)]
    lines += ["", f"被退回的数据（{len(refused)} 条）：", *record_lines(refused)] if refused else []
    told = [{**asdict(record), "refused": record in refused} for record in (*kept, *refused)]
    return told, lines
