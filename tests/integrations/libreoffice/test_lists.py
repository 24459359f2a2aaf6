"""A clerk's lists in LibreOffice: what stands there is what we wrote, whatever somebody put into a name."""

from __future__ import annotations

import csv
import datetime as dt
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from tests.support.lists import read_csv
from tests.support.office import TO_CSV, converted
from tests.support.packages import YINZHOU, Person, export, write_revision

NAMES = [
    "=1+1",
    "@SUM(1)",
    "+1",
    "-1",
    "'=1",
    "\t=1+1",
    '=HYPERLINK("http://x";"y")',
    "=cmd|' /C calc'!A1",
    "张;三",
    "李,四",
]
COMMUNITY = '东湖"花园";一期\n二幢'
NOTE = "张**，请办理：\n一、签注；\n二;=登记"
ID, PHONE, POINTS = "公民身份号码", "联系电话", "总分"


def resident_id(number: int) -> str:
    return f"33020619800101{number:03d}{'X' if number % 2 else '7'}"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    people = [
        Person(f"{n:032x}", resident_id(n), name=name, phone=f"0574{n:08d}", community=COMMUNITY,
               points={"total_points": f"-{n}.25", "deduction_points": "20"})
        for n, name in enumerate(NAMES)
    ]  # fmt: skip
    eligible = [(person.key, "rent_subsidy", "330212", True, 0, 404) for person in people]
    reminders: list[dict[str, Any]] = [
        {"resident_id": p.resident_id, "name": p.name, "phone": p.phone, "district": "330212", "text": NOTE,
         "due_on": "2021-12-24"}
        for p in people
    ]  # fmt: skip
    revision = write_revision(tmp_path_factory.mktemp("month") / "r1", people, eligible, reminders)
    export(revision, [YINZHOU])
    return revision / "exports" / "330212"


@pytest.fixture(scope="module")
def opened(
    package: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[dict[str, Any]]]:
    """The CSV lists as LibreOffice sees them: for each the rows, header -> cell."""
    files = sorted(package.glob("*.csv"))
    return {
        made.stem: rows(made)
        for made in converted(files, "xlsx", tmp_path_factory.mktemp("opened"))
    }


def rows(workbook: Path) -> list[dict[str, Any]]:
    sheet = openpyxl.load_workbook(workbook).worksheets[0]
    headers, *lines = sheet.iter_rows()
    assert not [
        cell for line in lines for cell in line if cell.data_type not in ("s", "n", "d")
    ]  # "f" would be a formula
    return [
        {str(head.value): cell.value for head, cell in zip(headers, line, strict=True)}
        for line in lines
    ]


def test_a_formula_would_be_seen(tmp_path: Path) -> None:
    """What a list without our care becomes: a cell that runs, a number that has lost its digits, a cell too many."""
    (tmp_path / "list.csv").write_text(f"a,b,c\n=1+1,{resident_id(0)},张;三\n", encoding="utf-8")
    (made,) = converted([tmp_path / "list.csv"], "xlsx", tmp_path / "out")
    cells = list(openpyxl.load_workbook(made).worksheets[0][2])
    assert [cell.data_type for cell in cells] == ["f", "n", "s", "s"]


def test_every_cell_of_the_csv_is_where_it_belongs(opened: dict[str, list[dict[str, Any]]]) -> None:
    assert {name: len(lines) for name, lines in opened.items()} == dict.fromkeys(opened, len(NAMES))
    assert len(opened) == 3 and all(
        line["月份"] == "2021年11月" for lines in opened.values() for line in lines
    )


@pytest.mark.promise("outputs-11", "Clerk: an ID stays an ID in a spreadsheet")
@pytest.mark.parametrize("name", ["scores", "eligibility", "reminders"])
def test_ids_phones_names_and_numbers_are_right_in_the_csv(
    name: str, opened: dict[str, list[dict[str, Any]]]
) -> None:
    lines = {str(line[ID]).strip(): line for line in opened[name]}
    for number, given in enumerate(NAMES):
        line = lines[resident_id(number)]
        assert isinstance(line[PHONE], str) and line[PHONE] == f"\t0574{number:08d}"
        assert line["姓名"] == (given if given[0] in "张李" else f"'{given}")
        if name != "reminders":
            assert (line["居住小区"], line[POINTS]) == (COMMUNITY, -(number + 0.25))
        else:
            assert (line["内容"], line["截止日期"]) == (NOTE, dt.datetime(2021, 12, 24))


def test_our_reader_takes_the_same_csv_back_unchanged(package: Path) -> None:
    found = {row[ID]: (row["姓名"], row[PHONE]) for row in read_csv(package / "scores.csv")}
    assert found == {resident_id(n): (name, f"0574{n:08d}") for n, name in enumerate(NAMES)}


@pytest.mark.proves("sources-157", "outputs-11")
def test_the_workbook_is_right_and_none_of_its_cells_runs(package: Path, tmp_path: Path) -> None:
    (made,) = converted([package / "reminders.xlsx"], TO_CSV, tmp_path)
    with made.open(encoding="utf-8", newline="") as text:
        lines = {line[ID]: line for line in csv.DictReader(text)}
    assert {
        n: (lines[resident_id(n)]["姓名"], lines[resident_id(n)][PHONE]) for n in range(len(NAMES))
    } == {n: (name, f"0574{n:08d}") for n, name in enumerate(NAMES)}
    assert {line["内容"] for line in lines.values()} == {NOTE}
    (saved,) = converted([package / "reminders.xlsx"], "xlsx", tmp_path)
    assert {row[ID]: row["姓名"] for row in rows(saved)} == {
        resident_id(n): name for n, name in enumerate(NAMES)
    }
