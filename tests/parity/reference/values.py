"""Extracts the plain way: type one row at a time, collect its reasons, then keep one row of each key.

Follows the chapter on values and on rows refused; a row goes in as raw text by canonical column name.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from expectations.month import Month
from expectations.source_model import Check, Column, Source
from tests.parity.reference.national_id import (
    BLANKS,
    FULL_WIDTH,
    normalise_id,
    parse_birth_date,
    trim_text,
)

Row = dict[str, Any]
RawRow = Mapping[str, str | None]
PLACEHOLDERS = (
    r"null|\(null\)|<null>|\\n|nil|none|na|n/a|<na>|nan|nat"
    r"|#n/a|#null!|#ref!|#value!|#div/0!|#name\?|#num!|无|空|暂无|不详|未知|不明|待补|缺失|无数据"
    r"|未填|未填写|undefined|-|--|—|——|/|\?|？|\?\?|\.|。|…|……|\[\]|\{\}"
)
STAND_INS = {dt.date(1, 1, 1), dt.date(1899, 12, 30), dt.date(1899, 12, 31)}
STAND_INS |= {dt.date(1900, 1, 1), dt.date(1970, 1, 1)}
YES_NO = {"true": True, "false": False, "是": True, "否": False}


class _Bad(Exception):
    """A value that cannot be taken; the message is the reason's code."""


@dataclass
class _Typed:
    """One row: its values (IDs as 18-character text, months as Month), and "column:code" of what was wrong."""

    values: Row = field(default_factory=dict)
    reasons: set[str] = field(default_factory=set)
    defects: set[str] = field(default_factory=set)


@dataclass
class Extract:
    """One delivery: rows kept in order, refused rows with reasons, indexes of superseded rows, defects by index."""

    clean: list[Row]
    refused: dict[int, set[str]]
    superseded: list[int]
    defects: dict[int, set[str]]


def _read(column: Column, text: str, received: Month, districts: Collection[str]) -> Any:
    """The typed value of a text that is not empty; raises Bad."""
    if column.type == "id":
        compact = "".join(c for c in text.translate(FULL_WIDTH) if c not in BLANKS)
        wrong = _explain(compact.replace("x", "X"), other="bad_id")
        return normalise_id(text, received.last_day) or _bad(wrong)
    if column.type == "district":
        return text if text in districts else _bad("not_in_set")
    return _one_of(column, text) if column.type == "set" else READERS[column.type](text)


def _bad(code: str) -> Any:
    raise _Bad(code)


def _one_of(column: Column, text: str) -> str:
    for value, aliases in column.values.items():
        if text == value or text in aliases:
            return value
    raise _Bad("not_in_set")


def _matched(pattern: str, text: str) -> str:
    return text if re.fullmatch(pattern, text) else _bad(_explain(text))


def _date(text: str) -> dt.date:
    narrow = text.translate(FULL_WIDTH).replace("\u3000", " ")
    plain = re.sub(r"[T ]+0?0:00(:00(\.0+)?)?$", "", narrow)
    found = re.fullmatch(r"([0-9]{4})([0-9]{2})([0-9]{2})", plain)
    for between in ("-", "/", r"\."):
        digits = r"([0-9]{1,2})"
        found = found or re.fullmatch(f"([0-9]{{4}}){between}{digits}{between}{digits}", plain)
    found = found or re.fullmatch(r"([0-9]{4}) *年 *([0-9]{1,2}) *月 *([0-9]{1,2}) *日", plain)
    if not found:
        raise _Bad(_explain(text, DATE_FAULTS))
    year, month, day = (int(part) for part in found.groups())
    try:
        return dt.date(year, month, day)
    except ValueError:
        raise _Bad("bad_value") from None


def _month(text: str) -> Month:
    narrow = text.translate(FULL_WIDTH).replace("\u3000", " ")
    found = re.fullmatch(r"([0-9]{4})([0-9]{2})", narrow)
    for between in ("-", "/", r"\."):
        found = found or re.fullmatch(f"([0-9]{{4}}){between}([0-9]{{1,2}})", narrow)
    found = found or re.fullmatch(r"([0-9]{4}) *年 *([0-9]{1,2}) *月", narrow)
    if found:
        year, month = (int(part) for part in found.groups())
        if year and 1 <= month <= 12:
            return Month.parse(f"{year:04d}-{month:02d}")
        raise _Bad("bad_value")
    try:
        day = _date(text)
    except _Bad:
        raise _Bad(_explain(text, DATE_FAULTS)) from None
    return Month.of(day) if day.day == 1 else _bad("bad_value")


DATE_FAULTS = (
    ("day_first", r"[0-9]{1,2}[-/.年][0-9]{1,2}[-/.月][0-9]{4}"),
    ("short_year", r"[0-9]{2}[-/.年][0-9]{1,2}[-/.月][0-9]{1,2}日?\Z"),
    ("serial_number", r"[0-9]{5}(\.[0-9]+)?\Z"),
    ("time_zone", r"(?s:.*)[0-9]{2}:[0-9]{2}.*([+-][0-9]{2}(:?[0-9]{2})?|Z)\Z"),
    ("time_of_day", r"(?s:.*?)[0-9]{1,2}:[0-9]{2}"),
)


def _explain(text: str, faults: Sequence[tuple[str, str]] = (), other: str = "bad_value") -> str:
    """The code of what is wrong with a text that cannot be read."""
    if _is_cut(text):
        return "lost_digits"
    return next((code for code, form in faults if re.match(form, text)), other)


def _is_cut(text: str) -> bool:
    """Whether a long number has lost its last digits: scientific notation."""
    return re.fullmatch(r"-?[0-9](\.[0-9]+)?[Ee]\+[0-9]+", text) is not None


def _integer(text: str) -> int:
    found = re.fullmatch(r"([0-9]{1,9})(\.0+)?", text)
    return int(found[1]) if found else _bad(_explain(text))


def _amount(text: str) -> Decimal:
    if not re.fullmatch(r"-?[0-9]{1,10}(\.[0-9]{1,2})?", text):
        raise _Bad(_explain(text))
    return Decimal(text)


READERS: dict[str, Callable[[str], Any]] = {
    "area": lambda text: _matched("[0-9]{6}", text),
    "date": _date,
    "month": _month,
    "amount": _amount,
    "integer": _integer,
    "yes_no": lambda text: YES_NO[text.lower()] if text.lower() in YES_NO else _bad("bad_value"),
}


def _within_check(check: Check, value: Any) -> str | None:
    """The code of the bound or list that the value breaks, or None."""
    if check.one_of is not None and not _listed(check.one_of, value):
        return "not_in_set"
    too_low = (check.min is not None and value < check.min) or (
        check.above is not None and value <= check.above
    )
    too_high = check.max is not None and value > check.max
    return "out_of_range" if too_low or too_high else None


def _listed(allowed: Sequence[str], value: Any) -> bool:
    return value in (allowed if isinstance(value, str) else [Decimal(item) for item in allowed])


def parse_row(source: Source, raw: RawRow, received: Month, districts: Collection[str]) -> _Typed:
    """Type every value of one row; a row without reasons is valid, whatever its defects.

    All violations are collected. An invalid value in a column that refuses no rows is nulled
    before the order of dates is checked: a nulled date does not invalidate another.
    """
    row = _Typed(dict.fromkeys(source.columns))
    texts: dict[str, str | None] = {}
    wrong: list[tuple[str, str]] = []
    for name, column in source.columns.items():
        value, texts[name] = _take_value(source, name, raw.get(name), row, received, districts)
        if isinstance(value, _Bad):
            wrong.append((name, str(value)))
        else:
            row.values[name] = value
        if texts[name] is None and column.required:
            wrong.append((name, "missing"))
    for name, column in source.columns.items():
        found = _find_violations(column, name, row.values, texts[name], received)
        wrong += [(name, code) for code in found]
        if _is_before_birth(row.values[name], row.values.get(source.person), raw, source):
            wrong.append((name, "before_birth"))
    for name, code in wrong:
        if source.columns[name].on_bad == "null":
            row.values[name] = None
            if not any(defect.startswith(f"{name}:") for defect in row.defects):
                row.defects.add(f"{name}:{code}")
        else:
            row.reasons.add(f"{name}:{code}")
    _compare(source, row)
    return row


def _take_value(
    source: Source,
    name: str,
    delivered: str | None,
    row: _Typed,
    received: Month,
    districts: Collection[str],
) -> tuple[Any, str | None]:
    """The typed value (or what is wrong with it) and the text it was read from; notes in `row`."""
    column, text = source.columns[name], _unwrap(trim_text(delivered))
    if text is None:
        return None, None
    named = {*column.values, *(alias for names in column.values.values() for alias in names)}
    if re.fullmatch(PLACEHOLDERS, text.lower()) and text not in named:
        row.defects.add(f"{name}:placeholder")
        return None, None
    if column.type == "text":
        return _take_text(source, name, text, row)
    try:
        value = _read(column, text, received, districts)
    except _Bad as bad:
        return bad, text
    if column.type == "date" and value in STAND_INS and not column.required:
        row.defects.add(f"{name}:stand_in")
        return None, None
    return value, text


def _unwrap(text: str | None) -> str | None:
    """A text without the signs by which spreadsheets are made to take it for one."""
    forced = re.fullmatch('="([^"]+)"', text or "")
    if forced:
        return trim_text(forced[1])
    return trim_text(text[1:]) if text and text.startswith("'") else text


INVISIBLE = "\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff"
WIDE = {place: place - 0xFEE0 for place in range(0xFF01, 0xFF5F)}


def _take_text(source: Source, name: str, text: str, row: _Typed) -> tuple[Any, str | None]:
    if _is_cut(text):
        return _Bad("lost_digits"), text
    for code, is_wrong in (("formula", text.startswith("=")), ("lost_character", "\ufffd" in text)):
        if is_wrong:
            return _Bad(code), text
    if name in source.key and re.search(f"[\x00-\x1f{INVISIBLE}]", text):
        return _Bad("control_character"), text
    visible = re.sub(f"[\x00-\x08\x0b\x0c\x0e-\x1f{INVISIBLE}]", "", text)
    if visible != text:
        row.defects.add(f"{name}:cleaned")
    without = trim_text(visible) or ""
    narrow = without.translate(WIDE)
    return (narrow if re.fullmatch("[!-~]+", narrow) else without) or None, text


def _is_before_birth(value: Any, person: str | None, raw: RawRow, source: Source) -> bool:
    """Whether a date or month lies before the person's birth, as far as the row shows it."""
    if person is None or value is None:
        return False
    born = parse_birth_date(person)
    if isinstance(value, Month):
        return value < Month.of(born)
    return isinstance(value, dt.date) and value < born


def _find_violations(
    column: Column, name: str, values: Row, text: str | None, received: Month
) -> list[str]:
    """What is wrong with a value that could be read, or with one that is absent where another column asks for it."""
    value = values[name]
    if value is None:
        asked = column.required_when and all(
            values[other] == wanted for other, wanted in column.required_when.items()
        )
        return ["missing"] if text is None and asked else []
    found = []
    if column.required and isinstance(value, dt.date) and value in STAND_INS:
        found.append("stand_in")
    if isinstance(value, dt.date) and not column.future and value > received.last_day:
        found.append("in_future")
    if isinstance(value, Month) and value > received + column.months_ahead:
        found.append("in_future")
    if isinstance(value, Month) and value < Month.parse(column.first_month):
        found.append("out_of_range")
    checks = [column.check, column.checks.get(values[column.by] or "") if column.by else None]
    return found + [code for check in checks if check and (code := _within_check(check, value))]


def _compare(source: Source, row: _Typed) -> None:
    """Handle two dates in the wrong order: refuse the row, or null both dates."""
    for name, column in source.columns.items():
        other = column.not_before
        if (
            not other
            or row.values[name] is None
            or row.values[other] is None
            or row.values[name] >= row.values[other]
        ):
            continue
        if column.on_bad == "refuse":
            row.reasons.add(f"{name}:too_early")
        else:
            row.values.update({name: None, other: None})
            row.defects.update({f"{name}:too_early", f"{other}:too_early"})


def clean_extract(
    source: Source, rows: Sequence[RawRow], received: Month, districts: Collection[str]
) -> Extract:
    """Clean one delivery: every row ends up as clean, refused or superseded."""
    typed = [parse_row(source, raw, received, districts) for raw in rows]
    winners: dict[Any, int] = {}
    superseded: list[int] = []
    for index, row in enumerate(typed):
        if row.reasons:
            continue
        key = tuple(row.values[name] for name in source.key) if source.key else index
        if key not in winners:
            winners[key] = index
        elif _prefers(source, row.values, typed[winners[key]].values):
            superseded.append(winners[key])
            winners[key] = index
        else:
            superseded.append(index)
    return Extract(
        clean=[typed[index].values for index in sorted(winners.values())],
        refused={index: row.reasons for index, row in enumerate(typed) if row.reasons},
        superseded=sorted(superseded),
        defects={index: row.defects for index, row in enumerate(typed) if row.defects},
    )


def _prefers(source: Source, later: Row, earlier: Row) -> bool:
    """Whether the later of two rows of one key replaces the earlier: yes, unless the earlier is a newer update."""
    if source.prefer is None:
        return True
    oldest = dt.date.min
    return (later[source.prefer] or oldest) >= (earlier[source.prefer] or oldest)
