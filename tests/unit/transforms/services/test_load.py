"""Services and reminders as declarations: closed, checked at load with file, line and key; a new one is a new file."""

from __future__ import annotations

import shutil
from decimal import Decimal
from pathlib import Path

import pytest

from tests.support.declarations import (
    copy_declarations,
    find_service_problems,
    load_reminders_of,
    load_services_of,
)
from tests.support.services_town import (
    DATA,
    KNOWN,
    REFERENCE,
    SERVICES,
    STANDING,
    Town,
    resident,
)
from transforms.engine.session import EngineSettings, open_engine
from transforms.services.examples import check_service_examples


def test_a_reminder_per_child_must_use_the_child_cycle(tmp_path: Path) -> None:
    folder = copy_declarations(
        tmp_path, "services", "school_enrolment", ("cycle: child", "cycle: year")
    )
    assert [(one.key, one.found) for one in find_service_problems(folder)] == [
        ("reminder.cycle", "year")
    ]


def test_services_and_reminders_are_loaded_in_the_order_of_files() -> None:
    assert [service.service for service in SERVICES] == sorted(
        path.stem for path in (DATA / "services").glob("*.yaml")
    )
    assert [reminder.kind for reminder in STANDING] == sorted(
        path.stem for path in (DATA / "reminders").glob("*.yaml")
    )
    assert SERVICES and STANDING


def test_service_versions_ascend_and_name_known_districts() -> None:
    for service in SERVICES:
        begins = [version.begins for version in service.versions]
        assert begins == sorted(set(begins)), service.service
        named = {district for version in service.versions for district in version.points.threshold}
        assert named <= {"default", *REFERENCE.districts}, service.service


@pytest.mark.promise(
    "points-151", "Services declare theirs, the rest stand in data/reminders/; a kind stands once"
)
def test_a_kind_of_reminder_belongs_to_services_or_stands_alone() -> None:
    of_services = {service.reminder.kind for service in SERVICES if service.reminder}
    assert {"school_enrolment", "rent_subsidy"} <= of_services
    assert of_services.isdisjoint(reminder.kind for reminder in STANDING)


@pytest.mark.promise(
    "points-125", "Published or illustrative, here by part (districts, conditions, points, amount)"
)
@pytest.mark.promise("points-141", "Only the 40 % and 鄞州 are published")
def test_only_share_and_district_of_the_rent_subsidy_are_published() -> None:
    first = {service.service: service.versions[0] for service in SERVICES}
    assert first["rent_subsidy"].illustrative == ["conditions", "points"]
    assert first["school_enrolment"].illustrative == ["districts", "conditions", "points"]


@pytest.mark.promise("sources-136", "a writer's mistakes in services, settings")
@pytest.mark.proves("points-114")
@pytest.mark.parametrize(
    ("old", "new", "key", "word"),
    [
        ("department:", "departmnt: x\ndepartment:", "departmnt", "department"),
        ("points: {threshold: 60}", "points: {score: base_points, threshold: 60}", "versions.0.points.score", "2022-04-01"),
        ('districts: ["330212"]', "districts: []", "versions.0.districts", "all"),
        ("eligible: true", "eligible: perhaps", "versions.0.examples.0.eligible", "perhaps"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_service_is_refused_at_its_place(
    tmp_path: Path, old: str, new: str, key: str, word: str
) -> None:
    """The mistakes that people make stand in the manual (`tests/spec/32_service_mistakes`); these beside them."""
    folder = copy_declarations(tmp_path, "services", "rent_subsidy", (old, new))
    problem = next(one for one in find_service_problems(folder) if one.key == key)
    assert problem.file == folder / "rent_subsidy.yaml"
    assert word in f"{problem.found}；{problem.expected}"
    assert (
        key.rsplit(".", 1)[-1]
        in problem.file.read_text(encoding="utf-8").splitlines()[problem.line - 1]
    )


def test_mistakes_in_all_services_are_reported_at_once(tmp_path: Path) -> None:
    folder = copy_declarations(
        tmp_path,
        "services",
        "rent_subsidy",
        ("cycle: year", "cycle: x"),
        ("rounding: yuan}", "rounding: x}"),
    )
    other = folder / "health_check.yaml"
    other.write_text(
        other.read_text()
        .replace("permit_held,", "permit_hold,")
        .replace("title: 免费体检", "titel: 免费体检")
    )
    found = {(problem.file.stem, problem.key) for problem in find_service_problems(folder)}
    assert found == {
        ("rent_subsidy", "reminder.cycle"), ("rent_subsidy", "versions.0.amount.rounding"),
        ("health_check", "title"), ("health_check", "titel"), ("health_check", "versions.0.conditions.0.when"),
    }  # fmt: skip


@pytest.mark.proves("points-122")
def test_versions_ascend_and_mistakes_are_reported_once(tmp_path: Path) -> None:
    text = ("from: 2022-04-01", "from: 2021-09-08")
    (problem,) = find_service_problems(
        copy_declarations(tmp_path / "a", "services", "household_registration", text)
    )
    assert problem.key == "versions.1.from" and "从早到晚" in problem.expected
    text = ("permit_months >= 60", "permit_month >= 60")
    (problem,) = find_service_problems(
        copy_declarations(tmp_path / "b", "services", "household_registration", text)
    )
    assert problem.key == "versions.0.conditions.0.when"


def test_a_version_taken_over_keeps_what_it_does_not_name() -> None:
    first, second = next(s for s in SERVICES if s.service == "household_registration").versions
    assert second.conditions == first.conditions and second.points != first.points
    assert second.hash != first.hash


def test_a_folder_that_is_not_there_is_no_empty_folder(tmp_path: Path) -> None:
    (problem,) = find_service_problems(tmp_path / "services")
    assert "不存在" in problem.found
    (tmp_path / "reminders").mkdir()
    assert load_reminders_of(tmp_path / "reminders") == []


@pytest.mark.proves("points-151")
def test_a_standing_reminder_cannot_take_the_kind_of_a_service(tmp_path: Path) -> None:
    folder = copy_declarations(
        tmp_path,
        "reminders",
        "permit_endorsement",
        ("kind: permit_endorsement", "kind: rent_subsidy"),
    )
    (folder / "permit_endorsement.yaml").rename(folder / "rent_subsidy.yaml")
    (problem,) = find_service_problems(folder)
    assert problem.key == "kind" and "某项服务" in problem.expected


def test_the_hash_of_a_version_ignores_its_notation(tmp_path: Path) -> None:
    def digest(name: str, *changes: tuple[str, str]) -> str:
        found = load_services_of(
            copy_declarations(tmp_path / name, "services", "rent_subsidy", *changes)
        )
        return next(s for s in found if s.service == "rent_subsidy").versions[0].hash

    same = digest("same", ("points: {threshold: 60}", "points:\n      threshold: 60.0"))
    amended = digest("amended", ("    values:", "    amends: 更正\n    values:"))
    assert same == amended == digest("none")
    assert digest("other", ("points: {threshold: 60}", "points: {threshold: 61}")) != same


NEW_SERVICE = """
service: library_card
title: 图书借阅
department: 图书馆
purpose: 按积分提高借阅额度
legal_basis: 图书借阅办法（示例）
versions:
  - from: 2021-09-08
    basis: 图书借阅办法（示例）
    values: {districts: illustrative, conditions: illustrative, points: illustrative, amount: illustrative}
    districts: all
    conditions:
      - {when: residence_months >= 3, lacking: 需居住满 3 个月}
    points: {score: common_points, threshold: 10}
    amount: {monthly: residence_months / 8, rounding: fen}
    window: all_year
    examples:
      - {district: "330211", residence_months: 3, common_points: 10, eligible: true, monthly_amount: 0.38}
reminder:
  kind: library_card
  title: 图书借阅
  cycle: once
  repeat: 2
  text: "{name}：您可在{district}办理{service}。"
"""


@pytest.mark.slow
@pytest.mark.proves("points-111")
def test_a_new_service_with_its_reminder_is_one_new_file(tmp_path: Path) -> None:
    folder = tmp_path / "services"
    shutil.copytree(DATA / "services", folder)
    (folder / "library_card.yaml").write_text(NEW_SERVICE, encoding="utf-8")
    found = load_services_of(folder)
    with open_engine(EngineSettings(memory="500MB"), tmp_path / "spill") as engine:
        assert check_service_examples(engine, folder, found, KNOWN) == []
    reader = resident(1, residence_months=3)
    reader = type(reader)(**{**vars(reader), "points": {"common_points": Decimal(10)}})
    town = Town(tmp_path / "town", services=found)
    reminders = [town.publish(month, reader) for month in ("2021-10", "2021-11", "2021-12")]
    assert [[row["text"] for row in month] for month in reminders] == [
        ["张**：您可在镇海区办理图书借阅。"],
        [],
        ["张**：您可在镇海区办理图书借阅。"],
    ]
