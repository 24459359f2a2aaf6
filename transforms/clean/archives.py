"""Names and wrappings of delivered files: their format, and how a compressed one is unpacked."""

from __future__ import annotations

import gzip
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

import pyarrow as pa

FORMATS = ("csv", "tsv", "parquet", "xlsx")
_COMPRESSED_FORMATS = ("csv", "tsv", "parquet")
_COMPRESSIONS = ("gz", "zst")
ACCEPTED_SUFFIXES = (".csv", ".tsv", ".parquet", ".xlsx", ".gz", ".zst", ".zip")
_CHUNK = 1 << 20
MAX_RATIO = 400  # a file packed tighter than this is no extract; real ones are at 5 to 30
FREE_BELOW = 64 << 20  # unpacked bytes up to which the ratio says nothing


class ArchiveError(Exception):
    """Why a compressed file cannot be read, in words for people that quote nobody."""


@dataclass(frozen=True)
class FileFormat:
    """What a file's name says of it: `format` one of FORMATS, `wrapping` "", "gz", "zst" or "zip".

    A zip's format is that of the one file in it, empty until it has been looked into.
    """

    format: str
    wrapping: str = ""


def parse_file_name(name: str) -> tuple[str, FileFormat] | None:
    """Return the stem and format of a file's name; None for a format that nobody reads."""
    path = PurePosixPath(name)
    suffix = path.suffix.lower().removeprefix(".")
    if suffix in FORMATS:
        return path.stem, FileFormat(suffix)
    if suffix in _COMPRESSIONS:
        inner = PurePosixPath(path.stem)
        inner_format = inner.suffix.lower().removeprefix(".")
        if inner_format in _COMPRESSED_FORMATS:
            return inner.stem, FileFormat(inner_format, suffix)
    if suffix == "zip":
        inner = PurePosixPath(path.stem)  # a zip of `a.csv` is often called `a.csv.zip`
        is_format = inner.suffix.lower().removeprefix(".") in FORMATS
        return inner.stem if is_format else path.stem, FileFormat("", "zip")
    return None


def unpack_file(path: Path, folder: Path) -> tuple[Path, str]:
    """Return a readable file and its format: the file itself, or unpacked as a new one in `folder`.

    Raises:
        ArchiveError: It is damaged, encrypted, larger than can be, or holds not just one file.
    """
    parsed = parse_file_name(path.name)
    if parsed is None:
        raise ArchiveError("不认识的文件格式")
    kind = parsed[1]
    if not kind.wrapping:
        return path, kind.format
    folder.mkdir(parents=True, exist_ok=True)
    with _open_wrapped(path, kind) as (stream, file_format):
        target = folder / f"unpacked.{file_format}"
        packed, unpacked = path.stat().st_size, 0
        try:
            with target.open("wb") as out:
                while chunk := stream.read(_CHUNK):
                    unpacked += len(chunk)
                    if unpacked > max(FREE_BELOW, MAX_RATIO * packed):
                        raise ArchiveError("解压后大得反常")
                    out.write(chunk)
        except (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile, pa.ArrowException):
            raise ArchiveError("压缩文件损坏或不完整") from None
        except OSError as error:
            if error.errno is None:  # of the decompressor, not of the disk
                raise ArchiveError("压缩文件损坏或不完整") from None
            raise
        except RuntimeError:
            raise ArchiveError("压缩文件有密码保护") from None
        return target, file_format


@contextmanager
def _open_wrapped(path: Path, kind: FileFormat) -> Iterator[tuple[IO[bytes] | Any, str]]:
    if kind.wrapping == "gz":
        with gzip.open(path, "rb") as stream:
            yield stream, kind.format
    elif kind.wrapping == "zst":
        with pa.input_stream(str(path), compression="zstd") as stream:
            yield stream, kind.format
    else:
        with _open_zip(path) as archive:
            member, file_format = _find_only_file(archive)
            with archive.open(member) as stream:
                yield stream, file_format


@contextmanager
def _open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, ValueError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise ArchiveError("不是 zip 压缩文件，或文件不完整") from None
    with archive:
        yield archive


def _find_only_file(archive: zipfile.ZipFile) -> tuple[zipfile.ZipInfo, str]:
    """Return the one file of a zip that is delivered, and its format."""
    members = [item for item in archive.infolist() if not _is_by_product(item)]
    if len(members) != 1:
        raise ArchiveError(f"压缩包里应只有一个数据文件，实有 {len(members)} 个")
    if members[0].flag_bits & 1:
        raise ArchiveError("压缩包有密码保护")
    parsed = parse_file_name(members[0].filename)
    if parsed is None or parsed[1].wrapping:
        raise ArchiveError(f"压缩包里的文件应为 {'、'.join(FORMATS)} 格式")
    return members[0], parsed[1].format


def _is_by_product(item: zipfile.ZipInfo) -> bool:
    """Return whether an entry of a zip is a folder, or a file that operating systems add."""
    parts = PurePosixPath(item.filename.replace("\\", "/")).parts
    return item.is_dir() or any(is_dropping(part) for part in parts)


_DROPPINGS = frozenset(
    {
        "thumbs.db", "desktop.ini", "ehthumbs.db", "__macosx", "@eadir", "$recycle.bin",
        "system volume information", "lost+found", "_success", "_metadata", "_common_metadata",
    }
)  # fmt: skip
_DROPPING_STARTS = (".", "~", "_committed_", "_started_", "_temporary")
_TEMPORARY_ENDS = (".tmp", ".temp", ".part", ".partial", ".filepart", ".crdownload", ".download",
                   ".swp", ".bak~", "~")  # fmt: skip


def is_dropping(name: str) -> bool:
    """Return whether a file or folder is known not to be a delivery.

    Desktops, Office, Hadoop, downloads and uploads under way leave such files behind: hidden ones,
    `Thumbs.db`, `~$...`, `_SUCCESS`, `....part`.
    """
    lower = name.lower()
    return (
        lower in _DROPPINGS or lower.startswith(_DROPPING_STARTS) or lower.endswith(_TEMPORARY_ENDS)
    )
