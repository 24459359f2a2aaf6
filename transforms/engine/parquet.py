"""Parquet files: how they are written, and relations that read them."""

from __future__ import annotations

import glob
from collections.abc import Iterable
from pathlib import Path

from transforms.engine.sql import sql_literal

# Level 1: on the published tables a fifth less work than the default level, and files no larger.
# Row groups of the engine's own size: a thread that has none left to compress does not wait long
# for the other's last one. A dictionary of more values seldom pays, and is given up at a fifth of
# the engine's own limit (docs/developing/decisions/0013-parquet-settings.md).
_ROW_GROUPS = "ROW_GROUP_SIZE 122880, DICTIONARY_SIZE_LIMIT 5000"
PARQUET = f"FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, {_ROW_GROUPS}"
INTERMEDIATE_PARQUET = f"FORMAT parquet, COMPRESSION snappy, {_ROW_GROUPS}"


def read_parquet_sql(*files: Path, **options: str) -> str:
    """Return `read_parquet` of exactly these files.

    A name is no pattern (`part[1]`), and a folder's name no column (`a=b`) unless asked for.
    """
    listed = ", ".join(sql_literal(glob.escape(str(file))) for file in files)
    given = "".join(
        f", {name} = {value}" for name, value in ({"hive_partitioning": "false"} | options).items()
    )
    return f"read_parquet([{listed}]{given})"


def read_folder_sql(folder: Path) -> str:
    """Return `read_parquet` of a folder's files, in the order of their names."""
    return read_parquet_sql(*sorted(folder.glob("*.parquet")))


def read_deliveries(folders: Iterable[Path]) -> str:
    """Return the clean rows in folders of deliveries, with the month of receipt as `received`."""
    files = (file for folder in folders for file in sorted(folder.glob("*.parquet")))
    rows = read_parquet_sql(*files, filename="'file_of_row'")
    month = "regexp_extract(file_of_row, '.*/received=([0-9]{4}-[0-9]{2})/', 1)"
    return f"(SELECT * EXCLUDE (file_of_row), {month} AS received FROM {rows})"
