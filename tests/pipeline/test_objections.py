"""Objections: open cases with their due day and evidence, decided by the workbook that comes back."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from flows.commands.access import report_accesses
from flows.commands.lookup import PersonQuery
from tests.support.answers import fill_workbook, read_sheet
from tests.support.delivering import arrived, in_folder, with_destinations
from tests.support.delivering import deliver as deliver_to_destinations
from tests.support.held_city import copied
from tests.support.world import World, national_id, write_csv

PEOPLE = [national_id(f"3302031990061530{n}") for n in range(1, 5)]
NO_TARGET = "王女士的职称 13900000000"
CLAIM = "证书去年已经补办"
COLUMNS = ["案件编号", "公民身份号码", "异议对象", "申请日期", "申请渠道", "申请内容"]
Case = Mapping[str, str]


def file_case(number: str, who: str, target: str, day: str) -> Case:
    values = (number, who, target, day, "手机", CLAIM)
    return dict(zip(COLUMNS, values, strict=True))


def deliver(world: World, month: str, *cases: Case, corrections: Any = ()) -> None:
    resident = {
        "residence_district": "330203", "name": "例女士", "phone": "05740000000",
        "registered_on": "2011-01-01", "status": "resident", "updated_on": f"{month}-01",
    }  # fmt: skip
    degree = {"kind": "degree", "level": "junior_college", "awarded_on": "2015-06-30"}
    filler = {"certificate_no": f"F{month}", "resident_id": national_id("33020319500101001")}
    world.deliver(
        month,
        registry=[{**resident, "resident_id": one} for one in PEOPLE],
        education=[
            {**degree, **filler},
            *({**degree, "certificate_no": f"Z{one[-4:]}", "resident_id": one} for one in PEOPLE),
        ],
        **({"corrections": corrections} if isinstance(corrections, list) else {}),
    )
    if cases:
        write_csv(world.inbox / month / "objections.csv", COLUMNS, cases)


def findings(world: World, month: str) -> dict[str, dict[str, Any]]:
    return {one["kind"]: one for one in world.revision(month).manifest.findings or []}


def workbook(world: World, month: str, department: str) -> Path:
    return world.revision(month).path / "restricted" / "objections" / f"{department}.xlsx"


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Four cases filed in October, decided by workbook in December: one upheld with a level, late."""
    world = World(tmp_path_factory.mktemp("town"), only=("registry", "education", "corrections"))
    deliver(world, "2021-09")
    world.run("2021-09")
    deliver(
        world,
        "2021-10",
        file_case("Y1", PEOPLE[0], "fact:degree", "2021-09-29"),
        file_case("Y2", PEOPLE[1], "education", "2021-10-11"),
        file_case("Y3", PEOPLE[2], "330203:mentoring", "2021-10-12"),
        file_case("Y4", PEOPLE[3], NO_TARGET, "2021-10-25"),
    )
    world.run("2021-10")
    deliver(world, "2021-11")
    world.run("2021-11")
    deliver(world, "2021-12", corrections=None)
    (world.inbox / "2021-12" / "corrections.csv").unlink()
    decided = {
        "处理结果": "成立", "更正值": "本科", "生效日期": dt.date(2021, 9, 1),
        "决定日期": dt.date(2021, 12, 10), "说明": "学信网核实",
    }  # fmt: skip
    fill_workbook(
        workbook(world, "2021-11", "教育、人社"),
        world.inbox / "2021-12" / "corrections.xlsx",
        "案件编号",
        {"Y1": decided},
    )
    world.run("2021-12", accept="小城")
    return world


def test_open_cases_stand_in_the_statement_with_the_day_by_official_calendar(town: World) -> None:
    rows = {row["resident_id"]: row for row in town.table("2021-10", "restricted/statements")}
    # 15 working days from 29 September: 1 to 7 October are holidays, Saturday 9 October is worked
    assert rows[PEOPLE[0]]["open_objections"] == [
        {"case_id": "Y1", "target": "fact:degree", "due_on": dt.date(2021, 10, 26)}
    ]
    assert rows[PEOPLE[1]]["open_objections"] == [
        {"case_id": "Y2", "target": "education", "due_on": dt.date(2021, 11, 1)}
    ]
    assert not any(row["open_objections"] for row in town.table("2021-09", "restricted/statements"))


def test_each_department_gets_the_cases_that_it_answers_for_with_evidence(town: World) -> None:
    folder = town.revision("2021-10").path / "restricted" / "objections"
    assert sorted(path.stem for path in folder.glob("*.xlsx")) == [
        "大数据局", "教育、人社", "海曙区",
    ]  # fmt: skip
    points = f"{town.score('2021-10', PEOPLE[1])['education_points']} 分："
    first, second = read_sheet(folder / "教育、人社.xlsx")
    assert (first["案件编号"], first["期限状态"], first["办理期限"]) == (
        "Y1",
        "已逾期",
        "2021-10-26",
    )
    assert first["公布内容"] == "大专" and first["申请内容"] == CLAIM
    assert f"证书编号 Z{PEOPLE[0][-4:]}" in first["部门记录"] and "大专" in first["部门记录"]
    assert first["公民身份号码"] == PEOPLE[0] and first["对象名称"] == "最高学历"
    assert second["期限状态"] == "未到期" and second["公布内容"].startswith(points)
    (unknown,) = read_sheet(folder / "大数据局.xlsx")
    assert unknown["公布内容"] == "没有这个指标或数据，请先核对更正对象"


def test_a_department_is_delivered_its_own_cases(town: World, tmp_path: Path) -> None:
    copy = copied(town, tmp_path / "town")
    copy.settings = with_destinations(copy.settings, education=in_folder(tmp_path, "education"))
    assert arrived(deliver_to_destinations(copy))
    there = tmp_path / "education" / "2021-10" / "r1" / "objections.xlsx"
    assert there.read_bytes() == workbook(town, "2021-10", "教育、人社").read_bytes()
    for person, is_delivered in ((PEOPLE[0], True), (PEOPLE[2], False)):
        lines: list[str] = []
        report_accesses(copy.settings, PersonQuery(person), lines.append, as_json=True)
        found = {(one["what"], one["recipient"]) for one in json.loads(lines[0])["outflows"]}
        assert (("异议办理单", "送交教育、人社") in found) == is_delivered


def test_open_and_overdue_cases_are_findings_without_what_people_said(town: World) -> None:
    october = findings(town, "2021-10")
    assert (october["overdue_cases"]["count"], october["overdue_cases"]["total"]) == (1, 4)
    assert october["overdue_cases"]["detail"] == "Y1" and october["open_cases"]["count"] == 3
    assert town.revision("2021-10").manifest.cases["fact:degree"] == {
        "open": 1, "due": 0, "overdue": 1, "upheld": 0, "rejected": 0, "late": 0,
    }  # fmt: skip
    assert town.revision("2021-10").manifest.cases["unknown"]["open"] == 1
    page = (town.revision("2021-10").path / "report" / "index.html").read_text("utf-8")
    assert "异议逾期没有决定" in page
    manifest = str(town.revision("2021-10").manifest.to_values())
    for written in (CLAIM, NO_TARGET):
        assert written not in page and written not in manifest


def test_the_workbook_decides_and_a_level_is_set(town: World) -> None:
    [account] = [
        one
        for one in town.revision("2021-12").manifest.accounts
        if (one["source"], one["month"]) == ("corrections", "2021-12")
    ]
    assert (account["received"], account["quarantined"], account["unanswered"]) == (1, 0, 1)
    assert account["undeclared"] == 0
    keys = {
        row["resident_id"]: row["resident_key"]
        for row in town.table("2021-12", "restricted/identities")
    }
    degrees = {row["resident_key"]: row["degree"] for row in town.table("2021-12", "facts")}
    assert degrees[keys[PEOPLE[0]]] == "bachelor" and degrees[keys[PEOPLE[1]]] == "junior_college"
    assert (
        town.score("2021-12", PEOPLE[0])["education_points"]
        > town.score("2021-11", PEOPLE[0])["education_points"]
    )
    rows = {row["resident_id"]: row for row in town.table("2021-12", "restricted/statements")}
    assert rows[PEOPLE[0]]["open_objections"] == []
    assert rows[PEOPLE[0]]["facts"]["corrected"] == [
        {"fact": "degree", "case_id": "Y1", "value": "bachelor"}
    ]
    december = town.revision("2021-12").manifest.cases["fact:degree"]
    assert (december["open"], december["upheld"], december["late"]) == (0, 1, 1)
    assert findings(town, "2021-12")["late_decisions"]["count"] == 1


def test_a_level_that_there_is_not_is_named_and_returned(tmp_path: Path) -> None:
    world = World(tmp_path, only=("registry", "education", "corrections"))
    upheld = {
        "decision": "upheld", "valid_from": "2021-01-01", "decided_on": "2021-10-05", "note": CLAIM,
        "target": "fact:degree", "resident_id": PEOPLE[0],
    }  # fmt: skip
    given = [
        {**upheld, "case_id": "C1", "value": "博士后"},
        {**upheld, "case_id": "C2", "value": "3", "resident_id": PEOPLE[1]},
        {**upheld, "case_id": "C3", "value": "doctor", "resident_id": PEOPLE[2]},
        {**upheld, "case_id": "C4", "value": "doctor", "resident_id": national_id("33020319500101001")},
    ]  # fmt: skip
    deliver(world, "2021-10", corrections=given)
    world.run("2021-10")
    found = findings(world, "2021-10")["corrections_without_target"]
    assert found["count"] == 3 and found["detail"].count("fact:degree") == 3
    assert {name for name in ("C1", "C2", "C4") if name in found["detail"]} == {"C1", "C2", "C4"}
    returned = world.table("2021-10", "restricted/returns/rows")
    assert {row["kind"] for row in returned} == {"ineffective"}
    assert [row["reason"] for row in returned if "C4" in row["delivered"]] == [
        "本人不在登记人口之内，未生效"
    ]


def test_without_objections_nothing_is_written(tmp_path: Path) -> None:
    world = World(tmp_path, only=("registry", "education"))
    deliver(world, "2021-10", corrections=None)
    world.run("2021-10")
    assert not list((world.revision("2021-10").path / "restricted").rglob("*.xlsx"))
    assert world.revision("2021-10").manifest.cases == {}


def test_open_overdue_and_decided_cases_are_metrics_by_district(town: World) -> None:
    """Fewer than ten people each, so the cells say only that there are some."""
    found = {
        month: {
            (row["district"], row["item"])
            for row in town.table(month, "metrics")
            if row["metric"] == "objection_cases"
        }
        for month in ("2021-09", "2021-10", "2021-11", "2021-12")
    }
    assert found["2021-09"] == set()
    assert found["2021-10"] == {(d, i) for d in ("330203", "city") for i in ("open", "overdue")}
    assert found["2021-11"] == {(d, "overdue") for d in ("330203", "city")}
    assert ("330203", "upheld") in found["2021-12"]
