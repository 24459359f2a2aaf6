"""Run one month under the root's lock: preflight, stages, result, and the record of the run."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from expectations import gate
from expectations.errors import JifenError
from expectations.month import Month
from flows.pipeline.context import RunContext
from flows.pipeline.delivery import write_undelivered_report
from flows.pipeline.preflight import (
    refuse_changed_versions,
    refuse_illustrative,
    refuse_missing_keys,
)
from flows.pipeline.progress import NULL_PROGRESS, Advance, ProgressSink
from flows.pipeline.rekey import finish_rekey
from flows.pipeline.release import renew_catalogue
from flows.pipeline.report import write_blocked_report
from flows.pipeline.result import RunResult, failed, succeeded, undelivered
from flows.pipeline.stages import DELIVER_STAGE, StageRunner, StagesFailedError, run_stages
from flows.project import Project, load_project
from flows.settings import Settings
from flows.storage.files import write_atomically
from flows.storage.publish import finish_interrupted
from flows.storage.removals import finish_removals
from flows.storage.root import Root, open_root


def prepare_run(
    root: Root, settings: Settings, months: Sequence[Month], report_progress: ProgressSink
) -> Project:
    """Load the declarations, once everything declared and published is found in order.

    The caller holds the root's lock. A publication that was interrupted is finished.

    Raises:
        JifenError: Exit 10 or 15, something declared or published is not in order.
    """
    gate.preload()
    project = load_project(settings)
    for month in months:
        refuse_illustrative(project, month)
    refuse_changed_versions(project, root)
    refuse_missing_keys(project)
    for revision in finish_interrupted(root, root.key()):
        report_progress(f"{revision.month} 修订版 r{revision.number}：上次中断的发布已完成")
    for removal in finish_removals(root, root.key()):
        report_progress(f"上次中断的清理 p{removal.number} 已完成")
    if finish_rekey(root, project, report_progress):
        report_progress("上次中断的更换密钥已完成")
    renew_catalogue(project, root)
    return project


def run_month(
    run: RunContext,
    report_progress: ProgressSink,
    call: StageRunner,
    advance: Advance = NULL_PROGRESS,
) -> RunResult:
    """Run all stages of a month; whatever goes wrong is its result. Keep a record of it.

    Args:
        run: The run before its first stage.
        report_progress: Takes lines for the operator; the run's own are indented below.
        call: How a stage is run.
        advance: Where progress is shown.
    """
    month, begun = run.month, time.perf_counter()
    run = replace(run, report_progress=lambda line: report_progress(f"  {line}"))
    report_progress(f"{month} 开始")
    try:
        run = run_stages(run, call, advance)
        result = succeeded(run)
    except StagesFailedError as failure:
        run = failure.run
        if failure.stage is DELIVER_STAGE:
            result = undelivered(run, failure.error, write_undelivered_report(run))
        else:
            result = _report_failure(run, failure.error)
    with suppress(OSError):  # on a full disk the result itself says so
        write_atomically(run.record_path(".json"), result.to_record(run).to_json())
    if result.state == "unchanged":
        report_progress(
            f"{month} 修订版 r{result.revision} 仍然有效：输入没有变化，未发布新的修订版"
        )
    elif result.state in ("published", "undelivered"):
        seconds = time.perf_counter() - begun
        people = f"{result.residents:,} 人"
        report_progress(f"{month} 修订版 r{result.revision} 已发布：{people}，{seconds:.1f} 秒")
    if result.findings or result.state in ("published", "undelivered"):
        for line in result.described.lines:
            report_progress(line)
    return result


def _report_failure(run: RunContext, error: Exception) -> RunResult:
    """Return how the run failed; a month blocked by its deliveries gets its page."""
    if isinstance(error, JifenError):
        try:
            write_blocked_report(run, error)
        except Exception as another:
            return failed(run.month, another, run)
    return failed(run.month, error, run)


def run_scheduled(
    settings: Settings, report_progress: ProgressSink, month: Month, call: StageRunner
) -> RunResult:
    """Run the month that the schedule has started: what goes wrong beforehand is its result too."""
    try:
        root = open_root(settings)
        with root.lock():
            project = prepare_run(root, settings, [month], report_progress)
            run = RunContext(project, root, root.key(), month)
            result = run_month(run, report_progress, call)
    except Exception as error:
        result = failed(month, error)
    if result.error:
        what = "" if result.state == "undelivered" else "未发布："
        report_progress(f"{month} {what}{result.reason}")
    return result
