"""The rule forms of a points table, and what each of them means exactly.

Every rule turns one value (a `table` two, `counts` a family) into points. Shared by all of them:

- A value of unit years, months, count or people is a whole number; ml, hours, yuan and points have
  two decimals.
- An unknown value (null, or a level that nobody has) gives 0 points, whatever the rule.
- "Full units of v" = floor(v / unit), and never below 0.
- Arithmetic is exact; points are rounded to two decimals, halves away from zero, once: after the
  indicator's cap.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, model_validator

from expectations.window_model import Years, list_years_ago
from expectations.yaml_document import ClosedModel, Switch
from transforms.scalars import (
    Code,
    Mark,
    Points,
    PointsChange,
    Text,
    Unit,
    Whole,
    literal_type,
)


class Range(ClosedModel):
    """Values from `from` (included) to `to` (included) or `below` (excluded).

    A bound that is not given is open.
    """

    low: Mark | None = Field(default=None, alias="from")
    high: Mark | None = Field(default=None, alias="to")
    below: Mark | None = None

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        if self.high is not None and self.below is not None:
            raise ValueError("to（含）与 below（不含）只写一个")
        if self.low is None and self.high is None and self.below is None:
            raise ValueError("至少写 from、to、below 之一")
        empty = self.low is not None and (
            (self.high is not None and self.high < self.low)
            or (self.below is not None and self.below <= self.low)
        )
        if empty:
            raise ValueError("区间为空：终点应大于起点")
        return self

    def holds(self, value: Decimal) -> bool:
        """Whether the value lies in the range."""
        return (
            (self.low is None or value >= self.low)
            and (self.high is None or value <= self.high)
            and (self.below is None or value < self.below)
        )


class Band(Range):
    """A range of values and its points."""

    points: Points


class Slope(ClosedModel):
    """`points` at `start`, then `each` more (negative: fewer) per full `unit` below or above it.

    distance = start - v (below) or v - start (above), at least 0; result = points + each *
    floor(distance / unit). On the other side of `start` the result is constant: `points`. Outside
    `from`..`to` (both included; each may be left out) it is 0. A falling slope may go below zero
    and then stays negative: bound it with `from` and `to`.
    """

    start: Mark
    points: Points
    each: PointsChange
    direction: Annotated[Literal["below", "above"], literal_type("below", "above")]
    unit: Unit = Decimal(1)
    low: Mark | None = Field(default=None, alias="from")
    high: Mark | None = Field(default=None, alias="to")

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        if self.low is not None and self.high is not None and self.high < self.low:
            raise ValueError("区间为空：to 不能小于 from")
        return self


class Each(ClosedModel):
    """`points` for every full `unit` of the value, or (`pro_rata`) for every 1 of it in proportion.

    Without `start`: points * floor(v / unit), or points * v; a value below 0 counts as 0.
    With `start` and `first`: 0 below `start`; from it on
    `first` + points * floor((v - start) / unit), or `first` + points * (v - start).
    """

    points: Points
    unit: Unit | None = None
    pro_rata: Switch = False
    start: Mark | None = None
    first: Points | None = None

    @model_validator(mode="after")
    def _shape(self) -> Self:
        if (self.unit is not None) == self.pro_rata:
            raise ValueError("unit（每满一个单位）与 pro_rata: true（按比例）须写且只写一个")
        if (self.start is None) != (self.first is None):
            raise ValueError("start（起点）与 first（达到起点的分值）须同时写")
        return self


class Rate(ClosedModel):
    """Points per unit from the `from`-th full unit on."""

    begins: Whole = Field(alias="from")
    points: Points


class Tiers(ClosedModel):
    """A rate that changes with length. n = full units of the value; rates ascend by `from`.

    whole: n * (rate of the last `from` <= n); 0 when n is below the first `from`.
    marginal: the k-th unit (k = 1..n) earns the rate of the last `from` <= k, none before the first
    `from`; the rates are added.
    """

    mode: Annotated[Literal["whole", "marginal"], literal_type("whole", "marginal")]
    unit: Unit = Decimal(1)
    rates: list[Rate] = Field(min_length=1)

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        begins = [rate.begins for rate in self.rates]
        if begins != sorted(set(begins)):
            raise ValueError("rates 的 from 应从小到大，不重复")
        return self


class Steps(ClosedModel):
    """Amounts at marks. A mark is reached when v >= mark.

    highest: the amount of the greatest mark reached. sum: the amounts of all marks reached, added.
    None reached: 0.
    """

    mode: Annotated[Literal["highest", "sum"], literal_type("highest", "sum")]
    marks: dict[Mark, Points] = Field(min_length=1)


class PerYear(ClosedModel):
    """`rule` within every calendar year, at most `cap` a year, the years added up.

    The fact is a map of calendar years. `years: 5` are the five up to that of the scoring date,
    `years: {last: 5, ending: previous}` the five before it. A year without anything gives nothing.
    The sum is rounded once, like every indicator.
    """

    cap: Points
    years: Years
    rule: Rule

    @property
    def years_ago(self) -> range:
        """The calendar years that count, as years before that of the scoring date."""
        return list_years_ago(self.years)


class Axis(ClosedModel):
    """One side of a two-way table.

    It is a level fact, a yes/no fact (`true` and `false`), or a number fact with named ranges that
    do not overlap.
    """

    fact: Code
    bands: dict[Text, Range] | None = None


class Table(ClosedModel):
    """Two facts to points: `points[level or band of down][level or band of across]`.

    A cell that is not listed is 0.
    """

    down: Axis
    across: Axis
    points: Annotated[
        dict[Text, Annotated[dict[Text, Points], Field(min_length=1)]], Field(min_length=1)
    ]


class Rule(ClosedModel):
    """Exactly one rule form.

    bands: points of the range that holds the value, 0 outside all. levels: points of the level, 0
    if not listed. by_count: points by how often (1, 2, 3, ... without gaps), the last one for "or
    more", 0 for none. flat: points when the yes/no fact is true. counts: sum over the facts of
    points * count; a count that is unknown or below 0 counts as 0.
    The others: see their classes.
    """

    bands: list[Band] | None = Field(default=None, min_length=1)
    slope: Slope | None = None
    levels: dict[Text, Points] | None = Field(default=None, min_length=1)
    each: Each | None = None
    tiers: Tiers | None = None
    steps: Steps | None = None
    by_count: dict[Whole, Points] | None = Field(default=None, min_length=1)
    flat: Points | None = None
    per_year: PerYear | None = None
    counts: dict[Code, Points] | None = Field(default=None, min_length=1)
    table: Table | None = None

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"须写且只写一种规则：{'、'.join(type(self).model_fields)}")
        if self.by_count is not None and sorted(self.by_count) != list(
            range(1, len(self.by_count) + 1)
        ):
            raise ValueError("by_count 的次数应为 1、2、3……，不跳号")
        return self

    @property
    def form(self) -> str:
        """The name of the rule form, as written in the table."""
        return next(name for name in type(self).model_fields if getattr(self, name) is not None)

    @property
    def content(self) -> BaseModel | dict[Any, Any] | list[Band] | Decimal:
        """What stands under the name of the form."""
        content: BaseModel | dict[Any, Any] | list[Band] | Decimal = getattr(self, self.form)
        return content


PerYear.model_rebuild()
