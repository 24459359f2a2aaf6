"""A revision being built: which stages are finished, so that the next run can resume it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from flows.storage.files import fsync_path, map_in_threads, write_atomically
from flows.storage.records import Record
from flows.storage.root import Root
from flows.storage.stage_results import StageResults

R = TypeVar("R", bound=Record)


@dataclass(frozen=True)
class Build:
    """`tmp/build/<month>-<fingerprint>/`: `revision/` as it will be published, and `done.json`.

    The folder is named by the fingerprint of all inputs: a stage found done in it was made from
    equal inputs.
    """

    folder: Path

    @property
    def revision(self) -> Path:
        """The folder that becomes the revision."""
        return self.folder / "revision"

    @property
    def fact_table(self) -> Path:
        """The fact table, identified; not part of the revision."""
        return self.folder / "fact_table"

    def results(self) -> StageResults:
        """Return what the finished stages counted."""
        try:
            return StageResults.from_json((self.folder / "done.json").read_bytes())
        except (FileNotFoundError, ValueError):
            return StageResults()

    def run_once(self, name: str, kind: type[R], make: Callable[[], R]) -> R:
        """Run a stage unless it is done; its files are on disk before it counts as done.

        Args:
            name: The stage's field in `StageResults`.
            kind: The type of its result.
            make: What makes its files, and counts.
        """
        finished = self.results()
        known = getattr(finished, name)
        if isinstance(known, kind):
            return known
        result = make()
        map_in_threads(fsync_path, [path for path in self.folder.rglob("*") if path.is_file()])
        done = finished.model_copy(update={name: result})
        write_atomically(self.folder / "done.json", done.to_json())
        return result

    def clear(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)


def find_build_folder(root: Root, month: str, fingerprint: str) -> Path:
    """Return where a month is built from these inputs."""
    return root.tmp / "build" / f"{month}-{fingerprint[:16]}"


def open_build(root: Root, month: str, fingerprint: str) -> Build:
    """Open the build folder of these inputs; remove builds of the month from other inputs."""
    folder = find_build_folder(root, month, fingerprint)
    for other in folder.parent.glob(f"{month}-*"):
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)
    (folder / "revision").mkdir(parents=True, exist_ok=True)
    return Build(folder)
