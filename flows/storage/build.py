"""A revision in the making: which steps are finished, so that the run after one that died takes them up."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.storage.files import fsync_path, map_in_threads, to_canonical_json, write_atomically
from flows.storage.root import Root


@dataclass(frozen=True)
class Build:
    """`tmp/build/<month>-<inputs>/`: `revision/` as it will be published, `wide/` for the steps, `done.json`.

    The folder is named by the hash of all inputs: a step found done in it was made from equal inputs.
    """

    folder: Path

    @property
    def revision(self) -> Path:
        return self.folder / "revision"

    @property
    def wide(self) -> Path:
        """The fact table, identified; not part of the revision."""
        return self.folder / "wide"

    def done(self) -> dict[str, Any]:
        """What the finished steps counted, by step."""
        try:
            found = json.loads((self.folder / "done.json").read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return {}
        return dict(found)

    def step(self, name: str, make: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
        """Do a step unless it is done; its files are on disk before it counts as done."""
        finished = self.done()
        if name not in finished:
            counts = dict(make())
            map_in_threads(fsync_path, [path for path in self.folder.rglob("*") if path.is_file()])
            write_atomically(
                self.folder / "done.json", to_canonical_json({**finished, name: counts})
            )
            return counts
        return dict(finished[name])

    def clear(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def find_build_folder(root: Root, month: str, inputs: str) -> Path:
    """Where a month is built from these inputs."""
    return root.tmp / "build" / f"{month}-{inputs[:16]}"


def open_build(root: Root, month: str, inputs: str) -> Build:
    """The build folder of these inputs; builds of the same month from other inputs are of no use any more."""
    folder = find_build_folder(root, month, inputs)
    for other in folder.parent.glob(f"{month}-*"):
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)
    (folder / "revision").mkdir(parents=True, exist_ok=True)
    return Build(folder)
