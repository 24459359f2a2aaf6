"""Deliveries: what the departments brought, copied byte for byte, with a receipt."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from typing import Any

from expectations.month import Month
from expectations.problems import ExitCode, JifenError
from flows.root import (
    Root,
    canonical_json,
    fresh_folder,
    months_in,
    now,
    numbered,
    rename_durably,
    sync_folder,
    write_atomically,
)
from flows.settings import Settings

FORMATS = (".csv", ".parquet", ".xlsx")
RECEIPT = "receipt.json"
CHUNK = 1 << 20
AT_ONCE = 4  # sources copied at the same time: hashing and waiting for the disk overlap


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


@dataclass(frozen=True)
class Part:
    """One file on offer: its name relative to the delivery, and where it lies."""

    name: str
    path: Path


def pull_month(
    root: Root, settings: Settings, source_names: Iterable[str], month: Month, *, rehash: bool = True
) -> list[Delivery]:
    """Receive what is on offer for a month; return the deliveries that are new, in the order of `source_names`.

    Without `rehash` a file whose size and times are those of the newest delivery counts as unchanged: for months
    older than the one that is run. Error: exit 11 when an offer is ambiguous, unreadable or still being written.
    """

    def receive(source: str) -> Delivery | None:
        origin = settings.sources[source].origin if source in settings.sources else None
        try:
            parts = _offered(root, source, month, origin)
        except OSError as error:
            raise _unreadable(Path(error.filename or root.inbox), error) from None
        return _receive(root, source, month, parts, rehash) if parts else None

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return [delivery for delivery in pool.map(receive, source_names) if delivery]


def inbox_months(root: Root) -> list[Month]:
    """The months that have a folder in the inbox, ascending."""
    return months_in(root.inbox)


def deliveries(root: Root, source: str) -> list[Delivery]:
    """The delivery in force of every received month of a source, ascending by month."""
    newest = (_newest(root, source, month) for month in months_in(root.raw))
    return [delivery for delivery in newest if delivery]


def note_rows(delivery: Delivery, rows: int) -> Delivery:
    """Add the number of rows received to the receipt, once the rows have been counted."""
    receipt = {**delivery.receipt, "rows": rows}
    write_atomically(delivery.folder / RECEIPT, canonical_json(receipt))
    return read_delivery(delivery.folder)


def read_delivery(folder: Path) -> Delivery:
    """The delivery in a `d<number>` folder. Error: exit 15, its receipt is damaged."""
    try:
        receipt = json.loads((folder / RECEIPT).read_bytes())
        parts = tuple(folder / part["name"] for part in receipt["parts"])
        month = Month.parse(receipt["month"])
        return Delivery(receipt["source"], month, int(folder.name[1:]), folder, str(receipt["content"]), parts, receipt)
    except (OSError, ValueError, KeyError, TypeError):
        todo = "从备份恢复这个文件夹；运行 jifen verify 查看全部损坏"
        raise JifenError(ExitCode.DAMAGE, "收件回执已损坏", where=str(folder / RECEIPT), todo=todo) from None


def content_hash(hashes: Iterable[str]) -> str:
    """The hash of a delivery from the hashes of its parts, in order."""
    return hashlib.sha256("".join(f"{item}\n" for item in hashes).encode()).hexdigest()


def _newest(root: Root, source: str, month: Month) -> Delivery | None:
    received = numbered(root.raw / str(month) / source, "d")
    return read_delivery(received[-1][1]) if received else None


# --- what is on offer ---


def _offered(root: Root, source: str, month: Month, origin: str | None) -> list[Part]:
    """The parts of a source that its origin holds for a month, in their order; none when nothing has come yet.

    The seam for other origins: whatever they are, they yield parts.
    """
    if origin is None:
        return _from_inbox(root.inbox / str(month), source)
    if "://" in origin:
        todo = "改用文件、文件夹或通配符"
        raise JifenError(
            ExitCode.EXTRACT, "还不支持这种来源地址", where=f"jifen.toml [sources.{source}] origin", todo=todo
        )
    return _from_path(Path(origin.replace("{month}", str(month))), source)


def _from_inbox(folder: Path, source: str) -> list[Part]:
    found = [item for item in _visible(folder) if item.name == source or _is_file_of(item, source)]
    if len(found) > 1:
        names = "、".join(sorted(item.name for item in found))
        raise _refused(folder, f"来源 {source} 有多份：{names}", "只留一个文件，或一个文件夹")
    return [] if not found else _from_folder(found[0]) if found[0].name == source else [_part(found[0], folder)]


def _is_file_of(item: Path, source: str) -> bool:
    return item.stem == source and item.suffix.lower() in FORMATS


def _from_path(path: Path, source: str) -> list[Part]:
    """A file, a folder of parts, or a glob. The operator wrote the path: a link at its end is meant."""
    if path.exists():
        return _from_folder(path.resolve()) if path.is_dir() else [_part(path.resolve(), path.resolve().parent)]
    base = next((parent for parent in path.parents if not re.search(r"[*?\[]", str(parent))), Path("/"))
    found = [item for item in base.glob(str(path.relative_to(base))) if not _hidden(item, base)]
    return _ordered([_part(item, base) for item in found], base)


def _from_folder(folder: Path) -> list[Part]:
    if folder.is_symlink() or not folder.is_dir():
        raise _refused(folder, "不是文件夹，也不是可识别的文件", f"交付文件应以 {'、'.join(FORMATS)} 结尾")
    found = [item for item in folder.rglob("*") if not _hidden(item, folder)]
    return _ordered([_part(item, folder) for item in found if item.is_symlink() or not item.is_dir()], folder)


def _ordered(parts: list[Part], folder: Path) -> list[Part]:
    if len({part.path.suffix.lower() for part in parts}) > 1:
        raise _refused(folder, "同一来源的文件格式不一", "同一次交付只用一种格式")
    return sorted(parts, key=lambda part: os.fsencode(part.name))


def _part(path: Path, base: Path) -> Part:
    # A link could bring in any file that the operator may read.
    if path.is_symlink() or not path.is_file():
        raise _refused(path, "不是普通文件", "请放入文件本身，而不是链接或其他东西")
    if path.suffix.lower() not in FORMATS:
        raise _refused(path, "不认识的文件格式", f"应以 {'、'.join(FORMATS)} 结尾；不属于交付的文件请移走")
    return Part(path.relative_to(base).as_posix(), path)


def _visible(folder: Path) -> list[Path]:
    return [item for item in folder.iterdir() if not item.name.startswith(".")] if folder.is_dir() else []


def _hidden(item: Path, base: Path) -> bool:
    return any(name.startswith(".") for name in item.relative_to(base).parts)


def _refused(where: Path, what: str, todo: str) -> JifenError:
    return JifenError(ExitCode.EXTRACT, what, where=str(where), todo=todo)


# --- receiving it ---


def _receive(root: Root, source: str, month: Month, parts: list[Part], rehash: bool) -> Delivery | None:
    """Copy an offer to raw as the next delivery, unless the newest one has the same content."""
    newest = _newest(root, source, month)
    times = [_times(part.path) for part in parts]
    if newest and not rehash and [_known_times(known) for known in newest.receipt["parts"]] == times:
        return None
    if newest and newest.content == content_hash(_consume(part.path) for part in parts):
        return None
    folder = fresh_folder(root.tmp / "pull" / f"{month}-{source}")
    hashes = [_copy(part.path, folder / part.name) for part in parts]
    receipt = {
        "source": source,
        "month": str(month),
        "origin": os.path.commonpath([part.path for part in parts]),
        "received_at": now(),
        "content": content_hash(hashes),
        "parts": [
            {"name": part.name, "sha256": digest, **seen}
            for part, digest, seen in zip(parts, hashes, times, strict=True)
        ],
    }
    write_atomically(folder / RECEIPT, canonical_json(receipt))
    for inner in (item for item in folder.rglob("*") if item.is_dir()):
        sync_folder(inner)
    target = root.raw / str(month) / source / f"d{newest.number + 1 if newest else 1}"
    target.parent.mkdir(parents=True, exist_ok=True)
    rename_durably(folder, target)
    for parent in (target.parent.parent, root.raw):
        sync_folder(parent)
    return read_delivery(target)


def _times(path: Path) -> dict[str, int]:
    try:
        seen = path.stat()
    except OSError as error:
        raise _unreadable(path, error) from None
    return {"bytes": seen.st_size, "mtime_ns": seen.st_mtime_ns, "ctime_ns": seen.st_ctime_ns}


def _known_times(part: dict[str, Any]) -> dict[str, int]:
    return {name: part[name] for name in ("bytes", "mtime_ns", "ctime_ns")}


def _copy(source: Path, target: Path) -> str:
    """Copy a file byte for byte onto the disk; return its SHA-256."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as file:
        digest = _consume(source, file.write)
        file.flush()
        os.fsync(file.fileno())
    return digest


def _consume(path: Path, write: Callable[[bytes], object] | None = None) -> str:
    """SHA-256 of a file on offer, handing on what is read."""
    digest = hashlib.sha256()
    for chunk in _chunks(path):
        digest.update(chunk)
        if write:
            write(chunk)
    return digest.hexdigest()


def _chunks(path: Path) -> Iterator[bytes]:
    """The bytes of a file that nobody changes meanwhile."""
    try:
        with path.open("rb", buffering=0) as file:
            before = os.fstat(file.fileno())
            while chunk := file.read(CHUNK):
                yield chunk
            after = path.stat()
    except OSError as error:
        raise _unreadable(path, error) from None
    seen = [(item.st_ino, item.st_size, item.st_mtime_ns) for item in (before, after)]
    if seen[0] != seen[1] or not S_ISREG(after.st_mode):
        raise _refused(path, "文件在读取时仍有变化", "等部门写完后再运行；建议先写到别的名字，再改名放入")


def _unreadable(path: Path, error: OSError) -> JifenError:
    return _refused(path, f"文件无法读取（{error.strerror}）", "检查权限与存储后再运行")
