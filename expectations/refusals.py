"""Refusals in Chinese: what is wrong with a value, and which are counted.

The codes are those of `reasons` and `defects` (`column:code`) in quarantine and accounts.
"""

from __future__ import annotations

import re

from expectations.source_model import Source

REASON_TEXTS = {
    "missing": "缺少", "bad_id": "号码不合规则", "bad_value": "无法识别", "not_in_set": "不在取值范围内",
    "out_of_range": "超出允许范围", "in_future": "晚于交付月份", "too_early": "早于起始日期",
    "lost_digits": "尾数已丢失（科学计数法）", "day_first": "日在前，应为年月日",
    "short_year": "年份只有两位", "serial_number": "是序列号，应设为日期格式",
    "time_of_day": "带有时刻，应只有日期", "time_zone": "带有时区，应只有日期",
    "stand_in": "是占位日期", "before_birth": "早于本人出生日期",
    "control_character": "含有看不见的字符", "formula": "是公式，不是值",
    "lost_character": "有字符已丢失（�）", "placeholder": "是占位值，按空值处理",
    "cleaned": "看不见的字符已去除",
}  # fmt: skip
NOTED_CODES = ("placeholder", "stand_in", "cleaned")
"""Codes of values that stand for no value, or were cleaned: no value of the department is lost."""
SUPERSEDED_TEXT = "同一记录另有一行，以那一行为准"
OTHER_PERSON_TEXT = "被另一个人的同号记录取代，请核对记录编号是否重复或被截断"
_PERSON = re.compile(
    r"(?<![0-9])([0-9]{14}|[0-9]{17})[0-9Xx](?![0-9])|(?<![0-9])1[3-9][0-9]{9}(?![0-9])"
)


def describe_reason(source: Source, reason: str) -> str:
    """Return `column:code` in words."""
    column, _, code = reason.partition(":")
    title = source.columns[column].title if column in source.columns else column
    return f"{title}：{REASON_TEXTS.get(code, code)}"


def may_name_record(number: str) -> bool:
    """Return whether a record's number may be named in reports: not if it looks like a person's."""
    return len(number) <= 40 and not _PERSON.search(number)


def may_be_emptied(name: str, source: Source) -> bool:
    """Return whether a bad value of a column is emptied and its row is kept.

    That is a column declared so, and the date that such a column must not precede.
    """
    orders = (c.not_before for c in source.columns.values() if c.on_bad == "null")
    return source.columns[name].on_bad == "null" or name in orders


def emptied_sql(name: str) -> str:
    """Return SQL: a `note` of `defects` says that a bad value of a column was emptied."""
    noted = ", ".join(f"'{name}:{code}'" for code in NOTED_CODES)
    return f"starts_with(note, '{name}:') AND note NOT IN ({noted})"


def placeholder_sql(name: str) -> str:
    """Return SQL: a `note` of `defects` says that a column had a placeholder or stand-in date."""
    return f"note IN ('{name}:placeholder', '{name}:stand_in')"


def count_notes_sql(condition: str) -> str:
    """Return SQL that counts the staged rows that are kept and have a note of this kind.

    Few rows have notes: only theirs are looked at.
    """
    found = f"len(list_filter(defects, lambda note: {condition})) > 0"
    inner = f"CASE WHEN reasons IS NULL AND {found} THEN 1 END"
    return f"count(CASE WHEN defects IS NOT NULL THEN {inner} END)"


def count_values_sql(name: str) -> str:
    """Return SQL that counts a column's values in staged rows that are kept, those emptied too."""
    left = f'count(CASE WHEN reasons IS NULL THEN "{name}" END)'
    return f"{left} + {count_notes_sql(emptied_sql(name))}"
