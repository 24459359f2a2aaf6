"""The run's page: gathered from the run for `reports`, written into the revision, or kept where operators find it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from expectations.errors import ExitCode, JifenError
from flows.pipeline.context import RunContext
from flows.pipeline.manifest import build_manifest, format_account
from flows.project import split_city
from flows.storage.deliveries import list_deliveries
from flows.storage.revisions import Revision, find_published
from reports.run_report.drift_text import ReportNames
from reports.run_report.page import (
    ReportContext,
    SourceProgress,
    render_blocked_page,
    render_month_page,
)
from reports.titles import collect_item_titles
from transforms.points.columns import list_scored_indicators, strip_points_suffix

PARTS = {"districts": "适用区县", "conditions": "条件", "points": "分数线", "amount": "金额"}
BLOCKING = (ExitCode.EXTRACT, ExitCode.GATE)


def write_report(run: RunContext) -> dict[str, Any]:
    """Write the page of the finished month. Made anew in every run: the verdict is the operator's too."""
    target = run.making.revision / "report" / "index.html"
    target.parent.mkdir(exist_ok=True)
    before = find_previous_month(run)
    beside = ReportContext(
        list(_illustrative(run)), list(_not_modelled(run)), run.outdated, run.timings, _alone(run)
    )
    page = render_month_page(
        build_manifest(run),
        before.manifest if before else None,
        build_report_names(run),
        run.changes,
        beside,
    )
    target.write_text(page, encoding="utf-8")
    return {"bytes": len(page.encode())}


def find_previous_month(run: RunContext) -> Revision | None:
    """The month before as published, to compare with; None too when an older program published it, without figures."""
    before = find_published(run.root, run.month - 1)
    return before if before and "figures" in before.manifest else None


def _alone(run: RunContext) -> str:
    """Why there is nothing to compare with, when there is not."""
    before = run.month - 1
    if find_published(run.root, before) is None:
        return "上月没有发布，没有可比的数字"
    return (
        f"上月由旧版程序发布，没有留下可比的数字；要比对，请先重新运行 {before}，再运行 {run.month}"
    )


def write_blocked_report(run: RunContext, error: JifenError) -> Path | None:
    """Keep the page of a month that stopped at what came in; None for errors that are not about that."""
    if error.code not in BLOCKING:
        return None
    stopped = [refused.error for refused in run.refused] or [error]
    reasons = [one.message + (f"；位置：{one.where}" if one.where else "") for one in stopped]
    steps = list(dict.fromkeys(one.hint for one in stopped))
    return run.keep_page(
        render_blocked_page(
            str(run.month), reasons, steps, list(_waiting(run)), build_report_names(run)
        )
    )


def build_report_names(run: RunContext) -> ReportNames:
    """What things are called in the operators' words."""
    project = run.project
    city, districts = split_city(project.in_force(run.month))
    origin = {fact: name for name, source in project.sources.items() for fact in source.facts}
    return ReportNames(
        sources=project.sources,
        districts=project.reference.districts,
        items=collect_item_titles(project.tables, project.reference.districts),
        services={service.service: service.title for service in project.services},
        reminders=project.reminder_titles(),
        fed_by={
            strip_points_suffix(line.column): sorted(
                {origin[f] for f in line.indicator.facts if f in origin}
            )
            for line in list_scored_indicators(city, districts)
        },
    )


def _illustrative(run: RunContext) -> Iterator[str]:
    """Values in force that the bureau has yet to set."""
    project = run.project
    for code, version in project.in_force(run.month).items():
        for indicator in version.indicators.values():
            if indicator.values == "illustrative":
                yield f"{project.tables[code].title}：{indicator.title}"
    services = project.services_in_force(run.month)
    for service in project.services:
        if service.service in services:
            for part in services[service.service].illustrative:
                yield f"{service.title}：{PARTS[part]}"


def _not_modelled(run: RunContext) -> Iterator[tuple[str, str, str]]:
    for code, version in run.project.in_force(run.month).items():
        for left_out in version.not_modelled:
            yield run.project.tables[code].title, left_out.title, left_out.reason


def _waiting(run: RunContext) -> Iterator[SourceProgress]:
    """How far each source came."""
    stopped = {refused.source: refused.counts for refused in run.refused}
    for name in run.project.sources:
        own = [account for account in run.accounts.get(name, []) if account.month == str(run.month)]
        if own:
            yield SourceProgress(name, False, "合格", format_account(own[-1]))
        elif name in stopped:
            yield SourceProgress(
                name, True, "✖ 未通过" if name in run.served else "✖ 缺报", stopped[name]
            )
        elif any(delivery.month == run.month for delivery in list_deliveries(run.root, name)):
            yield SourceProgress(name, False, "已到，尚未检查", None)
        else:
            yield SourceProgress(
                name,
                False,
                "未交，沿用以前的月份或准许缺报" if name in run.served else "未收到",
                None,
            )
