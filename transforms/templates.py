"""Texts with {names} in braces, and how values are put into them: in Python and in SQL, alike.

Reminders are filled in by the engine, for everyone at once; what `explain` and a statement say of
one person, in Python. Both split a text and write a value here, so that they write the same.
"""

from __future__ import annotations

import datetime as dt
import string
from collections.abc import Callable
from decimal import Decimal

from transforms.engine.sql import sql_literal

NOBODY = "居民"
# Common surnames of two characters; a name of two characters has a surname of one.
LONG_SURNAMES = [
    "欧阳", "司马", "上官", "诸葛", "东方", "皇甫", "尉迟", "公孙", "慕容", "令狐", "长孙",
    "宇文", "司徒", "司空", "夏侯", "端木", "百里", "呼延", "南宫", "西门", "轩辕", "拓跋",
    "独孤", "闻人", "申屠", "澹台", "濮阳", "淳于", "鲜于", "闾丘", "钟离", "万俟", "赫连",
]  # fmt: skip


def split_template(text: str) -> list[tuple[str, str | None]]:
    """Return a text as pairs of words and the name in braces after them, or None at the end.

    Raises:
        ValueError: There is anything but a plain name in braces.
    """
    parts = []
    for words, name, form, conversion in string.Formatter().parse(text):
        if form or conversion or (name is not None and not name.isidentifier()):
            raise ValueError("花括号中只能写一个名称")
        parts.append((words, name))
    return parts


def list_names(text: str) -> list[str]:
    """Return the names in braces, in their order.

    Raises:
        ValueError: There is anything but a plain name in braces.
    """
    return [name for _, name in split_template(text) if name is not None]


def fill_template(text: str, value: Callable[[str], str]) -> str:
    """Return a text with each name in braces replaced by its value."""
    return "".join(words + (value(name) if name else "") for words, name in split_template(text))


def fill_template_sql(text: str, value_sql: Callable[[str], str]) -> str:
    """Return the SQL of a text; `value_sql`: the SQL of the text that replaces a name, not null."""
    parts = []
    for words, name in split_template(text):
        parts += [sql_literal(words)] if words else []
        parts += [value_sql(name)] if name else []
    return " || ".join(parts) or sql_literal("")


def format_number(value: Decimal | int) -> str:
    """Return a number as people write it: no exponent, no trailing zeros; 404, 63.5."""
    return format(Decimal(value).normalize(), "f") if value else "0"


def format_number_sql(number: str) -> str:
    """Return the SQL of a number as people write it, with at most two decimals."""
    return f"RTRIM(RTRIM(CAST(CAST({number} AS DECIMAL(18, 2)) AS TEXT), '0'), '.')"


def format_date(value: dt.date, unit: str) -> str:
    """Return a date as people write it; of the unit `month` its year and month."""
    return f"{value.year}年{value.month}月" + ("" if unit == "month" else f"{value.day}日")


def format_date_sql(date: str, unit: str) -> str:
    """Return the SQL of a date as people write it; of the unit `month` its year and month."""
    day = "" if unit == "month" else f" || day({date}) || '日'"
    return f"year({date}) || '年' || month({date}) || '月'{day}"


def mask_name(name: str | None) -> str:
    """Return a name as a text may show it: the surname, and two asterisks."""
    if not name:
        return NOBODY
    long = len(name) > 2 and name[:2] in LONG_SURNAMES
    return f"{name[: 2 if long else 1]}**"


def mask_name_sql(name: str) -> str:
    """Return the SQL of a name as a text may show it: the surname, and two asterisks."""
    surnames = ", ".join(map(sql_literal, LONG_SURNAMES))
    long = f"length({name}) > 2 AND left({name}, 2) IN ({surnames})"
    return (
        f"CASE WHEN coalesce({name}, '') = '' THEN {sql_literal(NOBODY)} "
        f"WHEN {long} THEN left({name}, 2) || '**' ELSE left({name}, 1) || '**' END"
    )
