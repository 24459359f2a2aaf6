"""Received deliveries: what a root holds of them, and their receipts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from expectations.errors import ExitCode, JifenError
from expectations.month import Month
from flows.storage.files import write_atomically
from flows.storage.records import Receipt
from flows.storage.root import Root, list_months, list_versions

RECEIPT = "receipt.json"


@dataclass(frozen=True)
class Delivery:
    """A received delivery: `raw/<month>/<source>/d<number>/` with its parts and its receipt.

    Attributes:
        source: The source's code.
        month: The month delivered for.
        number: 1 for the month's first delivery; the greatest is in force.
        folder: Where it lies.
        content: SHA-256 over the parts' hashes in order, whatever the files are called.
        parts: Its files in their order.
        receipt: What was noted when it came.
    """

    source: str
    month: Month
    number: int
    folder: Path
    content: str
    parts: tuple[Path, ...]
    receipt: Receipt


def list_deliveries(root: Root, source: str) -> list[Delivery]:
    """Return the delivery in force of every received month of a source, ascending by month."""
    newest = (find_newest_delivery(root, source, month) for month in list_months(root.raw))
    return [delivery for delivery in newest if delivery]


def find_newest_delivery(root: Root, source: str, month: Month) -> Delivery | None:
    """Return the delivery in force of a month, None before there is one."""
    received = list_versions(root.raw / str(month) / source, "d")
    return read_delivery(received[-1][1]) if received else None


def record_row_count(delivery: Delivery, rows: int, encodings: Sequence[str] = ()) -> Delivery:
    """Add to the receipt what reading has found: how many rows, and each part's encoding.

    `encodings`: of the parts in their order, empty for what is no text file.
    """
    given = [*encodings, *[""] * len(delivery.receipt.parts)]
    parts = [
        part.model_copy(update={"encoding": encoding or None})
        for part, encoding in zip(delivery.receipt.parts, given, strict=False)
    ]
    receipt = delivery.receipt.model_copy(update={"rows": rows, "parts": parts})
    write_atomically(delivery.folder / RECEIPT, receipt.to_json())
    return read_delivery(delivery.folder)


def read_delivery(folder: Path) -> Delivery:
    """Return the delivery in a `d<number>` folder.

    Raises:
        JifenError: Exit 15, its receipt is damaged.
    """
    try:
        receipt = Receipt.from_json((folder / RECEIPT).read_bytes())
        month = Month.parse(receipt.month)
        number = int(folder.name[1:])
    except (OSError, ValueError):
        hint = "从备份恢复这个文件夹；运行 jifen verify 查看全部损坏"
        where = str(folder / RECEIPT)
        raise JifenError(ExitCode.DAMAGE, "收件回执已损坏", where=where, hint=hint) from None
    parts = tuple(folder / part.name for part in receipt.parts)
    return Delivery(receipt.source, month, number, folder, receipt.content, parts, receipt)


def hash_content(hashes: Iterable[str]) -> str:
    """Return the hash of a delivery from the hashes of its parts, in order."""
    return hashlib.sha256("".join(f"{item}\n" for item in hashes).encode()).hexdigest()


def delivery_key(delivery: Delivery) -> dict[str, Any]:
    """Return how manifests name a delivery."""
    names = {"source": delivery.source, "month": str(delivery.month), "number": delivery.number}
    return {**names, "content": delivery.content}
