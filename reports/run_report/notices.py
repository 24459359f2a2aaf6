"""What is no reason to stop a month, but should be known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from reports.run_report.drift_text import ReportNames, describe_change
from reports.run_report.sections import find_month_account
from transforms.comparison.drift import (
    DriftChange,
    Manifest,
    find_amended_versions,
    find_blocking,
    find_new_versions,
)


@dataclass(frozen=True)
class ReportContext:
    """What the page states beside the numbers.

    illustrative: values in use that the bureau has yet to set; not_modelled: table, what it leaves
    out, why; outdated: what has changed since the month was held; timings: seconds by stage;
    alone: why there is no month before.
    """

    illustrative: Sequence[str]
    not_modelled: Sequence[tuple[str, str, str]]
    outdated: Sequence[str]
    timings: Mapping[str, float]
    alone: str


def list_notices(
    now: Manifest,
    before: Manifest | None,
    names: ReportNames,
    found: Sequence[DriftChange],
    context: ReportContext,
) -> Iterator[str]:
    """Yield one sentence per notice."""
    if context.outdated:
        yield f"待核以后有变化，已重新计算：{'；'.join(context.outdated)}。"
    if before:
        yield from _list_differences(before, now, names, found)
    yield from _list_incomplete(now, names)
    for service, people in now["figures"]["amount_unknown"].items():
        places = now["figures"].get("places_unknown", {}).get(service)
        where = f"，涉及 {places:,} 个小区" if places else ""
        name = names.services.get(service, service)
        yield (
            f"{name}：{people:,} 人达标，但金额算不出（例如小区没有平均租金）{where}。"
            "请补充参考表后重新运行。"
        )
    if context.illustrative:
        count = len(context.illustrative)
        yield f"{count} 项取值仅为示例（见“口径”），正式使用前须由主管部门核定。"


def _list_differences(
    before: Manifest, now: Manifest, names: ReportNames, found: Sequence[DriftChange]
) -> Iterator[str]:
    """Yield what is not as it was when the month before was published."""
    yield from _list_versions(before, now, names)
    if find_blocking(found):
        for change in found:
            if change.over and change.renewed:
                yield f"因新版本而超出限度：{describe_change(change, names)}"
    if before["accepted"]:
        yield (
            f"上月（{before['month']}）有 {len(before['held'])} 项变化超出限度，"
            f"经核准发布，理由：{before['accepted']}"
        )
    if before["code"]["hash"] != now["code"]["hash"]:
        was, version = before["code"]["version"], now["code"]["version"]
        what = f"{was} → {version}" if was != version else f"同为 {version} 版，内容有改动"
        yield f"程序与上月不同（{what}）。"


def _list_incomplete(now: Manifest, names: ReportNames) -> Iterator[str]:
    """Yield what was not delivered, or not used though delivered."""
    for source, month in now["carried"].items():
        yield f"{names.source(source)}本月未交，沿用 {month} 的数据。请催交。"
    for source, missing in now["missing"].items():
        months = "、".join(missing["months"])
        reason = missing["reason"]
        yield f"{names.source(source)}缺 {months} 的数据，操作员准许缺报，理由：{reason}"
    for source, rows in now["over_quota"].items():
        if rows:
            yield (
                f"{names.source(source)}有 {rows:,} 行超出配额，未计分；"
                "明细在该版本的 restricted/over_quota。"
            )
    for source, entries in now.get("unknown_keys", {}).items():
        if entries:
            yield (
                f"{names.source(source)}有 {entries:,} 项用了区县积分表都没有的代码，未计分。"
                "请核对代码。"
            )
    if now["corrections_without_target"]:
        count = now["corrections_without_target"]
        yield f"{count:,} 条异议处理结果所指的项目或取值无效，未生效。请核对异议处理结果。"
    yield from _list_unused(now, names)


def _list_unused(now: Manifest, names: ReportNames) -> Iterator[str]:
    """Yield columns and sheets that were delivered but not declared, or have no header."""
    for source in names.sources:
        account = find_month_account(now, source)
        if account and account["undeclared"]:
            yield f"{names.source(source)}的交付中有没有声明过的列，未使用。"
        if account and account.get("ignored_sheets"):
            count = account["ignored_sheets"]
            yield (
                f"{names.source(source)}的工作簿中有 {count} 张工作表没有表头，未使用。"
                "请核对其中是否有应交的数据。"
            )


def _list_versions(before: Manifest, now: Manifest, names: ReportNames) -> Iterator[str]:
    for group, title in (("policy", "积分表"), ("services", "服务")):
        then, today = before[group], now[group]
        for code in sorted(find_new_versions(then, today)):
            was = f"上月为 {then[code]['from']} 版" if code in then else "上月没有"
            since = f"{today[code]['from']} 起，{was}"
            yield f"{title}“{names.authority(code)}”换了新版本（{since}）：变化照列，不扣留。"
        for code in sorted(find_amended_versions(then, today)):
            which = f"{title}“{names.authority(code)}”{today[code]['from']} 版"
            yield f"{which}的内容与上月所用的不同（更正）。"
