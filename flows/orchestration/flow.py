"""The month as a Prefect flow: the only module with flow and task decorators.

Import it after `flows.orchestration.server.configure_environment`: Prefect reads its environment when it is imported. Prefect sees step
names, states, one masked sentence per failure and a page of counts; parameters, results and errors never reach it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from prefect import Flow, flow, runtime, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import (
    ConcurrencyLimitConfig,
    ConcurrencyLimitStrategy,
    FlowRun,
    State,
)
from prefect.schedules import Cron
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
from prefect.states import Failed

from expectations.errors import ExitCode, JifenError, to_user_error
from expectations.month import Month
from flows.orchestration.server import await_server, count_task
from flows.pipeline.result import RunResult, failed

PULL = "pull"
PULL_RETRY_SECONDS = [5.0, 30.0]

Counts = Mapping[str, Any]


class Stage(Protocol):
    """A plain function with a name: works on the run, returns counts."""

    @property
    def name(self) -> str: ...

    @property
    def function(self) -> Callable[[Any], Counts]: ...


StageRunner = Callable[[Any, Any], Counts]
MonthRun = Callable[[Month, StageRunner], RunResult]
OnFinished = Callable[[RunResult], None]


def run_with_prefect(work: MonthRun, month: Month, ended: OnFinished) -> RunResult:
    """Do a month's work as a flow run, here and now.

    `work(month, attempt)` does each step through `attempt(step, run)`, which makes it a task of the flow run, and
    raises what the step raised, as it was. `ended` is called once the flow run has ended, by Prefect.
    """
    await_server()
    outcomes: list[RunResult] = []
    with temporary_settings(
        {PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}
    ):  # its thread holds up the end for a second
        state = _month_flow(work, lambda _: month, ended, outcomes)(return_state=True)
    if not outcomes:  # what went wrong is not the work's own: raised as it was
        state.result()
    return outcomes.pop()


def serve_months(
    work: MonthRun,
    month_at: Callable[[dt.datetime], Month],
    ended: OnFinished,
    cron: str,
    timezone: str,
) -> None:
    """Register the month's flow as the deployment monthly/jifen, and run it whenever it is due, until stopped.

    `month_at`: the month to run, of the moment it was scheduled for, however late it starts. One run at a time: runs
    that have become due together, because nobody served them, follow each other.
    """
    _month_flow(work, month_at, ended, []).serve(
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
    ended: OnFinished,
    outcomes: list[RunResult],
) -> Flow[[], State[Any] | None]:
    """The flow; what came of it is appended to `outcomes`."""

    def month() -> Month:
        return month_at(runtime.flow_run.scheduled_start_time)

    def told(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
        if outcomes:
            ended(outcomes[-1])
        else:  # killed: this is the process that served it
            stopped = JifenError(
                ExitCode.OTHER, "运行中断，没有完成", hint="查看系统日志后再次运行"
            )
            ended(
                failed(month_at(flow_run.expected_start_time or dt.datetime.now(dt.UTC)), stopped)
            )

    @flow(
        name="monthly",
        flow_run_name=lambda: str(month()),
        validate_parameters=False,
        persist_result=False,
        on_completion=[told],
        on_failure=[told],
        on_crashed=[told],
    )
    def monthly() -> State[Any] | None:
        outcome = work(month(), _run_stage)
        outcomes.append(outcome)
        create_markdown_artifact(outcome.markdown(), key=f"month-{outcome.month}")
        if outcome.error is None:
            return None
        return Failed(message=f"{outcome.reason}\n  处理：{outcome.hint}\n  退出码：{outcome.code}")

    return monthly


def _run_stage(step: Stage, run: Any) -> Counts:
    """A step as a task without parameters: the run is closed over, so that Prefect never sees it."""
    failures: list[Exception] = []
    retries = len(PULL_RETRY_SECONDS) if step.name == PULL else 0

    @task(
        name=step.name,
        retries=retries,
        retry_delay_seconds=PULL_RETRY_SECONDS,
        retry_condition_fn=lambda *_: _may_pass(failures[-1]),
        cache_policy=NO_CACHE,
        persist_result=False,
    )
    def call() -> Counts:
        try:
            return step.function(run)
        except Exception as error:
            failures.append(error)
        raise _redacted(
            failures[-1]
        )  # outside the handler: the original must not hang on it as context

    count_task(str(runtime.flow_run.id))
    try:
        return call()
    except JifenError:
        pass
    raise failures[-1]


def _redacted(error: Exception) -> JifenError:
    told = to_user_error(error)
    return JifenError(told.code, told.message, where=told.where, hint=told.hint)


def _may_pass(error: BaseException | None) -> bool:
    """Whether trying again may help: somewhere in its causes, a connection was lost or took too long."""
    while error is not None:
        if isinstance(error, (ConnectionError, TimeoutError)):
            return True
        error = error.__cause__
    return False
