"""Deliveries: what the departments brought, kept byte for byte as it came, with a receipt."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from expectations.errors import ExitCode, JifenError
from expectations.month import Month
from flows.city_time import city_now
from flows.extract import open_connector
from flows.extract.base import Connector, Listing, RemoteFile
from flows.extract.inbox import InboxContents, InboxRules, scan_inbox
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
from flows.storage.root import Root

AT_ONCE = (
    4  # sources brought at the same time: hashing overlaps with waiting for disks and networks
)


@dataclass(frozen=True)
class PullFailure:
    """A delivery that could not be received: its source, its month, why."""

    source: str
    month: Month
    error: JifenError


class PullFailedError(JifenError):
    """Some deliveries could not be received; worded as the first of them.

    Attributes:
        new: What was received all the same.
        failures: One for each month of a source that could not.
    """

    def __init__(self, new: list[Delivery], failures: list[PullFailure]) -> None:
        first = failures[0].error
        super().__init__(first.code, first.message, where=first.where, hint=first.hint)
        self.new, self.failures = new, failures


def pull_up_to(
    root: Root,
    settings: Settings,
    sources: Iterable[str],
    month: Month,
    inbox: InboxContents | None = None,
) -> list[Delivery]:
    """Receive what is on offer for a month and all before it; return what is new, by month.

    The months looked for are the month itself, every month before it that has a folder in the
    inbox, and of a source with an origin of its own every month since its first delivery. All
    sources are looked at, whatever is wrong with one.

    Args:
        root: Where deliveries are kept.
        settings: Where sources come from.
        sources: Their codes.
        month: The last month.
        inbox: What lies in the inbox; without it files are known by the sources' codes alone.

    Raises:
        PullFailedError: Exit 11, an offer is ambiguous, unreadable, out of reach or still being
            written; its cause is a ConnectionError or TimeoutError when trying again may help.
    """
    names = list(sources)
    contents = inbox or scan_inbox(root.inbox, InboxRules({name: [name] for name in names}))
    waiting = {known for known in contents.months if known <= month} | {month}

    def asked_for(source: str) -> list[Month]:
        given = settings.sources.get(source)
        received = [delivery.month for delivery in list_deliveries(root, source)]
        missing = Month.span(received[0], month) if given and given.origin and received else []
        return sorted(waiting.union(missing))

    def receive(source: str) -> list[Delivery | PullFailure]:
        origin = open_connector(root, source, settings.sources.get(source), contents)
        came: list[Delivery | PullFailure] = []
        for asked in asked_for(source):
            try:
                delivery = _receive(root, source, asked, origin, rehash=asked == month)
            except JifenError as error:
                if error.code != ExitCode.EXTRACT:
                    raise
                came.append(PullFailure(source, asked, error))
                if error.__cause__:  # out of reach: it would be for the other months, too
                    break
            else:
                came += [delivery] if delivery else []
        return came

    with ThreadPoolExecutor(AT_ONCE) as pool:
        outcomes = [one for came in pool.map(receive, names) for one in came]
    new = [one for one in outcomes if isinstance(one, Delivery)]
    new.sort(key=lambda delivery: delivery.month)
    failures = [one for one in outcomes if isinstance(one, PullFailure)]
    if failures:
        causes = [one.error.__cause__ for one in failures if one.error.__cause__]
        raise PullFailedError(new, failures) from (causes[0] if causes else None)
    return new


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
            parts = [
                part.model_copy(update={"encoding": known.encoding})
                for part, known in zip(receipt.parts, newest.receipt.parts, strict=True)
            ]
            noted = {"origin": receipt.origin, "parts": parts}
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
