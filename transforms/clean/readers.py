"""Raw parts as relations: CSV through pyarrow (any encoding), Parquet through DuckDB, every value as text."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from expectations.problems import ExitCode, JifenError
from expectations.source import Source
from transforms.clean.identity import WHITE_SPACE
from transforms.engine import quoted

_BLOCK = 32 << 20  # a block must hold one whole record: larger than any field that a sane department sends


@dataclass
class Part:
    """One readable part of a delivery: a relation with `record` (1-based), and the text expression of each column."""

    relation: str
    texts: dict[str, str]
    undeclared: list[str]
    failure: list[Exception] = field(default_factory=list)


def unreadable(source: Source, path: Path, why: str, todo: str = "请部门重新导出该文件") -> JifenError:
    return JifenError(
        ExitCode.EXTRACT, f"{source.title}（{source.source}）的文件无法读取：{why}", where=path.name, todo=todo
    )


def open_part(connection: duckdb.DuckDBPyConnection, source: Source, path: Path, encoding: str) -> Part:
    """Make one raw file a relation of the connection. JifenError 11 if it cannot be read, 12 if a column is missing."""
    if path.suffix == ".parquet":
        return _parquet(connection, source, path)
    if path.suffix == ".csv":
        return _csv(connection, source, path, encoding)
    raise unreadable(source, path, f"不支持的格式 {path.suffix}", "请提供 .csv 或 .parquet")


def _parquet(connection: duckdb.DuckDBPyConnection, source: Source, path: Path) -> Part:
    relation = (
        f"read_parquet({quoted(path)}, binary_as_string = true, file_row_number = true, hive_partitioning = false)"
    )
    try:
        described = connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
    except duckdb.Error:
        raise unreadable(source, path, "不是完整的 Parquet 文件") from None
    columns = [(str(name), str(kind)) for name, kind, *_ in described if name != "file_row_number"]
    found, undeclared = match_headers(source, path, [name for name, _ in columns])
    texts = {
        name: _as_text(f'"{columns[i][0].replace(chr(34), chr(34) * 2)}"', columns[i][1]) for name, i in found.items()
    }
    return Part(f"(SELECT *, file_row_number + 1 AS record FROM {relation})", texts, undeclared)


def parquet_is_whole(path: Path) -> bool:
    """Whether every value of a Parquet file can be read: tells a damaged file from a full disk or too little memory."""
    try:
        for _ in pq.ParquetFile(path).iter_batches():
            pass
    except (pa.ArrowException, OSError):
        return False
    return True


def _as_text(value: str, kind: str) -> str:
    """The text a typed value would have had: dates and timestamps at 00:00 as dates, decimals without idle zeros."""
    if kind == "VARCHAR":
        return value
    if kind.startswith("TIMESTAMP"):
        day = f"CAST(CAST({value} AS DATE) AS VARCHAR)"
        return f"CASE WHEN {value} = date_trunc('day', {value}) THEN {day} ELSE CAST({value} AS VARCHAR) END"
    if kind.startswith("DECIMAL"):
        return f"regexp_replace(regexp_replace(CAST({value} AS VARCHAR), '(\\.[0-9]*?)0+$', '\\1'), '\\.$', '')"
    return f"CAST({value} AS VARCHAR)"


def _csv(connection: duckdb.DuckDBPyConnection, source: Source, path: Path, encoding: str) -> Part:
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
        raise csv_failure(source, path, error, encoding) from None
    part = Part(f"csv_{abs(hash(path))}", {name: f"c{i}" for name, i in found.items()}, undeclared)
    schema = pa.schema([("record", pa.int64()), *((f"c{i}", pa.string()) for i in range(len(headers)))])
    stream = pa.RecordBatchReader.from_batches(schema, _numbered(reader, schema, part))
    connection.register(part.relation, stream)
    return part


def _numbered(reader: pacsv.CSVStreamingReader, schema: pa.Schema, part: Part) -> Iterator[pa.RecordBatch]:
    """Batches with record numbers. What goes wrong is kept aside: the engine's own message would quote people's data."""
    start = 1
    try:
        for batch in reader:
            numbers = pa.array(range(start, start + len(batch)), pa.int64())
            yield pa.RecordBatch.from_arrays([numbers, *batch.columns], schema=schema)
            start += len(batch)
    except (pa.ArrowException, UnicodeDecodeError) as error:
        part.failure.append(error)
        raise


def _csv_headers(source: Source, path: Path, encoding: str) -> list[str]:
    try:
        with path.open(encoding=encoding, newline="") as text:
            headers = next(csv.reader(text), None)
    except (UnicodeDecodeError, csv.Error) as error:
        raise csv_failure(source, path, error, encoding) from None
    if not headers:
        raise unreadable(source, path, "空文件，没有表头")
    headers[0] = headers[0].removeprefix("\ufeff").strip('"') if headers[0].startswith("\ufeff") else headers[0]
    return headers


def csv_failure(source: Source, path: Path, error: Exception, encoding: str) -> JifenError:
    """What pyarrow says, without the row that it quotes."""
    message = str(error)
    if isinstance(error, UnicodeDecodeError) or "UTF8" in message or "UTF-8" in message:
        hint = f'若为 GB18030 编码，请在 jifen.toml 的 [sources.{source.source}] 写 encoding = "gb18030"'
        return unreadable(source, path, f"不是 {encoding} 编码", hint)
    columns = re.search(r"(?:Row #(\d+): )?Expected (\d+) columns, got (\d+)", message)
    if columns:
        row = f"第 {columns[1]} 行" if columns[1] else "有一行"
        return unreadable(source, path, f"{row}应有 {columns[2]} 列，实有 {columns[3]} 列（引号或逗号错位？）")
    if "straddling" in message:
        return unreadable(source, path, "有一条记录超过 32 MB（引号没有闭合？）")
    return unreadable(source, path, "CSV 格式有误（引号没有闭合？）")


def match_headers(source: Source, path: Path, headers: list[str]) -> tuple[dict[str, int], list[str]]:
    """Which column stands where, and which columns nobody declared. JifenError 12 on a missing or double header."""
    known = {alias: name for name, column in source.columns.items() for alias in (name, column.title, *column.headers)}
    found: dict[str, int] = {}
    undeclared: list[str] = []
    for index, header in enumerate(headers):
        name = known.get(header.strip(WHITE_SPACE))
        if name is None:
            undeclared.append(header.strip(WHITE_SPACE))
        elif name in found:
            raise _blocked(source, path, f"表头 {name}（{source.columns[name].title}）出现两次")
        else:
            found[name] = index
    missing = [
        f"{name}（{column.title}）" for name, column in source.columns.items() if column.required and name not in found
    ]
    if missing:
        raise _blocked(source, path, f"缺少必需的列：{'、'.join(missing)}")
    return found, undeclared


def _blocked(source: Source, path: Path, why: str) -> JifenError:
    return JifenError(
        ExitCode.GATE,
        f"{source.title}（{source.source}）未通过检查：{why}",
        where=path.name,
        todo="请部门按约定的列重新导出",
    )
