"""CSV as RFC 4180 has it, and nothing else: batches of texts, or the line that is no CSV.

A file is cut into chunks that end with a record. In a chunk without quotes every delimiter and line
end is one, and pyarrow parses it as it is. In a chunk with quotes each of them is first checked by
its neighbours, all at once: an opening one follows a delimiter or a line end, a closing one
precedes one. pyarrow by itself would take text after a closing quote for a part of the value.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from transforms.clean.encodings import decode_chunks, is_utf8
from transforms.clean.headers import HEADER_LINES

DELIMITERS = {"csv": ",", "tsv": "\t"}
MAX_RECORD = 32 << 20  # bytes of one record: more than any sane department sends
_BLOCK = 4 << 20
_HEAD = 1 << 20
_AHEAD = 2  # chunks that are parsed while another is used
_QUOTE, _LF, _CR = b'"\n\r'
_ID_LIKE = re.compile(rb"(?<![0-9])[1-9][0-9]{13}(?:[0-9]{3}[0-9Xx]|[0-9])(?![0-9])")

Bytes = npt.NDArray[np.uint8]
Places = npt.NDArray[np.int64]


class CsvError(Exception):
    """Why a file is no CSV, in words for people that quote nobody."""


@dataclass(frozen=True)
class CsvLayout:
    """How a file is read.

    Attributes:
        encoding: Its encoding.
        delimiter: What stands between two values.
        width: How many values a record has.
        skip: Bytes (in UTF-8, without a byte order mark) up to the end of the header.
    """

    encoding: str
    delimiter: str
    width: int
    skip: int


def read_head(path: Path, encoding: str) -> str:
    """Return the beginning of a file's text: more than a header and a few thousand lines.

    Raises:
        UnicodeDecodeError: The file is in another encoding.
    """
    return next(decode_chunks(path, encoding, _HEAD))


def has_line_end(path: Path, encoding: str) -> bool:
    """Return whether the last line of a file has a line end, as all others have."""
    width = 2 if encoding == "utf-16" else 1
    with path.open("rb") as file:
        file.seek(-min(width, path.stat().st_size), 2)
        return file.read().strip(b"\0") in (b"\n", b"\r", b"\x1a")


def parse_head(text: str, delimiter: str) -> tuple[list[list[str]], list[int]]:
    """Return the first records of a text, and for each the bytes in UTF-8 up to its end.

    Raises:
        CsvError: They are no CSV.
    """
    data = text.encode()
    if not data:
        return [], []
    used = list(islice(_record_ends(data), HEADER_LINES))
    head = np.frombuffer(data, np.uint8)[: used[-1] if used else 0]
    _check_quotes(head, np.flatnonzero(head == _QUOTE), delimiter, is_end=True)
    starts = [0, *used[:-1]]
    records = [
        _split_record(data[start:end].decode(), delimiter)
        for start, end in zip(starts, used, strict=True)
    ]
    return records, used


def _split_record(record: str, delimiter: str) -> list[str]:
    """Return the values of a record whose quotes have been checked."""
    text = record.rstrip("\r\n") + delimiter
    values = re.findall(rf'("(?:[^"]|"")*"|[^{delimiter}"]*){delimiter}', text)
    return [
        (value[1:-1].replace('""', '"') if value.startswith('"') else value).strip()
        for value in values
    ]


def _record_ends(data: bytes) -> Iterator[int]:
    """Yield where each record of a text ends, the last without a line end included."""
    buffer = np.frombuffer(data, np.uint8)
    quotes = np.flatnonzero(buffer == _QUOTE)
    line_end = _LF if (buffer == _LF).any() else _CR
    places = np.flatnonzero(buffer == line_end)
    outside = places[np.searchsorted(quotes, places) % 2 == 0]
    yield from (int(place) + 1 for place in outside)
    if len(data) and (not len(outside) or outside[-1] + 1 < len(data)):
        yield len(data)


class CsvReader:
    """The data records of one file, read once, as batches of the columns `c0`, `c1`, ..."""

    def __init__(self, path: Path, layout: CsvLayout) -> None:
        """Read a file from the byte that follows its header."""
        self._path, self._layout = path, layout
        self._names = [f"c{place}" for place in range(layout.width)]
        self._lines = 0  # before the chunk that is looked at

    def read_batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the records in their order; those without any value are left out.

        Raises:
            CsvError: A line is no CSV.
            UnicodeDecodeError: The file is in another encoding.
        """
        with ThreadPoolExecutor(1) as pool:
            ahead: deque[Future[pa.Table]] = deque()
            for chunk, first_line, quoting in self._chunks():
                ahead.append(pool.submit(self._parse, chunk, first_line, quoting))
                if len(ahead) > _AHEAD:
                    yield from ahead.popleft().result().to_batches()
            while ahead:
                yield from ahead.popleft().result().to_batches()

    def _chunks(self) -> Iterator[tuple[bytes, int, _Quoting]]:
        """Yield bytes that end with a record, the number of their first line, how quotes stand."""
        rest = b""
        blocks = self._blocks()
        while True:
            block = next(blocks, b"")
            data = rest + block
            if not data:
                return
            quoting, cut = _NO_QUOTES, len(data)
            if b'"' in data:
                quoting, cut = self._check(data, is_end=not block)
            elif block:
                cut = _last_line_end(data) + 1
            if cut == 0:
                if len(data) > MAX_RECORD:
                    line = self._lines + 1
                    raise CsvError(f"第 {line:,} 行起有一条记录超过 32 MB（引号没有闭合？）")
                rest = data
                continue
            chunk, rest = data[:cut], data[cut:]
            yield chunk, self._lines + 1, quoting
            self._lines += _count_lines(np.frombuffer(chunk, np.uint8), cut)
            if not block:
                return

    def _check(self, data: bytes, *, is_end: bool) -> tuple[_Quoting, int]:
        """Return how quotes stand in a text, and where its last whole record ends."""
        buffer = np.frombuffer(data, np.uint8)
        quotes = np.flatnonzero(buffer == _QUOTE)
        _check_quotes(buffer, quotes, self._layout.delimiter, self._lines, is_end=is_end)
        cut = len(data) if is_end else _last_record_end(data, quotes)
        chunk = buffer[:cut]
        places = np.flatnonzero((chunk == _LF) | (chunk == _CR))
        within = np.searchsorted(quotes, places)
        within = within[within % 2 == 1]
        if len(within):
            self._check_multiline(data, buffer, quotes, within)
        return _Quoting(has_quotes=True, has_lines=bool(len(within))), cut

    def _check_multiline(self, data: bytes, buffer: Bytes, quotes: Places, within: Places) -> None:
        """Raise CsvError for a value that has swallowed whole lines.

        Two lone quotes on different lines make one value of all between them; when both stand in one
        column the number of fields is right again. Such a value has as many delimiters as its
        lines, or somebody's ID between some.
        """
        fields = self._layout.width - 1
        for pair in np.unique(within // 2):
            begin, end = int(quotes[2 * pair]), int(quotes[2 * pair + 1])
            value = data[begin:end]
            delimiters = value.count(self._layout.delimiter.encode())
            is_whole_lines = delimiters == max(value.count(b"\n"), 1) * fields
            if is_whole_lines or (delimiters >= fields and _ID_LIKE.search(value)):
                begun = self._lines + _count_lines(buffer, begin) + 1
                ended = self._lines + _count_lines(buffer, end) + 1
                raise CsvError(
                    f"第 {begun:,} 行的引号到第 {ended:,} 行才闭合，吞掉了其间各行："
                    "值里的引号应写两遍"
                )

    def _blocks(self) -> Iterator[bytes]:
        """Yield the text in UTF-8, beginning after the header."""
        skip = self._layout.skip
        if self._layout.encoding == "utf-8":
            with self._path.open("rb") as file:
                mark = 3 if file.read(3) == b"\xef\xbb\xbf" else 0
                file.seek(mark)
                self._pass_header(file.read(skip))
                while block := file.read(_BLOCK):
                    yield block
            return
        for text in decode_chunks(self._path, self._layout.encoding):
            data = text.encode()
            if skip:
                self._pass_header(data[:skip])
                data, skip = data[skip:], 0
            if data:
                yield data

    def _pass_header(self, header: bytes) -> None:
        self._lines = _count_lines(np.frombuffer(header, np.uint8), len(header))

    def _parse(self, chunk: bytes, first_line: int, quoting: _Quoting) -> pa.Table:
        try:
            return _leave_out_blank(self._read(chunk, quoting))
        except pa.ArrowException as error:
            if "empty CSV" in str(error):  # nothing but blank lines
                return pa.table({name: pa.array([], pa.string()) for name in self._names})
        # Before pyarrow decodes an invalid row: where it cannot, it prints so.
        if not is_utf8(chunk):
            raise UnicodeDecodeError("utf-8", b"", 0, 0, "")
        bad: list[pacsv.InvalidRow] = []

        def note(row: Any) -> str:
            bad.append(row)
            return "error"

        with suppress(pa.ArrowException):
            self._read(chunk, quoting, note)
        if not bad:
            raise CsvError(f"第 {first_line:,} 行起的一段不是 CSV")
        line = first_line + _line_of_record(chunk, bad[0].number or 1)
        raise CsvError(
            f"第 {line:,} 行应有 {self._layout.width} 列，实有 {bad[0].actual_columns} 列"
            "（逗号或引号错位，或有值没有加引号）"
        )

    def _read(
        self, chunk: bytes, quoting: _Quoting, note: Callable[[Any], str] | None = None
    ) -> pa.Table:
        return pacsv.read_csv(
            pa.BufferReader(chunk),
            read_options=pacsv.ReadOptions(
                column_names=self._names, block_size=len(chunk) + 1, use_threads=False
            ),
            parse_options=pacsv.ParseOptions(
                delimiter=self._layout.delimiter,
                quote_char='"' if quoting.has_quotes else False,
                newlines_in_values=quoting.has_lines,
                invalid_row_handler=note,
            ),
            convert_options=pacsv.ConvertOptions(
                column_types=dict.fromkeys(self._names, pa.string()), strings_can_be_null=False
            ),
        )


@dataclass(frozen=True)
class _Quoting:
    """Whether a chunk has quotes, and whether values in quotes hold line ends."""

    has_quotes: bool
    has_lines: bool


_NO_QUOTES = _Quoting(has_quotes=False, has_lines=False)


def _check_quotes(
    buffer: Bytes, quotes: Places, delimiter: str, lines: int = 0, *, is_end: bool = False
) -> None:
    """Raise CsvError unless every quote is where RFC 4180 has it.

    Args:
        buffer: A text that begins with a record.
        quotes: Where its quotes are.
        delimiter: What stands between two values.
        lines: How many lines come before the text.
        is_end: Whether it is the end of the file.
    """
    if not len(quotes):
        return
    opening, closing = quotes[0::2], quotes[1::2]
    allowed = np.zeros(256, bool)
    allowed[[ord(delimiter), _LF, _CR, _QUOTE]] = True
    is_open = allowed[buffer[np.maximum(opening - 1, 0)]] | (opening == 0)
    is_closed = allowed[buffer[np.minimum(closing + 1, len(buffer) - 1)]]
    opened, closed = _first_false(is_open), _first_false(is_closed)
    if opened <= closed and opened < len(opening):
        line = lines + _count_lines(buffer, int(opening[opened])) + 1
        raise CsvError(f"第 {line:,} 行的值没有加引号，其中却有引号")
    if closed < len(closing):
        place = closed
        begun = lines + _count_lines(buffer, int(opening[place])) + 1
        ended = lines + _count_lines(buffer, int(closing[place])) + 1
        where = f"第 {begun:,} 行" + (f"（到第 {ended:,} 行）" if ended > begun else "")
        raise CsvError(f"{where}的引号闭合以后还有文字：值里的引号应写两遍")
    if is_end and len(quotes) % 2:
        line = lines + _count_lines(buffer, int(opening[-1])) + 1
        raise CsvError(f"第 {line:,} 行的引号没有闭合")


def _first_false(flags: npt.NDArray[np.bool_]) -> int:
    """Return the place of the first False; the length when there is none."""
    return len(flags) if flags.all() else int(flags.argmin())


def _count_lines(buffer: Bytes, place: int) -> int:
    """Return how many lines end before a place."""
    line_end = _LF if (buffer == _LF).any() else _CR
    return int(np.count_nonzero(buffer[:place] == line_end))


def _last_line_end(data: bytes) -> int:
    """Return the place of the last line end that is whole: after a CR there may be its LF."""
    return max(data.rfind(b"\n"), data.rfind(b"\r", 0, len(data) - 1))


def _last_record_end(data: bytes, quotes: Places) -> int:
    """Return where the last record that is whole ends; 0 when there is none."""
    place = _last_line_end(data)
    if place < 0 or not np.searchsorted(quotes, place) % 2:
        return place + 1
    buffer = np.frombuffer(data, np.uint8)[:place]
    places = np.flatnonzero((buffer == _LF) | (buffer == _CR))
    outside = places[np.searchsorted(quotes, places) % 2 == 0]
    return int(outside[-1]) + 1 if len(outside) else 0


def _line_of_record(chunk: bytes, number: int) -> int:
    """Return how many lines of a chunk come before its record `number` (from 1, empty ones not)."""
    start, seen = 0, 0
    for end in _record_ends(chunk):
        seen += bool(chunk[start:end].strip(b"\r\n"))
        if seen == number:
            return chunk.count(b"\n", 0, start)
        start = end
    return chunk.count(b"\n", 0, start)


def _leave_out_blank(table: pa.Table) -> pa.Table:
    """Return a table without the records that have no value at all (a spreadsheet's last rows)."""
    blank: Sequence[Any] | Any = None
    for column in table.columns:
        is_empty = pc.equal(column, "")
        blank = is_empty if blank is None else pc.and_(blank, is_empty)
        if not pc.any(blank).as_py():
            return table
    return table.filter(pc.invert(blank))
