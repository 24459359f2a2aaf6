"""Damage found: published revisions and deliveries against what was recorded about them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from expectations.errors import JifenError
from expectations.month import Month
from flows.storage.deliveries import RECEIPT, Delivery, hash_content, read_delivery
from flows.storage.destination_receipts import find_receipt_damage
from flows.storage.files import file_record, map_in_threads
from flows.storage.incremental_state import list_state_seals
from flows.storage.keys import fingerprint_key
from flows.storage.publish import find_signing_key, list_files
from flows.storage.rekeys import is_rekey_unfinished
from flows.storage.removals import Removals, explain_removed_file, inspect_removals
from flows.storage.revisions import MANIFEST, Revision, link_target, read_revision
from flows.storage.root import Root, list_months, list_versions
from flows.storage.seals import list_catalogue_seals, seal_of_delivery
from transforms.engine.parquet import read_parquet_sql
from transforms.engine.session import EngineSettings, open_engine


def verify_root(
    root: Root, key: bytes, month: Month | None = None, engine: EngineSettings | None = None
) -> list[str]:
    """Check every revision (in force and replaced) and delivery, or those of one month.

    Checked: the manifests' .mac, their chain and the links (always over the whole root), every
    file's bytes, files too many or too few, the receipts of destinations, the deliveries used, the row accounts, the sums of
    every score, the removals by rule, and the access log.

    Returns:
        One sentence per finding.
    """
    findings: list[str] = []
    sealed: list[Revision] = []
    signers: dict[str, bytes] = {}
    keys = root.signing_keys(key)
    for of_month, number, folder in root.revision_folders():
        signer = find_signing_key(keys, folder)
        if signer is None:
            findings.append(f"{of_month} r{number}：清单与校验码（.mac）不符，内容不可信")
            continue
        sealed.append(read_revision(of_month, number, folder))
        signers[sealed[-1].name] = signer
    findings += [*_unexpected_entries(root), *_chain(sealed), *_links(root, sealed)]
    findings += _signing_order(sealed, [keys.index(signers[one.name]) for one in sealed])
    chosen = [revision for revision in sealed if month in (None, revision.month)]
    removals, damage = inspect_removals(root, key)
    findings += damage
    for revision in chosen:
        of_files = [*_identity(revision, signers[revision.name]), *_files(revision, removals)]
        of_sums = [] if of_files else _sums(revision, root, engine or EngineSettings())
        findings += [
            f"{revision.month} r{revision.number}：{text}"
            for text in (*of_files, *_accounts(revision), *of_sums)
        ]
    revisions = {(str(of_month), number) for of_month, number, _ in root.revision_folders()}
    findings += find_receipt_damage(root, key, month, revisions)
    findings += _raw(root, chosen, removals, everything=month is None)
    findings += _access_log(root, sealed)
    if is_rekey_unfinished(root):  # seals are renewed as the rekey goes on
        return findings + ["更换密钥没有完成，再运行 jifen rekey 或 jifen run 即可"] * (
            not root.held()
        )
    return findings + list(_working_files(root, key, month))


def _signing_order(sealed: list[Revision], places: list[int]) -> Iterator[str]:
    """Once a key was changed it signs no manifest any more: whoever has it could write one."""
    newest = 0
    for place, revision in sorted(
        zip(places, sealed, strict=True), key=lambda pair: pair[1].manifest.sequence
    ):
        if place < newest:
            yield f"{revision.month} r{revision.number}：清单由已更换的旧密钥签名"
        newest = max(newest, place)


def _unexpected_entries(root: Root) -> Iterator[str]:
    """What stands beside months, revisions and deliveries, or is a link in the place of one."""
    month = "[0-9]{4}-(0[1-9]|1[0-2])"
    strangers = [
        *_entries_not_matching(root.months, month, "r[1-9][0-9]*"),
        *_entries_not_matching(root.raw, month, ".*", "d[1-9][0-9]*"),
        *sorted(
            link for link in root.published.glob("[!.]*") if not re.fullmatch(month, link.name)
        ),
    ]
    for item in strangers:
        linked = item.is_symlink() and item.parent != root.published
        what = "是链接，不是文件夹" if linked else "不属于这里"
        yield f"{item.relative_to(root.path).as_posix()}：{what}"


def _entries_not_matching(folder: Path, name: str, *below: str) -> Iterator[Path]:
    """Yield all but folders of such a name, and in those all but such below.

    What begins with a dot is the draft of a killed run.
    """
    for item in sorted(folder.glob("[!.]*")):
        if item.is_symlink() or not item.is_dir() or not re.fullmatch(name, item.name):
            yield item
        elif below:
            yield from _entries_not_matching(item, *below)


def _chain(sealed: list[Revision]) -> Iterator[str]:
    """Every manifest names the one published before it: none was taken out, put in or exchanged."""
    previous = None
    for place, revision in enumerate(
        sorted(sealed, key=lambda one: one.manifest.sequence), start=1
    ):
        name = f"{revision.month} r{revision.number}"
        if revision.manifest.sequence != place:
            yield f"发布记录不连续：{name} 之前缺少第 {place} 号"
            return
        if revision.manifest.previous != previous:
            yield f"发布记录的链在 {name} 处断开：它前面的清单被换过"
        previous = hashlib.sha256((revision.path / MANIFEST).read_bytes()).hexdigest()


def _links(root: Root, sealed: list[Revision]) -> Iterator[str]:
    """Every month's link points to its newest revision, and there are no others."""
    newest = {month: number for month, number, _ in root.revision_folders()}
    last = max(sealed, key=lambda one: one.manifest.sequence, default=None)
    for month in sorted(newest.keys() | set(list_months(root.published))):
        link = root.published / str(month)
        if month not in newest:
            yield f"{month}：有发布链接，但没有任何修订版"
        elif not link.is_symlink() or link.readlink() != link_target(month, newest[month]):
            # A run killed between its last two steps leaves just this, and the next run mends it.
            interrupted = last and (last.month, last.number) == (month, newest[month])
            if interrupted and root.held():  # a run that lives is between them just now
                continue
            hint = "；若是发布时中断，再运行一次即可" if interrupted else ""
            yield f"{month}：发布链接没有指向最新的修订版 r{newest[month]}{hint}"


def _identity(revision: Revision, key: bytes) -> Iterator[str]:
    manifest = revision.manifest
    if (manifest.month, manifest.revision) != (str(revision.month), revision.number):
        yield f"清单属于 {manifest.month} r{manifest.revision}，放错了文件夹"
    if manifest.key_fingerprint != fingerprint_key(key):
        yield "清单记录的密钥指纹与签名所用的密钥不符"


def _files(revision: Revision, removals: Removals) -> Iterator[str]:
    recorded: dict[str, Any] = revision.manifest.files
    present = list_files(revision.path)
    for name in sorted(recorded):
        removed, wrong = explain_removed_file(
            removals,
            f"months/{revision.name}/{name}",
            recorded[name].get("sha256", ""),
            is_there=name in present,
        )
        if wrong:
            yield f"文件 {name} {wrong}"
        elif not removed and name not in present:
            yield f"缺少文件 {name}"
    yield from (f"多出文件 {name}" for name in sorted(present.keys() - recorded.keys()))
    for name in sorted(recorded.keys() & present.keys()):
        if not present[name]:
            yield f"{name} 不是普通文件"
        elif recorded[name] != present[name]:
            yield f"文件 {name} 的内容与发布时不同"


def _accounts(revision: Revision) -> Iterator[str]:
    for account in revision.manifest.accounts:
        explained = account["clean"] + account["quarantined"] + account["superseded"]
        if account["received"] != explained:
            source = f"来源 {account['source']} {account['month']}"
            yield f"{source} 收到 {account['received']} 行，有去向的只有 {explained} 行"


def _sums(revision: Revision, root: Root, engine: EngineSettings) -> list[str]:
    """Check that every score is the sum of its sections, and every scored resident is there."""
    scores = [
        revision.path / name for name in revision.manifest.files if name.startswith("scores/")
    ]
    if not scores:
        return ["没有 scores 文件"]
    if not all(file.exists() for file in scores):  # removed with an older key
        return []
    sections = revision.manifest.sections
    signed = [
        *(f'+ "{name}"' for name in sections["positive"]),
        *(f'- "{name}"' for name in sections["subtracted"]),
    ]
    statement = f"""
        SELECT
            count(*),
            count(*) FILTER (common_points IS DISTINCT FROM (0 {" ".join(signed)})),
            count(*) FILTER (
                total_points IS DISTINCT FROM common_points + coalesce(district_points, 0)
            )
        FROM {read_parquet_sql(*scores)}"""
    with open_engine(engine, root.tmp / "spill") as session:
        residents, common, total = session.execute(statement).fetchall()[0]
    findings = []
    if residents != revision.manifest.residents:
        findings.append(f"scores 有 {residents} 人，清单记录 {revision.manifest.residents} 人")
    if common:
        findings.append(f"{common} 人的共性分不等于各分项之和")
    if total:
        findings.append(f"{total} 人的总分不等于共性分加个性分")
    return findings


def _raw(
    root: Root, chosen: list[Revision], removals: Removals, *, everything: bool
) -> Iterator[str]:
    """Deliveries as received, and the very ones that the revisions say they used."""
    used = {
        (item["month"], item["source"], item["number"]): item["content"]
        for revision in chosen
        for item in revision.manifest.deliveries
    }
    folders = {
        root.raw / month / source / f"d{number}": content
        for (month, source, number), content in used.items()
    }
    if everything:
        for month in list_months(root.raw):
            sources = (
                folder
                for source in (root.raw / str(month)).glob("*")
                for folder in list_versions(source, "d")
            )
            folders |= {folder: folders.get(folder) for _, folder in sources}
    for folder, content in sorted(folders.items()):
        name = folder.relative_to(root.path).as_posix()
        yield from (f"{name}：{text}" for text in _delivery(folder, content, removals))


def _access_log(root: Root, sealed: list[Revision]) -> Iterator[str]:
    """Check the access log, and that it reaches as far as when each revision was published."""
    log = root.open_access_log().check()
    yield from log.damage
    newest = max(sealed, key=lambda one: one.manifest.access_entry or 0, default=None)
    entry = newest.manifest.access_entry if newest else None
    if newest and entry and entry > log.last:
        yield f"访问记录只到第 {log.last} 号；{newest.month} r{newest.number} 发布时已有第 {entry} 号"


def _working_files(root: Root, key: bytes, month: Month | None) -> Iterator[str]:
    """Clean rows and incremental state that are sealed, and the catalogue.

    What has no seal is made again before it is used; but people read the catalogue as it is.
    """
    for folder in (root.clean, root.quarantine, root.defects, root.tmp):
        if folder.is_symlink():
            yield f"{folder.name}：是链接，不是文件夹"
    received = f"received={month or '*'}"
    clean = sorted(root.clean.glob(f"*/{received}/d*"))
    seals = [seal_of_delivery(root, folder) for folder in clean]
    if month is None:
        seals += list_state_seals(root)
    catalogue = [
        one for one in list_catalogue_seals(root) if (root.path / f"{one.place}.duckdb").exists()
    ]
    for seal in [*(one for one in seals if one.file.exists() or one.is_behind_link), *catalogue]:
        damage = seal.find_damage(key)
        if damage:
            is_interrupted = seal in catalogue and not seal.file.exists()
            hint = "；若是更新时中断，再运行一次即可" if is_interrupted else ""
            yield f"{seal.place}：{damage}{hint}"


def _delivery(folder: Path, content: str | None, removals: Removals) -> Iterator[str]:
    try:
        delivery = read_delivery(folder)
    except JifenError as error:
        yield error.message if folder.is_dir() else "收到的数据不见了"
        return
    if (delivery.source, str(delivery.month)) != (folder.parent.name, folder.parent.parent.name):
        yield f"收件回执属于 {delivery.month} {delivery.source}，放错了文件夹"
    yield from _parts(delivery, removals)
    if hash_content(part.sha256 for part in delivery.receipt.parts) != delivery.content:
        yield "收件回执自相矛盾"
    if content is not None and content != delivery.content:
        yield "内容与发布时所用的不同"


def _parts(delivery: Delivery, removals: Removals) -> Iterator[str]:
    """Check the parts against the receipt; what begins with a dot is the draft of a killed run."""
    present = {
        item for item in delivery.folder.rglob("[!.]*") if item.is_symlink() or not item.is_dir()
    }
    names = {
        path: path.relative_to(delivery.folder).as_posix() for path in {*present, *delivery.parts}
    }
    yield from (
        f"多出文件 {names[path]}"
        for path in sorted(present - {*delivery.parts, delivery.folder / RECEIPT})
    )
    for part, facts, recorded in zip(
        delivery.parts,
        map_in_threads(file_record, delivery.parts),
        delivery.receipt.parts,
        strict=True,
    ):
        place = f"raw/{delivery.month}/{delivery.source}/d{delivery.number}/{names[part]}"
        removed, wrong = explain_removed_file(
            removals, place, recorded.sha256, is_there=part in present
        )
        if wrong:
            yield f"文件 {names[part]} {wrong}"
        elif removed:
            continue
        elif part not in present:
            yield f"缺少文件 {names[part]}"
        elif facts.get("sha256") != recorded.sha256:
            yield f"文件 {names[part]} 的内容与收到时不同"
