"""What a source declares about its synthetic extract: who has rows, when, with which values.

Rows are derived from one shared model of people (`data/synthetic/population.py`). A column that the
block does not name follows from its type, so a new source needs no more than `rows: {each:
person}`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from expectations.yaml_document import ClosedModel, Switch

Each = Literal["person", "child", "job", "home"]
Format = Literal["auto", "csv", "parquet", "folder"]

# Attributes of every row: its person's ID, birth date and home district, the days between which
# the thing that it is derived from exists, its own day and month, and a day in the month in which
# it is delivered.
COMMON = ("id", "born", "district", "since", "until", "on", "month", "received")
ATTRIBUTES: dict[Each, tuple[str, ...]] = {
    "person": (
        *COMMON, "name", "phone", "community", "status", "permit_issued_on", "permit_valid_to",
        "updated_on",
    ),
    "child": (*COMMON, "child_id", "stage"),
    "job": (*COMMON, "employer", "wage"),
    "home": (*COMMON, "community"),
}  # fmt: skip

Share = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(ge=0)]
Span = tuple[int, int]  # both included


class Event(ClosedModel):
    """A day some days after an attribute or another column."""

    after: str
    """Attribute or column from which days are counted."""
    days: Span
    """Least and greatest number of days."""


class Late(ClosedModel):
    """A share of the rows is delivered some months after its own month (negative: before)."""

    share: Share
    """Share of the rows."""
    months: Span
    """Least and greatest number of months; negative: before its own month."""


class Rows(ClosedModel):
    """Who has rows: a `share` of `each`; once, or in every month with probability `monthly`.

    `times` weighs how many rows one has that are not monthly; `years` is how far monthly rows go
    back; `ages` bounds the age on the row's day; `on` is that day (else the first day the thing
    exists); `fan` makes a row for each value of a column, with its probability.
    """

    each: Each
    """What rows are derived from."""
    share: Share = 1.0
    """Share of them that have rows."""
    times: dict[int, Weight] = {1: 1.0}
    """Number of rows -> weight, where rows are not monthly."""
    monthly: Share | None = None
    """Probability of a row in every month that the thing exists in."""
    years: int = Field(default=0, ge=0, le=60)
    """How far monthly rows go back."""
    ages: Span | None = None
    """Least and greatest age on the row's day."""
    on: Event | None = None
    """The row's day; without it the first day that the thing exists."""
    fan: dict[str, dict[str, Share]] = Field(default={}, max_length=1)
    """Column -> value -> probability: a row for each value."""
    late: Late | None = None
    """Rows that are delivered in another month than their own."""

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if max(self.times) > 1000 or min(self.times) < 0 or not sum(self.times.values()):
            raise ValueError("times 的行数须在 0 到 1000 之间，且权重之和大于 0")
        if any(len(values) > 16 for values in self.fan.values()):
            raise ValueError("fan 最多 16 个值")
        return self


class Value(ClosedModel):
    """How a column gets its values, in one of five ways.

    `of` an attribute; `weights` of values, dependent on the value of column `by` where given; a
    number `between` two, in steps of `step`; a date some `days` `after` an attribute or a column; a
    `text` with {number} (unique), {choice} (1 to `choices`) and {column} in it. A share of the
    values is null; a share of the dates is `open`, null, while they lie ahead.
    """

    of: str | None = None
    """Attribute of the person, child, job or home."""
    weights: dict[str, Weight | dict[str, Weight]] = {}
    """Value -> weight, or value -> value of `by` -> weight."""
    by: str | None = None
    """Column on whose value `weights` depend."""
    between: tuple[float, float] | None = None
    """Least and greatest number."""
    step: float = Field(default=1.0, gt=0)
    """Step of numbers."""
    after: str | None = None
    """Attribute or column after which a date lies."""
    days: Span = (0, 0)
    """Least and greatest number of days after it."""
    text: str | None = None
    """Text with {number} (unique), {choice} and {column} in it."""
    choices: int = Field(default=1, ge=1)
    """How many values {choice} has."""
    null: Share = 0.0
    """Share of empty values."""
    open: Share = 0.0
    """Share of dates that are empty while they lie ahead."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        ways = [self.of, self.weights or None, self.between, self.after, self.text]
        if sum(way is not None for way in ways) != 1:
            raise ValueError("of、weights、between、after、text 五者须有且只有一个")
        if any(
            isinstance(weight, dict) != (self.by is not None) for weight in self.weights.values()
        ):
            raise ValueError("有 by 时，weights 须按该列的每个值各给一组权重")
        flat = sum(weight for weight in self.weights.values() if not isinstance(weight, dict))
        tables = [
            sum(weight.values()) for weight in self.weights.values() if isinstance(weight, dict)
        ]
        if self.weights and not all(total > 0 for total in tables or [flat]):
            raise ValueError("一组权重之和须大于 0")
        return self


class Again(ClosedModel):
    """A share of the rows comes again some months later with other values: a reversal, say."""

    share: Share
    """Share of the rows."""
    months: tuple[Annotated[int, Field(ge=0)], int]
    """Least and greatest number of months later."""
    where: dict[str, str] = {}
    """Only rows with these values."""
    set: dict[str, Value]
    """Columns that change, and how."""


def _listed(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


class Synthetic(ClosedModel):
    """How believable rows of a source are generated.

    `chinese`: headers and set values in Chinese, as offices write them.
    """

    rows: Rows
    """Who has rows, and when."""
    columns: dict[str, Value] = {}
    """How columns get their values; others follow from their type."""
    again: Annotated[list[Again], BeforeValidator(_listed)] = []
    """Rows that come once more with other values."""
    format: Format = "auto"
    """Format of the files."""
    chinese: Switch = False
    """Headers and values as people write them."""

    @model_validator(mode="after")
    def _known_attributes(self) -> Self:
        known = ATTRIBUTES[self.rows.each]
        values = [
            *self.columns.values(),
            *(value for again in self.again for value in again.set.values()),
        ]
        for value in values:
            if value.of is not None and value.of not in known:
                raise ValueError(f"{self.rows.each} 没有 {value.of}；可用：{'、'.join(known)}")
        return self
