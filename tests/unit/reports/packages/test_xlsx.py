"""Workbooks read with another library hold what the table held, whatever its characters are."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import duckdb
import openpyxl
import pytest
from openpyxl.utils.escape import unescape

from reports.packages.csv_cells import ListColumn
from reports.packages.xlsx import LONGEST, write_workbook

COLUMNS = [ListColumn("a", "甲"), ListColumn("b", "<乙> & 丙", "text")]
TEXTS = [
    "=1+1", " two spaces ", "a<b>&\"c'", "&amp;", "line\nbreak\ttab", "回车\r\n", "\x01\x0b\x1f", "_x0041_ _x004g_",
    "_x005F_x0041_", "", "🏠𠮷", "]]>", "<!-- -->", "'", "\ufffe\uffff",
]  # fmt: skip


def book(
    target: Path, rows: list[tuple[str | None, str | None]], span: range | None = None
) -> openpyxl.Workbook:
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE t (a VARCHAR, b VARCHAR)")
        if rows:
            connection.executemany("INSERT INTO t VALUES (?, ?)", rows)
        write_workbook(
            connection, "t", COLUMNS, span or range(len(rows)), dt.date(2024, 4, 30), target
        )
    return openpyxl.load_workbook(target)


@pytest.mark.parametrize("text", TEXTS)
def test_a_cell_holds_the_text_that_was_written(text: str, tmp_path: Path) -> None:
    (sheet,) = book(tmp_path / "a.xlsx", [(text, None)]).worksheets
    cell = sheet["A2"]
    assert unescape(cell.value or "").replace("\r\n", "\n") == text.replace("\r\n", "\n")
    assert (cell.data_type, cell.number_format) == ("s", "@")
    assert sheet["B2"].value is None


def test_a_text_longer_than_a_cell_ends_in_dots(tmp_path: Path) -> None:
    (sheet,) = book(tmp_path / "a.xlsx", [("字" * LONGEST, "字" * (LONGEST + 1))]).worksheets
    assert (sheet["A2"].value, sheet["B2"].value) == ("字" * LONGEST, "字" * (LONGEST - 1) + "…")


def test_the_sheet_knows_its_size_and_keeps_its_header_in_sight(tmp_path: Path) -> None:
    (sheet,) = book(
        tmp_path / "a.xlsx", [(str(n), None) for n in range(5_000)], range(1_000, 4_000)
    ).worksheets
    assert (sheet.dimensions, sheet.freeze_panes) == ("A1:B3001", "A2")
    assert [cell.value for cell in sheet[1]] == ["甲", "<乙> & 丙"]
    assert [row[0] for row in sheet.iter_rows(min_row=2, values_only=True)] == [
        str(n) for n in range(1_000, 4_000)
    ]


def test_without_rows_there_is_a_header(tmp_path: Path) -> None:
    (sheet,) = book(tmp_path / "a.xlsx", []).worksheets
    assert [cell.value for cell in sheet[1]] == ["甲", "<乙> & 丙"] and sheet.max_row == 1


def test_the_same_rows_make_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.xlsx", "b.xlsx"):
        book(tmp_path / name, [("1", "2"), (None, "&")])
    assert (tmp_path / "a.xlsx").read_bytes() == (tmp_path / "b.xlsx").read_bytes()
