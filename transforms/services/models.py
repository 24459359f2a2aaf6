"""A service: its dated versions, and the reminder that goes out when it comes within reach. Reminders of other kinds.

Expressions (`when`, `who`, `score`, `monthly`) are those of `transforms.expressions.language`.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import string
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, field_serializer, model_validator

from expectations.yaml_document import ClosedModel, Switch
from transforms.points.scalars import Code, Day, Mark, Result, Text, Whole, literal_type


def _not_negative(value: Decimal) -> Decimal:
    if value < 0:
        raise ValueError("不能小于 0")
    return value


Threshold = Annotated[Result, AfterValidator(_not_negative)]
Origin = Annotated[Literal["published", "illustrative"], literal_type("published", "illustrative")]
ROUNDINGS = {"yuan": 0, "fen": 2}
"""Decimals kept by each rounding of an amount."""
DEFAULT, ALL = "default", "all"


class Condition(ClosedModel):
    """What must be true, and the sentence that says what is lacking when it is not (false, or unknown)."""

    when: Text
    lacking: Text


def _by_district(value: Any) -> Any:
    return value if isinstance(value, dict) else {DEFAULT: value}


class PointsNeeded(ClosedModel):
    """`score`, an expression over sums of points (unknown counts as 0), must reach `threshold`.

    The threshold is one number, or numbers by district code; `default` then holds for the districts not named.
    """

    score: Text = "total_points"
    threshold: Annotated[dict[Text, Threshold], BeforeValidator(_by_district), Field(min_length=1)]


class Payment(ClosedModel):
    """Yuan a month: an expression over facts, rounded once, halves up, to whole yuan or to fen; null when unknown."""

    monthly: Text
    rounding: Annotated[Literal["yuan", "fen"], literal_type(*ROUNDINGS)]


class Origins(ClosedModel):
    """Which parts are published, and which are examples that the bureau must set before production."""

    districts: Origin
    conditions: Origin
    points: Origin
    amount: Origin | None = None


class ServiceExample(ClosedModel):
    """One resident and what the service must say of them. What is not named is unknown, points 0.

    eligible: true, or false with `points_short` when only points are lacking, without it when something else is.
    """

    facts: dict[str, Any]
    district: Text
    as_of: Day | None = None
    eligible: Switch
    points_short: Threshold | None = None
    monthly_amount: Mark | None = None

    @model_validator(mode="after")
    def _listed(self) -> Self:
        if self.eligible and self.points_short:
            raise ValueError("符合条件的人不差分（points_short 不写）")
        return self

    @property
    def outcome(self) -> tuple[bool, Decimal | None, Decimal | None]:
        """Eligible, points short (None: no row), monthly amount."""
        return (
            self.eligible,
            Decimal(0) if self.eligible else self.points_short,
            self.monthly_amount,
        )


class ReminderExample(ClosedModel):
    """One resident on one scoring date, and whether they are reminded, with the date that is due."""

    facts: dict[str, Any]
    as_of: Day
    reminded: Switch
    due_on: Day | None = None


def _flat(own: type[ClosedModel]) -> BeforeValidator:
    """Examples are written flat, `{fact: value, ..., outcome: ...}`: what is not the example's own key is a value."""

    def read(value: Any) -> Any:
        if not isinstance(value, list) or not all(isinstance(case, dict) for case in value):
            raise ValueError("应为例子的列表：[{数据: 值, ..., 结果}]")
        keys = own.model_fields.keys() - {"facts"}
        return [
            {key: given for key, given in case.items() if key in keys}
            | {"facts": {name: given for name, given in case.items() if name not in keys}}
            for case in value
        ]

    return BeforeValidator(read)


def _areas(value: Any) -> Any:
    if value != ALL and not (
        isinstance(value, list) and value and all(isinstance(code, str) for code in value)
    ):
        raise ValueError("应为 all（全市），或区县代码的列表")
    return value


class ServiceVersion(ClosedModel):
    """The service as it stands from the scoring date `from` on, until the next version begins.

    A resident has a row of the service when their residence district is among `districts` and all conditions are
    true; they are eligible when the score reaches the threshold. `amends`: why a version that has already decided a
    published month was changed all the same.
    """

    begins: Day = Field(alias="from")
    basis: Text
    amends: Text | None = None
    values: Origins
    districts: Annotated[Literal["all"] | list[Text], BeforeValidator(_areas)]
    conditions: list[Condition]
    points: PointsNeeded
    amount: Payment | None = None
    window: Annotated[
        Literal["all_year", "school_calendar"], literal_type("all_year", "school_calendar")
    ]
    examples: Annotated[list[ServiceExample], _flat(ServiceExample), Field(min_length=1)]

    @field_serializer("begins")
    def _iso(self, begins: dt.date) -> str:
        return begins.isoformat()

    @model_validator(mode="after")
    def _origins(self) -> Self:
        if (self.amount is None) != (self.values.amount is None):
            raise ValueError("amount 与 values.amount 须同时写")
        return self

    @property
    def hash(self) -> str:
        """SHA-256 of what the version says, however it is written; `amends` is no part of it."""
        said = self.model_dump(by_alias=True, exclude={"amends"}, exclude_defaults=True)
        return hashlib.sha256(json.dumps(said, default=_plain, sort_keys=True).encode()).hexdigest()

    @property
    def illustrative(self) -> list[str]:
        """The parts whose values the bureau has still to set."""
        return [
            part for part, origin in self.values.model_dump().items() if origin == "illustrative"
        ]

    def open_in(self, district: str) -> bool:
        """Whether residents of a district can have the service."""
        return self.districts == ALL or district in self.districts


class Reminder(ClosedModel):
    """A message, told once for every (kind, resident, cycle), or again when `repeat` months have passed.

    `cycle`: once, year (of the scoring date), month, or the name of a date fact. `due_on`: a date fact, or the opening or
    closing day of the service's window. `text`: one full sentence with names in braces; {name} is the masked name.
    """

    kind: Code
    title: Text
    cycle: Code
    due_on: Code | None = None
    repeat: Whole | None = None
    text: Text

    @property
    def placeholders(self) -> list[str]:
        """What stands in braces in the text. ValueError for what is no plain name in braces."""
        return [name for _, name in split_template(self.text) if name is not None]


class ServiceReminder(Reminder):
    """The reminder of a service: told to those who are eligible, and of whom `who`, if given, is true.

    `newly`: only if they were not eligible in the calendar month before, as published. `each: child`: one for every
    child due, who has a school window; then `cycle` may be `child` (the child and the enrolment year).
    """

    who: Text | None = None
    newly: Switch = False
    each: Annotated[Literal["resident", "child"], literal_type("resident", "child")] = "resident"


class StandingReminder(Reminder):
    """A reminder of `data/reminders/`, that no service declares: told to those of whom `who` is true."""

    department: Text
    purpose: Text
    legal_basis: Text
    who: Text
    examples: Annotated[list[ReminderExample], _flat(ReminderExample), Field(min_length=1)]


class Service(ClosedModel):
    """What points give access to. Versions ascend by date; the reminder has none, as only the newest month tells."""

    service: Code
    title: Text
    department: Text
    purpose: Text
    legal_basis: Text
    versions: list[ServiceVersion] = Field(min_length=1)
    reminder: ServiceReminder | None = None

    def in_force(self, as_of: dt.date) -> ServiceVersion | None:
        """The newest version that begins on or before the scoring date; None before the first."""
        begun = [version for version in self.versions if version.begins <= as_of]
        return begun[-1] if begun else None


def split_template(text: str) -> list[tuple[str, str | None]]:
    """A template as (words, name in braces or None) pairs. ValueError for anything but plain names in braces."""
    parts = []
    for words, name, form, conversion in string.Formatter().parse(text):
        if form or conversion or (name is not None and not name.isidentifier()):
            raise ValueError("花括号中只能写一个名称")
        parts.append((words, name))
    return parts


def _plain(value: Any) -> str:
    """Numbers and dates in one canonical spelling: 60, 60.0 and 60.00 are the same number."""
    return format(value.normalize(), "f") if isinstance(value, Decimal) else str(value)
