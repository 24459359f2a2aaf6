"""Which source a file is of, by its columns alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq

from expectations.source_model import Source
from transforms.clean.archives import ArchiveError, unpack_file
from transforms.clean.csv_reader import DELIMITERS, CsvError, parse_head
from transforms.clean.headers import HEADER_LINES, Cells, count_known_columns
from transforms.clean.xlsx_reader import WorkbookError, read_workbook

_HEAD = 1 << 18
MIN_KNOWN = 0.5  # of a source's required columns, to be taken for it


def recognise_source(path: Path, sources: Mapping[str, Source]) -> str:
    """Return the source whose columns a file has, most of them at least; empty when there is none."""
    tables = read_first_lines(path)
    best, share = "", 0.0
    for name, source in sources.items():
        known = max((count_known_columns(source, lines) for lines in tables), default=0)
        own = known / len(source.columns)
        required = sum(column.required for column in source.columns.values())
        if known >= MIN_KNOWN * required and own > share:
            best, share = name, own
    return best


def read_first_lines(path: Path) -> list[Sequence[Cells]]:
    """Return the first lines of every table in a file; nothing of a file that cannot be read."""
    with TemporaryDirectory() as folder:
        try:
            plain, file_format = unpack_file(path, Path(folder))
            if file_format == "parquet":
                return [[pq.read_metadata(plain).schema.to_arrow_schema().names]]
            if file_format == "xlsx":
                sheets = read_workbook(plain)
                return [[texts for _, texts in sheet.head(HEADER_LINES)] for sheet in sheets]
            with plain.open("rb") as file:
                head = file.read(_HEAD)
        except (ArchiveError, WorkbookError, pa.ArrowException, OSError, UnicodeDecodeError):
            return []
        return _split_text(head, DELIMITERS[file_format])


def _split_text(head: bytes, delimiter: str) -> list[Sequence[Cells]]:
    """Return the first lines of a text under each encoding that it may be in."""
    is_utf16 = head.startswith((b"\xff\xfe", b"\xfe\xff"))
    tables: list[Sequence[Cells]] = []
    for encoding in ("utf-16",) if is_utf16 else ("utf-8-sig", "gb18030"):
        text = head.decode(encoding, "replace")
        try:
            tables.append(parse_head(text, delimiter)[0])
        except CsvError:
            tables.append([line.split(delimiter) for line in text.splitlines()[:HEADER_LINES]])
    return tables
