"""Excel workbooks: the first sheet as a stream of texts. What Excel has already spoilt is refused, never guessed."""

from __future__ import annotations

import datetime as dt
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MAX_ROWS = 1 << 20  # of a sheet, by the format
MAX_UNPACKED = 2 << 30  # bytes of all parts of the package together
MAX_RATIO = 100  # a part packed tighter than this is no sheet; real ones are at 5 to 30
FREE_RATIO_BELOW = 16 << 20
OLE = bytes.fromhex("d0cf11e0a1b11ae1")
Row = list[str | None]


class TruncatedNumber(str):
    """A number of more than 15 digits, as `3.30203199001E+17`: Excel has cut what was longer."""


class WorkbookError(Exception):
    """Why a workbook cannot be read, in words for people that quote nobody."""


def read_rows(path: Path) -> Iterator[tuple[int, Row]]:
    """(row number of the sheet, texts of its cells) of every row of the first sheet that is not empty.

    A text as it is; a number without idle zeros, or Cut; a date as YYYY-MM-DD, with its time of day if it has one;
    true or false; an error's name. A formula is the value that Excel saved. WorkbookError, at once or on the way.
    """
    _check_package(path)
    import openpyxl

    warnings.filterwarnings("ignore", module="openpyxl")  # its warnings quote cells
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        try:
            yield from _rows(book)
        finally:
            book.close()
    except (WorkbookError, MemoryError):
        raise
    except Exception:  # openpyxl meets a broken file with whatever comes up
        raise WorkbookError("不是完整的 xlsx 工作簿") from None


def _rows(book: Any) -> Iterator[tuple[int, Row]]:
    if not book.worksheets:
        raise WorkbookError("工作簿里没有工作表")
    sheet = book.worksheets[0]
    sheet.reset_dimensions()  # what a file says of its own size need not be true
    for number, row in enumerate(sheet.iter_rows(values_only=True), start=1):
        if number > MAX_ROWS:
            raise WorkbookError("行数超出 xlsx 的上限")
        texts = [_text(value) for value in row]
        if any(text is not None for text in texts):
            yield number, texts


def _text(value: Any) -> str | None:
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        text = f"{value:.15g}"
        return TruncatedNumber(text.upper()) if "e+" in text else text
    if isinstance(value, dt.datetime) and value.time() == dt.time():
        return value.date().isoformat()
    return str(value)


def _check_package(path: Path) -> None:
    """Refuse what is no package, what would burst when unpacked, and what has been damaged on the way."""
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
            whole = (
                package.testzip() is None
            )  # openpyxl passes over a sheet whose part it cannot find
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError):
        whole = False
    if not whole:
        raise WorkbookError("不是 xlsx 工作簿，或文件不完整")
