"""The one place that opens DuckDB: a session runs statements, and no other module knows its API.

A second engine would be another class with these methods.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

import duckdb

from expectations.errors import attach_statement
from transforms.engine.parquet import PARQUET, copy_sql, nullable_sql
from transforms.engine.sql import sql_literal
from transforms.engine.statements import Statement

# What a statement can raise, under names that do not show which engine it is.
EngineError = duckdb.Error
NumberError = (duckdb.ConversionException, duckdb.OutOfRangeException)  # too large, no number
FileAccessError = duckdb.PermissionException

Params = Mapping[str, Any] | None
Inputs = Mapping[str, str] | None
T = TypeVar("T")
R = TypeVar("R")

_RELATIONS = """
SELECT table_name FROM duckdb_tables()
UNION ALL SELECT view_name FROM duckdb_views() WHERE NOT internal"""


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
    """A session with the engine: runs statements, and holds the relations made of them.

    A statement's `inputs` are relations made in this session before, or given to the call as
    `inputs`: name -> relation as SQL (`read_parquet(...)`, `(SELECT ...)`), known during that call
    only. A statement that names an input which is not there is not run.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def create_table(
        self, statement: Statement, params: Params = None, inputs: Inputs = None
    ) -> None:
        """Make a table of a statement's rows, under its name."""
        self._run(statement, replace(statement, form="table").to_script(), params, inputs)

    def create_view(self, statement: Statement) -> None:
        """Make a view of a statement, under its name; it can have no parameters."""
        self._run(statement, replace(statement, form="view").to_script())

    def create(self, statement: Statement, params: Params = None) -> None:
        """Make what a statement says that it is: a table or a view."""
        if statement.form == "view":
            self.create_view(statement)
        else:
            self.create_table(statement, params)

    def drop(self, *tables: str) -> None:
        """Drop tables, where they are."""
        for table in tables:
            self.execute(f"DROP TABLE IF EXISTS {table}")

    def fetch(
        self, statement: Statement, params: Params = None, inputs: Inputs = None
    ) -> list[Any]:
        """Return the rows of a statement that has few."""
        return self._run(statement, statement.sql, params, inputs)

    def write(
        self,
        statement: Statement,
        target: Path,
        params: Params = None,
        inputs: Inputs = None,
        *,
        options: str = PARQUET,
        plain_columns: bool = False,
    ) -> int:
        """Write the rows of a statement to a Parquet file, in its order; return how many.

        `plain_columns`: it computes nothing, and its columns are written as nullable, whatever
        their statistics say (`nullable_sql`).
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        query = nullable_sql(statement.sql) if plain_columns else statement.sql
        rows = self._run(statement, copy_sql(query, target, options), params, inputs)
        return int(rows[0][0])

    def _run(
        self, statement: Statement, sql: str, params: Params = None, inputs: Inputs = None
    ) -> list[Any]:
        given = inputs or {}
        with attach_statement(statement.name):
            self._require(statement, given)
            for name, relation in given.items():
                self.execute(f"CREATE OR REPLACE TEMP VIEW {name} AS FROM {relation}")
            try:
                used = {
                    name: value
                    for name, value in (params or {}).items()
                    if name in statement.params
                }
                return self.fetch_rows(sql, used or None)
            finally:
                for name in given:
                    self.execute(f"DROP VIEW {name}")

    def _require(self, statement: Statement, given: Iterable[str]) -> None:
        """Raise LookupError if an input is neither given nor a relation of this session."""
        missing = set(statement.inputs) - set(given)
        if missing:
            missing -= {name for (name,) in self.fetch_rows(_RELATIONS)}
        if missing:
            raise LookupError(f"{statement.name} reads what is not there: {sorted(missing)}")

    def execute(self, query: str, params: object = None) -> Result:
        """Run one command as it is. `params`: values by name (mapping) or place (sequence)."""
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

    def read_batches(self, query: str, rows: int) -> Iterator[Any]:
        """Yield the rows of a query as Arrow batches of at most so many rows, in its order."""
        reader: Any = self._connection.sql(query).to_arrow_reader(rows)
        yield from reader

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
