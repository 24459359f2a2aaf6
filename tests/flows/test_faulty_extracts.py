"""Every planted fault of every source is found where it was planted, with its reason, and every row is accounted for."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import pytest

from data.synth.extracts import make_extracts
from expectations.month import Month
from tests.world import SOURCES, World, read_rows
from transforms.engine import EngineSettings

MONTH = "2024-03"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("faulty")
    world = World(folder)
    make_extracts(
        1500,
        [Month.parse(MONTH)],
        world.inbox,
        sources=SOURCES,
        reference=world.settings.paths.reference,
        settings=EngineSettings("1GB", 2),
        spill=folder / "spill",
        progress=lambda line: None,
        faults=True,
    )
    world.run(MONTH)
    return world


def planted(world: World, kind: str) -> list[dict[str, str]]:
    with (world.inbox / "planted.csv").open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if row["kind"] == kind]


@pytest.mark.parametrize("source", SOURCES)
def test_every_planted_bad_value_is_in_quarantine_with_its_reason(world: World, source: str) -> None:
    found = {(row["file"], row["record"]): set(row["reasons"]) for row in world.kept("quarantine", source)}
    wanted = [row for row in planted(world, "refused") if row["source"] == source]
    assert wanted
    missing = [
        (row["planted"], row["column"], row["reason"], found.get((Path(row["file"]).name, int(row["record"]))))
        for row in wanted
        if f"{row['column']}:{row['reason']}" not in found.get((Path(row["file"]).name, int(row["record"])), set())
    ]
    assert not missing


@pytest.mark.parametrize("source", SOURCES)
def test_nothing_but_what_was_planted_is_refused(world: World, source: str) -> None:
    wanted = {
        (Path(row["file"]).name, int(row["record"])) for row in planted(world, "refused") if row["source"] == source
    }
    assert {(row["file"], row["record"]) for row in world.kept("quarantine", source)} == wanted


def test_a_slip_in_the_registry_costs_nobody_their_place(world: World) -> None:
    found = {row["record"]: row["defects"] for row in world.kept("defects", "registry")}
    slips = planted(world, "defect")
    assert slips
    assert all(f"{row['column']}:{row['reason']}" in found[int(row["record"])] for row in slips)


def test_the_planted_doubles_are_superseded(world: World) -> None:
    wanted = Counter(row["source"] for row in planted(world, "superseded"))
    accounts = {account["source"]: account for account in world.revision(MONTH).manifest["accounts"]}
    assert wanted
    assert {source: accounts[source]["superseded"] for source in wanted} == wanted


def test_received_is_clean_plus_quarantined_plus_superseded_and_the_files_say_so_too(world: World) -> None:
    accounts = world.revision(MONTH).manifest["accounts"]
    assert {account["source"] for account in accounts} == set(SOURCES)
    for account in accounts:
        assert account["received"] == account["clean"] + account["quarantined"] + account["superseded"]
        place = f"{account['source']}/received={MONTH}/d1"
        assert len(read_rows(world.root.path / "clean" / place)) == account["clean"]
        assert len(read_rows(world.root.path / "quarantine" / place)) == account["quarantined"]
        receipt = json.loads((world.root.raw / MONTH / account["source"] / "d1" / "receipt.json").read_text())
        assert receipt["rows"] == account["received"]


def test_every_resident_of_the_registry_is_scored_and_nobody_else(world: World) -> None:
    (clean,) = [world.root.path / "clean" / "registry" / f"received={MONTH}" / "d1"]
    residents = {row["resident_id"] for row in read_rows(clean) if row["status"] == "resident"}
    scored = {int(row["resident_id"][:17]) for row in world.table(MONTH, "restricted/identities")}
    assert scored == residents
    assert len(world.table(MONTH, "scores")) == len(residents)


def test_rows_about_strangers_are_kept_and_counted(world: World) -> None:
    unmatched = world.revision(MONTH).manifest["unmatched"]
    wanted = Counter(row["source"] for row in planted(world, "unmatched"))
    assert wanted
    assert all(unmatched[source] >= count for source, count in wanted.items())
