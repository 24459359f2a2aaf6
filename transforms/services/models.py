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
from transforms.scalars import Code, Day, Mark, Result, Text, literal_type
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


class PointsNeeded(ClosedModel):
    """`score`, an expression over sums of points (unknown counts as 0), must reach `threshold`.

    The threshold is one number, or numbers by district code; `default` is for districts not named.
    """

    score: Text = "total_points"
    threshold: Annotated[dict[Text, Threshold], BeforeValidator(_by_district), Field(min_length=1)]


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
    something else is.
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


def _areas(value: Any) -> Any:
    if value != ALL and not (
        isinstance(value, list) and value and all(isinstance(code, str) for code in value)
    ):
        raise ValueError("应为 all（全市），或区县代码的列表")
    return value


class ServiceVersion(DatedVersion):
    """The service from the scoring date `from` on, until the next version begins.

    A resident has a row of the service when their residence district is among `districts` and all
    conditions are true; they are eligible when the score reaches the threshold.
    """

    values: Origins
    districts: Annotated[Literal["all"] | list[Text], BeforeValidator(_areas)]
    conditions: list[Condition]
    points: PointsNeeded
    amount: Payment | None = None
    window: Annotated[
        Literal["all_year", "school_calendar"], literal_type("all_year", "school_calendar")
    ]
    examples: Annotated[list[ServiceExample], flat_examples(ServiceExample), Field(min_length=1)]

    @model_validator(mode="after")
    def _origins(self) -> Self:
        if (self.amount is None) != (self.values.amount is None):
            raise ValueError("amount 与 values.amount 须同时写")
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
