"""`jifen serve`: run the month before on one day of every month, until stopped."""

from __future__ import annotations

import warnings
from contextlib import redirect_stdout
from functools import partial

from flows.city_time import TIMEZONE
from flows.orchestration.environment import prefect_environment
from flows.orchestration.schedule import find_due_month, parse_schedule, save_schedule
from flows.orchestration.server import require_server
from flows.pipeline.notify import notify
from flows.pipeline.progress import ProgressSink
from flows.pipeline.runner import run_scheduled
from flows.settings import Settings
from flows.storage.root import open_root


def serve_schedule(settings: Settings, day: int, time: str, report_progress: ProgressSink) -> None:
    """Register the schedule with the operator's Prefect server, and run what is due.

    Args:
        settings: The settings.
        day: The day of the month, 1 to 28.
        time: The time of day, `HH:MM`, in the city's time.
        report_progress: Takes lines for the operator.

    Raises:
        JifenError: Exit 2, there is no such day or time; exit 1, there is no server.
    """
    schedule = parse_schedule(day, time)
    root = open_root(settings)
    with prefect_environment(root.path) as home:
        require_server(root.path)
        save_schedule(root, schedule)
        from flows.orchestration.flow import serve_months

        when = f"每月 {schedule.day} 日 {schedule.time}（{TIMEZONE}）"
        report_progress(f"{when}计算上一个月；停止用 Ctrl-C")
        work = partial(run_scheduled, settings, report_progress)
        on_finished = partial(notify, settings, report_progress)
        # Prefect's own, at every stop.
        warnings.filterwarnings("ignore", "coroutine 'Runner.astop' was never awaited")
        # It prints traces of lost connections.
        with (home / "serve.log").open("a") as log, redirect_stdout(log):
            serve_months(work, find_due_month, on_finished, schedule.cron, TIMEZONE)
