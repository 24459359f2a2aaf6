"""What a spreadsheet shows of a list written for it."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path


def read_csv(path: Path) -> Iterator[dict[str, str | None]]:
    """The rows of a list as they were before they were written for spreadsheets; header -> text, empty cells None."""
    with path.open(encoding="utf-8-sig", newline="") as text:
        for row in csv.DictReader(text):
            yield {title: _plain(cell) for title, cell in row.items()}


def _plain(cell: str) -> str | None:
    if re.match(r"''*[=+@\t\r-]", cell):  # an apostrophe before what would run
        return cell[1:]
    return cell.removeprefix("\t") or None
