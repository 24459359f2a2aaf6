"""The machine around a run: little memory, two runs at once, other clocks. The files of the month are always the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.settings import Engine
from tests.faults.city import SECOND, City
from tests.faults.kills import jifen
from tests.faults.machine import clocks, run_beside
from tests.support.killing import run_in_child
from tests.support.world import World, national_id

pytestmark = pytest.mark.timeout(900)


@pytest.mark.promise("sources-122", "little memory")
@pytest.mark.promise("outputs-150", "Memory given to the engine holds")
def test_too_little_memory_is_reported_and_the_next_run_finishes(city: City) -> None:
    city.restore()
    poor = city.settings.model_copy(update={"engine": Engine(memory="30MB", threads=1)})
    ended = run_in_child(poor, SECOND)
    assert ended.code == 1 and ended.error.startswith("内存不足\n") and "memory" in ended.error
    city.assert_whole()
    assert run_in_child(city.settings, SECOND).code == 0
    city.assert_finished()


@pytest.mark.promise("sources-124", "a second run on the same root")
def test_of_two_runs_at_once_one_works_and_the_other_is_sent_away(city: City) -> None:
    city.restore()
    codes = sorted(ended.code for ended in run_beside(city.settings, SECOND, 3))
    assert codes == [0, 13, 13]
    city.assert_finished()


def test_the_command_names_the_run_that_holds_the_root(city: City) -> None:
    with city.root.lock():
        process = jifen(city, "run", "--month", SECOND)
        _, stderr = process.communicate()
    assert process.returncode == 13
    assert (
        "另一个运行正占用这个根目录" in stderr
        and "等它结束后再运行" in stderr
        and "Traceback" not in stderr
    )


@pytest.mark.promise("sources-133", "a run at midnight")
def test_the_clock_of_the_machine_changes_nothing(city: City) -> None:
    city.restore()
    assert run_in_child(city.settings, SECOND, clocks()["midnight passes"]).code == 0
    city.assert_finished()


@pytest.mark.promise("sources-134", "month-end, 29 February")
@pytest.mark.promise("outputs-33", "The scoring date is the last day of the month")
@pytest.mark.proves("sources-40")
def test_the_leap_day_is_a_day_like_any_other_and_only_where_there_is_one(tmp_path: Path) -> None:
    person, child = national_id("51010219850101101"), national_id("33020320040229001")
    rows = [
        {
            "patent_no": day,
            "resident_id": person,
            "kind": "design",
            "granted_on": day,
            "status": "valid",
        }
        for day in ("2024-02-29", "2024-03-01", "2023-02-29", "20240229")
    ]
    world = World(tmp_path, only=("registry", "patents"))
    registry = [
        {
            "resident_id": one,
            "residence_district": "330203",
            "registered_on": "2020-02-29",
            "status": "resident",
        }
        for one in (person, child)
    ]
    world.deliver(
        "2024-02",
        registry=registry,
        patents=rows + [rows[0] | {"patent_no": f"{n}"} for n in range(200)],
    )
    world.run("2024-02")
    refused = {row["record"]: row["reasons"] for row in world.kept("quarantine", "patents")}
    assert refused == {2: ["granted_on:in_future"], 3: ["granted_on:bad_value"]}
    assert world.revision("2024-02").manifest.as_of == "2024-02-29"
    assert len(world.table("2024-02", "scores")) == 2
