"""The encoding of a delivered text file, found strictly: UTF-8, UTF-16 with a mark, GB18030."""

from __future__ import annotations

import codecs
import re
import struct
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

import pyarrow as pa

ENCODINGS = ("utf-8", "utf-16", "gb18030")
_CHUNK = 4 << 20
_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# Python decodes these two-byte codes as GB 18030-2005 did, to private characters. GB 18030-2022
# (its appendix of changed codes) assigns them.
_ASSIGNED_IN_2022 = str.maketrans(
    "\ue78d\ue78e\ue78f\ue790\ue791\ue792\ue793\ue794\ue795\ue796"
    "\ue81e\ue826\ue82b\ue82c\ue832\ue843\ue854\ue864",
    "\ufe10\ufe12\ufe11\ufe13\ufe14\ufe15\ufe16\ufe17\ufe18\ufe19"
    "\u9fb4\u9fb5\u9fb6\u9fb7\u9fb8\u9fb9\u9fba\u9fbb",
)
_CHANGED_IN_2022 = re.compile("[\ue78d-\ue796\ue81e-\ue864]")
# Of lines in real GB18030 hardly any is valid UTF-8 by chance: with three characters one in 400.
_MIN_CHINESE = 9  # bytes beyond ASCII from which a line says something
_MAX_SHARE = 0.02  # of lines that may look wrong by chance
_SAMPLED_LINES = 2000  # of each chunk
_ASCII = bytes(range(128))
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]+")
_CHINESE = re.compile("[\u3000-\u303f\u3400-\u9fff\uff00-\uffef]")
_LONGER_UTF8 = re.compile(rb"[\xe0-\xff]")
_BEYOND_ASCII_BYTES = re.compile(rb"[A-Za-z]?[\x80-\xff]+")
_HANZI_BYTES = re.compile(rb"(?:[\xb0-\xf7][\xa1-\xfe])+")
# What programs write in place of bytes that they cannot decode, or of characters that they cannot
# encode.
_LOST = ("\ufffd", "锟斤拷", "??")
# Windows' Western code page; bytes that it does not assign are taken as they are.
_LATIN_BYTES = {chr(place): place for place in range(128, 256)} | {
    character: place
    for place in range(128, 256)
    if (character := bytes([place]).decode("cp1252", "ignore"))
}


class EncodingError(Exception):
    """Why a text file cannot be decoded, in words for people that quote nobody."""


class AmbiguousEncodingError(EncodingError):
    """A file can be read in two encodings, with different texts."""


class ForbiddenEncodingError(EncodingError):
    """A file is in another encoding than the only one that the settings accept."""


def find_encoding(
    path: Path, has_known_columns: Callable[[str], bool], allowed: str | None = None
) -> str:
    """Return the one of ENCODINGS that a text file is in.

    The beginning shows it, unless it is plain ASCII. That a file can be decoded to its end shows when
    it is read.

    Args:
        path: The file.
        has_known_columns: Whether the beginning of the text, decoded, has declared columns.
        allowed: The only encoding that is accepted; None for any.

    Raises:
        EncodingError: It is in none of them, or not in the allowed one.
    """
    found = _find_encoding(path, has_known_columns)
    if found == "utf-8" and _is_ambiguous(path):
        if allowed is None:
            raise AmbiguousEncodingError("按 UTF-8、GB18030 都读得通，无法判断是哪一种")
        return allowed
    if allowed not in (None, found) and not _is_ascii(path):
        raise ForbiddenEncodingError(f"编码是 {found}，而设置只准许 {allowed}")
    return found


def _find_encoding(path: Path, has_known_columns: Callable[[str], bool]) -> str:
    with path.open("rb") as file:
        head = file.read(_CHUNK)
    if head.startswith(_UTF16_MARKS):
        return "utf-16"
    if head[:1000].count(b"\0") > len(head[:1000]) // 5:
        raise EncodingError("像是没有字节序标记的 UTF-16，请另存为 UTF-8")
    cut = _whole_characters(head)
    if (not head.isascii() and is_utf8(head[:cut])) or _is_utf8_file(path):
        return "utf-8"
    if _is_mostly_utf8(path):
        raise EncodingError("大部分是 UTF-8 编码，其中混有其他编码或残缺的字符")
    if not has_known_columns(_decode_head(head, "gb18030")):
        raise EncodingError("不是 UTF-8 编码；按 GB18030 读，又没有认识的列")
    return "gb18030"


def _is_utf8_file(path: Path) -> bool:
    rest = b""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            data = rest + chunk
            cut = _whole_characters(data)
            if not is_utf8(data[:cut]):
                return False
            rest = data[cut:]
    return not rest


def _whole_characters(data: bytes) -> int:
    """Return where the last character of a text in UTF-8 begins, if it may be cut off there."""
    for place in range(len(data) - 1, max(len(data) - 4, -1), -1):
        if data[place] >= 0xC0:
            return place
        if data[place] < 0x80:
            break
    return len(data)


def is_utf8(data: bytes) -> bool:
    """Return whether bytes are UTF-8, which Arrow checks several times as fast as Python decodes."""
    offsets = pa.py_buffer(struct.pack("=qq", 0, len(data)))
    try:
        pa.Array.from_buffers(pa.large_string(), 1, [None, offsets, pa.py_buffer(data)]).validate(
            full=True
        )
    except pa.ArrowInvalid:
        return False
    return True


def _is_ambiguous(path: Path) -> bool:
    """Return whether what reads as UTF-8 without any Chinese would be Chinese in GB18030.

    Two bytes of a Chinese character may be a letter of Greek or Hebrew in UTF-8. A letter that
    stands by an English one belongs to it.
    """
    with path.open("rb") as file:
        head = file.read(_CHUNK)
    if _LONGER_UTF8.search(head):
        return False
    runs = _BEYOND_ASCII_BYTES.findall(head)
    return bool(runs) and all(_HANZI_BYTES.fullmatch(run) for run in runs)


def _is_ascii(path: Path) -> bool:
    with path.open("rb") as file:
        return all(chunk.isascii() for chunk in iter(lambda: file.read(_CHUNK), b""))


def _decode_head(head: bytes, encoding: str) -> str:
    """Return the beginning of a text, without the character that it may end within."""
    return codecs.getincrementaldecoder(encoding)("replace").decode(head).removeprefix("\ufeff")


def decode_chunks(path: Path, encoding: str, size: int = _CHUNK) -> Iterator[str]:
    """Yield a file's text, chunk by chunk of `size` bytes, without a byte order mark.

    Raises:
        UnicodeDecodeError: It is in another encoding.
    """
    decoder = codecs.getincrementaldecoder("utf-8-sig" if encoding == "utf-8" else encoding)()
    is_first = True
    with path.open("rb") as file:
        while chunk := file.read(size):
            text = decoder.decode(chunk)
            if encoding == "gb18030" and _CHANGED_IN_2022.search(text):
                text = text.translate(_ASSIGNED_IN_2022)
            if is_first and text:
                text, is_first = text.removeprefix("\ufeff"), False
            yield text
        yield decoder.decode(b"", final=True)


def find_undecodable_line(path: Path, encoding: str) -> int | None:
    """Return the first line, from 1, in which a file cannot be decoded; None if all of it can."""
    lines = 0
    try:
        for text in decode_chunks(path, encoding):
            lines += text.count("\n")
    except UnicodeDecodeError as error:
        return lines + error.object[: error.start].count(b"\n") + 1
    return None


def _is_mostly_utf8(path: Path) -> bool:
    """Return whether too many lines beyond ASCII are valid UTF-8 for a file that is in GB18030.

    Some lines of every chunk are looked at, so that one part of another encoding is found.
    """
    chinese = valid = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            for line in chunk.split(b"\n", _SAMPLED_LINES)[1:-1]:
                if len(line.translate(None, _ASCII)) >= _MIN_CHINESE:
                    chinese += 1
                    valid += is_utf8(line)
    return valid > max(1, _MAX_SHARE * chinese)


def refuse_mojibake(lines: Iterable[str]) -> None:
    """Refuse texts that were decoded wrongly and saved so; the first few thousand lines say it.

    Raises:
        EncodingError: Too many of those beyond ASCII are such texts.
    """
    judged = [
        _is_mojibake(line)
        for line in islice(lines, _SAMPLED_LINES)
        if not line.isascii() or "??" in line
    ]
    wrong = sum(judged)
    if wrong > max(2, _MAX_SHARE * len(judged)):
        raise EncodingError(
            f"文字是乱码（查看的 {len(judged):,} 行中有 {wrong:,} 行）："
            "文件按错误的编码打开后又保存过"
        )


def _is_mojibake(line: str) -> bool:
    """Return whether a line holds Chinese that was decoded as something else, or lost characters."""
    return any(sign in line for sign in _LOST) or any(
        _is_chinese(text.encode("gb18030"), "utf-8")
        or any(_is_chinese(_encode_latin(text), right) for right in ("utf-8", "gbk"))
        for text in _BEYOND_ASCII.findall(line)
    )


def _encode_latin(text: str) -> bytes:
    """Return the bytes that a program on Western Windows took for this text; empty if for none."""
    places = [_LATIN_BYTES.get(character) for character in text]
    return b"" if None in places else bytes(place for place in places if place is not None)


def _is_chinese(raw: bytes, encoding: str) -> bool:
    """Return whether bytes are two or more Chinese characters; the last one may be cut off."""
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(raw)
    except UnicodeError:
        return False
    return len(text) > 1 and all(_CHINESE.match(character) for character in text)
