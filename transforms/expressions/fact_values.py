"""Facts as a points table sees them: their units in words, and values of examples read by unit."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from expectations.source_model import COUNTED_UNITS, Fact
from transforms.expressions.language import list_levels
from transforms.points.models import AWARD
from transforms.points.rules import WHOLE_UNITS

HOURS_BY_YEAR = "hours_by_year"
UNIT_WORDS: Mapping[str, str] = {
    "years": "年数",
    "months": "月数",
    "count": "次数",
    "people": "人数",
    "hours": "小时",
    "ml": "毫升",
    "points": "分值",
    "yuan": "元",
    "yes_no": "是否",
    "level": "等级",
    "date": "日期",
    "month": "月份",
    "area": "区划",
    "text": "文字",
    "hours_by_year": "分年度小时",
    "points_by_key": "区县赋分",
    "children": "子女",
}


def find_fact(name: str, facts: Mapping[str, Fact]) -> Fact | None:
    """Return the fact of this name, or None if it is not declared.

    `award:x` is a fact of unit points, when there are local awards.
    """
    if (
        name.startswith(AWARD)
        and "awards" in facts
        and re.fullmatch(r"[a-z][a-z0-9_]*", name.removeprefix(AWARD))
    ):
        return facts["awards"].model_copy(update={"unit": "points"})
    return facts.get(name)


def parse_fact_value(fact: Fact, given: Any) -> Any:
    """Return a value as written in an example, by the unit of its fact; `null` is unknown.

    Raises:
        ValueError: It is no such value; the message is what was meant.
    """
    if fact.unit == HOURS_BY_YEAR:
        return _hours_by_year(given)
    if given is None or given == "null":
        return None
    text = str(given)
    if fact.unit in COUNTED_UNITS:
        return _number(text, fact.unit)
    if fact.unit == "yes_no":
        if text not in ("true", "false"):
            raise ValueError("应为 true 或 false")
        return text == "true"
    if fact.unit == "level" and text not in list_levels(fact):
        raise ValueError(f"可为：{'、'.join(list_levels(fact))}，或 null")
    if fact.unit in ("date", "month"):
        return _day(text if fact.unit == "date" else f"{text}-01")
    return text


def _number(text: str, unit: str) -> int | Decimal:
    if unit in WHOLE_UNITS:
        if not re.fullmatch(r"-?\d{1,9}", text):
            raise ValueError("应为整数")
        return int(text)
    if not re.fullmatch(r"-?\d{1,9}(\.\d{1,2})?", text):
        raise ValueError("应为最多两位小数的数值")
    return Decimal(text)


def _day(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise ValueError("应为存在的日期或月份") from None


def _hours_by_year(given: Any) -> list[dict[str, Any]]:
    meant = "应为 {年份: 小时}，例如 {2020: 10, 2021: 35.5}"
    if not isinstance(given, dict) or not all(re.fullmatch(r"\d{4}", str(year)) for year in given):
        raise ValueError(meant)
    return [
        {"year": int(year), "hours": Decimal(_number(str(hours), "hours"))}
        for year, hours in sorted(given.items())
    ]
