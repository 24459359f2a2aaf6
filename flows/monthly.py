"""The month as a Prefect flow: the only module with flow and task decorators.

Import it after `flows.prefect_home.settle`: Prefect reads its environment when it is imported. Prefect sees step
names, states and one masked sentence per failure; parameters, results and errors of the steps never reach it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
from prefect.states import Failed
from prefect.tasks import Task

from expectations.month import Month
from expectations.problems import ExitCode, JifenError
from flows.prefect_home import await_server

PULL = "pull"
PULL_RETRY_SECONDS = [5.0, 30.0]

Counts = Mapping[str, Any]
R = TypeVar("R")
R_contra = TypeVar("R_contra", contravariant=True)


class Step(Protocol[R_contra]):
    """A plain function with a name: works on the run, returns counts."""

    @property
    def name(self) -> str: ...

    @property
    def function(self) -> Callable[[R_contra], Counts]: ...


def run_month_with_prefect(run: R, steps: Sequence[Step[R]], month: Month) -> dict[str, Counts]:
    """Run the steps in order as the tasks of one flow run; what each counted, by its name.

    The first step that fails ends the flow run as Failed, and its own exception is raised here as it was. Prefect's
    record of it holds the message of a JifenError, which is free of personal data, and of others their type only.
    """
    await_server()
    counts: dict[str, Counts] = {}
    failures: list[Exception] = []

    @flow(name="monthly", flow_run_name=str(month), validate_parameters=False, persist_result=False)
    def monthly() -> State[Any] | None:
        try:
            for step in steps:
                counts[step.name] = _as_task(step, run, failures)()
        except JifenError as masked:
            return Failed(message=str(masked))  # a raised error would be pickled into Prefect's storage
        return None

    try:
        with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):  # its thread holds up the end for a second
            monthly()
    except Exception:
        if failures:
            raise failures[-1] from None
        raise
    return counts


def _as_task(step: Step[R], run: R, failures: list[Exception]) -> Task[[], Counts]:
    """A step as a task without parameters: the run is closed over, so that Prefect never sees it."""
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
        failures.clear()
        try:
            return step.function(run)
        except Exception as error:
            failures.append(error)
        raise _masked(step.name, failures[-1])  # outside the handler: the original must not hang on it as context

    return call


def _masked(name: str, error: Exception) -> JifenError:
    if isinstance(error, JifenError):
        return JifenError(error.code, error.what, where=error.where, todo=error.todo)
    return JifenError(ExitCode.OTHER, f"步骤 {name} 出错（{type(error).__name__}）")


def _may_pass(error: BaseException | None) -> bool:
    """Whether trying again may help: somewhere in its causes, a connection was lost or took too long."""
    while error is not None:
        if isinstance(error, (ConnectionError, TimeoutError)):
            return True
        error = error.__cause__
    return False
