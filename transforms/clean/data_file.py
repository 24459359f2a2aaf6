"""A delivered file as it is read: where its columns are, and its rows as a relation of texts."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from transforms.clean.csv_reader import CsvLayout
from transforms.clean.headers import Header
from transforms.clean.xlsx_reader import Sheet


@dataclass(frozen=True)
class DataSheet:
    """A sheet with its header: `columns` are the declared ones, with their places."""

    sheet: Sheet
    header_row: int
    columns: Mapping[str, int]
    undeclared: list[str]


@dataclass(frozen=True)
class DataFile:
    """A delivered file, unpacked, with its header found.

    Attributes:
        path: The file, unpacked.
        name: What people call it.
        format: One of csv, tsv, parquet, xlsx.
        header: Where its columns are; of a workbook that of its first sheet with data.
        layout: How a text file is read.
        sheets: Of a workbook those that have the header.
        ignored_sheets: The numbers of the other visible sheets with content.
        is_ended: Whether its last line has a line end, as all others; true of what is no text.
        unanswered: How many rows of a form nobody filled in, once it has been read.
    """

    path: Path
    name: str
    format: str
    header: Header
    layout: CsvLayout | None = None
    sheets: Sequence[DataSheet] = ()
    ignored_sheets: Sequence[int] = ()
    is_ended: bool = True
    unanswered: int = 0

    @property
    def encoding(self) -> str:
        """The encoding of a text file, else empty."""
        return self.layout.encoding if self.layout else ""

    @property
    def found(self) -> set[str]:
        """The declared columns that it has."""
        if self.sheets:
            return {name for sheet in self.sheets for name in sheet.columns}
        return set(self.header.columns)

    def list_missing(self, columns: Collection[str]) -> list[str]:
        """Return the declared columns that it, or one of its sheets, does not have."""
        tables = [sheet.columns for sheet in self.sheets] or [self.header.columns]
        return [name for name in columns if any(name not in table for table in tables)]

    @property
    def undeclared(self) -> list[str]:
        """The titles of columns that nobody declared."""
        if self.sheets:
            return sorted({title for sheet in self.sheets for title in sheet.undeclared})
        return self.header.undeclared


@dataclass
class OpenPart:
    """One readable part of a delivery.

    Attributes:
        relation: A relation with `record` (1-based).
        texts: The text expression of each column.
        stream: The name under which a stream of batches is registered with the session, if the
            relation reads one; it can be read once.
        rows: How many rows it has; of a stream known when it has been read.
        last: Its last record (a sheet may have gaps); of a stream known when it has been read.
        failure: What went wrong while the stream was read.
    """

    relation: str
    texts: dict[str, str]
    stream: str = ""
    rows: int = 0
    last: int = 0
    failure: list[Exception] = field(default_factory=list)
