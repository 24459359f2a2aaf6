"""Run a month in a process of its own, without Prefect, and give it the trouble chosen for it.

One server imports everything; its children fork.
"""

from __future__ import annotations

import locale
import multiprocessing
import os
import sys
import threading
import time
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import SimpleNamespace

import expectations.gx_adapter  # noqa: F401  (seconds, once, in the server)
import flows.commands.run
from expectations.errors import to_user_error
from expectations.month import Month
from flows.commands.run import run_months
from flows.pipeline.context import RunContext, RunOptions, StageResult
from flows.pipeline.stages import STAGES, Stage
from flows.settings import Settings
from tests.support.troubles import KILLED, Clock, Counter, Trouble

PATIENCE = 300  # seconds that a child may take

forks = multiprocessing.get_context("forkserver")
forks.set_forkserver_preload(["tests.support.killing"])


@dataclass(frozen=True)
class Ended:
    """How a child ended: its exit code, how many events each step had (of the last: before it), and its error."""

    code: int
    steps: dict[str, int]
    error: str

    @property
    def killed(self) -> bool:
        return self.code in KILLED

    @property
    def step(self) -> str:
        """The step it was in."""
        return list(self.steps or ("start",))[-1]


def run_in_child(
    settings: Settings, month: str, trouble: Trouble = None, after: float | None = None
) -> Ended:
    """What `jifen run` does, in a process that meets a trouble, or is killed from outside `after` so many seconds."""
    here, there = forks.Pipe(duplex=False)
    child = forks.Process(target=_child, args=(settings, month, trouble, there))
    child.start()
    there.close()
    killer = threading.Timer(PATIENCE if after is None else after, child.kill)
    killer.start()
    steps: dict[str, int] = {}
    error = ""
    with suppress(EOFError, OSError):
        while True:
            before, step, error = here.recv()
            steps |= {**({list(steps)[-1]: before} if steps else {}), **({step: 0} if step else {})}
    child.join()
    killer.cancel()
    assert child.exitcode is not None
    return Ended(child.exitcode, steps, error)


def _child(settings: Settings, month: str, trouble: Trouble, there: Connection) -> None:
    if isinstance(trouble, Clock):
        os.environ.update(trouble.environment)
        time.tzset()
        locale.setlocale(locale.LC_ALL, "")
    counter = Counter(trouble, settings.paths.root)

    def enter(step: str) -> None:
        there.send((counter.events, step, ""))
        counter.enter(step)

    def attempt(step: Stage, run: RunContext) -> StageResult:
        enter(step.name)
        result = step.function(run)
        if step is STAGES[-1]:
            enter("record")
        return result

    without = SimpleNamespace(run_with_prefect=lambda work, month, ended: work(month, attempt))
    sys.modules["flows.orchestration.flow"] = without  # type: ignore[assignment]
    flows.commands.run.use_server = lambda root: nullcontext()  # type: ignore[assignment]
    enter("start")
    code, error = 0, ""
    try:
        run_months(settings, [Month.parse(month)], RunOptions(), lambda line: None)
    except Exception as met:
        user_error = to_user_error(met)
        code, error = int(user_error.code), str(user_error)
    there.send((counter.events, "", error))
    os._exit(code)
