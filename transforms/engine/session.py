"""The one place that opens DuckDB."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import duckdb

T = TypeVar("T")
R = TypeVar("R")

# Level 1: on the published tables a fifth less work than the default level, and files no larger. Row groups of the
# engine's own size: a thread that has none left to pack does not wait long for the other's last one. A dictionary that has
# come to so many words seldom pays, and is given up, at a fifth of what the engine would let it come to (docs/developing/benchmarks.md).
_ROW_GROUPS = "ROW_GROUP_SIZE 122880, DICTIONARY_SIZE_LIMIT 5000"
PARQUET = f"FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, {_ROW_GROUPS}"
INTERMEDIATE_PARQUET = f"FORMAT parquet, COMPRESSION snappy, {_ROW_GROUPS}"


@dataclass(frozen=True)
class EngineSettings:
    """How much of the machine the engine may use; results never depend on it."""

    memory: str = "2.5GB"
    threads: int = 2


@contextmanager
def open_engine(
    settings: EngineSettings,
    spill: Path,
    database: Path | str = ":memory:",
    *,
    read_only: bool = False,
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open DuckDB, closed to the network, spilling under `spill`, blind to the machine's time zone."""
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
        yield connection
    finally:
        connection.close()


def map_concurrently(
    connection: duckdb.DuckDBPyConnection,
    things: Iterable[T],
    work: Callable[[duckdb.DuckDBPyConnection, T], R],
) -> list[R]:
    """Do work for each of these things, two at a time, on a cursor each, which sees no temporary table of the connection.

    What the engine does on one thread for one, as reading rows side by side, is filled up with its work on the other.
    """

    def alone(thing: T) -> R:
        with connection.cursor() as own:
            return work(own, thing)

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(alone, things))


@contextmanager
def keep_join_order(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """For the time of the block, the rows to the left of a join stream past a table made of those to its right.

    By itself the engine takes what a condition leaves of the registry for a fifth of it, and makes the table of that, of
    names, phones and all: with little memory a sixth more work (docs/developing/benchmarks.md).
    """
    connection.execute("SET disabled_optimizers = 'build_side_probe_side'")
    try:
        yield
    finally:
        connection.execute("RESET disabled_optimizers")


def restrict_file_access(connection: duckdb.DuckDBPyConnection, folders: Sequence[Path]) -> None:
    """Let a connection read files below these folders and nothing else, for good."""
    spellings = (
        spelt for folder in folders for spelt in {f"{folder}/", glob.escape(f"{folder}/")}
    )  # see `parquet`
    allowed = ", ".join(map(sql_literal, spellings))
    connection.execute(f"SET allowed_directories = [{allowed}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def sql_literal(text: str | Path) -> str:
    """A string as an SQL literal. For paths and names of our own making; people's values are bound instead."""
    return "'" + str(text).replace("'", "''") + "'"


def enum_type(texts: Iterable[str]) -> str:
    """The type of texts that are moved and put in order as numbers, in the order given; readers see texts.

    They are to be texts again as they are written: of a column of such numbers the engine writes, with every row group, all
    texts up to the last that it has come across by then, and so other bytes whenever its threads take turns otherwise.
    """
    return f"ENUM({', '.join(map(sql_literal, texts)) or sql_literal('')})"  # it cannot be without any text


def read_parquet_sql(*files: Path, **options: str) -> str:
    """`read_parquet` of these very files: a name is no pattern (`part[1]`), and a folder's name no column (`a=b`) unless asked for."""
    listed = ", ".join(sql_literal(glob.escape(str(file))) for file in files)
    given = "".join(
        f", {name} = {value}" for name, value in ({"hive_partitioning": "false"} | options).items()
    )
    return f"read_parquet([{listed}]{given})"


def read_folder_sql(folder: Path) -> str:
    """`read_parquet` of a folder's files, in the order of their names."""
    return read_parquet_sql(*sorted(folder.glob("*.parquet")))


def read_deliveries(folders: Iterable[Path]) -> str:
    """The clean rows in folders of deliveries, with the month (text) in which each was received as `received`."""
    files = (file for folder in folders for file in sorted(folder.glob("*.parquet")))
    rows = read_parquet_sql(*files, filename="'file_of_row'")
    month = "regexp_extract(file_of_row, '.*/received=([0-9]{4}-[0-9]{2})/', 1)"
    return f"(SELECT * EXCLUDE (file_of_row), {month} AS received FROM {rows})"


def fetch_scalar(
    connection: duckdb.DuckDBPyConnection, query: str, values: list[Any] | None = None
) -> Any:
    """The one value of a query."""
    return connection.execute(query, values).fetchall()[0][0]
