"""The search for people finds one leak in each kind of file, and nothing where there is nothing."""

from __future__ import annotations

import base64
import bz2
import gzip
import json
import lzma
import sqlite3
import zipfile
from collections.abc import Callable
from pathlib import Path

import duckdb
import openpyxl
import pytest

from tests.support.leaks import Person, leaks, leaks_below, sought

ANN = Person("33020319850412103X", "欧阳明玥", "13957423871")
SOUGHT = sought([ANN])
ID, NAME, PHONE = ANN.resident_id, str(ANN.name), str(ANN.phone)
FAKE = "110101200001010009"  # people who are not sought


def parquet(select: str) -> Callable[[Path], object]:
    return lambda path: duckdb.sql(
        f"COPY ({select} FROM range(3000)) TO '{path}' (FORMAT parquet, COMPRESSION zstd)"
    )


def database(*statements: str) -> Callable[[Path], object]:
    def make(path: Path) -> None:
        with duckdb.connect(str(path)) as connection:
            for statement in statements:
                connection.execute(statement)

    return make


def sqlite(path: Path) -> None:
    """Across the pages of the file, where the bytes alone do not show it."""
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE state (message)")
        connection.execute("INSERT INTO state VALUES (?)", ["x" * 4050 + NAME * 40])
    connection.close()


def zipped(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inside.json.gz", gzip.compress(json.dumps({"who": NAME}).encode()))


def workbook(path: Path) -> None:
    book = openpyxl.Workbook()
    book.worksheets[0].append(["x", NAME])
    book.save(path)


def text(content: str, encoding: str = "utf-8") -> Callable[[Path], object]:
    return lambda path: path.write_text(content, encoding=encoding)


def binary(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


PLANTED: dict[str, Callable[[Path], object]] = {
    "parquet, a string": parquet(
        f"SELECT CASE range WHEN 1500 THEN '{ID}' ELSE md5(range::VARCHAR) END AS a"
    ),
    "parquet, the same in every row": parquet(f"SELECT '{NAME}' AS a"),
    "parquet, nested": parquet(
        f"SELECT [{{'case': 'K' || range, 'note': CASE range WHEN 7 THEN '{PHONE}' END}}] AS a"
    ),
    "parquet, a number": parquet(f"SELECT range + {ID[:17]} - 1500 AS a"),
    "parquet, a column": parquet(f'SELECT range AS "{NAME}"'),
    "duckdb, a table": database(
        f"CREATE TABLE t AS SELECT CASE range WHEN 9000 THEN '{ID}' ELSE '{FAKE}' END AS a FROM range(20000)",
        "CHECKPOINT",
    ),
    "duckdb, a comment": database("CREATE TABLE t (a INT)", f"COMMENT ON COLUMN t.a IS '{NAME}'"),
    "duckdb, a view": database(f"CREATE VIEW v AS SELECT '{PHONE[:6]}' || '{PHONE[6:]}' AS a"),
    "sqlite": sqlite,
    "html": text("<p>居民 " + "".join(f"&#{ord(letter)};" for letter in NAME) + "</p>"),
    "html, in two elements": text(f"<td>{ID[:9]}<b>{ID[9:]}</b></td>"),
    "json": text(json.dumps({"error": f"could not convert {NAME}"})),
    "log": text(f"2021-10-01 INFO row 7: {ID} refused\n"),
    "log, GB18030": text(f"姓名 {NAME}", "gb18030"),
    "log, without the check character": text(f"person={ID[:17]}"),
    "log, 15 digits": text(f"旧号码 {ID[:6]}{ID[8:17]}"),
    "log, in groups": text(f"{ID[:6]} {ID[6:14]} {ID[14:]}"),
    "log, small x": text(ID.lower()),
    "log, part of a phone": text(f"****{PHONE[-9:]}"),
    "log, repr of bytes": text(repr(NAME.encode())),
    "log, UTF-16": text(f"{NAME} {ID}", "utf-16"),
    "gz": binary(gzip.compress(ID.encode())),
    "bz2": binary(bz2.compress(ID.encode())),
    "xz": binary(lzma.compress(ID.encode())),
    "zip, gz inside": zipped,
    "xlsx": workbook,
    "base64": text("result: " + base64.b64encode(f"..{NAME}..".encode()).decode()),
}


@pytest.mark.promise("sources-152", "the search itself finds planted leaks")
@pytest.mark.parametrize("kind", PLANTED)
def test_a_leak_is_found(kind: str, tmp_path: Path) -> None:
    PLANTED[kind](tmp_path / "file")
    assert leaks((tmp_path / "file").read_bytes(), SOUGHT)
    assert leaks_below(tmp_path, SOUGHT, lambda path: False)
    assert not leaks_below(
        tmp_path,
        sought([Person("330206199912319998", "慕容无忌", "18867112233")]),
        lambda path: False,
    )


def test_a_leak_in_a_name_of_a_file_is_found(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    (tmp_path / NAME / "empty").touch()
    assert leaks_below(tmp_path, SOUGHT, lambda path: False) == [f"{NAME}/empty: name"]


def test_a_leak_in_the_sqlite_write_ahead_log_is_found(tmp_path: Path) -> None:
    """Prefect's database is one with a write-ahead log; what a killed run leaves is in the log only."""
    connection = sqlite3.connect(tmp_path / "prefect.db")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE state (message)")
    connection.execute("INSERT INTO state VALUES (?)", ["x" * 4050 + PHONE * 400])
    connection.commit()
    assert PHONE.encode() not in (tmp_path / "prefect.db").read_bytes()
    assert "prefect.db: phone" in leaks_below(tmp_path, SOUGHT, lambda path: False)
    connection.close()


def test_folders_that_may_hold_people_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "a.csv").write_text(ID)
    assert leaks_below(tmp_path, SOUGHT, lambda path: path == Path("raw")) == []


@pytest.mark.parametrize("content", [b"\x28\xb5\x2f\xfd rest", b"age-encryption.org/v1\n"])
def test_an_unreadable_format_fails_the_leak_check(content: bytes) -> None:
    with pytest.raises(AssertionError, match="cannot be looked into"):
        leaks(content, SOUGHT)
