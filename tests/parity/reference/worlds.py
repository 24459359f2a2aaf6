"""People and their raw rows, made up around the edges where rules turn: a pure function of one seed per person.

Values follow from the declarations, so a new source needs no generator. What the declaration does not say (which
texts are worth having in a column, which days are edges) stands in the lists below.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import Any

from expectations.month import Month
from expectations.source_model import Check, Column, Source
from tests.parity.reference.facts import add_months
from tests.parity.reference.national_id import BLANKS, compute_check_character, to_full_width

RawRow = dict[str, str]

DISTRICTS = (
    "330203",
    "330205",
    "330206",
    "330211",
    "330212",
    "330213",
    "330225",
    "330226",
    "330281",
    "330282",
)
TEXTS: dict[str, tuple[str, ...]] = {
    "employer_id": ("", "E1", "E2"),
    "occupation": ("4-01", "4-02", "6-99"),
    "community": ("", "甬江苑", "甬江苑", "月湖，里", '鼓"楼'),
    "grantor_id": ("G1", "G2", "G3"),
    "indicator": ("village_award", "grid_award", "party_service", "mentoring", "unheard_of"),
}
INDICATOR_TARGETS = (
    "education",
    "age",
    "330211:village_award",
    "330225:party_service",
    "fact:unheard_of",
    "nothing",
)
WINDOWS = (0, 1, 2, 3, 6, 12, 24, 60, 120)
RUNS = (1, 1, 2, 5, 6, 7, 12, 13, 60, 119, 120, 121, 239, 240, 241, 250)
PLACEHOLDERS = ("NULL", "null", "\\N", "#N/A", "NaN", "无", " - ", "——")
BROKEN: dict[str, tuple[str, ...]] = {
    "id": (
        "3302031980010112", "33020319800101123", "330203198002300010", "A3020319800101123X",
        "33020380010112", "否", "3.30203E+17", *PLACEHOLDERS,
    ),
    "date": (
        "2021/01/05", "2021-1-5", "20210230", "2023-02-29", "0000-01-01", "2021-13-01",
        "2021-01-01 00:00", "2021.1.5", "2021年1月5日", "２０２１／１／５", "2021/1/5 00:00:00",
        "2021-01-05T00:00:00.000", "20210105 0:00", "5/1/2021", "05-01-2021", "21/1/5", "44201",
        "44201.5", "2021-01-05 08:30", "2021-01-05T00:00:00Z", "2021-01-05 00:00:00+08",
        "2021/1-5", "1900-01-01", "1970-01-01", "1899-12-30", "0001-01-01", "1930-01-01",
        *PLACEHOLDERS,
    ),
    "month": (
        "2021/01", "202113", "2021-00", "2021-1", "2021-01-01", "0000-01", "2021年1月", "2021.1",
        "2021-01-15", "2021/1/1 00:00", "1/2021", "1930-01", *PLACEHOLDERS,
    ),
    "amount": (
        "1e3", "1,000", "0x10", "5.", ".5", "12345678901", "1.005", "+5", "--1", "５", "nan",
        "1.5E+3", *PLACEHOLDERS,
    ),
    "integer": (
        "5.5", "-1", "1234567890", "1e1", "0x1", "三", "5.0", "5.00", "1.0E+9", *PLACEHOLDERS,
    ),
    "yes_no": ("yes", "1", "0", "对", "t", *PLACEHOLDERS),
    "set": ("unknown", "PENSION", "Valid", "NONE", "resident;", *PLACEHOLDERS),
    "district": ("330204", "33020", "鄞州区", "330000", *PLACEHOLDERS),
    "area": ("33021", "3302120", "33021a", "３３０２１２", *PLACEHOLDERS),
    "text": (
        "\u200b", "", "a\x01b", "北城\n小区", "\x7f甲", "1.23E+17", "1E+5", "5e10", "不详", "未填写", "?",
        '="A1"', "'007", "ＡＢ－１２", "甲１乙", "北\u200e城", "=A1", '=""', "=", "'", "a\u2060 ",
        "x\xady", "=VLOOKUP(A1,B:C,2)", "' a", *PLACEHOLDERS,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class World:
    """Raw extracts by source and received month, for one scoring month, with the reference tables that go with them."""

    month: Month
    extracts: Mapping[str, Mapping[Month, list[RawRow]]] = field(repr=False)
    tables: Mapping[str, list[dict[str, str]]] = field(repr=False)


def make_world(
    sources: Mapping[str, Source], month: Month, seeds: list[int], broken: float = 0.0
) -> World:
    """One person per seed; seed 0 is somebody nobody but the registry has heard of."""
    months = {name: _received_months(source, month) for name, source in sources.items()}
    extracts: dict[str, dict[Month, list[RawRow]]] = {
        name: {m: [] for m in months[name]} for name in sources
    }
    for index, seed in enumerate(seeds):
        person = _Person(Random(f"{seed}/{index}/{month}"), index, month, broken, sources)
        for name, source in sources.items():
            for raw, day in person.rows(source, nothing=seed == 0):
                possible = [m for m in months[name] if m.last_day >= day] or [month]
                extracts[name][person.random.choice(possible)].append(raw)
    return World(month, extracts, _reference_tables(month))


def _received_months(source: Source, month: Month) -> list[Month]:
    return [month] if source.delivery == "snapshot" else [month - 14, month - 1, month]


def _reference_tables(month: Month) -> dict[str, list[dict[str, str]]]:
    """Reference rows around the scoring month: rents before, at and after it, quotas for some grantors and years."""
    year = month.last_day.year
    rents = [
        {
            "district": area,
            "community": place,
            "from_month": str(month + ahead),
            "average_rent": f"{1000 + ahead}.50",
        }
        for area in DISTRICTS[:5]
        for place in ("甬江苑", "月湖，里")
        for ahead in (-20, -1, 0, 1)
    ]
    jobs = [
        {"year": str(y), "occupation": code, "title": "职业"}
        for y, code in ((year, "4-01"), (year - 1, "4-02"))
    ]
    quotas = [
        {"grantor_id": grantor, "year": str(year - ago), "points": points}
        for grantor, ago, points in (
            ("G1", 0, "60"),
            ("G1", 1, "35.5"),
            ("G2", 0, "120"),
            ("G2", 2, "10"),
        )
    ]
    people = [
        {"grantor_id": grantor, "year": str(year - ago), "people": number}
        for grantor, ago, number in (
            ("G1", 0, "2"),
            ("G1", 1, "30"),
            ("G2", 0, "1"),
            ("G2", 2, "99"),
        )
    ]
    return {
        "community_rents": rents,
        "shortage_occupations": jobs,
        "award_quotas": quotas,
        "grantor_people": people,
    }


def _edge_day(random: Random, as_of: dt.date) -> dt.date:
    """A day on, just before or just after a window's or an anniversary's edge; sometimes any day."""
    kind = random.random()
    if kind < 0.5:
        edge = add_months(as_of.replace(day=1), -random.choice(WINDOWS))
        return Month.of(edge).last_day + dt.timedelta(days=random.choice((-1, 0, 0, 1)))
    if kind < 0.6:
        return random.choice(
            (dt.date(2020, 2, 29), dt.date(as_of.year, 1, 1), dt.date(as_of.year - 5, 12, 31))
        )
    if kind < 0.7:
        return as_of - dt.timedelta(days=365 * random.randint(15, 30))
    return as_of - dt.timedelta(days=random.randint(0, 2000))


def _make_id(random: Random, born: dt.date, index: int) -> str:
    area = random.choice(("330212", "360100", "810000", "830000", "513021"))
    first = f"{area}{born:%Y%m%d}{index % 1000:03d}"
    return first + compute_check_character(first)


class _Person:
    """One made-up person, and the raw rows that departments hold about them."""

    def __init__(
        self, random: Random, index: int, month: Month, broken: float, sources: Mapping[str, Source]
    ) -> None:
        self.random, self.index, self.month, self.broken = random, index, month, broken
        self.as_of = month.last_day
        self.favourite = min(
            _edge_day(random, self.as_of), self.as_of
        )  # a day that comes again, so that ties are met
        facts = [f"fact:{name}" for source in sources.values() for name in source.facts]
        self.targets = random.sample(
            (*facts, *INDICATOR_TARGETS), 2
        )  # few, so that corrections compete
        ages = (17, 18, 35, 36, 54, 55, 60, 61, random.randint(0, 90))
        anniversary = add_months(self.as_of, -12 * random.choice(ages))
        self.id = _make_id(
            random, anniversary + dt.timedelta(days=random.choice((-40, 0, 0, 1))), index
        )

    def rows(self, source: Source, *, nothing: bool) -> list[tuple[RawRow, dt.date]]:
        """Raw rows of a source about this person, each with the day from which it can have been received."""
        if source.ledger:
            return [] if nothing else self.postings(source)
        many = self.random.choices((0, 1, 2, 3, 6), (4, 3, 3, 4, 4))[0]
        if source.spine:
            many = 1 if nothing else self.random.choices((0, 1, 2), (1, 16, 3))[0]
        elif nothing:
            many = 0
        return [self.row(source) for _ in range(many)]

    def row(self, source: Source, **given: Any) -> tuple[RawRow, dt.date]:
        """One row as raw text; `given` typed values stand, the others follow from the declaration."""
        values: dict[str, Any] = {}
        for name, column in source.columns.items():
            optional = not column.required and self.random.random() < 0.3
            values[name] = (
                given[name]
                if name in given
                else None
                if optional
                else self.value(source, name, values)
            )
        days = [
            value
            for name, value in values.items()
            if isinstance(value, dt.date)
            and not source.columns[name].future
            and value <= self.as_of
        ]
        raw = {name: self.written(source.columns[name], value) for name, value in values.items()}
        return raw, max(days, default=self.as_of)

    def postings(self, source: Source) -> list[tuple[RawRow, dt.date]]:
        """Runs of paid months with gaps, ends before and after the scoring month, old ones, and reversals of some."""
        found = []
        for _ in range(self.random.choices((0, 1, 2, 3), (1, 4, 3, 3))[0]):
            end = self.month - self.random.choice(
                (-12, -1, 0, 0, 0, 1, 2, 3, 118, 119, 120, 238, 239, 240, 300)
            )
            length = (
                self.random.choice(RUNS)
                if self.random.random() < 0.4
                else self.random.choice(RUNS[:8])
            )
            insurance = self.random.choice(("pension", "pension", "medical", "injury"))
            account = {
                "insurance": insurance,
                "employer_id": self.random.choice(("E1", "E2", None)),
            }
            gaps = self.random.choice((0.0, 0.0, 0.03))
            for month in (end - back for back in range(length) if self.random.random() >= gaps):
                day = _edge_day(self.random, self.as_of)
                found.append(
                    self.row(
                        source, **account, month=month, kind="paid", posted_on=min(day, self.as_of)
                    )
                )
                if self.random.random() < 4 * gaps + 0.02:
                    near = min(self.as_of, day + dt.timedelta(days=self.random.choice((-1, 0, 1))))
                    found.append(
                        self.row(source, **account, month=month, kind="reversed", posted_on=near)
                    )
        return found

    def value(self, source: Source, name: str, values: Mapping[str, Any]) -> Any:
        """A typed value of a column, valid unless it lies beyond a limit."""
        column = source.columns[name]
        check = column.checks.get(str(values[column.by])) if column.by else column.check
        if name == source.person:
            return self.id
        if name in source.key and column.type == "text":
            return f"{self.index}-{self.random.randint(0, 4)}"
        if column.type == "date":
            return self.date(column, values)
        if check and check.one_of:
            return self.random.choice(check.one_of)
        if source.corrects and name == "value" and self.random.random() < 0.25:
            return self.random.choice(("bachelor", "本科", "高级", "level_3", "rented", "是", "no"))
        if name == "value" or (column.type == "amount" and check is None):
            return Decimal(self.random.choice(("0", "1", "1", "2", "6", "12", "5.50", "-1")))
        makers: dict[str, Callable[[], Any]] = {
            "id": self.child,
            "text": lambda: self.text(name) or ("E0" if column.required else None),
            "month": lambda: self.month - self.random.randint(-13, 30),
            "amount": lambda: self.bounded(check),
            "integer": lambda: self.random.choice((0, 1, 4, 5, 6, 49, 50)),
            "yes_no": lambda: self.random.random() < 0.6,
            "set": lambda: self.random.choice(
                [*column.values]
                + [next(iter(column.values))] * (3 if name in ("status", "decision") else 0)
            ),
            "district": lambda: self.random.choice(DISTRICTS),
            "area": lambda: self.random.choice((*DISTRICTS[:5], "110101")),
        }
        return makers[column.type]()

    def text(self, name: str) -> str:
        """A text worth having in this column."""
        return str(
            self.random.choice(
                self.targets
                if name == "target"
                else TEXTS.get(name, ("张三", "甲 乙", "=1+1", "丙\n丁"))
            )
        )

    def date(self, column: Column, values: Mapping[str, Any]) -> dt.date:
        earlier: dt.date | None = values.get(column.not_before or "")
        if earlier and self.random.random() < 0.97:
            return max(earlier, self.date_any(column))
        return self.date_any(column)

    def date_any(self, column: Column) -> dt.date:
        day = self.favourite if self.random.random() < 0.3 else _edge_day(self.random, self.as_of)
        if column.future and self.random.random() < (0.6 if column.not_before else 0.25):
            return self.as_of + dt.timedelta(days=self.random.choice((0, 1, 30, 400)))
        return day if column.future or self.random.random() < 0.02 else min(day, self.as_of)

    def bounded(self, check: Check | None) -> Decimal:
        low = check.min if check and check.min is not None else Decimal(0)
        high = check.max if check and check.max is not None else Decimal(9999)
        inside = (
            Decimal(self.random.randint(1, int(high) * 100)) / 100,
            low + Decimal("0.01"),
            high,
            Decimal(10),
        )
        return self.random.choice([value for value in inside if low <= value <= high])

    def child(self) -> str:
        born = dt.date(self.as_of.year - self.random.choice((5, 6, 7, 11, 12, 13)), 8, 31)
        return _make_id(
            self.random,
            min(born + dt.timedelta(days=self.random.choice((0, 0, 1, 200))), self.as_of),
            7,
        )

    def written(self, column: Column, value: Any) -> str:
        """A value as some department writes it; now and then broken, if this world has broken values."""
        if self.random.random() < self.broken:
            return self.random.choice((*BROKEN[column.type], ""))
        if value is None:
            return ""
        text = self.random.choice(_spellings(column, value))
        padded = self.random.random() < 0.1
        return self.random.choice(BLANKS) + text + self.random.choice(BLANKS) if padded else text


def _spellings(column: Column, value: Any) -> list[str]:
    """Every way in which a typed value may be written."""
    match value:
        case bool():
            return ["true", "TRUE", "是"] if value else ["false", "False", "否"]
        case dt.date():
            return [f"{value:%Y-%m-%d}", f"{value:%Y%m%d}"]
        case Month():
            return [str(value), str(value).replace("-", "")]
        case Decimal():
            return [
                f"{value:.2f}",
                *([f"{value:.0f}", f"{value:.1f}"] if value == value.to_integral() else []),
            ]
    if column.type == "id":
        short = [value[:6] + value[8:17]] if value[6:8] == "19" else []
        return [
            value,
            value,
            value.lower(),
            to_full_width(value),
            f"{value[:6]} {value[6:14]}\u3000{value[14:]}",
            *short,
        ]
    return [str(value), *column.values.get(value, [])] if column.type == "set" else [str(value)]
