"""Reminders that a re-run month takes back: nobody sends them, and whoever sent them can call."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import duckdb

from tests.support.world import World, national_id
from transforms.reminders.build import find_withdrawn_file

DOCTOR, OTHER = national_id("33020319900615302"), national_id("33020319900615303")


def deliver(world: World, month: str, doctors: tuple[str, ...]) -> None:
    resident = {"residence_district": "330203", "name": "例女士", "phone": "05740000000",
                "registered_on": "2011-01-01", "permit_issued_on": "2011-01-01",
                "permit_valid_to": "2030-01-01", "status": "resident"}  # fmt: skip
    paid = {"insurance": "pension", "month": month, "district": "330203", "kind": "paid",
            "posted_on": f"{month}-20"}  # fmt: skip
    degree = {"kind": "degree", "level": "doctor", "awarded_on": "2015-06-30"}
    people = (DOCTOR, OTHER)
    # a filler certificate of nobody here keeps the delivery from being empty
    filler = {**degree, "certificate_no": "F", "resident_id": national_id("33020319500101001")}
    degrees = [{**degree, "certificate_no": one, "resident_id": one} for one in doctors]
    world.deliver(
        month,
        registry=[{**resident, "resident_id": one, "updated_on": f"{month}-01"} for one in people],
        social_security=[{**paid, "resident_id": one} for one in people],
        education=[{**filler, "awarded_on": f"{month}-01"}, *degrees],
    )


def health_checks(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [row for row in csv.DictReader(file) if row["服务"] == "免费体检"]


def test_a_reminder_that_is_not_true_any_more_is_withdrawn(tmp_path: Path) -> None:
    world = World(tmp_path, only=("registry", "social_security", "education"))
    deliver(world, "2021-09", ())
    world.run("2021-09")
    deliver(world, "2021-10", (DOCTOR, OTHER))
    world.run("2021-10")
    first = world.revision("2021-10")
    package = first.path / "exports" / "330203"
    assert len(health_checks(package / "reminders.csv")) == 2
    assert not (package / "withdrawn.csv").exists()
    deliver(world, "2021-10", (OTHER,))
    world.run("2021-10", accept="更正学历")
    second = world.revision("2021-10")
    assert second.number == 2
    withdrawn = find_withdrawn_file(second.path / "reminders")
    rows = duckdb.sql(f"SELECT resident_id, service, added_in FROM '{withdrawn}'").fetchall()
    assert rows == [(DOCTOR, "health_check", 1)]
    package = second.path / "exports" / "330203"
    assert [row["公民身份号码"].strip() for row in health_checks(package / "withdrawn.csv")] == [
        DOCTOR
    ]
    assert [row["公民身份号码"].strip() for row in health_checks(package / "reminders.csv")] == [
        OTHER
    ]
    listed = json.loads((package / "contents.json").read_text("utf-8"))["files"]
    assert listed["withdrawn.csv"]["rows"] == 1
    assert second.manifest.reminders_withdrawn == {"service_reached": 1}
    # the list itself keeps what was sent: nobody is reminded twice
    assert {row["resident_id"] for row in world.table("2021-10", "reminders")} == {DOCTOR, OTHER}
