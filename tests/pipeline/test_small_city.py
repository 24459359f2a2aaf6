"""A small city over some months: what goes out comes back, and every answer has its consequence.

The same story is in docs/guides/operators/answers.md. Each month is one function; who delivers
what to whom (SFTP, a database) is not part of it.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from reports.explain.text import format_explanation
from reports.statements.model import StatementRow, StatementTexts
from tests.support.answers import fill_workbook, read_sheet
from tests.support.world import World, national_id, write_csv
from transforms.reminders.build import find_withdrawn_file

REACHED, WRONG, SILENT, LATER, OBJECTOR = (national_id(f"3302031990061530{n}") for n in range(1, 6))
PHONE, NEW_PHONE = "05740000000", "05741111111"
CLAIM = "我的学历是本科"


class City:
    """The city's departments, and its one district."""

    def __init__(self, folder: Path) -> None:
        only = ("registry", "social_security", "education", "corrections")
        self.world = World(folder, only=only)
        self.doctors: list[str] = []
        self.phone = PHONE

    def deliver(self, month: str) -> None:
        people = (REACHED, WRONG, SILENT, LATER, OBJECTOR)
        registered = {
            "residence_district": "330203", "name": "例女士", "registered_on": "2011-01-01",
            "permit_issued_on": "2011-01-01", "permit_valid_to": "2030-01-01",
            "status": "resident", "updated_on": f"{month}-01",
        }  # fmt: skip
        paid = {"insurance": "pension", "month": month, "district": "330203", "kind": "paid",
                "posted_on": f"{month}-20"}  # fmt: skip
        degree = {"kind": "degree", "awarded_on": "2015-06-30"}
        stranger = national_id("33020319500101001")
        self.world.deliver(
            month,
            registry=[
                {**registered, "resident_id": one, "phone": self.phone if one == WRONG else PHONE}
                for one in people
            ],
            social_security=[{**paid, "resident_id": one} for one in people],
            education=[
                {**degree, "level": "doctor", "certificate_no": month, "resident_id": stranger},
                {**degree, "level": "junior_college", "certificate_no": "O", "resident_id": OBJECTOR},
                *(
                    {**degree, "level": "doctor", "certificate_no": one, "resident_id": one}
                    for one in self.doctors
                ),
            ],
        )  # fmt: skip

    def run(self, month: str) -> None:
        self.world.run(month, accept="小城")

    def path(self, month: str, *parts: str) -> Path:
        return self.world.revision(month).path.joinpath(*parts)

    def list_reminders(self, month: str) -> dict[str, str]:
        """The health checks that the district is to remind people of: resident -> which attempt."""
        rows = read_sheet(self.path(month, "exports", "330203", "reminders.xlsx"))
        return {row["公民身份号码"]: row["提醒次数"] for row in rows if row["服务"] == "免费体检"}

    def answer(self, listed: str, received: str, answers: dict[str, tuple[str, str]]) -> None:
        """The district fills in a month's list and sends it back."""
        path = self.path(listed, "exports", "330203", "reminders.xlsx")
        rows = {one["公民身份号码"]: one for one in read_sheet(path) if one["服务"] == "免费体检"}
        filled = {
            rows[who]["提醒编号"]: {"办理结果": text, "办理日期": dt.date.fromisoformat(day)}
            for who, (text, day) in answers.items()
        }
        target = self.world.inbox / received / "reminder_outcomes" / "330203" / "reminders.xlsx"
        fill_workbook(path, target, "提醒编号", filled)

    def find(self, month: str, kind: str) -> list[dict[str, Any]]:
        found = self.world.revision(month).manifest.findings or []
        return [one for one in found if one["kind"] == kind]

    def explain(self, month: str, who: str) -> str:
        rows = self.world.table(month, "restricted/statements")
        texts = self.path(month, "restricted", "statements", "texts.json").read_bytes()
        words = StatementTexts.model_validate_json(texts)
        (row,) = (StatementRow.model_validate(one) for one in rows if one["resident_id"] == who)
        return "\n".join(format_explanation(row, words))


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> City:
    """Everything that happens, month by month."""
    city = City(tmp_path_factory.mktemp("city"))
    city.deliver("2021-09")
    city.run("2021-09")

    city.doctors = [REACHED, WRONG, SILENT]
    city.deliver("2021-10")
    case = {"案件编号": "Y1", "公民身份号码": OBJECTOR, "异议对象": "fact:degree",
            "申请日期": "2021-09-30", "申请渠道": "窗口", "申请内容": CLAIM}  # fmt: skip
    write_csv(city.world.inbox / "2021-10" / "objections.csv", list(case), [case])
    city.run("2021-10")

    city.deliver("2021-11")
    said = {REACHED: ("已通知", "2021-11-08"), WRONG: ("未联系上", "2021-11-09")}
    city.answer("2021-10", "2021-11", said)
    city.run("2021-11")

    city.deliver("2021-12")
    city.answer("2021-11", "2021-12", {WRONG: ("号码有误", "2021-12-06")})
    (city.world.inbox / "2021-12" / "corrections.csv").unlink()
    fill_workbook(
        city.path("2021-11", "restricted", "objections", "教育、人社.xlsx"),
        city.world.inbox / "2021-12" / "corrections.xlsx",
        "案件编号",
        {
            "Y1": {
                "处理结果": "成立", "更正值": "本科", "生效日期": dt.date(2021, 9, 30),
                "决定日期": dt.date(2021, 12, 10),
            }
        },
    )  # fmt: skip
    city.run("2021-12")

    city.phone = NEW_PHONE
    city.deliver("2022-01")
    city.run("2022-01")

    city.doctors.append(LATER)
    city.deliver("2022-02")
    city.answer("2022-01", "2022-02", {WRONG: ("已办理", "2022-02-07")})
    city.run("2022-02")
    return city


def test_a_reminder_that_does_not_arrive_comes_back_until_it_is_done(city: City) -> None:
    assert city.list_reminders("2021-10") == dict.fromkeys((REACHED, WRONG, SILENT), "第 1 次")
    assert city.list_reminders("2021-11") == {
        WRONG: "第 2 次，上次未联系上", SILENT: "第 2 次，上次没有结果"
    }  # fmt: skip
    assert city.list_reminders("2021-12") == {SILENT: "第 3 次，上次没有结果"}
    assert city.list_reminders("2022-01") == {WRONG: "第 3 次，号码已更正"}
    assert city.list_reminders("2022-02") == {LATER: "第 1 次"}


def test_a_wrong_number_is_the_registrys_to_mend(city: City) -> None:
    (row,) = read_sheet(city.path("2021-12", "restricted", "returns", "公安.xlsx"))
    assert (row["处理"], row["栏目"]) == ("电话号码有误", "联系电话")
    assert WRONG in row["交付的内容"] and PHONE in row["交付的内容"]
    assert [one["count"] for one in city.find("2021-12", "wrong_numbers")] == [1]
    assert city.find("2022-01", "wrong_numbers") == []
    assert not city.path("2022-01", "restricted", "returns", "公安.xlsx").exists()


def test_an_objection_is_assigned_with_evidence_and_reported_as_overdue(city: City) -> None:
    (case,) = read_sheet(city.path("2021-10", "restricted", "objections", "教育、人社.xlsx"))
    assert (case["案件编号"], case["办理期限"], case["期限状态"]) == ("Y1", "2021-10-27", "已逾期")
    assert case["公布内容"] == "大专" and "证书编号 O" in case["部门记录"]
    assert case["申请内容"] == CLAIM
    assert [one["detail"] for one in city.find("2021-11", "overdue_cases")] == ["Y1"]
    assert "Y1" in city.explain("2021-11", OBJECTOR)
    assert "2021-10-27" in city.explain("2021-11", OBJECTOR)


def test_it_is_decided_late_and_the_score_follows(city: City) -> None:
    assert [one["count"] for one in city.find("2021-12", "late_decisions")] == [1]
    assert city.find("2021-12", "overdue_cases") == []
    before, after = (city.world.score(month, OBJECTOR) for month in ("2021-11", "2021-12"))
    assert after["education_points"] > before["education_points"]
    said = city.explain("2021-12", OBJECTOR)
    assert "最高学历为 本科（案件 Y1）" in said


def test_a_reminder_that_is_not_true_any_more_is_withdrawn(city: City) -> None:
    city.doctors.remove(LATER)
    city.deliver("2022-02")
    (city.world.inbox / "2022-02" / "corrections.csv").touch()
    city.run("2022-02")
    assert city.world.revision("2022-02").number == 2
    assert find_withdrawn_file(city.path("2022-02", "reminders")).exists()
    assert city.world.revision("2022-02").manifest.reminders_withdrawn == {"service_reached": 1}
    assert city.list_reminders("2022-02") == {}


def test_nobody_is_named_in_reports_and_run_records(city: City) -> None:
    texts = [
        file.read_text("utf-8", errors="replace")
        for folder in (city.world.root.runs, city.world.root.months)
        for file in folder.rglob("*")
        if file.is_file() and (file.name == "manifest.json" or file.parent.name in ("runs", "report"))
    ]  # fmt: skip
    assert texts
    for secret in (REACHED, WRONG, OBJECTOR, PHONE, NEW_PHONE, CLAIM):
        assert not any(secret in text for text in texts)
