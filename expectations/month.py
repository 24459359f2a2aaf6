"""Calendar months: the unit in which everything is received, scored and published."""

from __future__ import annotations

import calendar
import datetime as dt
import re
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, order=True)
class Month:
    """One calendar month.

    `ordinal` counts months since year 0, so that differences are plain integers.
    """

    ordinal: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `YYYY-MM`.

        Raises:
            ValueError: The text is no month.
        """
        match = re.fullmatch(r"([0-9]{4})-(0[1-9]|1[0-2])", text)
        if not match:
            raise ValueError(f"{text!r} is not a month, YYYY-MM")
        return cls(int(match[1]) * 12 + int(match[2]) - 1)

    @classmethod
    def of(cls, day: dt.date) -> Self:
        """Return the month of a day."""
        return cls(day.year * 12 + day.month - 1)

    @classmethod
    def span(cls, first: Month, last: Month) -> list[Month]:
        """Return every month from first to last, both included."""
        return [Month(ordinal) for ordinal in range(first.ordinal, last.ordinal + 1)]

    @property
    def first_day(self) -> dt.date:
        """The first day of the month."""
        return dt.date(self.ordinal // 12, self.ordinal % 12 + 1, 1)

    @property
    def last_day(self) -> dt.date:
        """The last day of the month: its scoring date (`as_of`)."""
        year, month = self.ordinal // 12, self.ordinal % 12 + 1
        return dt.date(year, month, calendar.monthrange(year, month)[1])

    def __add__(self, months: int) -> Month:
        return Month(self.ordinal + months)

    def __sub__(self, months: int) -> Month:
        return Month(self.ordinal - months)

    def __str__(self) -> str:
        return f"{self.ordinal // 12:04d}-{self.ordinal % 12 + 1:02d}"
