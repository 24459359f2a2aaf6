"""Places of files: every file is written whole under a temporary name, checked, then renamed."""

from __future__ import annotations

import hashlib
import os
import posixpath
import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from flows.connections import filesystems
from flows.connections.accounts import redact_address
from flows.connections.filesystems import SFTP, RemoteSystem, read_version
from flows.connections.timeouts import iterate_with_timeout
from flows.destinations.contents import Destination
from flows.storage.destination_receipts import DeliveredFile
from flows.storage.files import fsync_path, hash_file

CHUNK = 8 << 20
"""So much is sent at a time: parts of objects must not be smaller than 5 MiB."""
PART = ".part"

Pieces = Callable[[], Iterator[bytes]]


class Place(Protocol):
    """A folder, on this machine or another, for one month of one destination.

    Attributes:
        where: Its address, free of secrets.
    """

    where: str

    def write(self, name: str, pieces: Pieces) -> DeliveredFile:
        """Put a file in place as a whole, over one of its name; return what lies there now.

        Raises:
            JifenError: It is not there; the file of before is. Its cause is a ConnectionError or
                TimeoutError when trying again may help.
        """

    def holds(self, name: str, noted: DeliveredFile) -> bool:
        """Return whether a file lies there as it was noted, as far as the place states it."""

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""

    def clear(self, folder: str) -> None:
        """Remove what interrupted tries left in a folder, and the folder when it is empty.

        The name of the place itself is empty.
        """


def open_place(destination: Destination, month: str) -> Place:
    """Return the place of a month; nothing is asked yet."""
    address = destination.given.address.replace("{month}", month)
    if destination.given.is_remote:
        system = RemoteSystem(destination.account, address, destination.given.endpoint)
        return RemotePlace(system, redact_address(address))
    fixed = Path(destination.given.address.partition("{month}")[0] + "x").parent
    return FolderPlace(destination, Path(address), fixed)


@dataclass
class _Sent:
    """What has been sent so far of a file."""

    size: int = 0
    sha256: Any = field(default_factory=hashlib.sha256)
    md5: Any = field(default_factory=lambda: hashlib.md5(usedforsecurity=False))

    def count(self, pieces: Pieces) -> Iterator[bytes]:
        """Yield the pieces."""
        for piece in pieces():
            self.size += len(piece)
            self.sha256.update(piece)
            self.md5.update(piece)
            yield piece

    def to_record(self, version: str) -> DeliveredFile:
        """Return what is noted of the file."""
        return DeliveredFile(bytes=self.size, sha256=self.sha256.hexdigest(), version=version)


def _name_draft(path: str) -> str:
    """Return a hidden name beside a path, another one each time.

    A try that hangs and wakes up later cannot write into the file of the next one.
    """
    folder, name = posixpath.split(path)
    return posixpath.join(folder, f".{name}.{secrets.token_hex(4)}{PART}")


def is_draft(name: str) -> bool:
    """Return whether a name is that of a file which an interrupted try left."""
    return name.startswith(".") and name.endswith(PART)


class FolderPlace:
    """A folder of this machine, or of a share mounted on it.

    Who may read what is delivered: who may read the folder that `{month}` is in.
    """

    def __init__(self, destination: Destination, folder: Path, fixed: Path) -> None:
        self.destination, self.folder, self.fixed = destination, folder, fixed
        self.where = str(folder)

    def write(self, name: str, pieces: Pieces) -> DeliveredFile:
        target = self.folder / name
        draft = Path(_name_draft(str(target)))
        sent = _Sent()

        def send() -> Iterator[int]:
            mode = self._make_folders(target.parent)
            is_whole = False
            try:
                with draft.open("wb") as file:
                    os.fchmod(file.fileno(), mode & 0o666)
                    for piece in sent.count(pieces):
                        file.write(piece)
                        yield len(piece)
                    file.flush()
                    os.fsync(file.fileno())
                is_whole = hash_file(draft) == sent.sha256.hexdigest()
                yield 0
                if is_whole:
                    draft.replace(target)
                    fsync_path(target.parent)
            finally:
                if not is_whole:
                    draft.unlink(missing_ok=True)
            if not is_whole:
                what = "写入的内容与读回的不符"
                raise self._make_error(what, "检查磁盘，再次送交") from OSError()

        self._ask(send)
        return sent.to_record("")

    def holds(self, name: str, noted: DeliveredFile) -> bool:
        def look() -> Iterator[bool]:
            path = self.folder / name
            yield (
                path.is_file()
                and path.stat().st_size == noted.bytes
                and hash_file(path) == noted.sha256
            )

        return bool(self._ask(look)[-1])

    def remove(self, name: str) -> None:
        def ask() -> Iterator[None]:
            (self.folder / name).unlink(missing_ok=True)
            yield None

        self._ask(ask)

    def clear(self, folder: str) -> None:
        def look() -> Iterator[None]:
            place = self.folder / folder
            for item in place.iterdir() if place.is_dir() else ():
                if is_draft(item.name):
                    item.unlink(missing_ok=True)
            if folder:
                with suppress(OSError):  # not empty, or not there
                    place.rmdir()
            yield None

        self._ask(look)

    def _make_folders(self, folder: Path) -> int:
        """Make a folder and those above it, as open as the one that was there; return its mode."""
        if not self.fixed.is_dir():  # a share that is not mounted must not be made here
            raise self._make_error(f"没有文件夹 {self.fixed}", "建好这个文件夹，或挂载共享盘")
        mode = self.fixed.stat().st_mode & 0o7777
        above = [one for one in (folder, *folder.parents) if self.fixed in one.parents]
        for one in reversed(above):
            if not one.is_dir():
                one.mkdir(exist_ok=True)
                one.chmod(mode)
        return mode

    def _ask(self, items: Callable[[], Iterator[Any]]) -> list[Any]:
        """Return what the file system answers, in time."""
        try:
            return list(iterate_with_timeout(items, filesystems.PATIENCE_SECONDS))
        except TimeoutError:
            what, cause = "存储迟迟没有应答", TimeoutError()
        raise self._make_error(what, "检查共享盘后再次送交") from cause

    def _make_error(self, what: str, hint: str) -> Exception:
        return self.destination.account.make_error(self.where, what, hint)


class RemotePlace:
    """A folder of another machine, through fsspec.

    Object stores have no temporary names: an object is there once all of it has arrived.
    """

    def __init__(self, system: RemoteSystem, where: str) -> None:
        self.system, self.where = system, where
        self.has_renaming = system.scheme != "s3"

    def write(self, name: str, pieces: Pieces) -> DeliveredFile:
        where, sent = f"{self.where}/{name}", _Sent()
        drafts: list[str] = []

        def send() -> Iterator[dict[str, Any]]:
            path = self._path(name)
            draft = _name_draft(path) if self.has_renaming else path
            if self.has_renaming:
                self.system.make_folders(posixpath.dirname(path))
            drafts.append(draft)
            yield from self._upload(draft, sent, pieces)
            yield self.system.connection.info(draft)

        def finish() -> Iterator[dict[str, Any]]:
            path = self._path(name)
            if self.has_renaming:
                self.system.rename(drafts[-1], path)
            yield self.system.connection.info(path)

        try:
            *_, info = self.system.ask(where, send)
            if info.get("size") != sent.size or self.system.differs(
                info, sent.md5.hexdigest(), where
            ):
                what = "对方收到的内容与所送的大小或校验值不符"
                raise self.system.describe_lost(where, what) from ConnectionError()
            [info] = self.system.ask(where, finish)
        except FileNotFoundError:
            raise self.system.describe_lost(where, "对方没有这个文件夹，或文件不见了") from None
        return sent.to_record(str(read_version(info).get("version", "")))

    def holds(self, name: str, noted: DeliveredFile) -> bool:
        try:
            [info] = self.system.ask(
                f"{self.where}/{name}",
                lambda: iter([self.system.connection.info(self._path(name))]),
            )
        except FileNotFoundError:
            return False
        seen = read_version(info)
        return (seen.get("bytes"), seen.get("version")) == (noted.bytes, noted.version)

    def remove(self, name: str) -> None:
        def ask() -> Iterator[None]:
            yield self.system.connection.rm_file(self._path(name))

        with suppress(FileNotFoundError):
            list(self.system.ask(f"{self.where}/{name}", ask))

    def clear(self, folder: str) -> None:
        if not self.has_renaming:
            return

        def ask() -> Iterator[None]:
            path = self._path(folder)
            names = [str(item["name"]) for item in self.system.connection.ls(path, detail=True)]
            drafts = [name for name in names if is_draft(posixpath.basename(name))]
            for name in drafts:
                self.system.connection.rm_file(name)
                yield None
            if folder and len(drafts) == len(names):
                self.system.remove_folder(path)
            yield None

        with suppress(FileNotFoundError):
            list(self.system.ask(f"{self.where}/{folder}", ask))

    def _path(self, name: str) -> str:
        base = self.system.path_of(self.system.address)
        return f"{base.rstrip('/')}/{name}".rstrip("/")

    def _upload(self, path: str, sent: _Sent, pieces: Pieces) -> Iterator[dict[str, Any]]:
        """Yield after every piece that has been sent; a file that is not whole is not closed."""
        block = {} if self.system.scheme in SFTP else {"block_size": CHUNK}
        file = self.system.connection.open(path, "wb", **block)
        is_whole = False
        try:
            for piece in sent.count(pieces):
                file.write(piece)
                yield {}
            file.close()
            is_whole = True
        finally:
            if not is_whole:
                _abandon(file)


def _abandon(file: Any) -> None:
    """Let go of a file that is not whole; closing an object would put what came in place."""
    with suppress(Exception):
        file.discard()
    with suppress(AttributeError):
        file.closed = True
