"""A district's answers through a real spreadsheet: the returned list is an extract as it is."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import duckdb

from expectations.month import Month
from tests.support.answers import fill_workbook, read_sheet
from tests.support.office import converted
from tests.support.packages import YINZHOU, Person, export, write_revision
from tests.support.world import SOURCES, no_key_twice, read_rows
from transforms.clean.delivery import CleaningJob, clean_delivery

SOURCE = SOURCES["reminder_outcomes"]


def test_a_list_saved_by_libreoffice_is_read_without_any_change(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    ids = [f"33020619800101{n:03d}{'X' if n % 2 else '7'}" for n in range(4)]
    people = [Person(f"{n:032x}", one, name="例女士") for n, one in enumerate(ids)]
    listed = [
        {
            "reminder_id": f"{n:024x}", "resident_id": one.resident_id, "name": one.name,
            "district": "330212", "text": "请办理",
        }
        for n, one in enumerate(people)
    ]  # fmt: skip
    revision = write_revision(tmp_path / "r1", people, [], listed)
    export(revision, [YINZHOU])
    book = revision / "exports" / "330212" / "reminders.xlsx"
    first, second, *_ = (str(row["提醒编号"]) for row in read_sheet(book))
    answers = {
        first: {
            "办理结果": "已通知",
            "办理日期": dt.date(2021, 12, 3),
            "备注": "=1+1 不是公式"[1:],
        },
        second: {"办理结果": "空号", "办理日期": "2021/12/4"},
    }
    fill_workbook(book, tmp_path / "filled" / "reminders.xlsx", "提醒编号", answers)
    (saved,) = converted([tmp_path / "filled" / "reminders.xlsx"], "xlsx", tmp_path / "saved")
    job = CleaningJob(SOURCE, Month.parse("2021-12"), 1, (saved,), None, frozenset(), "inputs")
    gate = no_key_twice(connection, SOURCE)
    account = clean_delivery(connection, job, tmp_path / "root", tmp_path / "work", gate)
    rows = read_rows(job.folder(tmp_path / "root", "clean"))
    found = {row["reminder_id"]: (row["outcome"], row["on_date"]) for row in rows}
    assert found == {
        first: ("reached", dt.date(2021, 12, 3)), second: ("wrong_number", dt.date(2021, 12, 4))
    }  # fmt: skip
    assert (account.received, account.unanswered, account.undeclared) == (2, 2, [])
    assert not account.reasons and not account.missing_columns
