"""The sections of the run report: charts with their tables, from what two months' manifests say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from expectations.source_model import Source
from reports.explain.records import REASONS
from reports.html.charts import Bar, Move, draw_bars, draw_histograms, draw_moves
from reports.html.page import render_details, render_paragraph, render_table
from reports.run_report.drift_text import (
    KINDS,
    ReportNames,
    format_amount,
    format_percent,
    format_share,
)
from transforms.comparison.drift import DriftChange, Manifest, count_delivered_rows
from transforms.comparison.metrics import compute_mean, list_band_names

MOVED_MOST = 15


def format_count(value: float | Decimal | None) -> str:
    """A whole number as people read it; a dash for none."""
    return "—" if value is None else f"{value:,.0f}"


def with_previous(today: float | Decimal, before: float | Decimal | None) -> str:
    """`12（上月 10，+20.0 %）`."""
    if before is None:
        return format_count(today)
    difference = Decimal(str(today)) - Decimal(str(before))
    return f"{format_count(today)}（上月 {format_count(before)}，{format_share(difference, Decimal(str(before)))}）"


def find_month_account(says: Manifest | None, source: str) -> Manifest | None:
    """The account of what a source delivered in the month itself."""
    if says is None:
        return None
    found = [a for a in says["accounts"] if (a["source"], a["month"]) == (source, says["month"])]
    return dict(found[-1]) if found else None


def render_intake(now: Manifest, before: Manifest | None, names: ReportNames) -> str:
    """What came in from every source, and what was refused."""
    rows, lines = [], []
    for code in names.sources:
        today, then = find_month_account(now, code), find_month_account(before, code)
        came = int(today["received"]) if today else 0
        was = int(then["received"]) if then else None
        if (
            before
            and was is not None
            and count_delivered_rows(before, code, names.sources[code].delivery) is None
        ):
            rows.append(
                Bar(names.source(code), came, f"{format_count(came)}（上月首次交付，含历史）", came)
            )
        else:
            rows.append(
                Bar(names.source(code), came, with_previous(came, was), max(came, was or 0), was)
            )
        counts = [
            format_count(today[part] if today else None)
            for part in ("received", "clean", "quarantined", "superseded")
        ]
        refused = format_count(then["quarantined"]) if then else "—"
        lines.append([names.source(code), _came(now, code), *counts, format_count(was), refused])
    head = ("来源", "状态", "收到", "可用", "退回", "重复", "上月收到", "上月退回")
    note = "收到 = 可用 + 退回 + 重复（同一记录以较新的为准）。增量来源首次交付的是全部历史，与其后各月不可比。"
    chart = draw_bars("各来源本月收到的行数，每行以较大的数为满格", rows)
    return chart + render_table(head, lines, words=(1,)) + render_paragraph(note, "soft")


def _came(now: Manifest, source: str) -> str:
    if source in now["carried"]:
        return f"未交，沿用 {now['carried'][source]}"
    if source in now["missing"]:
        return f"缺 {'、'.join(now['missing'][source]['months'])}"
    return "已交" if find_month_account(now, source) else "未交"


def render_refusals(now: Manifest, before: Manifest | None, names: ReportNames) -> str:
    """Refused rows, and values left out of rows that stand, by source and reason."""
    rows: list[Bar] = []
    lines: list[tuple[str, ...]] = []
    for code in names.sources:
        today, then = find_month_account(now, code), find_month_account(before, code)
        if today and today["quarantined"]:
            label = f"{format_count(today['quarantined'])} 行，占 {100 * today['quarantined'] / today['received']:.2f} %"
            label += f"（上月 {format_count(then['quarantined'])} 行）" if then else ""
            rows.append(Bar(names.source(code), today["quarantined"], label, 1))
            was = format_count(then["quarantined"]) if then else "—"
            lines.append(
                (
                    names.sources[code].title,
                    "合计",
                    "整行退回",
                    format_count(today["quarantined"]),
                    was,
                )
            )
        lines += list_reasons(names.sources[code], today, then)
    full = max((row.now for row in rows), default=1)
    chart = (
        draw_bars("各来源退回的行数", [Bar(row.name, row.now, row.label, full) for row in rows])
        if rows
        else ""
    )
    if not lines:
        return render_paragraph("没有。")
    return chart + render_details(
        "退回的原因和行数",
        render_table(("来源", "原因", "处理", "本月", "上月"), lines, words=(1, 2)),
    )


def list_reasons(
    source: Source, today: Manifest | None, then: Manifest | None
) -> Iterator[tuple[str, ...]]:
    """One line per reason of either month, most frequent first."""
    for kind, handled in (("reasons", "整行退回"), ("defects", "只舍去该值")):
        counts = [dict(side[kind]) if side else {} for side in (today, then)]
        for reason in sorted(
            {*counts[0], *counts[1]}, key=lambda one: (-counts[0].get(one, 0), one)
        ):
            before = format_count(counts[1].get(reason, 0)) if then else "—"
            yield (
                source.title,
                describe_reason(source, reason),
                handled,
                format_count(counts[0].get(reason, 0)),
                before,
            )


def describe_reason(source: Source, reason: str) -> str:
    """`column:code` in words."""
    column, _, code = reason.partition(":")
    return f"{source.columns[column].title if column in source.columns else column}：{REASONS.get(code, code)}"


def render_comparison(found: Sequence[DriftChange], names: ReportNames) -> str:
    """Everything that the drift check looked at, by kind; the kinds with something beyond the limits stand open."""
    if not found:
        return render_paragraph("没有可比的数字。")
    parts = []
    for kind, title in KINDS.items():
        listed = [change for change in found if change.kind == kind]
        if not listed:
            continue
        rows = [
            (
                names.subject(c),
                format_amount(c, c.before),
                format_amount(c, c.after),
                format_percent(c),
                _judged(c),
            )
            for c in listed
        ]
        beyond = sum(change.over for change in listed)
        content = render_table(("名称", "上月", "本月", "变化", "判断"), rows, words=(4,))
        summary = f"{title}：{len(listed)} 项，超出限度 {beyond} 项"
        parts.append(f"<h3>{summary}</h3>{content}" if beyond else render_details(summary, content))
    return "".join(parts)


def _judged(change: DriftChange) -> str:
    if change.holds:
        return "▲ 超出限度"
    return "△ 超出限度，因有新版本不扣留" if change.over else "正常"


def render_distribution(now: Manifest, before: Manifest | None, names: ReportNames) -> str:
    """People by total points, in the city and in every district."""
    districts, bands = now["figures"]["districts"], list(list_band_names().values())
    then = before["figures"]["districts"] if before else {}
    city = [sum(line["bands"][place] for line in districts.values()) for place in range(len(bands))]
    was = (
        [sum(line["bands"][place] for line in then.values()) for place in range(len(bands))]
        if before
        else None
    )
    full = max([*city, *(was or []), 1])
    drawn = draw_bars(
        "全市总分分布（人）",
        [
            Bar(
                name,
                city[place],
                with_previous(city[place], was[place] if was else None),
                full,
                was[place] if was else None,
            )
            for place, name in enumerate(bands)
        ],
    )
    small, lines = [], []
    for code, line in districts.items():
        points, earlier = (
            compute_mean(line, "total"),
            compute_mean(then[code], "total") if code in then else None,
        )
        name = names.districts.get(code, code)
        small.append(
            (name, f"{format_count(line['residents'])} 人，平均 {_points(points)}", line["bands"])
        )
        lines.append(
            (
                name,
                format_count(line["residents"]),
                _points(points),
                _points(earlier),
                *map(format_count, line["bands"]),
            )
        )
    lines.append(_city("全市", now, before, city))
    if before and was:
        lines.append(_city("全市（上月）", before, None, was))
    head = ("区县", "人数", "平均总分", "上月平均", *bands)
    title = f"各区县总分分布：自左至右为{bands[0]}、每 20 分一档、{bands[-1]}，各图以最高一档为满格"
    return (
        drawn
        + draw_histograms(title, small)
        + render_details("各区县分布的数字", render_table(head, lines))
    )


def _city(
    name: str, says: Manifest, before: Manifest | None, bands: Sequence[int]
) -> tuple[str, ...]:
    """A line of the distribution for the whole city."""
    points = [
        _points(compute_mean(side["figures"]["items"]["total"])) if side else "—"
        for side in (says, before)
    ]
    return (name, format_count(says["residents"]), *points, *map(format_count, bands))


def _points(value: Decimal | None) -> str:
    return "—" if value is None else f"{value:.2f}"


def render_movements(now: Manifest, before: Manifest | None, names: ReportNames) -> str:
    """Who gained and lost points, by indicator."""
    if before is None:
        return render_paragraph("没有上月，没有变动可列。")
    moved, items = now["figures"]["moved"], now["figures"]["items"]
    of_indicators = [item for item in moved if item in names.fed_by]
    most = sorted(of_indicators, key=lambda item: -moved[item]["up"] - moved[item]["down"])[
        :MOVED_MOST
    ]
    drawn = [
        Move(
            names.items.get(item, item), moved[item]["up"], moved[item]["down"],
            f"增 {format_count(moved[item]['up'])} 人，减 {format_count(moved[item]['down'])} 人",
        )
        for item in [*(item for item in moved if item == "total"), *most]
    ]  # fmt: skip
    lines = [
        (
            names.items.get(item, item), format_count(moved[item]["up"]), format_count(moved[item]["down"]),
            f"{Decimal(moved[item]['points']):+,.2f}".replace("-", "−"),
            _points(compute_mean(before["figures"]["items"][item])) if item in before["figures"]["items"] else "—",
            _points(compute_mean(items[item])) if item in items else "—",
        )
        for item in names.items
        if item in moved
    ]  # fmt: skip
    head = ("项目", "增加（人）", "减少（人）", "分数合计", "上月平均分", "本月平均分")
    chart = draw_moves(f"两月都在的人，总分和变动最多的 {len(most)} 项指标", drawn) if drawn else ""
    return chart + render_details("全部项目的数字", render_table(head, lines))


def render_services(now: Manifest, before: Manifest | None, names: ReportNames) -> str:
    """People who reach each service, and the money that this means a month."""
    was = before["eligible"] if before else {}
    then = {code: was.get(code, 0) for code in before["services"]} if before else {}
    today = {code: now["eligible"].get(code, 0) for code in now["services"]}
    full = max([*today.values(), *then.values(), 1])
    rows = [
        Bar(names.services.get(c, c), people, with_previous(people, then.get(c)), full, then.get(c))
        for c, people in today.items()
    ]
    unknown = now["figures"]["amount_unknown"]
    lines = [
        (
            names.services.get(code, code), format_count(people), format_count(then.get(code)),
            _yuan(now, code), _yuan(before, code), format_count(unknown.get(code, 0)) if unknown.get(code) else "",
        )
        for code, people in today.items()
    ]  # fmt: skip
    head = ("服务", "达标（人）", "上月", "每月金额（元）", "上月金额", "金额待定（人）")
    return draw_bars("各项服务达标的人数", rows) + render_table(head, lines)


def _yuan(says: Manifest | None, service: str) -> str:
    found = says["monthly_amounts"].get(service) if says else None
    return f"{Decimal(found):,.0f}" if found else "—"


def render_reminders(now: Manifest, before: Manifest | None, names: ReportNames) -> str:
    """Reminders by kind."""
    listed, was = now["reminders"], before["reminders"] if before and before["told"] else None
    if not now["told"]:
        return render_paragraph("本次运行不产生新的提醒：不是最新月份，或是补算途中的月份。")
    kinds = sorted({*listed, *(was or {})}, key=lambda kind: -listed.get(kind, 0))
    full = max([*listed.values(), *(was or {}).values(), 1])
    then = {kind: was.get(kind, 0) if was is not None else None for kind in kinds}
    rows = [
        Bar(
            names.reminders.get(kind, kind),
            listed.get(kind, 0),
            with_previous(listed.get(kind, 0), then[kind]),
            full,
            then[kind],
        )
        for kind in kinds
    ]
    added = now["reminders_added"]
    lines = [
        (
            names.reminders.get(kind, kind),
            format_count(listed.get(kind, 0)),
            format_count(then[kind]),
            format_count(added.get(kind, 0)),
        )
        for kind in kinds
    ]
    return draw_bars("各类提醒的条数", rows) + render_table(
        ("提醒", "本月", "上月", "本版新增"), lines
    )


def render_timings(seconds: Mapping[str, float]) -> str:
    """Where the time went."""
    full = max(seconds.values(), default=1.0)
    rows = [Bar(step, took, f"{took:.1f} 秒", full) for step, took in seconds.items()]
    lines = [(row.name, f"{row.now:.1f}") for row in rows]
    note = "报告和发布两步的用时见 runs 文件夹中的运行记录。"
    return (
        draw_bars("各步骤用时", rows)
        + render_details("用时的数字", render_table(("步骤", "秒"), lines))
        + render_paragraph(note, "soft")
    )
