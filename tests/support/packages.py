"""A small month of known people, as the steps before leave it, for the tests of the districts' packages."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyrage

from expectations.month import Month
from expectations.reference_tables import load_reference
from expectations.source_loader import collect_facts, load_sources
from reports.packages.build import District, PackageContents, check_keys, write_all_packages
from reports.packages.lists import PackageTitles
from transforms.comparison.changes import write_changes
from transforms.engine.parquet import PARQUET
from transforms.engine.session import EngineSettings, open_engine
from transforms.engine.sql import sql_literal
from transforms.outputs import REMINDER_COLUMNS
from transforms.points.columns import list_score_columns
from transforms.points.load import load_tables
from transforms.points.models import CITY

PROJECT = Path(__file__).resolve().parents[2]
MONTH = Month.parse("2021-11")
YINZHOU, HAISHU = District("330212", "鄞州区", ""), District("330203", "海曙区", "")
SERVICES = {"school_enrolment": "积分入学", "rent_subsidy": "公租房租赁补贴"}
REMINDERS = {"permit_endorsement": "居住证签注"}


def policy() -> PackageTitles:
    """The project's own points tables, as in force in November 2021."""
    facts = collect_facts(load_sources())
    tables = load_tables(
        PROJECT / "data/points", facts, load_reference(PROJECT / "data/reference").districts
    )
    versions = {table.authority: table.in_force(MONTH.last_day) for table in tables}
    return PackageTitles(versions.pop(CITY), versions, SERVICES, REMINDERS)


POLICY = policy()


SMALL = EngineSettings("200MB", 2)


@dataclass
class Person:
    """One resident: key, ID, district, and what the lists say of them. `points`: column of the scores -> points."""

    key: str
    resident_id: str
    district: str = "330212"
    name: str | None = "张三"
    phone: str | None = "01387654321"
    community: str | None = "东湖花园"
    points: Mapping[str, str] = field(default_factory=dict)


def many(number: int, district: str, begin: int = 1, **points: str) -> list[Person]:
    """People about whom nothing is special."""
    return [
        Person(
            f"{i:032x}", f"3302061980{i:08d}", district, f"李{i}", f"1390000{i:04d}", points=points
        )
        for i in range(begin, begin + number)
    ]


def write_revision(
    folder: Path,
    people: Sequence[Person],
    eligibility: Sequence[tuple[Any, ...]] | None = None,
    reminders: Sequence[Mapping[str, Any]] | None = None,
) -> Path:
    """scores/, restricted/identities/ and, where given, eligibility/ and reminders/ of a revision.

    eligibility: (key, service, district, eligible, points short, monthly amount), and where the service
    is ranked class and rank; the score is the total. reminders: by column.
    """
    ordered = sorted(people, key=lambda person: (person.district, person.key))
    handles = {
        "month": lambda p: f"DATE '{MONTH.first_day}'",
        "resident_key": lambda p: sql_literal(p.key),
        "district": lambda p: sql_literal(p.district),
        "policy_city": lambda p: "DATE '2021-09-08'",
        "policy_district": lambda p: "DATE '2021-09-08'",
        "corrected": lambda p: "CAST([] AS STRUCT(target VARCHAR, before DECIMAL(7,2))[])",
    }

    def value(person: Person, column: str) -> str:
        if column in handles:
            return handles[column](person)
        return f"CAST({person.points.get(column, 0)} AS DECIMAL(7,2))"

    columns = list_score_columns(POLICY.city, POLICY.districts)
    scores = [[value(person, column) for column in columns] for person in ordered]
    write(folder / "scores", columns, scores)
    names = ["resident_key", "resident_id", "name", "phone", "district", "community"]
    identities = [
        [literal(v) for v in (p.key, p.resident_id, p.name, p.phone, p.district, p.community)]
        for p in ordered
    ]
    write(folder / "restricted" / "identities", names, identities)
    if eligibility is not None:
        kinds = ["VARCHAR", "VARCHAR", "VARCHAR", "BOOLEAN", "DECIMAL(7,2)", "DECIMAL(12,2)"]
        kinds += ["VARCHAR", "INTEGER", "DECIMAL(9,2)"]
        totals = {person.key: person.points.get("total_points", 0) for person in people}
        columns = [
            "resident_key",
            "service",
            "district",
            "eligible",
            "points_short",
            "monthly_amount",
            "rank_class",
            "rank",
            "score",
        ]
        rows = [
            [
                f"CAST({literal(v)} AS {k})"
                for v, k in zip([*(*row, None, None)[:8], totals[row[0]]], kinds, strict=True)
            ]
            for row in eligibility
        ]
        write(folder / "eligibility", columns, rows)
    if reminders is not None:
        write(folder / "reminders", list(REMINDER_COLUMNS), [reminder(row) for row in reminders])
    return folder


def reminder(row: Mapping[str, Any]) -> list[str]:
    given = {
        "reminder_id": "0",
        "added_in": 1,
        "month": MONTH.first_day,
        "kind": "permit_endorsement",
        **row,
    }
    return [
        f"CAST({literal(given.get(column))} AS {kind})" for column, kind in REMINDER_COLUMNS.items()
    ]


def literal(value: Any) -> str:
    return "NULL" if value is None else sql_literal(str(value))


def write(folder: Path, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    folder.mkdir(parents=True)
    nothing = f"({', '.join('NULL' for _ in columns)})"
    values = ", ".join(f"({', '.join(row)})" for row in rows) or nothing
    with open_engine(SMALL, folder / "spill") as connection:
        table = f"(VALUES {values}) AS t({', '.join(columns)})"
        target = sql_literal(folder / f"{folder.name}.parquet")
        connection.execute(f"COPY (FROM {table} WHERE {bool(rows)}) TO {target} ({PARQUET})")


def export(
    revision: Path,
    districts: Sequence[District],
    before: Path | None = None,
    *,
    settings: EngineSettings = SMALL,
    require_encryption: bool = False,
    policy: PackageTitles = POLICY,
) -> dict[str, int]:
    """Make the packages of a revision."""
    with open_engine(settings, revision.parent / "spill") as connection:
        moved = write_changes(
            connection, revision, before, MONTH, ({}, {}), revision / "changes"
        ).moved
        check_keys(districts, require_encryption)
        contents = PackageContents(MONTH, 2, policy, moved if before else None)
        return write_all_packages(connection, revision, districts, contents)


def manifest(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "manifest.json").read_text(encoding="utf-8")))


def read_contents(folder: Path) -> dict[str, Any]:
    """What the package itself says of its files."""
    return dict(json.loads((folder / "contents.json").read_text(encoding="utf-8")))


def new_key() -> tuple[pyrage.x25519.Identity, str]:
    """A district's secret and its public key."""
    identity = pyrage.x25519.Identity.generate()
    return identity, str(identity.to_public())


def files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())
