"""Incremental state saves a month from reading the history again, and never changes its facts."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.pipeline import compute
from flows.storage.incremental_state import PreviousState, StateKey
from flows.storage.root import Root
from tests.support.postings import NOVEMBER, OCTOBER, RESIDENT, posting
from tests.support.world import Rows, World


def lose(world: World) -> None:
    shutil.rmtree(world.root.tmp / "incremental_state")


def damage(world: World) -> None:
    """Flip one bit of the bitmaps, somewhere in the middle."""
    (words,) = (world.root.tmp / "incremental_state").rglob("month_bitmaps_*/*.parquet")
    content = bytearray(words.read_bytes())
    content[len(content) // 2] ^= 1
    words.write_bytes(content)


def deliver_again(world: World) -> None:
    """October once more, without February; October itself is not run again."""
    world.deliver("2021-10", registry=[RESIDENT], social_security=without(OCTOBER, "2021-02"))


def without(rows: Rows, month: str) -> Rows:
    return [row for row in rows if row["month"] != month]


@pytest.mark.parametrize(
    ("trouble", "taken_up", "months"),
    [
        (lambda world: None, True, 11),
        (lose, False, 11),
        (damage, False, 11),
        (deliver_again, False, 10),
    ],
    ids=["nothing", "lost", "damaged", "delivered_again"],
)
def test_facts_do_not_depend_on_the_incremental_state(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    trouble: Callable[[World], None],
    taken_up: bool,
    months: int,
) -> None:
    world = World(tmp_path, only=("registry", "social_security"))
    world.deliver("2021-10", registry=[RESIDENT], social_security=OCTOBER)
    world.run("2021-10")
    (october,) = world.table("2021-10", "facts")
    assert (
        october["pension_months"],
        october["pension_run_months"],
        october["pension_gap_months"],
    ) == (9, 5, 1)
    trouble(world)
    world.deliver("2021-11", registry=[RESIDENT], social_security=NOVEMBER)
    taken: list[bool] = []
    load = compute.load_previous_state

    def record(root: Root, previous: StateKey, key: bytes) -> PreviousState:
        found = load(root, previous, key)
        taken.append(bool(found.folders))
        return found

    monkeypatch.setattr(compute, "load_previous_state", record)
    world.run("2021-11")
    assert taken == [taken_up]
    (november,) = world.table("2021-11", "facts")
    # 1995-07, January to August, October and November: the run is broken by September.
    assert (
        november["pension_months"],
        november["pension_run_months"],
        november["pension_gap_months"],
    ) == (
        months,
        2,
        0,
    )


def test_only_what_the_next_months_need_is_kept(tmp_path: Path) -> None:
    world = World(tmp_path, only=("registry", "social_security"))
    for month in ("2021-10", "2021-11", "2021-12"):
        world.deliver(month, registry=[RESIDENT], social_security=[posting(month, f"{month}-20")])
        world.run(month)
    kept = sorted(folder.name[:7] for folder in (world.root.tmp / "incremental_state").iterdir())
    assert kept == ["2021-11", "2021-12"]
