"""Values as SQL: text to types, exactly as written and nothing guessed; and what is wrong with one."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass

from expectations.month import Month
from expectations.source_model import Check, Column
from transforms.clean import national_id
from transforms.engine.sql import sql_literal

# Code points among which no white space is: nearly every text begins and ends within these.
_ORDINARY = ((0x21, 0x7E), (0x3001, 0xFEFE))
SQL_TYPES = {
    "id": "BIGINT",
    "text": "VARCHAR",
    "date": "DATE",
    "month": "INTEGER",
    "amount": "DECIMAL(12,2)",
    "integer": "INTEGER",
    "yes_no": "BOOLEAN",
    "set": "VARCHAR",
    "district": "VARCHAR",
    "area": "VARCHAR",
}


@dataclass(frozen=True)
class ValidationContext:
    """What values are judged against: the month received and the district codes in force."""

    received: Month
    districts: Collection[str]

    @property
    def last_day(self) -> dt.date:
        return self.received.last_day


def trim_sql(raw: str) -> str:
    """Text without white space at its ends, null when nothing is left."""
    return f"nullif(trim({raw}, {sql_literal(national_id.WHITE_SPACE)}), '')"


def parse_exact(column: Column, raw: str, reception: ValidationContext) -> str:
    """The typed value of a delivered text that needs no trimming, else null. Trimming is slow, and few values need it."""
    if column.type == "text":
        return f"CASE WHEN {_ordinary(raw)} AND {_ordinary(f'{raw}[-1]')} THEN {raw} END"
    return parse_typed(column, raw, reception)


def _ordinary(text: str) -> str:
    """Whether a text begins with an ordinary character: by its number, half the work of a pattern."""
    return (
        "("
        + " OR ".join(f"unicode({text}) BETWEEN {first} AND {last}" for first, last in _ORDINARY)
        + ")"
    )


def parse_typed(column: Column, text: str, reception: ValidationContext) -> str:
    """The typed value of a trimmed text (of a normalised one for IDs); null when the text is not of the type."""
    match column.type:
        case "id":
            return national_id.to_number_sql(text)
        case "date":
            return _date(text)
        case "month":
            return _month(text)
        case "amount":
            return _amount(text)
        case "integer":
            return f"CASE WHEN regexp_full_match({text}, '[0-9]{{1,9}}') THEN CAST({text} AS INTEGER) END"
        case "yes_no":
            return f"CASE lower({text}) WHEN 'true' THEN true WHEN '是' THEN true WHEN 'false' THEN false WHEN '否' THEN false END"
        case "set":
            return _set(column, text)
        case "district":
            return f"CASE WHEN {text} IN ({_list(sorted(reception.districts))}) THEN {text} END"
        case "area":
            digits = f"lpad(CAST(TRY_CAST({text} AS UINTEGER) AS VARCHAR), 6, '0')"
            return f"CASE WHEN strlen({text}) = 6 AND {digits} = {text} THEN {text} END"
        case _:
            return text


# A form is asked for by reading the value and writing it again. The engine reads and writes each word of a column's
# dictionary once, where it would match a pattern for every row.


def _day(text: str) -> str:
    """A date of the form 2024-04-30, null when there is no such day."""
    return f"CASE WHEN CAST(TRY_CAST({text} AS DATE) AS VARCHAR) = {text} THEN TRY_CAST({text} AS DATE) END"


def _date(text: str) -> str:
    spread = f"(left({text}, 4) || '-' || substr({text}, 5, 2) || '-' || right({text}, 2))"
    return f"CASE strlen({text}) WHEN 10 THEN {_day(text)} WHEN 8 THEN {_day(spread)} END"


def _month(text: str) -> str:
    spread = f"(left({text}, 4) || '-' || right({text}, 2) || '-01')"
    dashed = f"({text} || '-01')"
    first = f"CASE strlen({text}) WHEN 7 THEN {_day(dashed)} WHEN 6 THEN {_day(spread)} END"
    return f"CAST(date_diff('month', DATE '0001-01-01', {first}) + 12 AS INTEGER)"


def _amount(text: str) -> str:
    value = f"TRY_CAST({text} AS DECIMAL(12,2))"
    usual = f"CAST({value} AS VARCHAR) IN ({text}, {text} || '0', {text} || '.00')"
    form = f"regexp_full_match({text}, '-?[0-9]{{1,10}}(?:\\.[0-9]{{1,2}})?')"
    return f"CASE WHEN {usual} THEN {value} WHEN {form} THEN CAST({text} AS DECIMAL(12,2)) END"


def _set(column: Column, text: str) -> str:
    known = f"WHEN {text} IN ({_list(list(column.values))}) THEN {text}"
    aliases = " ".join(
        f"WHEN {text} IN ({_list(names)}) THEN {sql_literal(value)}"
        for value, names in column.values.items()
        if names
    )
    return f"CASE {known} {aliases} END"


def find_violations(
    name: str, column: Column, reception: ValidationContext
) -> list[tuple[str, str]]:
    """What can be wrong with a column: (reason code, condition) over `v_<name>`, the typed value, and `t_<name>`, the text
    where it could not be read as it stands."""
    text, value = f"t_{name}", f"v_{name}"
    missing = f"{value} IS NULL AND {text} IS NULL"
    found: list[tuple[str, str]] = []
    if column.required:
        found.append(("missing", missing))
    for other, needed in column.required_when.items():
        found.append(("missing", f"{missing} AND v_{other} = {sql_literal(needed)}"))
    if column.type == "id":
        sound = national_id.is_valid_sql(text, value, reception.last_day)
        found.append(("bad_id", f"{text} IS NOT NULL AND ({value} IS NULL OR NOT ({sound}))"))
    elif column.type != "text":
        code = "not_in_set" if column.type in ("set", "district") else "bad_value"
        found.append((code, f"{value} IS NULL AND {text} IS NOT NULL"))
    if column.check:
        found += _outside(value, column.check)
    for given, check in column.checks.items():
        found += [
            (code, f"v_{column.by} = {sql_literal(given)} AND {bad}")
            for code, bad in _outside(value, check)
        ]
    if column.type == "date" and not column.future:
        found.append(("in_future", f"{value} > DATE '{reception.last_day}'"))
    if column.type == "month":
        found.append(
            ("in_future", f"{value} > {(reception.received + column.months_ahead).ordinal}")
        )
    if column.not_before:
        found.append(("too_early", f"{value} < v_{column.not_before}"))
    return found


def _outside(value: str, check: Check) -> list[tuple[str, str]]:
    bounds = [
        f"{value} {operator} {bound}"
        for operator, bound in (("<", check.min), ("<=", check.above), (">", check.max))
        if bound is not None
    ]
    found = [("out_of_range", f"({' OR '.join(bounds)})")] if bounds else []
    if check.one_of is not None:
        found.append(("not_in_set", f"{value} NOT IN ({_list(check.one_of)})"))
    return found


def _list(values: Collection[str]) -> str:
    return ", ".join(sql_literal(value) for value in values)
