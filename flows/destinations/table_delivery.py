"""Statements delivered into a PostgreSQL table, in one transaction: readers see the old or the new.

A table holds one row per statement and month; a month's rows are replaced together with the words
for them, in `<table>_texts`. Both are made where they are missing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from flows.city_time import city_now
from flows.connections.accounts import redact_address
from flows.connections.postgres import MissingTableError, PostgresServer, quote_name
from flows.destinations.contents import Destination, OutgoingFile, list_outgoing_files
from flows.destinations.delivery import (
    Delivery,
    DeliveryContext,
    DeliveryOutcome,
    begin_receipt,
)
from flows.storage.destination_receipts import DeliveredFile, list_receipts, save_receipt
from reports.statements.write import TEXTS
from transforms.engine.parquet import read_parquet_sql
from transforms.engine.session import Session, open_engine

ROWS_AT_A_TIME = 20_000
ARRIVING = "jifen_arriving"
KEY = ("month", "resident_id")


@dataclass
class TableDelivery(Delivery):
    """The statements of a month for a table.

    Attributes:
        server: The database.
        table: Its name.
        files: The statements' files.
    """

    server: PostgresServer
    table: str
    files: Sequence[OutgoingFile]

    def send(self) -> DeliveryOutcome:
        """Replace the month's rows, unless they are there as they were sent."""
        self.log_access(len(self.files))
        there = self._read_state()
        sources = {file.name: file.sha256 for file in self.files}
        noted = {name: file.source_sha256 for name, file in self.receipt.files.items()}
        revision, kept = self.receipt.revision, self.receipt.rows
        if self.receipt.state == "delivered" and (there, noted) == ((revision, kept), sources):
            outcome = DeliveryOutcome(
                self.receipt.destination, self.server.where, kept=len(sources)
            )
            return outcome
        self.note(state="partial")
        rows = self._replace()
        replaces = f"r{there[0]}" if there[0] not in (None, revision) else self.receipt.replaces
        files = {
            file.name: DeliveredFile(bytes=0, sha256=file.sha256, source_sha256=file.sha256)
            for file in self.files
        }
        done = {"files": files, "rows": rows, "replaces": replaces, "delivered_at": city_now()}
        self.note(**done, state="delivered", reason="", todo="")
        self._note_replaced()
        return DeliveryOutcome(
            self.receipt.destination,
            self.server.where,
            sent=len(files),
            rows=rows,
            replaces=replaces,
        )

    @property
    def where(self) -> str:
        """The table for messages."""
        return f"{self.server.where} {self.table}"

    def _read_state(self) -> tuple[int | None, int]:
        """Return the revision of the month that is there, and its rows."""
        query = (
            f"SELECT max(revision), count(*) FROM {quote_name(self.table)}"
            f" WHERE month = DATE '{self.receipt.month}-01'"
        )

        def ask() -> Iterator[tuple[int | None, int]]:
            with self.server.connect() as connection, connection.cursor() as cursor:
                cursor.execute(query)
                row = cursor.fetchone()
                yield row[0], row[1]

        try:
            [state] = self.server.ask(self.where, ask, query)
        except MissingTableError:
            return None, 0
        return state

    def _replace(self) -> int:
        """Replace the month's rows and words; return the rows."""
        root, settings = self.context.root, self.context.project.settings
        with open_engine(settings.engine_settings, root.tmp / "spill") as session:
            paths = [file.source for file in self.files if isinstance(file.source, Path)]
            relation = read_parquet_sql(*(path for path in paths if path.suffix == ".parquet"))
            columns = {
                name: _column(name, kind) for name, kind in session.describe(relation).items()
            }
            *_, rows = self.server.ask(self.where, lambda: self._copy(session, relation, columns))
        return rows

    def _copy(
        self, session: Session, relation: str, columns: Mapping[str, _Column]
    ) -> Iterator[int]:
        """Yield the rows sent so far; everything holds only once it has been committed."""
        texts = [file for file in self.files if file.name == TEXTS]
        words = f"{self.table}_texts"
        selected = ", ".join(column.select for column in columns.values())
        query = f"SELECT {selected} FROM {relation}"
        with self.server.connect() as connection, connection.cursor() as cursor:
            rows = 0
            for batch in session.read_batches(query, ROWS_AT_A_TIME):
                _ingest(cursor, ARRIVING, batch, is_first=not rows)
                rows += batch.num_rows
                yield rows
            self._move(cursor, self.table, ARRIVING if rows else "", columns)
            yield rows
            for file in texts:
                _ingest(cursor, f"{ARRIVING}_texts", self._read_texts(file), is_first=True)
                self._move(cursor, words, f"{ARRIVING}_texts", TEXTS_COLUMNS)
            yield rows
            connection.commit()
            yield rows

    def _read_texts(self, file: OutgoingFile) -> pa.RecordBatch:
        with file.open() as source:
            text = source.read().decode()
        manifest = self.context.revision.manifest
        row = {
            "month": f"{self.receipt.month}-01",
            "revision": self.receipt.revision,
            "statement_schema": manifest.statement_schema or 0,
            "texts": json.dumps(json.loads(text), ensure_ascii=False),
        }
        return pa.RecordBatch.from_pylist([row])

    def _move(self, cursor: Any, table: str, arriving: str, columns: Mapping[str, _Column]) -> None:
        """Put the rows that have arrived, if any, in the place of the month's rows."""
        name, key = quote_name(table), [column for column in KEY if column in columns]
        kinds = ", ".join(f'"{column}" {one.kind}' for column, one in columns.items())
        cursor.execute(
            f"CREATE TABLE IF NOT EXISTS {name} ({kinds}, PRIMARY KEY ({', '.join(key)}))"
        )
        cursor.execute(f"DELETE FROM {name} WHERE month = DATE '{self.receipt.month}-01'")
        if not arriving:
            return
        names = ", ".join(f'"{column}"' for column in columns)
        values = ", ".join(f'CAST("{column}" AS {one.kind})' for column, one in columns.items())
        cursor.execute(f"INSERT INTO {name} ({names}) SELECT {values} FROM {arriving}")

    def _note_replaced(self) -> None:
        context, receipt = self.context, self.receipt
        for other in list_receipts(
            context.root, context.key, context.revision.month, receipt.destination
        ):
            is_replaced = other.revision != receipt.revision and other.address == receipt.address
            if is_replaced and other.state != "replaced":
                done = other.with_changes(files={}, state="replaced", reason="", todo="")
                save_receipt(context.root, context.key, done)


@dataclass(frozen=True)
class _Column:
    """A column: how it is read from Parquet, and its type in the database."""

    select: str
    kind: str


TEXTS_COLUMNS = {
    "month": _Column("", "date"),
    "revision": _Column("", "integer"),
    "statement_schema": _Column("", "integer"),
    "texts": _Column("", "jsonb"),
}


def open_table_delivery(context: DeliveryContext, destination: Destination) -> TableDelivery:
    """Return the delivery of statements to a table, with what is known of earlier tries."""
    root, key, revision = context.root, context.key, context.revision
    month = str(revision.month)
    files = list_outgoing_files(root, context.project, revision, destination.name)
    address = destination.given.address.replace("{month}", month)
    table = str(destination.given.table).replace("{month}", month)
    server = PostgresServer(destination.account, address, "写入权限")
    receipt = begin_receipt(context, destination, f"{redact_address(address)} {table}")
    for one in list_receipts(root, key, revision.month, destination.name):
        if (one.revision, one.address) == (revision.number, receipt.address):
            receipt = one
    return TableDelivery(context, receipt, server, table, files)


def _column(name: str, kind: str) -> _Column:
    """Return how a column of statements is read and kept: what is nested as JSON."""
    quoted = f'"{name}"'
    if kind.endswith("]") or kind.startswith(("STRUCT", "MAP")):
        # Decimals are texts in JSON, with their two decimals.
        plain = _replace_decimals(kind)
        return _Column(f"CAST(to_json(CAST({quoted} AS {plain})) AS VARCHAR) AS {quoted}", "jsonb")
    if kind.startswith("DECIMAL"):
        return _Column(f"CAST({quoted} AS VARCHAR) AS {quoted}", f"numeric{kind[len('DECIMAL') :]}")
    if kind == "DATE":
        return _Column(f"CAST({quoted} AS VARCHAR) AS {quoted}", "date")
    kinds = {"INTEGER": "integer", "SMALLINT": "smallint", "BIGINT": "bigint", "BOOLEAN": "boolean"}
    if kind in kinds:
        return _Column(quoted, kinds[kind])
    return _Column(f"CAST({quoted} AS VARCHAR) AS {quoted}", "text")


def _replace_decimals(kind: str) -> str:
    """Return a nested type with texts in the place of decimals."""
    parts = kind.split("DECIMAL(")
    return parts[0] + "".join(f"VARCHAR{part.partition(')')[2]}" for part in parts[1:])


def _ingest(cursor: Any, table: str, rows: pa.RecordBatch, *, is_first: bool) -> None:
    mode = "create" if is_first else "append"
    cursor.adbc_ingest(table, rows, mode=mode, temporary=True)
