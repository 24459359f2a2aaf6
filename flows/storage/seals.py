"""Seals: what working files held when Jifen wrote them, with a MAC by the root's key.

Clean rows, incremental state and the catalogue can be made again at any time, so that no manifest
names them; but months are computed from them, and people read them. A seal names every file with
its hash, and the place for which it was made; only who has the root's key can make one.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from flows.storage.files import hash_file, map_in_threads, to_canonical_json, write_atomically
from flows.storage.keys import compute_mac
from flows.storage.records import Record
from flows.storage.root import Root

_FILE = "seal.json"


class SealRecord(Record):
    """`seal.json`: the place, the SHA-256 of every file by its path, and the MAC of both."""

    place: str
    files: dict[str, str]
    mac: str


@dataclass(frozen=True)
class Seal:
    """What is sealed.

    Attributes:
        folder: Where the files lie.
        place: The folder relative to the root, where it will lie when it is read; or a name.
        names: Files of a folder that holds others as well; None: all that the folder holds.
    """

    folder: Path
    place: str
    names: tuple[str, ...] | None = None

    @property
    def file(self) -> Path:
        """Where the seal itself is."""
        return self.folder / (_FILE if self.names is None else f"{self.place}.{_FILE}")

    @property
    def is_behind_link(self) -> bool:
        """Whether the folder, or one between it and the root, is a link."""
        depth = 0 if self.names else len(Path(self.place).parts)
        return any(one.is_symlink() for one in (self.folder, *self.folder.parents)[:depth])

    def write(self, key: bytes) -> None:
        """Seal the files as they are."""
        names = self._list_names()
        hashes = dict(zip(names, _hash_files(self.folder, names), strict=True))
        mac = _compute_mac(key, self.place, hashes)
        record = SealRecord(place=self.place, files=hashes, mac=mac)
        write_atomically(self.file, record.to_json())

    def renew(self, former: Sequence[bytes], key: bytes) -> None:
        """Sign what one of the former keys has sealed with the key; the files are not read.

        A seal that is missing or unreadable stays as it is: `find_damage` names it.

        Raises:
            OSError: The seal cannot be written.
        """
        try:
            seal = SealRecord.from_json(self.file.read_bytes())
        except (OSError, ValueError):
            return
        macs = (_compute_mac(one, seal.place, seal.files) for one in former)
        if seal.place == self.place and any(hmac.compare_digest(seal.mac, mac) for mac in macs):
            mac = _compute_mac(key, seal.place, seal.files)
            write_atomically(self.file, seal.model_copy(update={"mac": mac}).to_json())

    def find_damage(
        self, key: bytes, *, compares: Callable[[str], bool] = lambda name: True
    ) -> str | None:
        """Return in a few words what is wrong with the files or the seal; None if nothing is.

        `compares`: whether the bytes of a file are compared; which files there are always is.
        """
        if self.is_behind_link:
            return "是链接，不是文件夹"
        try:
            seal = SealRecord.from_json(self.file.read_bytes())
        except FileNotFoundError:
            return "没有校验记录"
        except (OSError, ValueError):
            return "校验记录已损坏"
        expected = _compute_mac(key, seal.place, seal.files)
        if seal.place != self.place or not hmac.compare_digest(seal.mac, expected):
            return "校验记录与密钥不符"
        found = set(self._list_names())
        if found != set(seal.files):
            return f"多出或缺少文件：{'、'.join(sorted(found ^ set(seal.files))[:3])}"
        compared = sorted(filter(compares, seal.files))
        for name, digest in zip(compared, _hash_files(self.folder, compared), strict=True):
            if digest != seal.files[name]:
                return f"文件 {name} 的内容与写成时不同"
        return None

    def _list_names(self) -> list[str]:
        """Return the files, and whatever else is no folder, but the seal; ascending."""
        if self.names is not None:
            return sorted(name for name in self.names if (self.folder / name).exists())
        paths = (item for item in self.folder.rglob("*") if item.is_symlink() or not item.is_dir())
        return sorted(
            path.relative_to(self.folder).as_posix() for path in paths if path != self.file
        )


def seal_of_delivery(root: Root, clean: Path) -> Seal:
    """Return the seal of a delivery's clean rows and their account."""
    return Seal(clean, clean.relative_to(root.path).as_posix())


def list_catalogue_seals(root: Root) -> list[Seal]:
    """Return the seals of the catalogues; a `.wal` beside one would be part of it."""
    return [
        Seal(root.path, file.stem, (file.name, f"{file.name}.wal", file.with_suffix(".sql").name))
        for file in (root.catalogue, root.exact_catalogue)
    ]


def _compute_mac(key: bytes, place: str, hashes: dict[str, str]) -> str:
    content = to_canonical_json({"place": place, "files": hashes})
    return compute_mac(key, b"jifen seal\n" + content).decode()


def _hash_files(folder: Path, names: Sequence[str]) -> list[str]:
    """Return the hashes; empty for what is no plain file."""
    return map_in_threads(
        lambda path: "" if path.is_symlink() or not path.is_file() else hash_file(path),
        [folder / name for name in names],
    )
