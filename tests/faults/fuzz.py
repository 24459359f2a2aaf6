"""Corrupted files are refused with a reason, or read exactly as a second reader reads them.

Input number n of a kind is always the same bytes: a whole file with a few corruptions, drawn by a
random generator with n in its seed.
"""

from __future__ import annotations

import csv
import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from expectations.errors import DeclarationError, JifenError
from expectations.month import Month
from expectations.naming import normalise_name, strip_remarks
from expectations.yaml_document import YamlDocument
from flows.settings import OWN_DECLARATIONS
from tests.support.world import SOURCES, national_id, no_key_twice
from transforms.clean.delivery import CleaningJob, clean_delivery
from transforms.clean.readers import open_part, prepare_file
from transforms.engine.session import EngineSettings, open_engine

SOURCE = SOURCES["patents"]
PERSON = national_id("33020319900101001")
CLEANED = 20  # every so many-th CSV goes the whole way: typed, judged, split, with its account
TOKENS = {
    "csv": [
        *(
            b'"',
            b'""',
            b",",
            b"\n",
            b"\r",
            b"\r\n",
            b'\n"',
            b'",',
            b"\t",
            b" ",
            b"\0",
            b"\xff",
            b"\xc2\x85",
        ),
        *(b"\xef\xbb\xbf", b"\xe2\x80\xa8", PERSON.encode()),
    ],
    "parquet": [b"PAR1", b"\0\0\0\0", b"\xff\xff\xff\x7f", b"\xff" * 8, b"\x15", b"\x19"],
    "yaml": [
        *(
            b":",
            b": ",
            b"- ",
            b"\n",
            b"  ",
            b"\t",
            b"#",
            b"'",
            b'"',
            b"{",
            b"}",
            b"[",
            b"]",
            b",",
            b"&a ",
            b"*a",
        ),
        *(
            b"!!int ",
            b"? ",
            b"|",
            b">",
            b"---\n",
            b"...",
            b"%YAML 1.1\n",
            b"<<: ",
            b"~",
            b"null",
            b"no",
            b"0x1f",
        ),
        *(b"\xef\xbb\xbf", b"\xff", b"\0", b"\xc2\x85"),
    ],
}


@dataclass
class Tally:
    """How many inputs were tried, read, refused; and what went wrong, by the number of the input.

    `alone`: those read that the second reader would not read at all; what was read is then as it was written.
    """

    tried: int = 0
    read: int = 0
    refused: int = 0
    alone: int = 0
    wrong: list[str] = field(default_factory=list)


class Wrong(Exception):
    """Something was read that a second reader reads otherwise."""


class Alone(Exception):
    """Something was read that a second reader refuses, for a rule of its own."""


def corrupt(kind: str, number: int, whole: Sequence[bytes]) -> bytes:
    """Return input `number` of a kind: one of the whole files with up to five corruptions."""
    rng = random.Random(f"{kind} {number}")
    content = bytearray(rng.choice(whole))
    for _ in range(rng.choice((0, 1, 1, 1, 2, 3, 5))):
        at = rng.randrange(len(content) + 1)
        match rng.randrange(6):
            case 0:
                content[at:at] = rng.choice(TOKENS[kind])
            case 1:
                token = rng.choice(TOKENS[kind])
                content[at : at + len(token)] = token
            case 2:
                del content[at : at + rng.choice((1, 1, 2, 10, 100))]
            case 3:
                content[at:at] = content[at : at + rng.choice((1, 5, 40))]
            case 4 if at < len(content):
                content[at] ^= 1 << rng.randrange(8)
            case _ if rng.random() < 0.2:
                del content[at:]
    return bytes(content)


def fuzz(kind: str, numbers: range, folder: Path) -> Tally:
    """Give these inputs to the reader of a kind."""
    tally = Tally()
    with open_engine(EngineSettings("500MB", 1), folder / "spill") as connection:
        attempt = {"csv": _csv, "parquet": _parquet, "yaml": _yaml}[kind]
        whole = list(WHOLE[kind](folder))
        for number in numbers:
            content = corrupt(kind, number, whole)
            tally.tried += 1
            try:
                attempt(connection, folder, content, number)
                tally.read += 1
            except JifenError:
                tally.refused += 1
            except Alone:
                tally.alone += 1
            except Exception as error:
                tally.wrong.append(f"{kind} {number}: {type(error).__name__} {error}")
    return tally


# --- CSV ---


def _whole_csv(folder: Path) -> Iterator[bytes]:
    header = "patent_no,resident_id,kind,granted_on,status"
    rows = [f"P{n},{PERSON},design,2020-01-{n:02d},valid" for n in range(1, 6)]
    yield "\n".join([header, *rows, ""]).encode()
    yield "\r\n".join([header, *rows]).encode("utf-8-sig")
    quoted = [f'"P,""{n}""\n二",{PERSON},"design",20200105,"valid"' for n in range(3)]
    yield "\n".join([f'"{header.replace(",", chr(34) + "," + chr(34))}"', *quoted, ""]).encode(
        "utf-8-sig"
    )
    yield "\n".join(
        ["专利号,公民身份号码,kind,granted_on,status,备注", *(f"{row},无" for row in rows), ""]
    ).encode()
    yield "\r".join([header, f"007,{PERSON},invention,2019-12-31,valid", ",,,,", ""]).encode()


def _csv(connection: duckdb.DuckDBPyConnection, folder: Path, content: bytes, number: int) -> None:
    path = folder / "patents.csv"
    path.write_bytes(content)
    rows = _texts(connection, folder, path)
    if number % CLEANED == 0 and _clean(connection, folder, path) != len(rows):
        raise Wrong("cleaned other rows than were read")
    plain = [row for row in csv.reader(path.open(encoding="utf-8-sig", newline="")) if any(row)]
    header = max(n for n, row in enumerate(plain[:10]) if _is_header(row))
    wanted = [tuple(row[i] for i in _places(plain[header])) for row in plain[header + 1 :]]
    if rows != wanted:
        raise Wrong("read otherwise than by Python")


def _places(headers: Sequence[str]) -> list[int]:
    known = {
        alias: name
        for name, column in SOURCE.columns.items()
        for alias in (name, column.title, *column.headers)
    }
    found = {
        known.get(strip_remarks(normalise_name(header))): i for i, header in enumerate(headers)
    }
    return [found[name] for name in SOURCE.columns if name in found]


def _is_header(row: Sequence[str]) -> bool:
    """Whether a line names all columns that are required: of this source, all."""
    return len(_places(row)) == len(SOURCE.columns)


def _texts(
    connection: duckdb.DuckDBPyConnection, folder: Path, path: Path
) -> list[tuple[object, ...]]:
    """What the reader reads of a file, in the order of the source's columns. What it cannot read, cleaning must refuse."""
    part = open_part(
        connection, SOURCE, prepare_file(SOURCE, path, folder / "unpacked", allowed="utf-8")
    )
    columns = ", ".join(part.texts[name] for name in SOURCE.columns if name in part.texts)
    try:
        return connection.execute(
            f"SELECT {columns} FROM {part.relation} ORDER BY record"
        ).fetchall()
    except duckdb.Error:
        _clean(connection, folder, path)
        raise Wrong("cleaned, though it cannot be read") from None
    finally:
        if part.stream:
            connection.unregister(part.stream)


def _clean(connection: duckdb.DuckDBPyConnection, folder: Path, path: Path) -> int:
    """Clean a file; the rows received."""
    job = CleaningJob(
        SOURCE, Month.parse("2021-10"), 1, (path,), "utf-8", frozenset({"330203"}), "inputs"
    )
    shutil.rmtree(folder / "root", ignore_errors=True)
    account = clean_delivery(
        connection, job, folder / "root", folder / "work", no_key_twice(connection, SOURCE)
    )
    if account.received != account.clean + account.quarantined + account.superseded:
        raise Wrong(f"the account does not add up: {account}")
    return account.received


# --- Parquet ---


def _patents() -> dict[str, list[str | None]]:
    rows = 60
    return {
        "patent_no": [f"P{n:03d}" for n in range(rows)],
        "resident_id": [PERSON] * rows,
        "kind": ["design", "invention"] * (rows // 2),
        "granted_on": [f"2020-01-{n % 28 + 1:02d}" for n in range(rows)],
        "status": ["valid", None, "void"] * (rows // 3),
    }


def _whole_parquet(folder: Path) -> Iterator[bytes]:
    path, table = folder / "whole.parquet", pa.table(_patents())
    for compression in ("none", "snappy", "zstd"):
        pq.write_table(table, path, compression=compression, row_group_size=25, store_schema=False)
        yield path.read_bytes()
    pq.write_table(table, path, use_dictionary=False, data_page_version="2.0", store_schema=False)
    yield path.read_bytes()


def _parquet(
    connection: duckdb.DuckDBPyConnection, folder: Path, content: bytes, number: int
) -> None:
    path = folder / "patents.parquet"
    path.write_bytes(content)
    rows = _texts(connection, folder, path)
    try:
        table = pq.read_table(path)
        columns = [
            table.column(i).cast(pa.string()).to_pylist() for i in _places(table.column_names)
        ]
    except (pa.ArrowException, OSError):
        if rows != list(zip(*_patents().values(), strict=True)):
            raise Wrong("damaged for pyarrow, and not what was written") from None
        raise Alone from None
    if rows != list(zip(*columns, strict=True)):
        raise Wrong("read otherwise than by pyarrow")


# --- YAML ---


WRITTEN = """\
# a table
authority: city
title: "积分 \\u4e00"
sections:
  - {code: base, cap: 110.5, open: no}
  - code: bonus
    from: 2021-02-30
    note: |
      two
      lines
values: {a: [甲, '乙''s', ~], b: null, "c": 0x1f}
empty:
"""


def _whole_yaml(folder: Path) -> Iterator[bytes]:
    yield WRITTEN.encode()
    yield WRITTEN.replace("\n", "\r\n").encode("utf-8-sig")
    smallest = min(
        (OWN_DECLARATIONS / "reminders").glob("*.yaml"), key=lambda path: path.stat().st_size
    )
    yield smallest.read_bytes()


def _yaml(connection: duckdb.DuckDBPyConnection, folder: Path, content: bytes, number: int) -> None:
    path = folder / "one.yaml"
    path.write_bytes(content)
    file = YamlDocument(path)
    if file.problems:
        raise DeclarationError(file.problems)
    try:
        node = yaml.compose(path.read_text(encoding="utf-8-sig"), Loader=yaml.BaseLoader)
    except (
        yaml.YAMLError
    ):  # it knows YAML 1.1 only: no tab after a bracket, no `?` or `:` within a text
        raise Alone from None
    if file.data != (None if node is None else _strict(node)):
        raise Wrong("read otherwise than by PyYAML")


def _strict(node: yaml.Node) -> object:
    """A node's value: scalars as written, no key twice."""
    if isinstance(node, yaml.MappingNode):
        keys = [key.value for key, _ in node.value]
        if len(set(map(str, keys))) < len(keys):
            raise Wrong("a key stands twice")
        return {key: _strict(value) for key, (_, value) in zip(keys, node.value, strict=True)}
    if isinstance(node, yaml.SequenceNode):
        return [_strict(child) for child in node.value]
    return None if node.style is None and node.value in ("", "~", "null") else node.value


WHOLE: dict[str, Callable[[Path], Iterator[bytes]]] = {
    "csv": _whole_csv,
    "parquet": _whole_parquet,
    "yaml": _whole_yaml,
}
