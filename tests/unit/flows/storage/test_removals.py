"""A removal killed anywhere: what is there is whole or known to be removed, and the next one finishes."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from expectations.errors import JifenError
from flows.storage.publish import list_files, publish_revision
from flows.storage.records import MonthFacts
from flows.storage.removals import (
    IDENTIFIED_FOLDERS,
    PlannedRemoval,
    begin_removal,
    finish_removals,
    load_removals,
    prepare_kept_folder,
    require_identified,
)
from flows.storage.revisions import Revision, find_named_revision
from flows.storage.root import Root
from flows.storage.verify import verify_root

Build = Callable[..., Path]
KillAt = Callable[[int, Callable[[], object]], bool]


@pytest.fixture
def published(root: Root, build: Build, facts: MonthFacts) -> Root:
    """October is published twice, November once."""
    for name, month in (("a", "2021-10"), ("b", "2021-10"), ("c", "2021-11")):
        own = facts.model_copy(update={"month": month})
        publish_revision(root, root.key(), build(name, shift=len(name)), own)
    return root


def remove(root: Root) -> None:
    """Remove what identifies people in both revisions of October."""
    folders = [folder for month, _, folder in root.revision_folders() if str(month) == "2021-10"]
    targets = tuple(folder / name for folder in folders for name in IDENTIFIED_FOLDERS)
    with root.lock():
        kept = prepare_kept_folder(root)
        (kept / "sent-2021-10-r1.parquet").write_bytes(b"numbers")
        begin_removal(root, root.key(), PlannedRemoval("identified", 36, targets, {}), kept)
        finish_removals(root, root.key())


def list_october(root: Root) -> list[Revision]:
    return [find_named_revision(root, f"2021-10/r{number}") for number in (1, 2)]


@pytest.mark.slow
def test_killed_at_every_point_it_is_never_torn_and_the_next_finishes(
    published: Root, tmp_path: Path, kill_at: KillAt
) -> None:
    points = interrupted = 0
    while True:
        root = dataclasses.replace(published, path=tmp_path / f"copy-{points}")
        shutil.copytree(published.path, root.path, symlinks=True)
        if not kill_at(points + 1, lambda: remove(root)):  # noqa: B023 - called at once
            break
        points += 1
        found = verify_root(root, root.key())
        assert all("清理没有完成，再运行 jifen prune 即可" in one for one in found), found
        interrupted += bool(found)
        is_begun = bool(load_removals(root, root.key()).records)
        for revision in list_october(root):
            if is_begun:
                with pytest.raises(JifenError, match="按规定清理"):
                    require_identified(root, root.key(), revision)
            else:
                assert list_files(revision.path) == revision.manifest.files
        if is_begun:
            with root.lock():
                finish_removals(root, root.key())
        else:
            remove(root)
        assert_removed(root)
        shutil.rmtree(root.path)
    assert_removed(root)
    assert points >= 20 and interrupted >= 10


def assert_removed(root: Root) -> None:
    """October's people are gone, by one removal; its numbers and November are as they were."""
    assert verify_root(root, root.key()) == []
    for revision in list_october(root):
        left = {name: facts for name, facts in revision.manifest.files.items() if is_kept(name)}
        assert list_files(revision.path) == left != revision.manifest.files
    november = find_named_revision(root, "2021-11/r1")
    assert list_files(november.path) == november.manifest.files
    (record,) = load_removals(root, root.key()).records
    assert record.kept.keys() == {"sent-2021-10-r1.parquet"}
    actions = [entry.values["action"] for entry in root.open_access_log().read_entries()]
    assert actions == ["prune"]


def is_kept(name: str) -> bool:
    return not name.startswith(IDENTIFIED_FOLDERS)
