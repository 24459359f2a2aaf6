"""Extracts in PostgreSQL: streamed as Arrow batches, kept as one Parquet file of sorted texts."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import adbc_driver_postgresql.dbapi as postgresql
import pyarrow as pa

from expectations.errors import JifenError
from expectations.month import Month
from flows.extract.base import Listing, RemoteFile, extract_error
from flows.extract.credentials import read_password, redact_address
from flows.extract.timeouts import iterate_with_timeout
from flows.settings import SourceSettings
from flows.storage.files import fsync_path, hash_file
from transforms.clean.readers import to_text_sql
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
# At connecting, and once rows flow, the driver gives no SQLSTATE.
TURNED_AWAY = re.compile(
    "authentication|no password|does not exist|pg_hba|permission", re.IGNORECASE
)
GIVEN_UP = re.compile(r"PGRES_FATAL_ERROR\]: (?!FATAL|ERROR:  cancel)")

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
        where = f"{redact_address(address)} {statement}"
        try:
            [schema] = self._asked(where, lambda: self._described(address, statement))
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
            [
                RemoteFile(
                    f"{self.source}.parquet", {}, partial(self._fetch, address, statement, where)
                )
            ],
        )

    def _statement(self, month: Month) -> str:
        if self.given.query is not None:
            return self.given.query.replace("{month}", str(month)).strip().rstrip(";")
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

    def _fetch(self, address: str, statement: str, where: str, target: Path) -> str:
        failures: list[JifenError] = []
        answer = self._asked(where, lambda: self._answered(address, statement))
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

    def _asked(self, where: str, items: Callable[[], Iterator[T]]) -> Iterator[T]:
        """Yield what the database answers; its errors are reworded, for they quote values."""
        try:
            yield from iterate_with_timeout(items, PATIENCE_SECONDS)
            return
        except (postgresql.Error, OSError) as error:
            reported, cause = self._reword_error(error, where)
        raise reported from cause

    def _reword_error(self, error: Exception, where: str) -> tuple[JifenError, Exception | None]:
        state = getattr(error, "sqlstate", None) or ""
        if state == NO_TABLE:
            return _NoTableError(where), None
        if isinstance(error, TimeoutError):
            return extract_error(
                where, "数据库迟迟没有应答", "检查网络与数据库后再次运行"
            ), TimeoutError()
        if (
            state.startswith("28")
            or state == "42501"
            or (not state and TURNED_AWAY.search(str(error)))
        ):
            hint = f"检查地址、用户名、JIFEN_{self.source.upper()}_PASSWORD，以及只读权限"
            return extract_error(where, "数据库拒绝登录，或没有权限", hint), None
        if (state and not state.startswith(PASSING)) or GIVEN_UP.search(str(error)):
            hint = f"检查 jifen.toml [sources.{self.source}]，或请数据库管理员查看"
            return extract_error(
                where, f"数据库不能执行这个查询（SQLSTATE {state or '不详'}）", hint
            ), None
        return extract_error(
            where, "连接不上数据库，或连接中断", "检查网络与数据库后再次运行"
        ), ConnectionError()

    def _with_password(self, address: str) -> str:
        parts, secret = urlsplit(address), read_password(self.source)
        user, _, host = parts.netloc.rpartition("@")
        login = f"{user}:{quote(secret, safe='')}" if secret is not None else user
        given = dict(parse_qsl(parts.query))
        asked = {"connect_timeout": CONNECT_SECONDS, "client_encoding": "UTF8", **given}
        return urlunsplit(
            parts._replace(netloc=f"{login}@{host}" if login else host, query=urlencode(asked))
        )


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
