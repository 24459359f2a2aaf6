"""Facts the plain way: for one resident at a time, look through the rows and work out each declared fact.

Rows are typed rows as `values.one_extract` gives them. Of a snapshot the caller passes the one extract that serves,
of an increment all extracts up to the month, each row with the month it was received in, in order.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from expectations.fact_model import Check, Divisor, Spell
from expectations.month import Month
from expectations.source_model import COUNTED_UNITS, Fact, Source, Span
from expectations.window_model import Within, list_years_ago
from tests.parity.reference.expressions import evaluate_expression
from tests.parity.reference.national_id import parse_birth_date
from tests.parity.reference.rows import (
    Correction,
    Received,
    Tables,
    find_corrections,
    find_residents,
    is_running,
    select_standing,
)
from tests.parity.reference.values import Row

WHOLE_UNITS = {"year", "years", "months", "count", "times", "people"}


def compute_facts(
    sources: Mapping[str, Source], clean: Mapping[str, Received], month: Month, tables: Tables
) -> dict[str, dict[str, Any]]:
    """What is known of each resident (18-character ID) on the month's last day: every declared fact by name.

    Counts and months are int or Decimal, months of the calendar their first day, maps dicts, lists sorted lists.
    """
    as_of = month.last_day
    kept = {
        name: select_standing(source, clean.get(name, []), as_of, tables)
        for name, source in sources.items()
    }
    corrected = find_corrections(sources, kept, as_of)
    return {
        person: _Resident(
            sources, kept, person, as_of, tables, corrected.get(person, {})
        ).all_facts()
        for person in find_residents(sources, kept)
    }


@dataclass
class _Resident:
    """One person, with everything that it takes to work out a fact."""

    sources: Mapping[str, Source]
    kept: Mapping[str, Sequence[Row]]
    person: str
    as_of: dt.date
    tables: Tables
    corrected: Mapping[str, Correction]

    def all_facts(self) -> dict[str, Any]:
        return {name: self.fact(name) for source in self.sources.values() for name in source.facts}

    def declared(self, name: str) -> tuple[Source, Fact]:
        return next((s, s.facts[name]) for s in self.sources.values() if name in s.facts)

    def fact(self, name: str) -> Any:
        """The value of a fact: as corrected, if a correction holds; else looked up, derived or measured."""
        source, fact = self.declared(name)
        correction = self.corrected.get(f"fact:{name}")
        taken = _corrected_value(self.sources, name, fact, correction) if correction else None
        if taken is not None:
            return taken
        if fact.derive:
            value = evaluate_expression(fact.derive, _Facts(self))
            return (
                value is True if fact.unit == "yes_no" else value
            )  # a person without the data has "no", never null
        if fact.lookup:
            return self.looked_up(fact)
        return MEASURES[fact.measure or ""](self, source, fact)

    def looked_up(self, fact: Fact) -> Decimal | None:
        lookup = fact.lookup
        assert lookup is not None
        wanted = {column: self.fact(name) for column, name in lookup.match.items()}
        lines = [
            line
            for line in self.tables[lookup.table]
            if all(line[column] == value for column, value in wanted.items())
            and Month.parse(line[lookup.newest]) <= Month.of(self.as_of)
        ]
        newest = max(lines, key=lambda line: line[lookup.newest], default=None)
        return Decimal(newest[lookup.value]) if newest else None

    def rows(self, source: Source, fact: Fact) -> list[Row]:
        """The person's rows that this fact is about."""
        mine = [row for row in self.kept[source.source] if row[source.person] == self.person]
        return _select(source, fact, [row for row in mine if self.counts(source, fact, row)])

    def day(self, fact: Fact) -> dt.date:
        """The day on which a fact is measured: the newest cut-off day, or the scoring date."""
        if fact.at is None:
            return self.as_of
        day = self.as_of
        while not _is_cut_off(fact, day):
            day -= dt.timedelta(days=1)
        return day

    def counts(self, source: Source, fact: Fact, row: Row) -> bool:
        """Whether a row passes all filters of the fact."""
        as_of = self.day(fact)
        if not all(_meets(row[column], asked) for column, asked in fact.where.items()):
            return False
        if fact.current and not is_running(fact.current, row, as_of):
            return False
        if fact.open and not _is_open(fact.open, row, as_of):
            return False
        if not _is_in_time(source, fact, row, as_of):
            return False
        if fact.turns and not _turns(row[fact.turns.of], fact.turns.age, as_of):
            return False
        return not fact.listed or any(
            line["year"] == str(as_of.year) and line[fact.listed.column] == row[fact.listed.column]
            for line in self.tables[fact.listed.table]
        )


def _is_in_time(source: Source, fact: Fact, row: Row, as_of: dt.date) -> bool:
    """Whether a row lies in the fact's window, and in one of the years that it keeps."""
    if fact.within:
        name = fact.within.of or fact.of or ""
        if row[name] is None:
            return False
        if source.columns[name].type == "month":
            if not _is_month_within(fact.within, row[name], as_of):
                return False
        elif not _is_day_within(fact.within, row[name], as_of):
            return False
    if fact.measure == "sum_by_year":
        day = row[fact.keys[0]]
        years = [as_of.year - ago for ago in list_years_ago(fact.years or 0)]
        if day is None or day > as_of or day.year not in years:
            return False
    return True


class _Facts(dict[str, Any]):
    """Names of an expression, worked out when asked for."""

    def __init__(self, resident: _Resident) -> None:
        super().__init__(as_of=resident.as_of)
        self.resident = resident

    def __missing__(self, name: str) -> Any:
        return self.resident.fact(name)


def _meets(value: Any, asked: list[str] | Check) -> bool:
    """Whether a row's value is one of those asked for, or lies within the bounds."""
    if value is None:
        return False
    if not isinstance(asked, Check):
        if isinstance(value, bool):
            return str(value).lower() in asked
        return value in ([int(one) for one in asked] if isinstance(value, int) else asked)
    return (
        (asked.min is None or value >= asked.min)
        and (asked.above is None or value > asked.above)
        and (asked.max is None or value <= asked.max)
        and (asked.below is None or value < asked.below)
    )


_YES_NO = {"1": True, "是": True, "yes": True, "true": True,
           "0": False, "否": False, "no": False, "false": False}  # fmt: skip


def _corrected_value(
    sources: Mapping[str, Source], name: str, fact: Fact, correction: Correction
) -> Any:
    """Return what a correction makes of a fact; None if it cannot have this value."""
    value, text = correction.value, correction.text.lower()
    if fact.unit == "level":
        (source,) = (one for one in sources.values() if name in one.facts)
        words = source.columns[str(fact.of)].values
        for rung in [*fact.ladder, [fact.otherwise]]:
            for level in filter(None, rung):
                if text in (level, *map(str.lower, words.get(level, []))):
                    return rung[0]
        return None
    if fact.unit == "yes_no":
        return bool(value) if value in (0, 1) else _YES_NO.get(text)
    if value < 0 or fact.unit not in COUNTED_UNITS:
        return None
    whole = fact.unit not in WHOLE_UNITS or (value == value.to_integral() and value < 2**31)
    return value if whole else None


def _is_cut_off(fact: Fact, day: dt.date) -> bool:
    if fact.at is None or isinstance(fact.at, str):
        return day.day == 1
    return (day.month, day.day) == (fact.at.month, fact.at.day)


def find_last_ended_month(day: dt.date) -> Month:
    """The last month that is over at the end of a day."""
    month = Month.of(day)
    return month if day == month.last_day else month - 1


def _is_day_within(within: Within, day: dt.date, as_of: dt.date) -> bool:
    """Whether a day lies in a window, and has come."""
    if day > as_of:
        return False
    if within.last_months is not None:
        if within.ending == "month_before":
            last = Month.of(as_of) - 1
            return (last - within.last_months).last_day < day <= last.last_day
        begins = add_months(as_of, -within.last_months)
        if as_of == Month.of(as_of).last_day:
            begins = Month.of(begins).last_day
        return begins < day
    if within.between:
        first, last_day = (dt.date.fromisoformat(text) for text in within.between)
        return first <= day <= last_day
    if within.since:
        return day >= dt.date.fromisoformat(within.since)
    assert within.calendar_years is not None
    return as_of.year - day.year in list_years_ago(within.calendar_years)


def _is_month_within(within: Within, month: Month, as_of: dt.date) -> bool:
    """Whether a month lies in a window, and is over."""
    last = find_last_ended_month(as_of)
    if month > last:
        return False
    if within.last_months is not None:
        last = last - 1 if within.ending == "month_before" else last
        return last - within.last_months < month <= last
    if within.between:
        first, end = (Month.parse(text[:7]) for text in within.between)
        return first <= month <= end
    if within.since:
        return month >= Month.parse(within.since[:7])
    assert within.calendar_years is not None
    return as_of.year - month.first_day.year in list_years_ago(within.calendar_years)


def _select(source: Source, fact: Fact, rows: list[Row]) -> list[Row]:
    """The rows that count: of those that are one act the greatest, of those picked from one."""
    if not fact.once_per:
        return _picked(fact, rows)
    acts: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        acts.setdefault(tuple(row[name] for name in fact.once_per), []).append(row)
    return [max(act, key=lambda row: _greatness(source, fact, row)) for act in acts.values()]


def _greatness(source: Source, fact: Fact, row: Row) -> list[tuple[bool, Any]]:
    """What decides between rows of one act; nothing is less than anything."""
    values: list[Any] = []
    if fact.greatest:
        declared = list(source.columns[fact.greatest].values)
        value = row[fact.greatest]
        values.append(declared.index(value) if declared and value is not None else value)
    if fact.of:
        values.append(_record(fact, row) if _adds(fact, row) else None)
    values += [row[name] for name in fact.keys]
    return [(value is not None, value if value is not None else 0) for value in values]


def _picked(fact: Fact, rows: list[Row]) -> list[Row]:
    """The one greatest row where the fact is about one, else all."""
    return (
        [max(rows, key=lambda row: [row[name] for name in fact.pick])]
        if fact.pick and rows
        else rows
    )


def _is_open(span: Span, row: Row, as_of: dt.date) -> bool:
    """Recorded, and not cleared or cleared after the day."""
    begun, cleared = row[span.begins], row[span.ends]
    return begun is not None and begun <= as_of and (cleared is None or cleared > as_of)


def find_enrolment_year(as_of: dt.date) -> int:
    """The year of the next 31 August on or after the day."""
    return as_of.year if as_of <= dt.date(as_of.year, 8, 31) else as_of.year + 1


def _turns(child: str, age: int, as_of: dt.date) -> bool:
    year = find_enrolment_year(as_of)
    return dt.date(year - age - 1, 9, 1) <= parse_birth_date(child) <= dt.date(year - age, 8, 31)


def add_months(day: dt.date, months: int) -> dt.date:
    """The corresponding day some months later, or that month's last day where there is none (Civil Code, art. 202)."""
    month = Month.of(day) + months
    return month.last_day.replace(day=min(day.day, month.last_day.day))


def count_full_months(begun: dt.date, as_of: dt.date) -> int:
    """How many whole months have passed, counted one by one; 0 for a day to come."""
    months = 0
    while add_months(begun, months + 1) <= as_of:
        months += 1
    return months


def _of(fact: Fact, row: Row) -> Any:
    return row[fact.of or ""]


def _count(resident: _Resident, source: Source, fact: Fact) -> int:
    return len(resident.rows(source, fact))


def _exists(resident: _Resident, source: Source, fact: Fact) -> bool:
    return bool(resident.rows(source, fact))


def _record(fact: Fact, row: Row) -> Decimal:
    """What one record adds: clipped, multiplied, divided, weighted; null adds nothing."""
    if not _adds(fact, row):
        return Decimal(0)
    value = Decimal(1) if fact.of is None else Decimal(_of(fact, row))
    if fact.clip and fact.clip.max is not None:
        value = min(value, fact.clip.max)
    if fact.clip and fact.clip.min is not None:
        value = max(value, fact.clip.min)
    if fact.times:
        value *= Decimal(row[fact.times])
    if fact.divided_by is not None:
        value = _divide(value, _divisor(fact, row) or Decimal(1))
    for column, weights in _weights(fact, row).items():
        value *= weights.get(row[column], Decimal(1))
    return value


def _adds(fact: Fact, row: Row) -> bool:
    """Whether everything is there that a record's value is made of."""
    if fact.of is not None and _of(fact, row) is None:
        return False
    if fact.times and row[fact.times] is None:
        return False
    return fact.divided_by is None or bool(_divisor(fact, row))


def _divisor(fact: Fact, row: Row) -> Decimal | None:
    if not isinstance(fact.divided_by, Divisor):
        return fact.divided_by
    number = row[fact.divided_by.of]
    return None if number is None else Decimal(number + fact.divided_by.plus)


def _divide(above: Decimal, under: Decimal) -> Decimal:
    """A quotient with four decimals, the rest cut off."""
    whole = abs(int(above * 10**8)) // abs(int(under * 10**4))
    return Decimal(whole if (above < 0) == (under < 0) else -whole) / 10**4


def _weights(fact: Fact, row: Row) -> dict[str, dict[str, Decimal]]:
    """The weights of a record: those of the newest date on or before its own."""
    if fact.weights_from is None or row[fact.weights_from.of] is None:
        return fact.weights
    begun = [
        day
        for day in fact.weights_from.dates
        if dt.date.fromisoformat(day) <= row[fact.weights_from.of]
    ]
    return fact.weights_from.dates[max(begun)] if begun else fact.weights


def _sum(resident: _Resident, source: Source, fact: Fact) -> Decimal:
    return _rounded(sum((_record(fact, row) for row in resident.rows(source, fact)), Decimal(0)))


def _rounded(value: Decimal) -> Decimal:
    """Two decimals, halves away from zero: once, when everything is added."""
    return value.quantize(Decimal("0.01"), ROUND_HALF_UP)


def _value(resident: _Resident, source: Source, fact: Fact) -> Any:
    """The value in the one row; nothing there is no in a yes/no fact, 0 of what is counted, else null (a rent too)."""
    values = [_of(fact, row) for row in resident.rows(source, fact)]
    found = values[0] if values else None
    if found is None and fact.unit in COUNTED_UNITS - {"yuan"}:
        return 0
    return bool(found) if fact.unit == "yes_no" else found


def _highest(resident: _Resident, source: Source, fact: Fact) -> str | None:
    values = {_of(fact, row) for row in resident.rows(source, fact)}
    reached = [rung[0] for rung in fact.ladder if values & set(rung)]
    return reached[-1] if reached else fact.otherwise


def _full_months(resident: _Resident, source: Source, fact: Fact) -> int:
    begun = [_of(fact, row) for row in resident.rows(source, fact) if _of(fact, row) is not None]
    return count_full_months(min(begun), resident.day(fact)) if begun else 0


def _full_years(resident: _Resident, source: Source, fact: Fact) -> int:
    assert source.columns[fact.of or ""].type == "id"
    return (
        count_full_months(
            parse_birth_date(_of(fact, resident.rows(source, fact)[0])), resident.day(fact)
        )
        // 12
    )


def _months(resident: _Resident, source: Source, fact: Fact) -> list[Month]:
    """The distinct months that have come, in order."""
    return sorted(
        {
            m
            for row in resident.rows(source, fact)
            if (m := _of(fact, row)) <= find_last_ended_month(resident.day(fact))
        }
    )


def _distinct_months(resident: _Resident, source: Source, fact: Fact) -> int:
    return len(_months(resident, source, fact))


def _last_month(resident: _Resident, source: Source, fact: Fact) -> dt.date | None:
    months = _months(resident, source, fact)
    return months[-1].first_day if months else None


def _gap_months(resident: _Resident, source: Source, fact: Fact) -> int | None:
    months = _months(resident, source, fact)
    return (
        find_last_ended_month(resident.day(fact)).ordinal - months[-1].ordinal if months else None
    )


def _run_months(resident: _Resident, source: Source, fact: Fact) -> int:
    months = _months(resident, source, fact)
    run = months[-1:]
    for month in reversed(months[:-1]):
        if run[-1].ordinal - month.ordinal > fact.gap + 1:
            break
        run.append(month)
    return len(run)


def _covered_months(resident: _Resident, source: Source, fact: Fact) -> int:
    """How many months have a last day on which a spell runs, and none of those left out."""
    last = find_last_ended_month(resident.day(fact))
    month, covered = Month.parse("1900-01"), 0
    kept = _spells(resident, source, fact.spells, resident.day(fact))
    left_out = _spells(resident, source, fact.without, resident.day(fact))
    while month <= last:
        day = month.last_day
        within = fact.within is None or _is_month_within(fact.within, month, resident.day(fact))
        if within and any(a <= day <= b for a, b in kept):
            covered += not any(a <= day <= b for a, b in left_out)
        month = month + 1
    return covered


def _spells(
    resident: _Resident, own: Source, spells: Sequence[Spell], as_of: dt.date
) -> list[tuple[dt.date, dt.date]]:
    """The person's spells that have begun, each with its last day."""
    found = []
    for spell in spells:
        source = resident.sources[spell.source or own.source]
        for row in resident.kept[source.source]:
            begins, ends = row[spell.begins], row[spell.ends]
            mine = row[source.person] == resident.person
            asked = all(_meets(row[column], one) for column, one in spell.where.items())
            ended = ends is not None or spell.open_end
            if mine and asked and ended and begins is not None and begins <= as_of:
                found.append((begins, ends or dt.date.max))
    return found


def _sum_by_year(resident: _Resident, source: Source, fact: Fact) -> dict[int, Decimal]:
    sums: dict[int, Decimal] = {}
    for row in resident.rows(source, fact):
        year = row[fact.keys[0]].year
        sums[year] = sums.get(year, Decimal(0)) + _record(fact, row)
    return {year: _rounded(total) for year, total in sums.items()}


def _sum_by_key(resident: _Resident, source: Source, fact: Fact) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = {}
    for row in resident.rows(source, fact):
        key = ":".join(row[name] for name in fact.keys)
        sums[key] = sums.get(key, Decimal(0)) + _record(fact, row)
    return {key: _rounded(total) for key, total in sums.items()}


def _list(resident: _Resident, source: Source, fact: Fact) -> list[tuple[Any, str, int]]:
    """The children due: (child, level, enrolment year)."""
    year = find_enrolment_year(resident.day(fact))
    return sorted(
        (_of(fact, row), level, year)
        for level, name in fact.levels.items()
        for row in resident.rows(source, source.facts[name])
    )


MEASURES: dict[str, Callable[[_Resident, Source, Fact], Any]] = {
    "count": _count,
    "exists": _exists,
    "sum": _sum,
    "value": _value,
    "highest": _highest,
    "full_months": _full_months,
    "full_years": _full_years,
    "distinct_months": _distinct_months,
    "last_month": _last_month,
    "gap_months": _gap_months,
    "run_months": _run_months,
    "covered_months": _covered_months,
    "sum_by_year": _sum_by_year,
    "sum_by_key": _sum_by_key,
    "list": _list,
}
