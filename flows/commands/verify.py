"""`jifen verify`: published months and received deliveries against what was recorded of them."""

from __future__ import annotations

from expectations.errors import ExitCode, JifenError
from expectations.month import Month
from flows.settings import Settings
from flows.storage.root import open_root
from flows.storage.verify import verify_root


def verify_months(settings: Settings, month: Month | None) -> list[str]:
    """Return the names of the revisions that were verified, of all months or of one.

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
        what = "没有可核对的版本" if month is None else f"{month} 没有可核对的版本"
        where = str(root.path)
        raise JifenError(ExitCode.USAGE, what, where=where, hint="核对根目录和月份")
    return verified
