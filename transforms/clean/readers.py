"""Delivered files as relations of texts: CSV, Parquet and xlsx in any wrapping."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import pyarrow as pa

from expectations.errors import JifenError
from expectations.source_model import Source
from transforms.clean.archives import ArchiveError, unpack_file
from transforms.clean.csv_reader import (
    DELIMITERS,
    CsvError,
    CsvLayout,
    CsvReader,
    has_line_end,
    parse_head,
    read_head,
)
from transforms.clean.data_file import DataFile, DataSheet, OpenPart
from transforms.clean.encodings import (
    AmbiguousEncodingError,
    EncodingError,
    ForbiddenEncodingError,
    find_encoding,
    find_undecodable_line,
    refuse_mojibake,
)
from transforms.clean.headers import (
    HEADER_LINES,
    Header,
    HeaderError,
    count_known_columns,
    find_header,
    rejected_error,
    unreadable_error,
)
from transforms.clean.parquet_reader import open_parquet, prepare_parquet
from transforms.clean.types import trim_sql
from transforms.clean.xlsx_reader import (
    MAX_ROWS,
    Row,
    WorkbookError,
    read_workbook,
)
from transforms.engine.session import Session

_ROWS = 10_000  # of a sheet at a time
_SAMPLE = 2_000  # rows whose texts are looked at for mojibake
# What goes wrong while a file is read, its message for people.
READ_ERRORS = (ArchiveError, CsvError, EncodingError, WorkbookError, UnicodeDecodeError)


def prepare_file(
    source: Source, path: Path, folder: Path, *, allowed: str | None = None, known: str = ""
) -> DataFile:
    """Unpack a delivered file, find its encoding and its header.

    Args:
        source: Whose file it is.
        path: The file as it was received.
        folder: Where a compressed one is unpacked.
        allowed: The only encoding that the settings accept.
        known: The encoding that was found when it was read before.

    Raises:
        JifenError: Exit 11 if it cannot be read, 12 if columns are missing.
    """
    try:
        plain, file_format = unpack_file(path, folder)
        if file_format == "parquet":
            return prepare_parquet(source, plain, path.name)
        if file_format == "xlsx":
            return _prepare_workbook(source, plain, path.name)
        return _prepare_text(source, plain, path.name, known=known, allowed=allowed)
    except HeaderError as error:
        raise rejected_error(source, path.name, error) from None
    except READ_ERRORS as error:
        raise explain_read_failure(source, path.name, error) from None


def open_part(
    session: Session, source: Source, file: DataFile, among: str | None = None
) -> OpenPart:
    """Make one file a relation of the session; the rows of a form that nobody filled in left out.

    `among`: a table of records (`record`); the relation holds these alone, of a file that has been
    read before.

    Raises:
        JifenError: Exit 11, the file cannot be read.
    """
    part = _open_rows(session, source, file, among)
    answers = source.form.answers if source.form else ()
    given = [f"{trim_sql(part.texts[name])} IS NOT NULL" for name in answers if name in part.texts]
    if given:
        part.relation = f"(FROM {part.relation} WHERE {' OR '.join(given)})"
    return part


def _open_rows(session: Session, source: Source, file: DataFile, among: str | None) -> OpenPart:
    """Make one file a relation with all its rows, those of a form that say nothing too."""
    if file.format == "parquet":
        return open_parquet(session, source, file, among)
    names = list(dict.fromkeys(name for sheet in file.sheets for name in sheet.columns))
    width = len(names) if file.sheets else file.header.width
    found = {name: i for i, name in enumerate(names)} if names else file.header.columns
    stream = f"part_{abs(hash(file.path))}"
    part = OpenPart(stream, {name: f"c{i}" for name, i in found.items()}, stream=stream)
    schema = pa.schema([("record", pa.int64()), *((f"c{i}", pa.string()) for i in range(width))])
    batches = (
        _sheet_batches(file.sheets, names, schema, part)
        if file.sheets
        else _text_batches(file, schema, part)
    )
    kept = _keep_failure(batches, part)
    session.register(stream, pa.RecordBatchReader.from_batches(schema, kept))
    if among:
        part.relation = f"(FROM {stream} WHERE record IN (SELECT record FROM {among}))"
    return part


def _prepare_text(
    source: Source, path: Path, name: str, *, known: str, allowed: str | None
) -> DataFile:
    file_format = path.suffix.lower().removeprefix(".")
    delimiter = DELIMITERS[file_format]

    def has_known_columns(text: str) -> bool:
        try:
            lines = parse_head(text, delimiter)[0]
        except (CsvError, UnicodeError):
            lines = [line.split(delimiter) for line in text.splitlines()[:HEADER_LINES]]
        return count_known_columns(source, lines) > 0

    encoding = known or find_encoding(path, has_known_columns, allowed)
    text = read_head(path, encoding)
    records, ends = parse_head(text, delimiter)
    if not any(any(cells) for cells in records):
        raise CsvError("空文件，没有表头")
    refuse_mojibake(text.splitlines())
    header = find_header(source, records)
    layout = CsvLayout(encoding, delimiter, header.width, ends[header.line])
    return DataFile(path, name, file_format, header, layout, is_ended=has_line_end(path, encoding))


def _text_batches(file: DataFile, schema: pa.Schema, part: OpenPart) -> Iterator[pa.RecordBatch]:
    """Yield the records of a text file with their numbers."""
    assert file.layout
    start = 1
    try:
        for batch in CsvReader(file.path, file.layout).read_batches():
            numbers = pa.arange(start, start + len(batch))
            yield pa.RecordBatch.from_arrays([numbers, *batch.columns], schema=schema)
            start += len(batch)
            part.rows = part.last = start - 1
    except UnicodeDecodeError:
        line = find_undecodable_line(file.path, file.layout.encoding) or 1
        raise EncodingError(f"第 {line:,} 行起有 {file.layout.encoding} 中没有的字节") from None


def _keep_failure(batches: Iterator[pa.RecordBatch], part: OpenPart) -> Iterator[pa.RecordBatch]:
    """Yield batches; an error is kept: the engine's own message would quote people's data."""
    try:
        yield from batches
    except (*READ_ERRORS, pa.ArrowException) as error:
        part.failure.append(error)
        raise


def explain_read_failure(source: Source, name: str, error: Exception) -> JifenError:
    """Return what went wrong while a file was read, without what the library quotes."""
    if isinstance(error, WorkbookError):
        hint = "请部门另存为不带密码的 .xlsx，或导出 CSV"
        return unreadable_error(source, name, str(error), hint)
    if isinstance(error, AmbiguousEncodingError):
        hint = f'请在 jifen.toml 的 [sources.{source.source}] 写 encoding = "gb18030" 或 "utf-8"'
        return unreadable_error(source, name, str(error), hint)
    if isinstance(error, ForbiddenEncodingError):
        hint = f"jifen.toml 的 [sources.{source.source}] encoding 不写即自动识别；或请部门按设置的编码导出"
        return unreadable_error(source, name, str(error), hint)
    if isinstance(error, UnicodeDecodeError):
        what = f"不是 {error.encoding} 编码"
        return unreadable_error(source, name, what, "请部门以 UTF-8 编码重新导出")
    if isinstance(error, EncodingError):
        return unreadable_error(source, name, str(error), "请部门从系统以 UTF-8 编码重新导出")
    if isinstance(error, CsvError):
        hint = "请部门由系统按 RFC 4180 重新导出，或交 .xlsx"
        return unreadable_error(source, name, f"不是合格的 CSV：{error}", hint)
    return unreadable_error(source, name, str(error))


def _prepare_workbook(source: Source, path: Path, name: str) -> DataFile:
    """Open a workbook: every visible sheet that has the header is data.

    Raises:
        HeaderError: No sheet has the header.
        WorkbookError: A cell cannot be trusted.
    """
    sheets = [sheet for sheet in read_workbook(path) if sheet.head(1)]
    if not sheets:
        raise WorkbookError("没有可见的、有内容的工作表")
    read: list[DataSheet] = []
    headers: list[Header] = []
    errors: dict[int, HeaderError] = {}
    for sheet in sheets:
        lines = sheet.head(HEADER_LINES)
        try:
            header = find_header(source, [_strip_end(texts) for _, texts in lines])
        except HeaderError as error:
            errors[sheet.number] = error
            continue
        row = lines[header.line][0]
        titles = {place: source.columns[name].title for name, place in header.columns.items()}
        sheet.refuse_untrusted_cells(row, titles)
        sample = islice(sheet.rows(), _SAMPLE)
        refuse_mojibake(text for _, texts in sample for text in texts if text)
        read.append(DataSheet(sheet, row, header.columns, header.undeclared))
        headers.append(header)
    if not read:
        number, first = next(iter(errors.items()))
        place = f"第 {number} 张工作表：" if len(errors) > 1 else ""
        raise HeaderError(f"{place}{first.message}", first.hint)
    return DataFile(path, name, "xlsx", headers[0], sheets=read, ignored_sheets=list(errors))


def _strip_end(row: Row) -> Row:
    """Return a row without the empty cells at its end."""
    width = max((place for place, text in enumerate(row, start=1) if text), default=0)
    return row[:width]


def _sheet_batches(
    sheets: Sequence[DataSheet], names: list[str], schema: pa.Schema, part: OpenPart
) -> Iterator[pa.RecordBatch]:
    """Yield the sheets' rows; `record` counts from the header, plus 2^20 for each further sheet."""
    for index, data in enumerate(sheets):
        rows = (row for row in data.sheet.rows() if row[0] > data.header_row)
        offset = index * MAX_ROWS - data.header_row
        while some := list(islice(rows, _ROWS)):
            columns = [_take_column(some, data.columns.get(name)) for name in names]
            records = pa.array([number + offset for number, _ in some], pa.int64())
            arrays = [pa.array(values, pa.string()) for values in columns]
            yield pa.RecordBatch.from_arrays([records, *arrays], schema=schema)
            part.rows += len(some)
            part.last = some[-1][0] + offset


def _take_column(rows: list[tuple[int, Row]], place: int | None) -> list[str | None]:
    if place is None:
        return [None] * len(rows)
    return [texts[place] if place < len(texts) else None for _, texts in rows]
