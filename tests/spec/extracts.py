"""Cases from department rows: a table of one source's rows, taken through cleaning, facts and points by both engines.

The fragment says `source: <name>`, and may show facts as that source declares them (`facts`) and indicators. In the table
stand columns of the source, then facts and points; rows with the same letter under `who` are one person's, and all say
what is known of them. Besides: `received` (month), `born` (birth date in the child's ID), `lives_in`, `as_of`.
"""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from expectations.month import Month
from expectations.reference_tables import TABLES, Reference
from expectations.source_loader import load_sources
from expectations.source_model import Source
from tests.parity.reference.facts import compute_facts
from tests.parity.reference.national_id import compute_check_character
from tests.parity.reference.points import compute_points
from tests.parity.reference.rows import Received, find_corrections, select_standing
from tests.parity.reference.values import RawRow, clean_extract
from tests.spec.chapters import AS_OF, FACTS, LETTERS, POINTS, Case, Row, load_case_tables
from tests.support.clean_files import write_clean
from tests.support.fact_tables import build_fact_table
from tests.support.services_town import KEY, resident
from transforms.engine.parquet import read_folder_sql
from transforms.engine.session import EngineSettings, open_engine
from transforms.expressions.fact_values import parse_fact_value
from transforms.facts.build import FactInputs, MonthParams
from transforms.points.compile import points_sql
from transforms.points.models import CITY, PointsVersion

SOURCES = load_sources()
Known = Mapping[str, Any]
Policy = Mapping[str, PointsVersion]


@dataclass
class _Deliveries:
    """What has been delivered of the people of a table that are scored on one day, and where each of them lives."""

    month: Month
    districts: dict[str, str] = field(default_factory=dict)
    extracts: dict[str, dict[Month, list[RawRow]]] = field(default_factory=dict)

    def add(self, source: str, received: Month, row: RawRow) -> None:
        self.extracts.setdefault(source, {}).setdefault(received, []).append(row)

    @property
    def clean(self) -> dict[str, Received]:
        districts = set(self.districts.values())
        return {
            name: [
                (month, row)
                for month, rows in sorted(months.items())
                for row in clean_extract(SOURCES[name], rows, month, districts).clean
            ]
            for name, months in self.extracts.items()
        }


def is_extract_column(case: Case, name: str) -> bool:
    """Whether a column of a table means something."""
    given = name in SOURCES[case.data["source"]].columns or name in (
        "who",
        "received",
        "born",
        "lives_in",
        "as_of",
    )
    return given or name in parse_expected_facts(case, case.rows[0])


def parse_expected_facts(case: Case, row: Row) -> dict[str, Any]:
    """The facts and points that a row of the table says."""
    said = {
        name: cell for name, cell in row.items() if name not in SOURCES[case.data["source"]].columns
    }
    found = {
        name: parse_fact_value(FACTS[name], cell or None)
        for name, cell in said.items()
        if name in FACTS
    }
    return found | {
        name: Decimal(cell) if cell else None
        for name, cell in said.items()
        if name.endswith(POINTS)
    }


def compute_known(
    case: Case, reference: Reference, folder: Path
) -> Iterator[tuple[Row, Known, Known]]:
    """Each row of the table, with the facts and points of its person by SQL, and by the reference."""
    source = SOURCES[case.data["source"]]
    policies = (
        load_case_tables(case, folder) if "indicators" in case.data or CITY in case.data else []
    )
    numbers = [
        LETTERS.index(row["who"]) if row.get("who") else number
        for number, row in enumerate(case.rows)
    ]
    people = [resident(number).resident_id for number in numbers]
    days = [dt.date.fromisoformat(row.get("as_of") or str(AS_OF)) for row in case.rows]
    for as_of in sorted(set(days)):
        deliveries = _Deliveries(Month.of(as_of))
        rows = [
            (who, row)
            for who, row, day in zip(people, case.rows, days, strict=True)
            if day == as_of
        ]
        for number, (who, row) in enumerate(rows):
            _deliver(deliveries, source, who, number, row)
        policy = {table.authority: table.in_force(as_of) for table in policies}
        (made := folder / str(as_of)).mkdir()
        by_sql = _by_sql(deliveries, policy, reference, made)
        by_reference = _by_reference(deliveries, policy, reference)
        for who, row in rows:
            yield row, by_sql[who], by_reference[who]


def _deliver(deliveries: _Deliveries, source: Source, who: str, number: int, row: Row) -> None:
    if who not in deliveries.districts:
        deliveries.districts[who] = row.get("lives_in") or "330203"
        lives = {
            "resident_id": who,
            "residence_district": deliveries.districts[who],
            "status": "resident",
        }
        deliveries.add("registry", deliveries.month, lives)
    raw: dict[str, str | None] = dict.fromkeys(source.key, f"{number}")
    raw |= {name: cell for name, cell in row.items() if name in source.columns}
    if "born" in row:
        digits = f"330203{row['born'].replace('-', '')}001"
        raw |= {
            name: digits + compute_check_character(digits)
            for name, c in source.columns.items()
            if c.type == "id"
        }
    received = Month.parse(row["received"]) if row.get("received") else deliveries.month
    if received <= deliveries.month:
        deliveries.add(source.source, received, {**raw, source.person: who})


def _by_sql(
    deliveries: _Deliveries, policy: Policy, reference: Reference, folder: Path
) -> dict[str, Known]:
    folders = write_clean(folder / "clean", deliveries.clean)
    target, month = folder / "facts", deliveries.month
    targets = {target for authority in policy for target in _targets(authority, policy[authority])}
    with open_engine(EngineSettings("500MB", 1), folder / "spill") as engine:
        inputs = FactInputs(SOURCES, folders, reference, targets)
        made = build_fact_table(engine, inputs, MonthParams(month, KEY), folder)
        rows = {row["resident_key"]: row for row in pq.read_table(target).to_pylist()}
        if policy:
            engine.execute(f"CREATE TEMP VIEW facts AS FROM {read_folder_sql(target)}")
            corrected = made.corrected.indicators
            statement = points_sql(policy[CITY], _districts(policy), FACTS, corrected=corrected)
            values = {"month": month.first_day, "as_of": month.last_day}
            engine.execute(f"CREATE TEMP TABLE scored AS {statement}", values)
            for row in engine.fetch_dicts("FROM scored"):
                rows[row["resident_key"]] |= row
    by_person = {row["resident_id"][:17]: row for row in rows.values()}
    return {who: by_person[who[:17]] for who in deliveries.districts}


def _by_reference(
    deliveries: _Deliveries, policy: Policy, reference: Reference
) -> dict[str, Known]:
    month, clean = deliveries.month, deliveries.clean
    files = {name: reference.folder / f"{name}.csv" for name in TABLES}
    lines = {name: _lines(file) if file.exists() else [] for name, file in files.items()}
    kept = {
        name: select_standing(source, clean.get(name, []), month.last_day, lines)
        for name, source in SOURCES.items()
    }
    cases = find_corrections(SOURCES, kept, month.last_day)
    found = compute_facts(SOURCES, clean, month, lines)
    if not policy:
        return dict(found)
    city, districts = policy[CITY], _districts(policy)
    return {
        who: {
            **one,
            **compute_points(
                city, districts, one, deliveries.districts[who], month.last_day, cases.get(who, {})
            ),
        }
        for who, one in found.items()
    }


def _districts(policy: Policy) -> dict[str, PointsVersion]:
    return {authority: version for authority, version in policy.items() if authority != CITY}


def _targets(authority: str, version: PointsVersion) -> Sequence[str]:
    """What corrections may name."""
    return [code if authority == CITY else f"{authority}:{code}" for code in version.indicators]


def _lines(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as text:
        return list(csv.DictReader(text))
