"""Working days of the official calendar: public holidays, and weekends that are worked for them.

The State Council announces each year's days in the November before; the calendar library has them
from then on. Of a year that it does not know yet, Monday to Friday count.
"""

from __future__ import annotations

import datetime as dt

import chinese_calendar


def find_due_day(filed_on: dt.date, days: int) -> dt.date:
    """Return the last of so many working days after a day; that day itself does not count."""
    day = filed_on
    while days > 0:
        day += dt.timedelta(days=1)
        days -= is_working_day(day)
    return day


def is_working_day(day: dt.date) -> bool:
    """Return whether offices work on a day."""
    if not has_calendar(day):
        return day.isoweekday() <= 5
    return bool(chinese_calendar.is_workday(day))


def has_calendar(day: dt.date) -> bool:
    """Return whether the official calendar of the day's year is known."""
    try:
        chinese_calendar.is_workday(day)
    except NotImplementedError:
        return False
    return True
