"""XLSX lists: every cell is text, so that nothing is changed and nothing runs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import xlsxwriter

WIDTH = 18  # of a column, in characters


def write_workbook(
    file: BinaryIO,
    titles: Sequence[str],
    rows: Iterator[Sequence[Any]],
    created: dt.date,
    rows_aside: Path | None,
) -> None:
    """Write a workbook with one sheet: a header, then one line per row; null is an empty cell.

    `created` is what the file says of its origin: the same rows give the same bytes. `rows_aside`: a folder for the
    rows while they are written; None keeps them in memory (2 KB a row), for lists that must not be on disk as plain text.
    """
    aside = {"in_memory": True} if rows_aside is None else {"constant_memory": True, "tmpdir": str(rows_aside)}
    with xlsxwriter.Workbook(file, aside) as book:
        book.set_properties({"created": dt.datetime.combine(created, dt.time())})
        text = book.add_format({"num_format": "@"})
        bold = book.add_format({"num_format": "@", "bold": True})
        sheet = book.add_worksheet()
        sheet.set_column(0, len(titles) - 1, WIDTH, text)
        sheet.freeze_panes(1, 0)
        for column, title in enumerate(titles):
            sheet.write_string(0, column, title, bold)
        for line, row in enumerate(rows, 1):
            for column, value in enumerate(row):
                if value is not None:
                    sheet.write_string(line, column, str(value), text)
