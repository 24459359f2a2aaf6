"""The sections of the run report: charts with their tables, from what two months' manifests say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from expectations.source import Source
from reports.charts import Bar, Move, bars, histograms, moves
from reports.findings import KINDS, Names, amount, percent, share_of
from reports.page import folded, paragraph, table
from reports.records import REASONS
from transforms.drift import Change, Says, delivered_rows
from transforms.figures import band_names, mean

STEP_TITLES = {
    "pull": "接收数据", "clean": "检查和清洗", "compare": "核对有无变化", "facts": "指标数据", "points": "计算积分",
    "services": "判定服务资格", "changes": "与上月比较", "reminders": "生成提醒", "exports": "区县导出", "drift": "核对变化幅度",
    "report": "生成报告", "publish": "发布",
}  # fmt: skip
MOVED_MOST = 15


def number(value: float | Decimal | None) -> str:
    """A whole number as people read it; a dash for none."""
    return "—" if value is None else f"{value:,.0f}"


def against(today: float | Decimal, before: float | Decimal | None) -> str:
    """`12（上月 10，+20.0 %）`."""
    if before is None:
        return number(today)
    difference = Decimal(str(today)) - Decimal(str(before))
    return f"{number(today)}（上月 {number(before)}，{share_of(difference, Decimal(str(before)))}）"


def own(says: Says | None, source: str) -> Says | None:
    """The account of what a source delivered in the month itself."""
    if says is None:
        return None
    found = [a for a in says["accounts"] if (a["source"], a["month"]) == (source, says["month"])]
    return dict(found[-1]) if found else None


def intake(now: Says, before: Says | None, names: Names) -> str:
    """What came in from every source, and what was refused."""
    rows, lines = [], []
    for code in names.sources:
        today, then = own(now, code), own(before, code)
        came = int(today["received"]) if today else 0
        was = int(then["received"]) if then else None
        if before and was is not None and delivered_rows(before, code, names.sources[code].delivery) is None:
            rows.append(Bar(names.source(code), came, f"{number(came)}（上月首次交付，含历史）", came))
        else:
            rows.append(Bar(names.source(code), came, against(came, was), max(came, was or 0), was))
        counts = [number(today[part] if today else None) for part in ("received", "clean", "quarantined", "superseded")]
        refused = number(then["quarantined"]) if then else "—"
        lines.append([names.source(code), _came(now, code), *counts, number(was), refused])
    head = ("来源", "状态", "收到", "可用", "退回", "重复", "上月收到", "上月退回")
    note = "收到 = 可用 + 退回 + 重复（同一记录以较新的为准）。增量来源首次交付的是全部历史，与其后各月不可比。"
    chart = bars("各来源本月收到的行数，每行以较大的数为满格", rows)
    return chart + table(head, lines, words=(1,)) + paragraph(note, "soft")


def _came(now: Says, source: str) -> str:
    if source in now["carried"]:
        return f"未交，沿用 {now['carried'][source]}"
    if source in now["missing"]:
        return f"缺 {'、'.join(now['missing'][source]['months'])}"
    return "已交" if own(now, source) else "未交"


def refusals(now: Says, before: Says | None, names: Names) -> str:
    """Refused rows, and values left out of rows that stand, by source and reason."""
    rows: list[Bar] = []
    lines: list[tuple[str, ...]] = []
    for code in names.sources:
        today, then = own(now, code), own(before, code)
        if today and today["quarantined"]:
            label = f"{number(today['quarantined'])} 行，占 {100 * today['quarantined'] / today['received']:.2f} %"
            label += f"（上月 {number(then['quarantined'])} 行）" if then else ""
            rows.append(Bar(names.source(code), today["quarantined"], label, 1))
            was = number(then["quarantined"]) if then else "—"
            lines.append((names.sources[code].title, "合计", "整行退回", number(today["quarantined"]), was))
        lines += reason_lines(names.sources[code], today, then)
    full = max((row.now for row in rows), default=1)
    chart = bars("各来源退回的行数", [Bar(row.name, row.now, row.label, full) for row in rows]) if rows else ""
    if not lines:
        return paragraph("没有。")
    return chart + folded("退回的原因和行数", table(("来源", "原因", "处理", "本月", "上月"), lines, words=(1, 2)))


def reason_lines(source: Source, today: Says | None, then: Says | None) -> Iterator[tuple[str, ...]]:
    """One line per reason of either month, most frequent first."""
    for kind, handled in (("reasons", "整行退回"), ("defects", "只舍去该值")):
        counts = [dict(side[kind]) if side else {} for side in (today, then)]
        for reason in sorted({*counts[0], *counts[1]}, key=lambda one: (-counts[0].get(one, 0), one)):
            before = number(counts[1].get(reason, 0)) if then else "—"
            yield source.title, reason_words(source, reason), handled, number(counts[0].get(reason, 0)), before


def reason_words(source: Source, reason: str) -> str:
    """`column:code` in words."""
    column, _, code = reason.partition(":")
    return f"{source.columns[column].title if column in source.columns else column}：{REASONS.get(code, code)}"


def compared(found: Sequence[Change], names: Names) -> str:
    """Everything that the drift check looked at, by kind; the kinds with something beyond the limits stand open."""
    if not found:
        return paragraph("没有可比的数字。")
    parts = []
    for kind, title in KINDS.items():
        listed = [change for change in found if change.kind == kind]
        if not listed:
            continue
        rows = [(names.subject(c), amount(c, c.before), amount(c, c.after), percent(c), _judged(c)) for c in listed]
        beyond = sum(change.over for change in listed)
        content = table(("名称", "上月", "本月", "变化", "判断"), rows, words=(4,))
        summary = f"{title}：{len(listed)} 项，超出限度 {beyond} 项"
        parts.append(f"<h3>{summary}</h3>{content}" if beyond else folded(summary, content))
    return "".join(parts)


def _judged(change: Change) -> str:
    if change.holds:
        return "▲ 超出限度"
    return "△ 超出限度，因有新版本不扣留" if change.over else "正常"


def distribution(now: Says, before: Says | None, names: Names) -> str:
    """People by total points, in the city and in every district."""
    districts, bands = now["figures"]["districts"], list(band_names().values())
    then = before["figures"]["districts"] if before else {}
    city = [sum(line["bands"][place] for line in districts.values()) for place in range(len(bands))]
    was = [sum(line["bands"][place] for line in then.values()) for place in range(len(bands))] if before else None
    full = max([*city, *(was or []), 1])
    drawn = bars(
        "全市总分分布（人）",
        [
            Bar(name, city[place], against(city[place], was[place] if was else None), full, was[place] if was else None)
            for place, name in enumerate(bands)
        ],
    )
    small, lines = [], []
    for code, line in districts.items():
        points, earlier = mean(line, "total"), mean(then[code], "total") if code in then else None
        name = names.districts.get(code, code)
        small.append((name, f"{number(line['residents'])} 人，平均 {_points(points)}", line["bands"]))
        lines.append((name, number(line["residents"]), _points(points), _points(earlier), *map(number, line["bands"])))
    lines.append(_city("全市", now, before, city))
    if before and was:
        lines.append(_city("全市（上月）", before, None, was))
    head = ("区县", "人数", "平均总分", "上月平均", *bands)
    title = f"各区县总分分布：自左至右为{bands[0]}、每 20 分一档、{bands[-1]}，各图以最高一档为满格"
    return drawn + histograms(title, small) + folded("各区县分布的数字", table(head, lines))


def _city(name: str, says: Says, before: Says | None, bands: Sequence[int]) -> tuple[str, ...]:
    """A line of the distribution for the whole city."""
    points = [_points(mean(side["figures"]["items"]["total"])) if side else "—" for side in (says, before)]
    return (name, number(says["residents"]), *points, *map(number, bands))


def _points(value: Decimal | None) -> str:
    return "—" if value is None else f"{value:.2f}"


def movements(now: Says, before: Says | None, names: Names) -> str:
    """Who gained and lost points, by indicator."""
    if before is None:
        return paragraph("没有上月，没有变动可列。")
    moved, items = now["figures"]["moved"], now["figures"]["items"]
    of_indicators = [item for item in moved if item in names.fed_by]
    most = sorted(of_indicators, key=lambda item: -moved[item]["up"] - moved[item]["down"])[:MOVED_MOST]
    drawn = [
        Move(
            names.items.get(item, item), moved[item]["up"], moved[item]["down"],
            f"增 {number(moved[item]['up'])} 人，减 {number(moved[item]['down'])} 人",
        )
        for item in [*(item for item in moved if item == "total"), *most]
    ]  # fmt: skip
    lines = [
        (
            names.items.get(item, item), number(moved[item]["up"]), number(moved[item]["down"]),
            f"{Decimal(moved[item]['points']):+,.2f}".replace("-", "−"),
            _points(mean(before["figures"]["items"][item])) if item in before["figures"]["items"] else "—",
            _points(mean(items[item])) if item in items else "—",
        )
        for item in names.items
        if item in moved
    ]  # fmt: skip
    head = ("项目", "增加（人）", "减少（人）", "分数合计", "上月平均分", "本月平均分")
    chart = moves(f"两月都在的人，总分和变动最多的 {len(most)} 项指标", drawn) if drawn else ""
    return chart + folded("全部项目的数字", table(head, lines))


def services(now: Says, before: Says | None, names: Names) -> str:
    """People who reach each service, and the money that this means a month."""
    was = before["eligible"] if before else {}
    then = {code: was.get(code, 0) for code in before["services"]} if before else {}
    today = {code: now["eligible"].get(code, 0) for code in now["services"]}
    full = max([*today.values(), *then.values(), 1])
    rows = [
        Bar(names.services.get(c, c), people, against(people, then.get(c)), full, then.get(c))
        for c, people in today.items()
    ]
    unknown = now["figures"]["amount_unknown"]
    lines = [
        (
            names.services.get(code, code), number(people), number(then.get(code)),
            _yuan(now, code), _yuan(before, code), number(unknown.get(code, 0)) if unknown.get(code) else "",
        )
        for code, people in today.items()
    ]  # fmt: skip
    head = ("服务", "达标（人）", "上月", "每月金额（元）", "上月金额", "金额待定（人）")
    return bars("各项服务达标的人数", rows) + table(head, lines)


def _yuan(says: Says | None, service: str) -> str:
    found = says["monthly_amounts"].get(service) if says else None
    return f"{Decimal(found):,.0f}" if found else "—"


def reminders(now: Says, before: Says | None, names: Names) -> str:
    """Reminders by kind."""
    listed, was = now["reminders"], before["reminders"] if before and before["told"] else None
    if not now["told"]:
        return paragraph("本次运行不产生新的提醒：不是最新月份，或是补算途中的月份。")
    kinds = sorted({*listed, *(was or {})}, key=lambda kind: -listed.get(kind, 0))
    full = max([*listed.values(), *(was or {}).values(), 1])
    then = {kind: was.get(kind, 0) if was is not None else None for kind in kinds}
    rows = [
        Bar(
            names.reminders.get(kind, kind),
            listed.get(kind, 0),
            against(listed.get(kind, 0), then[kind]),
            full,
            then[kind],
        )
        for kind in kinds
    ]
    added = now["reminders_added"]
    lines = [
        (names.reminders.get(kind, kind), number(listed.get(kind, 0)), number(then[kind]), number(added.get(kind, 0)))
        for kind in kinds
    ]
    return bars("各类提醒的条数", rows) + table(("提醒", "本月", "上月", "本版新增"), lines)


def timings(seconds: Mapping[str, float]) -> str:
    """Where the time went."""
    full = max(seconds.values(), default=1.0)
    rows = [Bar(STEP_TITLES.get(step, step), took, f"{took:.1f} 秒", full) for step, took in seconds.items()]
    lines = [(row.name, f"{row.now:.1f}") for row in rows]
    note = "报告和发布两步的用时见 runs 文件夹中的运行记录。"
    return bars("各步骤用时", rows) + folded("用时的数字", table(("步骤", "秒"), lines)) + paragraph(note, "soft")
