"""XLSX lists: every cell is text but the row number, so that nothing is changed and nothing runs.

The parts of a workbook are the templates in `xlsx_template/`; the engine writes the rows of the
sheet as XML (docs/developing/decisions/0011-packages-by-the-engine.md).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

from markupsafe import Markup

from reports.packages.csv_cells import ListColumn
from reports.templating import load_templates
from transforms.engine.session import Session
from transforms.engine.sql import sql_literal

XLSX_ROWS = 100_000  # of a workbook: more are several files
LONGEST = 32_767  # characters in a cell: spreadsheets take no more, the CSV beside has them all
_ROWS_AT_ONCE = 2_000
_COMPRESSION = 3  # of 9: an eighth larger than the usual 6, and less than half the work
_TEMPLATES = Path(__file__).parent / "xlsx_template"
# Members of a workbook and their templates; the order is that in which spreadsheets expect them.
_MEMBERS = {
    "[Content_Types].xml": "content_types.xml",
    "_rels/.rels": "package_rels.xml",
    "xl/workbook.xml": "workbook.xml",
    "xl/_rels/workbook.xml.rels": "workbook_rels.xml",
    "xl/styles.xml": "styles.xml",
    "xl/worksheets/sheet1.xml": "sheet1.xml",
}
# What XML cannot hold is written _xHHHH_, and what looks like that already with its bar escaped
# (ECMA-376, ST_Xstring).
_FORBIDDEN = [*(code for code in range(32) if chr(code) not in "\t\n"), 0xFFFE, 0xFFFF]
_FORBIDDEN_PATTERN = r"[\x00-\x08\x0B-\x1F\x{FFFE}\x{FFFF}]|_x[0-9A-Fa-f]{4}_"
# Places in styles.xml
_NUMBER, _TEXT, _WRAPPED, _TEXT_TO_FILL, _DATE_TO_FILL = 0, 1, 2, 4, 5
_WRAPPED_FROM = 30  # characters: wider columns hold sentences
_LINE = 17  # points


@dataclass(frozen=True)
class SheetColumn:
    """One column of a sheet.

    data: what it holds; None for the row's number from 1, and for a column that is filled in by
    hand. choices: what may be filled in, offered as a list. printed: False for columns at the end
    that only a program reads.
    """

    title: str
    width: int
    style: int
    data: ListColumn | None = None
    choices: Sequence[str] = ()
    printed: bool = True


@dataclass(frozen=True)
class Sheet:
    """The one sheet of a workbook: its name, what is printed above it, its columns."""

    name: str
    title: str
    columns: Sequence[SheetColumn]


ROW_NUMBER = SheetColumn("序号", 6, _NUMBER)


def data_column(column: ListColumn) -> SheetColumn:
    """Return the column of a sheet that holds a column of a list."""
    style = _WRAPPED if column.width > _WRAPPED_FROM else _TEXT
    return SheetColumn(column.title, column.width, style, column)


def column_to_fill(title: str, width: int, choices: Sequence[str] = ()) -> SheetColumn:
    """Return a column that is filled in by hand, with any text or with one of the choices."""
    return SheetColumn(title, width, _TEXT_TO_FILL, choices=choices)


def date_to_fill(title: str, width: int) -> SheetColumn:
    """Return a column in which dates are filled in by hand."""
    return SheetColumn(title, width, _DATE_TO_FILL)


def list_parts(name: str, suffix: str, rows: int, at_most: int) -> list[tuple[str, range]]:
    """Return file names with their rows: one file, or several of at most so many, from 1."""
    starts = range(0, max(rows, 1), at_most)
    spans = [range(start, min(start + at_most, rows)) for start in starts]
    names = [f"{name}-{number}{suffix}" for number in range(1, len(spans) + 1)]
    return list(zip(names if len(spans) > 1 else [f"{name}{suffix}"], spans, strict=True))


def write_workbook(session: Session, table: str, sheet: Sheet, rows: range, target: Path) -> None:
    """Write rows of a table (by position) as a workbook of one sheet.

    A header that stays in sight and is printed on every page, then one line per row; null is
    empty. The same rows give the same bytes. Written front to back, nothing beside it.
    """
    letters = [_column_letters(place) for place in range(len(sheet.columns))]
    context = {
        "sheet": sheet,
        "letters": letters,
        "titles": [_escape_text(column.title) for column in sheet.columns],
        "page_header": _escape_text(sheet.title.replace("&", "&&")),
        "last_column": letters[-1],
        "last_row": len(rows) + 1,
        "last_printed": letters[sum(column.printed for column in sheet.columns) - 1],
        "choices": {
            place: column.choices for place, column in enumerate(sheet.columns) if column.choices
        },
        "rows": _rows_xml(session, table, sheet, rows),
    }
    templates = load_templates(_TEMPLATES)
    with (
        target.open("wb") as file,
        ZipFile(file, "w", ZIP_DEFLATED, compresslevel=_COMPRESSION) as book,
    ):
        for member, template in _MEMBERS.items():
            with book.open(member, "w") as written:  # of 1980, as no time is given
                for piece in templates.get_template(template).generate(context):
                    written.write(piece.encode())


def _rows_xml(session: Session, table: str, sheet: Sheet, rows: range) -> Iterator[Markup]:
    """The lines of the sheet after its header, many at once."""
    lines = session.execute(
        f"SELECT {_row_xml_sql(sheet, f'(rowid - {rows.start} + 2)')} FROM {table}"
        f" WHERE rowid BETWEEN {rows.start} AND {rows.stop - 1}"
    )
    while some := lines.fetchmany(_ROWS_AT_ONCE):
        yield Markup("".join(line for (line,) in some))


def _row_xml_sql(sheet: Sheet, number: str) -> str:
    """One line of the sheet as SQL; `number`: SQL of its place from 1."""
    cells = "".join(
        f"\n        || {_cell_xml_sql(place, column, number)}"
        for place, column in enumerate(sheet.columns)
        if column.data or column is ROW_NUMBER
    )
    return f"""'<row r="' || {number} || '"'{_height_sql(sheet)} || '>'{cells} || '</row>'"""


def _height_sql(sheet: Sheet) -> str:
    """The height of a line whose sentences take several: not every spreadsheet finds it itself.

    Chinese characters are two wide, and three bytes.
    """
    lines = []
    for column in sheet.columns:
        if column.data and column.style == _WRAPPED:
            text = f"CAST({column.data.text} AS VARCHAR)"
            wide = f"(length({text}) + (strlen({text}) - length({text})) / 2)"
            lines.append(f"ceil({wide} / {column.width - 4})")
    if not lines:
        return ""
    most = f"greatest({', '.join(lines)}, 1)"
    height = f"CAST(least({most} * {_LINE}, 405) AS INTEGER)"
    return f"""\n        || ' ht="' || {height} || '" customHeight="1"'"""


def _cell_xml_sql(place: int, column: SheetColumn, number: str) -> str:
    letters = _column_letters(place)
    if column.data is None:
        return f"""'<c r="{letters}' || {number} || '"><v>' || ({number} - 1) || '</v></c>'"""
    start = f"""'<c r="{letters}' || {number} || '" s="{column.style}" t="inlineStr"><is>'"""
    text = f"""'<t xml:space="preserve">' || {_escaped_sql(column.data.text)} || '</t></is></c>'"""
    return f"coalesce({start} || {text}, '')"


def _escaped_sql(cell: str) -> str:
    text = f"CAST({cell} AS VARCHAR)"
    cut = f"left({text}, {LONGEST - 1}) || '…'"
    cut = f"CASE WHEN length({text}) > {LONGEST} THEN {cut} ELSE {text} END"
    plain = f"replace(replace(replace({cut}, '&', '&amp;'), '<', '&lt;'), '>', '&gt;')"
    barred = f"replace({plain}, '_x', '_x005F_x')"
    escaped = reduce(
        lambda sql, code: f"replace({sql}, chr({code}), '_x{code:04X}_')", _FORBIDDEN, barred
    )
    forbidden = f"regexp_matches({text}, {sql_literal(_FORBIDDEN_PATTERN)})"
    return f"CASE WHEN {forbidden} THEN {escaped} ELSE {plain} END"


def _escape_text(text: str) -> str:
    """The same in Python, but for what the template escapes."""
    if not re.search(_FORBIDDEN_PATTERN.replace(r"\x{FFFE}\x{FFFF}", "\ufffe\uffff"), text):
        return text
    codes = {code: f"_x{code:04X}_" for code in _FORBIDDEN}
    return text.replace("_x", "_x005F_x").translate(codes)


def _column_letters(place: int) -> str:
    """A, B, ..., Z, AA, ... for 0, 1, ..., 25, 26, ..."""
    rest, last = divmod(place, 26)
    return (_column_letters(rest - 1) if rest else "") + chr(ord("A") + last)
