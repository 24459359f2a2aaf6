"""Read published table files into one form, and compare two tables cell by cell and in order."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zipfile import ZipFile

import duckdb
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq

SUFFIXES = (".parquet", ".csv", ".xlsx")
KEY = "resident_key"  # the pseudonym: the only name of a row that may be shown
CHUNK = 100_000  # rows compared in Python at a time
CELL_PARTS = re.compile(r"xl/(worksheets/.*|sharedStrings|styles|workbook)\.xml")
NO_KEYS_BELOW = ("files",)  # keys of a manifest whose own keys are names of files


@dataclass(frozen=True)
class Difference:
    """One difference: in which file, in which column (or sheet, or key), and what it is."""

    table: str
    column: str
    text: str
    is_order: bool = False  # the rows are the same


def is_table(path: Path) -> bool:
    """Return True if the file holds a table."""
    return path.suffix in SUFFIXES


def read_tables(path: Path) -> dict[str, pa.Table]:
    """Return the tables in a file by sheet; CSV and XLSX cells are texts."""
    if path.suffix == ".parquet":
        return {"": pq.read_table(path, partitioning=None)}
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))
        return {"": _build_table(rows[0], rows[1:]) if rows else pa.table({})}
    workbook = openpyxl.load_workbook(path, read_only=True)
    try:
        return {sheet.title: _read_sheet(sheet) for sheet in workbook.worksheets}
    finally:
        workbook.close()


def _read_sheet(sheet: Any) -> pa.Table:
    rows = [
        [
            f"{cell.value!r} as {cell.number_format}" if cell.value is not None else None
            for cell in row
        ]
        for row in sheet.iter_rows()
    ]
    width = max((len(row) for row in rows), default=0)
    return _build_table([f"column {number}" for number in range(1, width + 1)], rows)


def _build_table(names: list[str], rows: list[list[Any]]) -> pa.Table:
    width = max(len(names), *(len(row) for row in rows)) if rows else len(names)
    names = [*names, *(f"(column {number})" for number in range(len(names) + 1, width + 1))]
    names = [
        f"{name} ({names[:index].count(name) + 1})" if name in names[:index] else name
        for index, name in enumerate(names)
    ]
    columns = [
        pa.array([row[index] if index < len(row) else None for row in rows], pa.string())
        for index in range(width)
    ]
    return pa.Table.from_arrays(columns, names=names)


def read_catalogue(path: Path) -> pa.Table:
    """Return the columns of all tables and views of a catalogue: relation, column, type."""
    with duckdb.connect(path, read_only=True) as connection:
        return connection.sql(
            "SELECT table_name, column_name, data_type FROM duckdb_columns()"
            " WHERE NOT internal ORDER BY table_name, column_index"
        ).to_arrow_table()


def is_same_workbook(a: Path, b: Path) -> bool:
    """Return True if two XLSX files hold the same sheets, texts and styles, byte for byte."""
    return a.suffix == ".xlsx" and _read_checksums(a) == _read_checksums(b)


def _read_checksums(path: Path) -> dict[str, tuple[int, int]]:
    with ZipFile(path) as archive:
        return {
            item.filename: (item.CRC, item.file_size)
            for item in archive.infolist()
            if CELL_PARTS.fullmatch(item.filename)
        }


def count_cells(workbook: Path) -> int:
    """Return the number of cells that an XLSX file writes down."""
    with ZipFile(workbook) as archive:
        names = [name for name in archive.namelist() if name.startswith("xl/worksheets/sheet")]
        return sum(len(re.findall(rb"<c[ >]", archive.read(name))) for name in names)


def find_key_paths(value: Any, path: str = "") -> set[str]:
    """Return the paths of all keys in a JSON value; items of a list share one path."""
    if isinstance(value, list):
        return {key for item in value for key in find_key_paths(item, f"{path}[]")}
    if not isinstance(value, dict):
        return set()
    found = set()
    for key, item in value.items():
        found.add(f"{path}.{key}".lstrip("."))
        if key not in NO_KEYS_BELOW:
            found |= find_key_paths(item, f"{path}.{key}".lstrip("."))
    return found


def compare_tables(
    name: str, a: pa.Table, b: pa.Table, show_values: bool = False
) -> list[Difference]:
    """Compare two tables in the order of their rows; one difference per column at most.

    Cells are those of the columns that both have. Values are shown on request only.
    """
    found = list(_compare_columns(name, a, b))
    if a.num_rows != b.num_rows:
        found.append(Difference(name, "", f"{a.num_rows:,} rows in A, {b.num_rows:,} in B"))
    shared = [column for column in a.column_names if column in b.column_names]
    changed = [item for item in shared if not _is_equal(a.column(item), b.column(item))]
    if changed and not found and has_same_rows(a, b):
        text = f"same rows in another order ({len(changed)} columns differ)"
        return [Difference(name, "", text, is_order=True)]
    keys = a.column(KEY).to_pylist() if KEY in a.column_names else None
    for column in changed:
        rows = find_unequal_rows(a.column(column), b.column(column))
        if not rows:
            continue
        first = rows[0]
        text = f"{len(rows):,} cells differ, first in row {first + 1}"
        if keys:
            text += f" ({keys[first]})"
        if show_values:
            text += f": {a.column(column)[first].as_py()!r}, {b.column(column)[first].as_py()!r}"
        found.append(Difference(name, column, text))
    return found


def _compare_columns(name: str, a: pa.Table, b: pa.Table) -> Iterator[Difference]:
    for column in a.column_names:
        if column not in b.column_names:
            yield Difference(name, column, "column only in A")
        elif a.schema.field(column).type != b.schema.field(column).type:
            types = f"{a.schema.field(column).type} in A, {b.schema.field(column).type} in B"
            yield Difference(name, column, types)
    for column in b.column_names:
        if column not in a.column_names:
            yield Difference(name, column, "column only in B")
    if a.column_names != b.column_names and sorted(a.column_names) == sorted(b.column_names):
        yield Difference(name, "", "columns in another order")


def _is_equal(a: pa.ChunkedArray, b: pa.ChunkedArray) -> bool:
    """Return True if two columns are equal over the rows that both have; NaN equals NaN."""
    rows = min(len(a), len(b))
    a, b = a.slice(0, rows), b.slice(0, rows)
    if a.type == b.type and a.equals(b):
        return True
    return pa.types.is_floating(a.type) and not find_unequal_rows(a, b)


def find_unequal_rows(a: pa.ChunkedArray, b: pa.ChunkedArray) -> list[int]:
    """Return the positions, from 0, at which two columns differ, over the rows that both have."""
    rows = min(len(a), len(b))
    found = []
    for start in range(0, rows, CHUNK):
        chunks = (column.slice(start, min(CHUNK, rows - start)) for column in (a, b))
        values = zip(*(chunk.to_pylist() for chunk in chunks), strict=True)
        for index, (x, y) in enumerate(values, start=start):
            if x != y and (x == x or y == y):
                found.append(index)
    return found


def has_same_rows(a: pa.Table, b: pa.Table) -> bool:
    """Return True if two tables of equal length have the same rows in whatever order."""
    with TemporaryDirectory() as folder:
        settings = {"memory_limit": "1GB", "threads": 1, "temp_directory": folder}
        with duckdb.connect(config=settings) as connection:
            connection.register("a", a)
            connection.register("b", b)
            more = connection.execute("FROM a EXCEPT ALL FROM b LIMIT 1").fetchall()
    return not more
