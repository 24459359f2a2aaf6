"""A change of the key killed at 21 points: verify says so, and the next run finishes it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from flows.pipeline.release import renew_catalogue
from flows.project import Project
from flows.storage.rekeys import FINISHED, STARTED, is_rekey_unfinished
from flows.storage.root import Root
from tests.support.rekeying import (
    UNFINISHED,
    change_key,
    explain_first,
    find_damage,
    find_texts,
    finish_change,
    is_signed_as_it_was,
)
from tests.support.retention_town import (
    NOVEMBER,
    OCTOBER,
    STAYING,
    copy_town,
    degrees,
    registry,
)
from tests.support.troubles import Counter, Death
from tests.support.world import World
from transforms.facts.pseudonyms import compute_pseudonym

KillAt = Callable[[int, Callable[[], object]], bool]
POINTS = 21  # kills, spread over all that a change of the key does to files
GROUPS = 7  # as many tests: each has its share of the points
MENDED = (UNFINISHED, "发布链接没有指向最新版本", "清理没有完成")
"""What `verify` says of a change that was killed: nothing but what the next run mends."""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Two months of few people, the first of them published twice; read only."""
    town = World(tmp_path_factory.mktemp("small") / "town", only=("registry", "education"))
    for month, number in ((OCTOBER, 3), (OCTOBER, 4), (NOVEMBER, 4)):
        people = registry(*STAYING[:number])
        town.deliver(month, registry=people, education=degrees(*STAYING[:number]))
        town.run(month, accept="小城")
    with town.root.lock():
        renew_catalogue(town.project, town.root)
    return town


@pytest.fixture(scope="module")
def project(small: World) -> Iterator[Project]:
    """Read once: its declarations are the same after every kill."""
    read = small.project
    with pytest.MonkeyPatch.context() as patch:
        kept = lambda settings: replace(read, settings=settings)  # noqa: E731
        patch.setattr("flows.commands.rekey.load_project", kept)
        yield read


@dataclass(frozen=True)
class Course:
    """How many events on disk a change of the key has: before each line of the log, and in all."""

    lines: Mapping[str, int]
    last: int

    @property
    def points(self) -> list[int]:
        return sorted({round(1 + (self.last - 1) * n / (POINTS - 1)) for n in range(POINTS)})


@pytest.fixture(scope="module")
def course(small: World, project: Project, tmp_path_factory: pytest.TempPathFactory) -> Course:
    """Counted once, in a child."""
    town = copy_town(small, tmp_path_factory.mktemp("counted") / "town")
    here, there = os.pipe()
    if os.fork() == 0:
        counter, lines = Counter(Death(10**9), town.root.path), {}
        written = Root.access_log

        def note(root: Root, action: str, **facts: Any) -> int:
            lines[action] = counter.events
            return written(root, action, **facts)

        Root.access_log = note  # type: ignore[method-assign]
        change_key(town)
        os.write(there, json.dumps([lines, counter.events]).encode())
        os._exit(0)
    os.close(there)
    with open(here, "rb") as answer:  # noqa: PTH123 - a pipe
        return Course(*json.loads(answer.read()))


def test_most_kills_are_after_the_new_key_and_before_the_last_line(course: Course) -> None:
    points, started, finished = course.points, course.lines[STARTED], course.lines[FINISHED]
    assert len(points) >= 20
    assert sum(point > started for point in points) >= 12
    assert sum(started < point <= finished for point in points) >= 10
    assert points[0] <= started and points[-1] > finished


@pytest.mark.parametrize("group", range(GROUPS))
def test_killed_anywhere_it_is_finished_by_the_next_run(
    small: World, course: Course, project: Project, tmp_path: Path, kill_at: KillAt, group: int
) -> None:
    (old,) = small.root.keys()
    texts = {compute_pseudonym(one.resident_id, old) for one in STAYING[:4]}
    unfinished = 0
    for point in course.points[group::GROUPS]:
        town = copy_town(small, tmp_path / "killed" / "town")
        assert kill_at(point, lambda: change_key(town)), point  # noqa: B023 - called at once
        found = find_damage(town)
        begun = len(town.root.keys()) == 2
        assert begun or found == []
        if begun and is_rekey_unfinished(town.root):
            unfinished += 1
            assert UNFINISHED in found and all(any(t in one for t in MENDED) for one in found)
            if unfinished == 1:
                assert "总分" in explain_first(town, NOVEMBER)
        elif not begun:
            change_key(town)
        finish_change(town, project)
        assert find_damage(town) == []
        assert len(town.root.keys()) == 2
        assert find_texts(town.root.path, texts, is_signed_as_it_was) == []
        assert [town.revision(month).number for month in (OCTOBER, NOVEMBER)] == [3, 2]
        shutil.rmtree(tmp_path / "killed")
    assert unfinished >= 1
