"""`jifen serve`: run the month before on one day of every month, until stopped."""

from __future__ import annotations

import datetime as dt
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from functools import partial

from flows.city_time import CITY_TIME, TIMEZONE
from flows.commands.status import find_missing_sources, list_source_titles
from flows.orchestration.environment import prefect_environment
from flows.orchestration.schedule import (
    find_due_month,
    load_schedule,
    parse_schedule,
    save_schedule,
)
from flows.orchestration.server import require_server
from flows.pipeline.notify import notify
from flows.pipeline.progress import ProgressSink
from flows.pipeline.result import RunResult
from flows.pipeline.runner import run_scheduled
from flows.project import load_project
from flows.settings import Settings
from flows.storage.revisions import find_published
from flows.storage.root import Root, open_root

WAIT_SECONDS = 5.0


def serve_schedule(settings: Settings, day: int, at: str, report_progress: ProgressSink) -> None:
    """Register the schedule with the operator's Prefect server, and run what is due.

    Args:
        settings: The settings.
        day: The day of the month, 1 to 28.
        at: The time of day, `HH:MM`, in the city's time.
        report_progress: Takes lines for the operator.

    Raises:
        JifenError: Exit 2, there is no such day or time; exit 1, there is no server.
    """
    schedule = parse_schedule(day, at)
    root = open_root(settings)
    with prefect_environment(root.path) as home:
        require_server(root.path)
        save_schedule(root, schedule)
        from flows.orchestration.flow import ServedTimes, serve_months

        when = f"每月 {schedule.day} 日 {schedule.time}（{TIMEZONE}）"
        report_progress(f"{when}计算上一个月；停止用 Ctrl-C")
        work = partial(run_scheduled, settings, report_progress)
        remind = partial(remind_of_missing, settings, report_progress)
        on_finished = partial(notify, settings, report_progress)
        # Prefect's own, at every stop.
        warnings.filterwarnings("ignore", "coroutine 'Runner.astop' was never awaited")
        # It prints traces of lost connections.
        with (home / "serve.log").open("a") as log, redirect_stdout(log):
            _end_lost_runs(root, on_finished)
            serve_months(
                work,
                find_due_month,
                on_finished,
                ServedTimes(schedule.cron, schedule.daily_cron, TIMEZONE),
                remind if settings.schedule.remind_days else None,
            )


def _end_lost_runs(root: Root, on_finished: Callable[[RunResult], None]) -> None:
    """End the runs that a power cut has left; one whose process still holds the root, when it ends.

    They would keep the next one waiting.
    """
    from flows.orchestration.flow import end_lost_runs, find_lost_runs

    lost = find_lost_runs()

    def end() -> None:
        while root.held():
            time.sleep(WAIT_SECONDS)
        end_lost_runs(lost, find_due_month, on_finished)

    if not root.held():
        end()
    elif lost:
        threading.Thread(target=end, daemon=True).start()


def remind_of_missing(
    settings: Settings, report_progress: ProgressSink, today: dt.date | None = None
) -> RunResult | None:
    """Report the sources of the coming month that are not here yet, on the days set for it.

    Returns:
        What was sent; None where nothing was.
    """
    root, project = open_root(settings), load_project(settings)
    schedule = load_schedule(root)
    today = today or dt.datetime.now(CITY_TIME).date()
    month = schedule.newest_due(today) + 1
    left = (schedule.due(month).date() - today).days
    if left not in settings.schedule.remind_days or find_published(root, month):
        return None
    missing, _ = find_missing_sources(project, root, month)
    if not missing:
        return None
    what = f"距 {month} 的截止时间还有 {left} 天，缺少：{list_source_titles(project, missing)}"
    result = RunResult(month, "due", reason=what, hint="请催交；交齐以后到时自动运行")
    notify(settings, report_progress, result)
    return result
