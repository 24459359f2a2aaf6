"""Facts as declarations see them: their units in words, and values of examples read by unit."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from expectations.fact_model import COUNTED_UNITS, WHOLE_UNITS, YEAR_UNITS, Fact
from transforms.expressions.kinds import list_levels

AWARD = "award:"
"""Before the code of an indicator: the fact of its local awards."""
UNIT_TITLES: Mapping[str, str] = {
    "year": "年份",
    "years": "年数",
    "months": "月数",
    "count": "次数",
    "times": "次数",
    "people": "人数",
    "hours": "小时",
    "ml": "毫升",
    "points": "分值",
    "yuan": "元",
    "m2": "平方米",
    "percent": "百分数",
    "number": "数值",
    "yes_no": "是否",
    "level": "等级",
    "date": "日期",
    "month": "月份",
    "area": "区划",
    "text": "文字",
    "hours_by_year": "分年度小时",
    "times_by_year": "分年度次数",
    "ml_by_year": "分年度毫升",
    "yuan_by_year": "分年度金额",
    "points_by_key": "区县赋分",
    "children": "子女",
}


def find_fact(name: str, facts: Mapping[str, Fact]) -> Fact | None:
    """Return the fact of this name; None if it is not declared.

    Of `award:x` it is a fact of unit points, when there are local awards.
    """
    code = name.removeprefix(AWARD)
    if name != code and "awards" in facts and re.fullmatch(r"[a-z][a-z0-9_]*", code):
        return facts["awards"].model_copy(update={"unit": "points"})
    return facts.get(name)


def parse_fact_value(fact: Fact, given: Any) -> Any:
    """Return a value as an example writes it, by the unit of its fact; `null` is unknown.

    Raises:
        ValueError: It is no value of that unit; says what was expected.
    """
    if fact.unit in YEAR_UNITS:
        return _parse_years(given, YEAR_UNITS[fact.unit])
    if given is None or given == "null":
        return None
    text = str(given)
    if fact.unit in COUNTED_UNITS:
        return _parse_number(text, fact.unit)
    if fact.unit == "yes_no":
        if text not in ("true", "false"):
            raise ValueError("应为 true 或 false")
        return text == "true"
    if fact.unit == "level" and text not in list_levels(fact):
        raise ValueError(f"可为：{'、'.join(list_levels(fact))}，或 null")
    if fact.unit == "area" and not re.fullmatch("[0-9]{6}", text):
        raise ValueError("应为六位区划代码")
    if fact.unit in ("date", "month"):
        return _parse_day(text if fact.unit == "date" else f"{text}-01")
    return text


def _parse_number(text: str, unit: str) -> int | Decimal:
    whole = unit in WHOLE_UNITS
    if re.fullmatch(r"-?0[0-9].*", text):
        raise ValueError("数值前面不写 0")
    if not re.fullmatch(r"-?[0-9]{1,9}" if whole else r"-?[0-9]{1,9}(\.[0-9]{1,2})?", text):
        raise ValueError("应为整数" if whole else "应为最多两位小数的数值")
    return int(text) if whole else Decimal(text)


def _parse_day(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise ValueError("应为存在的日期或月份") from None


def _parse_years(given: Any, unit: str) -> list[dict[str, Any]]:
    years = given if isinstance(given, dict) else {"": ""}
    if not all(re.fullmatch("[0-9]{4}", str(year)) for year in years):
        raise ValueError("应为 {年份: 数值}，例如 {2020: 10, 2021: 35.5}")
    return [
        {"year": int(year), unit: Decimal(_parse_number(str(value), unit))}
        for year, value in sorted(years.items())
    ]
