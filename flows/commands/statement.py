"""`jifen statement`: one person's statement as a page to print or hand over, and logged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from expectations.errors import ExitCode, JifenError, to_user_error
from expectations.source_loader import find_spine
from flows.commands.explain import explain_not_scored, find_statement, load_forecasts
from flows.commands.lookup import PersonQuery, find_person, log_lookup, require_purpose
from flows.project import load_declared_sources
from flows.settings import Settings
from flows.storage.removals import require_identified
from flows.storage.revisions import find_named_revision
from flows.storage.root import open_root
from reports.explain.companion import PersonReminder
from reports.explain.page import render_statement_page
from transforms.engine.parquet import read_parquet_sql
from transforms.engine.session import Session, open_engine
from transforms.outputs import REMINDERS, find_table_file


def write_statement_page(
    settings: Settings,
    query: PersonQuery,
    out: Path | None,
    report_progress: Callable[[str], None],
) -> None:
    """Write a person's statement as one A4 page of HTML.

    Args:
        settings: The settings of the project.
        query: Who, of which month, and why it is asked.
        out: The file to write; None: the page is reported.
        report_progress: Takes the page, or a line that says where it is.

    Raises:
        JifenError: Exit 2, what is given is no ID, the month is not published, the person has no
            points in it, or the operator may not ask; exit 1, the file cannot be written.
    """
    root = open_root(settings)
    require_purpose(settings, root, query.reason)
    revision = find_named_revision(root, query.month)
    require_identified(root, root.key(), revision)
    sources = load_declared_sources(settings)
    with open_engine(settings.engine_settings, root.tmp / "spill") as session:
        person = find_person(session, root, query, revision.month)
        log_lookup(root, "statement", person, query, month=str(revision.month))
        found = find_statement(session, sources, revision, person)
        if found is None:
            why = explain_not_scored(session, find_spine(sources), root, revision, person.number)
            what = f"{revision.month} 修订版 r{revision.number} 没有此人的积分。{why}"
            raise JifenError(ExitCode.USAGE, what, hint="核对号码和月份")
        forecasts = load_forecasts(session, sources, root, revision, found)
        statement = found.statement
        reminders = read_person_reminders(session, revision.path, person.resident_id)
    page = render_statement_page(statement.row, statement.texts, forecasts, reminders)
    if out is None:
        report_progress(page)
        return
    try:
        out.write_text(page, encoding="utf-8")
        out.chmod(0o600)
    except OSError as error:
        why = to_user_error(error).message
        raise JifenError(ExitCode.OTHER, f"积分单写不进文件：{why}", where=str(out)) from None
    report_progress(f"积分单：{out}")


def read_person_reminders(
    session: Session, revision: Path, resident_id: str
) -> list[PersonReminder]:
    """Return the reminders that a revision lists for a person."""
    file = find_table_file(revision, REMINDERS)
    if not file.is_file():
        return []
    rows = session.fetch_rows(
        f"SELECT due_on, text FROM {read_parquet_sql(file)} WHERE resident_id = ?", [resident_id]
    )
    return [PersonReminder(due_on, text) for due_on, text in rows]
