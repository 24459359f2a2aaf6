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
from flows.house import code_hash
from flows.publish import in_threads
from flows.receiving import cleaning_job
from flows.root import canonical_json, file_hash, fresh_folder, rename_durably, sync_folder
from flows.run import Run
from transforms.months import adds_up

HASHES = "hashes.json"


def handed_on(run: Run) -> dict[str, Path]:
    """What the month before handed on, by source: nothing when any of its rows have changed since."""
    folder = _place(run, run.month - 1)
    try:
        whole = json.loads((folder / HASHES).read_bytes()) == _hashes(folder)
    except (OSError, ValueError):
        return {}
    return {path.name: path for path in folder.iterdir() if path.is_dir()} if whole else {}


@contextmanager
def handing_on(run: Run) -> Iterator[Path]:
    """A folder to write what this month hands on; in its place once all of it is written. Older months' are dropped."""
    place = _place(run, run.month)
    draft = fresh_folder(place.with_name("draft"))
    yield draft
    (draft / HASHES).write_bytes(canonical_json(_hashes(draft)))
    in_threads(sync_folder, [path for path in draft.rglob("*") if path.is_file()])
    for other in place.parent.iterdir():
        if other not in (draft, _place(run, run.month - 1)):
            shutil.rmtree(other)
    rename_durably(draft, place)


def _hashes(folder: Path) -> dict[str, str]:
    """The hash of every file that is handed on: Parquet by itself does not tell a changed byte."""
    files = sorted(folder.rglob("*.parquet"))
    return dict(zip([str(path.relative_to(folder)) for path in files], in_threads(file_hash, files), strict=True))


def _place(run: Run, month: Month) -> Path:
    """The folder named by what the rows up to a month are: clean deliveries, declarations, code."""
    parts = [code_hash("expectations", "transforms")]
    for name, served in run.served.items():
        source = run.house.sources[name]
        if adds_up(source):
            jobs = [cleaning_job(run.house, delivery) for delivery in served.deliveries if delivery.month <= month]
            parts += [source.model_dump_json(), *(f"{job.received} {job.inputs}" for job in jobs)]
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    return run.root.tmp / "onward" / f"{month}-{digest[:16]}"
