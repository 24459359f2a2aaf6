"""Scalars of declarations, read from text exactly, refused in a policy writer's words."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

BRACES = "｛｝"
_QUOTES = {"“": "”", "‘": "’", "＂": "＂", "＇": "＇", "「": "」"}


def _number(pattern: str, expected: str, *, zero: bool = True) -> BeforeValidator:
    """Return the reader of a number: text of this form becomes an exact Decimal.

    Digits are those of ASCII, written as people write numbers: no leading zeros.
    """

    def read(value: Any) -> Decimal:
        text = str(value)
        number = isinstance(value, str | int | Decimal) and not isinstance(value, bool)
        if number and re.fullmatch(r"[-+]?0[0-9].*", text):
            raise ValueError(f"数值前面不写 0；{expected}")
        if number and re.search(r"[^\x00-\x7f]", text) and re.fullmatch(r"[-+]?[\d.．]+", text):
            raise ValueError(f"数字应为半角（0 至 9）；{expected}")
        if not number or not re.fullmatch(pattern, text):
            raise ValueError(expected)
        found = Decimal(text)
        if not zero and found == 0:
            raise ValueError(expected)
        return found

    return BeforeValidator(read)


def literal_type(*choices: str) -> BeforeValidator:
    """Return the reader of exactly one of these words."""

    def read(value: Any) -> Any:
        if value not in choices:
            raise ValueError(f"应为 {' 或 '.join(choices)}")
        return value

    return BeforeValidator(read)


def _text(value: Any) -> Any:
    if isinstance(value, list | dict):
        raise ValueError("应为一段文字；以 [ 或 { 开头的文字加上引号")
    if not isinstance(value, str) or not value.strip():
        raise ValueError("应为一段文字")
    closing = _QUOTES.get(value.strip()[0])
    if closing and value.strip().endswith(closing) and closing not in value.strip()[1:-1]:
        raise ValueError("整段文字外面的引号是全角的，会原样显示；请删去，或改用半角引号")
    return value


def _day(value: Any) -> dt.date:
    if isinstance(value, dt.date):
        return value
    try:
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", str(value)):
            return dt.date.fromisoformat(str(value))
    except ValueError:
        pass
    raise ValueError("应为存在的日期，写作 YYYY-MM-DD")


def _code(pattern: str, expected: str) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise ValueError(expected)
        return value

    return read


def _numeric(minimum: int | None = None, exclusive: bool = False) -> WithJsonSchema:
    bound = {} if minimum is None else {"exclusiveMinimum" if exclusive else "minimum": minimum}
    return WithJsonSchema({"type": "number", **bound})


Points = Annotated[
    Decimal,
    _number(r"[0-9]{1,5}(\.[0-9]{1,4})?", "应为 0 至 99999 的分值，最多四位小数"),
    _numeric(0),
]
Cap = Annotated[
    Decimal,
    _number(r"[0-9]{1,5}(\.[0-9]{1,2})?", "应为 0 至 99999 的分值，最多两位小数"),
    _numeric(0),
]
PointsChange = Annotated[
    Decimal,
    _number(r"-?[0-9]{1,5}(\.[0-9]{1,4})?", "应为 -99999 至 99999 的分值，最多四位小数"),
    _numeric(),
]
Result = Annotated[
    Decimal,
    _number(r"-?[0-9]{1,5}(\.[0-9]{1,2})?", "应为 -99999 至 99999 的分值，最多两位小数"),
    _numeric(),
]
Mark = Annotated[
    Decimal,
    _number(r"-?[0-9]{1,9}(\.[0-9]{1,2})?", "应为最多九位整数、两位小数的数值"),
    _numeric(),
]
Unit = Annotated[
    Decimal,
    _number(r"[0-9]{1,9}(\.[0-9]{1,2})?", "应为大于 0、最多九位整数和两位小数的数值", zero=False),
    _numeric(0, exclusive=True),
]
Share = Annotated[
    Decimal,
    _number(
        r"(0|1)(\.[0-9]{1,4})?", "应为大于 0 的比例，最多四位小数，例如 0.1（百分之十）", zero=False
    ),
    _numeric(0, exclusive=True),
]
Factor = Annotated[
    Decimal,
    _number(r"[0-9]{1,2}(\.[0-9]{1,4})?", "应为大于 0、不足 100 的倍数，最多四位小数", zero=False),
    _numeric(0, exclusive=True),
]
Whole = Annotated[
    int,
    _number(r"[0-9]{1,9}", "应为大于 0、最多九位的整数", zero=False),
    WithJsonSchema({"type": "integer", "minimum": 1}),
]
Text = Annotated[str, BeforeValidator(_text), WithJsonSchema({"type": "string", "minLength": 1})]
Day = Annotated[
    dt.date,
    BeforeValidator(_day),
    WithJsonSchema({"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"}),
]
Code = Annotated[
    str,
    BeforeValidator(
        _code(r"[a-z][a-z0-9_]{0,40}", "代码应以小写字母开头，只含小写字母、数字和下划线")
    ),
    WithJsonSchema({"type": "string", "pattern": "^[a-z][a-z0-9_]{0,40}$"}),
]
