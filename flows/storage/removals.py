"""Removals by rule of retention: what was removed, signed before it is; carried out to the end.

`removals/p1/removal.json` names every file that goes, with its hash, the rule, when and who, with a
MAC; the access log, a signed chain, holds the record's hash. Only then are the files removed. From
the moment that the record is in place they count as removed: a removal that is killed is finished
by the next, and nothing is half there for anybody who asks.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from expectations.errors import ExitCode, JifenError
from flows.city_time import city_now
from flows.storage.deliveries import Delivery
from flows.storage.files import (
    file_record,
    fsync_path,
    hash_file,
    map_in_threads,
    recreate_folder,
    rename_and_sync,
    write_atomically,
    write_synced,
)
from flows.storage.removal_records import RULES, Removal, Rule
from flows.storage.revisions import Revision
from flows.storage.root import Root, list_versions

IDENTIFIED_FOLDERS = ("restricted", "reminders", "exports")
"""The folders of a revision with files that identify people."""
_RECORD, _DONE = "removal.json", "done"


@dataclass(frozen=True)
class PlannedRemoval:
    """What a rule asks to remove now.

    Attributes:
        rule: The rule.
        months: Its value.
        targets: Files and folders, in the root.
        reminder_lists: Name -> the reminder lists among them: which reminders were sent is kept.
    """

    rule: Rule
    months: int
    targets: tuple[Path, ...]
    reminder_lists: Mapping[str, Sequence[Path]]


@dataclass(frozen=True)
class Removals:
    """The removals of a root, asked for what is gone.

    Attributes:
        records: Ascending.
        unfinished: The numbers of those that were interrupted: some of their files are still there.
    """

    records: tuple[Removal, ...]
    unfinished: frozenset[int] = frozenset()

    def find_of_file(self, place: str) -> Removal | None:
        """Return the removal of a file, by its path in the root."""
        return next((one for one in reversed(self.records) if place in one.files), None)

    def find_of_revision(self, revision: Revision) -> Removal | None:
        """Return the removal of what identifies people in a revision, or in that it was made of.

        Not that of pseudonyms of an older key: what identifies people is still there.
        """
        names = [revision.name, *revision.manifest.renewed_from]
        found = (self._find_below(f"months/{name}/") for name in names)
        return next((one for one in found if one), None)

    def find_of_delivery(self, delivery: Delivery) -> Removal | None:
        """Return the removal of a delivery as it was received."""
        return self._find_below(f"raw/{delivery.month}/{delivery.source}/d{delivery.number}/")

    def find_of_inputs(self, revision: Revision) -> Removal | None:
        """Return a removal of deliveries that a revision was made from."""
        folders = (
            f"raw/{used['month']}/{used['source']}/d{used['number']}/"
            for used in revision.manifest.deliveries
        )
        return next((found for one in folders if (found := self._find_below(one))), None)

    def _find_below(self, folder: str) -> Removal | None:
        for record in reversed(self.records):
            if record.rule == "rekey":
                continue
            if any(target.startswith(folder) for target in record.targets):
                return record
        return None


def load_removals(root: Root, key: bytes) -> Removals:
    """Return the removals of a root.

    Raises:
        JifenError: Exit 15, a record is damaged, or not ours.
    """
    keys = root.signing_keys(key)
    records = tuple(_read_record(folder, keys) for _, folder in _list_folders(root))
    return Removals(records, _list_unfinished(root))


def require_identified(root: Root, key: bytes, revision: Revision) -> None:
    """Refuse what needs the identified files of a revision once they are removed.

    Raises:
        JifenError: Exit 2.
    """
    found = load_removals(root, key).find_of_revision(revision)
    if found:
        raise JifenError(
            ExitCode.USAGE,
            f"{revision.name} 中{RULES['identified']}{found.describe()}，不能再查询或送交个人的结果",
            hint="匿名的积分和指标数据仍在，可用 jifen sql 查询",
        )


def refuse_removed_inputs(
    root: Root, key: bytes, revision: Revision | None, deliveries: Iterable[Delivery]
) -> None:
    """Refuse to run a month once more whose inputs, or whose own lists of people, are removed.

    Args:
        root: The root.
        key: Its key.
        revision: The month's revision in force; None before there is one.
        deliveries: What the month would be made from.

    Raises:
        JifenError: Exit 2.
    """
    removals = load_removals(root, key)
    gone = {
        f"{one.source} {one.month}": found
        for one in deliveries
        if (found := removals.find_of_delivery(one))
    }
    own = removals.find_of_revision(revision) if revision else None
    if not gone and not own:
        return
    if gone:
        names = list(gone)
        more = f" 等 {len(names)} 份" if len(names) > 3 else ""
        what = f"所用的交付 {'、'.join(names[:3])}{more}{gone[names[0]].describe()}"
    else:
        assert own
        what = f"该月{RULES['identified']}{own.describe()}"
    hint = "已发布的修订版仍有效；要按更正后的数据计分，请在仍保留的月份重新运行"
    raise JifenError(ExitCode.USAGE, f"不能重新计算：{what}", hint=hint)


def list_sent_files(root: Root, key: bytes) -> list[Path]:
    """Return the files that say which reminders of removed lists were sent.

    Raises:
        JifenError: Exit 15, one is not what was kept.
    """
    found = []
    removals = load_removals(root, key)
    for record in removals.records:
        for name, digest in record.kept.items():
            place = f"removals/p{record.number}/{name}"
            if removals.find_of_file(place):  # by a change of the key, with its numbers anew
                continue
            file = root.path / place
            if not file.is_file() or hash_file(file) != digest:
                raise _damage_error(file, "清理时保留的提醒编号已损坏")
            found.append(file)
    return found


def begin_removal(root: Root, key: bytes, planned: PlannedRemoval, kept: Path) -> Removal:
    """Put the signed record of a removal in place; nothing is removed yet.

    The caller holds the root's lock, and no removal is unfinished.

    Args:
        root: The root.
        key: Its key.
        planned: What is to be removed.
        kept: A folder with the files that stay beside the record; it becomes the removal's.
    """
    number = max((number for number, _ in _list_folders(root)), default=0) + 1
    files = [file for target in planned.targets for file in _list_files(target)]
    names = [file.relative_to(root.path).as_posix() for file in files]
    stay = sorted(kept.iterdir())
    record = Removal(
        number=number,
        rule=planned.rule,
        months=planned.months,
        at=city_now(),
        by=root.operator.name,
        account=root.operator.account,
        targets=[target.relative_to(root.path).as_posix() for target in planned.targets],
        files=dict(zip(names, map_in_threads(file_record, files), strict=True)),
        kept=dict(zip((file.name for file in stay), map_in_threads(hash_file, stay), strict=True)),
    )
    signed = record.model_copy(update={"mac": record.compute_mac(key)})
    write_synced(kept / _RECORD, signed.to_json())
    map_in_threads(fsync_path, [*stay, kept])
    root.removals.mkdir(mode=0o700, exist_ok=True)
    rename_and_sync(kept, root.removals / f"p{number}")
    return signed


def prepare_kept_folder(root: Root) -> Path:
    """Return an empty folder for what a removal keeps."""
    return recreate_folder(root.tmp / "removal")


def finish_removals(root: Root, key: bytes) -> list[Removal]:
    """Note and carry out every removal that is not finished; return those.

    The caller holds the root's lock.

    Raises:
        JifenError: Exit 15, a record is damaged, or not ours.
    """
    finished = []
    for number, folder in _list_folders(root):
        if (folder / _DONE).exists():
            continue
        record = _read_record(folder, root.signing_keys(key))
        if number not in _list_logged(root):
            facts = {"rule": record.rule, "months": record.months, "files": len(record.files)}
            digest = hash_file(folder / _RECORD)
            root.access_log("prune", removal=number, sha256=digest, **facts)
        for target in record.targets:
            _remove(root.path / target)
        write_atomically(folder / _DONE, b"")
        finished.append(record)
    return finished


def inspect_removals(root: Root, key: bytes) -> tuple[Removals, list[str]]:
    """Return the removals that are as they were noted, and a sentence for each that is not."""
    logged, present = _list_logged(root), dict(_list_folders(root))
    keys, removed = root.signing_keys(key), _list_removed_places(root)
    valid: list[Removal] = []
    damage = [
        f"removals/p{number}：访问记录中有这次清理，记录不见了"
        for number in sorted(logged.keys() - present.keys())
    ]
    for number, folder in present.items():
        place = f"removals/p{number}"
        try:
            record = _read_record(folder, keys)
        except JifenError as error:
            damage.append(f"{place}：{error.message}")
            continue
        digest, is_done = hash_file(folder / _RECORD), (folder / _DONE).exists()
        if record.number != number or logged.get(number, digest if not is_done else "") != digest:
            damage.append(f"{place}：访问记录中没有这次清理")
            continue
        valid.append(record)
        if not is_done and not root.held():
            damage.append(f"{place}：清理没有完成，再运行 jifen prune 即可")
        damage += [
            f"{place}/{name}：内容与清理时不同"
            for name, kept in record.kept.items()
            if f"{place}/{name}" not in removed
            and (not (folder / name).is_file() or hash_file(folder / name) != kept)
        ]
    return Removals(tuple(valid), _list_unfinished(root)), damage


def explain_removed_file(
    removals: Removals, place: str, sha256: str, *, is_there: bool
) -> tuple[bool, str]:
    """Return whether a rule removed a file, and what is wrong with that; empty if nothing is.

    Args:
        removals: The removals of the root.
        place: The file, by its path in the root.
        sha256: What was recorded of it when it was published or received.
        is_there: Whether it is there.
    """
    found = removals.find_of_file(place)
    if found is None:
        return False, ""
    if is_there and found.number not in removals.unfinished:
        return True, f"{found.describe()}，却仍在"
    if found.files[place].get("sha256") != sha256:
        return True, "在清理时已与原来的不同"
    return True, ""


def _list_folders(root: Root) -> list[tuple[int, Path]]:
    return list_versions(root.removals, "p") if root.removals.is_dir() else []


def _list_unfinished(root: Root) -> frozenset[int]:
    return frozenset(n for n, folder in _list_folders(root) if not (folder / _DONE).exists())


def _list_logged(root: Root) -> dict[int, str]:
    """Return by number the hashes of the records that the access log proves."""
    log = root.open_access_log()
    return {
        int(entry.values["removal"]): str(entry.values["sha256"])
        for entry in log.read_entries()
        if entry.values.get("action") == "prune" and log.is_authentic(entry.values)
    }


def _list_removed_places(root: Root) -> set[str]:
    """Return the files that removals name, whether their records are valid or not."""
    found: set[str] = set()
    for _, folder in _list_folders(root):
        with suppress(OSError, ValueError):
            found |= Removal.from_json((folder / _RECORD).read_bytes()).files.keys()
    return found


def _read_record(folder: Path, keys: Sequence[bytes]) -> Removal:
    try:
        record = Removal.from_json((folder / _RECORD).read_bytes())
    except (OSError, ValueError):
        record = None
    if record is None or not any(map(record.is_authentic, keys)):
        raise _damage_error(folder / _RECORD, "清理记录已损坏，或与校验码不符")
    return record


def _damage_error(where: Path, what: str) -> JifenError:
    return JifenError(ExitCode.DAMAGE, what, where=str(where), hint="从备份恢复这个文件夹")


def _list_files(target: Path) -> Iterable[Path]:
    if target.is_dir() and not target.is_symlink():
        return sorted(one for one in target.rglob("*") if one.is_symlink() or not one.is_dir())
    return [target]


def _remove(path: Path) -> None:
    """Remove a file, or a folder with all that it holds, or what is left of it."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    if path.parent.is_dir():
        fsync_path(path.parent)
