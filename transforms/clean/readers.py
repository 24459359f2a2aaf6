"""Raw parts as relations of texts: CSV through pyarrow, Parquet through DuckDB, and xlsx."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from expectations.errors import JifenError
from expectations.source_model import Source
from transforms.clean.headers import (
    HEADER_LINES,
    find_header,
    match_headers,
    unreadable_error,
)
from transforms.clean.xlsx_reader import (
    MAX_ROWS,
    Row,
    Sheet,
    WorkbookError,
    read_workbook,
)
from transforms.engine.parquet import read_parquet_sql
from transforms.engine.session import EngineError, EngineSettings, Session, open_engine

_BLOCK = (
    32 << 20
)  # a block must hold one whole record: larger than any field that a sane department sends
_BUFFER = 1 << 20  # of each column of a Parquet file: its row groups may be larger than memory
_ROWS = 10_000  # at a time
ROW_NUMBER = "file_row_number"  # what the engine calls it


@dataclass
class OpenPart:
    """One readable part of a delivery.

    Attributes:
        relation: A relation with `record` (1-based).
        texts: The text expression of each column.
        undeclared: The titles of columns that nobody declared.
        stream: The name under which a stream of batches is registered with the session, if the
            relation reads one; it can be read once.
        rows: How many rows it has; of a stream known when it has been read.
        last: Its last record (a sheet may have gaps); of a stream known when it has been read.
    """

    relation: str
    texts: dict[str, str]
    undeclared: list[str]
    stream: str = ""
    rows: int = 0
    last: int = 0
    ignored_sheets: list[int] = field(default_factory=list)
    failure: list[Exception] = field(default_factory=list)


def open_part(
    session: Session,
    source: Source,
    path: Path,
    encoding: str,
    among: str | None = None,
) -> OpenPart:
    """Make one raw file a relation of the session.

    `among`: a table of records (`record`); the relation holds these alone, of a file that has been
    read before.

    Raises:
        JifenError: Exit 11, the file cannot be read; exit 12, a column is missing.
    """
    match path.suffix.lower():
        case ".parquet":
            return _parquet(session, source, path, among)
        case ".xlsx":
            part = _xlsx(session, source, path)
        case _:
            part = _csv(session, source, path, encoding)
    if among:
        part.relation = f"(FROM {part.stream} WHERE record IN (SELECT record FROM {among}))"
    return part


def _parquet(session: Session, source: Source, path: Path, among: str | None) -> OpenPart:
    relation = _parquet_relation(path)
    try:
        metadata = pq.read_metadata(path)
        headers = (
            metadata.schema.to_arrow_schema().names
        )  # the engine renames a title that stands twice
        if ROW_NUMBER in map(str.lower, headers):
            raise unreadable_error(
                source, path, f"列名 {ROW_NUMBER} 是读取程序自用的", "请部门改名或去掉这一列"
            )
        described = session.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
        found, undeclared = match_headers(source, path, headers)
        if not among:
            verify_parquet_pages(path, [headers[i] for i in found.values()])
    except (EngineError, pa.ArrowException, OSError, UnicodeDecodeError):
        raise unreadable_error(source, path, "不是完整的 Parquet 文件") from None
    columns = {
        i: (str(described[i][0]).replace('"', '""'), str(described[i][1])) for i in found.values()
    }
    texts = "".join(
        f"""{to_text_sql(f'"{name}"', kind)} AS c{i}, """ for i, (name, kind) in columns.items()
    )
    if among:  # asked of the engine's own number, so that it unpacks no other rows
        relation += f" WHERE {ROW_NUMBER} IN (SELECT record - 1 FROM {among})"
    rows = f"(SELECT {texts}{ROW_NUMBER} + 1 AS record FROM {relation})"
    return OpenPart(
        rows,
        {name: f"c{i}" for name, i in found.items()},
        undeclared,
        rows=metadata.num_rows,
        last=metadata.num_rows,
    )


def verify_parquet_pages(path: Path, columns: list[str]) -> None:
    """Read every page of these columns once, to compare its size and its checksum.

    The engine looks at neither: a page that unpacks to less than it should is filled up with what
    was read before it. Texts are read as bytes of any length, which is less work: whether they are
    UTF-8 the engine does check.

    Raises:
        pa.ArrowException: The file is damaged; so does OSError.
    """
    checked = {"page_checksum_verification": True, "binary_type": pa.large_binary()}
    with pq.ParquetFile(path, pre_buffer=False, buffer_size=_BUFFER, **checked) as file:
        for _ in file.iter_batches(columns=columns):
            pass


def _parquet_relation(path: Path) -> str:
    return read_parquet_sql(path, binary_as_string="true", **{ROW_NUMBER: "true"})


def is_readable_parquet(path: Path) -> bool:
    """Return whether the engine can read every value of a Parquet file.

    So a damaged file differs from a full disk or too little memory.
    """
    with TemporaryDirectory() as aside, open_engine(EngineSettings(), Path(aside)) as session:
        try:
            session.execute(
                f"SELECT max(hash(COLUMNS(*))) FROM {_parquet_relation(path)}"
            ).fetchall()
        except EngineError:
            return False
    return True


def to_text_sql(value: str, kind: str) -> str:
    """Return SQL of the text that a typed value would have had.

    Dates and timestamps at 00:00 as dates, decimals without idle zeros, whole numbers held as
    DOUBLE as integers. A DOUBLE from 2^53 on has lost its last digits: it becomes scientific
    notation, which no type takes. A timestamp with a time zone keeps it, and is no date.
    """
    if kind == "VARCHAR":
        return value
    if kind == "TIMESTAMP WITH TIME ZONE":
        return f"CAST({value} AS VARCHAR)"
    if kind.startswith("TIMESTAMP"):
        day = f"CAST(CAST({value} AS DATE) AS VARCHAR)"
        midnight = f"{value} = date_trunc('day', {value})"
        return f"CASE WHEN {midnight} THEN {day} ELSE CAST({value} AS VARCHAR) END"
    if kind.startswith("DECIMAL"):
        idle = f"regexp_replace(CAST({value} AS VARCHAR), '(\\.[0-9]*?)0+$', '\\1')"
        return f"regexp_replace({idle}, '\\.$', '')"
    if kind in ("DOUBLE", "FLOAT"):
        whole = f"CAST(CAST({value} AS BIGINT) AS VARCHAR)"
        cut = f"format('{{:.14E}}', CAST({value} AS DOUBLE))"
        exact = f"abs({value}) < {2**53} AND {value} = trunc({value})"
        return (
            f"CASE WHEN isnan({value}) THEN NULL WHEN {exact} THEN {whole}"
            f" WHEN abs({value}) >= {2**53} THEN {cut} ELSE CAST({value} AS VARCHAR) END"
        )
    return f"CAST({value} AS VARCHAR)"


def _csv(session: Session, source: Source, path: Path, encoding: str) -> OpenPart:
    headers = _csv_headers(source, path, encoding)
    found, undeclared = match_headers(source, path, headers)
    try:
        reader = pacsv.open_csv(
            path,
            read_options=pacsv.ReadOptions(encoding=encoding, block_size=_BLOCK),
            parse_options=pacsv.ParseOptions(newlines_in_values=True),
            convert_options=pacsv.ConvertOptions(
                column_types=dict.fromkeys(headers, pa.string()), strings_can_be_null=False
            ),
        )
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise explain_read_failure(source, path, error, encoding) from None
    part, schema = _streamed(path, len(headers), found, undeclared)
    batches = _number_rows(reader, schema, part)
    session.register(part.stream, pa.RecordBatchReader.from_batches(schema, batches))
    return part


def _streamed(
    path: Path, width: int, found: dict[str, int], undeclared: list[str]
) -> tuple[OpenPart, pa.Schema]:
    """Return a part read from a stream, and its schema: `record`, then the columns by place."""
    stream = f"part_{abs(hash(path))}"
    part = OpenPart(stream, {name: f"c{i}" for name, i in found.items()}, undeclared, stream=stream)
    return part, pa.schema(
        [("record", pa.int64()), *((f"c{i}", pa.string()) for i in range(width))]
    )


def _number_rows(
    reader: pacsv.CSVStreamingReader, schema: pa.Schema, part: OpenPart
) -> Iterator[pa.RecordBatch]:
    """Yield batches with record numbers.

    An error is kept in the part: the engine's own message would quote people's data.
    """
    start = 1
    try:
        for batch in reader:
            numbers = pa.array(range(start, start + len(batch)), pa.int64())
            yield pa.RecordBatch.from_arrays([numbers, *batch.columns], schema=schema)
            start += len(batch)
            part.rows = part.last = start - 1
    except (pa.ArrowException, UnicodeDecodeError) as error:
        part.failure.append(error)
        raise


def _csv_headers(source: Source, path: Path, encoding: str) -> list[str]:
    try:
        with path.open(encoding=encoding, newline="") as text:
            if (
                text.read(1) != "\ufeff"
            ):  # before a quote it would make the quote a part of the header
                text.seek(0)
            headers = next(csv.reader(text), None)
    except (UnicodeDecodeError, csv.Error) as error:
        raise explain_read_failure(source, path, error, encoding) from None
    if not headers:
        raise unreadable_error(source, path, "空文件，没有表头")
    return headers


def explain_read_failure(source: Source, path: Path, error: Exception, encoding: str) -> JifenError:
    """What pyarrow says, without the row that it quotes; or the reader of workbooks."""
    message = str(error)
    if isinstance(error, WorkbookError):
        return unreadable_error(source, path, message, "请部门另存为不带密码的 .xlsx，或导出 CSV")
    if isinstance(error, UnicodeDecodeError) or "UTF8" in message or "UTF-8" in message:
        hint = f'若为 GB18030 编码，请在 jifen.toml 的 [sources.{source.source}] 写 encoding = "gb18030"'
        return unreadable_error(source, path, f"不是 {encoding} 编码", hint)
    columns = re.search(r"(?:Row #(\d+): )?Expected (\d+) columns, got (\d+)", message)
    if columns:
        row = f"第 {columns[1]} 行" if columns[1] else "有一行"
        return unreadable_error(
            source, path, f"{row}应有 {columns[2]} 列，实有 {columns[3]} 列（引号或逗号错位？）"
        )
    if "straddling" in message:
        return unreadable_error(source, path, "有一条记录超过 32 MB（引号没有闭合？）")
    return unreadable_error(source, path, "CSV 格式有误（引号没有闭合？）")


def _xlsx(session: Session, source: Source, path: Path) -> OpenPart:
    """Open a workbook: every visible sheet that has the header is read, one after the other."""
    try:
        sheets = [sheet for sheet in read_workbook(path) if sheet.head(1)]
    except WorkbookError as error:
        raise explain_read_failure(source, path, error, "") from None
    if not sheets:
        raise unreadable_error(source, path, "没有可见的、有内容的工作表")
    read, ignored = _choose_sheets(source, path, sheets)
    names = list(dict.fromkeys(name for sheet in read for name in sheet.columns))
    found = {name: place for place, name in enumerate(names)}
    undeclared = sorted({name for sheet in read for name in sheet.undeclared})
    part, schema = _streamed(path, len(names), found, undeclared)
    part.ignored_sheets = ignored
    session.register(
        part.stream,
        pa.RecordBatchReader.from_batches(schema, _batches(read, names, schema, part)),
    )
    return part


@dataclass(frozen=True)
class _DataSheet:
    """A sheet with its header: `columns` are the declared ones, with their places."""

    sheet: Sheet
    header_row: int
    columns: dict[str, int]
    undeclared: list[str]


def _choose_sheets(
    source: Source, path: Path, sheets: list[Sheet]
) -> tuple[list[_DataSheet], list[int]]:
    """Return the sheets that have the header, and the numbers of those that are left aside.

    Raises:
        JifenError: Exit 12, no sheet has the header; exit 11, a cell cannot be trusted.
    """
    read, ignored, errors = [], [], []
    for sheet in sheets:
        try:
            row, found, undeclared = find_header(source, path, sheet.head(HEADER_LINES))
        except JifenError as error:
            ignored.append(sheet.number)
            errors.append(error)
            continue
        titles = {place: source.columns[name].title for name, place in found.items()}
        try:
            sheet.refuse_untrusted_cells(row, titles)
        except WorkbookError as error:
            raise explain_read_failure(source, path, error, "") from None
        read.append(_DataSheet(sheet, row, found, undeclared))
    if not read:
        raise errors[0]
    return read, ignored


def _batches(
    sheets: list[_DataSheet], names: list[str], schema: pa.Schema, part: OpenPart
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
