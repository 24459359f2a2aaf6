"""Deliveries: what the departments brought, kept byte for byte as it came, with a receipt."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from expectations.month import Month
from flows.city_time import city_now
from flows.extract import open_connector
from flows.extract.base import Connector, Listing, RemoteFile
from flows.settings import Settings
from flows.storage.deliveries import (
    RECEIPT,
    Delivery,
    find_newest_delivery,
    hash_content,
    list_deliveries,
    read_delivery,
)
from flows.storage.files import (
    fsync_path,
    hash_file,
    rename_and_sync,
    to_canonical_json,
    write_atomically,
)
from flows.storage.records import Receipt
from flows.storage.root import Root, list_months

AT_ONCE = (
    4  # sources brought at the same time: hashing overlaps with waiting for disks and networks
)


def pull_up_to(
    root: Root, settings: Settings, sources: Iterable[str], month: Month
) -> list[Delivery]:
    """Receive what is on offer for a month and all before it; return what is new, by month.

    The months looked for are the month itself, every month before it that has a folder in the
    inbox, and of a source with an origin of its own every month since its first delivery.

    Raises:
        JifenError: Exit 11, an offer is ambiguous, unreadable, out of reach or still being written.
    """
    waiting = {known for known in list_inbox_months(root) if known <= month} | {month}

    def asked_for(source: str) -> list[Month]:
        given, received = (
            settings.sources.get(source),
            [delivery.month for delivery in list_deliveries(root, source)],
        )
        missing = Month.span(received[0], month) if given and given.origin and received else []
        return sorted(waiting.union(missing))

    def receive(source: str) -> list[Delivery]:
        origin = open_connector(root, source, settings.sources.get(source))
        came = [
            _receive(root, source, asked, origin, rehash=asked == month)
            for asked in asked_for(source)
        ]
        return [delivery for delivery in came if delivery]

    with ThreadPoolExecutor(AT_ONCE) as pool:
        new = [delivery for came in pool.map(receive, sources) for delivery in came]
    return sorted(new, key=lambda delivery: delivery.month)


def list_inbox_months(root: Root) -> list[Month]:
    """The months that have a folder in the inbox, ascending."""
    return list_months(root.inbox)


def _receive(
    root: Root, source: str, month: Month, origin: Connector, rehash: bool
) -> Delivery | None:
    """Receive what is on offer as the next delivery, unless the newest one has the same content."""
    newest = find_newest_delivery(root, source, month)
    if newest and origin.write_once and not rehash and newest.receipt.rows:
        return None
    offer = origin.list_files(month)
    if offer is None or (
        newest and (origin.trusts_metadata or not rehash) and _unchanged(offer, newest.receipt)
    ):
        return None
    folder = root.tmp / "pull" / f"{month}-{source}"
    receipt = Receipt.model_validate(
        {
            "source": source,
            "month": str(month),
            **_bring(offer, folder),
            "received_at": city_now(),
        }
    )
    if newest and newest.content == receipt.content:
        shutil.rmtree(folder)
        # Noted, so that next time it is known by its size and times.
        if [part.name for part in receipt.parts] == [part.name for part in newest.receipt.parts]:
            noted = {"origin": receipt.origin, "parts": receipt.parts}
            same = newest.receipt.model_copy(update=noted)
            write_atomically(newest.folder / RECEIPT, same.to_json())
        return None
    write_atomically(folder / RECEIPT, receipt.to_json())
    for inner in (item for item in folder.rglob("*") if item.is_dir()):
        fsync_path(inner)
    target = root.raw / str(month) / source / f"d{newest.number + 1 if newest else 1}"
    target.parent.mkdir(parents=True, exist_ok=True)
    rename_and_sync(folder, target)
    for parent in (target.parent.parent, root.raw):
        fsync_path(parent)
    return read_delivery(target)


def _bring(offer: Listing, folder: Path) -> dict[str, Any]:
    """Bring all parts of an offer into a folder; return what the receipt says of them.

    The receipt grows part by part, so that the next pull goes on with what an interrupted one has
    brought.
    """
    done = _brought_before(offer, folder)
    _clear(folder, {part["name"] for part in done.values()})
    for part in offer.parts:
        if part.name not in done:
            target = folder / part.name
            target.parent.mkdir(parents=True, exist_ok=True)
            digest = part.fetch(target)
            done[part.name] = {
                "name": part.name,
                "bytes": target.stat().st_size,
                **part.version_info,
                "sha256": digest,
            }
            draft = {"origin": offer.where, "parts": list(done.values())}
            write_atomically(folder / RECEIPT, to_canonical_json(draft))
    parts = [done[part.name] for part in offer.parts]
    return {
        "origin": offer.where,
        "parts": parts,
        "content": hash_content(part["sha256"] for part in parts),
    }


def _brought_before(offer: Listing, folder: Path) -> dict[str, dict[str, Any]]:
    """Return the parts by name that an interrupted pull left whole and that have not changed."""
    try:
        draft = json.loads((folder / RECEIPT).read_bytes())
        noted = {part["name"]: part for part in draft["parts"] if draft["origin"] == offer.where}
        return {
            part.name: noted[part.name]
            for part in offer.parts
            if _is_as_noted(part, noted.get(part.name))
            and hash_file(folder / part.name) == noted[part.name]["sha256"]
        }
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _clear(folder: Path, wanted: set[str]) -> None:
    """Leave nothing in a folder but the wanted files."""
    folder.mkdir(parents=True, exist_ok=True)
    for item in folder.rglob("*"):
        if not item.is_dir() and item.relative_to(folder).as_posix() not in wanted:
            item.unlink()
    for inner in sorted((item for item in folder.rglob("*") if item.is_dir()), reverse=True):
        with suppress(OSError):  # something wanted is in it
            inner.rmdir()


def _unchanged(offer: Listing, receipt: Receipt) -> bool:
    """Return whether an offer is, by the versions that its origin states, the one of a receipt."""
    noted = [part.model_dump() for part in receipt.parts]
    return (
        receipt.origin == offer.where
        and len(noted) == len(offer.parts)
        and all(_is_as_noted(part, known) for part, known in zip(offer.parts, noted, strict=True))
    )


def _is_as_noted(part: RemoteFile, noted: dict[str, Any] | None) -> bool:
    return (
        bool(part.version_info)
        and noted is not None
        and {"name": part.name, **part.version_info}.items() <= noted.items()
    )
