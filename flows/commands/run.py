"""`jifen run` and `jifen backfill`: months one after the other, each as a Prefect flow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial

from expectations.errors import ExitCode, JifenError
from expectations.month import Month
from flows.orchestration.server import use_server
from flows.pipeline.context import RunContext, RunOptions
from flows.pipeline.notify import notify
from flows.pipeline.progress import NULL_PROGRESS, Advance, ProgressSink
from flows.pipeline.result import RunResult, failed
from flows.pipeline.runner import prepare_run, run_month
from flows.pipeline.stages import StageRunner
from flows.project import Project
from flows.settings import Settings
from flows.storage.root import Root, open_root


def run_months(
    settings: Settings,
    months: Sequence[Month],
    options: RunOptions,
    report_progress: ProgressSink,
    advance: Advance = NULL_PROGRESS,
) -> list[RunResult]:
    """Run these months one after the other, each as a Prefect flow.

    Raises:
        JifenError: A month failed; the months before it stay published. Or all are published, and
            one has not arrived everywhere.
    """
    with _open_root(settings, months, report_progress) as (root, project):
        _refuse_unknown_sources(project, options)
        if options.accept:
            root.operator.require_named()
        results = []
        for month in months:
            own = replace(options, is_last_of_run=month == months[-1])
            run = RunContext(project, root, root.key(), month, own)
            results.append(_run_with_prefect(run, report_progress, advance))
        # What has not arrived of a month keeps no later month from being published.
        missing = [result.error for result in results if result.error]
        if missing:
            raise missing[0] from None
        return results


@contextmanager
def _open_root(
    settings: Settings, months: Sequence[Month], report_progress: ProgressSink
) -> Iterator[tuple[Root, Project]]:
    """Hold the root, with a Prefect server, once everything declared and published is in order.

    What stops the first month before it has begun is notified like what stops it later.
    """
    with ExitStack() as stack:
        try:
            root = open_root(settings)
            stack.enter_context(root.lock())
            server = stack.enter_context(use_server(root.path))
            project = prepare_run(root, settings, months, report_progress)
            if server:
                server.wait_until_ready()
        except Exception as error:
            notify(settings, report_progress, failed(months[0], error))
            raise
        yield root, project


def _refuse_unknown_sources(project: Project, options: RunOptions) -> None:
    """Refuse (exit 2) an option for a source that nobody declared: a typing mistake."""
    given = {"--allow-missing": options.allowed_missing, "--same": options.allowed_same}
    for option, reasons in given.items():
        unknown = [name for name in reasons if name not in project.sources]
        if unknown:
            hint = f"来源有：{'、'.join(project.sources)}"
            what = f"{option}：没有来源 {'、'.join(unknown)}"
            raise JifenError(ExitCode.USAGE, what, hint=hint)


def _run_with_prefect(
    run: RunContext, report_progress: ProgressSink, advance: Advance
) -> RunResult:
    from flows.orchestration.flow import run_with_prefect

    def work(month: Month, call: StageRunner) -> RunResult:
        return run_month(run, report_progress, call, advance)

    on_finished = partial(notify, run.project.settings, report_progress)
    result = run_with_prefect(work, run.month, on_finished)
    if result.error and result.state != "undelivered":
        raise result.error from None
    return result
