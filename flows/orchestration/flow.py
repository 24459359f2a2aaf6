"""The month as a Prefect flow: the only module with flow and task decorators.

Import it within `flows.orchestration.environment.prefect_environment`: Prefect reads its settings
when it is imported. Prefect sees stage names, states, one redacted sentence per failure and a page
of counts; parameters, results and errors never reach it.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from uuid import UUID

from prefect import Flow, State, flow, get_client, runtime, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import (
    ConcurrencyLimitConfig,
    ConcurrencyLimitStrategy,
    FlowRun,
)
from prefect.schedules import Cron
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
from prefect.states import Failed

from expectations.errors import ExitCode, JifenError, to_user_error
from expectations.month import Month
from flows.pipeline.context import RunContext, StageResult
from flows.pipeline.result import RunResult, failed
from flows.pipeline.stages import Stage, StageRunner

PULL = "pull"
PULL_RETRY_SECONDS = (5.0, 30.0)
RECORD_SECONDS = 10.0

MonthRun = Callable[[Month, StageRunner], RunResult]
OnFinished = Callable[[RunResult], None]
MonthFlow = Flow[[], State[None] | None]


def run_with_prefect(work: MonthRun, month: Month, on_finished: OnFinished) -> RunResult:
    """Do a month's work as a flow run, here and now.

    Args:
        work: Runs the month's stages through the stage runner that it is given, which makes each a
            task of the flow run, and raises what the stage raised, unchanged.
        month: The month.
        on_finished: Called by Prefect once the flow run has ended.

    Returns:
        What `work` returned, once the server has recorded the end of every task.
    """
    results: list[RunResult] = []
    tasks: list[str] = []

    def counted(month: Month, call: StageRunner) -> RunResult:
        def call_counted(stage: Stage, run: RunContext) -> StageResult:
            tasks.append(stage.name)
            return call(stage, run)

        return work(month, call_counted)

    # Without heartbeats: their thread holds up the end for a second.
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        state = _month_flow(counted, lambda _: month, on_finished, results)(return_state=True)
    if not results:  # what went wrong is not the work's own: raised as it was
        state.result()
    if state.state_details.flow_run_id:
        _await_task_records(state.state_details.flow_run_id, len(tasks))
    return results.pop()


def serve_months(
    work: MonthRun,
    month_at: Callable[[dt.datetime], Month],
    on_finished: OnFinished,
    cron: str,
    timezone: str,
) -> None:
    """Register the month's flow as the deployment monthly/jifen, and run it when due.

    One run at a time: runs that have become due together, because nobody served them, follow each
    other.

    Args:
        work: As for `run_with_prefect`.
        month_at: The month to run, of the moment it was scheduled for, however late it starts.
        on_finished: Called once a flow run has ended.
        cron: When runs are due.
        timezone: Of `cron`.
    """
    _month_flow(work, month_at, on_finished, []).serve(
        name="jifen",
        schedule=Cron(cron, timezone=timezone),
        global_limit=ConcurrencyLimitConfig(
            limit=1, collision_strategy=ConcurrencyLimitStrategy.ENQUEUE
        ),
        pause_on_shutdown=False,  # a run that becomes due meanwhile is late, not lost
        print_starting_message=False,
    )


def _month_flow(
    work: MonthRun,
    month_at: Callable[[dt.datetime], Month],
    on_finished: OnFinished,
    results: list[RunResult],
) -> MonthFlow:
    """Return the flow; the result of its run is appended to `results`."""

    def month() -> Month:
        return month_at(runtime.flow_run.scheduled_start_time)

    def finish(flow: MonthFlow, flow_run: FlowRun, state: State[None]) -> None:
        if results:
            on_finished(results[-1])
        else:  # killed: this is the process that served it
            what = "运行中断，没有完成"
            stopped = JifenError(ExitCode.OTHER, what, hint="查看系统日志后再次运行")
            due = flow_run.expected_start_time or dt.datetime.now(dt.UTC)
            on_finished(failed(month_at(due), stopped))

    @flow(
        name="monthly",
        flow_run_name=lambda: str(month()),
        validate_parameters=False,
        persist_result=False,
        on_completion=[finish],
        on_failure=[finish],
        on_crashed=[finish],
    )
    def monthly() -> State[None] | None:
        result = work(month(), _run_stage)
        results.append(result)
        create_markdown_artifact(result.to_markdown(), key=f"month-{result.month}")
        if result.error is None:
            return None
        return Failed(message=f"{result.reason}\n  处理：{result.hint}\n  退出码：{result.code}")

    return monthly


def _run_stage(stage: Stage, run: RunContext) -> StageResult:
    """Run a stage as a task without parameters: the run is closed over, Prefect never sees it."""
    results: list[StageResult] = []
    failures: list[Exception] = []

    @task(
        name=stage.name,
        retries=len(PULL_RETRY_SECONDS) if stage.name == PULL else 0,
        retry_delay_seconds=list(PULL_RETRY_SECONDS),
        retry_condition_fn=lambda *_: _may_pass(failures[-1]),
        cache_policy=NO_CACHE,
        persist_result=False,
    )
    def call() -> None:
        try:
            results.append(stage.function(run))
            return
        except Exception as error:
            failures.append(error)
        # Outside the handler: the original must not hang on it as context.
        raise _redact(failures[-1])

    try:
        call()
        return results[-1]
    except JifenError:
        pass
    raise failures[-1]


def _redact(error: Exception) -> JifenError:
    shown = to_user_error(error)
    return JifenError(shown.code, shown.message, where=shown.where, hint=shown.hint)


def _may_pass(error: BaseException | None) -> bool:
    """Return whether trying again may help: a connection was lost, or took too long."""
    while error is not None:
        if isinstance(error, (ConnectionError, TimeoutError)):
            return True
        error = error.__cause__
    return False


def _await_task_records(flow_run: UUID, count: int) -> None:
    """Wait until the server has recorded the end of every task: they reach it a moment later."""
    of_run = FlowRunFilter(id=FlowRunFilterId(any_=[flow_run]))
    deadline = time.monotonic() + RECORD_SECONDS
    with get_client(sync_client=True) as client:
        while time.monotonic() < deadline:
            tasks = client.read_task_runs(flow_run_filter=of_run)
            if sum(bool(one.state and one.state.is_final()) for one in tasks) == count:
                return
            time.sleep(0.05)
