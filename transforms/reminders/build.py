"""The month's reminder list: that of its replaced revision, and what is new and was not sent."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from expectations.month import Month
from expectations.source_model import Fact
from transforms.engine.parquet import copy_sql, empty_relation_sql, read_parquet_sql
from transforms.engine.session import Session
from transforms.engine.sql import months_between_sql
from transforms.engine.statements import Statement
from transforms.facts.pseudonyms import hmac_params
from transforms.outputs import ELIGIBILITY, REMINDERS, create_output_view
from transforms.reminders.models import StandingReminder
from transforms.reminders.outcomes import (
    AGAIN,
    NOT_ANSWERED,
    ReminderAnswers,
    again_reached_sql,
)
from transforms.reminders.sql import (
    due_statement,
    newly_eligible_residents_statement,
    newly_eligible_statement,
)
from transforms.services.models import Service


@dataclass(frozen=True)
class ReminderDeclarations:
    """What is declared: services in force on the scoring date, standing reminders, facts, names."""

    services: Sequence[Service]
    standing: Sequence[StandingReminder]
    facts: Mapping[str, Fact]
    districts: Mapping[str, str]


@dataclass(frozen=True)
class ReminderHistory:
    """What is published already: Parquet files.

    Attributes:
        eligibility_before: Those of the calendar month before, of the revision in force (empty: not
            published).
        sent: The reminder lists of every revision, in force or replaced, of all other months.
        kept: The list of the revision being replaced.
        answers: What districts reported of reminders; None where they never did.
    """

    eligibility_before: Sequence[Path] = ()
    sent: Sequence[Path] = ()
    kept: Sequence[Path] = ()
    answers: ReminderAnswers | None = None


@dataclass(frozen=True)
class ReminderResult:
    """Reminders by kind: listed, added by this revision, withdrawn by it; and their statements.

    `again`: those added that were sent before, by what came of them then.
    """

    listed: dict[str, int]
    added: dict[str, int]
    withdrawn: dict[str, int]
    again: dict[str, int]
    statements: list[Statement]


@dataclass(frozen=True)
class ReminderRun:
    """Which list is built: month, revision, the root's key, whether it may hold new ones; former keys."""

    month: Month
    revision: int
    key: bytes
    allow_new: bool
    former: tuple[bytes, ...] = ()

    @property
    def keys(self) -> tuple[bytes, ...]:
        """All keys, the newest last."""
        return (*self.former, self.key)


def may_add_reminders(
    month: Month, published: Collection[Month], *, last: bool = True, send: bool = False
) -> bool:
    """Return whether a run of a month may add reminders to its list.

    Only the newest month may, and of a backfill the last one.

    Args:
        month: The month scored.
        published: The months published so far.
        last: Whether the month is the last (or only) one of its run.
        send: Whether the operator asked for reminders all the same.
    """
    return send or (last and all(month >= other for other in published))


def write_reminders(
    session: Session,
    run: ReminderRun,
    declared: ReminderDeclarations,
    eligibility: Sequence[Path],
    published: ReminderHistory,
    target: Path,
) -> ReminderResult:
    """Write the month's reminder list, one row per reminder, in the columns of the output REMINDERS.

    Rows are sorted by district, kind, service, resident and reminder_id. Without `run.allow_new`
    the list is that of the replaced revision, or empty.

    What the replaced revision lists of a service that is out of reach by now stays in the list
    and is written to `withdrawn/withdrawn.parquet` beside it, too.

    Args:
        session: Has the relations `facts` (with resident_id, name and phone), `scored` (see
            `eligibility_sql`) and `school_calendar`.
        run: Month, revision and key.
        declared: Services in force, standing reminders, facts, district names.
        eligibility: The month's own files of eligibility.
        published: What is published already.
        target: The Parquet file to write.
    """
    values: dict[str, Any] = {
        "month": run.month.first_day,
        "as_of": run.month.last_day,
        "revision": run.revision,
    }
    values |= hmac_params(*run.keys)
    create_output_view(session, "eligibility", ELIGIBILITY, eligibility)
    create_output_view(session, "eligibility_before", ELIGIBILITY, published.eligibility_before)
    view_reminder_lists(session, "sent", published.sent)
    view_reminder_lists(session, "kept", published.kept)
    steps = []
    if published.answers:
        session.create(published.answers.clean_statement())
        steps += published.answers.statements()
    if run.allow_new:
        steps += _due_statements(declared, published, len(run.keys))
    for step in steps:
        session.create(step, values)
    new = ""
    if run.allow_new:
        new = _NEW + (NOT_ANSWERED + AGAIN if published.answers else "")
    sql = _LISTING.format(new=new)
    listing = Statement("reminders", sql, form="file")
    session.write(listing, target, values)
    withdrawn = find_withdrawn_file(target.parent)
    session.write(_WITHDRAWN, withdrawn)
    session.drop("reached", "reached_residents", "due")
    listed, added = _count_by_kind(session, target, run.revision)
    taken_back, _ = _count_by_kind(session, withdrawn, run.revision)
    again = session.fetch_rows(
        f"SELECT last_outcome, count(*) FROM {read_parquet_sql(target)}"
        " WHERE last_outcome IS NOT NULL AND added_in = ? GROUP BY ALL ORDER BY ALL",
        [run.revision],
    )
    statements = [*steps, listing, _WITHDRAWN]
    return ReminderResult(listed, added, taken_back, dict(again), statements)


def view_reminder_lists(session: Session, name: str, files: Sequence[Path]) -> None:
    """Create a view of reminder lists; those of an older program say nothing of attempts."""
    rows = f"FROM {empty_relation_sql(REMINDERS.columns)}"
    if files:
        rows += f" UNION ALL BY NAME FROM {read_parquet_sql(*files, union_by_name='true')}"
    session.execute(f"CREATE OR REPLACE VIEW {name} AS {rows}")


def write_sent_reminders(session: Session, files: Sequence[Path], target: Path) -> None:
    """Write which reminders some lists hold, and of which month, without whom they are for.

    What is kept of lists that are removed: a reminder is sent once per cycle.
    """
    session.execute(
        copy_sql(
            "SELECT reminder_id, min(added_in) AS added_in, month"
            f" FROM {read_parquet_sql(*files, union_by_name='true')} GROUP BY ALL ORDER BY ALL",
            target,
        )
    )


def find_withdrawn_file(folder: Path) -> Path:
    """Return where the reminders that a revision withdraws are, below its folder of reminders."""
    return folder / "withdrawn" / "withdrawn.parquet"


_WITHDRAWN = Statement(
    "withdrawn_reminders",
    """
SELECT kept.*
FROM kept ANTI JOIN (
    SELECT facts.resident_id, eligibility.service
    FROM eligibility JOIN facts ON facts.resident_key = eligibility.resident_key
    WHERE eligibility.eligible
) AS reached ON reached.resident_id = kept.resident_id AND reached.service = kept.service
WHERE kept.service IS NOT NULL
ORDER BY kept.district, kept.kind, kept.service, kept.resident_id, kept.reminder_id""",
    ("kept", "facts", "eligibility"),
    "file",
)
_LISTING = """
SELECT * FROM kept{new}
ORDER BY district, kind, service NULLS FIRST, resident_id, reminder_id"""

# A reminder is sent once per cycle; with repeat_months, again that many months from the others.
_NEW = f"""
UNION ALL
SELECT due.reminder_id, CAST($revision AS INTEGER), CAST($month AS DATE), due.kind, due.service,
    due.resident_id,
    due.name, due.phone, due.district, due.due_on, due.text, 1, CAST(NULL AS VARCHAR)
FROM due LEFT JOIN (
    SELECT sent.reminder_id,
        min(abs({months_between_sql("sent.month", "CAST($month AS DATE)")})) AS months_away
    FROM sent SEMI JOIN due ON due.reminder_id = sent.reminder_id
    GROUP BY sent.reminder_id
) AS earlier ON earlier.reminder_id = due.reminder_id
WHERE NOT due.again
    AND coalesce(earlier.months_away >= due.repeat_months, earlier.months_away IS NULL)
    AND NOT EXISTS (SELECT 1 FROM kept WHERE kept.reminder_id = due.reminder_id)"""


def _due_statements(
    declared: ReminderDeclarations, published: ReminderHistory, stages: int
) -> list[Statement]:
    services, facts = declared.services, declared.facts
    again = again_reached_sql(services) if published.answers else ""
    return [
        newly_eligible_statement(services, bool(published.eligibility_before), again),
        newly_eligible_residents_statement(services, facts),
        due_statement(services, declared.standing, facts, declared.districts, stages),
    ]


def _count_by_kind(
    session: Session, path: Path, revision: int
) -> tuple[dict[str, int], dict[str, int]]:
    rows = session.execute(
        f"""
        SELECT kind, count(*), count(*) FILTER (WHERE added_in = ?) FROM {read_parquet_sql(path)}
        GROUP BY kind ORDER BY kind""",
        [revision],
    ).fetchall()
    return {kind: listed for kind, listed, _ in rows}, {kind: added for kind, _, added in rows}
