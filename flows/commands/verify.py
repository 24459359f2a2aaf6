"""`jifen verify`: published months and received deliveries against what was recorded of them."""

from __future__ import annotations

from dataclasses import dataclass

from expectations.errors import ExitCode, JifenError
from expectations.month import Month
from flows.settings import Settings
from flows.storage.rekeys import describe_rekeys
from flows.storage.removal_records import RULES
from flows.storage.removals import load_removals
from flows.storage.root import Root, open_root
from flows.storage.verify import verify_root


@dataclass(frozen=True)
class Verified:
    """What was verified: the revisions by name, and what there is to say beside.

    Attributes:
        revisions: Their names, `2024-03 r1`.
        notes: A sentence each.
    """

    revisions: list[str]
    notes: list[str]


def verify_months(settings: Settings, month: Month | None) -> Verified:
    """Verify all months, or one, and everything else that a root keeps of them.

    Raises:
        JifenError: Exit 15, something is damaged; exit 2, there is nothing to verify.
    """
    root = open_root(settings)
    findings = verify_root(root, root.key(), month, settings.engine_settings)
    if findings:
        listing = "\n".join(f"  {finding}" for finding in findings)
        what = f"发现 {len(findings)} 处损坏：\n{listing}"
        raise JifenError(
            ExitCode.DAMAGE,
            what,
            hint="从备份恢复所列文件后再核对；clean、tmp 下的移走后再运行，分析目录用 jifen catalogue 重做",
        )
    folders = root.revision_folders()
    verified = [f"{of} r{number}" for of, number, _ in folders if month in (None, of)]
    # A mistyped root, a backup that brought nothing back: nothing wrong, nothing right.
    if not verified:
        what = "没有可核对的修订版" if month is None else f"{month} 没有可核对的修订版"
        where = str(root.path)
        raise JifenError(ExitCode.USAGE, what, where=where, hint="核对根目录和月份")
    notes = [*describe_rekeys(root), *_describe_removals(root), *_describe_access_log(root)]
    return Verified(verified, notes)


def _describe_removals(root: Root) -> list[str]:
    """Return what is not there because a rule removed it."""
    return [
        f"p{one.number}：{RULES[one.rule]} {len(one.files):,} 个文件{one.describe()}"
        for one in load_removals(root, root.key()).records
    ]


def _describe_access_log(root: Root) -> list[str]:
    """Return how much of the access log is verified."""
    log = root.open_access_log().check()
    if not log.chained and not log.unchained:
        return []
    unverifiable = f"；另有 {log.unchained} 条写于有校验以前，无法核对" if log.unchained else ""
    return [f"访问记录 {log.chained} 条，链和校验码无误{unverifiable}"]
