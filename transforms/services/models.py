"""A service: its dated versions, and the reminder that goes out when it comes within reach.

Expressions (`when`, `score`, `monthly`) are those of `transforms.expressions.language`.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from expectations.yaml_document import ClosedModel, Switch
from transforms.reminders.models import ServiceReminder
from transforms.scalars import Code, Day, Factor, Mark, Result, Text, literal_type
from transforms.versions import DatedVersion, find_in_force, flat_examples


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
    """What must be true, and the sentence of what is lacking when it is false or unknown."""

    when: Text
    lacking: Text


def _by_district(value: Any) -> Any:
    return value if isinstance(value, dict) else {DEFAULT: value}


class Multiplier(ClosedModel):
    """The score counts `times` as much for those of whom `when` is true; without it for all."""

    times: Factor
    when: Text | None = None


class PointsNeeded(ClosedModel):
    """`score`, an expression over sums of points (unknown counts as 0), must reach `threshold`.

    The threshold is one number, or numbers by district code; `default` is for districts not named.
    Of `multipliers` the first that holds of a resident multiplies the score.
    """

    score: Text = "total_points"
    multipliers: list[Multiplier] = []
    threshold: Annotated[dict[Text, Threshold], BeforeValidator(_by_district), Field(min_length=1)]

    @property
    def described_score(self) -> str:
        """The score with its multipliers, as analysts read it."""
        factors = (
            f"* {one.times.normalize():f}" + (f" when {one.when}" if one.when else "")
            for one in self.multipliers
        )
        return "; ".join([self.score, *factors])


class RankClass(ClosedModel):
    """Those of whom `when` is true, and of no class before; whoever is in none comes last."""

    title: Text
    when: Text


def _read_key(value: Any) -> Any:
    return {"desc": value} if isinstance(value, str) else value


class RankKey(ClosedModel):
    """What ranks are decided by: an expression; the greatest is first (`desc`), or the least."""

    desc: Text | None = None
    asc: Text | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.desc is None) == (self.asc is None):
            raise ValueError("应为一个名称（大者在前），或 {asc: 名称}（小者在前）")
        return self

    @property
    def text(self) -> str:
        """The expression."""
        return self.desc or self.asc or ""

    @property
    def said(self) -> Any:
        """What a writer types."""
        return self.desc or {"asc": self.asc}


class Ranking(ClosedModel):
    """The order of those who have reached a service, then of those who lack only points.

    Classes come first, in their order; within a class the keys decide, one after the other; what is
    unknown comes last. Who is equal in all of them shares a rank. `per`: whom one is compared with.
    """

    per: Annotated[Literal["district", "city"], literal_type("district", "city")] = "district"
    classes: list[RankClass] = []
    by: Annotated[list[Annotated[RankKey, BeforeValidator(_read_key)]], Field(min_length=1)]


COMBINES = ("highest", "sum")
PICKED = ("highest", "chosen")


def _read_combination(value: Any) -> Any:
    if isinstance(value, dict):
        wrong = {one for one in value.values() if one not in COMBINES}
        if wrong or not value:
            raise ValueError("按分项写：{积分: highest 或 sum}")
    elif value not in (*PICKED, "sum"):
        raise ValueError("应为 highest、sum、chosen，或按分项写：{积分: highest 或 sum}")
    return value


class Guardians(ClosedModel):
    """How the points of those guardians of whom all conditions hold make a child's score.

    `points`: the `highest` score of any of them; the `sum` of the points of all; the score of the
    `chosen` one, of whom `chosen` is true; or by points column the highest or the sum. Sums are cut
    at `caps`. `children`: the fact that lists the children; `levels`: only those of these levels.
    """

    points: Annotated[
        Literal["highest", "sum", "chosen"] | dict[Text, Literal["highest", "sum"]],
        BeforeValidator(_read_combination),
    ]
    chosen: Text | None = None
    caps: dict[Text, Threshold] = {}
    children: Text = "children_due"
    levels: list[Text] = []

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        if (self.points == "chosen") != (self.chosen is not None):
            raise ValueError("points: chosen 与 chosen（选定谁的条件）须一同写")
        if self.caps and self.is_picked:
            raise ValueError("caps 只用于 sum 或按分项合计")
        return self

    @property
    def is_picked(self) -> bool:
        """Whether one guardian's score is the child's."""
        return self.points in PICKED

    @property
    def parts(self) -> dict[str, str]:
        """Points column -> how it is combined, where that is declared column by column."""
        return dict(self.points) if isinstance(self.points, dict) else {}


class Payment(ClosedModel):
    """Yuan a month: an expression over facts; null when unknown.

    It is rounded once, halves up, to whole yuan or to fen.
    """

    monthly: Text
    rounding: Annotated[Literal["yuan", "fen"], literal_type(*ROUNDINGS)]


class Origins(ClosedModel):
    """Which parts are published, and which are examples that the bureau has yet to set."""

    districts: Origin
    conditions: Origin
    points: Origin
    amount: Origin | None = None


class ServiceExample(ClosedModel):
    """One resident and what the service must say of them. What is not named is unknown, points 0.

    eligible: true, or false with `points_short` when only points are lacking, without it when
    something else is. Of a service of children it is one child: each of `guardians` has facts,
    points and, where it is not the child's, a district.
    """

    facts: dict[str, Any]
    guardians: list[dict[str, Any]] = []
    child_level: Text | None = None
    district: Text
    as_of: Day | None = None
    eligible: Switch
    points_short: Threshold | None = None
    monthly_amount: Mark | None = None

    @model_validator(mode="after")
    def _listed(self) -> Self:
        if self.eligible and self.points_short:
            raise ValueError("已达标的人不差分（points_short 不写）")
        return self

    @property
    def outcome(self) -> tuple[bool, Decimal | None, Decimal | None]:
        """Eligible, points short (None: no row), monthly amount."""
        return (
            self.eligible,
            Decimal(0) if self.eligible else self.points_short,
            self.monthly_amount,
        )


def _areas(value: Any) -> Any:
    if value != ALL and not (
        isinstance(value, list) and value and all(isinstance(code, str) for code in value)
    ):
        raise ValueError("应为 all（全市），或区县代码的列表")
    return value


class ServiceVersion(DatedVersion):
    """The service from the scoring date `from` on, until the next version begins.

    A resident has a row of the service when their residence district is among `districts` and all
    conditions are true; they are eligible when the score reaches the threshold. With
    `subject: child` children have rows, by the points of their guardians.
    """

    values: Origins
    subject: Annotated[Literal["resident", "child"], literal_type("resident", "child")] = "resident"
    guardians: Guardians | None = None
    districts: Annotated[Literal["all"] | list[Text], BeforeValidator(_areas)]
    conditions: list[Condition]
    points: PointsNeeded
    rank: Ranking | None = None
    amount: Payment | None = None
    window: Annotated[
        Literal["all_year", "school_calendar"], literal_type("all_year", "school_calendar")
    ]
    examples: Annotated[list[ServiceExample], flat_examples(ServiceExample), Field(min_length=1)]

    @model_validator(mode="after")
    def _origins(self) -> Self:
        if (self.amount is None) != (self.values.amount is None):
            raise ValueError("amount 与 values.amount 须同时写")
        if (self.subject == "child") != (self.guardians is not None):
            raise ValueError("subject: child 与 guardians（取谁的分）须同时写")
        return self

    @property
    def illustrative(self) -> list[str]:
        """The parts whose values the bureau has still to set."""
        return [
            part for part, origin in self.values.model_dump().items() if origin == "illustrative"
        ]

    def open_in(self, district: str) -> bool:
        """Whether residents of a district can have the service."""
        return self.districts == ALL or district in self.districts


class Service(ClosedModel):
    """What points give access to.

    Versions ascend by date; the reminder has none, as only the newest month sends reminders.
    """

    service: Code
    title: Text
    department: Text
    purpose: Text
    legal_basis: Text
    versions: list[ServiceVersion] = Field(min_length=1)
    reminder: ServiceReminder | None = None

    def in_force(self, as_of: dt.date) -> ServiceVersion | None:
        """Return the newest version that begins on or before the scoring date; None before it."""
        return find_in_force(self.versions, as_of)
