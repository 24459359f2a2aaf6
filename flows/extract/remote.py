"""Extracts on other machines: SFTP, S3-compatible stores, and what else fsspec can open."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from expectations.month import Month
from flows.connections.accounts import redact_address
from flows.connections.filesystems import SFTP, RemoteSystem, read_version
from flows.extract.base import (
    Listing,
    RemoteFile,
    changed_while_read,
    check_format,
    extract_error,
    is_hidden,
    open_account,
    save_stream,
    sort_files,
)
from flows.extract.inbox import printable_name
from flows.settings import SourceSettings

CHUNK = 4 << 20


class Remote:
    """A file, a folder of parts, or a glob on another machine.

    Sizes and times (or ETags) show whether it has changed.
    """

    trusts_metadata = True
    write_once = False

    def __init__(self, source: str, given: SourceSettings) -> None:
        assert given.origin is not None
        self.source, self.address = source, given.origin
        self.system = RemoteSystem(open_account(source), given.origin, given.endpoint)

    def list_files(self, month: Month) -> Listing | None:
        address = self.address.replace("{month}", str(month))
        where = redact_address(address)
        try:
            [(base, infos)] = self.system.ask(where, lambda: self._listed(address))
        except FileNotFoundError:
            return None
        parts = [self._part(info, base, f"{where}（{self.source}）") for info in infos]
        shown = [part for part in parts if not is_hidden(part.name)]
        return Listing(where, sort_files(shown, where)) if shown else None

    def _listed(self, address: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        """Yield once: the folder that names are relative to, and what is there."""
        system, path = self.system.connection, self.system.path_of(address)
        if not re.search(r"[*?\[]", path):
            info = system.info(path)
            if info["type"] != "directory":
                yield path.rpartition("/")[0], [info]
                return
            base, found = path, system.find(path, detail=True)
        else:
            base = re.split(r"/[^/]*[*?\[]", path, maxsplit=1)[0]
            found = system.glob(path, detail=True)
        yield base.rstrip("/"), [info for name, info in found.items() if not name.endswith("/")]

    def _part(self, info: dict[str, Any], base: str, where: str) -> RemoteFile:
        # A name that is no UTF-8 comes as it is on the server; it is kept as it reads.
        name = printable_name(Path(str(info["name"]).removeprefix(base).lstrip("/")))
        if not is_hidden(name):
            if info["type"] != "file":
                raise extract_error(
                    f"{where} {name}", "不是普通文件", "请放入文件本身，而不是链接或其他东西"
                )
            check_format(name, f"{where} {name}")
        return RemoteFile(name, read_version(info), partial(self._fetch, info, f"{where} {name}"))

    def _fetch(self, info: dict[str, Any], where: str, target: Path) -> str:
        md5 = hashlib.md5(usedforsecurity=False)

        def passing() -> Iterator[bytes]:
            for chunk in self.system.ask(where, lambda: self._chunks(info["name"])):
                md5.update(chunk)
                yield chunk

        try:
            digest = save_stream(passing(), target)
            [now] = self.system.ask(
                where, lambda: iter([self.system.connection.info(info["name"])])
            )
        except FileNotFoundError:
            raise self.system.describe_permanent("FileNotFoundError", where) from None
        if read_version(now) != read_version(info):
            raise changed_while_read(where)
        if info.get("size") not in (None, target.stat().st_size) or self.system.differs(
            info, md5.hexdigest(), where
        ):
            raise self.system.describe_lost(
                where, "收到的内容与对方所报的大小或校验值不符"
            ) from ConnectionError()
        return digest

    def _chunks(self, path: str) -> Iterator[bytes]:
        # An SFTP file knows its server's limits; others read ahead by a block.
        block = {} if self.system.scheme in SFTP else {"block_size": 2 * CHUNK}
        with self.system.connection.open(path, "rb", **block) as file:
            while chunk := file.read(CHUNK):
                yield bytes(chunk)
