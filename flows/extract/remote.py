"""Extracts on other machines: SFTP, S3-compatible stores, and what else fsspec can open."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import fsspec.asyn

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
from flows.extract.credentials import find_key_file, read_password, redact_address
from flows.extract.inbox import printable_name
from flows.extract.timeouts import iterate_with_timeout
from flows.settings import SourceSettings

CONNECT_SECONDS = 15.0
PATIENCE_SECONDS = 120.0  # without a byte or an answer
CHUNK = 4 << 20
SFTP = ("sftp", "ssh")

# What trying again cannot mend, by the name of the error: their libraries are imported late.
PERMANENT = {
    "FileNotFoundError": ("文件在读取时不见了", "请部门确认后再运行"),
    "HostKeyNotVerifiable": ("不认识这台服务器的主机密钥", "核对指纹后写入 ~/.ssh/known_hosts"),
    "KeyImportError": (
        "私钥文件无法使用",
        "检查 JIFEN_<来源>_KEY_FILE；有口令的放在 JIFEN_<来源>_PASSWORD",
    ),
    "NoCredentialsError": ("没有访问密钥", "设置 JIFEN_<来源>_PASSWORD，或 AWS 的环境变量、文件"),
    "PermissionDenied": (
        "登录被拒绝",
        "检查用户名、JIFEN_<来源>_PASSWORD 或 JIFEN_<来源>_KEY_FILE",
    ),
    "PermissionError": (
        "没有权限",
        "检查用户名、JIFEN_<来源>_PASSWORD 或 JIFEN_<来源>_KEY_FILE，以及对方给的读取权限",
    ),
    "SFTPPermissionDenied": ("没有权限", "请对方开放读取权限"),
}
VERSIONS = (
    "ETag",
    "etag",
    "VersionId",
    "mtime",
    "LastModified",
    "Last-Modified",
    "modified",
    "last_modified",
)

T = TypeVar("T")


class Remote:
    """A file, a folder of parts, or a glob on another machine.

    Sizes and times (or ETags) show whether it has changed.
    """

    trusts_metadata = True
    write_once = False

    def __init__(self, source: str, given: SourceSettings) -> None:
        assert given.origin is not None
        self.source, self.address, self.endpoint = source, given.origin, given.endpoint
        self.scheme = given.origin.partition("://")[0]
        self._system: Any = None

    def list_files(self, month: Month) -> Listing | None:
        address = self.address.replace("{month}", str(month))
        where = redact_address(address)
        try:
            [(base, infos)] = self._asked(where, lambda: self._listed(address))
        except FileNotFoundError:
            return None
        parts = [self._part(info, base, f"{where}（{self.source}）") for info in infos]
        shown = [part for part in parts if not is_hidden(part.name)]
        return Listing(where, sort_files(shown, where)) if shown else None

    def _listed(self, address: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        """Yield once: the folder that names are relative to, and what is there."""
        if self._system is None:
            # Errors are raised here; the loop would print them again, with traces, per request.
            fsspec.asyn.get_loop().set_exception_handler(lambda loop, context: None)
            self._system = self._connected()
        system, path = self._system, self._path(address)
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
        return RemoteFile(name, _seen(info), partial(self._fetch, info, f"{where} {name}"))

    def _fetch(self, info: dict[str, Any], where: str, target: Path) -> str:
        md5 = hashlib.md5(usedforsecurity=False)

        def passing() -> Iterator[bytes]:
            for chunk in self._asked(where, lambda: self._chunks(info["name"])):
                md5.update(chunk)
                yield chunk

        try:
            digest = save_stream(passing(), target)
            [now] = self._asked(where, lambda: iter([self._system.info(info["name"])]))
        except FileNotFoundError:
            raise extract_error(where, *PERMANENT["FileNotFoundError"]) from None
        if _seen(now) != _seen(info):
            raise changed_while_read(where)
        if info.get("size") not in (None, target.stat().st_size) or self._differs(
            info, md5.hexdigest(), where
        ):
            raise _connection_lost(
                where, "收到的内容与对方所报的大小或校验值不符"
            ) from ConnectionError()
        return digest

    def _chunks(self, path: str) -> Iterator[bytes]:
        # An SFTP file knows its server's limits; others read ahead by a block.
        block = {} if self.scheme in SFTP else {"block_size": 2 * CHUNK}
        with self._system.open(path, "rb", **block) as file:
            while chunk := file.read(CHUNK):
                yield bytes(chunk)

    def _differs(self, info: dict[str, Any], md5: str, where: str) -> bool:
        """Return whether S3's ETag shows that other bytes were stored.

        It is their MD5, unless the object has parts or a key of its own.
        """
        etag = str(info.get("ETag", "")).strip('"')
        if self.scheme != "s3" or not re.fullmatch("[0-9a-f]{32}", etag) or etag == md5:
            return False
        bucket, _, key = info["name"].partition("/")
        [head] = self._asked(
            where, lambda: iter([self._system.call_s3("head_object", Bucket=bucket, Key=key)])
        )
        return "SSECustomerAlgorithm" not in head and not str(
            head.get("ServerSideEncryption")
        ).startswith("aws:kms")

    def _asked(self, where: str, items: Callable[[], Iterator[T]]) -> Iterator[T]:
        """Yield what the other machine answers; its errors are reworded: they may hold secrets."""
        try:
            yield from iterate_with_timeout(items, PATIENCE_SECONDS)
            return
        except (JifenError, FileNotFoundError):
            raise
        except Exception as error:
            reported = _to_user_error(error, where)
            cause = TimeoutError() if isinstance(error, TimeoutError) else ConnectionError()
        raise reported from (
            cause if reported.message not in {what for what, _ in PERMANENT.values()} else None
        )

    def _connected(self) -> Any:
        secret = read_password(self.source)
        login = urlsplit(f"//{self.address.partition('://')[2].partition('/')[0]}")
        if self.scheme in SFTP:
            return _sftp(
                login.hostname, login.port, login.username, secret, find_key_file(self.source)
            )
        if self.scheme == "s3":
            return _s3(login.username, secret, self.endpoint)
        try:
            return fsspec.core.url_to_fs(self.address, **({"password": secret} if secret else {}))[
                0
            ]
        except (ImportError, ValueError):
            where = f"jifen.toml [sources.{self.source}] origin"
            raise extract_error(
                where, f"不支持的来源地址 {self.scheme}://", "检查写法，或安装 fsspec 的相应组件"
            ) from None

    def _path(self, address: str) -> str:
        """The path as the back end names it."""
        login, _, path = address.partition("://")[2].partition("/")
        if self.scheme in SFTP:
            return f"/{path}"
        if self.scheme == "s3":
            return f"{login.rpartition('@')[2]}/{path}"
        return str(self._system._strip_protocol(address))


def _sftp(
    host: str | None, port: int | None, user: str | None, secret: str | None, key: str | None
) -> Any:
    from sshfs import SSHFileSystem

    given = {
        "port": port,
        "username": user,
        "password": secret,
        "passphrase": secret,
        "client_keys": key and [key],
    }
    return SSHFileSystem(
        host,
        **{name: value for name, value in given.items() if value is not None},
        known_hosts=(),  # those of the operator; sshfs by itself trusts anybody
        connect_timeout=CONNECT_SECONDS,
        login_timeout=2 * CONNECT_SECONDS,
        keepalive_interval=CONNECT_SECONDS,
        skip_instance_cache=True,
        sftp_client_kwargs={"path_errors": "surrogateescape"},
    )


def _s3(user: str | None, secret: str | None, endpoint: str | None) -> Any:
    from s3fs import S3FileSystem

    return S3FileSystem(
        key=user,
        secret=secret if user else None,
        endpoint_url=endpoint,
        config_kwargs={
            "connect_timeout": CONNECT_SECONDS,
            "read_timeout": PATIENCE_SECONDS / 2,
            "retries": {"total_max_attempts": 1},  # s3fs tries again by itself
        },
        use_listings_cache=False,
        skip_instance_cache=True,
    )


def _seen(info: dict[str, Any]) -> dict[str, Any]:
    """Return size and version as the other machine states them; empty without a version."""
    stated = {
        "bytes": info.get("size"),
        "version": next((str(info[key]) for key in VERSIONS if info.get(key)), None),
    }
    if not stated["version"]:
        return {}
    return {key: value for key, value in stated.items() if value is not None}


def _to_user_error(error: Exception, where: str) -> JifenError:
    for kind in type(error).__mro__:
        if kind.__name__ in PERMANENT:
            return extract_error(where, *PERMANENT[kind.__name__])
    late = isinstance(error, TimeoutError)
    return _connection_lost(
        where, "对方迟迟没有应答" if late else f"连接不上，或连接中断（{type(error).__name__}）"
    )


def _connection_lost(where: str, what: str) -> JifenError:
    return extract_error(where, what, "检查网络与对方服务器后再次运行；已收完的文件不再重收")
