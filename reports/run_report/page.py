"""The run report: one page from which operators see whether a month is good, with exact numbers.

It is made from the manifests of the month and of the month before, and never holds anything about
one person. Its texts and tables are in `reports/html/templates/`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reports.html.environment import render_template
from reports.numbers import format_count
from reports.run_report import sections
from reports.run_report.drift_text import ReportNames, describe_changes
from reports.run_report.notices import ReportContext, list_notices
from transforms.comparison.drift import DriftChange, Manifest

STATE_TITLES = {"published": "✔ 已发布", "held": "‖ 待核，未发布", "blocked": "✖ 未发布"}
TOP = 8  # findings of the new versions that stand in the verdict


@dataclass(frozen=True)
class SourceProgress:
    """How far a source of a blocked month came.

    stopped: the month is blocked by it; account: received, quarantined, reasons, defects; None
    when nothing was counted.
    """

    source: str
    stopped: bool
    state: str
    account: Manifest | None


@dataclass(frozen=True)
class Verdict:
    """What stands first: the state, one sentence, why, and what to do."""

    state: str
    summary: str
    reasons: Sequence[str]
    steps: Sequence[str]

    @property
    def title(self) -> str:
        """The state in words, with a sign that is read without colour."""
        return STATE_TITLES[self.state]


def render_month_page(
    now: Manifest,
    before: Manifest | None,
    names: ReportNames,
    found: Sequence[DriftChange],
    context: ReportContext,
) -> str:
    """Return the page of a finished month: published, accepted, or held."""
    is_held = bool(now["held"]) and not now["accepted"]
    verdict = _held(now) if is_held else _published(now, before, found, names, context.alone)
    return render_template(
        "month_report.html.j2",
        title=_format_title(now["month"]),
        verdict=verdict,
        month=now,
        has_previous=before is not None,
        notices=list(list_notices(now, before, names, found, context)),
        intake=sections.build_intake(now, before, names),
        refusals=sections.build_refusals(now, before, names),
        comparison=sections.build_comparison(found, names),
        distribution=sections.build_distribution(now, before, names),
        movements=sections.build_movements(now, before, names) if before else None,
        services=sections.build_services(now, before, names),
        reminders=sections.build_reminders(now, before, names),
        unmatched=sections.list_unmatched(now, names),
        illustrative=context.illustrative,
        not_modelled=context.not_modelled,
        timings=sections.build_timings(context.timings),
        versions=[f"{names.authority(code)} {v['from']}" for code, v in now["policy"].items()],
    )


def render_blocked_page(
    month: str,
    stopped_by: Sequence[str],
    hint: Sequence[str],
    waiting: Sequence[SourceProgress],
    names: ReportNames,
) -> str:
    """Return the page of a month that stopped at what came in."""
    steps = [*hint, "未发布任何内容：分析人员和区县看到的仍是以前的月份。"]
    summary = f"{month} 停在收取和检查数据这一步，原因如下。"
    reasons: dict[bool, list[sections.Row]] = {True: [], False: []}
    for one in waiting:
        rows = sections.list_reasons(names.sources[one.source], one.account, None)
        reasons[one.stopped] += [row[:4] for row in rows]
    return render_template(
        "blocked_report.html.j2",
        title=_format_title(month),
        verdict=Verdict("blocked", summary, stopped_by, steps),
        progress=[_progress_row(one, names) for one in waiting],
        stopping_reasons=reasons[True],
        other_reasons=reasons[False],
    )


def _format_title(month: str) -> str:
    return f"新居民积分 {month} 运行报告"


def _progress_row(one: SourceProgress, names: ReportNames) -> sections.Row:
    counts = [one.account[key] if one.account else None for key in ("received", "quarantined")]
    return names.source(one.source), one.state, *counts


def _published(
    now: Manifest,
    before: Manifest | None,
    found: Sequence[DriftChange],
    names: ReportNames,
    alone: str,
) -> Verdict:
    people = f"{now['month']} 共 {format_count(now['residents'])} 人计分"
    if now["accepted"]:
        held = len(now["held"])
        summary = f"{people}。有 {held} 项变化超出限度，经核准发布，理由：{now['accepted']}"
        steps = ["把核准的理由告知区县和相关部门。"]
        return Verdict("published", summary, now["held"], steps)
    if before is None:
        return Verdict("published", f"{people}。{alone}。", [], ["浏览各节，确认数字合理。"])
    beyond = [change for change in found if change.over]
    if beyond:
        count = len(beyond)
        summary = f"{people}。本月起用新版本，{count} 项积分变化超出平常的限度，按规定不扣留。"
        reasons = describe_changes(beyond[:TOP], names)
        return Verdict("published", summary, reasons, ["确认这些变化正是新版本的本意。"])
    summary = f"{people}，与上月相比没有超出限度的变化。"
    return Verdict("published", summary, [], ["没有必须处理的事；见“须留意”。"])


def _held(now: Manifest) -> Verdict:
    month = now["month"]
    summary = f"{month} 已算好，但有 {len(now['held'])} 项与上月相差超出限度，未发布。"
    steps = [
        "先看上列各项，向所列部门核实。",
        f"数据有误：请部门重新交付，放入收件目录，再运行 jifen run --month {month}。",
        f"确属实情：运行 jifen run --month {month} --accept 原因，原样发布，不再重算。",
        "在此之前，分析人员和区县看到的仍是以前的月份。",
    ]
    return Verdict("held", summary, now["held"], steps)
