"""PostgreSQL: addresses with their secrets, time limits, and errors without anybody's values."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, TypeVar
from urllib.parse import quote, unquote, urlencode, urlsplit, urlunsplit

import adbc_driver_postgresql.dbapi as postgresql
import asyncpg

from expectations.errors import JifenError
from flows.connections.accounts import Account, redact_address
from flows.connections.timeouts import iterate_with_timeout

CONNECT_SECONDS = 15
PATIENCE_SECONDS = 900.0  # a query may think long before its first row
NO_TABLE = "42P01"
PASSING = (
    "08",
    "40",
    "53",
    "57",
    "58",
)  # classes of SQLSTATE: connection, conflict, resources, intervention, system
REFUSED = ("28", "3D", "42501")  # login, no such database, no right
TLS_OPTIONS = ("sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl")

T = TypeVar("T")


class MissingTableError(JifenError):
    """There is no such table."""

    def __init__(self, account: Account, where: str) -> None:
        hint = "请数据库管理员确认后再运行"
        super().__init__(account.code, "数据库中的表不见了", where=where, hint=hint)


class PostgresServer:
    """One database of another machine.

    Attributes:
        account: On whose behalf it is asked.
        address: Its address, without a password.
        rights: The rights that the account needs, in words.
    """

    def __init__(self, account: Account, address: str, rights: str) -> None:
        self.account, self.address, self.rights = account, address, rights

    @property
    def where(self) -> str:
        """The address for messages."""
        return redact_address(self.address)

    def connect(self) -> Any:
        """Open a connection; within `ask` only: it may hang, and quote secrets."""
        return postgresql.connect(self._add_password())

    def ask(self, where: str, items: Callable[[], Iterator[T]], statement: str = "") -> Iterator[T]:
        """Yield what the database answers; its errors are reworded, for they quote values.

        Args:
            where: What is asked, for messages.
            items: Asks.
            statement: The query that is asked, if it is one: asked again when the driver says not
                what is wrong with it.

        Raises:
            JifenError: Its cause is a ConnectionError or TimeoutError when trying again may help.
        """
        try:
            yield from iterate_with_timeout(items, PATIENCE_SECONDS)
            return
        except (postgresql.Error, OSError) as error:
            reported, cause = self._reword_error(error, where, statement)
        raise reported from cause

    def _reword_error(
        self, error: Exception, where: str, statement: str
    ) -> tuple[JifenError, Exception | None]:
        account, hint = self.account, "检查网络与数据库后再次运行"
        if isinstance(error, TimeoutError):
            return account.make_error(where, "数据库迟迟没有应答", hint), TimeoutError()
        state = getattr(error, "sqlstate", None) or self._find_sqlstate(statement)
        if state == NO_TABLE:
            return MissingTableError(account, where), None
        if state.startswith(REFUSED):
            hint = f"检查地址、用户名、{account.password_variable}，以及{self.rights}"
            return account.make_error(where, "数据库拒绝登录，或没有权限", hint), None
        if state and not state.startswith(PASSING):
            hint = f"检查 jifen.toml {account.settings}，或请数据库管理员查看"
            what = f"数据库不能执行这个查询（SQLSTATE {state}）"
            return account.make_error(where, what, hint), None
        what = "连接不上数据库，或连接中断"
        return account.make_error(where, what, hint), ConnectionError()

    def _find_sqlstate(self, statement: str) -> str:
        """Return the SQLSTATE that the database answers a query with, whatever its language.

        At connecting, and once rows flow, the driver gives none. So it is asked again by another
        driver, and the rows stay where they are. Empty when the database does not answer, or all is
        well now.
        """
        parts = urlsplit(self._add_password())
        tls = {
            name: value for name, value in _split_query(parts.query).items() if name in TLS_OPTIONS
        }
        address = urlunsplit(parts._replace(query=urlencode(tls, quote_via=quote)))

        async def ask() -> None:
            connection = await asyncpg.connect(address, timeout=CONNECT_SECONDS)
            try:
                if statement:
                    cursor = f"DECLARE asked CURSOR FOR {statement}; MOVE ALL asked"
                    await connection.execute(f"BEGIN READ ONLY; {cursor}", timeout=PATIENCE_SECONDS)
            finally:
                connection.terminate()

        try:
            asyncio.run(ask())
        except asyncpg.PostgresError as error:
            return str(error.sqlstate or "")
        except (OSError, asyncpg.InterfaceError, ValueError):
            return ""
        return ""

    def _add_password(self) -> str:
        """Return the address as libpq wants it."""
        parts, secret = urlsplit(self.address), self.account.read_password()
        user, _, host = parts.netloc.rpartition("@")
        login = f"{user}:{quote(secret, safe='')}" if secret is not None else user
        given = _split_query(parts.query)
        asked = {"connect_timeout": CONNECT_SECONDS, "client_encoding": "UTF8", **given}
        query = urlencode(asked, quote_via=quote)  # for libpq a plus is a plus, no blank
        return urlunsplit(parts._replace(netloc=f"{login}@{host}" if login else host, query=query))


def quote_name(name: str) -> str:
    """Return a table's name, with its schema or without, as SQL."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in name.split("."))


def _split_query(query: str) -> dict[str, str]:
    """Return the options of an address as libpq reads them."""
    pairs = (item.partition("=") for item in query.split("&") if item)
    return {unquote(name): unquote(value) for name, _, value in pairs}
