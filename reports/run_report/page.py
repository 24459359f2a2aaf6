"""The run report: one page from which operators see whether a month is good, with exact numbers.

It is made from the manifests of the month and of the month before, and never holds anything about
one person. Its texts and tables are in `reports/html/templates/`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from expectations.findings import Finding, read_findings
from reports.findings import NOTHING_TO_DO, Findings, split_findings
from reports.html.environment import render_template
from reports.numbers import format_count
from reports.run_report import sections
from reports.run_report.comparison_findings import ReportContext
from reports.run_report.drift_text import ReportNames
from transforms.comparison.drift import DriftChange, Manifest

STATE_TITLES = {"published": "✔ 已发布", "held": "‖ 待核，未发布", "blocked": "✖ 未发布"}


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
class BlockedMonth:
    """A month that stopped at what came in.

    made_at: when, in the city's time; published: the number of the revision in force; returns:
    where the departments' returns are below the root, empty without any.
    """

    month: str
    made_at: str
    findings: Sequence[Finding]
    progress: Sequence[SourceProgress]
    published: int | None
    returns: str = ""


@dataclass(frozen=True)
class Verdict:
    """What stands first: the state, one sentence, all findings, what to do, time and revision."""

    state: str
    summary: str
    findings: Findings
    steps: Sequence[str]
    facts: Sequence[str]

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
    verdict = (
        _held(now, names, context) if is_held else _published(now, before, found, names, context)
    )
    return render_template(
        "month_report.html.j2",
        title=_format_title(now["month"]),
        verdict=verdict,
        month=now,
        has_previous=before is not None,
        returns=sections.list_return_files(now, names),
        workbooks=sections.list_return_workbooks(now),
        cases=sections.list_cases(now, names),
        open_tables=sections.list_open_tables(now),
        generalised=sections.list_generalised(now),
        answers=sections.list_outcomes(now, names),
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


def render_blocked_page(blocked: BlockedMonth, names: ReportNames) -> str:
    """Return the page of a month that stopped at what came in."""
    month = blocked.month
    returns = [f"各部门的退回清单在根目录下的 {blocked.returns}，请交部门更正。"]
    steps = [
        *(returns if blocked.returns else []),
        "逐项处理上列各项，再运行。",
        f"未发布任何内容：{_in_force(month, blocked.published)}。",
    ]
    summary = f"{month} 停在收取和检查数据这一步，原因如下。"
    verdict = Verdict(
        "blocked",
        summary,
        split_findings(blocked.findings, names.sources),
        steps,
        [f"生成时间 {_format_time(blocked.made_at)}（北京时间）"],
    )
    reasons: dict[bool, list[sections.Row]] = {True: [], False: []}
    for one in blocked.progress:
        rows = sections.list_reasons(names.sources[one.source], one.account, None)
        reasons[one.stopped] += [row[:5] for row in rows]
    return render_template(
        "blocked_report.html.j2",
        title=_format_title(month),
        verdict=verdict,
        progress=[_progress_row(one, names) for one in blocked.progress],
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
    context: ReportContext,
) -> Verdict:
    findings = split_findings(read_findings(now["findings"] or ()), names.sources)
    people = f"{now['month']} 共 {format_count(now['residents'])} 人计分"
    beyond = sum(change.over for change in found)
    if now["accepted"]:
        held = len(now["held"])
        summary = f"{people}。有 {held} 项变化超出限度，经核准发布，理由：{now['accepted']}。"
    elif before is None:
        summary = f"{people}。{context.alone}。"
    elif beyond:
        summary = f"{people}。本月起用新版本，{beyond} 项积分变化超出平常的限度，按规定不扣留。"
    else:
        summary = f"{people}，与上月相比没有超出限度的变化。"
    step = "逐项处理上列“须处理”的各项。" if findings.actions else f"{NOTHING_TO_DO}。"
    return Verdict("published", summary, findings, [step], _list_facts(context))


def _held(now: Manifest, names: ReportNames, context: ReportContext) -> Verdict:
    month = now["month"]
    summary = f"{month} 已算好，但有 {len(now['held'])} 项与上月相差超出限度，未发布。"
    steps = [
        "先看上列各项，向所列部门核实。",
        f"数据有误：请部门重新交付，放入收件目录，再运行 jifen run --month {month}。",
        f"确属实情：运行 jifen run --month {month} --accept 原因，原样发布，不再重算。",
        f"在此之前，{_in_force(month, context.published)}。",
    ]
    findings = split_findings(read_findings(now["findings"] or ()), names.sources)
    return Verdict("held", summary, findings, steps, _list_facts(context))


def _list_facts(context: ReportContext) -> list[str]:
    """Return when the page was made, and for which revision."""
    made = f"生成时间 {_format_time(context.made_at)}（北京时间）"
    return [made, f"本月修订版 r{context.revision}"]


def _format_time(moment: str) -> str:
    return moment[:16].replace("T", " ")


def _in_force(month: str, published: int | None) -> str:
    """Return what analysts and districts see until the month is published."""
    if published is None:
        return "分析人员和区县看到的仍是以前的月份"
    return f"分析人员和区县看到的仍是 {month} 修订版 r{published}"
