"""Excel workbooks: what stands in the cells is taken as text; what Excel has spoilt, and what is no workbook, is refused."""

from __future__ import annotations

import datetime as dt
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pytest
import xlsxwriter

from expectations.errors import ExitCode, JifenError
from expectations.month import Month
from expectations.source_model import Source
from tests.support.world import SOURCES, national_id, no_key_twice
from transforms.clean.delivery import CleaningJob, RowCounts, clean_delivery
from transforms.clean.xlsx_reader import WorkbookError, read_workbook


def read_rows(path: Path) -> list[tuple[int, list[str | None]]]:
    return [row for sheet in read_workbook(path)[:1] for row in sheet.rows()]


PERSON = national_id("33020319900101001")
COLUMNS = ["patent_no", "resident_id", "kind", "granted_on", "status"]
SHEET, STRINGS = "xl/worksheets/sheet1.xml", "xl/sharedStrings.xml"


def book(folder: Path, *table: Sequence[Any], name: str = "patents.xlsx") -> Path:
    with xlsxwriter.Workbook(folder / name, {"default_date_format": "yyyy-mm-dd"}) as made:
        first, other = made.add_worksheet(), made.add_worksheet("说明")
        for number, row in enumerate(table):
            for column, value in enumerate(row):
                first.write(number, column, value)
        other.write(0, 0, "不读这一张")
    return folder / name


def clean(
    connection: duckdb.DuckDBPyConnection, path: Path, source: Source = SOURCES["patents"]
) -> tuple[RowCounts, list[dict[str, Any]], list[dict[str, Any]]]:
    """The account, the clean rows, and those in quarantine."""
    root = path.parent / "root"
    job = CleaningJob(
        source, Month.parse("2021-10"), 1, (path,), "utf-8", frozenset({"330203"}), "inputs"
    )
    account = clean_delivery(
        connection, job, root, path.parent / "work", no_key_twice(connection, job.source)
    )
    kept = []
    for kind in ("clean", "quarantine"):
        result = connection.execute("FROM read_parquet(?)", [f"{job.folder(root, kind)}/*.parquet"])
        names = [column[0] for column in result.description]
        kept.append([dict(zip(names, row, strict=True)) for row in result.fetchall()])
    return account, kept[0], kept[1]


def refused(connection: duckdb.DuckDBPyConnection, path: Path) -> str:
    with pytest.raises(JifenError) as caught:
        clean(connection, path)
    assert caught.value.code == ExitCode.EXTRACT
    assert PERSON not in str(caught.value) and caught.value.__cause__ is None
    return str(caught.value)


def changed(path: Path, name: str, change: Any) -> Path:
    """The workbook with one part of its package changed."""
    with zipfile.ZipFile(path) as package:
        parts = {item: package.read(item) for item in package.namelist()}
    parts[name] = change(parts[name])
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as package:
        for item, content in parts.items():
            package.writestr(item, content)
    return path


@pytest.mark.promise("sources-18", "xlsx: first sheet only, cells as the texts they show")
def test_cells_are_read_as_the_texts_they_show(tmp_path: Path) -> None:
    values = [
        "文",
        " 空格 ",
        "007",
        7,
        7.0,
        404.5,
        0.1 + 0.2,
        -3,
        True,
        False,
        None,
        "",
        330203900101001,
    ]
    dates = [
        dt.date(2021, 10, 5),
        dt.datetime(2021, 10, 5),
        dt.datetime(2021, 10, 5, 8, 30),
        dt.time(8, 30),
    ]
    _, (number, texts) = read_rows(book(tmp_path, ["a"], [*values, *dates, "#N/A", 1e20, "1E+20"]))
    assert number == 2
    assert texts == [
        *[
            "文",
            " 空格 ",
            "007",
            "7",
            "7",
            "404.5",
            "0.3",
            "-3",
            "true",
            "false",
            None,
            None,
            "330203900101001",
        ],
        *["2021-10-05", "2021-10-05", "2021-10-05 08:30:00", "08:30:00", "#N/A", "1E+20", "1E+20"],
    ]


@pytest.mark.proves("sources-18")
def test_a_sheet_is_cleaned_like_any_extract(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    path = book(
        tmp_path,
        ["公民身份号码 ", "patent_no", "类别", "granted_on", "备注", "状态"],
        [PERSON, "P1", "design", dt.date(2020, 1, 5), "x", "valid"],
        [],
        [PERSON, "P2", "design", "5/1/2020", None, "valid"],
        [PERSON, 20210003, "design", 20200105, None, "valid", "旁注"],
    )
    account, kept, quarantine = clean(connection, path)
    assert account.undeclared == ["备注"]
    assert (account.received, account.clean, account.reasons) == (3, 2, {"granted_on:day_first": 1})
    assert [(row["patent_no"], row["granted_on"]) for row in kept] == [
        ("P1", dt.date(2020, 1, 5)),
        ("20210003", dt.date(2020, 1, 5)),
    ]
    assert [row["record"] for row in quarantine] == [3]


def test_an_id_truncated_by_excel_is_refused(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    valid = ["design", "2020-01-05", "valid"]
    path = book(tmp_path, COLUMNS, ["P1", 330203199001010010, *valid], ["P2", PERSON, *valid])
    account, kept, (row,) = clean(connection, path)
    assert [row["patent_no"] for row in kept] == ["P2"]
    assert account.reasons == {"resident_id:lost_digits": 1}
    assert "3.3020319900101E+17" in row["raw"]


def test_a_key_truncated_by_excel_is_refused(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    path = book(tmp_path, COLUMNS, [1234567890123456, *ROW[1:]], ["1.2E+17", *ROW[1:]], ROW)
    account, kept, _ = clean(connection, path)
    assert account.reasons == {"patent_no:lost_digits": 2}
    assert [row["patent_no"] for row in kept] == ["P1"]


def test_an_invalid_workbook_is_refused_with_a_message(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    path = tmp_path / "patents.xlsx"
    whole = book(tmp_path, COLUMNS, ["P1", PERSON, "design", "2020-01-05", "valid"]).read_bytes()
    path.write_bytes(bytes.fromhex("d0cf11e0a1b11ae1") + bytes(512))
    assert "密码" in refused(connection, path)
    for content in (b"", b"patent_no,resident_id\n", whole[:-30], whole[: len(whole) // 2]):
        path.write_bytes(content)
        assert "xlsx" in refused(connection, path)
    with zipfile.ZipFile(path, "w") as package:
        package.writestr("readme.txt", "another kind of zip file")
    assert "xlsx" in refused(connection, path)
    path.write_bytes(whole)
    for broken in (
        lambda sheet: sheet[: len(sheet) // 2],
        lambda sheet: sheet.replace(b"</row>", b""),
    ):
        assert "xlsx" in refused(connection, changed(path, SHEET, broken))
        path.write_bytes(whole)
    assert "工作表" in refused(connection, write_sheets(path, one=[]))


def test_a_damaged_file_is_refused_or_read_unchanged(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    whole = book(
        tmp_path, COLUMNS, *([f"P{i}", PERSON, "design", "2020-01-05", "valid"] for i in range(50))
    )
    content, original = whole.read_bytes(), list(read_rows(whole))
    outcomes = set()
    for place in range(0, len(content), 61):
        whole.write_bytes(content[:place] + bytes([content[place] ^ 0x55]) + content[place + 1 :])
        try:
            outcomes.add(list(read_rows(whole)) == original)
        except WorkbookError:
            outcomes.add(True)
    assert outcomes == {True}


def test_xml_and_zip_bombs_are_refused(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    entities = b"".join(b'<!ENTITY e%d "%s">' % (i, b"&e%d;" % (i - 1) * 10) for i in range(1, 10))
    bomb = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e0 "x">' + entities + b"]>"
    filled = book(tmp_path, COLUMNS, ["P1", PERSON, "design", "2020-01-05", "valid"])
    original = filled.read_bytes()
    for part, place in ((SHEET, b"<v>0</v>"), (STRINGS, b"P1"), ("xl/workbook.xml", b"Sheet1")):
        path = changed(
            filled,
            part,
            lambda xml, place=place: bomb + xml.replace(place, b"&e9;").partition(b"?>")[2],
        )
        assert "xlsx" in refused(connection, path)
        filled.write_bytes(original)
    external = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e9 SYSTEM "file:///etc/hostname">]>'
    assert "xlsx" in refused(connection, changed(filled, SHEET, lambda xml: external + xml))
    zeros = book(tmp_path, COLUMNS)
    changed(zeros, STRINGS, lambda xml: xml + b" " * (64 << 20))
    assert "反常" in refused(connection, zeros)


def test_a_huge_claimed_row_number_is_refused(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    path = book(tmp_path, COLUMNS, ["P1", PERSON, "design", "2020-01-05", "valid"])
    changed(path, SHEET, lambda xml: xml.replace(b'<row r="2"', b'<row r="2000000000"'))
    assert "上限" in refused(connection, path)


HEADER = COLUMNS
ROW = ["P1", PERSON, "design", "2020-01-05", "valid"]


def write_sheets(path: Path, **sheets: Sequence[Sequence[Any]]) -> Path:
    """Write a workbook of these sheets; one whose name begins with `hidden` is hidden."""
    with xlsxwriter.Workbook(path) as made:
        for name, table in sheets.items():
            sheet = made.add_worksheet(name)
            if name.startswith("hidden"):
                sheet.hide()
            for number, row in enumerate(table):
                sheet.write_row(number, 0, row)
        if all(name.startswith("hidden") for name in list(sheets)[:1]):
            made.worksheets()[1].activate()
            made.worksheets()[1].set_first_sheet()
    return path


def test_visible_sheets_with_the_header_are_read_others_counted(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    other_order = list(reversed(HEADER))
    path = write_sheets(
        tmp_path / "patents.xlsx",
        hidden_old=[HEADER, ["P8", *ROW[1:]]],
        one=[["专利授权清单"], HEADER, ROW],
        two=[other_order, list(reversed(["P2", *ROW[1:]]))],
        notes=[["填表说明"], ["请如实填写"]],
        empty=[],
    )
    account, kept, _ = clean(connection, path)
    assert sorted(row["patent_no"] for row in kept) == ["P1", "P2"]
    assert account.ignored_sheets == 1


def test_each_sheet_numbers_its_own_records(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    bad = ["P3", "3302", *ROW[2:]]
    path = write_sheets(tmp_path / "patents.xlsx", one=[HEADER, ROW, bad], two=[HEADER, bad])
    account, _, quarantine = clean(connection, path)
    assert account.reasons == {"resident_id:bad_id": 2}
    assert sorted(row["record"] for row in quarantine) == [2, (1 << 20) + 1]


@pytest.mark.parametrize("number_format", [14, 22, 27, 30, 31, 36, 50, 57, 58])
def test_dates_in_built_in_formats_are_dates(tmp_path: Path, number_format: int) -> None:
    with xlsxwriter.Workbook(tmp_path / "a.xlsx") as made:
        style = made.add_format({"num_format": number_format})
        made.add_worksheet().write_datetime(0, 0, dt.datetime(2012, 7, 1), style)
    assert read_rows(tmp_path / "a.xlsx") == [(1, ["2012-07-01"])]


@pytest.mark.parametrize(
    "number_format",
    ['[$-804]yyyy"年"m"月"d"日"', "yyyy/m/d;@", "[$-F800]dddd, mmmm dd, yyyy", 'yyyy"年"m"月"'],
)
def test_dates_in_locale_formats_are_dates(tmp_path: Path, number_format: str) -> None:
    with xlsxwriter.Workbook(tmp_path / "a.xlsx") as made:
        style = made.add_format({"num_format": number_format})
        made.add_worksheet().write_datetime(0, 0, dt.datetime(2012, 7, 1), style)
    assert read_rows(tmp_path / "a.xlsx") == [(1, ["2012-07-01"])]


def test_escaped_characters_are_what_they_stand_for(tmp_path: Path) -> None:
    path = book(tmp_path, ["X_Y"])
    changed(path, STRINGS, lambda xml: xml.replace(b"X_Y", b"a_x000D_b_x005F_x000D_c_x0041_"))
    assert read_rows(path) == [(1, ["a\rb_x000D_cA"])]


def test_strict_open_xml_and_a_leading_chart_sheet_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    with xlsxwriter.Workbook(path) as made:
        chart = made.add_chartsheet("图")
        made.add_worksheet("数据").write_row(0, 0, ["甲", 3.0])
        bars = made.add_chart({"type": "bar"})
        bars.add_series({"values": "=数据!$B$1:$B$1"})
        chart.set_chart(bars)
    for part in ("xl/workbook.xml", "xl/worksheets/sheet1.xml", STRINGS, "xl/styles.xml"):
        changed(
            path,
            part,
            lambda xml: xml.replace(
                b"http://schemas.openxmlformats.org/spreadsheetml/2006/main",
                b"http://purl.oclc.org/ooxml/spreadsheetml/main",
            ).replace(
                b"http://schemas.openxmlformats.org/officeDocument/2006/relationships",
                b"http://purl.oclc.org/ooxml/officeDocument/relationships",
            ),
        )
    assert read_rows(path) == [(1, ["甲", "3"])]


def write_untrusted(path: Path, kind: str, column: int, row: int = 1) -> Path:
    """Write a workbook with one cell that cannot be trusted in a row of data."""
    made = openpyxl.Workbook()
    sheet = made.active
    assert sheet is not None
    sheet.append([*HEADER, "备注"])
    sheet.append([*ROW, "无"])
    sheet.append(["P2", *ROW[1:], "无"])
    cell = sheet.cell(row + 1, column + 1)
    if kind == "formula":
        cell.value = '="P"&"9"'
    elif kind == "error":
        cell.value, cell.data_type = "#N/A", "e"
    else:
        sheet.merge_cells(start_row=2, end_row=3, start_column=column + 1, end_column=column + 1)
    made.save(path)
    return path


@pytest.mark.parametrize("kind", ["formula", "error", "merged"])
@pytest.mark.parametrize("column", range(5))
def test_formulas_errors_and_merged_cells_are_refused_at_their_place(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path, kind: str, column: int
) -> None:
    message = refused(connection, write_untrusted(tmp_path / "patents.xlsx", kind, column))
    assert f"{'ABCDE'[column]}2" in message
    assert SOURCES["patents"].columns[COLUMNS[column]].title in message


@pytest.mark.parametrize("kind", ["formula", "error", "merged"])
def test_cells_beside_the_declared_columns_do_not_matter(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path, kind: str
) -> None:
    path = write_untrusted(tmp_path / "patents.xlsx", kind, 5)
    assert clean(connection, path)[0].clean == 2


def test_formulas_of_a_program_that_computes_nothing_are_refused(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    path = book(tmp_path, COLUMNS, ["=1+1", *ROW[1:]])  # XlsxWriter saves 0 for it
    assert "A2" in refused(connection, path)


def test_a_huge_sheet_is_refused_before_it_is_expanded(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    path = tmp_path / "patents.xlsx"
    with xlsxwriter.Workbook(path) as made:
        sheet = made.add_worksheet()
        sheet.write_row(0, 0, COLUMNS)
        sheet.write(1048575, 16383, "x")
    assert "反常" in refused(connection, path)
