"""Received deliveries: what a root holds of them, and their receipts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from expectations.errors import ExitCode, JifenError
from expectations.month import Month
from flows.storage.files import (
    to_canonical_json,
    write_atomically,
)
from flows.storage.root import Root, list_months, list_versions


def delivery_key(delivery: Delivery) -> dict[str, Any]:
    """How a manifest's `deliveries` names one that was used."""
    names = {"source": delivery.source, "month": str(delivery.month), "number": delivery.number}
    return {**names, "content": delivery.content}


RECEIPT = "receipt.json"


@dataclass(frozen=True)
class Delivery:
    """One received delivery: `raw/<month>/<source>/d<number>/` with its parts in their order, and its receipt.

    `content` is the SHA-256 over the parts' hashes in order: equal content, equal hash, whatever the files are called.
    """

    source: str
    month: Month
    number: int
    folder: Path
    content: str
    parts: tuple[Path, ...]
    receipt: dict[str, Any]


def list_deliveries(root: Root, source: str) -> list[Delivery]:
    """The delivery in force of every received month of a source, ascending by month."""
    newest = (_newest(root, source, month) for month in list_months(root.raw))
    return [delivery for delivery in newest if delivery]


def record_row_count(delivery: Delivery, rows: int) -> Delivery:
    """Add the number of rows received to the receipt, once the rows have been counted."""
    write_atomically(
        delivery.folder / RECEIPT, to_canonical_json({**delivery.receipt, "rows": rows})
    )
    return read_delivery(delivery.folder)


def read_delivery(folder: Path) -> Delivery:
    """The delivery in a `d<number>` folder. Error: exit 15, its receipt is damaged."""
    try:
        receipt = json.loads((folder / RECEIPT).read_bytes())
        parts = tuple(folder / part["name"] for part in receipt["parts"])
        month = Month.parse(receipt["month"])
        return Delivery(
            receipt["source"],
            month,
            int(folder.name[1:]),
            folder,
            str(receipt["content"]),
            parts,
            receipt,
        )
    except (OSError, ValueError, KeyError, TypeError):
        hint = "从备份恢复这个文件夹；运行 jifen verify 查看全部损坏"
        raise JifenError(
            ExitCode.DAMAGE, "收件回执已损坏", where=str(folder / RECEIPT), hint=hint
        ) from None


def hash_content(hashes: Iterable[str]) -> str:
    """The hash of a delivery from the hashes of its parts, in order."""
    return hashlib.sha256("".join(f"{item}\n" for item in hashes).encode()).hexdigest()


def _newest(root: Root, source: str, month: Month) -> Delivery | None:
    received = list_versions(root.raw / str(month) / source, "d")
    return read_delivery(received[-1][1]) if received else None
