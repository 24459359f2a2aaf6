"""The scalars of a points table, read from text exactly, refused in a policy writer's words."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator


def _number(pattern: str, meant: str, *, zero: bool = True) -> BeforeValidator:
    """Text of this form becomes an exact Decimal; anything else is refused with what was meant."""

    def read(value: Any) -> Decimal:
        text = str(value)
        if (
            not isinstance(value, str | int | Decimal)
            or isinstance(value, bool)
            or not re.fullmatch(pattern, text)
        ):
            raise ValueError(meant)
        number = Decimal(text)
        if not zero and number == 0:
            raise ValueError(meant)
        return number

    return BeforeValidator(read)


def literal_type(*choices: str) -> BeforeValidator:
    """Exactly one of these words."""

    def read(value: Any) -> Any:
        if value not in choices:
            raise ValueError(f"应为 {' 或 '.join(choices)}")
        return value

    return BeforeValidator(read)


def _text(value: Any) -> Any:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("应为一段文字")
    return value


def _day(value: Any) -> dt.date:
    if isinstance(value, dt.date):
        return value
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", str(value)):
            return dt.date.fromisoformat(str(value))
    except ValueError:
        pass
    raise ValueError("应为存在的日期，写作 YYYY-MM-DD")


def _code(pattern: str, meant: str) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise ValueError(meant)
        return value

    return read


Points = Annotated[Decimal, _number(r"\d{1,5}(\.\d{1,4})?", "应为不小于 0 的分值，最多四位小数")]
Cap = Annotated[Decimal, _number(r"\d{1,5}(\.\d{1,2})?", "应为不小于 0 的分值，最多两位小数")]
PointsChange = Annotated[
    Decimal, _number(r"-?\d{1,5}(\.\d{1,4})?", "应为分值（可为负数），最多四位小数")
]
Result = Annotated[Decimal, _number(r"-?\d{1,5}(\.\d{1,2})?", "应为分值，最多两位小数")]
Mark = Annotated[Decimal, _number(r"-?\d{1,9}(\.\d{1,2})?", "应为数值，最多两位小数")]
Unit = Annotated[
    Decimal, _number(r"\d{1,9}(\.\d{1,2})?", "应为大于 0 的数值，最多两位小数", zero=False)
]
Whole = Annotated[int, _number(r"\d{1,9}", "应为大于 0 的整数", zero=False)]
Text = Annotated[str, BeforeValidator(_text)]
Day = Annotated[dt.date, BeforeValidator(_day)]
Code = Annotated[
    str,
    BeforeValidator(
        _code(r"[a-z][a-z0-9_]{0,40}", "代码应以小写字母开头，只含小写字母、数字和下划线")
    ),
]
