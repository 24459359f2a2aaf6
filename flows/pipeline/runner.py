"""Run months: the lock, the server in the background, the steps, and the record of the run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from expectations import gate
from expectations.month import Month
from flows.cli.progress import NULL_PROGRESS, Advance
from flows.orchestration import server
from flows.pipeline.context import ProgressSink, RunContext
from flows.pipeline.preflight import (
    refuse_changed_versions,
    refuse_illustrative,
    refuse_missing_keys,
)
from flows.pipeline.release import renew_catalogue
from flows.pipeline.result import RunResult, failed, succeeded
from flows.pipeline.stages import STAGES, Stage
from flows.project import Project, load_project
from flows.settings import Settings
from flows.storage import publish
from flows.storage.files import to_canonical_json, write_atomically
from flows.storage.root import Root, open_root

Attempt = Callable[[Stage, RunContext], object]


def run_scheduled(
    settings: Settings, report_progress: ProgressSink, month: Month, attempt: Attempt
) -> RunResult:
    """The month within a flow run that the schedule has started: what goes wrong beforehand is its outcome too."""
    try:
        with open_project(settings, [month], report_progress) as (project, root, key):
            outcome = _run_steps(report_progress, RunContext(project, root, key, month), attempt)
    except Exception as error:
        outcome = failed(month, error)
    if outcome.error:
        report_progress(f"{month} 未发布：{outcome.reason}")
    return outcome


@contextmanager
def open_project(
    settings: Settings, months: Sequence[Month], report_progress: ProgressSink
) -> Iterator[tuple[Project, Root, bytes]]:
    """The root, held for these months, once everything declared and published is found in order."""
    root = open_root(settings)
    with root.lock():
        if server.start_server_early(root.path):
            server.require_server(root.path)
        gate.preload()
        project = load_project(settings)
        for month in months:
            refuse_illustrative(project, month)
        refuse_changed_versions(project, root)
        refuse_missing_keys(project)
        key = root.key()
        for revision in publish.finish_interrupted(root, key):
            report_progress(f"{revision.month} 第 {revision.number} 版：上次中断的发布已完成")
        renew_catalogue(project, root)
        yield project, root, key


def _run_steps(
    report_progress: ProgressSink, run: RunContext, attempt: Attempt, doing: Advance = NULL_PROGRESS
) -> RunResult:
    """Every step of the month, and the record of it."""
    month, begun = run.month, time.perf_counter()
    run.report_progress = lambda line: report_progress(f"  {line}")
    try:
        report_progress(f"{month} 开始")
        for number, step in enumerate(STAGES, 1):
            doing(f"{month} {step.title}", number, len(STAGES))
            attempt(step, run)
        outcome = succeeded(run)
    except Exception as error:
        outcome = failed(month, error, run)
    record = outcome.facts() | {"started_at": run.started, "seconds": run.timings}
    with suppress(OSError):  # on a full disk the outcome itself says so
        write_atomically(run.record(".json"), to_canonical_json(record))
    if outcome.state == "unchanged":
        report_progress(f"{month} 第 {outcome.revision} 版仍然有效：输入没有变化，未发布新版本")
    elif outcome.state == "published":
        seconds = time.perf_counter() - begun
        report_progress(
            f"{month} 第 {outcome.revision} 版已发布：{outcome.residents:,} 人，{seconds:.1f} 秒"
        )
    return outcome
