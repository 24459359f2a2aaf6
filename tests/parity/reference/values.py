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
from tests.parity.reference.national_id import normalise_id, trim_text

Row = dict[str, Any]
RawRow = Mapping[str, str | None]
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
        return normalise_id(text, received.last_day) or _bad("bad_id")
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
    return text if re.fullmatch(pattern, text) else _bad("bad_value")


def _date(text: str) -> dt.date:
    found = re.fullmatch(r"([0-9]{4})-([0-9]{2})-([0-9]{2})|([0-9]{4})([0-9]{2})([0-9]{2})", text)
    if not found:
        raise _Bad("bad_value")
    year, month, day = (int(part) for part in found.groups() if part is not None)
    try:
        return dt.date(year, month, day)
    except ValueError:
        raise _Bad("bad_value") from None


def _month(text: str) -> Month:
    if not re.fullmatch(r"[0-9]{4}-?(0[1-9]|1[0-2])", text) or text.startswith("0000"):
        raise _Bad("bad_value")
    return Month.parse(f"{text[:4]}-{text[-2:]}")


READERS: dict[str, Callable[[str], Any]] = {
    "text": str,
    "area": lambda text: _matched("[0-9]{6}", text),
    "date": _date,
    "month": _month,
    "amount": lambda text: Decimal(_matched(r"-?[0-9]{1,10}(\.[0-9]{1,2})?", text)),
    "integer": lambda text: int(_matched("[0-9]{1,9}", text)),
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
    """Type every value of one row; a row without reasons is sound, whatever its defects.

    All that is wrong is collected. A slip in a column that cannot refuse makes its value null before any order is
    looked at: a date nobody believes says nothing against another.
    """
    row = _Typed(dict.fromkeys(source.columns))
    wrong: list[tuple[str, str]] = []
    for name, column in source.columns.items():
        text = trim_text(raw.get(name))
        try:
            row.values[name] = (
                _read(column, text, received, districts) if text is not None else None
            )
        except _Bad as bad:
            wrong.append((name, str(bad)))
        if text is None and column.required:
            wrong.append((name, "missing"))
    for name, column in source.columns.items():
        wrong += [
            (name, code)
            for code in _misfits(column, name, row.values, trim_text(raw.get(name)), received)
        ]
    for name, code in wrong:
        if source.columns[name].on_bad == "null":
            row.values[name] = None
            row.defects.add(f"{name}:{code}")
        else:
            row.reasons.add(f"{name}:{code}")
    _compare(source, row)
    return row


def _misfits(
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
    if isinstance(value, dt.date) and not column.future and value > received.last_day:
        found.append("in_future")
    if isinstance(value, Month) and value > received + column.months_ahead:
        found.append("in_future")
    checks = [column.check, column.checks.get(values[column.by] or "") if column.by else None]
    return found + [code for check in checks if check and (code := _within_check(check, value))]


def _compare(source: Source, row: _Typed) -> None:
    """Two dates in the wrong order: the row is refused, or, where a slip is forgiven, neither date is believed."""
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
