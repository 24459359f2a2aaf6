"""One byte of a file turned over, as a tired disk would do it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from expectations.errors import JifenError
from flows.storage.root import Root
from flows.storage.verify import verify_root

REMARKS = "receipt.json"  # holds times and places that nothing can be held against


def flip(file: Path, rng: random.Random) -> None:
    """Turn over one bit of one byte."""
    content = bytearray(file.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    file.write_bytes(content)


def published_files(root: Root) -> list[Path]:
    """Every file of every revision that has a byte to flip."""
    return sorted(path for path in root.months.rglob("*") if path.is_file() and path.stat().st_size)


def received_files(root: Root) -> list[Path]:
    """Every part of every delivery."""
    files = (path for path in root.raw.rglob("*") if path.is_file() and path.stat().st_size)
    return sorted(path for path in files if path.name != REMARKS)


def is_seal(root: Root, file: Path) -> bool:
    """Whether a file is a revision's manifest or .mac: a broken seal is one finding for all that it vouches for."""
    return file.parent.parent.parent == root.months and file.name in ("manifest.json", ".mac")


def findings(root: Root) -> list[str]:
    """What `jifen verify` reports."""
    try:
        return verify_root(root, root.key())
    except JifenError as error:
        return [f"{error.where} {error.message}"]


def named(root: Root, file: Path, found: Sequence[str]) -> bool:
    """Whether a file is named by a finding; a seal through its revision."""
    inside = file.relative_to(root.path)
    if is_seal(root, file):
        _, month, revision, _ = inside.parts
        places = (f"{month} {revision}：清单", f"{inside.parent}/manifest.json")
        return any(place in text for text in found for place in places)
    begin = (
        f"raw/{'/'.join(inside.parts[1:4])}："
        if inside.parts[0] == "raw"
        else f"{inside.parts[1]} {inside.parts[2]}："
    )
    end = "/".join(inside.parts[4 if inside.parts[0] == "raw" else 3 :])
    return (
        f"{begin}文件 {end} 的内容与{'收到' if inside.parts[0] == 'raw' else '发布'}时不同" in found
    )
