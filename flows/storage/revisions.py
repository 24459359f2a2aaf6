"""Published revisions: list, resolve, read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from expectations.errors import ExitCode, JifenError
from expectations.month import Month
from flows.storage.records import Manifest
from flows.storage.root import Root, list_months, list_versions

MANIFEST, MAC = "manifest.json", ".mac"


@dataclass(frozen=True)
class Revision:
    """A published revision of a month, in force or replaced; in `months/<month>/r<number>`."""

    month: Month
    number: int
    path: Path
    manifest: Manifest

    @property
    def name(self) -> str:
        """Its name, `2024-03/r1`."""
        return f"{self.month}/r{self.number}"


def list_revisions(root: Root, month: Month) -> list[Revision]:
    """Return every revision of a month, ascending.

    Raises:
        JifenError: Exit 15, a manifest cannot be read.
    """
    return [
        read_revision(month, number, path)
        for number, path in list_versions(root.months / str(month), "r")
    ]


def next_revision_number(root: Root, month: Month) -> int:
    """Return the number that the month's next revision will have."""
    return max((known for known, _ in list_versions(root.months / str(month), "r")), default=0) + 1


def find_published(root: Root, month: Month) -> Revision | None:
    """Return the revision in force, None where the month is not published.

    Raises:
        JifenError: Exit 15, the link or the manifest is damaged.
    """
    link = root.published / str(month)
    if not link.is_symlink():
        return None
    for number, path in list_versions(root.months / str(month), "r"):
        if link.readlink() == link_target(month, number):
            return read_revision(month, number, path)
    raise JifenError(
        ExitCode.DAMAGE,
        f"{month} 的发布链接指向不存在的修订版",
        where=str(link),
        hint="从备份恢复该月的文件夹",
    )


def list_published_months(root: Root) -> list[Month]:
    """Return the months that have a revision in force, ascending."""
    return [
        month for month in list_months(root.published) if (root.published / str(month)).is_symlink()
    ]


def is_stale(root: Root, revision: Revision) -> bool:
    """Return whether the previous month was published again after this one was compared with it."""
    before = find_published(root, revision.month - 1)
    current = before.name if before else None
    manifest = revision.manifest
    return manifest.knows_comparison and manifest.compared_with != current


def read_revision(month: Month, number: int, path: Path) -> Revision:
    """Return a revision from its folder.

    Raises:
        JifenError: Exit 15, the manifest is missing or damaged.
    """
    try:
        manifest = Manifest.from_json((path / MANIFEST).read_bytes())
    except (OSError, ValueError):
        hint = "从备份恢复；运行 jifen verify 查看全部损坏"
        where = str(path / MANIFEST)
        raise JifenError(ExitCode.DAMAGE, "清单缺失或已损坏", where=where, hint=hint) from None
    return Revision(month, number, path, manifest)


def link_target(month: Month, number: int) -> Path:
    """Return what `published/<month>` links to: relative, so that a root can be moved."""
    return Path("..") / "months" / str(month) / f"r{number}"


def find_revision(root: Root, month: Month | None) -> Revision:
    """Return the revision in force of a month, by default of the newest one.

    Raises:
        JifenError: Exit 2, nothing is published by this name.
    """
    months = list_published_months(root)
    if not months:
        raise JifenError(
            ExitCode.USAGE, "还没有发布任何月份", where=str(root.path), hint="先运行 jifen run"
        )
    revision = find_published(root, month or months[-1])
    if revision is None:
        raise JifenError(
            ExitCode.USAGE, f"{month} 没有发布", hint=f"已发布：{'、'.join(map(str, months))}"
        )
    return revision


def find_clean_folders(kind: Path, revision: Revision) -> dict[str, list[Path]]:
    """Return by source the folders of the deliveries that a revision used.

    Args:
        kind: The root's `clean` or `quarantine`.
        revision: The revision.
    """
    folders: dict[str, list[Path]] = {}
    for used in revision.manifest.deliveries:
        folder = kind / used["source"] / f"received={used['month']}" / f"d{used['number']}"
        folders.setdefault(used["source"], []).append(folder)
    return folders


def find_named_revision(root: Root, name: str | None) -> Revision:
    """Return the revision that people name: `2024-03`, the one in force; `2024-03/r1`, that one.

    By default that of the newest month.

    Raises:
        JifenError: Exit 2, it is no such name, or nothing is published by it.
    """
    if name is None:
        return find_revision(root, None)
    match = re.fullmatch(r"([0-9]{4}-[0-9]{2})(?:/r([1-9][0-9]*))?", name)
    try:
        month = Month.parse(match[1]) if match else None
    except ValueError:
        month = None
    if match is None or month is None:
        hint = "写成 2021-10 或 2021-10/r1"
        raise JifenError(ExitCode.USAGE, f"{name!r} 不是月份或修订版", hint=hint)
    if match[2] is None:
        return find_revision(root, month)
    known = {revision.number: revision for revision in list_revisions(root, month)}
    if int(match[2]) not in known:
        listed = "、".join(f"{month}/r{number}" for number in known) or "无"
        raise JifenError(ExitCode.USAGE, f"没有 {name} 这个修订版", hint=f"已有的修订版：{listed}")
    return known[int(match[2])]
