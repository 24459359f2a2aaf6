"""Why values come out wrong: the likely cause of each reason, and what the department can do."""

from __future__ import annotations

from collections.abc import Mapping

from expectations.refusals import describe_reason
from expectations.source_model import Column, Source

MAX_REASONS = 5  # that an error lists; a department's returns have all
CAUSES: Mapping[str, str] = {
    "lost_digits": "科学计数法或数值：该列在 Excel 中打开过，请由系统按文本重新导出",
    "serial_number": "日期导出成了序列号：请把该列设为日期格式再导出",
    "day_first": "年须在前：请把该列设为 YYYY-MM-DD 格式再导出",
    "short_year": "年份须写四位",
    "time_of_day": "只要日期，不要时刻",
    "time_zone": "请由系统按当地日期导出，不带时区",
    "bad_id": "位数、出生日期或校验码不对；须按文本存放",
    "not_in_set": "须为约定的取值；本市的其他叫法可由操作员加为别名（jifen.toml 的 aliases）",
    "formula": "公式没有算成值：请在 Excel 中选择性粘贴为数值，或由系统导出",
    "lost_character": "导出时的编码装不下原有的字符，请由系统以 UTF-8 重新导出",
    "control_character": "编号里有看不见的字符",
    "stand_in": "没有日期的须留空",
    "missing": "必填的值是空的，或是占位符",
    "in_future": "晚于交付的月份",
}
"""Reason code -> likely cause; none where the reason says all."""

_FORMS = {
    "id": "18 位公民身份号码，按文本",
    "text": "文字",
    "date": "日期，如 2024-03-05",
    "month": "月份，如 2024-03",
    "amount": "不多于两位小数的数",
    "integer": "整数",
    "yes_no": "是 或 否",
    "district": "本市的区县代码，6 位",
    "area": "行政区划代码，6 位",
}


def describe_wanted_form(column: Column) -> str:
    """Return how the values of a column are to be written."""
    if column.type == "set":
        words = (next(iter(names), value) for value, names in column.values.items())
        return f"取值之一：{'、'.join(words)}"
    return _FORMS[column.type]


def describe_refusal(source: Source, note: str, count: int, example: str = "") -> str:
    """Return `column:code` with its number, an example, the form that is wanted, the likely cause."""
    column, _, code = note.partition(":")
    shown = f"，例如 {example}" if example else ""
    form = describe_wanted_form(source.columns[column])
    cause = f"；{CAUSES[code]}" if code in CAUSES else ""
    return f"{describe_reason(source, note)} {count:,} 行{shown}；应为：{form}{cause}"


def describe_refusals(
    source: Source, counts: Mapping[str, int], examples: Mapping[str, str]
) -> list[str]:
    """Return the most frequent reasons of a delivery in words, the heaviest first."""
    by_weight = sorted(counts.items(), key=lambda pair: -pair[1])
    return [
        describe_refusal(source, note, count, examples.get(note, ""))
        for note, count in by_weight[:MAX_REASONS]
    ]
