"""Values as SQL: text to types, exactly as written, nothing guessed; and what is wrong with one."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass

from expectations.month import Month
from expectations.source_model import PLACEHOLDERS, STAND_IN_DATES, Check, Column, Source
from transforms.clean import national_id
from transforms.engine.sql import sql_literal

_INVISIBLE = (
    r"\x{7f}-\x{9f}\x{ad}\x{61c}\x{180e}\x{200b}-\x{200f}\x{202a}-\x{202e}"
    r"\x{2060}-\x{2064}\x{2066}-\x{206f}\x{feff}"
)
CONTROL_CHARACTERS = rf"[\x{{00}}-\x{{08}}\x{{0b}}\x{{0c}}\x{{0e}}-\x{{1f}}{_INVISIBLE}]"
"""Never part of a text: control characters but tabs and line breaks, and what is not to be seen."""
NOT_IN_KEYS = rf"[\x{{00}}-\x{{1f}}{_INVISIBLE}]"
LOST_CHARACTER = "\ufffd"
"""What a program writes for a character that it could not decode."""
MIDNIGHT = r"[T ]+0?0:00(:00([.]0+)?)?"
MONTH_FORM = "[0-9]{4}(-[0-9]{1,2}|/[0-9]{1,2}|[.][0-9]{1,2}| *年 *[0-9]{1,2} *月)"
DATE_FORM = (
    "[0-9]{4}(-[0-9]{1,2}-[0-9]{1,2}|/[0-9]{1,2}/[0-9]{1,2}|[.][0-9]{1,2}[.][0-9]{1,2}"
    "| *年 *[0-9]{1,2} *月 *[0-9]{1,2} *日)"
)
LOST_DIGITS = r"^-?[0-9]([.][0-9]+)?[Ee][+][0-9]+$"
"""Scientific notation: a program has cut a long number, and nobody knows its last digits."""
DATE_FAULTS = [
    (r"^[0-9]{1,2}[-/.年][0-9]{1,2}[-/.月][0-9]{4}", "day_first"),
    (r"^[0-9]{2}[-/.年][0-9]{1,2}[-/.月][0-9]{1,2}日?$", "short_year"),
    (r"^[0-9]{5}([.][0-9]+)?$", "serial_number"),
    (r"[0-9]{2}:[0-9]{2}.*([+-][0-9]{2}(:?[0-9]{2})?|Z)$", "time_zone"),
    (r"[0-9]{1,2}:[0-9]{2}", "time_of_day"),
]
_FIRST = r"[\x{21}-\x{26}\x{28}-\x{3c}\x{3e}-\x{7e}\x{3001}-\x{fefe}]"  # neither ' nor =
_ORDINARY = r"[\x{21}-\x{7e}\x{3001}-\x{fefe}]"
_FULL_WIDTH = r"\x{ff10}-\x{ff19}\x{ff21}-\x{ff3a}\x{ff41}-\x{ff5a}"
_WITHIN = rf"[^\x{{00}}-\x{{1f}}{_INVISIBLE}{_FULL_WIDTH}\x{{fffd}}]"
USUAL_TEXT = rf"{_FIRST}({_WITHIN}*{_ORDINARY})?"
"""Nearly every text: nothing at its ends or within that has to be taken off, out, or refused."""
_WIDE = "".join(map(chr, range(0xFF01, 0xFF5F)))
_NARROW = "".join(map(chr, range(0x21, 0x7F)))
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


def unwrap_sql(text: str) -> str:
    """Return SQL of a trimmed text without what makes spreadsheets take it for one.

    That is the form ="..." and an apostrophe before it.
    """
    forced = f'regexp_extract({text}, \'^="([^"]*)"$\', 1)'
    return (
        f"CASE WHEN starts_with({text}, '=') THEN coalesce(nullif({forced}, ''), {text})"
        f" WHEN starts_with({text}, '''') THEN substr({text}, 2) ELSE {text} END"
    )


def parse_exact(column: Column, raw: str, context: ValidationContext) -> str:
    """Return SQL of the typed value of a text in its usual spelling, else null.

    Nearly all values are written so; the others are trimmed and read by `parse_typed`, slowly.
    """
    match column.type:
        case "text":
            return f"CASE WHEN {_is_usual_text(raw)} THEN {raw} END"
        case "date":
            return _usual_date(raw)
        case "month":
            return _usual_month(raw)
        case "integer":
            return _whole_number(raw)
        case _:
            return parse_typed(column, raw, context)


def _is_usual_text(raw: str) -> str:
    """SQL: no white space at the ends, no control characters, no placeholder, no cut number.

    One pattern for the whole text; the rest is asked of short texts, and of those with a plus sign.
    """
    longest = max(map(len, PLACEHOLDERS))
    return (
        f"regexp_full_match({raw}, '{USUAL_TEXT}')"
        f" AND (length({raw}) > {longest} OR NOT {is_placeholder_sql(raw)})"
        f" AND NOT (contains({raw}, '+') AND contains(upper({raw}), 'E+'))"
    )


def is_placeholder_sql(text: str) -> str:
    """SQL: a trimmed text stands for no value, in whatever case it is written."""
    return f"upper({text}) IN ({_list(PLACEHOLDERS)})"


def is_stand_in_sql(value: str) -> str:
    """SQL: a date is a day that programs write where there is none."""
    days = [f"DATE {sql_literal(day)}" for day in STAND_IN_DATES]
    return f"({value} <= {max(days)} AND ({' OR '.join(f'{value} = {day}' for day in days)}))"


def parse_typed(column: Column, text: str, context: ValidationContext) -> str:
    """Return SQL of the typed value of a trimmed text (a normalised one for IDs), else null."""
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
            whole = f"regexp_extract({text}, '^([0-9]{{1,9}})\\.0+$', 1)"
            return f"coalesce({_whole_number(text)}, {_whole_number(whole)})"
        case "yes_no":
            cases = "WHEN 'true' THEN true WHEN '是' THEN true WHEN 'false' THEN false"
            return f"CASE lower({text}) {cases} WHEN '否' THEN false END"
        case "set":
            return _set(column, text)
        case "district":
            return f"CASE WHEN {text} IN ({_list(sorted(context.districts))}) THEN {text} END"
        case "area":
            digits = f"lpad(CAST(TRY_CAST({text} AS UINTEGER) AS VARCHAR), 6, '0')"
            return f"CASE WHEN strlen({text}) = 6 AND {digits} = {text} THEN {text} END"
        case _:
            return _text(trim_sql(f"regexp_replace({text}, '{CONTROL_CHARACTERS}', '', 'g')"))


def _text(text: str) -> str:
    """A text; a code in full width (letters, digits and signs alone) in half width."""
    narrow = f"translate({text}, {sql_literal(_WIDE)}, {sql_literal(_NARROW)})"
    is_code = f"regexp_full_match({text}, '[\\x{{21}}-\\x{{7e}}\\x{{ff01}}-\\x{{ff5e}}]+')"
    return f"nullif(CASE WHEN {is_code} THEN {narrow} ELSE {text} END, '')"


def _whole_number(text: str) -> str:
    return f"CASE WHEN regexp_full_match({text}, '[0-9]{{1,9}}') THEN CAST({text} AS INTEGER) END"


# A form is asked for by reading the value and writing it again. The engine reads and writes each
# word of a column's dictionary once, where it would match a pattern for every row.


def _day(text: str) -> str:
    """A date of the form 2024-04-30, null when there is no such day."""
    day = f"TRY_CAST({text} AS DATE)"
    return f"CASE WHEN CAST({day} AS VARCHAR) = {text} THEN {day} END"


def _usual_date(text: str) -> str:
    spread = f"(left({text}, 4) || '-' || substr({text}, 5, 2) || '-' || right({text}, 2))"
    return f"CASE strlen({text}) WHEN 10 THEN {_day(text)} WHEN 8 THEN {_day(spread)} END"


def _date(text: str) -> str:
    """A date, year first, in any usual spelling, with or without a midnight after it."""
    plain = _without_midnight(text)
    padded = f"({_pad(plain, DATE_FORM, 3)})"
    return f"coalesce({_usual_date(plain)}, {_day(padded)})"


def _usual_month(text: str) -> str:
    spread = f"(left({text}, 4) || '-' || right({text}, 2) || '-01')"
    dashed = f"({text} || '-01')"
    return _ordinal(
        f"CASE strlen({text}) WHEN 7 THEN {_day(dashed)} WHEN 6 THEN {_day(spread)} END"
    )


def _month(text: str) -> str:
    """Return SQL of a month, year first, in any usual spelling, or the first day of one.

    A midnight may follow the day.
    """
    plain = _half_width(text)
    padded = f"({_pad(plain, MONTH_FORM, 2)} || '-01')"
    first = f"CASE WHEN day({_date(text)}) = 1 THEN {_date(text)} END"
    day = f"coalesce({_day(padded)}, {first})"
    return f"coalesce({_usual_month(plain)}, {_ordinal(day)})"


def _ordinal(first: str) -> str:
    """The number of a month by its first day: 12 x year + month - 1."""
    return f"CAST(date_diff('month', DATE '0001-01-01', {first}) + 12 AS INTEGER)"


def _half_width(text: str) -> str:
    return f"translate({text}, '０１２３４５６７８９／．－：　', '0123456789/.-: ')"


def _without_midnight(text: str) -> str:
    return f"regexp_replace({_half_width(text)}, '{MIDNIGHT}$', '')"


def _pad(text: str, form: str, parts: int) -> str:
    """Year, month (and day) of a text in a form, as 2024-03(-05); null when it has another form."""
    wanted = f"CASE WHEN regexp_full_match({text}, '{form}') THEN {text} END"
    numbers = "[^0-9]+".join(["([0-9]{4})", *["([0-9]{1,2})"] * (parts - 1)])
    taken = [f"regexp_extract({wanted}, '^{numbers}', {part})" for part in range(1, parts + 1)]
    return " || '-' || ".join([taken[0], *(f"lpad({part}, 2, '0')" for part in taken[1:])])


def explain_bad_value_sql(column: Column, text: str) -> str:
    """Return SQL of the reason code of a text that is not of its column's type.

    Whoever gets the row back reads what is wrong with it: the day first, two digits of the year,
    a serial number, a time of day, a time zone; or a number that was cut.
    """
    cases = [(LOST_DIGITS, "lost_digits")]
    if column.type in ("date", "month"):
        cases += DATE_FAULTS
    whens = " ".join(f"WHEN regexp_matches({text}, '{form}') THEN '{code}'" for form, code in cases)
    other = "bad_id" if column.type == "id" else "bad_value"
    return f"CASE {whens} ELSE '{other}' END"


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


def find_violations(source: Source, name: str, context: ValidationContext) -> list[tuple[str, str]]:
    """Return what can be wrong with a column: (reason code, SQL condition).

    Over `v_<name>`, the typed value, `t_<name>`, the trimmed text where it has an unusual
    spelling, and `born`, the person's birth date as a number (20010131).
    """
    column = source.columns[name]
    text, value = f"t_{name}", f"v_{name}"
    missing = f"{value} IS NULL AND {text} IS NULL"
    found: list[tuple[str, str]] = []
    if column.required:
        found.append(("missing", missing))
    for other, needed in column.required_when.items():
        found.append(("missing", f"{missing} AND v_{other} = {sql_literal(needed)}"))
    if column.type == "id":
        valid = (
            "born IS NOT NULL"
            if name == source.person
            else national_id.is_valid_sql(text, value, context.last_day)
        )
        found.append(("bad_id", f"{text} IS NOT NULL AND ({value} IS NULL OR NOT ({valid}))"))
    elif column.type == "text":
        found.append(("lost_digits", f"{text} IS NOT NULL AND {_is_cut(text)}"))
        found.append(("formula", f"starts_with({text}, '=')"))
        lost = f"contains({text}, {sql_literal(LOST_CHARACTER)})"
        found.append(("lost_character", lost))
        if name in source.key:
            control = f"regexp_matches({text}, '{NOT_IN_KEYS}')"
            found.append(("control_character", f"{text} IS NOT NULL AND {control}"))
    else:
        code = "not_in_set" if column.type in ("set", "district") else "bad_value"
        found.append((code, f"{value} IS NULL AND {text} IS NOT NULL"))
    found += _check_violations(value, column)
    found += _time_violations(value, column, context)
    if column.not_before:
        found.append(("too_early", f"{value} < v_{column.not_before}"))
    return found


def _check_violations(value: str, column: Column) -> list[tuple[str, str]]:
    found = _outside(value, column.check) if column.check else []
    for given, check in column.checks.items():
        found += [
            (code, f"v_{column.by} = {sql_literal(given)} AND {bad}")
            for code, bad in _outside(value, check)
        ]
    return found


def _time_violations(
    value: str, column: Column, context: ValidationContext
) -> list[tuple[str, str]]:
    """What can be wrong with when something was: in the future, no day at all, before birth."""
    if column.type == "month":
        born = "born // 10000 * 12 + born // 100 % 100 - 1"
        latest = (context.received + column.months_ahead).ordinal
        return [
            ("out_of_range", f"{value} < {Month.parse(column.first_month).ordinal}"),
            ("in_future", f"{value} > {latest}"),
            ("before_birth", f"{value} < {born}"),
        ]
    if column.type != "date":
        return []
    future = [] if column.future else [("in_future", f"{value} > DATE '{context.last_day}'")]
    stand_in = [("stand_in", is_stand_in_sql(value))] if column.required else []
    day = f"year({value}) * 10000 + month({value}) * 100 + day({value})"
    return [*future, *stand_in, ("before_birth", f"{day} < born")]


def _is_cut(text: str) -> str:
    return f"regexp_matches({text}, '{LOST_DIGITS}')"


def born_sql(source: Source, context: ValidationContext) -> str:
    """Return SQL of the birth date in the ID of a row's person as a number: 20010131.

    Null when the ID is missing or not valid.
    """
    text, value = f"t_{source.person}", f"v_{source.person}"
    valid = national_id.is_valid_sql(text, value, context.last_day)
    return f"CASE WHEN {valid} THEN {national_id.birth_date_sql(value)} END"


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
