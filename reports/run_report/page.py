"""The run report: one page from which the person on duty sees whether a month is good. For operators: exact numbers.

It is made from what the manifests of the month and of the month before say, and never holds anything about one person.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from reports.html.page import (
    render_details,
    render_list,
    render_page,
    render_paragraph,
    render_table,
)
from reports.run_report import sections
from reports.run_report.drift_text import ReportNames, describe_change, describe_changes
from transforms.comparison.drift import (
    DriftChange,
    Manifest,
    find_amended_versions,
    find_blocking,
    find_new_versions,
)
from transforms.points.models import CITY

SIGNS = {"published": "✔ 已发布", "held": "‖ 待核，未发布", "blocked": "✖ 未发布"}
TOP = 8  # findings of the new versions that stand among the notices


@dataclass(frozen=True)
class ReportContext:
    """What the page says beside the figures.

    illustrative: values in use that the bureau has yet to set; not_modelled: table, what it leaves out, why;
    outdated: what has changed since the month was held; timings: seconds by step; alone: why there is no month before.
    """

    illustrative: Sequence[str]
    not_modelled: Sequence[tuple[str, str, str]]
    outdated: Sequence[str]
    timings: Mapping[str, float]
    alone: str


@dataclass(frozen=True)
class SourceProgress:
    """A source of a month that is blocked: what is known of its delivery so far, and how far it came.

    stopped: the month is blocked by it; account: received, quarantined, reasons, defects; None when nothing was counted.
    """

    source: str
    stopped: bool
    state: str
    account: Manifest | None


def render_month_page(
    now: Manifest,
    before: Manifest | None,
    names: ReportNames,
    found: Sequence[DriftChange],
    beside: ReportContext,
) -> str:
    """The page of a finished month: published, accepted, or held."""
    kept_back = bool(now["held"]) and not now["accepted"]
    notices = list(_notices(now, before, names, found, beside))
    listed = [
        ("须留意", render_list(notices) if notices else render_paragraph("没有。")),
        ("收到的数据", sections.render_intake(now, before, names)),
        ("退回的数据", sections.render_refusals(now, before, names)),
        ("与上月比对", sections.render_comparison(found, names)),
        ("积分分布", sections.render_distribution(now, before, names)),
        ("积分变动", sections.render_movements(now, before, names)),
        ("积分应用与金额", sections.render_services(now, before, names)),
        ("提醒", sections.render_reminders(now, before, names)),
        ("口径", _fine_print(now, names, beside)),
        ("用时", sections.render_timings(beside.timings)),
    ]
    header = _held(now) if kept_back else _published(now, before, found, names, beside.alone)
    versions = "，".join(
        f"{_authority(names, code)} {v['from']}" for code, v in now["policy"].items()
    )
    against = f"与 {now['compared_with']} 比对" if before else "没有上月可比"
    footer = (
        f"计分日 {now['as_of']}，{against}。积分表版本：{versions}。程序 {now['code']['version']}。"
        "本页供数据局操作人员使用，数字未作舍入，不含任何个人信息。"
    )
    return render_page(f"新居民积分 {now['month']} 运行报告", header, listed, escape(footer))


def render_blocked_page(
    month: str,
    stopped_by: Sequence[str],
    hint: Sequence[str],
    waiting: Sequence[SourceProgress],
    names: ReportNames,
) -> str:
    """The page of a month that stopped at what came in: what came, what was refused and why, what to do."""
    steps = [*hint, "未发布任何内容：分析人员和区县看到的仍是以前的月份。"]
    header = _verdict("blocked", f"{month} 停在收取和检查数据这一步，原因如下。", stopped_by, steps)
    lines = [
        (
            names.source(one.source),
            one.state,
            sections.format_count(one.account["received"] if one.account else None),
            sections.format_count(one.account["quarantined"] if one.account else None),
        )
        for one in waiting
    ]
    reasons = [
        [line[:4] for line in sections.list_reasons(names.sources[w.source], w.account, None)]
        for w in waiting
    ]
    head = ("来源", "原因", "处理", "行数")
    stopped = [
        line for one, found in zip(waiting, reasons, strict=True) if one.stopped for line in found
    ]
    others = [
        line
        for one, found in zip(waiting, reasons, strict=True)
        if not one.stopped
        for line in found
    ]
    refused = render_table(head, stopped, words=(1, 2))
    refused += (
        render_details("其他来源退回的行", render_table(head, others, words=(1, 2)))
        if others
        else ""
    )
    listed = [
        (
            "收到的数据",
            render_table(("来源", "状态", "收到（行）", "退回（行）"), lines, words=(1,)),
        ),
        ("退回的原因", refused),
    ]
    footer = "行数只列已经读过的交付。本页供数据局操作人员使用，不含任何个人信息。"
    return render_page(f"新居民积分 {month} 运行报告", header, listed, footer)


def _published(
    now: Manifest,
    before: Manifest | None,
    found: Sequence[DriftChange],
    names: ReportNames,
    alone: str,
) -> str:
    people = f"{now['month']} 共 {sections.format_count(now['residents'])} 人计分"
    if now["accepted"]:
        what = (
            f"{people}。有 {len(now['held'])} 项变化超出限度，经核准发布，理由：{now['accepted']}"
        )
        return _verdict("published", what, now["held"], ["把核准的理由告知区县和相关部门。"])
    if before is None:
        return _verdict("published", f"{people}。{alone}。", [], ["浏览各节，确认数字合理。"])
    beyond = [change for change in found if change.over]
    if beyond:
        what = f"{people}。本月起用新版本，{len(beyond)} 项积分变化超出平常的限度，按规定不扣留。"
        return _verdict(
            "published",
            what,
            describe_changes(beyond[:TOP], names),
            ["确认这些变化正是新版本的本意。"],
        )
    return _verdict(
        "published",
        f"{people}，与上月相比没有超出限度的变化。",
        [],
        ["没有必须处理的事；见“须留意”。"],
    )


def _held(now: Manifest) -> str:
    what = f"{now['month']} 已算好，但有 {len(now['held'])} 项与上月相差超出限度，未发布。"
    steps = [
        "先看上列各项，向所列部门核实。",
        f"数据有误：请部门重新交付，放入收件目录，再运行 jifen run --month {now['month']}。",
        f"确属实情：运行 jifen run --month {now['month']} --accept 原因，原样发布，不再重算。",
        "在此之前，分析人员和区县看到的仍是以前的月份。",
    ]
    return _verdict("held", what, now["held"], steps)


def _verdict(state: str, what: str, reasons: Sequence[str], steps: Sequence[str]) -> str:
    """What stands first: the state in words and shape, one sentence, why, and what to do."""
    shown = reasons[: 2 * TOP]
    why = render_list(shown) if shown else ""
    if len(shown) < len(reasons):
        why += render_details(
            f"其余 {len(reasons) - len(shown)} 项", render_list(reasons[2 * TOP :])
        )
    hint = f"<h3>怎么办</h3><ol>{''.join(f'<li>{escape(step)}</li>' for step in steps)}</ol>"
    return (
        f'<section class="verdict {state}" aria-label="结论">'
        f"<p><strong>{SIGNS[state]}</strong></p>{render_paragraph(what)}{why}{hint}</section>"
    )


def _notices(
    now: Manifest,
    before: Manifest | None,
    names: ReportNames,
    found: Sequence[DriftChange],
    beside: ReportContext,
) -> Iterator[str]:
    """What is no reason to stop, but should be known."""
    if beside.outdated:
        yield f"待核以后有变化，已重新计算：{'；'.join(beside.outdated)}。"
    if before:
        yield from _since(before, now, names, found)
    yield from _incomplete(now, names)
    for service, people in now["figures"]["amount_unknown"].items():
        places = now["figures"].get("places_unknown", {}).get(service)
        where = f"，涉及 {places:,} 个小区" if places else ""
        name = names.services.get(service, service)
        yield f"{name}：{people:,} 人达标，但金额算不出（例如小区没有平均租金）{where}。请补充参考表后重新运行。"
    if beside.illustrative:
        yield f"{len(beside.illustrative)} 项取值仅为示例（见“口径”），正式使用前须由主管部门核定。"


def _since(
    before: Manifest, now: Manifest, names: ReportNames, found: Sequence[DriftChange]
) -> Iterator[str]:
    """What is not as it was when the month before was published."""
    yield from _versions(before, now, names)
    if find_blocking(found):
        yield from (
            f"因新版本而超出限度：{describe_change(c, names)}"
            for c in found
            if c.over and c.renewed
        )
    if before["accepted"]:
        yield f"上月（{before['month']}）有 {len(before['held'])} 项变化超出限度，经核准发布，理由：{before['accepted']}"
    if before["code"]["hash"] != now["code"]["hash"]:
        was, version = before["code"]["version"], now["code"]["version"]
        yield f"程序与上月不同（{f'{was} → {version}' if was != version else f'同为 {version} 版，内容有改动'}）。"


def _incomplete(now: Manifest, names: ReportNames) -> Iterator[str]:
    """What was not delivered, or not used though delivered."""
    for source, month in now["carried"].items():
        yield f"{names.source(source)}本月未交，沿用 {month} 的数据。请催交。"
    for source, missing in now["missing"].items():
        yield f"{names.source(source)}缺 {'、'.join(missing['months'])} 的数据，操作员准许缺报，理由：{missing['reason']}"
    for source, rows in now["over_quota"].items():
        if rows:
            yield f"{names.source(source)}有 {rows:,} 行超出配额，未计分；明细在该版本的 restricted/over_quota。"
    for source, entries in now.get("unknown_keys", {}).items():
        if entries:
            yield f"{names.source(source)}有 {entries:,} 项用了区县积分表都没有的代码，未计分。请核对代码。"
    if now["corrections_without_target"]:
        yield f"{now['corrections_without_target']:,} 条异议处理结果所指的项目或取值无效，未生效。请核对异议处理结果。"
    yield from _unused(now, names)


def _unused(now: Manifest, names: ReportNames) -> Iterator[str]:
    """Columns and sheets that were delivered, and that nobody declared or that have no header."""
    for source in names.sources:
        account = sections.find_month_account(now, source)
        if account and account["undeclared"]:
            yield f"{names.source(source)}的交付中有没有声明过的列，未使用。"
        if account and account.get("ignored_sheets"):
            count = account["ignored_sheets"]
            yield f"{names.source(source)}的工作簿中有 {count} 张工作表没有表头，未使用。请核对其中是否有应交的数据。"


def _versions(before: Manifest, now: Manifest, names: ReportNames) -> Iterator[str]:
    for group, title in (("policy", "积分表"), ("services", "服务")):
        then, today = before[group], now[group]
        for code in sorted(find_new_versions(then, today)):
            was = f"上月为 {then[code]['from']} 版" if code in then else "上月没有"
            yield f"{title}“{_authority(names, code)}”换了新版本（{today[code]['from']} 起，{was}）：变化照列，不扣留。"
        for code in sorted(find_amended_versions(then, today)):
            yield f"{title}“{_authority(names, code)}”{today[code]['from']} 版的内容与上月所用的不同（更正）。"


def _authority(names: ReportNames, code: str) -> str:
    return "全市" if code == CITY else names.districts.get(code, names.services.get(code, code))


def _fine_print(now: Manifest, names: ReportNames, beside: ReportContext) -> str:
    unmatched = [
        (names.source(code), sections.format_count(rows))
        for code, rows in now["unmatched"].items()
        if rows
    ]
    parts = ["<h3>不在登记人口之内的记录</h3>", render_table(("来源", "行数"), unmatched)]
    if beside.illustrative:
        parts.append(
            render_details(
                f"仅为示例的取值：{len(beside.illustrative)} 项", render_list(beside.illustrative)
            )
        )
    if beside.not_modelled:
        title = f"公布的办法中尚未计分的内容：{len(beside.not_modelled)} 项"
        parts.append(
            render_details(
                title, render_table(("积分表", "内容", "原因"), beside.not_modelled, words=(1, 2))
            )
        )
    return "".join(parts)
