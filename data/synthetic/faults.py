"""Every kind of bad row that a source can refuse, derived from its columns, and their list.

Refused rows, superseded copies and rows about nobody are *extra* rows made from valid ones; nulled
values and odd but valid spellings stand in place of a valid one. So a month with faults scores as
one without, nulled values excepted.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from expectations.month import Month
from expectations.source_model import Check, Column, Source

Row = dict[str, str | None]
Kind = Literal["refused", "defect", "superseded", "unmatched", "accepted"]

NOBODY_AREA = "659099"  # no synthetic person comes from there
ALWAYS_ALLOWED = 18  # the gate forgives 20 refused rows however few there are
SHARE = 0.01


@dataclass(frozen=True)
class Fault:
    """A planted row: what is wrong with which column, what becomes of the row, for which reason."""

    column: str
    planted: str
    kind: Kind
    reason: str
    row: Row

    @property
    def in_place(self) -> bool:
        """Whether it replaces the valid row that it was made of."""
        return self.kind in ("defect", "accepted")


def plan_faults(source: Source, received: Month, sample: list[Row]) -> list[Fault]:
    """Return the faults of one extract, one per row of the result, as many as the gate lets pass.

    They are made of valid rows. A small extract cannot take every kind: the months take turns.
    """
    if not sample:
        return []
    refused = list(_refused(source, received, sample))
    # The gate turns down a delivery that is refused for the greater part.
    few = min(ALWAYS_ALLOWED, len(sample))
    capacity = min(len(refused), max(few, int(len(sample) * SHARE)))
    start = received.ordinal * ALWAYS_ALLOWED % len(refused)
    return [*(refused[start:] + refused[:start])[:capacity], *_other(source, received, sample)]


def _refused(source: Source, received: Month, sample: list[Row]) -> Iterator[Fault]:
    for number, (name, planted, reason, changes) in enumerate(_changes(source, received, "refuse")):
        yield Fault(name, planted, "refused", reason, sample[number % len(sample)] | changes)


def _other(source: Source, received: Month, sample: list[Row]) -> Iterator[Fault]:
    """Yield rows that are kept.

    They are copies and rows about nobody, then nulled values and odd spellings, each in place of a
    row of its own.
    """
    if source.key:  # before the rows in place: of two rows with one key the later is taken
        older: Row = {source.prefer: None} if source.prefer else {}
        yield Fault(source.key[0], "same key twice", "superseded", "", sample[-1] | older)
    if not source.spine:
        fresh: Row = {
            name: f"{sample[0][name]}U"
            for name in source.key
            if source.columns[name].type == "text"
        }
        fresh[source.person] = complete_id(f"{NOBODY_AREA}19850101{received.ordinal % 1000:03d}")
        yield Fault(source.person, "nobody of the registry", "unmatched", "", sample[0] | fresh)
    valid = iter(sample)
    for name, planted, reason, changes in _changes(source, received, "null"):
        row = next((row for row in valid if all(row[column] for column in changes)), None)
        if row:
            yield Fault(name, planted, "defect", reason, row | changes)
    for planted in ("full width", "inner blanks", "15 digits", "lower-case x"):
        spellings = ((row, respell_id(str(row[source.person]), planted)) for row in valid)
        row, spelling = next((pair for pair in spellings if pair[1]), ({}, None))
        if spelling:
            yield Fault(source.person, planted, "accepted", "", row | {source.person: spelling})


Change = tuple[str, str, str, Row]  # column, what is planted, reason, the values that change


def _changes(source: Source, received: Month, on_bad: str) -> Iterator[Change]:
    """Yield every way to spoil a row of this source by a column that is treated so when bad."""
    for name, column in source.columns.items():
        if column.on_bad != on_bad:
            continue
        if column.required:
            yield name, "missing", "missing", {name: None}
        for other, value in column.required_when.items():
            yield name, f"missing, {other} {value}", "missing", {name: None, other: value}
        for planted, reason, value in (
            _bad_ids(received) if column.type == "id" else _bad_values(column, received)
        ):
            yield name, planted, reason, {name: value}
        if column.not_before:
            dates: Row = {
                column.not_before: str(received.last_day - dt.timedelta(30)),
                name: str(received.last_day - dt.timedelta(60)),
            }
            yield name, f"before {column.not_before}", "too_early", dates
        for key, check in column.checks.items():
            for planted, reason, value in _outside(check, list(column.values)):
                yield (
                    name,
                    f"{planted}, {column.by} {key}",
                    reason,
                    {str(column.by): key, name: value},
                )


def _bad_values(column: Column, received: Month) -> Iterator[tuple[str, str, str]]:
    tomorrow = str((received + 1).first_day)
    typed: dict[str, list[tuple[str, str, str]]] = {
        "date": [
            ("the day first", "day_first", "5/1/2020"),
            ("no such day", "bad_value", "2021-02-30"),
        ],
        "month": [("no such month", "bad_value", "2020-13"), ("a day", "bad_value", "2020-01-15")],
        "amount": [("exponent", "bad_value", "1e3"), ("three decimals", "bad_value", "12.345")],
        "integer": [("decimals", "bad_value", "5.5"), ("words", "bad_value", "两人")],
        "yes_no": [("neither yes nor no", "bad_value", "maybe")],
        "set": [("unknown value", "not_in_set", "unheard_of")],
        "district": [("unknown district", "not_in_set", "330299")],
        "area": [("five digits", "bad_value", "33021")],
    }
    yield from typed.get(column.type, [])
    if column.type == "date" and not column.future:
        yield "after the received month", "in_future", tomorrow
    if column.type == "month":
        yield "too far ahead", "in_future", str(received + column.months_ahead + 1)
        yield "too long ago", "out_of_range", str(Month.parse(column.first_month) - 1)
    if column.check:
        yield from _outside(column.check, list(column.values))


def _outside(check: Check, values: list[str]) -> Iterator[tuple[str, str, str]]:
    if check.min is not None:
        yield "below the least", "out_of_range", str(check.min - 1)
    if check.above is not None:
        yield "not above the bound", "out_of_range", str(check.above)
    if check.max is not None:
        yield "above the most", "out_of_range", str(check.max + 1)
    if check.one_of:
        other = next(
            (value for value in values if value not in check.one_of), "" if values else "77"
        )
        if other:
            yield "unfit value", "not_in_set", other


def _bad_ids(received: Month) -> Iterator[tuple[str, str, str]]:
    born = {
        "no such birth date": "19850230",
        "born before 1900": "18991231",
        "born in the future": f"{(received + 1).first_day:%Y%m%d}",
    }
    good = complete_id("34122619850101123")
    yield "too short", "bad_id", good[:-1]
    yield "letters", "bad_id", good[:8] + "AB" + good[10:]
    yield "wrong check character", "bad_id", good[:-1] + ("1" if good[-1] != "1" else "2")
    for planted, day in born.items():
        yield planted, "bad_id", complete_id(f"341226{day}123")


def respell_id(resident_id: str, way: str) -> str | None:
    """Return a valid ID as somebody may type it; None where it cannot be spelled that way."""
    if way == "lower-case x":
        return resident_id.lower() if resident_id.endswith("X") else None
    if way == "full width":
        return "".join(chr(ord(character) + 0xFEE0) for character in resident_id)
    if way == "inner blanks":
        return f" {resident_id[:6]} {resident_id[6:14]}\u3000{resident_id[14:]}"
    return resident_id[:6] + resident_id[8:17] if resident_id[6:8] == "19" else None


def complete_id(digits: str) -> str:
    """Return 17 digits completed to an ID (GB 11643-1999, ISO 7064 MOD 11-2)."""
    total = sum(int(digit) * pow(2, 17 - place, 11) for place, digit in enumerate(digits))
    return digits + "10X98765432"[total % 11]
