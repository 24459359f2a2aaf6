"""The one place that opens DuckDB: a session runs statements, and no other module knows its API."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import duckdb

from transforms.engine.sql import sql_literal

# What a statement can raise, under names that do not tell the engine.
EngineError = duckdb.Error
NumberError = (duckdb.ConversionException, duckdb.OutOfRangeException)  # too large, no number
FileAccessError = duckdb.PermissionException

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class EngineSettings:
    """How much of the machine the engine may use; results never depend on it."""

    memory: str = "2.5GB"
    threads: int = 2


class Result(Protocol):
    """The rows of a query, not fetched yet; gone with the session's next statement."""

    @property
    def description(self) -> Sequence[Any] | None: ...

    def fetchone(self) -> Any: ...

    def fetchmany(self, size: int = 1) -> list[Any]: ...

    def fetchall(self) -> list[Any]: ...


class Session:
    """A session with the engine, with the temporary tables and views made in it."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def execute(self, query: str, params: object = None) -> Result:
        """Run one statement. `params`: values by name (mapping) or place (sequence)."""
        return self._connection.execute(query, params)

    def fetch_rows(self, query: str, params: object = None) -> list[Any]:
        """Return all rows of a query, for a query that has few."""
        return self._connection.execute(query, params).fetchall()

    def fetch_dicts(self, query: str, params: object = None) -> list[dict[str, Any]]:
        """Return all rows of a query as mappings by column, for a query that has few."""
        result = self._connection.execute(query, params)
        names = [name for name, *_ in result.description or ()]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    def scalar(self, query: str, params: object = None) -> Any:
        """Return the one value of a query."""
        return self.fetch_rows(query, params)[0][0]

    def describe(self, relation: str) -> dict[str, str]:
        """Return the columns of a relation in order: name -> SQL type."""
        rows = self.fetch_rows(f"DESCRIBE SELECT * FROM {relation}")
        return {str(name): str(kind) for name, kind, *_ in rows}

    def register(self, name: str, rows: Any) -> None:
        """Make an Arrow table or stream of batches a relation of this name."""
        self._connection.register(name, rows)

    def unregister(self, name: str) -> None:
        """Forget a registered relation."""
        self._connection.unregister(name)

    @contextmanager
    def cursor(self) -> Iterator[Session]:
        """Open a second session on the same database; it sees no temporary table of this one."""
        with self._connection.cursor() as cursor:
            yield Session(cursor)

    def dbapi_cursor(self) -> Any:
        """Return a cursor of the DB API, for SQLAlchemy."""
        return self._connection.cursor()

    def split_statements(self, text: str) -> list[tuple[str, str]]:
        """Return the statements of a text: kind (SELECT, SET, INSERT, ...) and SQL of each."""
        found = self._connection.extract_statements(text)
        return [(statement.type.name, statement.query) for statement in found]

    def restrict_file_access(self, folders: Iterable[Path]) -> None:
        """Let the session read files below these folders and nothing else, for good."""
        allowed = ", ".join(
            sql_literal(spelt)
            for folder in folders
            for spelt in {f"{folder}/", glob.escape(f"{folder}/")}  # as `read_parquet_sql` does
        )
        self.execute(f"SET allowed_directories = [{allowed}]")
        self.execute("SET enable_external_access = false")
        self.execute("SET lock_configuration = true")

    @contextmanager
    def keep_join_order(self) -> Iterator[None]:
        """Within the block, hash the right side of every join and stream the left one past it.

        On its own the engine takes what a condition leaves of the registry for a fifth of it, and
        hashes that, with names, phones and all: with little memory a sixth more work
        (docs/developing/decisions/0014-small-optimisations.md).
        """
        self.execute("SET disabled_optimizers = 'build_side_probe_side'")
        try:
            yield
        finally:
            self.execute("RESET disabled_optimizers")


@contextmanager
def open_engine(
    settings: EngineSettings,
    spill: Path,
    database: Path | str = ":memory:",
    *,
    read_only: bool = False,
) -> Iterator[Session]:
    """Open DuckDB without network, in UTC, spilling under `spill`."""
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": settings.memory,
        "threads": settings.threads,
        "temp_directory": str(spill),
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "allow_community_extensions": False,
        "preserve_insertion_order": True,
    }
    spill.mkdir(parents=True, exist_ok=True, mode=0o700)
    connection = duckdb.connect(os.fspath(database), read_only=read_only, config=config)
    try:
        connection.execute("SET GLOBAL TimeZone = 'UTC'")  # cursors too
        connection.execute("SET enable_progress_bar = false")
        yield Session(connection)
    finally:
        connection.close()


def map_concurrently(
    session: Session, items: Iterable[T], work: Callable[[Session, T], R], workers: int = 2
) -> list[R]:
    """Call `work` for each item, `workers` at a time, each on a cursor of its own.

    A cursor sees no temporary table of the session. Work that the engine does on one thread, such
    as reading aligned rows, fills the gaps of the other's.
    """

    def run(item: T) -> R:
        with session.cursor() as cursor:
            return work(cursor, item)

    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(run, items))
