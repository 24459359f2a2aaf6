"""Extracts in PostgreSQL: streamed as Arrow batches, kept as one Parquet file of sorted texts."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from expectations.errors import JifenError
from expectations.month import Month
from flows.connections.postgres import MissingTableError, PostgresServer, quote_name
from flows.extract.base import Listing, RemoteFile, extract_error, open_account
from flows.settings import SourceSettings
from flows.storage.files import fsync_path, hash_file
from transforms.clean.parquet_reader import to_text_sql
from transforms.engine.parquet import PARQUET
from transforms.engine.session import EngineError, EngineSettings, Session, open_engine
from transforms.engine.sql import sql_literal

SORTING = EngineSettings(memory="500MB", threads=1)


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
        server = PostgresServer(open_account(self.source), address, "只读权限")
        where = f"{server.where} {statement.strip()}"
        question = _Question(server, statement, where)
        try:
            [schema] = server.ask(where, lambda: _describe(question), statement)
        except MissingTableError:
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
        return "SELECT * FROM " + quote_name(str(self.given.table).replace("{month}", str(month)))

    def _fetch(self, question: _Question, target: Path) -> str:
        failures: list[JifenError] = []
        answer = question.server.ask(
            question.where, lambda: _read_batches(question), question.statement
        )
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


@dataclass(frozen=True)
class _Question:
    """What a database is asked: the statement, and both for messages."""

    server: PostgresServer
    statement: str
    where: str


def _describe(question: _Question) -> Iterator[pa.Schema]:
    with question.server.connect() as connection, connection.cursor() as cursor:
        yield cursor.adbc_execute_schema(question.statement)


def _read_batches(question: _Question) -> Iterator[Any]:
    """Yield the schema, then the batches; nothing is written to the department's database."""
    with question.server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION READ ONLY")
        cursor.execute(question.statement)
        reader = cursor.fetch_record_batch()
        yield reader.schema
        yield from reader


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
