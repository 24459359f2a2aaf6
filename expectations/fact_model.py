"""Facts of a source: units, measures, windows, and what of its rows each fact is made of."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, Tag, WithJsonSchema, model_validator

from expectations.window_model import CutOff, DayOrMonth, Within, Years, choose_form
from expectations.yaml_document import ClosedModel, Switch

Measure = Literal[
    "count",
    "exists",
    "sum",
    "value",
    "highest",
    "full_months",
    "full_years",
    "distinct_months",
    "last_month",
    "gap_months",
    "run_months",
    "covered_months",
    "sum_by_year",
    "sum_by_key",
    "list",
]
MONTH_MEASURES = ("distinct_months", "last_month", "gap_months", "run_months")
"""Measures over a person's months."""
Unit = Literal[
    "year", "years", "months", "count", "times", "people", "hours", "ml", "points", "yuan", "m2",
    "percent", "number", "yes_no", "level", "date", "month", "area", "text", "hours_by_year",
    "times_by_year", "ml_by_year", "yuan_by_year", "points_by_key", "children",
]  # fmt: skip
WHOLE_UNITS = frozenset({"year", "years", "months", "count", "times", "people"})
COUNTED_UNITS = WHOLE_UNITS | {"hours", "ml", "points", "yuan", "m2", "percent", "number"}
YEAR_UNITS: Mapping[str, str] = {
    "hours_by_year": "hours",
    "times_by_year": "times",
    "ml_by_year": "ml",
    "yuan_by_year": "yuan",
}
"""Units of maps by calendar year: the unit of each year's value, which names its field, too."""


def _listed(value: Any) -> Any:
    return value if isinstance(value, list) else [] if value is None else [value]


Texts = Annotated[
    list[str],
    BeforeValidator(_listed),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string"},
                {"type": "array", "items": {"type": "string"}},
            ]
        }
    ),
]


class Check(ClosedModel):
    """What a value may be: bounds (in units of the column) or a list."""

    min: Decimal | None = None
    """Least value allowed."""
    above: Decimal | None = None
    """Value that must be exceeded."""
    max: Decimal | None = None
    """Greatest value allowed."""
    below: Decimal | None = None
    """Value that must not be reached."""
    one_of: Texts | None = None
    """Values allowed, as text."""


Condition = Annotated[
    Annotated[Texts, Tag("values")] | Annotated[Check, Tag("bounds")],
    choose_form("values", "bounds"),
]
"""What `where` asks of a column: one of these values, or a number within bounds."""


class Span(ClosedModel):
    """From one date column to another; `open_end`: a missing end means that it still runs."""

    begins: str = Field(alias="from")
    """Date column of the beginning."""
    ends: str = Field(alias="to")
    """Date column of the end."""
    open_end: Switch = True
    """A missing end means that it still runs."""


class Divisor(ClosedModel):
    """What a record's value is divided by: a column's whole number, and something added to it."""

    of: str
    """Column of a whole number."""
    plus: int = Field(default=0, ge=0)
    """Added to it, as in 30 / (holders + 1)."""


def _exact(value: Any) -> Decimal:
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,4})?", str(value)) or Decimal(str(value)) == 0:
        raise ValueError("应为大于 0、最多四位小数的数值，或 {of: 列, plus: 数}")
    return Decimal(str(value))


DividedBy = Annotated[
    Annotated[Decimal, BeforeValidator(_exact), Tag("number")] | Annotated[Divisor, Tag("column")],
    choose_form("number", "column"),
]
Weights = dict[str, dict[str, Decimal]]


class DatedWeights(ClosedModel):
    """Weights of records from a date on; before the first of the dates, `weights` hold."""

    of: str
    """Date column of the record."""
    dates: dict[DayOrMonth, Weights] = Field(min_length=1)
    """First day -> the weights from then on, in place of those before."""


class Spell(ClosedModel):
    """Spells of a source: from one date column to another, both days included."""

    source: str | None = None
    """Source of the rows; left out: that of the fact."""
    begins: str = Field(alias="from")
    """Date column of the first day."""
    ends: str = Field(alias="to")
    """Date column of the last day."""
    open_end: Switch = True
    """A missing end means that it still runs."""
    where: dict[str, Condition] = {}
    """Only rows with these values."""


class Turns(ClosedModel):
    """The child in the ID column `of` turns `age` in the current school year.

    That is the one that ends on the next 31 August, from the scoring date on.
    """

    of: str
    """ID column of the child."""
    age: int = Field(gt=0)
    """Age in full years."""


class Listed(ClosedModel):
    """A row counts when a reference table lists its value for the year of the scoring date."""

    table: str
    """Reference table."""
    column: str
    """Column of that name in the table and in the rows."""


class Lookup(ClosedModel):
    """A reference value for facts of the same person.

    It stands in the newest row (by month, up to the month scored) whose columns equal the facts.
    """

    table: str
    """Reference table."""
    match: dict[str, str]
    """Column of the table -> fact that it must equal."""
    newest: str
    """Month column of the table: the newest row up to the month scored counts."""
    value: str
    """Column that is the fact's value."""


class Move(ClosedModel):
    """How a fact goes on when time passes and nothing else changes; without it, it stays."""

    by: Literal["month", "date"]
    """`month`: one more each month. `date`: measured again on the later date, over the same rows."""
    during: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,40}$")] | None = Field(
        default=None, alias="while"
    )
    """`month`: yes/no fact that must hold now for it to go on."""


class Fact(ClosedModel):
    """One thing known of a resident on the scoring date, measured over one source's rows.

    `where` filters by column values, `current`, `open`, `within`, `turns`, `listed` by date or
    reference table; `pick` keeps the person's row that is greatest by these columns; `clip` bounds
    a record before it is summed; `weights` multiplies it by the value of another column;
    `otherwise` is the level of a person without any. A person without a `value` has no (yes/no) or
    0 (what is counted); yuan are a price, and a price that nobody knows is null.
    """

    title: str
    """Chinese title, as explanations and the dictionary show it."""
    unit: Unit
    """Unit of the value."""
    meaning: str
    """Meaning in Chinese, for the dictionary."""
    meaning_en: str
    """Meaning in English, for the dictionary."""
    measure: Measure | None = None
    """What is computed over the rows."""
    of: str | None = None
    """Column that is measured."""
    where: dict[str, Condition] = {}
    """Only rows with these values; of a number column its bounds."""
    current: Span | None = None
    """Only rows valid on the scoring date."""
    open: Span | None = None
    """Only rows that have begun and not ended by the scoring date."""
    within: Within | None = None
    """Only rows in a window of dates or months."""
    at: CutOff | None = None
    """Measured on this day instead of the scoring date: the newest one on or before it."""
    turns: Turns | None = None
    """Only children of an age."""
    listed: Listed | None = None
    """Only rows with a value that a reference table lists for the year of the scoring date."""
    pick: Texts = []
    """Keep the person's row that is greatest by these columns, in this order."""
    once_per: Texts = []
    """Rows with equal values in these columns are one: the one with the `greatest` counts."""
    greatest: str | None = None
    """Column that decides, with `once_per`, which row counts."""
    clip: Check | None = None
    """Bounds into which a record's value is brought before it is summed."""
    weights: Weights = {}
    """Column -> value -> factor by which a record's value is multiplied."""
    weights_from: DatedWeights | None = None
    """Other weights for records from a date on."""
    times: str | None = None
    """Number column by which a record's value is multiplied."""
    divided_by: DividedBy | None = None
    """Number, or column, by which a record's value is divided."""
    gap: int = Field(default=0, ge=0, le=24)
    """How many missing months in a row `run_months` passes over."""
    spells: list[Spell] = []
    """What `covered_months` counts: months that any of these spells covers."""
    without: list[Spell] = []
    """Months that these spells cover do not count in `covered_months`."""
    ladder: list[Texts] = []
    """Levels of `highest`, lowest first; values in one entry count as the same level."""
    otherwise: str | None = None
    """Level of a person without any row."""
    years: Years | None = None
    """The calendar years that `sum_by_year` keeps."""
    keys: Texts = []
    """Columns by which `sum_by_year` and `sum_by_key` sum."""
    levels: dict[str, str] = {}
    """Level -> fact that counts the children of that level, for `list`."""
    lookup: Lookup | None = None
    """The value stands in a reference table."""
    derive: str | None = None
    """Expression over other facts."""
    adverse: Switch = False
    """Speaks against a person: a penalty, an offence. Points for it are refused."""
    restricted: Switch = False
    """Identifies people: published to the operator only."""
    moves: Move | None = None
    """How it goes on with time, for the question when a service will be reached."""

    @property
    def every_spell(self) -> list[Spell]:
        """The spells of `covered_months`, those that count and those that do not."""
        return [*self.spells, *self.without]

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        ways = [self.measure is not None, self.lookup is not None, self.derive is not None]
        if sum(ways) != 1:
            raise ValueError("measure、lookup、derive 三者须有且只有一个")
        return self


def find_value_without_records(fact: Fact) -> Any:
    """Return what a measured fact is for a person without records: 0, False, a level, [] or None.

    None is unknown. Facts looked up are unknown; those derived follow from others.
    """
    if fact.measure in ("sum_by_year", "sum_by_key", "list"):
        return []
    if fact.measure == "highest":
        return fact.otherwise
    if fact.measure is None or fact.measure in ("gap_months", "last_month", "full_years"):
        return None  # full years are an age, which everybody has
    if fact.unit == "yes_no":
        return False
    # A price that nobody knows is unknown; a sum of yuan is 0.
    counted = fact.unit in COUNTED_UNITS and (fact.measure != "value" or fact.unit != "yuan")
    return 0 if counted else None
