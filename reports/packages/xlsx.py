"""XLSX lists: every cell is text, so that nothing is changed and nothing runs.

XlsxWriter makes the workbook; the engine writes the lines of its sheet, a fifth of the work of writing them cell by
cell in Python (docs/developing/decisions/0011-packages-by-the-engine.md).
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Sequence
from functools import reduce
from io import BytesIO
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import xlsxwriter
from xlsxwriter.utility import xl_col_to_name

from reports.packages.csv_cells import ListColumn
from transforms.engine.session import Session
from transforms.engine.sql import sql_literal

LONGEST = 32_767  # characters in a cell: spreadsheets take no more, the CSV beside has them all
AT_ONCE = 2_000  # lines
PACKING = 3  # of 9: an eighth larger than the usual 6, and less than half the work
# What XML cannot hold is written _xHHHH_, and what looks like that already with its bar escaped (ECMA-376, ST_Xstring).
_UNFIT = [*(code for code in range(1, 32) if chr(code) not in "\t\n"), 0xFFFE, 0xFFFF]
_LIKE_UNFIT = "_x[0-9A-Fa-f]{4}_"


def write_workbook(
    session: Session,
    table: str,
    columns: Sequence[ListColumn],
    rows: range,
    created: dt.date,
    target: Path,
) -> None:
    """Write rows of a table (by position) as a workbook of one sheet: a header, then one line per row; null is empty.

    `created` is what the file says of its origin: the same rows give the same bytes. Written front to back, nothing aside.
    """
    shell = ZipFile(_without_rows(columns, len(rows), created))
    with (
        shell,
        target.open("wb") as file,
        ZipFile(file, "w", ZIP_DEFLATED, compresslevel=PACKING) as book,
    ):
        for member in shell.namelist():
            with book.open(member, "w") as written:  # of 1980, as every member that is told no time
                for piece in _filled(shell.read(member).decode(), session, table, columns, rows):
                    written.write(piece.encode())


def _filled(
    text: str,
    session: Session,
    table: str,
    columns: Sequence[ListColumn],
    rows: range,
) -> Iterator[str]:
    """A member of the workbook; the sheet with the lines of the rows after its header."""
    sheet = re.fullmatch(
        '(.*<col .*?style="(.*?)".*<sheetData><row .*?</row>).*(</sheetData>.*)', text, re.DOTALL
    )
    if not sheet:
        yield text
        return
    head, style, tail = sheet.groups()
    yield head
    lines = f"SELECT {_line(columns, f'(rowid - {rows.start} + 2)')} FROM {table}"
    found = session.execute(
        f"{lines} WHERE rowid BETWEEN {rows.start} AND {rows.stop - 1}", {"style": style}
    )
    while some := found.fetchmany(AT_ONCE):
        yield "".join(line for (line,) in some)
    yield tail


def _without_rows(columns: Sequence[ListColumn], rows: int, created: dt.date) -> BytesIO:
    """The workbook with its header and, so that the sheet knows its size, an empty cell at its end."""
    made = BytesIO()
    with xlsxwriter.Workbook(made, {"in_memory": True}) as book:
        book.set_properties({"created": dt.datetime.combine(created, dt.time())})
        text = book.add_format({"num_format": "@"})
        bold = book.add_format({"num_format": "@", "bold": True})
        sheet = book.add_worksheet()
        sheet.freeze_panes(1, 0)
        sheet.autofilter(0, 0, rows, len(columns) - 1)
        for place, column in enumerate(columns):
            sheet.set_column(place, place, column.width, text)
            sheet.write_string(0, place, column.title, bold)
        if rows:
            sheet.write_blank(rows, len(columns) - 1, None, text)
    return made


def _line(columns: Sequence[ListColumn], number: str) -> str:
    """One line of the sheet as SQL; `number`: SQL of its place from 1. Parameter $style: of the cells."""
    cells = "".join(
        f"""
        || coalesce('<c r="{xl_col_to_name(place)}' || {number} || '" s="' || $style
        || '" t="inlineStr"><is><t xml:space="preserve">' || {_escaped(column.text)} || '</t></is></c>', '')"""
        for place, column in enumerate(columns)
    )
    return f"""'<row r="' || {number} || '">'{cells} || '</row>'"""


def _escaped(cell: str) -> str:
    text = f"CAST({cell} AS VARCHAR)"
    cut = f"CASE WHEN length({text}) > {LONGEST} THEN left({text}, {LONGEST - 1}) || '…' ELSE {text} END"
    plain = f"replace(replace(replace({cut}, '&', '&amp;'), '<', '&lt;'), '>', '&gt;')"
    barred = f"replace({plain}, '_x', '_x005F_x')"
    spelt = reduce(
        lambda sql, code: f"replace({sql}, chr({code}), '_x{code:04X}_')", _UNFIT, barred
    )
    unfit = sql_literal(rf"[\x01-\x08\x0B-\x1F\x{{FFFE}}\x{{FFFF}}]|{_LIKE_UNFIT}")
    return f"CASE WHEN regexp_matches({text}, {unfit}) THEN {spelt} ELSE {plain} END"
