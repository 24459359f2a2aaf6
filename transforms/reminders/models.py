"""Reminders: of a service, in its file, and standing ones, in files of their own.

Expressions (`who`) are those of `transforms.expressions.language`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from expectations.yaml_document import ClosedModel, Switch
from transforms.scalars import Code, Day, Text, Whole, literal_type
from transforms.templates import list_names
from transforms.versions import flat_examples


class ReminderExample(ClosedModel):
    """One resident on one scoring date, whether they are reminded, and the date that is due."""

    facts: dict[str, Any]
    as_of: Day
    reminded: Switch
    due_on: Day | None = None


class Reminder(ClosedModel):
    """A message, sent once for every (kind, resident, cycle), or again after `repeat` months.

    `cycle`: once, year (of the scoring date), month, or the name of a date fact. `due_on`: a date
    fact, or the opening or closing day of the service's window. `text`: one full sentence with
    names in braces; {name} is the masked name.
    """

    kind: Code
    title: Text
    cycle: Code
    due_on: Code | None = None
    repeat: Whole | None = None
    text: Text

    @property
    def placeholders(self) -> list[str]:
        """The names in braces in the text.

        Raises:
            ValueError: There is anything but a plain name in braces.
        """
        return list_names(self.text)


class ServiceReminder(Reminder):
    """The reminder of a service: for those who are eligible, and of whom `who`, if given, is true.

    `newly`: only if they were not eligible in the calendar month before, as published. `each:
    child`: one for every child due, who has a school window; then `cycle` may be `child` (the child
    and the enrolment year).
    """

    who: Text | None = None
    newly: Switch = False
    each: Annotated[Literal["resident", "child"], literal_type("resident", "child")] = "resident"


class StandingReminder(Reminder):
    """A reminder of `data/reminders/`, of no service: for those of whom `who` is true."""

    department: Text
    purpose: Text
    legal_basis: Text
    who: Text
    examples: Annotated[list[ReminderExample], flat_examples(ReminderExample), Field(min_length=1)]
