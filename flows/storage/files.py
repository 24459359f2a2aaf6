"""How files are written and read: atomic writes, hashes, syncing."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any


def to_canonical_json(value: object) -> bytes:
    """The one way a record is written: keys sorted, readable, equal bytes for equal values."""
    return (json.dumps(value, ensure_ascii=False, sort_keys=True, indent=1) + "\n").encode()


def write_atomically(path: Path, content: bytes) -> None:
    """Put a file in place as a whole: after a crash there is the old or the new one, never half."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    write_synced(draft, content)
    rename_and_sync(draft, path)


def rename_and_sync(source: Path, target: Path) -> None:
    """Rename within one file system, and have it on disk before returning."""
    source.rename(target)
    for folder in {source.parent, target.parent}:
        fsync_path(folder)


def hash_file(path: Path) -> str:
    """SHA-256 of a file, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fsync_path(folder: Path) -> None:
    """Have a folder's (or a file's) content on disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def recreate_folder(folder: Path) -> Path:
    """An empty folder, whatever a run that died may have left there."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def write_synced(path: Path, content: bytes) -> None:
    """Write a file that nobody looks at yet, and have it on disk."""
    with path.open("wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def file_record(path: Path) -> dict[str, Any]:
    """Return bytes and SHA-256 of a file; nothing of a link (its target may change) or a device."""
    if path.is_symlink() or not path.is_file():
        return {}
    return {"bytes": path.stat().st_size, "sha256": hash_file(path)}


def map_in_threads(work: Callable[[Path], Any], paths: Iterable[Path]) -> list[Any]:
    """Map over paths in threads: one per core and one more, as hashing and syncing free the GIL."""
    with ThreadPoolExecutor((os.cpu_count() or 1) + 1) as pool:
        return list(pool.map(work, paths))
