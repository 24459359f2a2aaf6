"""Extracts in PostgreSQL: streamed as Arrow batches, kept as one Parquet file of sorted texts."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, unquote, urlencode, urlsplit, urlunsplit

import adbc_driver_postgresql.dbapi as postgresql
import asyncpg
import pyarrow as pa

from expectations.errors import JifenError
from expectations.month import Month
from flows.extract.base import Listing, RemoteFile, extract_error
from flows.extract.credentials import read_password, redact_address
from flows.extract.timeouts import iterate_with_timeout
from flows.settings import SourceSettings
from flows.storage.files import fsync_path, hash_file
from transforms.clean.parquet_reader import to_text_sql
from transforms.engine.parquet import PARQUET
from transforms.engine.session import EngineError, EngineSettings, Session, open_engine
from transforms.engine.sql import sql_literal

CONNECT_SECONDS = 15
PATIENCE_SECONDS = 900.0  # a query may think long before its first row
SORTING = EngineSettings(memory="500MB", threads=1)
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


class Database:
    """A table, or a query, with `{month}` in it. A month whose table does not exist has not come.

    A database has neither files nor an order: the rows are kept sorted by their texts, the columns
    by their names. So the same content is the same file, and of two rows with one key the one whose
    text is greater is the later.
    """

    trusts_metadata = False
    write_once = True

    def __init__(self, source: str, given: SourceSettings, spill: Path) -> None:
        assert given.origin is not None
        self.source, self.given, self.origin, self.spill = source, given, given.origin, spill

    def list_files(self, month: Month) -> Listing | None:
        address, statement = self.origin.replace("{month}", str(month)), self._statement(month)
        where = f"{redact_address(address)} {statement.strip()}"
        question = _Question(address, statement, where)
        try:
            [schema] = self._asked(question, lambda: self._described(address, statement))
        except _NoTableError:
            return None
        if len(set(schema.names)) < len(schema.names):
            raise extract_error(
                where,
                "查询结果有重名的列",
                f"在 jifen.toml [sources.{self.source}] query 中给各列不同的名字",
            )
        return Listing(
            where,
            [RemoteFile(f"{self.source}.parquet", {}, partial(self._fetch, question))],
        )

    def _statement(self, month: Month) -> str:
        if self.given.query is not None:
            return self.given.query.replace("{month}", str(month)).strip().rstrip(";") + "\n"
        names = str(self.given.table).replace("{month}", str(month)).split(".")
        return "SELECT * FROM " + ".".join('"' + name.replace('"', '""') + '"' for name in names)

    def _described(self, address: str, statement: str) -> Iterator[pa.Schema]:
        with (
            postgresql.connect(self._with_password(address)) as connection,
            connection.cursor() as cursor,
        ):
            yield cursor.adbc_execute_schema(statement)

    def _answered(self, address: str, statement: str) -> Iterator[Any]:
        """The schema, then the batches; nothing is written to the department's database."""
        with (
            postgresql.connect(self._with_password(address)) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute("SET TRANSACTION READ ONLY")
            cursor.execute(statement)
            reader = cursor.fetch_record_batch()
            yield reader.schema
            yield from reader

    def _fetch(self, question: _Question, target: Path) -> str:
        failures: list[JifenError] = []
        address, statement = question.address, question.statement
        answer = self._asked(question, lambda: self._answered(address, statement))
        schema = next(answer)

        def batches() -> Iterator[pa.RecordBatch]:
            try:
                for batch in answer:
                    columns = [c.storage if _is_opaque(c.type) else c for c in batch.columns]
                    yield pa.RecordBatch.from_arrays(columns, schema=plain)
            except JifenError as error:  # the engine would wrap it
                failures.append(error)
                raise

        plain = pa.schema(
            [
                pa.field(f.name, f.type.storage_type if _is_opaque(f.type) else f.type)
                for f in schema
            ]
        )
        numerics = {
            field.name
            for field in schema
            if _is_opaque(field.type) and field.type.type_name == "numeric"
        }
        try:
            with open_engine(SORTING, self.spill) as session:
                session.register("arrived", pa.RecordBatchReader.from_batches(plain, batches()))
                session.execute(_keeping(session, plain, numerics, target))
        except EngineError:
            if not failures:
                raise
        finally:
            shutil.rmtree(self.spill, ignore_errors=True)
        if failures:
            raise failures[0]
        fsync_path(target)
        return hash_file(target)

    def _asked(self, question: _Question, items: Callable[[], Iterator[T]]) -> Iterator[T]:
        """Yield what the database answers; its errors are reworded, for they quote values."""
        try:
            yield from iterate_with_timeout(items, PATIENCE_SECONDS)
            return
        except (postgresql.Error, OSError) as error:
            reported, cause = self._reword_error(error, question)
        raise reported from cause

    def _reword_error(
        self, error: Exception, question: _Question
    ) -> tuple[JifenError, Exception | None]:
        where = question.where
        if isinstance(error, TimeoutError):
            hint = "检查网络与数据库后再次运行"
            return extract_error(where, "数据库迟迟没有应答", hint), TimeoutError()
        state = getattr(error, "sqlstate", None) or self._find_sqlstate(question)
        if state == NO_TABLE:
            return _NoTableError(where), None
        if state.startswith(REFUSED):
            hint = f"检查地址、用户名、JIFEN_{self.source.upper()}_PASSWORD，以及只读权限"
            return extract_error(where, "数据库拒绝登录，或没有权限", hint), None
        if state and not state.startswith(PASSING):
            hint = f"检查 jifen.toml [sources.{self.source}]，或请数据库管理员查看"
            what = f"数据库不能执行这个查询（SQLSTATE {state}）"
            return extract_error(where, what, hint), None
        hint = "检查网络与数据库后再次运行"
        return extract_error(where, "连接不上数据库，或连接中断", hint), ConnectionError()

    def _find_sqlstate(self, question: _Question) -> str:
        """Return the SQLSTATE that the database answers a question with, whatever its language.

        At connecting, and once rows flow, the driver gives none. So it is asked again by another
        driver, and the rows stay where they are. Empty when the database does not answer, or all is
        well now.
        """
        parts = urlsplit(self._with_password(question.address))
        tls = {
            name: value for name, value in _split_query(parts.query).items() if name in TLS_OPTIONS
        }
        address = urlunsplit(parts._replace(query=urlencode(tls, quote_via=quote)))

        async def ask() -> None:
            connection = await asyncpg.connect(address, timeout=CONNECT_SECONDS)
            try:
                await connection.execute(
                    f"BEGIN READ ONLY; DECLARE asked CURSOR FOR {question.statement}; MOVE ALL asked",
                    timeout=PATIENCE_SECONDS,
                )
            finally:
                connection.terminate()

        try:
            asyncio.run(ask())
        except asyncpg.PostgresError as error:
            return str(error.sqlstate or "")
        except (OSError, asyncpg.InterfaceError, ValueError):
            return ""
        return ""

    def _with_password(self, address: str) -> str:
        parts, secret = urlsplit(address), read_password(self.source)
        user, _, host = parts.netloc.rpartition("@")
        login = f"{user}:{quote(secret, safe='')}" if secret is not None else user
        given = _split_query(parts.query)
        asked = {"connect_timeout": CONNECT_SECONDS, "client_encoding": "UTF8", **given}
        query = urlencode(asked, quote_via=quote)  # for libpq a plus is a plus, no blank
        return urlunsplit(parts._replace(netloc=f"{login}@{host}" if login else host, query=query))


@dataclass(frozen=True)
class _Question:
    """What a database is asked: its address, a statement, and both for messages."""

    address: str
    statement: str
    where: str


def _split_query(query: str) -> dict[str, str]:
    """Return the options of an address as libpq reads them."""
    pairs = (item.partition("=") for item in query.split("&") if item)
    return {unquote(name): unquote(value) for name, _, value in pairs}


class _NoTableError(JifenError):
    """There is no such table: the month has not come."""

    def __init__(self, where: str) -> None:
        error = extract_error(where, "数据库中的表不见了", "请数据库管理员确认后再运行")
        super().__init__(error.code, error.message, where=error.where, hint=error.hint)


def _is_opaque(kind: pa.DataType) -> bool:
    """Whether it is a type that Arrow has not: it arrives as text (numeric is one)."""
    return isinstance(kind, pa.OpaqueType)


def _keeping(session: Session, schema: pa.Schema, numerics: set[str], target: Path) -> str:
    """Return the statement that keeps what arrives: every value as text, names and rows sorted."""
    session.register("shape", schema.empty_table())
    kinds = {
        str(name): str(kind) for name, kind, *_ in session.execute("DESCRIBE shape").fetchall()
    }
    texts = []
    for name in sorted(kinds):
        column = '"' + name.replace('"', '""') + '"'
        texts.append(
            f"{to_text_sql(column, 'DECIMAL' if name in numerics else kinds[name])} AS {column}"
        )
    rows = f"SELECT {', '.join(texts)} FROM arrived ORDER BY ALL NULLS FIRST"
    return f"COPY ({rows}) TO {sql_literal(target)} ({PARQUET})"
