"""Compressed deliveries are unpacked whole, or refused with a reason."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path

import pyarrow as pa
import pytest

from transforms.clean.archives import ArchiveError, is_dropping, parse_file_name, unpack_file

CONTENT = b"a,b\n1,2\n" * 1000


def zipped(**files: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return target.getvalue()


def as_zst(content: bytes) -> bytes:
    return bytes(pa.compress(content, codec="zstd", asbytes=True))


WRAPPED: dict[str, bytes] = {
    "t.csv": CONTENT,
    "T.CSV.GZ": gzip.compress(CONTENT),
    "t.csv.zst": as_zst(CONTENT),
    "t.zip": zipped(**{"另一个名字.csv": CONTENT, "__MACOSX/._x.csv": b"x", "Thumbs.db": b"x"}),
    "t.csv.zip": zipped(**{"folder/t.csv": CONTENT}),
    "t.tsv.gz": gzip.compress(CONTENT),
    "t.parquet.gz": gzip.compress(CONTENT),
}


@pytest.mark.parametrize("name", WRAPPED)
def test_every_wrapping_gives_the_file_in_it(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(WRAPPED[name])
    path, file_format = unpack_file(tmp_path / name, tmp_path / "unpacked")
    assert path.read_bytes() == CONTENT and path.suffix.lower() == f".{file_format}"


REFUSED: dict[str, tuple[str, bytes, str]] = {
    "two files": ("t.zip", zipped(**{"a.csv": b"x", "b.csv": b"y"}), "只有一个数据文件，实有 2 个"),
    "no file": ("t.zip", zipped(**{"Thumbs.db": b"x"}), "实有 0 个"),
    "another format": ("t.zip", zipped(**{"a.doc": b"x"}), "应为 csv"),
    "an archive in it": ("t.zip", zipped(**{"a.csv.gz": b"x"}), "应为 csv"),
    "cut gzip": ("t.csv.gz", gzip.compress(CONTENT)[:-9], "损坏或不完整"),
    "cut zip": ("t.zip", zipped(**{"a.csv": CONTENT})[:-30], "不是 zip"),
    "cut zst": ("t.csv.zst", as_zst(CONTENT)[:-3], "损坏或不完整"),
    "no gzip": ("t.csv.gz", CONTENT, "损坏或不完整"),
    "no zst": ("t.csv.zst", CONTENT, "损坏或不完整"),
    "a bomb": ("t.csv.gz", gzip.compress(bytes(100 << 20)), "大得反常"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_whole_archive_is_refused(tmp_path: Path, what: str) -> None:
    name, content, message = REFUSED[what]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ArchiveError, match=message):
        unpack_file(tmp_path / name, tmp_path / "unpacked")


def test_a_zip_with_a_password_is_refused(tmp_path: Path) -> None:
    content = bytearray(zipped(**{"a.csv": CONTENT}))
    for header, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(header) + flags] = 1
    (tmp_path / "t.zip").write_bytes(content)
    with pytest.raises(ArchiveError, match="密码"):
        unpack_file(tmp_path / "t.zip", tmp_path / "unpacked")


@pytest.mark.parametrize("name", ["a.xls", "a.xlsx.gz", "a.csv.zip.gz", "a.rar", "a", "a.csv.bak"])
def test_a_name_of_another_format_is_none(name: str) -> None:
    assert parse_file_name(name) is None


def test_names_that_programs_leave_behind_are_droppings() -> None:
    names = ["Thumbs.db", ".DS_Store", "~$education.xlsx", "desktop.ini", "a.csv.part", "_SUCCESS"]
    assert all(map(is_dropping, names))
    assert not any(map(is_dropping, ["education.csv", "人社_202112.csv", "a.xls", "202112"]))
