"""What districts report of reminders: lists come back filled in, and decide who is reminded again."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from tests.support.answers import fill_workbook, read_sheet
from tests.support.rekeying import change_key
from tests.support.replay import (
    count_differences,
    list_published_tables,
    read_statements,
    replay_month,
)
from tests.support.world import World, national_id
from transforms.engine.parquet import read_parquet_sql
from transforms.engine.portable import find_unportable
from transforms.engine.session import EngineSettings, open_engine

PEOPLE = [national_id(f"3302031990061530{n}") for n in range(1, 7)]
ALONE = national_id("33021219900615307")  # the only one of another district
MONTHS = ("2021-09", "2021-10", "2021-11", "2021-12", "2022-01")
PHONE, NEW_PHONE = "05740000000", "05741111111"


class Town:
    """Six doctors of one district and one of another, who reach a service in 2021-10."""

    def __init__(self, folder: Path) -> None:
        self.world = World(folder, only=("registry", "social_security", "education"))
        self.phones = dict.fromkeys([*PEOPLE, ALONE], PHONE)
        self.degrees = [*PEOPLE, ALONE]

    def run(self, month: str) -> None:
        degree = {"kind": "degree", "level": "doctor", "awarded_on": "2015-06-30"}
        self.world.deliver(
            month,
            registry=[
                {
                    "resident_id": one, "name": "例女士", "phone": phone, "status": "resident",
                    "residence_district": "330212" if one == ALONE else "330203",
                    "registered_on": "2011-01-01", "permit_issued_on": "2011-01-01",
                    "permit_valid_to": "2030-01-01", "updated_on": f"{month}-01",
                }
                for one, phone in self.phones.items()
            ],
            social_security=[
                {
                    "resident_id": one, "insurance": "pension", "month": month,
                    "district": "330203", "kind": "paid", "posted_on": f"{month}-20",
                }
                for one in self.phones
            ],
            education=[
                {**degree, "certificate_no": f"F{month}", "resident_id": national_id("33020319500101001")},
                *(
                    {**degree, "certificate_no": one, "resident_id": one}
                    for one in (self.degrees if month > "2021-09" else ())
                ),
            ],
        )  # fmt: skip
        self.world.run(month, accept="小城")

    def workbook(self, month: str, district: str = "330203") -> Path:
        return self.world.revision(month).path / "exports" / district / "reminders.xlsx"

    def list_reminders(self, month: str) -> dict[str, tuple[int | None, str | None]]:
        """The health checks of a list: resident -> attempt and last outcome."""
        return {
            row["resident_id"]: (row["attempt"], row["last_outcome"])
            for row in self.world.table(month, "reminders")
            if row["service"] == "health_check"
        }

    def answer(self, listed: str, received: str, answers: dict[str, dict[str, Any]]) -> None:
        """Send the lists of a month back with outcomes by resident, a file for each district."""
        for district in ("330203", "330212"):
            path = self.workbook(listed, district)
            rows = {
                row["公民身份号码"]: row for row in read_sheet(path) if row["服务"] == "免费体检"
            }
            filled = {
                str(rows[one]["提醒编号"]): given for one, given in answers.items() if one in rows
            }
            target = self.world.inbox / received / "reminder_outcomes" / district
            fill_workbook(path, target / "reminders.xlsx", "提醒编号", filled)

    def find(self, month: str, kind: str) -> list[dict[str, Any]]:
        found = self.world.revision(month).manifest.findings or []
        return [one for one in found if one["kind"] == kind]


def outcome(text: str, day: str) -> dict[str, Any]:
    return {"办理结果": text, "办理日期": dt.date.fromisoformat(day), "备注": "三次去电"}


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Town:
    """Four lists, three of them answered."""
    town = Town(tmp_path_factory.mktemp("town"))
    reached, done, declined, unreachable, wrong, _ = PEOPLE
    town.run("2021-09")
    town.run("2021-10")
    town.answer(
        "2021-10",
        "2021-11",
        {
            reached: outcome("已通知", "2021-11-05"),
            done: outcome("已办", "2021-11-05"),
            declined: outcome("不需要", "2021-11-05"),
            unreachable: outcome("未联系上", "2021-11-05"),
            wrong: outcome("空号", "2021-11-06"),
        },
    )
    town.run("2021-11")
    town.phones[wrong] = NEW_PHONE
    town.answer("2021-11", "2021-12", {unreachable: outcome("未联系上", "2021-12-05")})
    town.run("2021-12")
    town.answer("2021-12", "2022-01", {wrong: outcome("已办理", "2022-01-05")})
    town.run("2022-01")
    return town


def test_an_answered_workbook_is_an_extract_as_it_is(town: Town) -> None:
    manifest = town.world.revision("2021-11").manifest
    [account] = [one for one in manifest.accounts if one["source"] == "reminder_outcomes"]
    listed = sum(len(read_sheet(town.workbook("2021-10", one))) for one in ("330203", "330212"))
    assert (account["received"], account["clean"], account["quarantined"]) == (5, 5, 0)
    assert account["unanswered"] == listed - 5 > 0
    assert account["undeclared"] == 0 and account["missing_columns"] == []
    assert not town.world.kept("quarantine", "reminder_outcomes")
    assert town.find("2021-11", "unanswered_rows")[0]["count"] == listed - 5
    assert manifest.outcomes == {
        "reached": 1, "done": 1, "declined": 1, "unreachable": 1, "wrong_number": 1
    }  # fmt: skip


def test_outcomes_are_metrics(town: Town) -> None:
    """Fewer than ten people each, which looks like nobody: the cells say what has been answered."""
    found = {
        (row["district"], row["item"])
        for row in town.world.table("2021-11", "metrics")
        if row["metric"] == "reminders_answered"
    }
    outcomes = ("reached", "done", "declined", "unreachable", "wrong_number")
    assert found == {(place, one) for place in ("330203", "330212", "city") for one in outcomes}


def test_who_was_not_reached_is_reminded_again_at_most_twice(town: Town) -> None:
    _, _, _, unreachable, wrong, silent = PEOPLE
    assert town.list_reminders("2021-10") == dict.fromkeys([*PEOPLE, ALONE], (1, None))
    assert town.list_reminders("2021-11") == {
        unreachable: (2, "unreachable"), silent: (2, "unanswered"), ALONE: (2, "unanswered"),
    }  # fmt: skip
    assert town.list_reminders("2021-12") == {
        unreachable: (3, "unreachable"), silent: (3, "unanswered"), ALONE: (3, "unanswered"),
        wrong: (2, "wrong_number"),
    }  # fmt: skip
    assert town.list_reminders("2022-01") == {}
    assert town.find("2022-01", "reminded_in_vain")[0]["count"] >= 3


def test_the_list_says_which_attempt_it_is(town: Town) -> None:
    _, _, _, unreachable, wrong, silent = PEOPLE
    rows = read_sheet(town.workbook("2021-12"))
    attempts = {row["公民身份号码"]: row["提醒次数"] for row in rows if row["服务"] == "免费体检"}
    assert attempts == {
        unreachable: "第 3 次，上次未联系上", silent: "第 3 次，上次没有结果", wrong: "第 2 次，号码已更正"
    }  # fmt: skip


def test_a_wrong_number_is_returned_to_the_registry_until_it_is_corrected(town: Town) -> None:
    [finding] = town.find("2021-11", "wrong_numbers")
    assert (finding["source"], finding["count"]) == ("registry", 1)
    [row] = [
        row
        for row in town.world.table("2021-11", "restricted/returns/rows")
        if row["kind"] == "wrong_number"
    ]
    assert (
        row["source"] == "registry" and PHONE in row["delivered"] and PEOPLE[4] in row["delivered"]
    )
    assert town.find("2021-12", "wrong_numbers") == []


def test_outcomes_that_name_a_number_of_an_older_key_count_all_the_same(
    tmp_path: Path,
) -> None:
    """The lists that districts were given keep their numbers; the key is changed twice."""
    again = Town(tmp_path)
    reached, done, declined, unreachable, wrong, silent = PEOPLE
    again.run("2021-09")
    again.run("2021-10")
    change_key(again.world)
    answers = {
        reached: outcome("已通知", "2021-11-05"),
        done: outcome("已办", "2021-11-05"),
        declined: outcome("不需要", "2021-11-05"),
        unreachable: outcome("未联系上", "2021-11-05"),
        wrong: outcome("空号", "2021-11-06"),
    }
    again.answer("2021-10", "2021-11", answers)
    again.run("2021-11")
    assert again.list_reminders("2021-11") == {
        unreachable: (2, "unreachable"), silent: (2, "unanswered"), ALONE: (2, "unanswered"),
    }  # fmt: skip
    change_key(again.world)
    again.phones[wrong] = NEW_PHONE
    again.answer("2021-11", "2021-12", {unreachable: outcome("未联系上", "2021-12-05")})
    again.run("2021-12")
    assert again.list_reminders("2021-12") == {
        unreachable: (3, "unreachable"), silent: (3, "unanswered"), ALONE: (3, "unanswered"),
        wrong: (2, "wrong_number"),
    }  # fmt: skip
    for month, count in (("2021-11", 5), ("2021-12", 1)):
        assert again.find(month, "unknown_reminders") == []
        assert sum(again.world.revision(month).manifest.outcomes.values()) == count
    with open_engine(EngineSettings("1GB"), tmp_path / "spill") as session:  # by its sql/ alone
        replay_month(session, again.world, "2021-12")
        published = list_published_tables(again.world.revision("2021-12").path)["reminders"]
        found = count_differences(session, f"FROM {read_parquet_sql(*published)}", "FROM reminders")
    assert found[0] > 0 and found[2] == 0
    statements = read_statements(again.world.revision("2021-12").path)["reminders"]
    assert "renewed_reminder_outcomes" in [one.name for one in statements]
    assert [found for one in statements for found in find_unportable(one.sql)] == []


def test_a_reminder_that_nobody_sent_is_named(tmp_path: Path) -> None:
    town = Town(tmp_path)
    town.run("2021-09")
    town.run("2021-10")
    path = town.world.inbox / "2021-11" / "reminder_outcomes.csv"
    path.parent.mkdir(parents=True)
    path.write_text(
        "提醒编号,办理结果,办理日期,备注\n"
        f"R-404,已通知,2021-11-05,{PEOPLE[0]}\n{PEOPLE[1]},已通知,2021-11-05,\n",
        encoding="utf-8",
    )
    town.run("2021-11")
    [finding] = town.find("2021-11", "unknown_reminders")
    assert finding["count"] == 2 and "R-404" in finding["detail"]
    assert PEOPLE[1][:12] not in str(finding)
    unmatched = [one["source"] for one in town.find("2021-11", "unmatched_rows")]
    assert unmatched == ["education"], "rows that name nobody are about nobody else"


def test_without_outcomes_nobody_is_reminded_again(tmp_path: Path) -> None:
    town = Town(tmp_path)
    for month in MONTHS[:3]:
        town.run(month)
    assert town.list_reminders("2021-11") == {}
    assert town.find("2021-11", "optional_absent") == []


def test_a_month_without_outcomes_after_some_says_so(town: Town, tmp_path: Path) -> None:
    town = Town(tmp_path)
    town.run("2021-09")
    town.run("2021-10")
    town.answer("2021-10", "2021-11", {PEOPLE[0]: outcome("已通知", "2021-11-05")})
    town.run("2021-11")
    town.run("2021-12")
    [finding] = town.find("2021-12", "optional_absent")
    assert finding["source"] == "reminder_outcomes" and "2021-11" in finding["detail"]
    assert town.list_reminders("2021-12") == {}, "nobody can say that these were not answered"
