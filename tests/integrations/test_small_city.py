"""A year of a small city: what goes out comes back, and every answer has its consequence.

The same story is in docs/guides/operators/a-year.md. The district, the police and the department of
education get their files over SFTP, the district answers over SFTP; objections come from the app's
database, which gets the statements.
"""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from expectations.month import Month
from flows.address_settings import DestinationSettings, SourceSettings
from reports.explain.text import format_explanation
from reports.statements.model import StatementRow, StatementTexts
from tests.support.answers import fill_workbook, read_sheet
from tests.support.delivering import read_summary, with_destinations
from tests.support.servers import Postgres, Sftp
from tests.support.world import World, national_id

pytestmark = pytest.mark.timeout(600)  # twelve months, each with deliveries over real servers
REACHED, WRONG, SILENT, LATER, OBJECTOR = PEOPLE = [
    national_id(f"3302031990061530{n}") for n in range(1, 6)
]
PHONE, NEW_PHONE = "05740000000", "05741111111"
CLAIM, SECOND_CLAIM = "我的学历是本科", "我带过三名徒弟"
NOBODY = national_id("33020319500101001")
MONTHS = list(map(str, Month.span(Month.parse("2021-09"), Month.parse("2022-08"))))
HAISHU = "330203"
OBJECTIONS = """SELECT case_id, resident_id, target, filed_on, channel, claim FROM app.objections
WHERE to_char(filed_on, 'YYYY-MM') = '{month}'"""


class City:
    """The city's departments, its one district, its police, and the app."""

    def __init__(self, folder: Path, sftp: Sftp, postgres: Postgres) -> None:
        self.sftp, self.postgres = sftp, postgres
        only = ("registry", "social_security", "education", "corrections")
        self.world = World(folder, only=only)
        server = f"sftp://reader@127.0.0.1:{sftp.port}"
        sources = {
            "reminder_outcomes": SourceSettings(
                origin=f"{server}/from_districts/{{month}}/reminder_outcomes"
            ),
            "objections": SourceSettings(origin=postgres.uri("reader"), query=OBJECTIONS),
        }
        settings = with_destinations(
            self.world.settings,
            d330203=DestinationSettings(address=f"{server}/to_haishu/{{month}}", plain=True),
            registry=DestinationSettings(address=f"{server}/to_police/{{month}}", plain=True),
            education=DestinationSettings(address=f"{server}/to_education/{{month}}", plain=True),
            portal=DestinationSettings(
                address=postgres.uri(), table="app.statements", plain=True
            ),
        )  # fmt: skip
        self.world.settings = settings.model_copy(update={"sources": sources})
        self.doctors: list[str] = []
        self.phone = PHONE
        self.postgres.execute(
            "DROP SCHEMA IF EXISTS app CASCADE",
            "CREATE SCHEMA app",
            """CREATE TABLE app.objections (case_id text PRIMARY KEY, resident_id text, target text,
                filed_on date, channel text, claim text)""",
            "GRANT USAGE ON SCHEMA app TO reader",
            "GRANT SELECT ON app.objections TO reader",
        )

    def run_month(self, month: str) -> None:
        """Deliver what the departments have, and run the month, which delivers what is made."""
        registered = {
            "residence_district": HAISHU, "name": "例女士", "registered_on": "2011-01-01",
            "permit_issued_on": "2011-01-01", "permit_valid_to": "2030-01-01",
            "status": "resident", "updated_on": f"{month}-01",
        }  # fmt: skip
        paid = {"insurance": "pension", "month": month, "district": HAISHU, "kind": "paid",
                "posted_on": f"{month}-20"}  # fmt: skip
        degree = {"kind": "degree", "level": "doctor", "awarded_on": "2015-06-30"}
        college = {**degree, "level": "junior_college", "certificate_no": "O"}
        self.world.deliver(
            month,
            registry=[
                {**registered, "resident_id": one, "phone": self.phone if one == WRONG else PHONE}
                for one in PEOPLE
            ],
            social_security=[{**paid, "resident_id": one} for one in PEOPLE],
            education=[
                {**degree, "certificate_no": month, "resident_id": NOBODY},
                {**college, "resident_id": OBJECTOR},
                *({**degree, "certificate_no": one, "resident_id": one} for one in self.doctors),
            ],
        )
        if (self.world.inbox / month / "corrections.xlsx").exists():
            (self.world.inbox / month / "corrections.csv").unlink()
        self.world.run(month, accept="小城")

    def file_objection(self, number: str, target: str, day: str, claim: str) -> None:
        """The objector files a case in the app."""
        values = (number, OBJECTOR, target, day, "手机", claim)
        row = ", ".join(f"'{value}'" for value in values)
        self.postgres.execute(f"INSERT INTO app.objections VALUES ({row})")

    def arrived(self, place: str, month: str) -> Path:
        """The folder of the complete revision of a month at a recipient's place."""
        folder = self.sftp.files / place / month
        return folder / str(read_summary(folder)["folder"])

    def list_reminders(self, month: str) -> dict[str, str]:
        """The health checks that the district has got to remind of: resident -> which attempt."""
        rows = read_sheet(self.arrived("to_haishu", month) / "reminders.xlsx")
        return {row["公民身份号码"]: row["提醒次数"] for row in rows if row["服务"] == "免费体检"}

    def answer(self, listed: str, received: str, answers: Mapping[str, tuple[str, Any]]) -> None:
        """The district fills in the list that it has got, and puts it onto the server."""
        path = self.arrived("to_haishu", listed) / "reminders.xlsx"
        rows = {one["公民身份号码"]: one for one in read_sheet(path) if one["服务"] == "免费体检"}
        filled = {
            rows[who]["提醒编号"]: {"办理结果": text, "办理日期": day}
            for who, (text, day) in answers.items()
        }
        folder = self.sftp.files / "from_districts" / received / "reminder_outcomes" / HAISHU
        fill_workbook(path, folder / "reminders.xlsx", "提醒编号", filled)

    def decide(self, workbook: Path, received: str, number: str, **answers: Any) -> None:
        """The department or the district fills in its list of cases, which becomes a delivery."""
        target = self.world.inbox / received / "corrections.xlsx"
        fill_workbook(workbook, target, "案件编号", {number: answers})

    def path(self, month: str, *parts: str) -> Path:
        return self.world.revision(month).path.joinpath(*parts)

    def find(self, month: str, kind: str) -> list[dict[str, Any]]:
        found = self.world.revision(month).manifest.findings or []
        return [one for one in found if one["kind"] == kind]

    def explain(self, month: str, who: str) -> str:
        rows = self.world.table(month, "restricted/statements")
        texts = self.path(month, "restricted", "statements", "texts.json").read_bytes()
        words = StatementTexts.model_validate_json(texts)
        (row,) = (StatementRow.model_validate(one) for one in rows if one["resident_id"] == who)
        return "\n".join(format_explanation(row, words))

    def ask_app(self, query: str) -> list[tuple[Any, ...]]:
        """What the app reads in its own database."""
        return self.postgres.fetch_rows(query)


@pytest.fixture
def city(tmp_path: Path, sftp: Sftp, postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> City:
    for account in ("DELIVER_330203", "DELIVER_REGISTRY", "DELIVER_EDUCATION", "REMINDER_OUTCOMES"):
        monkeypatch.setenv(f"JIFEN_{account}_PASSWORD", "s3cret")
    monkeypatch.setenv("JIFEN_OBJECTIONS_PASSWORD", "s3cret/@:")
    return City(tmp_path, sftp, postgres)


def test_a_year_of_a_small_city(city: City) -> None:
    begin_year(city)
    remind_again(city)
    return_wrong_number(city)
    finish_reminder(city)
    withdraw_reminder(city)
    decide_in_district(city)
    for month in MONTHS[-4:]:
        city.run_month(month)
        assert city.list_reminders(month) == {}
        assert city.world.revision(month).manifest.cases == {}
    statements = city.ask_app("SELECT month, count(*) FROM app.statements GROUP BY 1 ORDER BY 1")
    assert [(str(month)[:7], count) for month, count in statements] == [(m, 5) for m in MONTHS]
    find_no_names(city)


def begin_year(city: City) -> None:
    """September, October: three people reach a service; one objects in the app, and nobody decides."""
    city.run_month("2021-09")
    assert city.list_reminders("2021-09") == {}
    city.doctors = [REACHED, WRONG, SILENT]
    city.file_objection("Y1", "fact:degree", "2021-10-08", CLAIM)
    city.run_month("2021-10")
    assert city.list_reminders("2021-10") == dict.fromkeys((REACHED, WRONG, SILENT), "第 1 次")
    (case,) = read_sheet(city.arrived("to_education", "2021-10") / "objections.xlsx")
    assert (case["案件编号"], case["办理期限"], case["期限状态"]) == ("Y1", "2021-10-28", "已逾期")
    assert case["公布内容"] == "大专" and "证书编号 O" in case["部门记录"]
    assert case["申请内容"] == CLAIM
    shown = city.ask_app(
        "SELECT open_objections::text FROM app.statements"
        f" WHERE month = '2021-10-01' AND resident_id = '{OBJECTOR}'"
    )
    assert "Y1" in shown[0][0] and "2021-10-28" in shown[0][0]


def remind_again(city: City) -> None:
    """November: one was reached, one was not, of one nobody said anything; the case is overdue."""
    day = dt.date(2021, 11, 8)
    city.answer("2021-10", "2021-11", {REACHED: ("已通知", day), WRONG: ("未联系上", day)})
    city.run_month("2021-11")
    assert city.list_reminders("2021-11") == {
        WRONG: "第 2 次，上次未联系上", SILENT: "第 2 次，上次没有结果"
    }  # fmt: skip
    assert [one["detail"] for one in city.find("2021-11", "overdue_cases")] == ["Y1"]
    assert "Y1" in city.explain("2021-11", OBJECTOR)
    assert "2021-10-28" in city.explain("2021-11", OBJECTOR)
    assert not (city.arrived("to_police", "2021-11") / "公安.xlsx").exists()


def return_wrong_number(city: City) -> None:
    """December: the number is wrong, which the police get; the case is upheld, late, with a level."""
    city.answer("2021-11", "2021-12", {WRONG: ("号码有误", dt.date(2021, 12, 6))})
    city.decide(
        city.arrived("to_education", "2021-11") / "objections.xlsx", "2021-12", "Y1",
        处理结果="成立", 更正值="本科", 生效日期=dt.date(2021, 9, 30), 决定日期=dt.date(2021, 12, 10),
    )  # fmt: skip
    city.run_month("2021-12")
    assert city.list_reminders("2021-12") == {SILENT: "第 3 次，上次没有结果"}
    (row,) = read_sheet(city.arrived("to_police", "2021-12") / "公安.xlsx")
    assert (row["处理"], row["栏目"]) == ("电话号码有误", "联系电话")
    assert WRONG in row["交付的内容"] and PHONE in row["交付的内容"]
    assert [one["count"] for one in city.find("2021-12", "wrong_numbers")] == [1]
    assert [one["count"] for one in city.find("2021-12", "late_decisions")] == [1]
    assert city.find("2021-12", "overdue_cases") == []
    before, after = (city.world.score(month, OBJECTOR) for month in ("2021-11", "2021-12"))
    assert after["education_points"] > before["education_points"]
    assert "最高学历为 本科（案件 Y1）" in city.explain("2021-12", OBJECTOR)


def finish_reminder(city: City) -> None:
    """January, February: the registry has another number, the person is reminded, and it is done."""
    city.phone = NEW_PHONE
    city.run_month("2022-01")
    assert city.list_reminders("2022-01") == {WRONG: "第 3 次，号码已更正"}
    assert city.find("2022-01", "wrong_numbers") == []
    assert not (city.arrived("to_police", "2022-01") / "公安.xlsx").exists()
    city.doctors.append(LATER)
    city.answer("2022-01", "2022-02", {WRONG: ("已办理", dt.date(2022, 2, 7))})
    city.run_month("2022-02")
    assert city.list_reminders("2022-02") == {LATER: "第 1 次"}


def withdraw_reminder(city: City) -> None:
    """February again: a degree was not true; the district gets the reminder that does not hold."""
    city.doctors.remove(LATER)
    city.run_month("2022-02")
    assert city.world.revision("2022-02").number == 2
    assert city.world.revision("2022-02").manifest.reminders_withdrawn == {"service_reached": 1}
    there = city.arrived("to_haishu", "2022-02")
    assert there.name == "r2" and read_summary(there.parent)["replaces"] == "r1"
    withdrawn = read_csv(there / "withdrawn.csv")
    assert [row["公民身份号码"].strip() for row in withdrawn] == [LATER]
    assert city.list_reminders("2022-02") == {}


def decide_in_district(city: City) -> None:
    """March, April: a case about the district's own indicator comes with its package, and is decided in time.

    A report without a known outcome comes back to the district alone.
    """
    city.file_objection("Y2", f"{HAISHU}:mentoring", "2022-03-21", SECOND_CLAIM)
    city.answer("2022-01", "2022-03", {WRONG: ("打过电话", dt.date(2022, 3, 3))})
    city.run_month("2022-03")
    there = city.arrived("to_haishu", "2022-03")
    (case,) = read_sheet(there / "objections.xlsx")
    assert (case["案件编号"], case["期限状态"]) == ("Y2", "未到期")
    (refused,) = read_sheet(there / "returns.xlsx")
    assert (refused["处理"], refused["栏目"]) == ("整行退回", "办理结果")
    city.decide(
        there / "objections.xlsx", "2022-04", "Y2",
        处理结果="不成立", 生效日期=dt.date(2022, 4, 1), 决定日期=dt.date(2022, 4, 7),
    )  # fmt: skip
    city.run_month("2022-04")
    assert city.world.revision("2022-04").manifest.cases == {
        f"{HAISHU}:mentoring": {
            "open": 0, "due": 0, "overdue": 0, "upheld": 0, "rejected": 1, "late": 0,
        }
    }  # fmt: skip
    assert not (city.arrived("to_haishu", "2022-04") / "objections.xlsx").exists()


def find_no_names(city: City) -> None:
    """Nobody is named, and no free text repeated, in reports, run records, receipts."""
    root = city.world.root
    texts = [
        file.read_text("utf-8", errors="replace")
        for folder in (root.runs, root.months, root.delivered)
        for file in folder.rglob("*")
        if file.is_file() and (
            file.name == "manifest.json" or file.parent.name in ("runs", "report")
            or root.delivered in file.parents
        )
    ]  # fmt: skip
    assert len(texts) > len(MONTHS)
    for secret in (*PEOPLE, PHONE, NEW_PHONE, CLAIM, SECOND_CLAIM):
        assert not any(secret in text for text in texts)


def read_csv(path: Path) -> Sequence[Mapping[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))
