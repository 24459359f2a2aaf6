"""Services and reminders as declarations: closed, checked at load with file, line and key; a new one is a new file."""

from __future__ import annotations

import shutil
from decimal import Decimal
from pathlib import Path

import pytest

from expectations.problems import DeclarationError, Problem
from tests.transforms.services_town import DATA, FACTS, KNOWN, REFERENCE, SERVICES, STANDING, TABLES, Town, resident
from transforms.engine import EngineSettings, open_engine
from transforms.services.examples import check_reminder_examples, check_service_examples
from transforms.services.load import load_reminders, load_services
from transforms.services.models import Service, StandingReminder


def services(folder: Path) -> list[Service]:
    return load_services(folder, FACTS, TABLES, REFERENCE.districts)


def reminders(folder: Path) -> list[StandingReminder]:
    return load_reminders(folder, FACTS, REFERENCE.districts, SERVICES)


def changed(tmp_path: Path, kind: str, name: str, *changes: tuple[str, str]) -> Path:
    """A copy of the city's declarations with one file rewritten."""
    folder = tmp_path / kind
    shutil.copytree(DATA / kind, folder)
    text = (folder / f"{name}.yaml").read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder


def refused(folder: Path) -> list[Problem]:
    with pytest.raises(DeclarationError) as error:
        services(folder) if folder.name == "services" else reminders(folder)
    assert error.value.code == 10
    return error.value.problems


def test_the_city_has_its_seven_services_and_three_standing_reminders() -> None:
    thresholds = {s.service: [dict(v.points.threshold) for v in s.versions] for s in SERVICES}
    assert thresholds == {
        "health_check": [{"default": 50}],
        "household_registration": [{"default": 120}, {"default": 150}],
        "points_loan": [{"default": 70}],
        "public_rental": [{"default": 65}],
        "recuperation": [{"default": 80}],
        "rent_subsidy": [{"default": 60}],
        "school_enrolment": [{"default": 40, "330203": 45, "330212": 45, "330282": 35}],
    }
    kinds = {s.service: s.reminder.kind for s in SERVICES if s.reminder}
    assert sorted(set(kinds.values())) == ["rent_subsidy", "school_enrolment", "service_reached"]
    assert len(kinds) == 7
    assert [reminder.kind for reminder in STANDING] == ["insurance_gap", "permit_application", "permit_endorsement"]


def test_only_the_forty_per_cent_and_the_district_are_published() -> None:
    published = [(s.service, part) for s in SERVICES for v in s.versions for part, origin in v.values.model_dump().items()
                 if origin == "published"]  # fmt: skip
    assert published == [("rent_subsidy", "districts"), ("rent_subsidy", "amount")]
    assert SERVICES[-1].versions[0].illustrative == ["districts", "conditions", "points"]


@pytest.mark.parametrize(
    ("old", "new", "key", "word"),
    [
        ("service: rent_subsidy", "service: rent", "service", "rent_subsidy"),
        ("department:", "departmnt: x\ndepartment:", "departmnt", "department"),
        ("legal_basis: 宁波", "other: 宁波", "legal_basis", "缺少"),
        ("points: {threshold: 60}", "points: {treshold: 60}", "versions.0.points.treshold", "threshold"),
        ("points: {threshold: 60}", "points: {threshold: sixty}", "versions.0.points.threshold", "分值"),
        ("points: {threshold: 60}", "points: {threshold: -1}", "versions.0.points.threshold", "小于 0"),
        ("points: {threshold: 60}", 'points: {threshold: {"330299": 60}}', "versions.0.points.threshold", "330212"),
        ("points: {threshold: 60}", "points: {score: totl_points, threshold: 60}", "versions.0.points.score", "total_points"),
        ("points: {threshold: 60}", "points: {score: frozen, threshold: 60}", "versions.0.points.score", "数值"),
        ("points: {threshold: 60}", "points: {score: base_points, threshold: 60}", "versions.0.points.score", "2022-04-01"),
        ('districts: ["330212"]', 'districts: ["330299"]', "versions.0.districts.0", "330299"),
        ('districts: ["330212"]', "districts: everywhere", "versions.0.districts", "all"),
        ('districts: ["330212"]', "districts: []", "versions.0.districts", "all"),
        ("when: rental_registered", "when: rental_registred", "versions.0.conditions.1.when", "rental_registered"),
        ("when: rental_registered", "when: rental_months", "versions.0.conditions.1.when", "比较"),
        ("when: rental_registered", "when: lower(tenure) = 'x'", "versions.0.conditions.1.when", "不允许"),
        ("when: rental_registered", "when: (select 1) = 1", "versions.0.conditions.1.when", "不允许"),
        ("tenure = 'rented'", "tenure = 'rentd'", "versions.0.conditions.0.when", "rented"),
        ("when: tenure = 'rented', ", "", "versions.0.conditions.0.when", "缺少"),
        ("monthly: market_rent * 0.4", "monthly: market_rents * 0.4", "versions.0.amount.monthly", "market_rent"),
        ("rounding: yuan}", "rounding: up}", "versions.0.amount.rounding", "yuan 或 fen"),
        (", amount: published", "", "versions.0", "values.amount"),
        ("window: all_year", "window: spring", "versions.0.window", "school_calendar"),
        ("from: 2021-09-08", "from: 2021-09-31", "versions.0.from", "日期"),
        ("from: 2021-09-08", "as_in: 2020-01-01", "versions.0.as_in", "更早的版本"),
        ("market_rent: 1010, total_points: 60", "market_rent: x, total_points: 60", "versions.0.examples.0.market_rent", "数值"),
        ("market_rent: 1010, total_points: 60", "rent: 1010, total_points: 60", "versions.0.examples.0.rent", "没有名为"),
        ("eligible: true", "eligible: perhaps", "versions.0.examples.0.eligible", "perhaps"),
        ("kind: rent_subsidy", "kind: Rent", "reminder.kind", "小写"),
        ("cycle: year", "cycle: yearly", "reminder.cycle", "year"),
        ("cycle: year", "cycle: child", "reminder.cycle", "each: child"),
        ("cycle: year", "cycle: year\n  each: child", "reminder.each", "school_calendar"),
        ("cycle: year", "cycle: year\n  repeat: 0", "reminder.repeat", "整数"),
        ("cycle: year", "cycle: year\n  due_on: opens_on", "reminder.due_on", "日期"),
        ("cycle: year", "cycle: year\n  who: base_points > 3", "reminder.who", "base_points"),
        ("cycle: year", "cycle: year\n  newly: maybe", "reminder.newly", "maybe"),
        ("{name}", "{names}", "reminder.text", "name"),
        ("{name}", "{resident_id}", "reminder.text", "resident_id"),
        ("{name}", "{rental_community}", "reminder.text", "rental_community"),
        ("{name}", "{name!r}", "reminder.text", "花括号"),
        ("{name}", "{name", "reminder.text", "花括号"),
        ("{name}", "{due_on}", "reminder.text", "due_on"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_service_is_refused_at_its_place(
    tmp_path: Path, old: str, new: str, key: str, word: str
) -> None:
    folder = changed(tmp_path, "services", "rent_subsidy", (old, new))
    problem = next(one for one in refused(folder) if one.key == key)
    assert problem.file == folder / "rent_subsidy.yaml"
    assert word in f"{problem.found}；{problem.meant}"
    written = problem.file.read_text(encoding="utf-8").splitlines()
    assert 1 <= problem.line <= len(written)
    leaf = key.rsplit(".", 1)[-1]
    if not leaf.isdigit() and "缺少" not in str(problem):
        assert leaf in written[problem.line - 1]


def test_all_mistakes_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    folder = changed(
        tmp_path, "services", "rent_subsidy", ("cycle: year", "cycle: x"), ("rounding: yuan}", "rounding: x}")
    )
    other = folder / "health_check.yaml"
    other.write_text(
        other.read_text().replace("permit_held,", "permit_hold,").replace("title: 免费体检", "titel: 免费体检")
    )
    found = {(problem.file.stem, problem.key) for problem in refused(folder)}
    assert found == {
        ("rent_subsidy", "reminder.cycle"), ("rent_subsidy", "versions.0.amount.rounding"),
        ("health_check", "title"), ("health_check", "titel"), ("health_check", "versions.0.conditions.0.when"),
    }  # fmt: skip


def test_versions_ascend_and_a_mistake_taken_over_is_told_once_where_it_stands(tmp_path: Path) -> None:
    text = ("from: 2022-04-01", "from: 2021-09-08")
    (problem,) = refused(changed(tmp_path / "a", "services", "household_registration", text))
    assert problem.key == "versions.1.from" and "从早到晚" in problem.meant
    text = ("permit_months >= 60", "permit_month >= 60")
    (problem,) = refused(changed(tmp_path / "b", "services", "household_registration", text))
    assert problem.key == "versions.0.conditions.0.when"


def test_a_version_taken_over_keeps_what_it_does_not_name() -> None:
    first, second = next(s for s in SERVICES if s.service == "household_registration").versions
    assert second.conditions == first.conditions and second.points != first.points
    assert second.hash != first.hash


def test_a_folder_that_is_not_there_is_no_empty_folder(tmp_path: Path) -> None:
    (problem,) = refused(tmp_path / "services")
    assert "不存在" in problem.found
    (tmp_path / "reminders").mkdir()
    assert reminders(tmp_path / "reminders") == []


@pytest.mark.parametrize(
    ("old", "new", "key", "word"),
    [
        ("kind: permit_endorsement", "kind: permit", "kind", "permit_endorsement"),
        ("permit_valid_to between", "permit_valid between", "who", "permit_valid_to"),
        ("as_of + 45", "as_of + pension_months", "who", "整数天"),
        ("cycle: permit_valid_to", "cycle: age", "cycle", "age"),
        ("cycle: permit_valid_to", "cycle: child", "cycle", "子女"),
        ("due_on: permit_valid_to", "due_on: birthday", "due_on", "birthday"),
        ("due_on: permit_valid_to", "newly: true", "newly", "不认识"),
        ("{due_on}", "{monthly_amount}", "text", "monthly_amount"),
        ("permit_valid_to: 2021-11-01,", "permit_valid_to: 2021-11-31,", "examples.1.permit_valid_to", "日期"),
    ],
)
def test_a_mistake_in_a_standing_reminder_is_refused_at_its_place(
    tmp_path: Path, old: str, new: str, key: str, word: str
) -> None:
    problems = refused(changed(tmp_path, "reminders", "permit_endorsement", (old, new)))
    assert key in [problem.key for problem in problems]
    assert any(word in str(problem) for problem in problems)


def test_a_standing_reminder_cannot_take_the_kind_of_a_service(tmp_path: Path) -> None:
    folder = changed(tmp_path, "reminders", "permit_endorsement", ("kind: permit_endorsement", "kind: rent_subsidy"))
    (folder / "permit_endorsement.yaml").rename(folder / "rent_subsidy.yaml")
    (problem,) = refused(folder)
    assert problem.key == "kind" and "某项服务" in problem.meant


def test_an_example_that_does_not_hold_is_told_at_its_line(tmp_path: Path) -> None:
    folder = changed(tmp_path, "services", "rent_subsidy", ("points_short: 4.5", "points_short: 4"))
    other = changed(tmp_path, "reminders", "permit_endorsement", ("reminded: false", "reminded: true"))
    with open_engine(EngineSettings(memory="500MB"), tmp_path / "spill") as engine:
        (wrong,) = check_service_examples(engine, folder, services(folder), KNOWN)
        (unreminded,) = check_reminder_examples(engine, other, reminders(other), KNOWN)
    assert wrong.key == "versions.0.examples.1" and "差 4.50 分" in wrong.found
    assert unreminded.key == "examples.0" and "不提醒" in unreminded.found


def test_the_hash_is_of_what_a_version_says_not_of_how_it_is_written(tmp_path: Path) -> None:
    def digest(name: str, *changes: tuple[str, str]) -> str:
        found = services(changed(tmp_path / name, "services", "rent_subsidy", *changes))
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


def test_a_new_service_with_its_reminder_is_one_new_file(tmp_path: Path) -> None:
    folder = tmp_path / "services"
    shutil.copytree(DATA / "services", folder)
    (folder / "library_card.yaml").write_text(NEW_SERVICE, encoding="utf-8")
    found = services(folder)
    with open_engine(EngineSettings(memory="500MB"), tmp_path / "spill") as engine:
        assert check_service_examples(engine, folder, found, KNOWN) == []
    reader = resident(1, residence_months=3)
    reader = type(reader)(**{**vars(reader), "points": {"common_points": Decimal(10)}})
    town = Town(tmp_path / "town", services=found)
    told = [town.publish(month, reader) for month in ("2021-10", "2021-11", "2021-12")]
    assert [[row["text"] for row in month] for month in told] == [
        ["张**：您可在镇海区办理图书借阅。"],
        [],
        ["张**：您可在镇海区办理图书借阅。"],
    ]
