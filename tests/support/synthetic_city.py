"""A made-up city of two published months, made once a session (fixture `synthetic_city`): tests only read it."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from data.synthetic.write import ExtractPlan, generate_extracts
from expectations.month import Month
from tests.support.world import SOURCES, World, write_csv
from transforms.engine.session import EngineSettings

MONTHS = ("2024-03", "2024-04")
RESIDENTS = 50
CORRECTED = {
    "education": "18",
    "housing": "3.5",
    "fact:residence_months": "120",
    "fact:owns_home": "1",
}


def deliver_synthetic(
    world: World, spill: Path, residents: int = 600, *, faults: bool = False
) -> None:
    """Write both months' extracts of a generated city into a world's inbox."""
    plan = ExtractPlan(
        residents,
        [Month.parse(month) for month in MONTHS],
        sources=SOURCES,
        reference=world.settings.paths.reference,
        faults=faults,
    )
    settings = EngineSettings("1GB", 2)
    generate_extracts(plan, world.inbox, settings=settings, spill=spill, progress=lambda line: None)


def build_synthetic_city(folder: Path) -> World:
    """Run both months of a generated city with planted faults and corrections."""
    world = World(folder, threads=2)
    deliver_synthetic(world, world.root.tmp, RESIDENTS, faults=True)
    _correct(world)
    for month in MONTHS:
        world.run(month)
    return world


def _correct(world: World) -> None:
    """So few people have no corrections of their own: every fourth gets one."""
    with (world.inbox / MONTHS[0] / "registry.csv").open(encoding="utf-8-sig", newline="") as file:
        given = [row[0] for row in csv.reader(file)]
    people = [text for text in given if re.fullmatch("[0-9]{17}[0-9X]", text)]
    targets = list(CORRECTED.items())
    rows = [
        {
            "case_id": f"T{n}",
            "resident_id": person,
            "target": targets[n % 4][0],
            "value": targets[n % 4][1],
        }
        | {"decision": "upheld", "valid_from": "2024-01-01", "decided_on": "2024-01-05"}
        for n, person in enumerate(people[::4])
    ]
    write_csv(
        world.inbox / MONTHS[0] / "corrections.csv", list(SOURCES["corrections"].columns), rows
    )
