"""`jifen explain`: one person found in a published month by their ID, explained, and logged."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from expectations.reference_tables import load_reference
from expectations.source_loader import find_spine
from expectations.source_model import Source
from flows.commands.lookup import Person, PersonQuery, find_person, log_lookup, require_purpose
from flows.project import load_declared_sources
from flows.settings import Settings
from flows.storage.removals import load_removals, require_identified
from flows.storage.revisions import (
    Revision,
    find_clean_folders,
    find_named_revision,
)
from flows.storage.root import Root, open_root
from reports.explain.compute import explain_row
from reports.explain.records import (
    InputRows,
    Record,
    format_records,
    load_person_records,
    load_refused_records,
)
from reports.explain.text import describe_forecasts, format_lines, to_json_data
from reports.published_rules import load_published_rules
from reports.statements.forecast import forecast_services
from reports.statements.read import (
    PublishedStatement,
    RevisionFiles,
    compute_statement,
    find_own_statement,
    find_person_row,
    read_statement,
)
from transforms.engine.session import Session, open_engine
from transforms.outputs import SCORES, find_table_file


def explain_person(
    settings: Settings,
    query: PersonQuery,
    report_progress: Callable[[str], None],
    *,
    as_json: bool,
    records: bool,
) -> None:
    """Report why a person has the points they have in a month, or why they have none.

    Args:
        settings: The settings of the project.
        query: Who, in which month, and why it is asked.
        report_progress: Takes each line of the answer.
        as_json: Whether the answer is JSON instead of lines.
        records: Whether the rows behind the facts are listed, too.

    Raises:
        JifenError: Exit 2, what is given is no ID, the month is not published, or the operator may
            not ask.
    """
    root = open_root(settings)
    require_purpose(settings, root, query.reason)
    revision = find_named_revision(root, query.month)
    require_identified(root, root.key(), revision)
    sources = load_declared_sources(settings)
    with open_engine(settings.engine_settings, root.tmp / "spill") as session:
        found = find_person(session, root, query, revision.month)
        listed = "yes" if records else "no"
        log_lookup(root, "explain", found, query, month=str(revision.month), records=listed)
        person = found.number
        statement = find_statement(session, sources, revision, found)
        data, lines = _answer(session, sources, revision, statement, root, person)
        if records:
            data["records"], more = _records(session, root, sources, revision, person)
            lines += more
        elif refused := _count_refused(session, root, sources, revision, person):
            data["refused_records"] = refused
            lines.append(f"另有 {refused} 条记录被退回，未计入；加 --records 查看")
        if removal := load_removals(root, root.key()).find_of_inputs(revision):
            data["removed"] = f"部分依据数据{removal.describe()}"
            lines.append(f"{data['removed']}：不再列出，也不推算何时达标")
    if as_json:
        report_progress(json.dumps(data, ensure_ascii=False, indent=1))
    else:
        for line in lines:
            report_progress(line)


def _answer(
    session: Session,
    sources: Mapping[str, Source],
    revision: Revision,
    found_statement: FoundStatement | None,
    root: Root,
    person: int,
) -> tuple[dict[str, Any], list[str]]:
    """The answer as data and as lines: an explanation, or why there is none."""
    month = {
        "month": str(revision.month),
        "revision": revision.number,
        "as_of": str(revision.month.last_day),
    }
    revision_title = f"{revision.month} 修订版 r{revision.number}"
    if found_statement is None:
        why = explain_not_scored(session, find_spine(sources), root, revision, person)
        return {**month, "scored": False, "why": why}, [f"{revision_title}：没有此人的积分。{why}"]
    statement = found_statement.statement
    found = explain_row(statement.row, statement.texts, statement.scores)
    forecasts = load_forecasts(session, sources, root, revision, found_statement)
    said = describe_forecasts(forecasts, statement.row, statement.texts)
    lines = format_lines(found, statement.row, statement.texts, said)
    return {**month, "scored": True, **to_json_data(found), "months_to": forecasts}, lines


def load_forecasts(
    session: Session,
    sources: Mapping[str, Source],
    root: Root,
    revision: Revision,
    found: FoundStatement,
) -> dict[str, int | None]:
    """Return after how many months each service is reached that only lacks points.

    Empty where a revision's texts do not say it, as an older program published them; and once
    deliveries that it was made from, or its pseudonymous tables, are removed.
    """
    place, statement = found.place, found.statement
    lacking = any(not one.unmet and not one.reached for one in statement.row.services)
    if place is None or not lacking or "forecast" not in statement.texts.sentences:
        return {}
    if load_removals(root, root.key()).find_of_inputs(revision):
        return {}
    rules = load_published_rules(revision.path / "policy", revision.month.last_day, sources)
    files = RevisionFiles(revision.path, revision.number, None)
    clean = find_clean_folders(root.clean, revision)
    return forecast_services(session, files, place, rules, sources, clean)


@dataclass(frozen=True)
class FoundStatement:
    """A person's statement, and their row in the tables of the revision.

    Attributes:
        statement: The statement.
        place: The number of the row; None where the tables were removed with an older key.
    """

    statement: PublishedStatement
    place: int | None


def find_statement(
    session: Session, sources: Mapping[str, Source], revision: Revision, person: Person
) -> FoundStatement | None:
    """Return the statement of a person in a revision, with its words; None if not scored."""
    files = RevisionFiles(revision.path, revision.number, revision.manifest.compared_with)
    if not find_table_file(revision.path, SCORES).exists():
        own = find_own_statement(session, files, person.resident_id)
        return FoundStatement(own, None) if own else None
    place = find_person_row(session, revision.path, person.key_in(revision))
    if place is None:
        return None
    return FoundStatement(load_statement(session, sources, revision, place), place)


def load_statement(
    session: Session, sources: Mapping[str, Source], revision: Revision, place: int
) -> PublishedStatement:
    """Return the statement of the person in a row of a revision, with its words.

    Of a revision that an older program published without statements it is computed now.
    """
    compared_with = revision.manifest.compared_with
    files = RevisionFiles(revision.path, revision.number, compared_with)
    found = read_statement(session, files, place)
    if found is not None:
        return found
    rules = load_published_rules(revision.path / "policy", revision.month.last_day, sources)
    return compute_statement(session, files, place, rules, sources)


def explain_not_scored(
    session: Session,
    registry: Source,
    root: Root,
    revision: Revision,
    person: int,
) -> str:
    """Return why a person has no row: another status, refused with reasons, or unknown."""
    assert registry.spine
    folders = find_clean_folders(root.clean, revision).get(registry.source, [])
    if not all(folder.is_dir() for folder in folders):
        return f"{registry.title}的数据已按规定清理，不能说明原因"
    known = load_person_records(session, InputRows(registry, folders), person, revision.month)
    for record in known:
        statuses = [
            record.values.get(registry.columns[column].title, "") for column in registry.spine.where
        ]
        return f"{registry.title}中的状态为：{'、'.join(statuses)}（{record.received} 的数据）"
    refused = load_refused_records(
        session,
        registry,
        find_clean_folders(root.quarantine, revision).get(registry.source, []),
        person,
    )
    if refused:
        reasons = dict.fromkeys(reason for record in refused for reason in record.reasons)
        return (
            f"{registry.title}中的记录被退回：{'、'.join(reasons)}（{refused[-1].received} 的数据）"
        )
    return f"{registry.title}中没有此人"


def _count_refused(
    session: Session,
    root: Root,
    sources: Mapping[str, Source],
    revision: Revision,
    person: int,
) -> int:
    """Return how many rows of the person stand in quarantine."""
    folders = find_clean_folders(root.quarantine, revision)
    return sum(
        len(load_refused_records(session, source, folders.get(name, []), person))
        for name, source in sources.items()
    )


def _records(
    session: Session,
    root: Root,
    sources: Mapping[str, Source],
    revision: Revision,
    person: int,
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the person's rows of every source as data and as lines.

    Clean rows come first, with what they count in; then those refused.
    """
    from transforms.engine.reference_tables import load_reference_tables

    load_reference_tables(session, load_reference(revision.path / "policy" / "reference"))
    clean, quarantine = (
        {
            name: [folder for folder in folders if folder.is_dir()]
            for name, folders in find_clean_folders(kind, revision).items()
        }
        for kind in (root.clean, root.quarantine)
    )
    kept: list[Record] = []
    refused: list[Record] = []
    for name, source in sources.items():
        over_quota = revision.path / "restricted" / "over_quota" / f"{name}.parquet"
        inputs = InputRows(source, clean.get(name, []), over_quota)
        kept += load_person_records(session, inputs, person, revision.month)
        refused += load_refused_records(session, source, quarantine.get(name, []), person)
    lines = ["", f"依据数据（{len(kept)} 条）：", *format_records(kept)]
    lines += (
        ["", f"被退回的数据（{len(refused)} 条）：", *format_records(refused)] if refused else []
    )
    data = [{**asdict(record), "refused": record in refused} for record in (*kept, *refused)]
    return data, lines
