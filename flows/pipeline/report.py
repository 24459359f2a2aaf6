"""The run's page: gathered from the run for `reports`, written where operators find it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from expectations.errors import ExitCode, JifenError
from expectations.findings import Finding, FindingKind, is_blocking, read_findings
from flows.pipeline.context import DELIVERY_CODES, RunContext, StageResult
from flows.pipeline.manifest import build_month_facts, format_account
from flows.pipeline.returns import write_blocked_returns
from flows.pipeline.titles import STAGE_TITLES
from flows.project import split_city
from flows.storage.deliveries import list_deliveries
from flows.storage.revisions import Revision, find_published, next_revision_number
from reports.run_report.comparison_findings import ReportContext
from reports.run_report.drift_text import ReportNames
from reports.run_report.page import (
    BlockedMonth,
    SourceProgress,
    render_blocked_page,
    render_month_page,
)
from reports.titles import collect_item_titles
from transforms.points.columns import list_scored_indicators, strip_points_suffix

PARTS = {"districts": "适用区县", "conditions": "条件", "points": "分数线", "amount": "金额"}


def write_report(run: RunContext) -> StageResult:
    """Write the page of the finished month, in every run: its verdict depends on the operator."""
    target = run.build.revision / "report" / "index.html"
    target.parent.mkdir(exist_ok=True)
    before = find_previous_month(run)
    page = render_month_page(
        build_month_facts(run).to_values(),
        before.manifest.to_values() if before else None,
        build_report_names(run),
        run.drift,
        build_report_context(run),
    )
    target.write_text(page, encoding="utf-8")
    return StageResult({"bytes": len(page.encode())})


def build_report_context(run: RunContext) -> ReportContext:
    """Return what the page states beside the numbers."""
    return ReportContext(
        illustrative=list(_list_illustrative(run)),
        not_modelled=list(_list_not_modelled(run)),
        outdated=run.changed_inputs,
        timings={STAGE_TITLES[name]: seconds for name, seconds in run.timings.items()},
        alone=_explain_no_comparison(run),
        made_at=run.started,
        revision=next_revision_number(run.root, run.month),
        published=run.published.number if run.published else None,
    )


def find_previous_month(run: RunContext) -> Revision | None:
    """Return the previous month as published; None too where it left no figures to compare."""
    before = find_published(run.root, run.month - 1)
    return before if before and before.manifest.figures is not None else None


def _explain_no_comparison(run: RunContext) -> str:
    """Return why there is nothing to compare with, when there is not."""
    before = run.month - 1
    if find_published(run.root, before) is None:
        return "上月没有发布，没有可比的数字"
    return (
        f"上月由旧版程序发布，没有留下可比的数字；要比对，请先重新运行 {before}，再运行 {run.month}"
    )


def write_blocked_report(run: RunContext, error: JifenError) -> Path | None:
    """Keep the page of a month that stopped at what came in; None for errors about other things."""
    if error.code not in DELIVERY_CODES:
        return None
    published = find_published(run.root, run.month)
    returns = write_blocked_returns(run)
    found = BlockedMonth(
        str(run.month),
        run.started,
        list_findings(run, error),
        list(_list_progress(run)),
        published.number if published else None,
        str(returns.relative_to(run.root.path)) if returns else "",
    )
    return run.write_report(render_blocked_page(found, build_report_names(run)))


def list_findings(run: RunContext, error: Exception | None = None) -> list[Finding]:
    """Return everything that people must know of a run, as far as it came.

    An unchanged month has the findings of its published revision, and what has not arrived; an error about deliveries that
    no stage has a finding of is one itself.
    """
    if run.unchanged and run.published:
        missing = [one for one in run.findings if one.kind == FindingKind.UNDELIVERED]
        return [*read_findings(run.published.manifest.findings or ()), *missing]
    found = run.findings
    is_named = any(map(is_blocking, found))
    if isinstance(error, JifenError) and error.code in DELIVERY_CODES and not is_named:
        where = f"；位置：{error.where}" if error.where else ""
        kind = FindingKind.UNREADABLE if error.code == ExitCode.EXTRACT else FindingKind.REJECTED
        found = [Finding(kind, detail=error.message + where, hint=error.hint), *found]
    return found


def build_report_names(run: RunContext) -> ReportNames:
    """Return what things are called in the operators' words."""
    project = run.project
    city, districts = split_city(project.in_force(run.month))
    origin = {fact: name for name, source in project.sources.items() for fact in source.facts}
    fed_by = {
        strip_points_suffix(line.column): sorted(
            {origin[fact] for fact in line.indicator.facts if fact in origin}
        )
        for line in list_scored_indicators(city, districts)
    }
    return ReportNames(
        sources=project.sources,
        districts=project.reference.districts,
        items=collect_item_titles(project.tables, project.reference.districts),
        services={service.service: service.title for service in project.services},
        reminders=project.reminder_titles(),
        fed_by=fed_by,
    )


def _list_illustrative(run: RunContext) -> Iterator[str]:
    """Yield values in force that the bureau has yet to set."""
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


def _list_not_modelled(run: RunContext) -> Iterator[tuple[str, str, str]]:
    """Yield what the tables in force leave out: table, what, why."""
    for code, version in run.project.in_force(run.month).items():
        for left_out in version.not_modelled:
            yield run.project.tables[code].title, left_out.title, left_out.reason


def _list_progress(run: RunContext) -> Iterator[SourceProgress]:
    """Yield how far each source came."""
    stopped = {rejected.source: rejected for rejected in run.rejected}
    for name in run.project.sources:
        own = [one for one in run.accounts.get(name, ()) if one.month == str(run.month)]
        if name in stopped:
            state = "✖ 缺报" if stopped[name].month is None else "✖ 未通过"
            yield SourceProgress(name, True, state, stopped[name].counts)
        elif own:
            yield SourceProgress(name, False, "合格", format_account(own[-1]))
        elif any(delivery.month == run.month for delivery in list_deliveries(run.root, name)):
            yield SourceProgress(name, False, "已到，尚未检查", None)
        else:
            is_in_inputs = name in run.inputs
            state = "未交，沿用以前的月份或准许缺报" if is_in_inputs else "未收到"
            state = "未交，可以不交" if run.project.sources[name].optional else state
            yield SourceProgress(name, False, state, None)
