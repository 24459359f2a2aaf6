"""The schedule: `jifen serve` runs the month before on one day of every month, in the city's own time."""

from __future__ import annotations

import warnings
from contextlib import redirect_stdout
from dataclasses import asdict
from functools import partial

from flows.city_time import TIMEZONE
from flows.orchestration import server
from flows.orchestration.schedule import Schedule, _schedule_file, find_due_month
from flows.pipeline.context import ProgressSink
from flows.pipeline.notify import notify
from flows.pipeline.runner import run_scheduled
from flows.settings import Settings
from flows.storage.files import to_canonical_json, write_atomically
from flows.storage.root import open_root


def serve_schedule(settings: Settings, schedule: Schedule, report_progress: ProgressSink) -> None:
    """Register the schedule with the operator's Prefect server, and run what is due, until stopped."""
    root = open_root(settings)
    server.require_server(root.path)
    write_atomically(_schedule_file(root), to_canonical_json(asdict(schedule)))
    from flows.orchestration.flow import serve_months

    report_progress(
        f"每月 {schedule.day} 日 {schedule.time}（{TIMEZONE}）计算上一个月；停止用 Ctrl-C"
    )
    work, ended = (
        partial(run_scheduled, settings, report_progress),
        partial(notify, settings, report_progress),
    )
    warnings.filterwarnings(
        "ignore", "coroutine 'Runner.astop' was never awaited"
    )  # Prefect's own, at every stop
    with (
        (root.prefect / "serve.log").open("a") as log,
        redirect_stdout(log),
    ):  # it prints traces of lost connections
        serve_months(work, find_due_month, ended, schedule.cron, TIMEZONE)
