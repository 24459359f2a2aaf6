"""Excel workbooks: visible sheets as rows of texts; doubtful cells are refused, never guessed.

python-calamine reads cells (dates in any format, rich and inline strings, strict Open XML). What it
leaves out, and what would pass for an empty cell, is looked for in the sheet's own XML: formulas
without a saved value and error values; and sheets that would burst when laid out as a table.
"""

from __future__ import annotations

import datetime as dt
import posixpath
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar
from xml.parsers import expat

from defusedxml import ElementTree
from python_calamine import CalamineSheet, CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

MAX_ROWS = 1 << 20  # of a sheet, by the format
MAX_CELLS = 60_000_000  # of the table that a sheet's cells span: some 2 GB
MAX_UNPACKED = 2 << 30  # bytes of all parts of the package together
MAX_RATIO = 100  # a part packed tighter than this is no sheet; real ones are at 5 to 30
FREE_RATIO_BELOW = 16 << 20
OLE = bytes.fromhex("d0cf11e0a1b11ae1")
Row = list[str | None]
Cell = tuple[int, int]
"""Row of the sheet from 1, column from 0."""
T = TypeVar("T")

_CHUNK, _OVERLAP = 4 << 20, 1 << 10
_COLUMN = re.compile(rb'\br="([A-Z]{1,3})[0-9]')
_ROW = re.compile(rb'<(?:\w+:)?row\b[^>]*?\br="([0-9]{1,18})"')
_FORMULA = re.compile(rb"<(?:\w+:)?f[\s/>]")
_ERROR = re.compile(rb"""<(?:\w+:)?c\b[^>]*?\bt=["']e["']""")


class WorkbookError(Exception):
    """Why a workbook cannot be read, in words for people that quote nobody."""


@dataclass(frozen=True)
class Sheet:
    """A visible worksheet.

    Attributes:
        number: Its place among all sheets of the workbook, from 1.
        unsaved: Cells with a formula whose value was never saved.
        errors: Cells that hold an error value such as #N/A.
        merged: Merged ranges: the first and the last cell of each.
    """

    number: int
    table: CalamineSheet
    unsaved: list[Cell] = field(default_factory=list)
    errors: list[Cell] = field(default_factory=list)
    merged: list[tuple[Cell, Cell]] = field(default_factory=list)

    def rows(self) -> Iterator[tuple[int, Row]]:
        """Yield (row of the sheet from 1, texts of its cells) of every row that is not empty.

        A text as it is; a number without idle zeros, in scientific notation if it has more than
        15 digits; a date as YYYY-MM-DD, with its time of day if it has one; true or false. A
        formula is the value that was saved.
        """
        first_column = (self.table.start or (0, 0))[1]
        for number, row in enumerate(self.table.iter_rows(), start=1):
            texts: Row = [_to_text(value) for value in row]
            if any(text is not None for text in texts):
                yield number, [*[None] * first_column, *texts]

    def head(self, count: int) -> list[tuple[int, Row]]:
        """Return the first rows that are not empty."""
        return list(islice(self.rows(), count))

    def refuse_untrusted_cells(self, header_row: int, columns: dict[int, str]) -> None:
        """Refuse formulas without values, error values and merged cells in columns that are used.

        Args:
            header_row: The row of the sheet that holds the header; cells below it are data.
            columns: Place of each column that is used -> its title.

        Raises:
            WorkbookError: With the first such cell and how many there are.
        """
        merged = [
            (max(top, header_row + 1), column)
            for (top, left), (bottom, right) in self.merged
            if bottom > header_row
            for column in columns
            if left <= column <= right
        ]
        for cells, what, way_out in (
            (self.unsaved, "公式没有保存计算结果", "请在 Excel 中打开、重新计算并保存"),
            (self.errors, "错误值（如 #N/A、#REF!）", "请改正公式，或改为数值"),
            (merged, "合并单元格", "请取消合并，逐行填写"),
        ):
            rejected = sorted((r, c) for r, c in cells if r > header_row and c in columns)
            if rejected:
                row, column = rejected[0]
                place = f"第 {self.number} 张工作表 {_column_letters(column)}{row}"
                raise WorkbookError(
                    f"{place}（{columns[column]}）为{what}，共 {len(rejected)} 处；{way_out}"
                )


def read_workbook(path: Path) -> list[Sheet]:
    """Read every visible worksheet, in the order of the workbook; hidden ones are never data.

    Raises:
        WorkbookError: The file is no whole workbook, is encrypted, or would burst.
    """
    _check_package(path)
    with zipfile.ZipFile(path) as package:
        parts, recalculates = _guard(lambda: _list_sheet_parts(package))
        for part in package.namelist():
            if posixpath.basename(part) in ("sharedStrings.xml", "styles.xml"):
                _guard(lambda part=part: expat.ParserCreate().ParseFile(package.open(part)))
        book = _guard(lambda: CalamineWorkbook.from_path(path))
        if not book.sheets_metadata:
            raise WorkbookError("工作簿里没有工作表")
        sheets = []
        for number, meta in enumerate(book.sheets_metadata, start=1):
            visible = meta.visible == SheetVisibleEnum.Visible
            if visible and meta.typ == SheetTypeEnum.WorkSheet:
                part = parts.get(meta.name, "")
                scan = _guard(lambda part=part: _scan_sheet(package, part, recalculates))
                table = _guard(lambda meta=meta: book.get_sheet_by_name(meta.name))
                merged = [
                    ((top + 1, left), (bottom + 1, right))
                    for (top, left), (bottom, right) in table.merged_cell_ranges or []
                ]
                sheets.append(Sheet(number, table, *scan, merged))
    return sheets


def _guard(call: Callable[..., T]) -> T:
    """Call a library; a broken file makes it fail with whatever comes up, a panic included."""
    try:
        return call()
    except (WorkbookError, MemoryError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException:
        raise WorkbookError("不是完整的 xlsx 工作簿") from None


def _to_text(value: Any) -> str | None:
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"{value:.15g}".upper()  # more than 15 digits: scientific notation, refused
    if isinstance(value, dt.datetime) and value.time() == dt.time():
        return value.date().isoformat()
    return str(value)


def _column_letters(column: int) -> str:
    """Return the name of a column by its place from 0: A, B, ..., AA."""
    letters, rest = "", column + 1
    while rest:
        rest, letter = divmod(rest - 1, 26)
        letters = chr(ord("A") + letter) + letters
    return letters


def _column_place(reference: str) -> int:
    """Return a column's place from 0 by a cell's reference: B12 is 1."""
    place = 0
    for letter in reference.rstrip("0123456789"):
        place = place * 26 + ord(letter) - ord("A") + 1
    return place - 1


def _list_sheet_parts(package: zipfile.ZipFile) -> tuple[dict[str, str], bool]:
    """Return the part of every sheet by its name; and whether Excel is to compute all anew.

    A workbook with that mark was written by a program that computes nothing: the values that it
    saved for its formulas are stand-ins.
    """
    root = "_rels/.rels"
    book = next(
        target for kind, target in _read_relations(package, root) if kind == "officeDocument"
    )
    folder, name = posixpath.split(book)
    tree = ElementTree.fromstring(package.read(book))
    relations = dict(_read_relations(package, f"{folder}/_rels/{name}.rels", by_id=True))
    parts, recalculates = {}, False
    for element in tree.iter():
        tag = element.tag.rpartition("}")[2]
        if tag == "sheet":
            key = next((v for k, v in element.attrib.items() if k.endswith("}id")), "")
            parts[element.attrib["name"]] = relations.get(key, "")
        elif tag == "calcPr":
            recalculates = element.attrib.get("fullCalcOnLoad") in ("1", "true")
    return parts, recalculates


def _read_relations(
    package: zipfile.ZipFile, part: str, *, by_id: bool = False
) -> Iterator[tuple[str, str]]:
    """Yield (kind, or id, and target part) of every relation that a part of the package lists."""
    base = posixpath.dirname(posixpath.dirname(part))
    for element in ElementTree.fromstring(package.read(part)):
        target = element.attrib["Target"]
        whole = target.lstrip("/") if target.startswith("/") else posixpath.join(base, target)
        kind = element.attrib["Id"] if by_id else element.attrib["Type"].rpartition("/")[2]
        yield kind, posixpath.normpath(whole)


def _scan_sheet(
    package: zipfile.ZipFile, part: str, recalculates: bool
) -> tuple[list[Cell], list[Cell]]:
    """Return the cells of a sheet with an unsaved formula, and those with an error value.

    Raises:
        WorkbookError: The sheet has more rows than a sheet can have, or spans too large a table.
    """
    columns: set[bytes] = set()
    last_row, suspect, tail = 0, False, b""
    with package.open(part) as xml:
        while chunk := xml.read(_CHUNK):
            text = tail + chunk
            columns.update(_COLUMN.findall(text))
            last_row = max([last_row, *map(int, _ROW.findall(text))])
            suspect = suspect or bool(_FORMULA.search(text) or _ERROR.search(text))
            tail = text[-_OVERLAP:]
    if last_row > MAX_ROWS:
        raise WorkbookError("行数超出 xlsx 的上限")
    width = 1 + max((_column_place(name.decode()) for name in columns), default=0)
    if width * last_row > MAX_CELLS:
        raise WorkbookError(
            f"工作表的范围大得反常（{last_row:,} 行、{width:,} 列），请删去多余的行列"
        )
    if suspect:
        return _find_untrusted(package, part, recalculates)
    with package.open(part) as xml:  # well-formed to its end: python-calamine would not mind
        expat.ParserCreate().ParseFile(xml)
    return [], []


def _find_untrusted(
    package: zipfile.ZipFile, part: str, recalculates: bool
) -> tuple[list[Cell], list[Cell]]:
    unsaved: list[Cell] = []
    errors: list[Cell] = []
    row = column = 0
    kind, formula, value, within = "", False, False, ""

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal row, column, kind, formula, value, within
        within = name.rpartition("}")[2]
        if within == "row":
            row, column = int(attributes.get("r", row + 1)), -1
        elif within == "c":
            reference = attributes.get("r", "")
            column = _column_place(reference) if reference else column + 1
            kind, formula, value = attributes.get("t", "n"), False, False
        elif within == "f":
            formula = True

    def text(_: str) -> None:
        nonlocal value
        value = value or within == "v"

    def end(name: str) -> None:
        nonlocal within
        within = ""
        if name.rpartition("}")[2] == "c":
            if kind == "e":
                errors.append((row, column))
            elif formula and (recalculates or not (value or kind == "str")):
                unsaved.append((row, column))

    parser = expat.ParserCreate(namespace_separator="}")
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = text
    with package.open(part) as xml:
        parser.ParseFile(xml)
    return unsaved, errors


def _check_package(path: Path) -> None:
    """Refuse what is no package, what would burst when unpacked, and what was damaged on the way.

    A document type is refused everywhere: Open XML has none, and its entities can burst.
    """
    with path.open("rb") as file:
        if file.read(len(OLE)) == OLE:
            raise WorkbookError("有密码保护，或是旧版 .xls 格式")
    try:
        with zipfile.ZipFile(path) as package:
            parts = package.infolist()
            bursting = [
                p for p in parts if p.file_size > max(FREE_RATIO_BELOW, MAX_RATIO * p.compress_size)
            ]
            if bursting or sum(part.file_size for part in parts) > MAX_UNPACKED:
                raise WorkbookError("解压后大得反常")
            whole = package.testzip() is None and not any(
                b"<!DOCTYPE" in package.open(part).read(_OVERLAP)
                for part in parts
                if part.filename.endswith((".xml", ".rels"))
            )
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError):
        whole = False
    if not whole:
        raise WorkbookError("不是 xlsx 工作簿，或文件不完整")
