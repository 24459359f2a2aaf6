"""A department's file for tests: rows of texts, and every way in which they may be written."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import io
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import xlsxwriter

from expectations.source_model import Column, Source

Rows = list[list[str]]
NEVER_A_NUMBER = re.compile(r"[^0-9.]|^0[0-9]|^$|\..*\.")


@dataclass
class Workbook:
    """How a file is written as xlsx; everything is text unless said otherwise.

    Attributes:
        numbers: Cells that look like numbers are numbers, as a spreadsheet makes them of a CSV.
        dates: Dates are date cells in this format.
        formulas: Places of columns whose cells are formulas: (column, value saved with them).
        merged: Column whose first cells are merged.
        errors: Column in which the first cell is an error value.
        hidden_first: A hidden sheet with other rows stands before the data.
        split: So many rows stand on a second sheet.
        note: A second sheet holds a note.
        again: A second sheet holds the same rows once more.
    """

    numbers: bool = False
    dates: str = ""
    formulas: tuple[int, str] | None = None
    merged: int | None = None
    errors: int | None = None
    hidden_first: bool = False
    split: int = 0
    note: bool = False
    again: bool = False


@dataclass
class OfficeFile:
    """One source's file of a month: its rows as texts, and how and where they are written."""

    source: Source
    header: list[str]
    rows: Rows
    previous: Path
    stem: str = ""
    month: str = "2024-04"
    suffix: str = "csv"
    encoding: str = "utf-8"
    delimiter: str = ","
    line_end: str = "\n"
    quote_all: bool = False
    wrapping: str = ""
    above: Rows = field(default_factory=list)
    below: Rows = field(default_factory=list)
    workbook: Workbook = field(default_factory=Workbook)
    changes: list[Callable[[bytes], bytes]] = field(default_factory=list)
    after_writing: list[Callable[[Path], object]] = field(default_factory=list)
    missing: bool = False
    columns: list[str] = field(default_factory=list)
    """Declared names by place: the header may call them otherwise; "" for an undeclared one."""

    def __post_init__(self) -> None:
        self.stem = self.stem or self.source.source
        self.columns = self.columns or list(self.header)

    def place(self, name: str) -> int:
        """Return where a declared column stands."""
        return self.columns.index(name)

    def places(self, *types: str) -> list[int]:
        """Return the columns of these types that have values."""
        return [
            place
            for place, name in enumerate(self.columns)
            if name
            and self.source.columns[name].type in types
            and any(row[place] for row in self.rows)
        ]

    def column(self, place: int) -> Column:
        """Return the declaration of the column at a place."""
        return self.source.columns[self.columns[place]]

    def write(self, inbox: Path) -> None:
        """Write the file into the inbox, with what lies next to it."""
        folder = inbox / self.month
        folder.mkdir(parents=True, exist_ok=True)
        name = f"{self.stem}.{self.suffix}"
        content = self._render()
        for change in self.changes:
            content = change(content)
        if self.wrapping == "gz":
            name, content = f"{name}.gz", gzip.compress(content)
        elif self.wrapping == "zst":
            name = f"{name}.zst"
            content = pa.compress(content, "zstd", asbytes=True)
        elif self.wrapping == "zip":
            packed = io.BytesIO()
            with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr(name, content)
            name, content = f"{self.stem}.zip", packed.getvalue()
        path = folder / name
        if not self.missing:
            path.write_bytes(content)
        for act in self.after_writing:
            act(path)

    def _render(self) -> bytes:
        if self.suffix == "xlsx":
            return write_workbook(self)
        if self.suffix == "parquet":
            names = [title or f"c{n}" for n, title in enumerate(self.header)]
            arrays = [pa.array([row[n] or None for row in self.rows]) for n in range(len(names))]
            buffer = io.BytesIO()
            pq.write_table(pa.table([a.cast(pa.string()) for a in arrays], names), buffer)
            return buffer.getvalue()
        text = io.StringIO()
        quoting = csv.QUOTE_ALL if self.quote_all else csv.QUOTE_MINIMAL
        writer = csv.writer(
            text, delimiter=self.delimiter, lineterminator=self.line_end, quoting=quoting
        )
        writer.writerows([*self.above, self.header, *self.rows, *self.below])
        return text.getvalue().encode(self.encoding, "replace")


def write_workbook(file: OfficeFile) -> bytes:
    """Return the rows of a file as a workbook."""
    out, wanted = io.BytesIO(), file.workbook
    book = xlsxwriter.Workbook(out, {"in_memory": True})
    if wanted.hidden_first:
        hidden = book.add_worksheet("旧")
        _write_sheet(book, hidden, file, file.rows[: len(file.rows) // 2])
        hidden.hide()
    cut = len(file.rows) - wanted.split
    first = book.add_worksheet("Sheet1")
    first.activate()
    first.set_first_sheet()
    _write_sheet(book, first, file, file.rows[:cut])
    if wanted.split or wanted.again:
        _write_sheet(
            book, book.add_worksheet("Sheet2"), file, file.rows[cut if wanted.split else 0 :]
        )
    if wanted.note:
        book.add_worksheet("说明").write_string(0, 0, "本表由业务系统导出")
    if wanted.merged is not None and cut > 2:
        top = len(file.above) + 1
        text = file.rows[0][wanted.merged]
        first.merge_range(top, wanted.merged, top + 2, wanted.merged, text)
    if wanted.errors is not None:
        first.write_formula(len(file.above) + 1, wanted.errors, "=NA()", None, "#N/A")
    book.close()
    return out.getvalue()


def _write_sheet(book: object, sheet: object, file: OfficeFile, rows: Rows) -> None:
    wanted = file.workbook
    number = 0
    style = book.add_format({"num_format": wanted.dates}) if wanted.dates else None  # type: ignore[attr-defined]
    for number, row in enumerate([*file.above, file.header, *rows, *file.below]):
        is_data = len(file.above) < number <= len(file.above) + len(rows)
        for place, text in enumerate(row):
            kind = ""
            if place < len(file.columns) and file.columns[place]:
                kind = file.column(place).type
            day = parse_day(text) if is_data and kind == "date" and wanted.dates else None
            if is_data and wanted.formulas and place == wanted.formulas[0]:
                sheet.write_formula(number, place, f'="{text}"', None, wanted.formulas[1] or text)  # type: ignore[attr-defined]
            elif day:
                sheet.write_datetime(number, place, day, style)  # type: ignore[attr-defined]
            elif is_data and wanted.numbers and not NEVER_A_NUMBER.search(text):
                sheet.write_number(number, place, float(text))  # type: ignore[attr-defined]
            elif text:
                sheet.write_string(number, place, text)  # type: ignore[attr-defined]


def parse_day(text: str) -> dt.datetime | None:
    try:
        day = dt.datetime.strptime(text, "%Y-%m-%d")
    except ValueError:
        return None
    return day if day.year >= 1900 else None
