"""The encoding of a text file is found strictly, and texts that were decoded wrongly are refused."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from transforms.clean.encodings import (
    AmbiguousEncodingError,
    EncodingError,
    ForbiddenEncodingError,
    decode_chunks,
    find_encoding,
    refuse_mojibake,
)

COMMON = [bytes([a, b]).decode("gbk") for a in range(0xB0, 0xD7) for b in range(0xA1, 0xFF)]


def chinese_lines(count: int, seed: int = 1) -> list[str]:
    draw = random.Random(seed)
    return [
        f"P{n},{''.join(draw.choices(COMMON, k=3))},本科,{''.join(draw.choices(COMMON, k=9))}"
        for n in range(count)
    ]


def find(path: Path, content: bytes, allowed: str | None = None, *, known: bool = True) -> str:
    path.write_bytes(content)
    return find_encoding(path, lambda text: known and "编号" in text, allowed)


TEXT = "\n".join(["编号,姓名,学历,小区", *chinese_lines(300), ""])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
def test_every_encoding_is_found_by_itself(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "table.csv"
    found = find(path, TEXT.encode(encoding))
    assert found == encoding.removesuffix("-sig")
    assert "".join(decode_chunks(path, found)) == TEXT


def test_gb18030_is_taken_only_with_known_columns(tmp_path: Path) -> None:
    with pytest.raises(EncodingError, match="没有认识的列"):
        find(tmp_path / "table.csv", TEXT.encode("gb18030"), known=False)


def test_utf8_with_a_few_broken_lines_is_not_read_as_gb18030(tmp_path: Path) -> None:
    lines = [line.encode() for line in TEXT.splitlines()]
    lines[7] = lines[7].decode().encode("gb18030")
    with pytest.raises(EncodingError, match="大部分是 UTF-8"):
        find(tmp_path / "table.csv", b"\n".join(lines))


def test_utf16_without_a_mark_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EncodingError, match="UTF-16"):
        find(tmp_path / "table.csv", "a,b\n1,2\n".encode("utf-16-le"))


@pytest.mark.parametrize(("encoding", "allowed"), [("utf-8", "gb18030"), ("gb18030", "utf-8")])
def test_the_setting_forbids_other_encodings_and_names_both(
    tmp_path: Path, encoding: str, allowed: str
) -> None:
    with pytest.raises(ForbiddenEncodingError, match=f"编码是 {encoding}，而设置只准许 {allowed}"):
        find(tmp_path / "table.csv", TEXT.encode(encoding), allowed)


@pytest.mark.parametrize("text", ["志", "志愿", "P,志\nQ,愿"])
def test_what_reads_in_two_encodings_is_refused_unless_set(tmp_path: Path, text: str) -> None:
    path = tmp_path / "table.csv"
    with pytest.raises(AmbiguousEncodingError):
        find(path, f"a,b\n{text}\n".encode("gb18030"))
    for allowed in ("gb18030", "utf-8"):
        assert find(path, f"a,b\n{text}\n".encode("gb18030"), allowed) == allowed
    assert find(path, f"a,b\n{text}\n".encode()) == "utf-8"
    assert find(path, "a,b\nJosé,Müller\n".encode()) == "utf-8"


def test_plain_ascii_is_in_any_encoding(tmp_path: Path) -> None:
    assert find(tmp_path / "table.csv", b"a,b\n1,2\n", "gb18030") == "utf-8"


def test_a_character_cut_by_a_chunk_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for chunk in (1, 2, 3, 5):
        monkeypatch.setattr("transforms.clean.encodings._CHUNK", chunk)
        (tmp_path / "table.csv").write_bytes("编号𠮷中é\n".encode())
        assert find_encoding(tmp_path / "table.csv", lambda text: True) == "utf-8"


def test_codes_changed_in_2022_are_read_as_assigned(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(b"\xfe\x59\n")
    assert "".join(decode_chunks(path, "gb18030")) == "\u9fb4\n"


MISREAD = [("utf-8", "gb18030"), ("utf-8", "cp1252"), ("utf-8", "latin-1"), ("gbk", "latin-1")]


@pytest.mark.parametrize(("truth", "wrong"), MISREAD)
@pytest.mark.parametrize("errors", ["replace", "ignore"])
def test_texts_that_were_decoded_wrongly_are_refused(truth: str, wrong: str, errors: str) -> None:
    lines = [line.encode(truth).decode(wrong, errors) for line in chinese_lines(200)]
    with pytest.raises(EncodingError, match="乱码"):
        refuse_mojibake(lines)
    refuse_mojibake(chinese_lines(200) + lines[:2])


@pytest.mark.parametrize("encoding", ["ascii", "big5", "cp1252"])
def test_texts_that_an_encoding_could_not_hold_are_refused(encoding: str) -> None:
    lines = [line.encode(encoding, "replace").decode(encoding) for line in chinese_lines(200)]
    with pytest.raises(EncodingError, match="乱码"):
        refuse_mojibake(lines)


def test_real_chinese_is_no_mojibake() -> None:
    refuse_mojibake(chinese_lines(2000, seed=7))
    refuse_mojibake([f"P{n},é,Ünal,Müller" for n in range(200)])
