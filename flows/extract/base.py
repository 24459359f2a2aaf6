"""What every origin gives: the files of a month on offer, each with its version and a fetch."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from expectations.errors import ExitCode, JifenError
from expectations.month import Month
from flows.connections.accounts import Account
from transforms.clean.archives import (
    ACCEPTED_SUFFIXES,
    FileFormat,
    is_dropping,
    parse_file_name,
)


@dataclass(frozen=True)
class RemoteFile:
    """One file on offer.

    Attributes:
        name: Its name relative to the delivery, `/` between folders.
        version_info: What the origin states of its version without being read (size, times, ETag);
            empty when it states nothing.
        fetch: Writes the whole content to a new file, on disk when it returns; returns its SHA-256.
    """

    name: str
    version_info: dict[str, Any]
    fetch: Callable[[Path], str]


@dataclass(frozen=True)
class Listing:
    """What an origin holds for a month.

    Attributes:
        where: Its place, free of secrets.
        parts: Its files in their order, at least one.
    """

    where: str
    parts: list[RemoteFile]


class Connector(Protocol):
    """Where one source comes from.

    Attributes:
        trusts_metadata: Whether unchanged metadata are taken for an unchanged file, even in the
            month that is run: reading it again costs network traffic.
        write_once: Whether the origin cannot report that an older month has changed, so that one
            that has come, with rows, stays as it came.
    """

    trusts_metadata: bool
    write_once: bool

    def list_files(self, month: Month) -> Listing | None:
        """Return what has come for a month, None when nothing has.

        Raises:
            JifenError: Exit 11; its cause is a ConnectionError or TimeoutError when trying again
                may help.
        """


def save_stream(chunks: Iterable[bytes], target: Path) -> str:
    """Write a new file onto the disk as it comes; its SHA-256."""
    digest = hashlib.sha256()
    with target.open("xb") as file:
        for chunk in chunks:
            digest.update(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def sort_files(parts: list[RemoteFile], where: str) -> list[RemoteFile]:
    """Parts in the byte order of their names. JifenError when they are not of one format."""
    if len({_format_of(part.name) for part in parts}) > 1:
        raise extract_error(where, "同一来源的文件格式不一", "同一次交付只用一种格式")
    return sorted(parts, key=lambda part: os.fsencode(part.name))


def check_format(name: str, where: str) -> None:
    """JifenError when nobody would read a file of this name, or could write it down."""
    try:
        name.encode()
    except UnicodeEncodeError:
        hint = "请部门改名后再放入（从压缩包解出的文件名可能是旧编码）"
        raise extract_error(
            where.encode(errors="backslashreplace").decode(), "文件名不是 UTF-8 编码", hint
        ) from None
    if parse_file_name(name) is None:
        raise extract_error(
            where,
            "不认识的文件格式",
            f"应以 {'、'.join(ACCEPTED_SUFFIXES)} 结尾；不属于交付的文件请移走",
        )


def _format_of(name: str) -> FileFormat | None:
    parsed = parse_file_name(name)
    return parsed and parsed[1]


def is_hidden(name: str) -> bool:
    """Return whether a part of a name is hidden, leads out of its folder, or is a by-product.

    By-products are what desktops, Office and uploads under way leave behind.
    """
    return any(is_dropping(item) for item in name.split("/"))


def open_account(source: str) -> Account:
    """Return the account of a source's origin."""
    return Account(source, f"[sources.{source}] origin", ExitCode.EXTRACT)


def extract_error(where: str | Path, what: str, hint: str) -> JifenError:
    return JifenError(ExitCode.EXTRACT, what, where=str(where), hint=hint)


def changed_while_read(where: str | Path) -> JifenError:
    return extract_error(
        where, "文件在读取时仍有变化", "等部门写完后再运行；建议先写到别的名字，再改名放入"
    )
