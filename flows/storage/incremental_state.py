"""Incremental state: what a month's facts leave for the next month, so that it reads new rows only.

Under `tmp/incremental_state/`, in a folder named by month and fingerprint of what it was made from.
It may be lost or damaged at any time: the next month then reads the full history, and comes to the
same facts.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from expectations.month import Month
from flows.storage.files import (
    fsync_path,
    hash_file,
    map_in_threads,
    recreate_folder,
    rename_and_sync,
)
from flows.storage.records import Record
from flows.storage.root import Root

FILE = "state.json"


class StateRecord(Record):
    """`state.json`: the hash of every file of the state. Parquet does not notice a changed byte."""

    files: dict[str, str]


@dataclass(frozen=True)
class StateKey:
    """The state after a month: `fingerprint` of the rows, declarations and code it is made from."""

    month: Month
    fingerprint: str

    def folder(self, root: Root) -> Path:
        """Return where the state is kept."""
        return root.tmp / "incremental_state" / f"{self.month}-{self.fingerprint[:16]}"


def load_previous_state(root: Root, previous: StateKey) -> dict[str, Path]:
    """Return the previous month's state, a folder by source; empty if any of its inputs changed."""
    folder = previous.folder(root)
    try:
        intact = StateRecord.from_json((folder / FILE).read_bytes()).files == _hash_files(folder)
    except (OSError, ValueError):
        return {}
    return {path.name: path for path in folder.iterdir() if path.is_dir()} if intact else {}


@contextmanager
def new_state(root: Root, current: StateKey, previous: StateKey) -> Iterator[Path]:
    """Give a folder for this month's state; committed when the block succeeds.

    The previous month's state is kept for a run of this month once more, older ones are removed.
    """
    target = current.folder(root)
    draft = recreate_folder(target.with_name("draft"))
    yield draft
    (draft / FILE).write_bytes(StateRecord(files=_hash_files(draft)).to_json())
    map_in_threads(fsync_path, [path for path in draft.rglob("*") if path.is_file()])
    for other in target.parent.iterdir():
        if other not in (draft, previous.folder(root)):
            shutil.rmtree(other)
    rename_and_sync(draft, target)


def _hash_files(folder: Path) -> dict[str, str]:
    files = sorted(folder.rglob("*.parquet"))
    names = [str(path.relative_to(folder)) for path in files]
    return dict(zip(names, map_in_threads(hash_file, files), strict=True))
