"""Parquet files as relations of texts, each page verified before the engine reads it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq

from expectations.source_model import Source
from transforms.clean.data_file import DataFile, OpenPart
from transforms.clean.encodings import refuse_mojibake
from transforms.clean.headers import find_header, unreadable_error
from transforms.engine.parquet import read_parquet_sql
from transforms.engine.session import EngineError, EngineSettings, Session, open_engine

_BUFFER = 1 << 20  # of each column: row groups may be larger than memory
_SAMPLE = 2_000  # rows whose texts are looked at for mojibake
ROW_NUMBER = "file_row_number"  # what the engine calls it


def prepare_parquet(source: Source, path: Path, name: str) -> DataFile:
    try:
        with pq.ParquetFile(path) as file:
            titles = file.schema_arrow.names  # the engine renames a title that stands twice
            sample = next(file.iter_batches(batch_size=_SAMPLE), None)
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        raise unreadable_error(source, name, "不是完整的 Parquet 文件") from None
    if ROW_NUMBER in map(str.lower, titles):
        raise unreadable_error(
            source, name, f"列名 {ROW_NUMBER} 是读取程序自用的", "请部门改名或去掉这一列"
        )
    refuse_mojibake(_sample_texts(sample))
    return DataFile(path, name, "parquet", find_header(source, [titles]))


def _sample_texts(batch: pa.RecordBatch | None) -> Iterator[str]:
    """Yield the texts of a batch; those that are not UTF-8 the engine refuses."""
    for column in batch.columns if batch else ():
        if pa.types.is_string(column.type):
            try:
                yield from (text for text in column.to_pylist() if text)
            except UnicodeDecodeError:
                continue


def open_parquet(session: Session, source: Source, file: DataFile, among: str | None) -> OpenPart:
    relation = _parquet_relation(file.path)
    found = file.header.columns
    try:
        metadata = pq.read_metadata(file.path)
        titles = metadata.schema.to_arrow_schema().names
        described = session.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
        if not among:
            verify_parquet_pages(file.path, [titles[i] for i in found.values()])
    except (EngineError, pa.ArrowException, OSError, UnicodeDecodeError):
        raise unreadable_error(source, file.name, "不是完整的 Parquet 文件") from None
    columns = {
        i: (str(described[i][0]).replace('"', '""'), str(described[i][1])) for i in found.values()
    }
    texts = "".join(
        f"""{to_text_sql(f'"{name}"', kind)} AS c{i}, """ for i, (name, kind) in columns.items()
    )
    if among:  # asked of the engine's own number, so that it unpacks no other rows
        relation += f" WHERE {ROW_NUMBER} IN (SELECT record - 1 FROM {among})"
    rows = f"(SELECT {texts}{ROW_NUMBER} + 1 AS record FROM {relation})"
    count = metadata.num_rows
    return OpenPart(rows, {name: f"c{i}" for name, i in found.items()}, rows=count, last=count)


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
