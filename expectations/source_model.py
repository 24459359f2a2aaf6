"""What a source declares: its columns, what is refused, and the facts it yields.

One YAML file per source, closed: an unknown key is a mistake.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from expectations.fact_model import COUNTED_UNITS as COUNTED_UNITS
from expectations.fact_model import WHOLE_UNITS as WHOLE_UNITS
from expectations.fact_model import Check as Check
from expectations.fact_model import Fact as Fact
from expectations.fact_model import Move as Move
from expectations.fact_model import Span as Span
from expectations.fact_model import Texts
from expectations.synthetic_model import Synthetic
from expectations.yaml_document import ClosedModel, Switch

ColumnType = Literal[
    "id", "text", "date", "month", "amount", "integer", "yes_no", "set", "district", "area"
]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,40}$")]

PLACEHOLDERS = (
    "NULL", "(NULL)", "<NULL>", "\\N", "NIL", "NONE", "NA", "N/A", "<NA>", "NAN", "NAT",
    "#N/A", "#NULL!", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NUM!",
    "无", "空", "暂无", "不详", "未知", "不明", "待补", "缺失", "无数据", "未填", "未填写",
    "UNDEFINED", "-", "--", "—", "——", "/", "?", "？", "??", ".", "。", "…", "……", "[]", "{}",
)  # fmt: skip
"""What programs and people write where there is no value, in any case: read as empty; counted."""
STAND_IN_DATES = ("0001-01-01", "1899-12-30", "1899-12-31", "1900-01-01", "1970-01-01")
"""Days that programs write where there is no date (the zero days of SQL, Excel and Unix): empty."""


class Column(ClosedModel):
    """One column of an extract: its Chinese title (also a header), its type, when it is refused."""

    title: str
    """Chinese title; also accepted as a column header."""
    type: ColumnType
    """Type of the values."""
    headers: Texts = []
    """Other headers by which departments call the column."""
    required: Switch = False
    """A row without a value is refused."""
    required_when: dict[str, str] = {}
    """The value may be missing unless other columns have these values."""
    on_bad: Literal["refuse", "null"] = "refuse"
    """`refuse`: a bad value refuses the row; `null`: it is emptied, counted and reported."""
    values: dict[str, Texts] = {}
    """Allowed values of a set, each with the other ways in which departments write it."""
    check: Check | None = None
    """Bounds or list of allowed values."""
    by: str | None = None
    """Column that decides which of `checks` applies."""
    checks: dict[str, Check] = {}
    """Bounds by the value of the column `by`."""
    future: Switch = False
    """A date may lie after the month received."""
    months_ahead: int = Field(default=0, ge=0)
    """How many months ahead of the month received a month may lie."""
    first_month: str = Field(default="1980-01", pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$")
    """First month that a row can be for; a row for an earlier one is refused."""
    not_before: str | None = None
    """Date column that this date may not precede."""
    max_null_share: Decimal | None = None
    """Share of empty values above which the gate blocks the delivery."""


Share = Annotated[Decimal, Field(ge=0, le=1)]


class Ledger(ClosedModel):
    """Postings: of each person and `per` the newest by `newest` decides, on a tie the one in `tie`.

    It counts if `holds`.
    """

    per: Texts
    """Columns that, with the person, name what a posting is about."""
    newest: str
    """Date column by which the newest posting decides."""
    tie: dict[str, str]
    """Of postings of the same day the one with these values decides."""
    holds: dict[str, str]
    """What the posting is about stands if the deciding posting has these values."""


class Quota(ClosedModel):
    """Rows count while their running sum, or the number of their people, is within the quota.

    Both run per `per` and calendar year of `date`; the quota stands in a reference table.
    """

    table: str
    """Reference table of quotas by year."""
    per: str
    """Column whose rows share a quota."""
    date: str
    """Date column that gives the year."""
    of: str | None = None
    """Column that is summed; without `people`."""
    people: Switch = False
    """People are counted instead, each once a year, however many rows they have."""
    share: Share | None = None
    """With `people`: the quota is this share of the table's number of the year before, cut."""
    order: Texts
    """Columns by which rows use up the quota."""
    unless: dict[str, str]
    """Rows with these values need no quota."""

    @property
    def number(self) -> str:
        """The column of the reference table that has the quota."""
        return "people" if self.people else "points"


class Spine(ClosedModel):
    """The registry: whose rows are the residents scored, and where district, name and so on are."""

    where: dict[str, str]
    """Values of rows whose persons are scored."""
    district: str
    """Column of the district of residence."""
    community: str
    """Column of the residential community."""
    name: str
    """Column of the name."""
    phone: str
    """Column of the phone number."""


class Corrects(ClosedModel):
    """Outcomes of objections.

    Of those that hold on the scoring date the newest `decided` (then key) counts per target.
    """

    target: str
    """Column of the fact or indicator that is corrected."""
    value: str
    """Column of the corrected value."""
    holds: dict[str, str]
    """Values of rows that correct anything."""
    valid: Span
    """From when to when the correction holds."""
    decided: str
    """Date column of the decision; the newest counts."""


class Form(ClosedModel):
    """Rows come back in a list that the city handed out for its last columns to be filled in."""

    answers: Texts
    """Columns that are filled in; a row without any of them is unanswered: left out, counted."""
    shown: Texts = []
    """Headers of the list's other columns: not used, and not reported as undeclared."""


class Outcomes(ClosedModel):
    """What came of reminders; of several rows about one reminder the newest `date` counts."""

    reminder: str
    """Column of the reminder's number."""
    outcome: str
    """Column of what came of it."""
    date: str
    """Date column of the answer."""
    again: Texts
    """Outcomes after which the person is reminded again; so they are without any outcome."""
    wrong_number: Texts
    """Outcomes after which that waits until the registry has another phone number."""
    ends: Texts
    """Outcomes after which the reminder never comes back."""


class Objects(ClosedModel):
    """Objections: each is open until a correction has a decision with the same key."""

    target: str
    """Column of the fact or indicator that is objected to."""
    filed: str
    """Date column of the day on which it was filed."""
    channel: str
    """Column of how it was filed."""
    claim: str
    """Column of what the person says."""


Rows = Annotated[int, Field(ge=0)]


class Bounds(ClosedModel):
    """How much of one delivery may be bad before the gate blocks it.

    A bound with a share and a number of rows is broken when both are exceeded.
    """

    refused: Share | None = None
    """Share of refused rows; without it `[gate] quarantine_limit` of the settings."""
    refused_rows: Rows = 20
    """Refused rows that never block by this share."""
    refused_most: Share = Decimal("0.99")
    """Share of refused rows that blocks a small delivery, too: hardly a row of it is valid."""
    refused_most_rows: Rows = 5
    """Refused rows that never block, however small the delivery."""
    emptied: Share = Decimal("0.02")
    """Share of a column's values that are bad and were emptied."""
    emptied_rows: Rows = 20
    """Emptied values of a column that never block."""
    other_person: Share = Decimal("0.001")
    """Share of rows replaced by a row with the same key about another person."""
    other_person_rows: Rows = 5
    """Rows replaced by another person's that never block."""
    placeholders: Share | None = None
    """Share of a column's values that are placeholders or stand-in dates; none: no bound."""
    placeholder_rows: Rows = 20
    """Placeholders of a column that never block."""
    name_refused: Switch = False
    """Every refused row is named in the report by the first column of the key."""


class Source(ClosedModel):
    """One department's extract: how it is delivered, its key, columns, facts, which rows count."""

    source: Name
    """Name; the name of the file."""
    title: str
    """Chinese title."""
    department: str
    """Who delivers it."""
    from_districts: Switch = False
    """Each district delivers its own part, and gets back what is to be mended of that part only."""
    delivery: Literal["snapshot", "increment"]
    """`snapshot`: replaces the delivery before; `increment`: adds to all before."""
    person: str
    """ID column of the person whom a row is about."""
    file_names: Texts = []
    """Further names that its files in the inbox may have, besides its name and its title."""
    key: Texts = []
    """Columns that identify a row; of equal keys the row received last counts."""
    prefer: str | None = None
    """Of equal keys in one delivery, the row greatest in this column counts."""
    carry_forward: int = Field(default=0, ge=0)
    """Snapshots: for how many months the newest one stands in for a missing delivery."""
    optional: Switch = False
    """A month without a delivery has no rows of it; nobody needs to allow that."""
    encoding: Literal["utf-8", "gb18030"] | None = None
    """The only encoding that text files may have; without it, it is found by itself."""
    spine: Spine | None = None
    """This source is the registry: its rows are the residents scored."""
    corrects: Corrects | None = None
    """This source holds corrections of facts and indicators."""
    objects: Objects | None = None
    """This source holds objections to facts and indicators."""
    outcomes: Outcomes | None = None
    """This source holds what came of reminders."""
    form: Form | None = None
    """How a list that the city handed out comes back."""
    standing: dict[str, str] = {}
    """Only rows with these values count for facts; a row received later can take one back."""
    ledger: Ledger | None = None
    """This source holds postings, of which the newest decides."""
    quota: Quota | None = None
    """Rows count only within a yearly quota."""
    bounds: Bounds = Bounds()
    """How much of a delivery may be bad before the gate blocks it."""
    columns: dict[Name, Column]
    """The columns, by name."""
    facts: dict[Name, Fact] = {}
    """The facts computed from this source, by name."""
    synthetic: Synthetic | None = None
    """How believable rows are made up; without it, `jifen demo` and `jifen synth` make none."""

    def list_columns_of(self, kind: ColumnType) -> list[str]:
        """Return the names of the columns of a type."""
        return [name for name, column in self.columns.items() if column.type == kind]
