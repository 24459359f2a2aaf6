"""Workbooks read with another library hold what the table held, whatever its characters are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import openpyxl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from openpyxl.utils.escape import unescape

from reports.packages.csv_cells import ListColumn
from reports.packages.xlsx import (
    LONGEST,
    ROW_NUMBER,
    Sheet,
    column_to_fill,
    data_column,
    date_to_fill,
    write_workbook,
)
from transforms.engine.session import Session

SHEET = Sheet(
    "名单",
    "甲区 & 名单",
    [
        data_column(ListColumn("a", "甲")),
        data_column(ListColumn("b", "<乙> & 丙", "text")),
        ROW_NUMBER,
        column_to_fill("结果", 8, ["是", "否"]),
        date_to_fill("日期", 10),
        replace(column_to_fill("号", 8), printed=False),
    ],
)
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
        write_workbook(Session(connection), "t", SHEET, span or range(len(rows)), target)
    return openpyxl.load_workbook(target)


@pytest.mark.parametrize("text", TEXTS)
def test_a_cell_holds_the_text_that_was_written(text: str, tmp_path: Path) -> None:
    (sheet,) = book(tmp_path / "a.xlsx", [(text, None)]).worksheets
    cell = sheet["A2"]
    assert unescape(cell.value or "").replace("\r\n", "\n") == text.replace("\r\n", "\n")
    assert (cell.data_type, cell.number_format) == ("s", "@")
    assert sheet["B2"].value is None


@pytest.mark.slow
@settings(max_examples=60)
@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=8), min_size=1, max_size=20))
@example([chr(code) for code in (*range(160), 0x2028, 0xFFFD, 0xFFFE, 0xFFFF, 0x1FFFE)])
def test_no_character_breaks_a_workbook(texts: list[str]) -> None:
    with TemporaryDirectory() as folder:
        written = book(Path(folder) / "a.xlsx", [(text, text) for text in texts])
    rows = written.worksheets[0].iter_rows(min_row=2, max_col=1, values_only=True)
    read = [unescape(str(row[0] or "")) for row in rows]
    assert read == [text.replace("\r\n", "\n") if "\r\n" in text else text for text in texts]


@pytest.mark.slow
@settings(max_examples=60)
@given(st.text(st.characters(codec="utf-8"), max_size=12))
@example("\0_x0041_\x1f")
def test_headers_are_escaped_as_cells_are(title: str) -> None:
    column = data_column(ListColumn("a", title))
    with TemporaryDirectory() as folder, duckdb.connect() as connection:
        connection.execute("CREATE TABLE t AS SELECT ? AS a", [title])
        target = Path(folder) / "a.xlsx"
        write_workbook(Session(connection), "t", Sheet("名单", title, [column]), range(1), target)
        (sheet,) = openpyxl.load_workbook(target).worksheets
    assert sheet["A1"].value == sheet["A2"].value


def test_a_text_longer_than_a_cell_ends_in_dots(tmp_path: Path) -> None:
    (sheet,) = book(tmp_path / "a.xlsx", [("字" * LONGEST, "字" * (LONGEST + 1))]).worksheets
    assert (sheet["A2"].value, sheet["B2"].value) == ("字" * LONGEST, "字" * (LONGEST - 1) + "…")


@pytest.mark.slow
def test_the_sheet_has_dimensions_row_numbers_and_a_frozen_header(tmp_path: Path) -> None:
    rows = [(str(n), None) for n in range(5_000)]
    (sheet,) = book(tmp_path / "a.xlsx", rows, range(1_000, 4_000)).worksheets
    assert (sheet.title, sheet.dimensions, sheet.freeze_panes) == ("名单", "A1:F3001", "A2")
    assert [cell.value for cell in sheet[1]] == ["甲", "<乙> & 丙", "序号", "结果", "日期", "号"]
    assert list(sheet.iter_rows(min_row=2, max_col=3, values_only=True)) == [
        (str(n), None, n - 999) for n in range(1_000, 4_000)
    ]


def test_it_prints_on_landscape_pages_with_repeated_header(tmp_path: Path) -> None:
    (sheet,) = book(tmp_path / "a.xlsx", [("1", "2"), ("3", "4")]).worksheets
    assert (sheet.page_setup.orientation, sheet.page_setup.paperSize) == ("landscape", 9)
    assert sheet.sheet_properties.pageSetUpPr.fitToPage
    assert (sheet.page_setup.fitToWidth, sheet.page_setup.fitToHeight) == (1, 0)
    assert (sheet.print_title_rows, sheet.print_area) == ("$1:$1", "'名单'!$A$1:$E$3")
    assert sheet.oddHeader.left.text == "甲区 && 名单"


def test_columns_to_fill_are_empty_and_offer_their_choices(tmp_path: Path) -> None:
    (sheet,) = book(tmp_path / "a.xlsx", [("1", "2"), ("3", "4")]).worksheets
    (choices,) = sheet.data_validations.dataValidation
    assert (choices.type, choices.formula1, str(choices.sqref)) == ("list", '"是,否"', "D2:D3")
    assert [cell.value for cell in sheet[2]][3:] == [None, None, None]
    assert sheet.auto_filter.ref == "A1:F3"


def test_without_rows_there_is_a_header(tmp_path: Path) -> None:
    (sheet,) = book(tmp_path / "a.xlsx", []).worksheets
    assert sheet["A1"].value == "甲" and sheet.max_row == 1


def test_the_same_rows_make_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.xlsx", "b.xlsx"):
        book(tmp_path / name, [("1", "2"), (None, "&")])
    assert (tmp_path / "a.xlsx").read_bytes() == (tmp_path / "b.xlsx").read_bytes()


def test_columns_beyond_the_26th_have_two_letters(tmp_path: Path) -> None:
    columns = [data_column(ListColumn("a", str(place))) for place in range(60)]
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE t AS SELECT 'x' AS a")
        sheet = Sheet("名单", "名单", columns)
        write_workbook(Session(connection), "t", sheet, range(1), tmp_path / "a.xlsx")
    (read,) = openpyxl.load_workbook(tmp_path / "a.xlsx").worksheets
    assert [cell.value for cell in read[1]] == [str(place) for place in range(60)]
    assert {cell.value for cell in read[2]} == {"x"}
