"""Extracts on this machine or its shares: the inbox, a file, a folder, a glob."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from stat import S_ISREG

from expectations.errors import JifenError
from expectations.month import Month
from flows.extract.base import (
    Listing,
    RemoteFile,
    changed_while_read,
    check_format,
    extract_error,
    is_hidden,
    save_stream,
    sort_files,
)
from flows.extract.inbox import InboxContents, printable_name

CHUNK = 1 << 20


class Files:
    """A file, a folder of parts, or a glob, with `{month}` in it.

    The operator wrote the path: a link at its end is meant.
    """

    trusts_metadata = False
    write_once = False

    def __init__(self, path: Path) -> None:
        self.path = path

    def list_files(self, month: Month) -> Listing | None:
        path = Path(str(self.path).replace("{month}", str(month)))
        try:
            return _offer(self._found(path, month))
        except OSError as error:
            raise _unreadable(Path(error.filename or path), error) from None

    def _found(self, path: Path, month: Month) -> list[tuple[str, Path]]:
        """(name relative to the delivery, path) of every part."""
        if path.is_dir():
            return _in_folder(path.resolve())
        if path.exists():
            return [(path.resolve().name, path.resolve())]
        base = next(
            parent for parent in path.parents if parent.is_dir()
        )  # what is there is no pattern
        return [
            named
            for item in base.glob(str(path.relative_to(base)))
            if (named := _named(item, base))
        ]


class Inbox(Files):
    """What the inbox has for one source: a file, or a folder of parts, in its month's folder.

    Nobody wrote this path: links are refused.
    """

    def __init__(self, inbox: Path, contents: InboxContents, source: str) -> None:
        super().__init__(inbox)
        self.contents, self.source = contents, source

    def _found(self, path: Path, month: Month) -> list[tuple[str, Path]]:
        found = self.contents.offers.get((self.source, month), ())
        if len(found) > 1:
            names = "、".join(sorted(printable_name(item.relative_to(path)) for item in found))
            raise extract_error(
                path,
                f"来源 {self.source} {month} 有多份：{names}",
                "只留一个文件；一份交付分成几个文件的，放在以来源代码命名的一个文件夹里",
            )
        if found and found[0].is_dir() and not found[0].is_symlink():
            return _in_folder(found[0])
        return [(item.name, item) for item in found]


def _in_folder(folder: Path) -> list[tuple[str, Path]]:
    files = [item for item in folder.rglob("*") if item.is_symlink() or not item.is_dir()]
    return [named for item in files if (named := _named(item, folder))]


def _named(item: Path, base: Path) -> tuple[str, Path] | None:
    name = item.relative_to(base).as_posix()
    return None if is_hidden(name) else (name, item)


def _offer(found: list[tuple[str, Path]]) -> Listing | None:
    if not found:
        return None
    parts = [_part(name, path) for name, path in found]
    where = os.path.commonpath([path for _, path in found])
    return Listing(where, sort_files(parts, where))


def _part(name: str, path: Path) -> RemoteFile:
    # A link could bring in any file that the operator may read.
    if path.is_symlink() or not path.is_file():
        raise extract_error(path, "不是普通文件", "请放入文件本身，而不是链接或其他东西")
    check_format(name, str(path))
    seen = path.stat()
    times = {"bytes": seen.st_size, "mtime_ns": seen.st_mtime_ns, "ctime_ns": seen.st_ctime_ns}
    return RemoteFile(name, times, partial(_fetch, path))


def _fetch(path: Path, target: Path) -> str:
    return save_stream(_chunks(path), target)


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
        raise changed_while_read(path)


def _unreadable(path: Path, error: OSError) -> JifenError:
    return extract_error(path, f"文件无法读取（{error.strerror}）", "检查权限与存储后再运行")
