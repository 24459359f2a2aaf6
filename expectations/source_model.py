"""What a source declares: its columns, what is refused, and the facts it yields.

One YAML file per source, closed: an unknown key is a mistake.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from expectations.synthetic_model import Synthetic
from expectations.yaml_document import ClosedModel, Switch

ColumnType = Literal[
    "id", "text", "date", "month", "amount", "integer", "yes_no", "set", "district", "area"
]
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
    "sum_by_year",
    "sum_by_key",
    "list",
]
Unit = Literal[
    "years", "months", "count", "people", "hours", "ml", "points", "yuan", "yes_no",
    "level", "date", "month", "area", "text", "hours_by_year", "points_by_key", "children",
]  # fmt: skip
COUNTED_UNITS = frozenset({"years", "months", "count", "people", "hours", "ml", "points", "yuan"})


def _listed(value: Any) -> Any:
    return value if isinstance(value, list) else [] if value is None else [value]


Texts = Annotated[list[str], BeforeValidator(_listed)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,40}$")]


class Check(ClosedModel):
    """What a value may be: bounds (in units of the column) or a list."""

    min: Decimal | None = None
    above: Decimal | None = None
    max: Decimal | None = None
    one_of: Texts | None = None


class Column(ClosedModel):
    """One column of an extract: its Chinese title (also a header), its type, when it is refused."""

    title: str
    type: ColumnType
    headers: Texts = []
    required: Switch = False
    required_when: dict[str, str] = {}
    on_bad: Literal["refuse", "null"] = "refuse"
    values: dict[str, Texts] = {}
    check: Check | None = None
    by: str | None = None
    checks: dict[str, Check] = {}
    future: Switch = False
    months_ahead: int = Field(default=0, ge=0)
    not_before: str | None = None
    max_null_share: Decimal | None = None


class Span(ClosedModel):
    """From one date column to another; `open_end`: a missing end means that it still runs."""

    begins: str = Field(alias="from")
    ends: str = Field(alias="to")
    open_end: Switch = True


class Within(ClosedModel):
    """A window of dates: the last n months up to the scoring date."""

    of: str
    last_months: int = Field(gt=0)


class Turns(ClosedModel):
    """The child in the ID column `of` turns `age` in the current school year.

    That is the one that ends on the next 31 August, from the scoring date on.
    """

    of: str
    age: int = Field(gt=0)


class Listed(ClosedModel):
    """A row counts when a reference table lists its value for the year of the scoring date."""

    table: str
    column: str


class Lookup(ClosedModel):
    """A reference value for facts of the same person.

    It stands in the newest row (by month, up to the month scored) whose columns equal the facts.
    """

    table: str
    match: dict[str, str]
    newest: str
    value: str


class Fact(ClosedModel):
    """One thing known of a resident on the scoring date, measured over one source's rows.

    `where` filters by column values, `current`, `open`, `within`, `turns`, `listed` by date or
    reference table; `pick` keeps the person's row that is greatest by these columns; `clip` bounds
    a record before it is summed; `weights` multiplies it by the value of another column;
    `otherwise` is the level of a person without any. A person without a `value` has no (yes/no) or
    0 (what is counted); yuan are a price, and a price that nobody knows is null.
    """

    title: str
    unit: Unit
    meaning: str
    meaning_en: str
    measure: Measure | None = None
    of: str | None = None
    where: dict[str, Texts] = {}
    current: Span | None = None
    open: Span | None = None
    within: Within | None = None
    turns: Turns | None = None
    listed: Listed | None = None
    pick: Texts = []
    clip: Check | None = None
    weights: dict[str, dict[str, Decimal]] = {}
    ladder: list[Texts] = []
    otherwise: str | None = None
    years: int | None = None
    keys: Texts = []
    levels: dict[str, str] = {}
    lookup: Lookup | None = None
    derive: str | None = None
    restricted: Switch = False

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        ways = [self.measure is not None, self.lookup is not None, self.derive is not None]
        if sum(ways) != 1:
            raise ValueError("measure、lookup、derive 三者须有且只有一个")
        return self


class Ledger(ClosedModel):
    """Postings: of each person and `per` the newest by `newest` decides, on a tie the one in `tie`.

    It counts if `holds`.
    """

    per: Texts
    newest: str
    tie: dict[str, str]
    holds: dict[str, str]


class Quota(ClosedModel):
    """Rows count while their running sum stays within the quota.

    The sum runs per `per` and calendar year of `date`; the quota stands in a reference table.
    """

    table: str
    per: str
    date: str
    of: str
    order: Texts
    unless: dict[str, str]


class Spine(ClosedModel):
    """The registry: whose rows are the residents scored, and where district, name and so on are."""

    where: dict[str, str]
    district: str
    community: str
    name: str
    phone: str


class Corrects(ClosedModel):
    """Outcomes of objections.

    Of those that hold on the scoring date the newest `decided` (then key) counts per target.
    """

    target: str
    value: str
    holds: dict[str, str]
    valid: Span
    decided: str


class Source(ClosedModel):
    """One department's extract: how it is delivered, its key, columns, facts, which rows count."""

    source: Name
    title: str
    department: str
    delivery: Literal["snapshot", "increment"]
    person: str
    key: Texts = []
    prefer: str | None = None
    carry_forward: int = Field(default=0, ge=0)
    encoding: Literal["utf-8", "gb18030"] = "utf-8"
    spine: Spine | None = None
    corrects: Corrects | None = None
    standing: dict[str, str] = {}
    ledger: Ledger | None = None
    quota: Quota | None = None
    columns: dict[Name, Column]
    facts: dict[Name, Fact] = {}
    synthetic: Synthetic | None = None
