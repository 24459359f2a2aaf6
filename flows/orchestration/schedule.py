"""The schedule of `jifen serve`: the month before, on one day of every month, in city time."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

from expectations.errors import ExitCode, JifenError
from expectations.month import Month
from flows.city_time import CITY_TIME
from flows.storage.files import write_atomically
from flows.storage.records import Record
from flows.storage.root import Root


class Schedule(Record):
    """The day of the month, and the time of day, at which the month before is run."""

    day: int = 5
    time: str = "02:00"

    @property
    def cron(self) -> str:
        """The schedule as cron has it."""
        hour, minute = map(int, self.time.split(":"))
        return f"{minute} {hour} {self.day} * *"

    @property
    def daily_cron(self) -> str:
        """The time of day as cron has it, for what is done every day."""
        hour, minute = map(int, self.time.split(":"))
        return f"{minute} {hour} * * *"

    def due(self, month: Month) -> dt.datetime:
        """Return when a month is run, and all of its extracts have to be there."""
        day = (month + 1).first_day.replace(day=self.day)
        return dt.datetime.combine(day, dt.time.fromisoformat(self.time), CITY_TIME)

    def newest_due(self, today: dt.date) -> Month:
        """Return the newest month that is due on this day."""
        return Month.of(today) - (1 if today.day >= self.day else 2)


def parse_schedule(day: int, time: str) -> Schedule:
    """Return the schedule of the command's options.

    Raises:
        JifenError: Exit 2, not every month has such a day, or there is no such time.
    """
    if not 1 <= day <= 28:
        raise JifenError(ExitCode.USAGE, f"--day {day}：应为 1 到 28", hint="29 日以后并非每月都有")
    if not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", time):
        raise JifenError(ExitCode.USAGE, f"--time {time}：不是时刻", hint="写成 HH:MM，如 02:00")
    return Schedule(day=day, time=time)


def find_due_month(moment: dt.datetime) -> Month:
    """Return the month that is run at this moment."""
    return Month.of(moment.astimezone(CITY_TIME).date()) - 1


def load_schedule(root: Root) -> Schedule:
    """Return what `jifen serve` was last started with; the default before.

    Raises:
        JifenError: Exit 15, the record is damaged.
    """
    file = _schedule_file(root)
    try:
        return Schedule.from_json(file.read_bytes())
    except FileNotFoundError:
        return Schedule()
    except ValueError:
        hint = "再次启动 jifen serve，会重新写入"
        raise JifenError(ExitCode.DAMAGE, "定时记录已损坏", where=str(file), hint=hint) from None


def save_schedule(root: Root, schedule: Schedule) -> None:
    """Write down what `jifen serve` is started with."""
    write_atomically(_schedule_file(root), schedule.to_json())


def _schedule_file(root: Root) -> Path:
    return root.runs / "schedule.json"
