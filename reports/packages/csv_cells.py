"""Lists for spreadsheets: what a cell may hold so that Excel neither changes it nor runs it, and CSV made by DuckDB."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from transforms.engine.session import Session
from transforms.engine.sql import sql_literal

BOM = "\ufeff"  # by it Excel knows that the file is UTF-8
_RUNS = r"'*[=+@\t\r-]"  # taken for a formula; apostrophes before it count, so that one can be added and taken off again


@dataclass(frozen=True)
class ListColumn:
    """One column of a list: its name in the table, its header, and how its cells are written.

    code: digits that are no number (ID, phone). text: what people wrote. plain: numbers, dates, words of ours.
    month: `2024年4月`, for Excel shows 2024-04 as Apr-24. `width`: of the column in a workbook, in characters.
    """

    name: str
    title: str
    kind: Literal["code", "text", "month", "plain"] = "plain"
    width: int = 18

    @property
    def header(self) -> str:
        """The title in a CSV that a spreadsheet opens: text like what people wrote, for writers of declarations wrote it."""
        return f"'{self.title}" if re.match(_RUNS, self.title) else self.title

    @property
    def text(self) -> str:
        """The cell as SQL text or number, for a reader that does not guess."""
        return f"strftime({self.name}, '%Y年%-m月')" if self.kind == "month" else self.name

    @property
    def cell(self) -> str:
        """The cell as SQL, for a CSV that a spreadsheet opens: codes begin with one TAB, formulas with an apostrophe."""
        if self.kind == "code":
            return f"chr(9) || {self.name}"
        if self.kind == "text":
            # all that could run sorts before A: most texts need no second look
            runs = f"{self.name} < 'A' AND regexp_matches({self.name}, {sql_literal('^' + _RUNS)})"
            return f"CASE WHEN {runs} THEN '''' || {self.name} ELSE {self.name} END"
        return self.text


def write_csv(
    session: Session,
    table: str,
    columns: Sequence[ListColumn],
    rows: range,
    target: Path,
) -> None:
    """Write rows of a table (by position) as CSV: UTF-8 with BOM, header row, in the order of the table.

    Codes and texts are quoted, for LibreOffice proposes to part cells at semicolons and TABs too. The first column must
    be neither: the BOM stands before its header. The query must stay free of joins (a long IN is one), for they lose
    the order of the table.
    """
    titles = [column.header for column in columns]
    titles[0] = BOM + titles[0]
    cells = ", ".join(
        f"{column.cell} AS {_name(title)}" for column, title in zip(columns, titles, strict=True)
    )
    written = (
        title
        for column, title in zip(columns, titles, strict=True)
        if column.kind in ("code", "text")
    )
    quotes = ", ".join(map(_name, written))
    query = f"SELECT {cells} FROM {table} WHERE rowid BETWEEN {rows.start} AND {rows.stop - 1}"
    session.execute(
        f"COPY ({query}) TO {sql_literal(target)} (FORMAT csv, HEADER, FORCE_QUOTE ({quotes}), USE_TMP_FILE false)"
    )


def _name(title: str) -> str:
    return '"' + title.replace('"', '""') + '"'
