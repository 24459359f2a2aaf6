"""A statement as one A4 page of HTML that loads nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reports.explain.companion import PersonReminder, list_companion
from reports.explain.compute import explain_row
from reports.explain.model import ScoreChange
from reports.explain.text import StatementWriter
from reports.html.environment import render_template
from reports.statements.model import StatementRow, StatementTexts


def render_statement_page(
    row: StatementRow,
    texts: StatementTexts,
    months: Mapping[str, int | None] | None = None,
    reminders: Sequence[PersonReminder] = (),
) -> str:
    """Return the page of a statement.

    Args:
        row: The person's row.
        texts: The words of its month.
        months: Service -> months until it is reached, as far as time brings it.
        reminders: Those that the month's list has for the person.
    """
    found = explain_row(row, texts)
    writer = StatementWriter(found, row, texts)
    return render_template(
        "statement.html.j2",
        title="个人积分单",
        found=found,
        month=f"{row.month:%Y-%m}",
        revision=row.revision,
        as_of=texts.as_of,
        sentences=texts.sentences,
        notes=writer.describe_limits,
        sum_note=writer.describe_sum,
        objections=list(writer.write_objections()),
        corrected_facts=list(writer.write_corrected_facts()),
        companion=list_companion(writer, row, texts, months or {}, reminders),
        changes=_describe_changes(writer, found.changes),
    )


def _describe_changes(writer: StatementWriter, changes: list[ScoreChange]) -> str:
    """What moved against the month before, as one sentence."""
    if writer.found.compared_with is None:
        return writer.say("not_compared")
    listed = "；".join(f"{one.title} {writer.describe_change(one)}" for one in changes)
    return f"{listed or writer.say('unchanged')}。"
