"""Kill a city's second month, look at what is left, let the next run finish, and compare every byte."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.faults.city import SECOND, City
from tests.support.killing import run_in_child
from tests.support.troubles import Death

BYTES = (
    0,
    1,
    150,
    600,
    2_500,
)  # where in a file a write is cut: small, so that the files of a small city get there


def deaths(city: City, step: str, times: int, rng: random.Random) -> Iterator[Death]:
    """Deaths spread over a step, in turn before an event and inside a write after it."""
    events = max(1, city.undisturbed.steps[step])
    for number in range(times):
        at = 1 + (number * events // times + rng.randrange(-(-events // times))) % events
        yield Death(at, rng.choice(BYTES) if number % 2 else None, step)


def kill_and_finish(city: City, chosen: Sequence[Death | float]) -> list[str]:
    """Run the second month and kill each try as chosen (a float: after so many seconds); the steps the kills reached.

    After each kill everything published is whole; after the last the next run finishes with the undisturbed bytes.
    """
    city.restore()
    reached = []
    for one in chosen:
        ended = run_in_child(
            city.settings, SECOND, *((one,) if isinstance(one, Death) else (None, one))
        )
        assert ended.killed or ended.code == 0, (one, ended)
        if ended.killed:
            reached.append(ended.step)
            city.assert_whole()
    ended = run_in_child(city.settings, SECOND)
    assert ended.code == 0, (chosen, ended)
    city.assert_finished()
    return reached


def jifen(city: City, *arguments: str) -> subprocess.Popen[str]:
    """The real command, on the city's root and inbox."""
    program = [
        sys.executable,
        "-c",
        "from flows.cli.app import main; main()",
        "--config",
        str(city.config),
        *arguments,
    ]
    project = Path(__file__).parents[2]
    return subprocess.Popen(
        program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=project
    )


def kill_the_command(city: City, after: float) -> bool:
    """`jifen run`, killed after so many seconds; was it? Everything published is whole, and the next run finishes."""
    city.restore()
    with jifen(city, "run", "--month", SECOND) as process:
        try:
            process.wait(after)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
    city.assert_whole()
    ended = run_in_child(city.settings, SECOND)
    assert ended.code == 0, (after, ended)
    city.assert_finished()
    return process.returncode == -signal.SIGKILL
