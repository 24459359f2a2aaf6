"""The month as a Prefect flow: the only module with flow and task decorators.

Import it within `flows.orchestration.environment.prefect_environment`: Prefect reads its settings
when it is imported. Prefect sees stage names, states, one redacted sentence per failure and a page
of counts; parameters, results and errors never reach it.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from prefect import Flow, State, flow, get_client, runtime, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterId,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import (
    ConcurrencyLimitConfig,
    ConcurrencyLimitStrategy,
    FlowRun,
    StateType,
)
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectNotFound, TerminationSignal
from prefect.runner import Runner
from prefect.schedules import Cron
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
from prefect.states import Crashed, Failed

from expectations.errors import ExitCode, JifenError, may_pass, to_user_error
from expectations.month import Month
from flows.pipeline.context import RunContext, StageResult
from flows.pipeline.result import RunResult, failed
from flows.pipeline.stages import Stage, StageRunner

RECORD_SECONDS = 10.0
LOST = "运行中断，没有完成"

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


@dataclass(frozen=True)
class ServedTimes:
    """When runs are due, and when the daily reminder is, as cron has it, in a time zone."""

    monthly: str
    daily: str
    timezone: str


def serve_months(
    work: MonthRun,
    month_at: Callable[[dt.datetime], Month],
    on_finished: OnFinished,
    times: ServedTimes,
    remind: Callable[[], object] | None = None,
) -> None:
    """Register the month's flow as the deployment monthly/jifen, and run it when due.

    One run at a time: runs that have become due together, because nobody served them, follow each
    other.

    Args:
        work: As for `run_with_prefect`.
        month_at: The month to run, of the moment it was scheduled for, however late it starts.
        on_finished: Called once a flow run has ended.
        times: When runs are due.
        remind: What is done daily, as the deployment reminder/jifen.
    """
    # Not paused at a shutdown: a run that becomes due meanwhile is late, not lost.
    runner = Runner(name="jifen", pause_on_shutdown=False)
    limit = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.ENQUEUE)
    monthly = _month_flow(work, month_at, on_finished, [])
    due = Cron(times.monthly, timezone=times.timezone)
    runner.add_flow(monthly, name="jifen", schedule=due, concurrency_limit=limit)
    if remind:
        daily = Cron(times.daily, timezone=times.timezone)
        runner.add_flow(_reminder_flow(remind), name="jifen", schedule=daily)
    with suppress(KeyboardInterrupt, TerminationSignal):
        asyncio.run(runner.start())


def _reminder_flow(work: Callable[[], object]) -> Flow[[], None]:
    @flow(name="reminder", validate_parameters=False, persist_result=False)
    def remind() -> None:
        work()

    return remind


def find_lost_runs() -> list[UUID]:
    """Return the runs of months that have begun and not ended, as the server knows them.

    Called before this process runs any: whoever ran them is gone, or about to end them.
    """
    with get_client(sync_client=True) as client:
        return [run.id for run in _list_begun_runs(client)]


def end_lost_runs(
    lost: Collection[UUID], month_at: Callable[[dt.datetime], Month], on_finished: OnFinished
) -> None:
    """End runs whose process is gone, so that they hold no slot; report each.

    A power cut leaves them running on the server, where they would keep the next one waiting. The
    slot itself is freed too: its lease may be gone with the server's memory.
    """
    with get_client(sync_client=True) as client:
        for run in _list_begun_runs(client):
            if run.id in lost:
                client.set_flow_run_state(run.id, Crashed(message=LOST), force=True)
                due = run.expected_start_time or dt.datetime.now(dt.UTC)
                stopped = JifenError(ExitCode.OTHER, LOST, hint="查看系统日志后再次运行")
                on_finished(failed(month_at(due), stopped))
        deployment = _find_deployment(client)
        limit = deployment.global_concurrency_limit if deployment else None
        if limit and limit.active_slots and not list(_list_begun_runs(client)):
            free = GlobalConcurrencyLimitUpdate(active_slots=0)
            client.update_global_concurrency_limit(name=limit.name, concurrency_limit=free)


def _list_begun_runs(client: SyncPrefectClient) -> list[FlowRun]:
    deployment = _find_deployment(client)
    if deployment is None:
        return []
    begun = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]
    return client.read_flow_runs(
        flow_run_filter=FlowRunFilter(
            deployment_id=FlowRunFilterDeploymentId(any_=[deployment.id]),
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=begun)),
        )
    )


def _find_deployment(client: SyncPrefectClient) -> DeploymentResponse | None:
    """Return the deployment of the months; None before the first `jifen serve`."""
    try:
        return client.read_deployment_by_name("monthly/jifen")
    except ObjectNotFound:
        return None


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
            stopped = JifenError(ExitCode.OTHER, LOST, hint="查看系统日志后再次运行")
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
        retries=len(stage.retry_seconds),
        retry_delay_seconds=list(stage.retry_seconds),
        retry_condition_fn=lambda *_: may_pass(failures[-1]),
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
