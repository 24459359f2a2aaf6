"""Windows of facts: spans of calendar years, dates and months up to the scoring date, cut-off days."""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, Tag, WithJsonSchema, model_validator

from expectations.yaml_document import ClosedModel


def choose_form(text: str, mapping: str) -> Discriminator:
    """Return what distinguishes a value written as one word or list from one written as a mapping."""
    return Discriminator(lambda value: mapping if isinstance(value, dict | ClosedModel) else text)


class YearSpan(ClosedModel):
    """Calendar years: the `last` so many up to the scoring date's, or up to the one before it."""

    last: int = Field(gt=0, le=100)
    """How many calendar years."""
    ending: Literal["this", "previous"] = "this"
    """`this`: the scoring date's year is the last one; `previous`: the year before it is."""


Years = Annotated[
    Annotated[Annotated[int, Field(gt=0, le=100)], Tag("number")]
    | Annotated[YearSpan, Tag("span")],
    choose_form("number", "span"),
]


def list_years_ago(years: int | YearSpan) -> range:
    """Return calendar years as years before that of the scoring date, the newest first."""
    if isinstance(years, int):
        return range(years)
    first = 0 if years.ending == "this" else 1
    return range(first, first + years.last)


def _day_or_month(value: Any) -> str:
    text = str(value)
    try:
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}(-[0-9]{2})?", text):
            dt.date.fromisoformat(text if len(text) == 10 else f"{text}-01")
            return text
    except ValueError:
        pass
    raise ValueError("应为存在的日期 YYYY-MM-DD（按月的列写 YYYY-MM）")


DayOrMonth = Annotated[
    str,
    BeforeValidator(_day_or_month),
    WithJsonSchema({"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}(-[0-9]{2})?$"}),
]


class Within(ClosedModel):
    """A window of dates or months, up to the scoring date; one of the four kinds.

    `last_months: 24` are those after the day 24 months before the scoring date, of a month column
    the month scored and the 23 before it. `between` has two ends, both included.
    """

    of: str | None = None
    """Date or month column; left out where a measure has dates of its own."""
    last_months: int | None = Field(default=None, gt=0, le=1200)
    """How many months up to the scoring date."""
    ending: Literal["month", "month_before"] = "month"
    """With last_months: the last of them is the month scored, or the month before."""
    between: list[DayOrMonth] | None = Field(default=None, min_length=2, max_length=2)
    """First and last day (of a month column: month)."""
    since: DayOrMonth | None = None
    """First day (of a month column: month)."""
    calendar_years: YearSpan | None = None
    """Whole calendar years."""

    @property
    def kinds(self) -> list[str]:
        """The kinds of window given."""
        kinds = ("last_months", "between", "since", "calendar_years")
        return [kind for kind in kinds if getattr(self, kind) is not None]

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if len(self.kinds) != 1:
            raise ValueError("last_months、between、since、calendar_years 须写且只写一个")
        if self.ending != "month" and self.last_months is None:
            raise ValueError("ending 与 last_months 一同写；自然年写在 calendar_years 之内")
        if self.between and self.between[1] < self.between[0]:
            raise ValueError("between 的终点早于起点")
        if self.between and len(self.between[0]) != len(self.between[1]):
            raise ValueError("between 的两端写法应一致：都写到日，或都写到月")
        return self


class CutOffDay(ClosedModel):
    """A day of every year; the newest one on or before the scoring date counts."""

    month: int = Field(ge=1, le=12)
    """Month of the day."""
    day: int = Field(ge=1, le=31)
    """Day of the month; one that every year has."""

    @model_validator(mode="after")
    def _exists(self) -> Self:
        try:
            dt.date(2001, self.month, self.day)
        except ValueError:
            raise ValueError("不是每年都有的日子") from None
        return self


CutOff = Annotated[
    Annotated[Literal["first_of_month"], Tag("name")] | Annotated[CutOffDay, Tag("day")],
    choose_form("name", "day"),
]
