"""Some columns of a Parquet file as a file of their own: their packed pages are copied as they are, only the footer is new.

What is published of the facts, and for whom, differs by columns alone. To read and write them again would take as much
work as to make points of them (docs/developing/benchmarks.md). A footer is a struct in Thrift's compact protocol, as laid down by
parquet-format (parquet.thrift); what is not understood of it here is passed on as it stands.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

_MAGIC, _END = b"PAR1", struct.Struct("<I4s")
# Kinds of values in the compact protocol.
_TRUE, _FALSE, _INTEGERS, _BINARY, _LIST, _STRUCT = 1, 2, (4, 5, 6), 8, 9, 12
_SIZES = {
    _TRUE: 1,
    _FALSE: 1,
    3: 1,
    7: 8,
}  # of what is passed on as bytes: truth values in a list, bytes, doubles
# Fields: of the footer, an element of its schema, a row group, a column's chunk, what is told of a chunk.
_SCHEMA, _ROWS, ROW_GROUPS, COLUMN_ORDERS = 2, 3, 4, 7
_NAME, _CHILDREN = 4, 5
_CHUNKS, _UNPACKED, _SORTED, _FIRST, _PACKED, _ORDINAL = 1, 2, 4, 5, 6, 7
META_DATA, _INDEXES = 3, (4, 5, 6, 7)
_PATH, _SIZE_UNPACKED, _SIZE_PACKED, _PAGES, _DICTIONARY, _BLOOM, _BLOOM_SIZE = (
    3,
    6,
    7,
    9,
    11,
    14,
    15,
)

Fields = dict[int, tuple[int, Any]]
"""A struct: number of a field -> (kind, value); a list is (kind of its items, items)."""


def copy_columns(sources: Sequence[Path], target: Path, columns: Mapping[str, str]) -> None:
    """Write columns of Parquet files, which are alike, to a new one: what they are called there -> in the new file.

    Columns and files in the order given, all rows in their order and row groups, with their statistics and Bloom filters.
    KeyError: there is no such column.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as made:
        made.write(_MAGIC)
        groups: list[Fields] = []
        for source in sources:
            with source.open("rb") as given:
                footer = _footer(given)
                root, *trees = _column_trees(footer[_SCHEMA][1][1])
                places = {_text(elements[0]): (elements, leaves) for elements, leaves in trees}
                wanted = [(name, *places[column]) for column, name in columns.items()]
                for group in footer[ROW_GROUPS][1][1]:
                    _copy_group(given, made, group, wanted)
                    groups.append(group)
        footer[ROW_GROUPS] = (_LIST, (_STRUCT, groups))
        footer[_ROWS] = (footer[_ROWS][0], sum(group[_ROWS][1] for group in groups))
        schema = [root[0][0] | {_CHILDREN: (_INTEGERS[1], len(wanted))}]
        for name, (first, *others), _ in wanted:
            schema += [first | {_NAME: (_BINARY, name.encode())}, *others]
        footer[_SCHEMA] = (_LIST, (_STRUCT, schema))
        if COLUMN_ORDERS in footer:
            kind, orders = footer[COLUMN_ORDERS][1]
            footer[COLUMN_ORDERS] = (
                _LIST,
                (kind, [orders[leaf] for _, _, leaves in wanted for leaf in leaves]),
            )
        packed = _written(_STRUCT, footer)
        made.write(packed + _END.pack(len(packed), _MAGIC))


def _copy_group(
    given: BinaryIO, made: BinaryIO, group: Fields, wanted: list[tuple[str, list[Fields], range]]
) -> None:
    """Copy a row group's pages of the columns wanted, and change what is told of it accordingly."""
    chunks, kept, first = group[_CHUNKS][1][1], [], made.tell()
    for name, _, leaves in wanted:
        for leaf in leaves:
            kept.append(_copy_chunk(given, made, chunks[leaf], name))
    group[_CHUNKS] = (_LIST, (_STRUCT, kept))
    for total, size in ((_UNPACKED, _SIZE_UNPACKED), (_PACKED, _SIZE_PACKED)):
        if total in group:
            group[total] = (group[total][0], sum(chunk[META_DATA][1][size][1] for chunk in kept))
    if _FIRST in group:
        group[_FIRST] = (group[_FIRST][0], first)
    for numbered in (_SORTED, _ORDINAL):  # by the number of a column, of the group
        group.pop(numbered, None)


def _copy_chunk(given: BinaryIO, made: BinaryIO, chunk: Fields, name: str) -> Fields:
    """Copy the pages of a chunk and its Bloom filter to the end of the new file; what is to be told of it there."""
    about: Fields = dict(chunk[META_DATA][1])
    starts = [about[field][1] for field in (_PAGES, _DICTIONARY) if field in about]
    moved = made.tell() - min(starts)
    _copy(given, made, min(starts), about[_SIZE_PACKED][1])
    for field in (_PAGES, _DICTIONARY):
        if field in about:
            about[field] = (about[field][0], about[field][1] + moved)
    if _BLOOM in about and _BLOOM_SIZE in about:
        place = made.tell()
        _copy(given, made, about[_BLOOM][1], about[_BLOOM_SIZE][1])
        about[_BLOOM] = (about[_BLOOM][0], place)
    else:
        about.pop(_BLOOM, None)
    kind, path = about[_PATH][1]
    about[_PATH] = (_LIST, (kind, [name.encode(), *path[1:]]))
    # An index of pages, which the engine does not write, would hold places in the old file.
    return {field: value for field, value in chunk.items() if field not in _INDEXES} | {
        META_DATA: (_STRUCT, about)
    }


def _copy(given: BinaryIO, made: BinaryIO, start: int, size: int) -> None:
    given.seek(start)
    made.write(given.read(size))


def _column_trees(schema: list[Fields]) -> list[tuple[list[Fields], range]]:
    """The root of a schema, then each column at its top with all that belongs to it, and the numbers of its leaves."""
    found: list[tuple[list[Fields], range]] = [(schema[:1], range(0))]
    place = leaf = 0
    while (place := place + len(found[-1][0])) < len(schema):
        open_ones, end, first = 1, place, leaf
        while open_ones:
            children = schema[end].get(_CHILDREN, (0, 0))[1]
            open_ones += children - 1
            leaf += not children
            end += 1
        found.append((schema[place:end], range(first, leaf)))
    return found


def _text(element: Fields) -> str:
    return str(element[_NAME][1].decode())


def _footer(file: BinaryIO) -> Fields:
    """What a Parquet file tells of itself."""
    file.seek(-_END.size, 2)
    size, magic = _END.unpack(file.read(_END.size))
    if magic != _MAGIC:
        raise ValueError("no Parquet file")
    file.seek(-_END.size - size, 2)
    read: Fields = _Reader(file.read(size)).value(_STRUCT)
    return read


class _Reader:
    """Reads values of the compact protocol, one after the other."""

    def __init__(self, data: bytes) -> None:
        self.data, self.place = data, 0

    def value(self, kind: int) -> Any:
        if kind in _INTEGERS:
            number = self._number()
            return (number >> 1) ^ -(number & 1)
        if kind == _BINARY:
            return self._bytes(self._number())
        if kind == _LIST:
            head = self._bytes(1)[0]
            size, items = head >> 4, head & 15
            return items, [self.value(items) for _ in range(self._number() if size == 15 else size)]
        if kind == _STRUCT:
            return self._struct()
        if kind in _SIZES:
            return self._bytes(_SIZES[kind])
        raise ValueError(f"a value of kind {kind} in a Parquet footer")

    def _struct(self) -> Fields:
        fields: Fields = {}
        field = 0
        while head := self._bytes(1)[0]:
            kind = head & 15
            field = field + (head >> 4) if head >> 4 else self.value(_INTEGERS[0])
            fields[field] = (kind, None if kind in (_TRUE, _FALSE) else self.value(kind))
        return fields

    def _number(self) -> int:
        number = shift = 0
        while True:
            byte = self._bytes(1)[0]
            number |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return number

    def _bytes(self, size: int) -> bytes:
        start, self.place = self.place, self.place + size
        return self.data[start : self.place]


def _written(kind: int, value: Any) -> bytes:
    """A value in the compact protocol."""
    if kind in _INTEGERS:
        return _number(value << 1 if value >= 0 else (-value << 1) - 1)
    if kind == _BINARY:
        return _number(len(value)) + bytes(value)
    if kind == _LIST:
        items, listed = value
        size = len(listed)
        head = bytes([size << 4 | items]) if size < 15 else bytes([0xF0 | items]) + _number(size)
        return head + b"".join(_written(items, one) for one in listed)
    if kind == _STRUCT:
        written, last = b"", 0
        for field, (of, one) in sorted(value.items()):
            near = 0 < field - last < 16
            written += (
                bytes([(field - last) << 4 | of])
                if near
                else bytes([of]) + _written(_INTEGERS[0], field)
            )
            written += b"" if one is None else _written(of, one)
            last = field
        return written + b"\0"
    return bytes(value)


def _number(number: int) -> bytes:
    written = b""
    while number > 127:
        written += bytes([number & 127 | 128])
        number >>= 7
    return written + bytes([number])
