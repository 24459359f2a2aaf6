"""Changes of the root's key: what the access log and the key file say of them.

The key file has all keys. The access log notes why one was added (`rekey`), and, signed with it,
that nothing of the root depends on the one before any more (`rekeyed`).
"""

from __future__ import annotations

from expectations.errors import ExitCode, JifenError
from flows.storage.keys import fingerprint_key
from flows.storage.revisions import Revision, list_revisions
from flows.storage.root import Root
from transforms.outputs import SCORES, find_table_file

STARTED, FINISHED = "rekey", "rekeyed"
"""The actions of the access log."""


def is_rekey_unfinished(root: Root) -> bool:
    """Return whether the newest key was added and some pseudonym of an older one may be left."""
    keys = root.keys()
    if len(keys) == 1:
        return False
    log, newest = root.open_access_log(), len(keys) - 1
    return not any(
        entry.values.get("action") == FINISHED
        and entry.values.get("key") == fingerprint_key(keys[-1])
        and log.find_signer(entry.values) == newest
        for entry in log.read_entries()
    )


def refuse_during_rekey(root: Root) -> None:
    """Refuse what follows people through several months while these may be of two keys.

    Raises:
        JifenError: Exit 2.
    """
    if is_rekey_unfinished(root):
        hint = "再运行一次 jifen rekey（或 jifen run），完成后再试"
        raise JifenError(ExitCode.USAGE, "更换密钥没有完成，各月的匿名标识还不一致", hint=hint)


def require_pseudonymous(root: Root, revision: Revision) -> None:
    """Refuse a revision whose pseudonymous tables were removed with an older key.

    Raises:
        JifenError: Exit 2.
    """
    if find_table_file(revision.path, SCORES).exists():
        return
    renewed = [
        one.name
        for one in list_revisions(root, revision.month)
        if revision.name in one.manifest.renewed_from
    ]
    hint = f"{renewed[0]} 的内容与它相同" if renewed else "可用该月现行的版本"
    what = f"{revision.name} 的匿名数据已随旧密钥清理"
    raise JifenError(ExitCode.USAGE, what, hint=hint)


def describe_rekeys(root: Root) -> list[str]:
    """Return a sentence for each time that the key was changed: when, by whom, why."""
    return [
        f"密钥已于 {str(entry.values.get('at', ''))[:10]} 更换（{entry.who}）：{entry.values.get('reason', '')}"
        for entry in root.open_access_log().read_entries()
        if entry.values.get("action") == STARTED
    ]
