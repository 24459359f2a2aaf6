"""Killed anywhere, a month is published whole or not at all, and the next run finishes it with the same bytes."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import chain

import pytest

from flows.pipeline.stages import COMPUTE_STAGES, STAGES
from tests.faults.city import City
from tests.faults.kills import deaths, kill_and_finish, kill_the_command

# Four nights of up to four kills, every step that writes in one of them;
# `python -m tests.faults.long` tries each step tenfold.
NIGHTS = (
    ("start", "clean", "reminders", "exports"),
    ("pull", "points", "publish"),
    ("facts", "changes", "drift", "report"),
    ("services", "open", "statements", "publish"),
)


@pytest.mark.promise("sources-116", "after each: months whole, next run finishes, same hashes")
@pytest.mark.promise("sources-118", "SIGKILL at every step, within writes, at random")
@pytest.mark.promise("outputs-1", "Operator: never half a month, also after a kill")
@pytest.mark.parametrize("night", NIGHTS, ids="-".join)
def test_killed_several_times_in_a_row_a_month_is_still_finished_with_the_same_bytes(
    city: City, night: Sequence[str]
) -> None:
    rng = random.Random("-".join(night))
    chosen = [rng.choice(list(deaths(city, step, 6, rng))) for step in night]
    reached = kill_and_finish(city, chosen)
    assert len(reached) >= 2, reached


@pytest.mark.promise("sources-115", "really done, not raised mocks")
@pytest.mark.promise(
    "outputs-19", "Steps: pull, clean, facts, points, services, lists, report, publish"
)
def test_every_step_of_a_month_is_known_to_the_kills(city: City) -> None:
    assert set(city.undisturbed.steps) == {"start", *(stage.name for stage in STAGES), "record"}
    written = {"start", *(stage.name for stage in COMPUTE_STAGES), "pull", "clean"}
    assert set(chain(*NIGHTS)) == written
    assert sum(city.undisturbed.steps.values()) > 500


@pytest.mark.promise(
    "outputs-50", "Killed or out of disk: the last state stands, the next run finishes"
)
@pytest.mark.proves("outputs-160")
def test_the_command_killed_in_mid_run_is_finished_by_the_next(city: City) -> None:
    assert kill_the_command(city, after=9.0)
