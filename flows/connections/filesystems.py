"""File systems of other machines: SFTP, S3-compatible stores, and what else fsspec can open."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

import fsspec.asyn

from expectations.errors import JifenError
from flows.connections.accounts import Account
from flows.connections.timeouts import iterate_with_timeout

CONNECT_SECONDS = 15.0
PATIENCE_SECONDS = 120.0  # without a byte or an answer
SFTP = ("sftp", "ssh")

# What trying again cannot mend, by the name of the error: their libraries are imported late.
PERMANENT = {
    "FileNotFoundError": ("文件在读取时不见了", "请部门确认后再运行"),
    "HostKeyNotVerifiable": ("不认识这台服务器的主机密钥", "核对指纹后写入 ~/.ssh/known_hosts"),
    "KeyImportError": ("私钥文件无法使用", "检查 {key_file}；有口令的放在 {password}"),
    "NoCredentialsError": ("没有访问密钥", "设置 {password}，或 AWS 的环境变量、文件"),
    "PermissionDenied": ("登录被拒绝", "检查用户名、{password} 或 {key_file}"),
    "PermissionError": ("没有权限", "检查用户名、{password} 或 {key_file}，以及对方给的权限"),
    "SFTPPermissionDenied": ("没有权限", "请对方开放权限"),
    "SFTPNoSpaceOnFilesystem": ("对方的磁盘已满", "请对方腾出空间"),
    "SFTPQuotaExceeded": ("对方的磁盘配额已用完", "请对方腾出空间"),
}
FULL = {errno.ENOSPC: "SFTPNoSpaceOnFilesystem", errno.EDQUOT: "SFTPQuotaExceeded"}
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


class RemoteSystem:
    """One file system of another machine, connected when it is first used."""

    def __init__(self, account: Account, address: str, endpoint: str | None) -> None:
        self.account, self.address, self.endpoint = account, address, endpoint
        self.scheme = address.partition("://")[0]
        self._connection: Any = None

    @property
    def connection(self) -> Any:
        """The fsspec file system. Use it within `ask` only: it may hang, and quote secrets."""
        if self._connection is None:
            # Errors are raised here; the loop would print them again, with traces, per request.
            fsspec.asyn.get_loop().set_exception_handler(lambda loop, context: None)
            self._connection = self._connect()
        return self._connection

    def ask(self, where: str, items: Callable[[], Iterator[T]]) -> Iterator[T]:
        """Yield what the other machine answers; its errors are reworded: they may hold secrets.

        Raises:
            FileNotFoundError: There is no such file.
            JifenError: Anything else; its cause is a ConnectionError or TimeoutError when trying
                again may help.
        """
        try:
            yield from iterate_with_timeout(items, PATIENCE_SECONDS)
            return
        except (JifenError, FileNotFoundError):
            raise
        except Exception as error:
            name = _find_permanent(error)
            if name is not None:
                reported, cause = self.describe_permanent(name, where), None
            else:
                reported, cause = self._describe_passing(error, where)
        raise reported from cause

    def describe_permanent(self, name: str, where: str) -> JifenError:
        """Return the error for what trying again cannot mend, by the name in `PERMANENT`."""
        what, hint = PERMANENT[name]
        account = self.account
        names = {"password": account.password_variable, "key_file": account.key_file_variable}
        return account.make_error(where, what, hint.format(**names))

    def describe_lost(self, where: str, what: str) -> JifenError:
        """Return the error for a connection that did not carry everything."""
        hint = "检查网络与对方服务器后再次运行；已传完的文件不再重传"
        return self.account.make_error(where, what, hint)

    def _describe_passing(self, error: Exception, where: str) -> tuple[JifenError, Exception]:
        if isinstance(error, TimeoutError):
            return self.describe_lost(where, "对方迟迟没有应答"), TimeoutError()
        what = f"连接不上，或连接中断（{type(error).__name__}）"
        return self.describe_lost(where, what), ConnectionError()

    def path_of(self, address: str) -> str:
        """Return the path of an address as the back end names it."""
        login, _, path = address.partition("://")[2].partition("/")
        if self.scheme in SFTP:
            return f"/{path}"
        if self.scheme == "s3":
            return f"{login.rpartition('@')[2]}/{path}"
        return str(self.connection._strip_protocol(address))

    def differs(self, info: Mapping[str, Any], md5: str, where: str) -> bool:
        """Return whether S3's ETag shows that other bytes are stored.

        It is their MD5, unless the object has parts or a key of its own.
        """
        etag = str(info.get("ETag", "")).strip('"')
        if self.scheme != "s3" or not re.fullmatch("[0-9a-f]{32}", etag) or etag == md5:
            return False
        bucket, _, key = info["name"].partition("/")
        asked = lambda: iter([self.connection.call_s3("head_object", Bucket=bucket, Key=key)])  # noqa: E731
        [head] = self.ask(where, asked)
        return "SSECustomerAlgorithm" not in head and not str(
            head.get("ServerSideEncryption")
        ).startswith("aws:kms")

    def rename(self, source: str, target: str) -> None:
        """Rename a file over another, in one step where the server can; within `ask` only."""
        connection = self.connection
        if self.scheme not in SFTP:
            connection.mv(source, target)
            return

        async def rename() -> None:
            async with connection._pool.get() as channel:
                try:
                    await channel.posix_rename(source, target)
                except Exception as error:
                    if type(error).__name__ != "SFTPOpUnsupported":
                        raise
                    # Plain renaming does not replace: the old file goes first.
                    if await channel.exists(target):
                        await channel.remove(target)
                    await channel.rename(source, target)

        fsspec.asyn.sync(connection.loop, rename)

    def make_folders(self, path: str) -> None:
        """Make a folder and those above it, not open to everybody there; within `ask` only."""
        rights = {"permissions": 0o770} if self.scheme in SFTP else {}
        self.connection.makedirs(path, exist_ok=True, **rights)

    def remove_folder(self, path: str) -> None:
        """Remove an empty folder, where the back end has such; within `ask` only."""
        connection = self.connection
        if self.scheme in SFTP:
            fsspec.asyn.sync(connection.loop, connection._rmdir, path)
        elif self.scheme != "s3":
            connection.rmdir(path)

    def _connect(self) -> Any:
        account, secret = self.account, self.account.read_password()
        login = urlsplit(f"//{self.address.partition('://')[2].partition('/')[0]}")
        if self.scheme in SFTP:
            given = {
                "port": login.port,
                "username": login.username,
                "password": secret,
                "passphrase": secret,
                "client_keys": (key := account.find_key_file()) and [key],
            }
            return _open_sftp(login.hostname, given)
        if self.scheme == "s3":
            return _open_s3(login.username, secret, self.endpoint)
        try:
            options = {"password": secret} if secret else {}
            return fsspec.core.url_to_fs(self.address, **options)[0]
        except (ImportError, ValueError):
            what = f"不支持的地址 {self.scheme}://"
            hint = "检查写法，或安装 fsspec 的相应组件"
            raise account.make_error(f"jifen.toml {account.settings}", what, hint) from None


def read_version(info: Mapping[str, Any]) -> dict[str, Any]:
    """Return size and version as the other machine states them; empty without a version."""
    stated = {
        "bytes": info.get("size"),
        "version": next((str(info[key]) for key in VERSIONS if info.get(key)), None),
    }
    if not stated["version"]:
        return {}
    return {key: value for key, value in stated.items() if value is not None}


def _find_permanent(error: Exception) -> str | None:
    """Return the name in `PERMANENT` of an error that trying again cannot mend."""
    for number, name in FULL.items():
        # Older SFTP has no code of its own for it, only the server's words.
        if getattr(error, "errno", None) == number or os.strerror(number) in str(error):
            return name
    return next((kind.__name__ for kind in type(error).__mro__ if kind.__name__ in PERMANENT), None)


def _open_sftp(host: str | None, given: Mapping[str, Any]) -> Any:
    from sshfs import SSHFileSystem

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


def _open_s3(user: str | None, secret: str | None, endpoint: str | None) -> Any:
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
