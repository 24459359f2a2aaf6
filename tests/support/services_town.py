"""A small town for the tests of services and reminders: residents by hand, months published one after the other."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq

from expectations.month import Month
from expectations.reference_tables import Reference, load_reference
from expectations.source_loader import collect_facts, load_sources
from expectations.source_model import Fact
from tests.parity.reference.national_id import compute_check_character
from tests.parity.reference.services import ScoredResident
from transforms.engine.reference_tables import load_reference_tables
from transforms.engine.session import EngineSettings, open_engine
from transforms.engine.statements import Statement
from transforms.facts.measures import FACT_TYPES
from transforms.points.load import load_tables
from transforms.reminders.build import (
    ReminderDeclarations,
    ReminderHistory,
    ReminderResult,
    ReminderRun,
    may_add_reminders,
    write_reminders,
)
from transforms.reminders.models import StandingReminder
from transforms.services.eligibility_sql import SHORT, eligibility_sql
from transforms.services.load import load_reminders, load_services, select_services_in_force
from transforms.services.models import Service
from transforms.services.namespace import build_service_names, list_points_columns_on
from transforms.services.validate import ValidationScope

DATA = Path(__file__).parents[2] / "data"
FACTS = collect_facts(load_sources())
REFERENCE = load_reference(DATA / "reference")
TABLES = {
    table.authority: table for table in load_tables(DATA / "points", FACTS, REFERENCE.districts)
}
KNOWN = ValidationScope(FACTS, TABLES, REFERENCE.districts)
SERVICES = load_services(DATA / "services", FACTS, TABLES, REFERENCE.districts)
STANDING = load_reminders(DATA / "reminders", FACTS, REFERENCE.districts, SERVICES)
KEY = b"a key of this test"
NULL_UNITS = {"level", "date", "month", "area", "text"}
NULL_FACTS = {"pension_gap_months", "market_rent", "rental_rent"}


def nothing_known() -> dict[str, Any]:
    """The facts of a person whom no source knows."""
    facts: dict[str, Any] = {}
    for name, fact in FACTS.items():
        if fact.unit in NULL_UNITS or name in NULL_FACTS:
            facts[name] = fact.otherwise
        elif fact.unit == "yes_no":
            facts[name] = False
        else:
            facts[name] = [] if FACT_TYPES[fact.unit].endswith("[]") else 0
    return facts


def resident(
    number: int = 1, district: str = "330211", total: str = "0", **given: Any
) -> ScoredResident:
    """Somebody of whom only this is known; `name` and `phone` too."""
    digits = f"36040219800101{number:03d}"
    name, phone = given.pop("name", "张三"), given.pop("phone", "13800000000")
    unknown = given.keys() - FACTS.keys()
    assert not unknown, unknown
    return ScoredResident(
        digits + compute_check_character(digits),
        district,
        name,
        phone,
        nothing_known() | given,
        {"total_points": Decimal(total)},
    )


def resident_key(resident_id: str) -> str:
    return hmac.new(KEY, resident_id.encode(), hashlib.sha256).hexdigest()[:32]


def make_scored(
    connection: duckdb.DuckDBPyConnection,
    residents: Sequence[ScoredResident],
    points: Sequence[str],
    facts: Mapping[str, Fact] = FACTS,
) -> None:
    """The relation `scored`, sorted as a month's is; sums that are not given are 0."""
    fixed = dict.fromkeys(("resident_id", "resident_key", "district", "name", "phone"), "VARCHAR")
    types = (
        fixed
        | {name: FACT_TYPES[fact.unit] for name, fact in facts.items()}
        | dict.fromkeys(points, SHORT)
    )
    columns = ", ".join(f"{name} {kind}" for name, kind in types.items())
    connection.execute(f"CREATE OR REPLACE TEMP TABLE scored ({columns})")
    rows = [
        [
            one.resident_id, resident_key(one.resident_id), one.district, one.name, one.phone,
            *(one.facts[name] for name in facts),
            *(one.points.get(name, Decimal(0)) for name in points),
        ]
        for one in sorted(residents, key=lambda one: (one.district, resident_key(one.resident_id)))
    ]  # fmt: skip
    places = ", ".join("?" for _ in types)
    for row in rows:
        connection.execute(f"INSERT INTO scored VALUES ({places})", row)


def eligibility(
    connection: duckdb.DuckDBPyConnection,
    residents: Sequence[ScoredResident],
    services: Sequence[Service],
    as_of: dt.date,
) -> str:
    """Make `scored`, and return the statement of the month's eligibility."""
    points = sorted(list_points_columns_on(TABLES, as_of))
    make_scored(connection, residents, points)
    return eligibility_sql(
        select_services_in_force(services, as_of),
        build_service_names(FACTS, points, REFERENCE.districts),
    )


@dataclass
class Town:
    """Publishes months as the monthly run does: eligibility and reminders of every revision."""

    folder: Path
    services: Sequence[Service] = field(default_factory=lambda: SERVICES)
    standing: Sequence[StandingReminder] = field(default_factory=lambda: STANDING)
    reference: Reference = REFERENCE
    revisions: dict[Month, int] = field(default_factory=dict)
    made: ReminderResult | None = None

    def path(self, month: Month, revision: int, name: str) -> Path:
        return self.folder / str(month) / f"r{revision}" / f"{name}.parquet"

    def publish(
        self, text: str, *residents: ScoredResident, last: bool = True, send: bool = False
    ) -> list[dict[str, Any]]:
        """Run a month with these residents; its reminder list."""
        month = Month.parse(text)
        revision = self.revisions.get(month, 0) + 1
        other_reminders = [
            self.path(other, n, "reminders")
            for other, newest in self.revisions.items()
            for n in range(1, newest + 1)
            if other != month
        ]
        before = month - 1
        published = ReminderHistory(
            [self.path(before, self.revisions[before], "eligibility")]
            if before in self.revisions
            else [],
            other_reminders,
            [self.path(month, revision - 1, "reminders")] if revision > 1 else [],
        )
        mine, target = (
            self.path(month, revision, "eligibility"),
            self.path(month, revision, "reminders"),
        )
        mine.parent.mkdir(parents=True)
        with open_engine(EngineSettings(memory="500MB"), self.folder / "spill") as engine:
            load_reference_tables(engine, self.reference)
            statement = eligibility(engine, residents, self.services, month.last_day)
            days = {"month": month.first_day, "as_of": month.last_day}
            engine.write(Statement("eligibility", statement, ("scored",)), mine, days)
            engine.execute("CREATE TEMP VIEW facts AS FROM scored")
            self.made = write_reminders(
                engine,
                ReminderRun(
                    month,
                    revision,
                    KEY,
                    may_add_reminders(month, self.revisions, last=last, send=send),
                ),
                ReminderDeclarations(self.services, self.standing, FACTS, REFERENCE.districts),
                [mine],
                published,
                target,
            )
        self.revisions[month] = revision
        return rows(target)

    def kinds(self, text: str, *residents: ScoredResident, **how: bool) -> list[str]:
        return [row["kind"] for row in self.publish(text, *residents, **how)]


def rows(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return found


def child(number: int, level: str, year: int) -> Mapping[str, Any]:
    digits = f"33020320160101{number:03d}"
    return {
        "child": digits + compute_check_character(digits),
        "level": level,
        "enrolment_year": year,
    }
