"""The access log: who looked at a person, accepted a month, gave out packages; a signed line each.

`runs/access.log` is a chain like the manifests': each line holds the hash of the line before it,
its number, and a MAC by a key derived from the root's. What programs wrote before there was a chain
stays as it is; the first line of the chain holds the hash of all of it. A line that a power cut has
torn stays, too, and the next one says so. Of the last line the head beside the log keeps number and
hash, so that lines missing at the end are noticed.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.storage.files import to_canonical_json, write_atomically
from flows.storage.keys import compute_mac, derive_key
from flows.storage.records import Record

TITLE = "访问记录"
_BLOCK = 65_536


class AccessLogHead(Record):
    """`access.head.json`: the last signed line of the access log.

    Attributes:
        number: Its number in the chain.
        line_sha256: Its hash.
        mac: HMAC of both.
    """

    number: int
    line_sha256: str
    mac: str = ""

    def compute_mac(self, key: bytes) -> str:
        """Return what `mac` must be."""
        return compute_mac(key, f"{self.number} {self.line_sha256}".encode()).decode()


@dataclass(frozen=True)
class AccessEntry:
    """A line of the access log.

    Attributes:
        values: When (`at`), who (`by`, `account`, `uid`), what (`action`), of whom
            (`resident_key`), and what else is noted of it.
        is_chained: Whether it is part of the chain; not what older programs wrote.
    """

    values: Mapping[str, Any]
    is_chained: bool

    @property
    def who(self) -> str:
        """Return the person; of an entry of an older program all that it has, the user's number."""
        return str(self.values.get("by") or f"uid {self.values.get('uid', '?')}")


@dataclass(frozen=True)
class AccessLogCheck:
    """What the access log holds.

    Attributes:
        chained: Lines of the chain.
        last: The number of the last of them.
        unchained: Lines that older programs wrote: nobody can say whether they are as they were.
        damage: A sentence for everything that is not as it was written.
    """

    chained: int
    last: int
    unchained: int
    damage: tuple[str, ...]


@dataclass(frozen=True)
class _End:
    """Where the next line goes: the log's size, and number and hash of what is before it."""

    size: int
    number: int
    previous: str
    has_no_newline: bool
    is_torn: bool


@dataclass(frozen=True)
class AccessLog:
    """The access log in a file; without the key lines can be read, and added without a MAC.

    Attributes:
        file: Where it is.
        key: The root's key, which signs.
        former: Those before it, which signed: no line after one of a newer key.
    """

    file: Path
    key: bytes | None
    former: tuple[bytes, ...] = ()

    @property
    def head_file(self) -> Path:
        """Where the head is."""
        return self.file.with_name("access.head.json")

    def append(self, values: Mapping[str, str | int]) -> int:
        """Add a line, durably, and return its number; whoever adds another one meanwhile waits.

        Raises:
            OSError: It cannot be written; the log is as it was.
        """
        with self._hold(os.O_RDWR | os.O_CREAT, fcntl.LOCK_EX) as handle:
            end, head = _find_end(handle), self._read_head()
            number = max(end.number, head.number if head else 0) + 1
            # A line that was removed with its head would not be missed: the gap shows it.
            if self.key and end.number > 1 and self.find_signer(head) is None:
                number += 1
            entry: dict[str, Any] = {**values, "number": number, "previous": end.previous}
            if end.is_torn:
                entry["after_torn_line"] = True
            entry["mac"] = _compute_mac(entry, self.key) if self.key else ""
            line = json.dumps(entry, ensure_ascii=False).encode()
            self._write(handle, end, line)
            if self.key:
                self._write_head(number, line)
            return int(number)

    def read_entries(self) -> list[AccessEntry]:
        """Return all lines, the oldest first, but those that were torn."""
        content, _ = self._read()
        found = map(_parse_line, _split_lines(content))
        return [AccessEntry(values, _is_chained(values)) for values in found if values]

    def check(self) -> AccessLogCheck:
        """Return what the log holds, and what is not as it was written.

        A line torn at the end is what a power cut leaves, and no damage.
        """
        content, head = self._read()
        walk = _Walk(self)
        for place, line in enumerate(_split_lines(content), start=1):
            walk.take(place, line)
        if self.key:
            walk.compare_head(head)
        return AccessLogCheck(walk.chained, walk.number, walk.unchained, tuple(walk.damage))

    def is_authentic(self, values: Mapping[str, Any]) -> bool:
        """Return whether somebody with the key, or one before it, has written a line of the chain."""
        return self.find_signer(values) is not None

    def find_signer(self, signed: Mapping[str, Any] | AccessLogHead | None) -> int | None:
        """Return by which key, by its place in their order, a line or the head was signed."""
        if signed is None or not self.key:
            return None
        for place, key in enumerate((*self.former, self.key)):
            if isinstance(signed, AccessLogHead):
                expected, mac = signed.compute_mac(_derive_signing_key(key)), signed.mac
            else:
                expected, mac = _compute_mac(signed, key), str(signed.get("mac"))
            if hmac.compare_digest(expected, mac):
                return place
        return None

    @contextmanager
    def _hold(self, flags: int, lock: int) -> Iterator[int]:
        """Open the log and hold it against other writers."""
        handle = os.open(self.file, flags | os.O_APPEND, 0o600)
        try:
            fcntl.flock(handle, lock)
            yield handle
        finally:
            os.close(handle)

    def _read(self) -> tuple[bytes, AccessLogHead | None]:
        """Return the log and its head as no writer is changing them."""
        try:
            with self._hold(os.O_RDONLY, fcntl.LOCK_SH) as handle:
                return os.pread(handle, os.fstat(handle).st_size, 0), self._read_head()
        except FileNotFoundError:
            return b"", self._read_head()

    def _write(self, handle: int, end: _End, line: bytes) -> None:
        """Write a whole line, or nothing: a full disk takes part of it."""
        left = (b"\n" if end.has_no_newline else b"") + line + b"\n"
        try:
            while left:
                left = left[os.write(handle, left) :]
            os.fsync(handle)
        except OSError:
            os.ftruncate(handle, end.size)
            raise

    def _read_head(self) -> AccessLogHead | None:
        with suppress(OSError, ValueError):
            return AccessLogHead.from_json(self.head_file.read_bytes())
        return None

    def _write_head(self, number: int, line: bytes) -> None:
        assert self.key
        head = AccessLogHead(number=number, line_sha256=_hash(line))
        mac = head.compute_mac(_derive_signing_key(self.key))
        write_atomically(self.head_file, head.model_copy(update={"mac": mac}).to_json())


class _Walk:
    """A walk through the log from its first line, and what is found on the way."""

    def __init__(self, log: AccessLog) -> None:
        self.log = log
        self.chained = self.unchained = self.number = 0
        self.damage: list[str] = []
        self._before = hashlib.sha256()  # of everything before the chain
        self._since = b""  # the last line of the chain, and what was torn after it
        self._torn: list[int] = []
        self._hashes: dict[int, str] = {}
        self._signer = 0  # the newest key that has signed a line so far

    def take(self, place: int, line: bytes) -> None:
        """Look at the next line, which is at this place in the file."""
        values = _parse_line(line)
        if values is None or not _is_chained(values):
            self._take_other(place, line, is_entry=values is not None)
            return
        expected = _hash(self._since) if self.chained else self._before.hexdigest()
        if values["previous"] != expected:
            self.damage.append(f"{TITLE}的链在第 {place} 行处断开：它前面的内容被改过")
        elif values["number"] != self.number + 1:
            self.damage.append(f"{TITLE}第 {place} 行之前缺少第 {self.number + 1} 号")
        if not values.get("after_torn_line"):
            self.damage += [f"{TITLE}第 {torn} 行不是记录" for torn in self._torn]
        if self.log.key and values.get("mac"):
            self._check_signer(place, self.log.find_signer(values))
        self.chained += 1
        self.number, self._since, self._torn = values["number"], line, []
        self._hashes[self.number] = _hash(line)

    def _check_signer(self, place: int, signer: int | None) -> None:
        """Note a line without a valid MAC, or with one by a key that was changed before."""
        if signer is None:
            self.damage.append(f"{TITLE}第 {place} 行与校验码不符")
        elif signer < self._signer:
            self.damage.append(f"{TITLE}第 {place} 行由已更换的旧密钥写成")
        else:
            self._signer = signer

    def _take_other(self, place: int, line: bytes, *, is_entry: bool) -> None:
        if not self.chained:
            self._before.update(line + b"\n")
            self.unchained += is_entry
            return
        if is_entry:
            self.damage.append(f"{TITLE}第 {place} 行不在链中")
        else:
            self._torn.append(place)
        self._since += b"\n" + line

    def compare_head(self, head: AccessLogHead | None) -> None:
        """Compare what is there with the last line that was signed."""
        signer = self.log.find_signer(head)
        if signer is None or signer < self._signer:
            # A kill leaves the very first line without a head.
            if head or self.number > 1:
                self.damage.append(f"{TITLE}的末尾标记（access.head.json）缺失，或与密钥不符")
            return
        assert head
        if head.number > self.number:
            first, last = self.number + 1, head.number
            lost = f"第 {first} 号" if first == last else f"第 {first} 至 {last} 号"
            self.damage.append(f"{TITLE}的末尾缺少{lost}")
        elif self._hashes.get(head.number) != head.line_sha256:
            self.damage.append(f"{TITLE}第 {head.number} 号与末尾标记不符")


def _derive_signing_key(key: bytes) -> bytes:
    return derive_key(key, "access log")


def _compute_mac(values: Mapping[str, Any], key: bytes) -> str:
    content = to_canonical_json({name: one for name, one in values.items() if name != "mac"})
    return compute_mac(_derive_signing_key(key), content).decode()


def _find_end(handle: int) -> _End:
    """Return where the next line goes."""
    size = os.fstat(handle).st_size
    last, has_no_newline = _read_last_line(handle, size)
    values = _parse_line(last)
    if values and _is_chained(values):
        return _End(size, values["number"], _hash(last), has_no_newline, is_torn=False)
    lines = _split_lines(os.pread(handle, size, 0))
    numbers = [one["number"] if one and _is_chained(one) else 0 for one in map(_parse_line, lines)]
    if any(numbers):
        newest = max(place for place, number in enumerate(numbers) if number)
        since = b"\n".join(lines[newest:])
        return _End(size, numbers[newest], _hash(since), has_no_newline, is_torn=True)
    before = b"".join(line + b"\n" for line in lines)
    return _End(size, 0, _hash(before), has_no_newline, is_torn=False)


def _split_lines(content: bytes) -> list[bytes]:
    """Return the lines without their newlines; the last one may never have had one."""
    lines = content.split(b"\n")
    return lines if lines[-1] else lines[:-1]


def _read_last_line(handle: int, size: int) -> tuple[bytes, bool]:
    """Return the last line without its newline, and whether it has none."""
    tail, start = b"", size
    while start and b"\n" not in tail[:-1]:
        length = min(_BLOCK, start)
        start -= length
        tail = os.pread(handle, length, start) + tail
    has_no_newline = bool(tail) and not tail.endswith(b"\n")
    return tail.removesuffix(b"\n").rpartition(b"\n")[2], has_no_newline


def _parse_line(line: bytes) -> dict[str, Any] | None:
    """Return what a line says; None where it is no entry."""
    with suppress(ValueError):
        values = json.loads(line)
        return values if isinstance(values, dict) else None
    return None


def _is_chained(values: Mapping[str, Any]) -> bool:
    return isinstance(values.get("number"), int) and isinstance(values.get("previous"), str)


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
