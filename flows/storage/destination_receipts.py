"""Receipts of what destinations got: `delivered/<month>/<destination>/r<number>.json`, with a MAC.

A receipt grows file by file, so that the next try goes on with what an interrupted one has sent.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from expectations.errors import ExitCode, JifenError
from expectations.month import Month
from flows.storage.files import fsync_path, to_canonical_json, write_atomically
from flows.storage.records import Record
from flows.storage.root import Root, list_months, list_versions


class DeliveredFile(BaseModel):
    """A file as it lies at a destination.

    Attributes:
        bytes: Its size as sent.
        sha256: Its hash as sent.
        version: What the place states of it: time or ETag; empty when it states nothing.
        source_sha256: The hash of the file that it was made from, before it was encrypted.
        recipients: The public keys that it is encrypted for; none: as it was.
    """

    model_config = ConfigDict(frozen=True)

    bytes: int
    sha256: str
    version: str = ""
    source_sha256: str = ""
    recipients: tuple[str, ...] = ()


class DestinationReceipt(Record):
    """Receipt of a destination: what it got of a revision, where, when, and what is missing.

    Attributes:
        destination: `portal`, a district's code, a source's code.
        month: `YYYY-MM`.
        revision: The revision's number.
        address: Where it is, free of secrets.
        state: `partial` until everything is there; `replaced` once a newer revision is.
        files: Name at the place -> the file.
        rows: Rows of a table.
        summary: `delivery.json` as it lies there.
        replaces: The revision that was there before, `r1`.
        begun_at: When it was first tried.
        delivered_at: When everything was there.
        reason: Why it is not complete, after a try that failed.
        todo: The way out.
        mac: HMAC of everything else with the root's key.
    """

    destination: str
    month: str
    revision: int
    address: str
    state: Literal["partial", "delivered", "replaced"] = "partial"
    files: dict[str, DeliveredFile] = {}
    rows: int = 0
    summary: DeliveredFile | None = None
    replaces: str = ""
    begun_at: str
    delivered_at: str = ""
    reason: str = ""
    todo: str = ""
    mac: str = ""

    def compute_mac(self, key: bytes) -> str:
        """Return what `mac` must be."""
        values = {name: value for name, value in self.to_values().items() if name != "mac"}
        return hmac.new(key, to_canonical_json(values), hashlib.sha256).hexdigest()

    def is_authentic(self, key: bytes) -> bool:
        """Return whether nobody without the key has written or changed it."""
        return hmac.compare_digest(self.compute_mac(key), self.mac)

    def with_changes(self, **changes: Any) -> DestinationReceipt:
        """Return the receipt with other values."""
        return self.model_copy(update=changes)


def save_receipt(root: Root, key: bytes, receipt: DestinationReceipt) -> DestinationReceipt:
    """Write a receipt, with its MAC, and return it."""
    signed = receipt.with_changes(mac=receipt.compute_mac(key))
    file = _receipt_file(root, Month.parse(signed.month), signed.destination, signed.revision)
    if not file.parent.is_dir():
        file.parent.mkdir(parents=True)
        for folder in (root.delivered, file.parent.parent):
            fsync_path(folder)
    write_atomically(file, signed.to_json())
    return signed


def find_receipt(
    root: Root, key: bytes, month: Month, destination: str, revision: int
) -> DestinationReceipt | None:
    """Return the receipt of a revision; None before anything was tried.

    Raises:
        JifenError: Exit 15, it is damaged, or not ours.
    """
    file = _receipt_file(root, month, destination, revision)
    return _read_receipt(file, root.signing_keys(key)) if file.exists() else None


def list_receipts(
    root: Root, key: bytes, month: Month, destination: str
) -> list[DestinationReceipt]:
    """Return the receipts of all revisions of a month, ascending.

    Raises:
        JifenError: Exit 15, one is damaged, or not ours.
    """
    files = _list_files(root.delivered / str(month) / destination)
    keys = root.signing_keys(key)
    return [_read_receipt(file, keys) for file in files]


def list_receipt_files(root: Root) -> list[tuple[Month, Path]]:
    """Return all receipts of the root with their months, ascending."""
    return [
        (month, file)
        for month in list_months(root.delivered)
        for folder in sorted((root.delivered / str(month)).iterdir())
        for file in _list_files(folder)
    ]


def find_receipt_damage(
    root: Root, key: bytes, month: Month | None, revisions: Collection[tuple[str, int]]
) -> Iterator[str]:
    """Yield a sentence for each receipt that is damaged, or of what no revision has.

    Args:
        root: The root.
        key: Its key.
        month: The month looked at; None: all.
        revisions: Month and number of every revision.
    """
    for of_month, file in list_receipt_files(root):
        if month not in (None, of_month):
            continue
        name = file.relative_to(root.path).as_posix()
        try:
            receipt = _read_receipt(file, root.signing_keys(key))
        except JifenError as error:
            yield f"{name}：{error.message}"
            continue
        place = (receipt.month, receipt.destination, f"r{receipt.revision}")
        if place != (str(of_month), file.parent.name, file.stem):
            yield f"{name}：回执属于 {'/'.join(place)}，放错了位置"
        if (receipt.month, receipt.revision) not in revisions:
            yield f"{name}：没有 {receipt.month} r{receipt.revision} 这个修订版"


def _list_files(folder: Path) -> list[Path]:
    found = list_versions(folder, "r", ".json") if folder.is_dir() else []
    return [path for _, path in found]


def _receipt_file(root: Root, month: Month, destination: str, revision: int) -> Path:
    return root.delivered / str(month) / destination / f"r{revision}.json"


def _read_receipt(file: Path, keys: Sequence[bytes]) -> DestinationReceipt:
    try:
        receipt = DestinationReceipt.from_json(file.read_bytes())
    except (OSError, ValueError):
        receipt = None
    if receipt is None or not any(map(receipt.is_authentic, keys)):
        raise JifenError(
            ExitCode.DAMAGE,
            "送交回执已损坏，或与校验码不符",
            where=str(file),
            hint="从备份恢复，或移走这个文件后重新送交（jifen deliver）",
        )
    return receipt
