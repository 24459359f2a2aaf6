"""Publication: a finished build folder becomes a revision, seen as a whole or not at all.

The order on disk: the build folder is complete and synced, with manifest and .mac; one rename makes
it a revision; one rename switches the month's link. A process killed between the two leaves a
finished revision without its link, which the next run's `finish_interrupted` switches.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from expectations.errors import ExitCode, JifenError
from expectations.month import Month
from flows.city_time import city_now
from flows.storage.files import (
    file_record,
    fsync_path,
    hash_file,
    map_in_threads,
    rename_and_sync,
    write_synced,
)
from flows.storage.keys import compute_mac, fingerprint_key
from flows.storage.records import Manifest, MonthFacts
from flows.storage.revisions import (
    MAC,
    MANIFEST,
    Revision,
    link_target,
    list_revisions,
    next_revision_number,
    read_revision,
)
from flows.storage.root import Root, list_months
from transforms.outputs import OUTPUTS, Readers


def _list_folders(readers: Readers) -> tuple[str, ...]:
    """Return the folders of a revision that hold what these readers may see."""
    folders = (Path(one.folder).parts[0] for one in OUTPUTS if one.readers is readers)
    return tuple(dict.fromkeys(folders))


# what the analysts' group may read of a revision, and what the exact group
SHARED = (*_list_folders(Readers.ANALYSTS), "sql", "policy")
SHARED_EXACT = _list_folders(Readers.EXACT)


def publish_revision(root: Root, key: bytes, build: Path, facts: MonthFacts) -> Revision:
    """Publish a build folder (inside the root) as its month's next revision.

    The caller holds the root's lock. The manifest holds `facts` and what publication itself knows:
    the revision, its place in the chain, the hash of every file, the key's fingerprint, the time.
    """
    month = Month.parse(facts.month)
    number = next_revision_number(root, month)
    target = root.months / str(month) / f"r{number}"
    sequence, previous = _next_chain_entry(root)
    manifest = Manifest.model_validate(
        {
            **facts.to_values(),
            "sequence": sequence,
            "previous": previous,
            "revision": number,
            "published_at": city_now(),
            "key_fingerprint": fingerprint_key(key),
            "files": list_files(build),
        }
    )
    _write_manifest(root, key, build, manifest.to_json())
    target.parent.mkdir(exist_ok=True)
    root.share(target.parent, deep=False)
    rename_and_sync(build, target)
    fsync_path(root.months)
    _switch_link(root, month, number)
    return read_revision(month, number, target)


def finish_interrupted(root: Root, key: bytes) -> list[Revision]:
    """Switch the link of every month whose newest revision was finished but not linked.

    The caller holds the root's lock.

    Returns:
        Those revisions.

    Raises:
        JifenError: Exit 15, such a revision is not what was built.
    """
    finished = []
    for month in list_months(root.months):
        newest = next(reversed(list_revisions(root, month)), None)
        link = root.published / str(month)
        if newest is None or (
            link.is_symlink() and link.readlink() == link_target(month, newest.number)
        ):
            continue
        signer = find_signing_key(root.signing_keys(key), newest.path)
        if signer is None or newest.manifest.files != list_files(newest.path):
            hint = "从备份恢复，或移走这个文件夹后重新运行该月"
            raise JifenError(
                ExitCode.DAMAGE, "未完成发布的修订版已损坏", where=str(newest.path), hint=hint
            )
        _switch_link(root, month, newest.number)
        finished.append(newest)
    return finished


def share_revision(root: Root, revision: Path) -> None:
    """Let the groups, if there are any, read what they may read of a revision."""
    root.share(revision, deep=False)
    for name in (*SHARED, *SHARED_EXACT):
        if (revision / name).exists():
            root.share(revision / name, exact=name in SHARED_EXACT)


def list_files(folder: Path) -> dict[str, dict[str, Any]]:
    """Return size and SHA-256 of every file of a revision but manifest and .mac, by relative path.

    Nothing is said of what is no plain file.
    """
    paths = sorted(item for item in folder.rglob("*") if item.is_symlink() or not item.is_dir())
    names = [path.relative_to(folder).as_posix() for path in paths]
    hashed = [name for name in names if name not in (MANIFEST, MAC)]
    records = map_in_threads(file_record, [folder / name for name in hashed])
    return dict(zip(hashed, records, strict=True))


def find_signing_key(keys: Sequence[bytes], folder: Path) -> bytes | None:
    """Return the key that signed a revision's manifest at publication; both are plain files.

    None where the manifest is not the one that was signed, or by none of the keys.
    """
    manifest, mac = folder / MANIFEST, folder / MAC
    try:
        if not file_record(manifest) or not file_record(mac):
            return None
        content, signed = manifest.read_bytes(), mac.read_bytes()
    except OSError:
        return None
    return next(
        (key for key in keys if hmac.compare_digest(compute_mac(key, content), signed)), None
    )


def _next_chain_entry(root: Root) -> tuple[int, str | None]:
    """Return the next sequence number, and the hash of the manifest before it in the root."""
    newest: tuple[int, str | None] = (0, None)
    for month, number, folder in root.revision_folders():
        sequence = read_revision(month, number, folder).manifest.sequence
        if sequence > newest[0]:
            newest = (sequence, hash_file(folder / MANIFEST))
    return newest[0] + 1, newest[1]


def _write_manifest(root: Root, key: bytes, build: Path, manifest: bytes) -> None:
    """Write manifest and .mac, set the modes, and have everything on disk."""
    write_synced(build / MANIFEST, manifest)
    write_synced(build / MAC, compute_mac(key, manifest))
    everything = list(build.rglob("*"))
    for item in everything:
        item.chmod(0o700 if item.is_dir() else 0o600)
    share_revision(root, build)
    map_in_threads(fsync_path, [*everything, build])


def _switch_link(root: Root, month: Month, number: int) -> None:
    """Point the month's link to a revision, in one step."""
    draft = root.published / f".{month}"
    draft.unlink(missing_ok=True)
    draft.symlink_to(link_target(month, number))
    rename_and_sync(draft, root.published / str(month))
