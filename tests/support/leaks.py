"""A search for known people in anything a program can leave behind: files of every kind, databases, what it printed.

Nothing is taken on trust from a file's name: what it is shows in its first bytes, and what is inside is opened again.
"""

from __future__ import annotations

import base64
import bz2
import gzip
import html
import io
import json
import lzma
import re
import shutil
import sqlite3
import struct
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import duckdb

DEPTH = 5  # of things inside things
CLOSED = {
    b"\x28\xb5\x2f\xfd": "zstd",
    b"age-encryption.org": "age",
}  # cannot be looked into: an error, never a pass


@dataclass(frozen=True)
class Person:
    """What is known of somebody; None where nothing is."""

    resident_id: str
    name: str | None = None
    phone: str | None = None

    def parts(self) -> Iterator[tuple[str, str]]:
        """(what it is, text) for everything by which somebody would be known."""
        given = self.resident_id.upper()
        yield "ID", given[:17]  # with or without its check character
        yield "birthday and number", given[6:17]
        yield "15-digit ID", given[:6] + given[8:17]
        if self.name:
            yield "name", self.name
        if self.phone:
            yield "phone", self.phone
            yield "part of a phone", self.phone[-9:]
            yield "part of a phone", self.phone[:9]


@dataclass(frozen=True)
class Sought:
    """Every way in which a part of somebody may be written -> what it is; by first bytes, which most content lacks."""

    by_start: dict[bytes, dict[bytes, str]]

    @property
    def kinds(self) -> set[str]:
        return {what for group in self.by_start.values() for what in group.values()}

    def within(self, content: bytes) -> set[str]:
        groups = (group for start, group in self.by_start.items() if start in content)
        return {what for group in groups for needle, what in group.items() if needle in content}


def sought(people: Iterable[Person]) -> Sought:
    """What to search for so that none of these people is missed."""
    found: dict[bytes, str] = {}
    for person in people:
        for what, text in person.parts():
            found |= dict.fromkeys(_written(text), what)
            if what == "ID":
                found[struct.pack("<q", int(text))] = "ID as a number"
    by_start: dict[bytes, dict[bytes, str]] = {}
    for needle, what in found.items():
        by_start.setdefault(needle[:6], {})[needle] = what
    return Sought(by_start)


def _written(text: str) -> Iterator[bytes]:
    yield text.encode()
    if not text.isascii():
        yield text.encode("gb18030")
        yield text.encode("utf-16-le")
        yield json.dumps(text)[1:-1].encode()
        yield json.dumps(text)[1:-1].upper().replace("\\U", "\\u").encode()
        yield quote(text).encode()
        yield repr(text.encode())[2:-1].encode()


def leaks(content: bytes, people: Sought) -> set[str]:
    """What of the people is in it, on its face or inside."""
    return {what for layer in layers(content) for what in people.within(layer)}


def leaks_below(folder: Path, people: Sought, skip: Callable[[Path], bool]) -> list[str]:
    """`path: what` for every file below a folder with something in it; `skip` says what may hold people."""
    found = []
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if (
            path.is_symlink()
            or not path.is_file()
            or any(skip(part) for part in (relative, *relative.parents))
        ):
            continue
        leaked = leaks(path.read_bytes(), people) | leaks(str(relative).encode(), people)
        log = path.with_name(f"{path.name}-wal")
        if log.exists():
            leaked |= leaks("\n".join(_sqlite(path, log)).encode(), people)
        found += [f"{relative}: {what}" for what in sorted(leaked)]
    return found


def layers(content: bytes, depth: int = DEPTH) -> Iterator[bytes]:
    """The bytes, and what they hold when decoded, decompressed, or read as tables."""
    yield content
    for start, kind in CLOSED.items():
        assert not content.startswith(start), f"cannot be looked into: {kind}"
    if not depth:
        return
    tables = _tables(content)
    if tables is not None:
        yield from layers("\n".join(tables).encode(), depth - 1)
        return
    inner = list(_opened(content))
    for opened in inner:
        yield from layers(opened, depth - 1)
    if not inner:
        yield re.sub(rb"[\s\-\0]", b"", content)  # 330203 1985 0101 1018; digits in UTF-16
        if b"<" in content or b"&" in content:
            yield re.sub("<[^>]*>", "", html.unescape(content.decode("utf-8", "ignore"))).encode()
        for run in re.findall(rb"[A-Za-z0-9+/]{12,}={0,2}", content):
            with suppress(ValueError):
                yield base64.b64decode(run + b"=" * (-len(run) % 4))


def _opened(content: bytes) -> Iterator[bytes]:
    """What is inside an archive or a compressed file."""
    if content.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            yield from map(archive.read, archive.namelist())
            yield "\n".join(archive.namelist()).encode()
    for start, decompress in (
        (b"\x1f\x8b", gzip.decompress),
        (b"BZh", bz2.decompress),
        (b"\xfd7zXZ", lzma.decompress),
    ):
        if content.startswith(start):
            yield decompress(content)


def _tables(content: bytes) -> list[str] | None:
    """Every value of a Parquet, DuckDB or SQLite file as text; None for anything else."""
    for where, start, read in (
        (0, b"PAR1", _parquet),
        (8, b"DUCK", read_duckdb_texts),
        (0, b"SQLite format 3\0", _sqlite),
    ):
        if content[where:].startswith(start):
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder) / "file"
                file.write_bytes(content)
                return list(read(file))
    return None


def _parquet(file: Path) -> Iterator[str]:
    with duckdb.connect() as connection:
        for query in (
            "FROM read_parquet(?)",
            "FROM parquet_kv_metadata(?)",
            "FROM parquet_metadata(?)",
        ):
            rows = connection.execute(query, [str(file)])
            yield from (str(column) for column in rows.description or [])
            yield from map(str, rows.fetchall())


def read_duckdb_texts(file: Path) -> Iterator[str]:
    """Yield every value and definition of a DuckDB file as text."""
    with duckdb.connect(str(file), read_only=True) as connection:
        for listing in (
            "duckdb_tables()",
            "duckdb_views()",
            "duckdb_columns()",
            "duckdb_types()",
            "duckdb_functions()",
        ):
            yield from map(str, connection.execute(f"FROM {listing} WHERE NOT internal").fetchall())
        for schema, name in connection.execute(
            "SELECT schema_name, table_name FROM duckdb_tables() UNION ALL"
            " SELECT schema_name, view_name FROM duckdb_views() WHERE NOT internal"
        ).fetchall():
            yield from map(str, connection.execute(f'FROM "{schema}"."{name}"').fetchall())


def _sqlite(file: Path, log: Path | None = None) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copy(file, Path(folder) / "db")
        if log:
            shutil.copy(log, Path(folder) / "db-wal")
        with closing(sqlite3.connect(copy)) as connection:
            names = connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table'"
            ).fetchall()
            for (name,) in names:
                for row in connection.execute(f'SELECT * FROM "{name}"'):
                    for value in row:
                        yield from (
                            (layer.decode("utf-8", "replace") for layer in layers(value))
                            if isinstance(value, bytes)
                            else [str(value)]
                        )
