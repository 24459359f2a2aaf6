"""A disk that fills up or is read-only costs nothing: a plain sentence, the published months whole, the next run finishes.

The second half of that is asserted inside the namespace (`tests/faults/disk.py`): no outcome comes back without it.
"""

from __future__ import annotations

import os

import pytest

from tests.faults.city import City
from tests.faults.disk import Outcome, allowed, in_namespace

BY_STEPS = ("pull:40", "clean:16", "exports:100", "publish:8")
BY_COMMAND = ("command:900", "command:read-only")

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        not os.environ.get("CI") and not allowed(), reason="this machine lets nobody mount a disk"
    ),
]


@pytest.fixture(scope="module")
def outcomes(city: City) -> dict[str, Outcome]:
    found = in_namespace(city, [*BY_STEPS, *BY_COMMAND])
    return {one.trouble: one for one in found}


@pytest.mark.promise("sources-120", "disk full")
@pytest.mark.proves("sources-116", "outputs-50")
@pytest.mark.parametrize("trouble", BY_STEPS)
def test_a_disk_full_in_a_step_is_reported_in_a_sentence(
    outcomes: dict[str, Outcome], trouble: str
) -> None:
    met = outcomes[trouble]
    assert (met.step, met.code) == (trouble.split(":")[0], 1)
    assert met.message.startswith("磁盘已满\n") and "腾出空间后再次运行" in met.message


@pytest.mark.promise("outputs-3", "Operator: no stack trace")
@pytest.mark.proves("sources-120", "outputs-192")
def test_the_command_on_a_full_disk_ends_with_a_sentence_and_no_trace(
    outcomes: dict[str, Outcome],
) -> None:
    met = outcomes["command:900"]
    assert met.code == 1 and "磁盘已满\n" in met.message
    assert "Traceback" not in met.message and "Error" not in met.message


@pytest.mark.promise("sources-121", "read-only root")
def test_a_read_only_root_is_reported_in_a_sentence(outcomes: dict[str, Outcome]) -> None:
    met = outcomes["command:read-only"]
    assert met.code == 1 and met.message.startswith("根目录不可用：磁盘只读\n")
    assert "改为可写后再次运行" in met.message and "Traceback" not in met.message
