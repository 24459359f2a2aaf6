"""A new key for the root: every month with the pseudonyms of it, what the older one made removed.

The new key is put into the key file in one step; everything after follows from it and from what the
manifests say of their keys, so that a run that was killed is finished by the next: each step looks
for what is left to do (docs/developing/decisions/0018-rekey.md).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from expectations.errors import ExitCode, JifenError
from expectations.month import Month
from flows.pipeline.compute import write_sql
from flows.pipeline.progress import ProgressSink
from flows.pipeline.release import renew_catalogue
from flows.project import Project
from flows.storage.files import recreate_folder
from flows.storage.incremental_state import list_state_seals
from flows.storage.keys import add_key, fingerprint_key, make_key
from flows.storage.publish import find_signing_key, list_files, publish_revision
from flows.storage.records import MonthFacts
from flows.storage.rekeys import FINISHED, STARTED, is_rekey_unfinished
from flows.storage.removals import (
    IDENTIFIED_FOLDERS,
    PlannedRemoval,
    begin_removal,
    finish_removals,
    list_sent_files,
    load_removals,
    prepare_kept_folder,
)
from flows.storage.revisions import (
    MAC,
    MANIFEST,
    Revision,
    find_published,
    list_published_months,
    list_revisions,
    next_revision_number,
)
from flows.storage.root import Root, list_months
from flows.storage.seals import seal_of_delivery
from transforms.engine.session import Session, open_engine
from transforms.renewed_pseudonyms import (
    KeyChange,
    list_keyed_files,
    write_renewed_numbers,
    write_renewed_tables,
)


@dataclass(frozen=True)
class RekeyResult:
    """What depended on an older key.

    Attributes:
        months: The months with a new revision.
        files: How many files of older revisions were removed.
        projects: The projects whose copies in the root were removed.
        builds: Unpublished months whose builds were removed, held ones too.
    """

    months: tuple[Month, ...]
    files: int
    projects: tuple[str, ...]
    builds: tuple[str, ...]


def start_rekey(root: Root, reason: str) -> None:
    """Add a new key to the key file; from then on the rekey is finished by whoever runs next.

    The caller holds the root's lock, and no rekey is unfinished.

    Raises:
        JifenError: Exit 15, a published month is damaged: its rows would be signed anew; exit 1,
            the key file cannot be written.
    """
    keys, new = root.keys(), make_key()
    for month in list_published_months(root):
        _require_undamaged(root, keys, _find_in_force(root, month))
    facts = {"key": fingerprint_key(new), "former": fingerprint_key(keys[-1]), "reason": reason}
    root.access_log(STARTED, **facts)
    add_key(root.key_file, keys, new)


def finish_rekey(root: Root, project: Project, report_progress: ProgressSink) -> RekeyResult | None:
    """Do what a rekey has left to do, and report what was done; None where nothing is left.

    All new revisions are written aside before the first of them is published, and the catalogues
    show the older ones until all are: nobody sees months of two keys. The caller holds the root's
    lock, and no publication and no removal is unfinished.

    Raises:
        JifenError: Exit 15, a month whose pseudonyms are to be renewed is damaged.
    """
    if not is_rekey_unfinished(root):
        return None
    keys, work = root.keys(), recreate_folder(root.tmp / "rekey")
    builds = _remove_builds(root)
    outdated = _list_outdated(root, keys)
    with open_engine(project.settings.engine_settings, root.tmp / "spill") as session:
        for revision in outdated:
            report_progress(f"{revision.month}：匿名标识")
            _require_undamaged(root, keys, revision)
            _write_revision(session, root, keys, revision, work / str(revision.month))
    for revision in outdated:
        facts = _renew_facts(root, revision)
        publish_revision(root, keys[-1], work / str(revision.month), facts)
    renew_catalogue(project, root)
    _renew_seals(root, keys)
    files, projects = _remove_outdated(root, project, keys)
    newest = fingerprint_key(keys[-1])
    root.access_log(FINISHED, key=newest, months=len(outdated), files=files)
    shutil.rmtree(work)
    result = RekeyResult(tuple(one.month for one in outdated), files, projects, builds)
    for line in _describe_result(root, result):
        report_progress(line)
    return result


def _describe_result(root: Root, done: RekeyResult) -> Iterator[str]:
    """Yield what was done, and what is left to the operator."""
    span = f"（{done.months[0]} 至 {done.months[-1]}）" if done.months else ""
    yield f"密钥已更换：{len(done.months)} 个月{span}有了新的修订版，积分不变，匿名标识全部更换"
    yield f"旧的匿名数据已清理：{done.files:,} 个文件，记录已签名"
    for month in done.builds:
        yield f"{month} 未发布的计算（含待核的）已清除：请重新运行该月"
    for name in done.projects:
        yield f"项目 {name} 在根目录中的副本已清理：需要时用 jifen project {name} 重新制作"
    yield f"请备份新的密钥文件 {root.key_file}，与数据分开存放；以前备份的密钥打不开现在的数据"
    yield "别处的旧副本（备份、分析人员自存的表、项目副本）仍是旧的匿名标识：收回，或按期限轮换"


def _list_outdated(root: Root, keys: tuple[bytes, ...]) -> list[Revision]:
    """Return the revisions in force that were made with an older key, ascending by month."""
    in_force = (_find_in_force(root, month) for month in list_published_months(root))
    return [one for one in in_force if one.manifest.key_fingerprint != fingerprint_key(keys[-1])]


def _find_in_force(root: Root, month: Month) -> Revision:
    found = find_published(root, month)
    assert found is not None
    return found


def _require_undamaged(root: Root, keys: tuple[bytes, ...], revision: Revision) -> None:
    """Refuse to sign anew what is not as it was published, but for what a rule has removed."""
    removals = load_removals(root, keys[-1])
    recorded = {
        name: facts
        for name, facts in revision.manifest.files.items()
        if not removals.find_of_file(f"months/{revision.name}/{name}")
    }
    present = list_files(revision.path)
    if find_signing_key(keys, revision.path) is None or recorded != present:
        what = f"{revision.name} 与发布时不同，不能换上新的匿名标识"
        hint = "运行 jifen verify 查看，从备份恢复后再运行 jifen rekey"
        raise JifenError(ExitCode.DAMAGE, what, where=str(revision.path), hint=hint)


def _write_revision(
    session: Session, root: Root, keys: tuple[bytes, ...], revision: Revision, target: Path
) -> None:
    """Write a revision's folder with new pseudonyms; of the rest, large files are linked.

    Not those that groups may read: their modes are set before a revision is published. The
    statements that made the tables of the old ones are published beside those of the month.
    """
    number, change = next_revision_number(root, revision.month), _find_change(keys, revision)
    renewed = write_renewed_tables(session, revision.path, number, change, target)
    anew = {*renewed.files, revision.path / MANIFEST, revision.path / MAC}
    for file in sorted(revision.path.rglob("*")):
        place = target / file.relative_to(revision.path)
        if file.is_dir():
            place.mkdir(parents=True, exist_ok=True)
        elif file not in anew:
            place.parent.mkdir(parents=True, exist_ok=True)
            is_closed = file.relative_to(revision.path).parts[0] in IDENTIFIED_FOLDERS
            (os.link if is_closed else shutil.copyfile)(file, place)
    write_sql(target, f"rekey_{len(keys)}", renewed.statements)


def _find_change(keys: tuple[bytes, ...], revision: Revision) -> KeyChange:
    fingerprints = [fingerprint_key(key) for key in keys]
    number = fingerprints.index(revision.manifest.key_fingerprint) + 1
    return KeyChange(keys[:number], keys[number:])


def _renew_facts(root: Root, revision: Revision) -> MonthFacts:
    """Return what the new revision's manifest says: the same, compared with the month before anew.

    A month that was stale before is stale after; the months before are published already.
    """
    manifest, before = revision.manifest, find_published(root, revision.month - 1)
    compared_with = manifest.compared_with
    is_renewed = before is not None and compared_with in before.manifest.renewed_from
    if before and (is_renewed or not manifest.knows_comparison):
        compared_with = before.name
    same = {name: getattr(manifest, name) for name in MonthFacts.model_fields}
    more = {
        "compared_with": compared_with,
        "renewed_from": [revision.name, *manifest.renewed_from],
    }
    return MonthFacts.model_construct(**{**same, **more})


def _renew_seals(root: Root, keys: tuple[bytes, ...]) -> None:
    clean = sorted(root.clean.glob("*/received=*/d*"))
    for seal in [*(seal_of_delivery(root, one) for one in clean), *list_state_seals(root)]:
        seal.renew(keys[:-1], keys[-1])


def _remove_outdated(
    root: Root, project: Project, keys: tuple[bytes, ...]
) -> tuple[int, tuple[str, ...]]:
    """Remove all files with an older key's pseudonyms; return how many, and of which projects."""
    copies = sorted((root.path / "projects").glob("*"))
    kept = prepare_kept_folder(root)
    with open_engine(project.settings.engine_settings, root.tmp / "spill") as session:
        targets = [*_list_outdated_files(session, root, keys), *copies]
        for file, change in _list_outdated_numbers(root, keys):
            write_renewed_numbers(session, file, change, kept / file.name)
            targets.append(file)
    if not targets:
        return 0, ()
    planned = PlannedRemoval("rekey", 0, tuple(targets), {})
    removal = begin_removal(root, keys[-1], planned, kept)
    finish_removals(root, keys[-1])
    return len(removal.files), tuple(one.name for one in copies)


def _list_outdated_files(session: Session, root: Root, keys: tuple[bytes, ...]) -> Iterator[Path]:
    newest = fingerprint_key(keys[-1])
    for month in list_months(root.months):
        for revision in list_revisions(root, month):
            if revision.manifest.key_fingerprint != newest:
                yield from list_keyed_files(session, revision.path)


def _list_outdated_numbers(root: Root, keys: tuple[bytes, ...]) -> Iterator[tuple[Path, KeyChange]]:
    """Yield what is kept of removed reminder lists, of removals that an older key has signed."""
    records = {one.number: one for one in load_removals(root, keys[-1]).records}
    for file in list_sent_files(root, keys[-1]):
        record = records[int(file.parent.name[1:])]
        number = next(n for n, key in enumerate(keys, start=1) if record.is_authentic(key))
        if number < len(keys):
            yield file, KeyChange(keys[:number], keys[number:])


def _remove_builds(root: Root) -> tuple[str, ...]:
    """Remove months that are being built, or held: they are made again with the new key."""
    folders = sorted((root.tmp / "build").glob("*"))
    for folder in folders:
        shutil.rmtree(folder)
    return tuple(sorted({folder.name[:7] for folder in folders}))
