"""Parquet files: how they are written, and relations that read them.

All that makes the same rows the same bytes, whatever threads and memory there are, is in
`sort_for_writing_sql` (docs/developing/decisions/0008-byte-identical-output.md); compression, row
groups and dictionaries in `PARQUET` (docs/developing/decisions/0013-parquet-settings.md).
"""

from __future__ import annotations

import glob
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from transforms.engine.sql import enum_type, sql_literal

# Level 1: on the published tables a fifth less work than the default level, and files no larger.
# Row groups of the engine's own size: a thread that has none left to compress does not wait long
# for the other's last one. A dictionary of more values seldom pays, and is given up at a fifth of
# the engine's own limit.
_ROW_GROUPS = "ROW_GROUP_SIZE 122880, DICTIONARY_SIZE_LIMIT 5000"
PARQUET = f"FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, {_ROW_GROUPS}"
INTERMEDIATE_PARQUET = f"FORMAT parquet, COMPRESSION snappy, {_ROW_GROUPS}"


def copy_sql(query: str, target: Path, options: str = PARQUET) -> str:
    """Return the command that writes the rows of a query to a file."""
    return f"COPY ({query}) TO {sql_literal(target)} ({options})"


def sort_for_writing_sql(
    query: str,
    columns: Sequence[str],
    order_by: Sequence[str],
    low_cardinality: Mapping[str, Collection[str]],
) -> str:
    """Return the query of sorted rows, made so that the same rows are always the same bytes.

    `columns`: what is written, as SQL over the sorted rows. `low_cardinality`: text columns of few
    values -> all of them. They are sorted as ENUM, which moves less, and cast back: the writer
    puts into the dictionary of an ENUM the values it has met so far, in whatever thread.
    """
    kinds = {name: enum_type(sorted(texts)) for name, texts in low_cardinality.items() if texts}
    as_enum = ", ".join(f"CAST({name} AS {kind}) AS {name}" for name, kind in kinds.items())
    as_text = ", ".join(f"CAST({name} AS VARCHAR) AS {name}" for name in kinds)
    rows = f"FROM ({query})" if not kinds else f"SELECT * REPLACE ({as_enum}) FROM ({query})"
    written = f"SELECT {', '.join(columns)} FROM ({rows} ORDER BY {', '.join(order_by)})"
    texts = f"FROM ({written})" if not kinds else f"SELECT * REPLACE ({as_text}) FROM ({written})"
    return nullable_sql(texts)


def nullable_sql(query: str) -> str:
    """Return a query of plain columns, none of which is written as required.

    Otherwise the engine writes those as required that its statistics say are never null, and
    statistics depend on how rows lie in the files behind them. TRY makes it forget them. It also
    makes nulls of errors: nothing may be computed in the query but below a sort.
    """
    return f"SELECT TRY(COLUMNS(*)) FROM ({query})"


def list_files_sql(*files: Path) -> str:
    """Return a list of exactly these files: a name is no pattern (`part[1]`)."""
    return f"[{', '.join(sql_literal(glob.escape(str(file))) for file in files)}]"


def read_parquet_sql(*files: Path, **options: str) -> str:
    """Return `read_parquet` of exactly these files.

    A folder's name is no column (`a=b`) unless asked for.
    """
    given = "".join(
        f", {name} = {value}" for name, value in ({"hive_partitioning": "false"} | options).items()
    )
    return f"read_parquet({list_files_sql(*files)}{given})"


def read_folder_sql(folder: Path) -> str:
    """Return `read_parquet` of a folder's files, in the order of their names."""
    return read_parquet_sql(*sorted(folder.glob("*.parquet")))


def read_deliveries(folders: Iterable[Path]) -> str:
    """Return the clean rows in folders of deliveries, with the month of receipt as `received`."""
    files = (file for folder in folders for file in sorted(folder.glob("*.parquet")))
    rows = read_parquet_sql(*files, filename="'file_of_row'")
    month = "regexp_extract(file_of_row, '.*/received=([0-9]{4}-[0-9]{2})/', 1)"
    return f"(SELECT * EXCLUDE (file_of_row), {month} AS received FROM {rows})"


def empty_relation_sql(columns: Mapping[str, str]) -> str:
    """Return a relation without rows: column -> SQL type."""
    nulls = ", ".join(f"CAST(NULL AS {kind}) AS {name}" for name, kind in columns.items())
    return f"(SELECT {nulls} WHERE false)"
