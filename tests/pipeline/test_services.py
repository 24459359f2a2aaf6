"""Services and reminders over months: sent once, kept by re-runs; a new service is one new file."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from expectations.month import Month
from flows.pipeline.staleness import find_stale_months
from flows.settings import OWN_DECLARATIONS
from tests.support.world import SOURCES, World, national_id

PERSON = national_id("33020319850101101")
RESIDENT = {
    "resident_id": PERSON,
    "name": "例甲",
    "residence_district": "330203",
    "registered_on": "2019-01-15",
    "permit_issued_on": "2021-11-20",
    "permit_valid_to": "2021-12-10",
    "status": "resident",
}
POSTING = {"resident_id": PERSON, "insurance": "pension", "district": "330203", "kind": "paid"}
NEW_SERVICE = """
service: library_card
title: 图书借阅
department: 文化广电旅游局
purpose: 让新居民方便借书
legal_basis: 图书馆条例

versions:
  - from: 2021-09-08
    basis: 图书馆条例
    values: {districts: published, conditions: published, points: published}
    districts: all
    conditions:
      - {when: residence_months >= 12, lacking: 需居住满 12 个月}
    points: {threshold: 5}
    window: all_year
    examples:
      - {district: "330203", residence_months: 12, total_points: 5, eligible: true}
      - {district: "330203", residence_months: 11, total_points: 5, eligible: false}

reminder:
  kind: library_card
  title: 图书借阅
  cycle: once
  text: "{name}：您已可办理{service}。"
"""


def kinds(world: World, month: str) -> list[tuple[str, int]]:
    return sorted((row["kind"], row["added_in"]) for row in world.table(month, "reminders"))


@pytest.mark.promise("points-111", "One file a service; a new one with reminder is one new file")
@pytest.mark.promise("outputs-17", "Developer: a service with its reminder is one file")
def test_a_new_service_with_its_reminder_is_one_new_file(tmp_path: Path) -> None:
    policy = tmp_path / "policy"
    for name in ("points", "services", "reminders"):
        shutil.copytree(OWN_DECLARATIONS / name, policy / name)
    (policy / "services" / "library_card.yaml").write_text(NEW_SERVICE, encoding="utf-8")
    world = World(tmp_path, only=("registry",), policy=policy)
    world.deliver("2021-10", registry=[{**RESIDENT, "permit_issued_on": "", "permit_valid_to": ""}])
    world.run("2021-10")
    services = {row["service"]: row["eligible"] for row in world.table("2021-10", "eligibility")}
    assert services["library_card"]
    assert ("library_card", 1) in kinds(world, "2021-10")
    texts = [
        row["text"] for row in world.table("2021-10", "reminders") if row["kind"] == "library_card"
    ]
    assert texts == ["例**：您已可办理图书借阅。"]


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Three months in which the permit runs out in December."""
    world = World(tmp_path, only=("registry", "social_security"))
    for month in ("2021-10", "2021-11", "2021-12"):
        issued = {} if month != "2021-10" else {"permit_issued_on": "", "permit_valid_to": ""}
        world.deliver(month, registry=[{**RESIDENT, **issued}])
    return world


@pytest.mark.promise("points-172", "The whole city as Parquet, and a list for each district")
@pytest.mark.proves("points-152")
def test_months_in_a_row_remind_once_per_cycle(world: World) -> None:
    for month in ("2021-10", "2021-11", "2021-12"):
        world.run(month)
    assert kinds(world, "2021-10") == [("permit_application", 1)]
    assert kinds(world, "2021-11") == [("permit_endorsement", 1)]
    assert kinds(world, "2021-12") == []


@pytest.mark.promise(
    "points-156", "Only the newest month adds reminders; an older one keeps its list or is empty"
)
def test_a_rerun_of_an_older_month_keeps_its_list(world: World) -> None:
    world.run("2021-10")
    world.run("2021-11")
    world.deliver(
        "2021-10",
        registry=[{**RESIDENT, "permit_valid_to": "2021-12-01", "permit_issued_on": "2021-10-01"}],
    )
    world.run("2021-10")
    assert world.revision("2021-10").number == 2
    assert kinds(world, "2021-10") == [("permit_application", 1)]


def test_a_rerun_of_the_newest_month_adds_what_is_new_and_says_when(world: World) -> None:
    world.run("2021-10")
    world.deliver(
        "2021-10",
        registry=[{**RESIDENT, "permit_issued_on": "", "permit_valid_to": ""}],
        social_security=[
            {**POSTING, "month": f"2021-{month:02d}", "posted_on": "2021-08-20"}
            for month in range(1, 9)
        ],
    )
    world.run("2021-10")
    expected = [("insurance_gap", 2), ("job_service", 2), ("permit_application", 1)]
    assert kinds(world, "2021-10") == expected


@pytest.mark.promise("points-157", "A backfill gives only its last month a list")
def test_a_backfill_of_a_year_sends_one_months_list(tmp_path: Path) -> None:
    world = World(tmp_path, only=("registry",))
    months = [str(month) for month in Month.span(Month.parse("2021-10"), Month.parse("2022-09"))]
    waiting = {**RESIDENT, "permit_issued_on": "", "permit_valid_to": ""}
    for month in months:
        world.deliver(month, registry=[waiting])
        world.run(month, last=month == months[-1])
    assert [kinds(world, month) for month in months] == [[]] * 11 + [[("permit_application", 1)]]


def test_a_rerun_after_the_month_before_lists_what_is_new(tmp_path: Path) -> None:
    """The month before was published afterwards: only then is there something to compare with."""
    world = World(tmp_path, only=("registry", "education"))
    degree = {"certificate_no": "C1", "resident_id": PERSON, "kind": "degree", "level": "bachelor"}
    degree |= {"awarded_on": "2008-07-01"}
    world.deliver("2022-01", registry=[RESIDENT])
    world.deliver("2022-02", registry=[RESIDENT], education=[degree])
    world.run("2022-02")
    assert world.table("2022-02", "changes") == []
    world.run("2022-01", last=False)
    assert find_stale_months(world.root, list(SOURCES)) == [Month.parse("2022-02")]
    world.run("2022-02")
    assert (
        world.table("2022-02", "changes")
        and world.revision("2022-02").manifest.compared_with == "2022-01/r1"
    )
    assert find_stale_months(world.root, list(SOURCES)) == []
    world.run("2022-02")
    assert world.revision("2022-02").number == 2


@pytest.mark.promise("points-158", "`--send` overrides both")
@pytest.mark.promise("outputs-163", "`--send`")
def test_send_overrides_for_an_older_month(world: World) -> None:
    world.run("2021-10", last=False)
    world.run("2021-11")
    world.run("2021-10")
    assert kinds(world, "2021-10") == []
    world.run("2021-10", send=True)
    assert kinds(world, "2021-10") == [("permit_application", 2)]
