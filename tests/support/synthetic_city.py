"""A made-up city of two published months, made once for all tests that only read it."""

from __future__ import annotations

import csv
import os
import re
import tempfile
from functools import cache
from pathlib import Path

from data.synthetic.write import ExtractPlan, generate_extracts
from expectations.month import Month
from tests.support.world import SOURCES, World, write_csv

MONTHS = ("2024-03", "2024-04")
RESIDENTS = 50
CORRECTED = {
    "education": "18",
    "housing": "3.5",
    "fact:residence_months": "120",
    "fact:owns_home": "1",
}
_FOLDERS: list[tempfile.TemporaryDirectory[str]] = []  # removed when the process ends


@cache
def synthetic_city() -> World:
    """Both months run, with planted faults. Never to be changed: tests share it."""
    _FOLDERS.append(tempfile.TemporaryDirectory())
    before = os.umask(0o022)
    world = World(Path(_FOLDERS[-1].name), threads=2)
    generate_extracts(
        ExtractPlan(
            RESIDENTS,
            [Month.parse(month) for month in MONTHS],
            sources=SOURCES,
            reference=world.settings.paths.reference,
            faults=True,
        ),
        world.inbox,
        settings=world.settings.engine_settings,
        spill=world.root.tmp,
        progress=lambda line: None,
    )
    _correct(world)
    for month in MONTHS:
        world.run(month)
    os.umask(before)
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
