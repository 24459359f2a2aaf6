"""The city's own time, in which months, schedules and records are written."""

from __future__ import annotations

import datetime as dt

TIMEZONE = "Asia/Shanghai"
CITY_TIME = dt.timezone(dt.timedelta(hours=8), TIMEZONE)  # no summer time since 1991


def city_now() -> str:
    """Return the moment in the city's time, to the second, as ISO 8601 with its offset."""
    return dt.datetime.now(CITY_TIME).isoformat(timespec="seconds")
