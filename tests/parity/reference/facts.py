"""Facts the plain way: for one resident at a time, look through the rows and work out each declared fact.

Rows are typed rows as `values.one_extract` gives them. Of a snapshot the caller passes the one extract that serves,
of an increment all extracts up to the month, each row with the month it was received in, in order.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from expectations.month import Month
from expectations.source_model import COUNTED_UNITS, Fact, Source, Span
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

WHOLE_UNITS = {"years", "months", "count", "people"}


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
        if correction and _takes(fact, correction.value):
            return correction.value == 1 if fact.unit == "yes_no" else correction.value
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
        return _picked(fact, [row for row in mine if self.counts(fact, row)])

    def counts(self, fact: Fact, row: Row) -> bool:
        """Whether a row passes all filters of the fact."""
        if any(row[column] not in values for column, values in fact.where.items()):
            return False
        if fact.current and not is_running(fact.current, row, self.as_of):
            return False
        if fact.open and not _is_open(fact.open, row, self.as_of):
            return False
        if fact.within:
            day = row[fact.within.of]
            if (
                day is None
                or not (Month.of(self.as_of) - fact.within.last_months).last_day < day <= self.as_of
            ):
                return False
        if fact.turns and not _turns(row[fact.turns.of], fact.turns.age, self.as_of):
            return False
        return not fact.listed or any(
            line["year"] == str(self.as_of.year)
            and line[fact.listed.column] == row[fact.listed.column]
            for line in self.tables[fact.listed.table]
        )


class _Facts(dict[str, Any]):
    """Names of an expression, worked out when asked for."""

    def __init__(self, resident: _Resident) -> None:
        super().__init__(as_of=resident.as_of)
        self.resident = resident

    def __missing__(self, name: str) -> Any:
        return self.resident.fact(name)


def _takes(fact: Fact, value: Decimal) -> bool:
    """Whether a correction can give a fact this value: 0 or 1 for no or yes, whole numbers of 32 bits for what is counted."""
    if fact.unit == "yes_no":
        return value in (0, 1)
    whole = fact.unit not in WHOLE_UNITS or (value == value.to_integral() and value < 2**31)
    return fact.unit in COUNTED_UNITS and value >= 0 and whole


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
    """What one record adds: clipped, then weighted; null adds nothing."""
    value = Decimal(_of(fact, row) or 0)
    if fact.clip and fact.clip.max is not None:
        value = min(value, fact.clip.max)
    if fact.clip and fact.clip.min is not None:
        value = max(value, fact.clip.min)
    for column, weights in fact.weights.items():
        value *= weights.get(row[column], Decimal(1))
    return value


def _sum(resident: _Resident, source: Source, fact: Fact) -> Decimal:
    return sum((_record(fact, row) for row in resident.rows(source, fact)), Decimal(0))


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
    return count_full_months(min(begun), resident.as_of) if begun else 0


def _full_years(resident: _Resident, source: Source, fact: Fact) -> int:
    assert source.columns[fact.of or ""].type == "id"
    return (
        count_full_months(
            parse_birth_date(_of(fact, resident.rows(source, fact)[0])), resident.as_of
        )
        // 12
    )


def _months(resident: _Resident, source: Source, fact: Fact) -> list[Month]:
    """The distinct months that have come, in order."""
    return sorted(
        {
            m
            for row in resident.rows(source, fact)
            if (m := _of(fact, row)) <= Month.of(resident.as_of)
        }
    )


def _distinct_months(resident: _Resident, source: Source, fact: Fact) -> int:
    return len(_months(resident, source, fact))


def _last_month(resident: _Resident, source: Source, fact: Fact) -> dt.date | None:
    months = _months(resident, source, fact)
    return months[-1].first_day if months else None


def _gap_months(resident: _Resident, source: Source, fact: Fact) -> int | None:
    months = _months(resident, source, fact)
    return Month.of(resident.as_of).ordinal - months[-1].ordinal if months else None


def _run_months(resident: _Resident, source: Source, fact: Fact) -> int:
    months = _months(resident, source, fact)
    length = 0
    while months and months[-1] - length in months:
        length += 1
    return length


def _sum_by_year(resident: _Resident, source: Source, fact: Fact) -> dict[int, Decimal]:
    (date_column,) = fact.keys
    first_year = resident.as_of.year - (fact.years or 0) + 1
    sums: dict[int, Decimal] = {}
    for row in resident.rows(source, fact):
        year = row[date_column].year
        if first_year <= year <= resident.as_of.year:
            sums[year] = sums.get(year, Decimal(0)) + _record(fact, row)
    return sums


def _sum_by_key(resident: _Resident, source: Source, fact: Fact) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = {}
    for row in resident.rows(source, fact):
        key = ":".join(row[name] for name in fact.keys)
        sums[key] = sums.get(key, Decimal(0)) + _record(fact, row)
    return sums


def _list(resident: _Resident, source: Source, fact: Fact) -> list[tuple[Any, str, int]]:
    """The children due: (child, level, enrolment year)."""
    year = find_enrolment_year(resident.as_of)
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
    "sum_by_year": _sum_by_year,
    "sum_by_key": _sum_by_key,
    "list": _list,
}
