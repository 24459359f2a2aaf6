"""A statement as data: one resident's row, and the words that all rows of a month share.

A row and the words give the whole page; docs/reference/statements.md says how. `SCHEMA_VERSION`
stands in the manifest and counts up with every change of either.
"""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA_VERSION = 2


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


ClosedBy = Literal["when", "unless", "replaced"]
"""What can close an indicator: see `closed_by_column`."""


class Line(_Model):
    """One indicator of a person."""

    code: str
    """Of the city's table as it is; of a district's with the district before it, 330212:award."""
    rule_points: Decimal
    """What the rule gives alone: before guards, cap and correction."""
    points: Decimal
    """What counts."""
    closed_by: ClosedBy | None
    """What closed the indicator: a guard, or the district's own that stands in its place."""
    capped: bool
    """Whether the indicator's own cap took points away."""
    case_id: str | None
    """The case that set the points."""


class Sum(_Model):
    """A group or section of a person."""

    code: str
    """Of a group or section, as those of lines."""
    before_cap: Decimal
    """What stands in it, added up or the highest."""
    points: Decimal
    """What counts: at most the cap."""


class Moved(_Model):
    """A points column that is not what it was in the month before; null where it was not there."""

    code: str
    """Of an indicator or section, or `common`, `district`, `total` (`items` in the texts)."""
    before: Decimal | None
    """The points of the month before."""


class ChangeSince(_Model):
    """The total of the month before as published (null: not scored then), and what moved."""

    total: Decimal | None
    """The total of the month before."""
    moved: list[Moved]
    """Every points column that differs."""


class ServiceLine(_Model):
    """A service that is open to the person's district."""

    code: str
    """Of the service."""
    reached: bool
    """Whether all conditions hold and the threshold is reached; of a service of children: whether
    a child of this person has reached it."""
    score: Decimal
    """What the service counts."""
    points_short: Decimal
    """Points that lack to the threshold; 0 when it is reached."""
    unmet: list[int]
    """The conditions that do not hold, numbered from 1 as the service declares them."""
    monthly_amount: Decimal | None
    """Yuan a month once reached; null where a condition does not hold, or nothing is paid."""


class RankLine(_Model):
    """A person's place in a service that is ranked."""

    code: str
    """Of the service."""
    rank_class: str | None
    """The class that is compared first; null without classes, or in none of them."""
    rank: int
    """The place; equals share one."""


class ChildLine(_Model):
    """A child of a person who has a service of children within reach."""

    code: str
    """Of the service."""
    born_on: dt.date
    """The child's birth date."""
    level: str
    """The level of school that the child is due for."""
    district: str
    """The district whose threshold and rank hold: of the guardian with the highest score."""
    reached: bool
    """Whether the child's score reaches the threshold."""
    score: Decimal
    """What the service counts for the child."""
    points_short: Decimal
    """Points that lack to the threshold; 0 when it is reached."""
    monthly_amount: Decimal | None
    """Yuan a month once reached; null where nothing is paid."""
    guardians: int
    """How many guardians meet the conditions."""
    counted: list[str]
    """The parts in which this person's points count: `score` for all of them, or points columns."""
    rank_class: str | None
    """The class that is compared first; null without classes, or in none of them."""
    rank: int | None
    """The child's place; null when the service has no ranks."""


class OpenObjection(_Model):
    """An objection that is not decided yet."""

    case_id: str
    """Number of the case."""
    target: str
    """What it is about: an indicator, or `fact:` and a fact."""
    due_on: dt.date
    """By when it must be decided."""


class StatementRow(_Model):
    """One scored resident of one month."""

    resident_id: str
    """18-character ID."""
    name: str | None
    """As registered; masked when shown."""
    district: str
    """District of residence."""
    month: dt.date
    """First day of the month scored."""
    revision: int
    """Of the month."""
    lines: list[Line]
    """Every indicator of the city's and the district's table, in table order."""
    sums: list[Sum]
    """Groups, inner ones first, and sections."""
    common_points: Decimal
    """The city's sections."""
    district_points: Decimal
    """The district's section."""
    total_points: Decimal
    """Common and district points."""
    change: ChangeSince | None
    """Null when the month before is not published."""
    facts: dict[str, Any]
    """The facts that evidence sentences name, and under `corrected` those that cases set."""
    services: list[ServiceLine]
    """Every service open to the district."""
    open_objections: list[OpenObjection]
    """Objections that are not decided."""
    ranks: list[RankLine] = []
    """The person's places in services that are ranked; no column where none is."""
    children: list[ChildLine] = []
    """The person's children in services of children; no column where there are none."""


Form = Literal[
    "number", "yes_no", "level", "date", "month", "by_year", "by_key", "children", "text"
]  # fmt: skip


class FactText(_Model):
    """How a fact is called, and how its value is put."""

    title: str
    """Chinese title."""
    form: Form
    """How a value is put."""
    levels: dict[str, str] = {}
    """Level -> its title, for the form `level`."""


class VersionText(_Model):
    """A points table in force."""

    authority: str
    """`city` or a district."""
    title: str
    """Of the table."""
    begins: str = Field(alias="from")
    """Since when the version holds."""
    basis: str
    """Its regulation."""


class IndicatorText(_Model):
    """The words of an indicator."""

    code: str
    """As in the lines of rows."""
    authority: str
    """`city` or a district."""
    parent: str
    """Code of the sum that it stands in."""
    title: str
    """Chinese title."""
    evidence: str
    """A sentence with names of facts in braces; `value` is the indicator's own."""
    fact: str | None
    """Its own fact: a name, or an entry of `awards` by key (`awards/330212:local_volunteer`)."""
    rule: str
    """The rule in words."""
    basis: str
    """The clause."""
    values: str
    """`published`, or `illustrative`: an example that nobody has approved."""
    cap: str | None
    """The most that it gives."""
    guards: dict[str, str]
    """`when`, `unless`, `replaced` -> why the indicator is closed by it."""
    departments: list[str]
    """Who answers for the evidence."""


class SumText(_Model):
    """The words of a group or section."""

    code: str
    """As in the sums of rows."""
    authority: str
    """`city` or a district."""
    parent: str | None
    """Code of the sum that it stands in; null for a section."""
    title: str
    """Chinese title."""
    combine: Literal["sum", "highest"]
    """Whether its members add up, or only the highest counts."""
    cap: str | None
    """The most that it gives."""
    subtract: bool
    """Whether it is taken off the common points."""


class ServiceText(_Model):
    """The words of a service."""

    code: str
    """As in the services of rows."""
    title: str
    """Chinese title."""
    department: str
    """Who is responsible."""
    threshold: dict[str, str]
    """District, or `default` -> points that it asks for."""
    conditions: list[str]
    """The sentence for each condition that does not hold."""
    ranked: Literal["district", "city"] | None = None
    """Among whom people are ranked; null: the service has no ranks."""
    guardians: Literal["highest", "chosen", "sum", "parts"] | None = None
    """How guardians' points make a child's; null: it is no service of children."""


class StatementTexts(_Model):
    """`texts.json`: everything that the statements of a month share."""

    schema_version: int
    """Version of rows and texts."""
    month: str
    """YYYY-MM."""
    as_of: str
    """The scoring date."""
    compared_with: str | None
    """The revision of the month before, or null."""
    districts: dict[str, str]
    """Names by code."""
    versions: list[VersionText]
    """The points tables in force."""
    indicators: list[IndicatorText]
    """In table order."""
    sums: list[SumText]
    """Groups, inner ones first, and sections."""
    items: dict[str, str]
    """Code -> title of everything that can have moved, in the order in which it is listed."""
    services: list[ServiceText]
    """In the order in which they are listed."""
    facts: dict[str, FactText]
    """By name."""
    values: dict[str, str]
    """How a value is put: see docs/reference/statements.md."""
    surnames: list[str]
    """Surnames of two characters: of a name of three or more they are shown whole."""
    sentences: dict[str, str]
    """The sentences of the page, with names in braces."""


def render_statement_schema() -> str:
    """Return the JSON Schema of statements' rows and texts."""
    schemas = {
        "row": StatementRow.model_json_schema(mode="serialization"),
        "texts": StatementTexts.model_json_schema(mode="serialization", by_alias=True),
    }
    definitions: dict[str, object] = {}
    for name, schema in schemas.items():
        definitions |= {**schema.pop("$defs", {}), name: schema}
    whole = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"statements-{SCHEMA_VERSION}",
        "$defs": definitions,
    }
    return json.dumps(whole, ensure_ascii=False, indent=1) + "\n"
