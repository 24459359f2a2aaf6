"""Fingerprints: hashes of all that clean rows, incremental state, builds and months depend on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from expectations.month import Month
from flows.pipeline.context import RunContext
from flows.project import PROJECT_FOLDER, Project
from flows.storage.deliveries import Delivery, delivery_key, list_deliveries
from flows.storage.incremental_state import StateKey
from flows.storage.keys import fingerprint_key
from transforms.clean.delivery import CleaningJob
from transforms.facts.month_bitmaps import is_append_only

CLEANING_CODE_PATHS = (
    "expectations/naming.py",
    "expectations/source_model.py",
    "expectations/suite.py",
    "transforms/clean",
    "transforms/engine/session.py",
)
CODE_PATHS = ("expectations", "transforms", "reports", "flows")


@cache
def code_fingerprint(*places: str) -> str:
    """Return SHA-256 over the program's own files below these places: what has made a result."""
    files = [path for place in places for path in _list_code_files(PROJECT_FOLDER / place)]
    return _digest(
        f"{path.relative_to(PROJECT_FOLDER)} {hashlib.sha256(path.read_bytes()).hexdigest()}"
        for path in files
    )


def _list_code_files(place: Path) -> list[Path]:
    if place.is_file():
        return [place]
    return sorted(path for path in place.rglob("*") if path.suffix in (".py", ".sql"))


def build_cleaning_job(project: Project, delivery: Delivery) -> CleaningJob:
    """Return how a delivery is cleaned, with the fingerprint of all that decides what comes out.

    That is its content, the source's declaration, the districts, limit, and code. Not the encoding
    that the settings accept: a delivery that has been read stays as it was.
    """
    source = project.sources[delivery.source]
    given = project.settings.sources.get(delivery.source)
    allowed = (given and given.encoding) or source.encoding
    fingerprint = _digest(
        [
            delivery.content,
            source.model_dump_json(exclude={"synthetic", "facts", "encoding"}),
            ",".join(project.reference.districts),
            str(project.settings.gate.quarantine_limit),
            code_fingerprint(*CLEANING_CODE_PATHS),
        ]
    )
    return CleaningJob(
        source,
        delivery.month,
        delivery.number,
        delivery.parts,
        allowed,
        frozenset(project.reference.districts),
        fingerprint,
        tuple(part.encoding or "" for part in delivery.receipt.parts),
    )


def state_fingerprint(run: RunContext, month: Month) -> StateKey:
    """Return the key of the incremental state after a month: its clean rows, declarations, code."""
    parts = [code_fingerprint("expectations", "transforms")]
    for name, chosen in run.inputs.items():
        source = run.project.sources[name]
        if is_append_only(source):
            upto = [one for one in chosen.deliveries if one.month <= month]
            jobs = [build_cleaning_job(run.project, delivery) for delivery in upto]
            parts += [source.model_dump_json(), *(f"{job.received} {job.inputs}" for job in jobs)]
    return StateKey(month, _digest(parts))


def list_received(run: RunContext) -> list[dict[str, Any]]:
    """Return every delivery in force up to the month, used or not, as manifests name them."""
    return [
        delivery_key(delivery)
        for name in run.project.sources
        for delivery in list_deliveries(run.root, name)
        if delivery.month <= run.month
    ]


def input_fingerprint(run: RunContext) -> str:
    """Return what the month's files depend on.

    Deliveries, what bridges missing ones, declarations and code. Not the key, of which nothing
    depends but pseudonyms: a revision whose pseudonyms were renewed is made from the same.
    """
    return _digest(
        [
            str(run.month),
            *(str(sorted(item.items())) for item in list_received(run)),
            *(f"{name} {one.carried_from} {one.missing}" for name, one in run.inputs.items()),
            run.project.declarations_hash,
            code_fingerprint(*CODE_PATHS),
        ]
    )


def build_fingerprint(run: RunContext) -> str:
    """Return what a build depends on: inputs, key, what was published so far, and the options."""
    sequence = len(run.root.revision_folders())  # changes and reminders depend on what is published
    options = run.options
    return _digest(
        [
            input_fingerprint(run),
            fingerprint_key(run.key),
            f"{sequence} {options.send_reminders} {options.is_last_of_run}",
        ]
    )


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
