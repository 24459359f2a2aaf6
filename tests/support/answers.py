"""What comes back from districts and departments: workbooks that they filled in as they got them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import openpyxl

Answers = Mapping[str, Mapping[str, Any]]


def read_sheet(path: Path | BinaryIO) -> list[dict[str, Any]]:
    """Return the rows of a workbook's one sheet: header -> cell."""
    headers, *lines = openpyxl.load_workbook(path).worksheets[0].iter_rows(values_only=True)
    return [dict(zip(headers, line, strict=True)) for line in lines]


def fill_workbook(path: Path, target: Path, key: str, answers: Answers) -> None:
    """Fill cells of a workbook by the value of its column `key`, and save it elsewhere.

    Only cells change; titles, formats and all other sheets stay as they are.
    """
    book = openpyxl.load_workbook(path)
    sheet = book.worksheets[0]
    places = {str(cell.value): cell.column for cell in sheet[1]}
    found = set()
    for row in range(2, sheet.max_row + 1):
        name = str(sheet.cell(row, places[key]).value)
        for column, value in answers.get(name, {}).items():
            sheet.cell(row, places[column]).value = value
            found.add(name)
    assert found == {name for name, given in answers.items() if given}
    target.parent.mkdir(parents=True, exist_ok=True)
    book.save(target)
