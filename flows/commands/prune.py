"""`jifen prune`: remove what has been kept as long as the settings say."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from expectations.errors import ExitCode, JifenError
from expectations.month import Month
from flows.city_time import CITY_TIME
from flows.pipeline.progress import ProgressSink
from flows.pipeline.rekey import finish_rekey
from flows.pipeline.retention import RetentionPlan, carry_out, plan_removals
from flows.project import load_project
from flows.settings import Settings
from flows.storage.publish import finish_interrupted
from flows.storage.removal_records import RULES, Removal
from flows.storage.removals import PlannedRemoval, finish_removals
from flows.storage.root import Root, open_root


def prune_root(
    settings: Settings,
    report_progress: ProgressSink,
    *,
    dry_run: bool = False,
    today: dt.date | None = None,
) -> list[Removal]:
    """Remove what has run out by `[retention]`, and report it; what was interrupted is finished.

    Args:
        settings: The settings of the project.
        report_progress: Takes a line per removal.
        dry_run: Whether to report only what would go.
        today: The day; None is the real one.

    Returns:
        What was removed.

    Raises:
        JifenError: Exit 2, nothing is set, or the operator may not; exit 13, a run holds the root;
            exit 15, a record or a manifest is damaged.
    """
    root, project = open_root(settings), load_project(settings)
    root.operator.require_named()
    if not any(settings.retention.model_dump().values()):
        hint = "在 jifen.toml 写 [retention] identified、raw、superseded（月数）"
        raise JifenError(ExitCode.USAGE, "没有设置保存期限，不清理任何内容", hint=hint)
    this_month = Month.of(today or dt.datetime.now(CITY_TIME).date())
    key = root.key()
    with root.lock():
        if dry_run:
            plan = plan_removals(root, project, this_month)
            _report(_describe_plan(root, plan), report_progress)
            return []
        finish_interrupted(root, key)
        finished = finish_removals(root, key)
        for one in finished:
            report_progress(f"上次中断的清理 p{one.number} 已完成")
        if finish_rekey(root, project, report_progress):
            report_progress("上次中断的更换密钥已完成")
        plan = plan_removals(root, project, this_month)
        _report(_describe_plan(root, plan), report_progress)
        removed = carry_out(root, key, project, plan)
    for one in removed:
        report_progress(f"清理 p{one.number} 完成：{len(one.files):,} 个文件，记录已签名")
    return [*finished, *removed]


def describe_prunable(root: Root, plan: RetentionPlan) -> str:
    """Return in a line what has run out; empty where nothing has."""
    if plan.is_empty:
        return ""
    parts = "；".join(_summarise(root, one) for one in plan.removals)
    return f"已满保存期限，可清理：{parts}；运行 jifen prune"


def _report(lines: Iterator[str], report_progress: ProgressSink) -> None:
    for line in lines:
        report_progress(line)


def _describe_plan(root: Root, plan: RetentionPlan) -> Iterator[str]:
    if plan.is_empty:
        yield "没有满保存期限的内容"
    for planned in plan.removals:
        yield f"[retention] {planned.rule} = {planned.months}：{_summarise(root, planned)}"
        yield from (f"  {place}" for place in _list_places(root, planned))
    if plan.needed:
        yield f"保留 {plan.needed} 份更早的交付：仍是以后月份的输入"
    for month in plan.inbox:
        yield f"收件目录 {month} 中还有文件，不由程序清理：请自行移走"


def _summarise(root: Root, planned: PlannedRemoval) -> str:
    """Return what goes: of which months, how much."""
    months = sorted({_find_month(target.relative_to(root.path)) for target in planned.targets})
    span = months[0] if len(months) == 1 else f"{months[0]} 至 {months[-1]}"
    files = [
        file
        for target in planned.targets
        for file in ([target] if target.is_file() else target.rglob("*"))
        if file.is_file()
    ]
    megabytes = sum(file.stat().st_size for file in files) / 1e6
    return f"{RULES[planned.rule]}（{span}，{len(files):,} 个文件，{megabytes:,.1f} MB）"


def _list_places(root: Root, planned: PlannedRemoval) -> Iterator[str]:
    """Yield the folders that lose something, each once."""
    parents = (target.parent.relative_to(root.path).as_posix() for target in planned.targets)
    for place, found in groupby(sorted(parents)):
        yield f"{place}（{sum(1 for _ in found)} 项）"


def _find_month(place: Path) -> str:
    """Return the month that a path in the root is of."""
    found = re.search(r"[0-9]{4}-[0-9]{2}", place.as_posix())
    return found[0] if found else place.as_posix()
