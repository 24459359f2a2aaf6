"""An explanation as text for a terminal, and as plain data for JSON."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from rich.cells import cell_len

from reports.explain.model import (
    Correction,
    ExplainedIndicator,
    ExplainedSum,
    Explanation,
    ServiceState,
)
from transforms.points.models import CITY

TITLE_CELLS = 16


def to_json_data(found: Explanation) -> dict[str, Any]:
    """The explanation as JSON can hold it: decimals as text, so that 63.50 stays 63.50."""
    plain: dict[str, Any] = to_json_value(asdict(found))
    for line, data in zip(found.lines, plain["lines"], strict=True):
        data["capped"] = line.capped
    for one, data in zip(found.sums, plain["sums"], strict=True):
        data["capped"] = one.capped
    return plain


def to_json_value(value: Any) -> Any:
    """Decimals and dates as text."""
    if isinstance(value, Mapping):
        return {name: to_json_value(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json_value(item) for item in value]
    if isinstance(value, Decimal):
        return format(value, "f")
    return value.isoformat() if isinstance(value, dt.date) else value


def format_explanation(found: Explanation, month: str) -> Iterator[str]:
    """The explanation, line by line."""
    yield f"{found.name}  {month}  {found.district_name}  总分 {found.total}"
    for version in found.versions:
        yield f"适用 {version['title']}（自 {version['from']} 起；{version['basis']}）"
    for discrepancy in found.discrepancies:
        yield f"！{discrepancy}；请运行 jifen verify 并报告"
    for case in found.corrected_facts:
        yield f"异议更正数据：{case.title}为 {case.after}（案件 {case.case_id}）"
    for one in found.sums:
        if one.parent is None:
            yield ""
            yield from _members(found, one, "")
    yield ""
    terms = " ".join(
        f"{'−' if one.subtract else '＋'} {one.title} {one.points}"
        for one in found.sums
        if one.parent is None and one.authority == CITY
    )
    yield f"共性分 {found.common} ＝ {terms.removeprefix('＋ ')}"
    yield f"总分 {found.total} ＝ 共性分 {found.common} ＋ 个性分 {found.district_points}"
    yield from _changes(found)
    yield from _services(found.services)


def _members(found: Explanation, parent: ExplainedSum, indent: str) -> Iterator[str]:
    """A section or group with what stands in it."""
    yield f"{indent}{_padded(parent.title)}{parent.points:>8}{_sum_note(parent)}"
    for line in found.lines:
        if (line.authority, line.parent) == (parent.authority, parent.code):
            yield from (f"{indent}  {text}" for text in _line(line))
    for one in found.sums:
        if (one.authority, one.parent) == (parent.authority, parent.code):
            yield from _members(found, one, indent + "  ")


def _sum_note(one: ExplainedSum) -> str:
    how = "  取其中最高" if one.combine == "highest" else ""
    if one.cap is None:
        return how
    bitten = f"，合计 {one.before_cap}，按上限计" if one.capped else ""
    return f"{how}  上限 {one.cap.normalize():f}{bitten}"


def _line(line: ExplainedIndicator) -> Iterator[str]:
    yield f"{_padded(line.title)}{line.points:>8}  {line.evidence}"
    indent = " " * (TITLE_CELLS + 10)
    example = "（示例分值）" if line.values == "illustrative" else ""
    yield f"{indent}规则：{line.rule}依据：{line.basis}{example}"
    if line.closed_by is not None:
        yield f"{indent}未计：{line.closed_by}"
    elif line.capped:
        yield f"{indent}按规则 {line.rule_points} 分，超过上限，计 {line.points_before_correction:.2f} 分"
    if line.correction is not None:
        yield f"{indent}{_correction(line.correction)}"


def _correction(case: Correction) -> str:
    return f"异议更正：{case.before} → {case.after}（案件 {case.case_id}）"


def _changes(found: Explanation) -> Iterator[str]:
    yield ""
    if found.compared_with is None:
        yield "上月未发布，没有可比的积分"
        return
    yield f"与上月（{found.compared_with.replace('/', ' ')}）相比：" + (
        "" if found.changes else "没有变化"
    )
    for change in found.changes:
        before, after = (
            ("—" if points is None else str(points)) for points in (change.before, change.after)
        )
        yield f"  {_padded(change.title)}{before:>8} → {after}"


def _services(services: list[ServiceState]) -> Iterator[str]:
    if services:
        yield ""
        yield "积分应用："
    for service in services:
        paid = (
            f"，每月 {service.monthly_amount:f} 元"
            if service.reached and service.monthly_amount is not None
            else ""
        )
        yield f"  {_padded(service.title)}  {'已达到' + paid if service.reached else '；'.join(service.lacking)}"


def _padded(title: str) -> str:
    """The title filled up to one width; Chinese characters take two cells."""
    return title + " " * max(1, TITLE_CELLS - cell_len(title))
