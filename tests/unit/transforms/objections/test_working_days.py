"""Due days: by the State Council's holidays, and the weekends that are worked for them."""

from __future__ import annotations

import datetime as dt

import pytest

from transforms.objections.working_days import find_due_day, has_calendar, is_working_day


@pytest.mark.parametrize(
    ("filed", "days", "due"),
    [
        ("2021-09-30", 1, "2021-10-08"),  # seven days of National Day
        ("2021-09-30", 2, "2021-10-09"),  # a Saturday that is worked
        ("2024-02-09", 1, "2024-02-18"),  # Spring Festival, then a Sunday that is worked
        ("2024-03-01", 5, "2024-03-08"),  # an ordinary week
        ("2024-03-02", 1, "2024-03-04"),  # filed on a Saturday
    ],
)
def test_holidays_do_not_count_and_worked_weekends_do(filed: str, days: int, due: str) -> None:
    assert find_due_day(dt.date.fromisoformat(filed), days) == dt.date.fromisoformat(due)


def test_a_year_that_is_not_announced_yet_counts_monday_to_friday() -> None:
    day = dt.date(2099, 10, 1)
    assert not has_calendar(day) and is_working_day(day) == (day.isoweekday() <= 5)
    assert find_due_day(day, 5) == day + dt.timedelta(days=7)
    assert has_calendar(dt.date(2021, 10, 1)) and not is_working_day(dt.date(2021, 10, 1))
