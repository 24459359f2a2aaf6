"""What a month's facts hand on to the next, so that only new rows are read: under `tmp/`, named by what it was made from.

It can be lost or damaged at any time: the next month then reads the whole history, and comes to the same facts.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from expectations.month import Month
from flows.pipeline.context import RunContext
from flows.pipeline.fingerprints import code_fingerprint
from flows.pipeline.ingest import build_cleaning_job
from flows.storage.files import (
    fsync_path,
    hash_file,
    map_in_threads,
    recreate_folder,
    rename_and_sync,
    to_canonical_json,
)
from transforms.facts.month_bitmaps import is_append_only

HASHES = "hashes.json"


def load_previous_state(run: RunContext) -> dict[str, Path]:
    """What the month before handed on, by source: nothing when any of its rows have changed since."""
    folder = _state_path(run, run.month - 1)
    try:
        whole = json.loads((folder / HASHES).read_bytes()) == _hashes(folder)
    except (OSError, ValueError):
        return {}
    return {path.name: path for path in folder.iterdir() if path.is_dir()} if whole else {}


@contextmanager
def new_state(run: RunContext) -> Iterator[Path]:
    """A folder to write what this month hands on; in its place once all of it is written. Older months' are dropped."""
    place = _state_path(run, run.month)
    draft = recreate_folder(place.with_name("draft"))
    yield draft
    (draft / HASHES).write_bytes(to_canonical_json(_hashes(draft)))
    map_in_threads(fsync_path, [path for path in draft.rglob("*") if path.is_file()])
    for other in place.parent.iterdir():
        if other not in (draft, _state_path(run, run.month - 1)):
            shutil.rmtree(other)
    rename_and_sync(draft, place)


def _hashes(folder: Path) -> dict[str, str]:
    """The hash of every file that is handed on: Parquet by itself does not tell a changed byte."""
    files = sorted(folder.rglob("*.parquet"))
    return dict(
        zip(
            [str(path.relative_to(folder)) for path in files],
            map_in_threads(hash_file, files),
            strict=True,
        )
    )


def _state_path(run: RunContext, month: Month) -> Path:
    """The folder named by what the rows up to a month are: clean deliveries, declarations, code."""
    parts = [code_fingerprint("expectations", "transforms")]
    for name, served in run.served.items():
        source = run.project.sources[name]
        if is_append_only(source):
            jobs = [
                build_cleaning_job(run.project, delivery)
                for delivery in served.deliveries
                if delivery.month <= month
            ]
            parts += [source.model_dump_json(), *(f"{job.received} {job.inputs}" for job in jobs)]
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    return run.root.tmp / "onward" / f"{month}-{digest[:16]}"
