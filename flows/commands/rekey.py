"""`jifen rekey`: a new key for the root, and its pseudonyms in every published month."""

from __future__ import annotations

from collections.abc import Iterator

from flows.pipeline.progress import ProgressSink
from flows.pipeline.rekey import RekeyResult, finish_rekey, start_rekey
from flows.project import load_project
from flows.settings import Settings
from flows.storage.publish import finish_interrupted
from flows.storage.rekeys import is_rekey_unfinished
from flows.storage.removals import finish_removals
from flows.storage.root import Root, open_root


def rekey_root(settings: Settings, reason: str, report_progress: ProgressSink) -> RekeyResult:
    """Change the root's key, and renew every pseudonym; one that was interrupted is finished instead.

    Args:
        settings: The settings of the project.
        reason: Why, for the access log.
        report_progress: Takes lines for the operator.

    Returns:
        What depended on the older key.

    Raises:
        JifenError: Exit 2, the operator may not; exit 13, a run holds the root; exit 15, something
            published is damaged; exit 1, the key file cannot be written.
    """
    root, project = open_root(settings), load_project(settings)
    root.operator.require_named()
    with root.lock():
        finish_interrupted(root, root.key())
        finish_removals(root, root.key())
        if is_rekey_unfinished(root):
            report_progress("上次更换密钥没有完成，接着完成；没有再换一次")
        else:
            start_rekey(root, reason)
        done = finish_rekey(root, project, report_progress)
    assert done is not None
    for line in describe_rekey(root, done):
        report_progress(line)
    return done


def describe_rekey(root: Root, done: RekeyResult) -> Iterator[str]:
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
