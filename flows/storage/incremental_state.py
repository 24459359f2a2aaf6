"""Incremental state: what a month's facts leave for the next month, so that it reads new rows only.

Under `tmp/incremental_state/`, in a folder named by month and fingerprint of what it was made from.
It may be lost or damaged at any time: the next month then reads the full history, and comes to the
same facts.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from expectations.month import Month
from flows.storage.files import (
    fsync_path,
    map_in_threads,
    recreate_folder,
    rename_and_sync,
)
from flows.storage.root import Root
from flows.storage.seals import Seal


@dataclass(frozen=True)
class StateKey:
    """The state after a month: `fingerprint` of the rows, declarations and code it is made from."""

    month: Month
    fingerprint: str

    def folder(self, root: Root) -> Path:
        """Return where the state is kept."""
        return root.tmp / "incremental_state" / f"{self.month}-{self.fingerprint[:16]}"


def load_previous_state(root: Root, previous: StateKey, key: bytes) -> PreviousState:
    """Return the previous month's state, if it is there and as it was written."""
    folder = previous.folder(root)
    if not folder.exists() and not folder.is_symlink():
        return PreviousState({})
    damage = _seal(root, previous, folder).find_damage(key)
    if damage:
        return PreviousState({}, f"{folder.relative_to(root.path).as_posix()}：{damage}")
    return PreviousState({path.name: path for path in folder.iterdir() if path.is_dir()})


def list_state_seals(root: Root) -> list[Seal]:
    """Return the seals of the states that a root holds, ascending by month."""
    folders = sorted((root.tmp / "incremental_state").glob("[0-9]*"))
    return [Seal(folder, folder.relative_to(root.path).as_posix()) for folder in folders]


@dataclass(frozen=True)
class PreviousState:
    """The state after the previous month.

    Attributes:
        folders: The folder of every source; none if any of the inputs has changed.
        damage: What is wrong with a state that is there but was not taken, in a few words.
    """

    folders: Mapping[str, Path]
    damage: str | None = None


@contextmanager
def new_state(
    root: Root, current: StateKey, previous: StateKey | None, key: bytes
) -> Iterator[Path]:
    """Give a folder for this month's state; committed when the block succeeds.

    The previous month's state, if it was taken, is kept for a run of this month once more; others
    are removed.
    """
    target = current.folder(root)
    draft = recreate_folder(target.with_name("draft"))
    yield draft
    _seal(root, current, draft).write(key)
    map_in_threads(fsync_path, [path for path in draft.rglob("*") if path.is_file()])
    kept = {draft, *([previous.folder(root)] if previous else [])}
    for other in target.parent.iterdir():
        if other.is_symlink():
            other.unlink()
        elif other not in kept:
            shutil.rmtree(other)
    rename_and_sync(draft, target)


def _seal(root: Root, state: StateKey, folder: Path) -> Seal:
    """Return the seal of a state that lies in a folder for now; Parquet notices no changed byte."""
    return Seal(folder, state.folder(root).relative_to(root.path).as_posix())
