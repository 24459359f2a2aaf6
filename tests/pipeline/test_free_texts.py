"""A name, a phone and an ID in every free text of every source reach no layer below restricted."""

from __future__ import annotations

from pathlib import Path

import pytest

from expectations.source_model import Source
from tests.support.leaks import Person, leaks_below, sought
from tests.support.world import SOURCES, World, national_id, write_csv

MONTH = "2021-10"
PEOPLE = [
    Person(national_id(f"33020319850{n}01{n}01"), name, f"139{n}4433221")
    for n, name in enumerate(["欧阳澹璟", "上官珩翊", "司马霁岫", "诸葛淼湜"], start=1)
]
IDENTIFIED = {"inbox", "raw", "clean", "quarantine", "defects", "tmp"}
IN_REVISION = {"restricted", "reminders", "exports"}
VALUES = {
    "date": "2020-01-05",
    "month": "2021-09",
    "amount": "1",
    "integer": "1",
    "yes_no": "是",
    "district": "330203",
    "area": "330203",
}


def plant(source: Source) -> list[dict[str, str]]:
    """A valid row of everybody, with somebody's name, phone and ID in each text."""
    rows = []
    for number, who in enumerate(PEOPLE):
        row = {}
        for name, column in source.columns.items():
            if column.type == "id":
                row[name] = who.resident_id
            elif column.type == "text":
                row[name] = f"{who.name} {who.phone} {who.resident_id} {number}"
            elif column.type == "set":
                row[name] = next(iter(column.values))
            else:
                row[name] = VALUES[column.type]
        rows.append(row)
    return rows


def may_hold_people(path: Path) -> bool:
    match path.parts:
        case (part, *_) if part in IDENTIFIED:
            return True
        case ("months", _, _, part, *_):
            return part in IN_REVISION
    return False


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = World(tmp_path_factory.mktemp("texts"))
    for name, source in SOURCES.items():
        write_csv(world.inbox / MONTH / f"{name}.csv", list(source.columns), plant(source))
    world.run(MONTH)
    return world


def test_every_source_with_a_text_was_read(town: World) -> None:
    texts = {
        name
        for name, source in SOURCES.items()
        if any(column.type == "text" for column in source.columns.values())
    }
    accounts = {one["source"]: one["clean"] for one in town.revision(MONTH).manifest.accounts}
    assert {name for name in texts if accounts.get(name)} == texts


def test_no_layer_below_restricted_holds_what_a_text_says(town: World) -> None:
    people = sought(PEOPLE)
    found = leaks_below(town.root.path, people, lambda path: False)
    restricted = [line for line in found if may_hold_people(Path(line.rsplit(": ", 1)[0]))]
    assert {line.rsplit(": ", 1)[1] for line in restricted} >= {"name", "phone", "ID"}
    assert [line for line in found if line not in restricted] == []
