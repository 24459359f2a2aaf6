"""Fingerprints: what a month's files, and the build of a month, are made from."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from flows.pipeline.context import RunContext
from flows.project import PROJECT_FOLDER, _digest
from flows.storage.deliveries import delivery_key, list_deliveries

CLEANING_CODE_PATHS = (
    "expectations/source_model.py",
    "expectations/suite.py",
    "transforms/clean",
    "transforms/engine/session.py",
)


CODE_PATHS = ("expectations", "transforms", "reports", "flows")


@cache
def code_fingerprint(*places: str) -> str:
    """SHA-256 over the program's own files below these places: what has made a result."""
    files = [path for place in places for path in _code_files(PROJECT_FOLDER / place)]
    return _digest(
        f"{path.relative_to(PROJECT_FOLDER)} {hashlib.sha256(path.read_bytes()).hexdigest()}"
        for path in files
    )


def _code_files(place: Path) -> list[Path]:
    return (
        [place]
        if place.is_file()
        else sorted(p for p in place.rglob("*") if p.suffix in (".py", ".sql"))
    )


def build_fingerprint(run: RunContext) -> str:
    """What a half-made revision depends on: the inputs, what was published so far (changes, reminders), and the options."""
    sequence = len(run.root.revision_folders())
    return hashlib.sha256(
        f"{input_fingerprint(run)} {sequence} {run.send} {run.last}".encode()
    ).hexdigest()


def list_received(run: RunContext) -> list[dict[str, Any]]:
    """Every delivery in force up to the month, used or not: the month is a function of these."""
    return [
        delivery_key(delivery)
        for name in run.project.sources
        for delivery in list_deliveries(run.root, name)
        if delivery.month <= run.month
    ]


def input_fingerprint(run: RunContext) -> str:
    """What the month's files depend on: deliveries, what bridges missing ones, declarations, code, key."""
    parts = [
        str(run.month),
        *(str(sorted(item.items())) for item in list_received(run)),
        *(f"{name} {served.carried_from} {served.missing}" for name, served in run.served.items()),
        run.project.declarations_hash,
        code_fingerprint(*CODE_PATHS),
        hashlib.sha256(run.key).hexdigest(),
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
