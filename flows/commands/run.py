"""`jifen run` and `jifen backfill`: months one after the other, each as a Prefect flow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial

from expectations.errors import ExitCode, JifenError
from expectations.month import Month
from flows.cli.progress import Advance, show_progress
from flows.pipeline.context import ProgressSink, RunContext
from flows.pipeline.notify import notify
from flows.pipeline.result import RunResult, failed
from flows.pipeline.runner import Attempt, _run_steps, open_project
from flows.project import Project
from flows.settings import Settings
from flows.storage.root import Root


def run_months(
    settings: Settings,
    months: Sequence[Month],
    allowed: Mapping[str, str],
    report_progress: ProgressSink,
    *,
    send: bool = False,
    accept: str | None = None,
) -> list[RunContext]:
    """Run these months one after the other, each as a Prefect flow. JifenError ends it; months done stay published.

    `accept`: why a month that has drifted too far is published all the same.
    """
    with (
        show_progress("准备") as doing,
        open_project_or_notify(settings, months, report_progress) as (project, root, key),
    ):
        _refuse_unknown_sources(project, allowed)
        return [
            _run_with_prefect(
                RunContext(project, root, key, month, allowed, send, month == months[-1], accept),
                report_progress,
                doing,
            )
            for month in months
        ]


@contextmanager
def open_project_or_notify(
    settings: Settings, months: Sequence[Month], report_progress: ProgressSink
) -> Iterator[tuple[Project, Root, bytes]]:
    """As `_opened`; what stops the first month before it has begun is notified like what stops it later."""
    with ExitStack() as stack:
        try:
            opened = stack.enter_context(open_project(settings, months, report_progress))
        except Exception as error:
            notify(settings, report_progress, failed(months[0], error))
            raise
        yield opened


def _refuse_unknown_sources(project: Project, allowed: Mapping[str, str]) -> None:
    """A source that may be missing, but that nobody declared, is a slip of the pen: exit 2."""
    unknown = [name for name in allowed if name not in project.sources]
    if unknown:
        hint = f"来源有：{'、'.join(project.sources)}"
        raise JifenError(
            ExitCode.USAGE, f"--allow-missing：没有来源 {'、'.join(unknown)}", hint=hint
        )


def _run_with_prefect(run: RunContext, report_progress: ProgressSink, doing: Advance) -> RunContext:
    from flows.orchestration.flow import run_with_prefect

    def work(month: Month, attempt: Attempt) -> RunResult:
        return _run_steps(report_progress, run, attempt, doing)

    outcome = run_with_prefect(
        work, run.month, partial(notify, run.project.settings, report_progress)
    )
    if outcome.error:
        raise outcome.error from None
    return run
