"""What stands in a district's package: its own people, no more of them than a clerk needs, in cells that stay as they are."""

from __future__ import annotations

import csv
import hashlib
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pytest

from reports.packages import build
from tests.support.lists import read_csv
from tests.support.packages import (
    HAISHU,
    POLICY,
    YINZHOU,
    Person,
    export,
    files,
    manifest,
    many,
    read_contents,
    write_revision,
)
from transforms.engine.session import EngineSettings

ID, PHONE, ID_COLUMN = "330206198001010016", "057412345678", "公民身份号码"
TRICKY = [
    Person(
        "a" * 32,
        ID,
        name="=1+1",
        phone=PHONE,
        points={"total_points": "-3.50", "deduction_points": "20"},
    ),
    Person("b" * 32, "33020619800101003X", name="@SUM(A1)", phone=None, community="-2\n二号楼"),
    Person(
        "c" * 32, "330206198001010059", name="'=平安", phone="+8613800000000", community='丁"香",苑'
    ),
    Person("d" * 32, "330206198001010075", name=None, community=None),
]
NOTE = "张**，请办理：\n一、签注；\n二、=登记"


def tricky_reminder(**more: Any) -> dict[str, Any]:
    return {
        "resident_id": ID,
        "name": "=1+1",
        "phone": PHONE,
        "district": "330212",
        "text": NOTE,
        **more,
    }


def raw(path: Path) -> list[list[str]]:
    """A CSV as any reader sees it that knows nothing of our cells."""
    with path.open(encoding="utf-8-sig", newline="") as text:
        return list(csv.reader(text))


@pytest.fixture
def package(tmp_path: Path) -> Path:
    eligible = [("a" * 32, "rent_subsidy", "330212", True, 0, 404)]
    reminders = [
        tricky_reminder(due_on="2021-12-24"),
        tricky_reminder(service="rent_subsidy", added_in=2),
    ]
    revision = write_revision(tmp_path / "r1", [*TRICKY, *many(1, "330203")], eligible, reminders)
    export(revision, [YINZHOU, HAISHU])
    return revision / "exports" / "330212"


@pytest.mark.promise("outputs-127", "Chinese headers, UTF-8 with BOM")
def test_csv_files_have_a_bom_and_chinese_headers(package: Path) -> None:
    for name in ("scores.csv", "eligibility.csv", "reminders.csv"):
        assert (package / name).read_bytes().startswith("\ufeff月份,".encode())
        headers = raw(package / name)[0]
        assert ID_COLUMN in headers and len(set(headers)) == len(headers)
        assert all(any("\u4e00" <= letter <= "\u9fff" for letter in header) for header in headers)


@pytest.mark.promise("outputs-131", "IDs and phones begin with one TAB inside quotes")
def test_ids_and_phones_begin_with_one_tab_inside_quotes(package: Path) -> None:
    text = (package / "scores.csv").read_text(encoding="utf-8")
    assert f'2021年11月,"\t{ID}",' in text and f'"\t{PHONE}"' in text
    headers, *rows = raw(package / "scores.csv")
    phones = [row[headers.index("联系电话")] for row in rows]
    assert phones == [f"\t{PHONE}", "", "\t+8613800000000", "\t01387654321"]


@pytest.mark.promise(
    "outputs-132", "Text that could run gets an apostrophe; numbers are left alone"
)
def test_formula_like_text_gets_an_apostrophe_numbers_do_not(package: Path) -> None:
    headers, *rows = raw(package / "scores.csv")
    assert [row[headers.index("姓名")] for row in rows] == ["'=1+1", "'@SUM(A1)", "''=平安", ""]
    assert [row[headers.index("居住小区")] for row in rows] == [
        "东湖花园",
        "'-2\n二号楼",
        '丁"香",苑',
        "",
    ]
    assert (
        rows[0][headers.index("总分")] == "-3.50" and rows[0][headers.index("扣分合计")] == "20.00"
    )


@pytest.mark.promise("sources-157", "spreadsheet cells cannot run")
def test_no_csv_cell_starts_a_formula_except_negative_numbers(package: Path) -> None:
    for path in package.glob("*.csv"):
        for row in raw(path)[1:]:
            for cell in row:
                assert cell[:1] not in set("=+@\r") and (cell[:1] != "-" or Decimal(cell) < 0)


def test_a_formula_like_title_gets_an_apostrophe(tmp_path: Path) -> None:
    city = POLICY.city
    section, other = city.sections["base"], city.indicators["age"]
    titled = city.model_copy(
        update={
            "indicators": {
                **city.indicators,
                "age": other.model_copy(update={"title": '=HYPERLINK("http://x","年龄")'}),
            },
            "sections": {**city.sections, "base": section.model_copy(update={"title": "'@基础分"})},
        }
    )
    revision = write_revision(tmp_path / "r1", many(1, "330212"))
    export(revision, [YINZHOU], policy=replace(POLICY, city=titled))
    headers = raw(revision / "exports" / "330212" / "scores.csv")[0]
    assert """'=HYPERLINK("http://x","年龄")""" in headers and "''@基础分" in headers
    assert not {header[0] for header in headers} & set("=+-@\t\r")


def test_our_reader_takes_a_csv_back_unchanged(package: Path) -> None:
    rows = list(read_csv(package / "scores.csv"))
    assert [(row[ID_COLUMN], row["姓名"], row["联系电话"], row["居住小区"]) for row in rows] == [
        (person.resident_id, person.name, person.phone, person.community) for person in TRICKY
    ]
    assert [row["内容"] for row in read_csv(package / "reminders.csv")] == [NOTE, NOTE]


@pytest.mark.promise("outputs-133", "XLSX has text cells")
def test_every_xlsx_cell_is_text_as_it_was(package: Path) -> None:
    sheet = openpyxl.load_workbook(package / "reminders.xlsx").worksheets[0]
    headers, *rows = ([cell.value for cell in row] for row in sheet.iter_rows())
    assert (headers.pop(0), [row.pop(0) for row in rows]) == ("序号", [1, 2])
    assert (headers.pop(), [row.pop() for row in rows]) == ("提醒编号", ["0", "0"])
    second, first = rows
    assert first == dict_row(
        headers,
        月份="2021年11月",
        提醒事项="居住证签注",
        截止日期="2021-12-24",
        首次列入版本="r1",
        提醒次数="第 1 次",
    )
    assert second == dict_row(
        headers,
        月份="2021年11月",
        提醒事项="居住证签注",
        服务="公租房租赁补贴",
        首次列入版本="r2",
        提醒次数="第 1 次",
    )
    assert {
        (cell.data_type, cell.number_format)
        for row in sheet.iter_rows(min_col=2)
        for cell in row
        if cell.value is not None
    } == {("s", "@")}


def dict_row(headers: list[str], **given: str) -> list[str | None]:
    row = {**given, ID_COLUMN: ID, "姓名": "=1+1", "联系电话": PHONE, "内容": NOTE}
    return [row.get(header) for header in headers]


def test_parquet_holds_the_same_with_plain_values(package: Path) -> None:
    rows = duckdb.sql(
        f"SELECT resident_id, name, phone, total_points, month::VARCHAR FROM '{package}/scores.parquet'"
    )
    assert rows.fetchall()[0] == (ID, "=1+1", PHONE, Decimal("-3.50"), "2021-11-01")


@pytest.mark.promise(
    "outputs-130", "Positive indicators, section sums, one sum of deductions, no key"
)
def test_a_clerk_sees_deductions_only_as_one_sum(package: Path) -> None:
    headers = raw(package / "scores.csv")[0]
    assert headers == [
        *("月份", ID_COLUMN, "姓名", "联系电话", "居住小区"),
        *("年龄", "持证居住", "缴纳社保", "文化程度", "职业技能", "就业", "住房"),
        *("紧缺岗位", "带动就业", "发明创造", "表彰奖励", "公益活动", "无偿献血", "无偿捐献"),
        *("规范租住", "公益积分", "基础分", "加分", "扣分合计", "共性分", "个性分", "总分"),
    ]
    columns = duckdb.sql(f"DESCRIBE FROM '{package}/scores.parquet'").fetchall()
    names = {name for name, *_ in columns}
    subtracted = {code for code, i in POLICY.city.indicators.items() if i.section == "deduction"}
    assert len(subtracted) == 4 and not {f"{code}_points" for code in subtracted} & names
    assert "resident_key" not in names and "corrected" not in names
    assert not any(name.startswith("d3302") and not name.startswith("d330212_") for name in names)


def test_eligibility_shows_class_rank_and_the_score_that_counts(package: Path) -> None:
    headers = raw(package / "eligibility.csv")[0]
    assert headers[:4] == ["月份", "服务", "排名类别", "排名"] and "所计积分" in headers
    assert headers[-6:] == ["总分", "基础分", "加分", "扣分合计", "共性分", "个性分"]


@pytest.mark.proves("outputs-130")
def test_neither_files_nor_row_order_reveal_pseudonyms(package: Path) -> None:
    for path in files(package):
        assert all(person.key.encode() not in path.read_bytes() for person in TRICKY)
    ids = [row[ID_COLUMN] for row in read_csv(package / "scores.csv")]
    assert ids == sorted(str(row) for row in ids)


@pytest.mark.promise("outputs-125", "The files of a package, manifest with hashes and rows")
def test_the_manifest_holds_for_every_file(package: Path) -> None:
    found = manifest(package)
    assert found.keys() == {"month", "revision", "district", "name", "files"}
    assert (found["month"], found["revision"], found["district"], found["name"]) == (
        "2021-11",
        2,
        "330212",
        "鄞州区",
    )
    assert found["files"].keys() == {path.name for path in files(package)} - {"manifest.json"}
    for name, facts in found["files"].items():
        content = (package / name).read_bytes()
        assert facts == {"sha256": hashlib.sha256(content).hexdigest()}
    rows = {name: facts["rows"] for name, facts in read_contents(package)["files"].items()}
    assert rows == {
        **{"scores.parquet": 4, "scores.csv": 4, "summary.html": 4, "eligibility.csv": 1},
        **{"reminders.csv": 2, "reminders.xlsx": 2},
    }


@pytest.mark.proves("points-173")
def test_months_without_services_and_reminders_give_lists_with_headers_only(tmp_path: Path) -> None:
    revision = write_revision(tmp_path / "r1", many(3, "330212"))
    counts = export(revision, [YINZHOU, HAISHU])
    assert counts == {"districts": 2, "residents": 3, "eligibility": 0, "reminders": 0}
    for district, people in (("330212", 3), ("330203", 0)):
        folder = revision / "exports" / district
        assert len(raw(folder / "scores.csv")) == 1 + people
        assert len(raw(folder / "eligibility.csv")) == len(raw(folder / "reminders.csv")) == 1
        assert openpyxl.load_workbook(folder / "reminders.xlsx").worksheets[0].max_row == 1


def test_a_city_without_services_or_reminders_declared_has_packages_too(tmp_path: Path) -> None:
    revision = write_revision(tmp_path / "r1", many(3, "330212"))
    bare = replace(POLICY, services={}, reminders={})
    assert export(revision, [YINZHOU], policy=bare)["residents"] == 3


@pytest.mark.promise("outputs-126", "Only that district's residents, identified")
def test_a_package_has_exactly_its_district_residents(tmp_path: Path) -> None:
    """November: 1 stayed in 鄞州, 2 moved in from 海曙, 3 moved out to 海曙, 4 left, 5 is new in 鄞州."""
    stayed, came, went, left, new = many(5, "330212")
    elsewhere = {"district": "330203"}
    october = [stayed, Person(**{**vars(came), **elsewhere}), went, left]
    went_now = Person(**{**vars(went), **elsewhere})
    november = [stayed, came, went_now, new]
    eligible = [(p.key, "rent_subsidy", p.district, True, 0, None) for p in november]
    reminders = [
        # the list of a revision that was replaced may name the district where someone lived then, and people who left
        {"resident_id": p.resident_id, "district": "330212", "text": "请办理"}
        for p in (stayed, came, went, left, new)
    ]
    before = write_revision(tmp_path / "before", october)
    revision = write_revision(tmp_path / "r1", november, eligible, reminders)
    export(revision, [YINZHOU, HAISHU], before)
    for district, people in (("330212", [stayed, came, new]), ("330203", [went])):
        folder = revision / "exports" / district
        ids = {person.resident_id for person in people}
        for name in ("scores.csv", "eligibility.csv", "reminders.csv"):
            listed = [row[ID_COLUMN] for row in read_csv(folder / name)]
            assert set(listed) == ids and len(listed) == len(ids)
        sheet = openpyxl.load_workbook(folder / "reminders.xlsx").worksheets[0]
        place = [cell.value for cell in sheet[1]].index(ID_COLUMN)
        assert {row[place] for row in sheet.iter_rows(min_row=2, values_only=True)} == ids
        in_parquet = duckdb.sql(f"SELECT resident_id FROM '{folder}/scores.parquet'").fetchall()
        assert {row[0] for row in in_parquet} == ids


@pytest.mark.promise(
    "outputs-128", "Eligibility: rank by the score that counts, what is lacking in words"
)
def test_eligibility_is_ranked_and_states_what_is_lacking(tmp_path: Path) -> None:
    def person(number: int, total: str, base: str, off: str = "0") -> Person:
        points = {"total_points": total, "base_points": base, "deduction_points": off}
        return Person(f"{number:032x}", f"3302061980{number:08d}", points=points)

    people = [
        person(1, "60", "50"),
        person(2, "60", "55"),
        person(3, "60", "55"),
        person(4, "70", "40"),
        person(5, "80", "1"),
    ]
    service = "school_enrolment"
    rows = [(p.key, service, "330212", True, 0, None) for p in people[:4]]
    rows += [
        (people[4].key, service, "330212", False, "3.50", None),
        (people[0].key, "rent_subsidy", "330212", True, 0, 404),
    ]
    revision = write_revision(tmp_path / "r1", people, rows)
    export(revision, [YINZHOU])
    listed = list(read_csv(revision / "exports" / "330212" / "eligibility.csv"))
    assert [
        (r["服务"], r["排名"], str(r[ID_COLUMN])[-1], r["是否达标"], r["尚缺"], r["每月金额（元）"])
        for r in listed
    ] == [
        ("积分入学", "1", "4", "是", None, None),
        ("积分入学", "2", "1", "是", None, None),
        ("积分入学", "2", "2", "是", None, None),
        ("积分入学", "2", "3", "是", None, None),
        ("积分入学", "5", "5", "否", "积分还差 3.50 分", None),
        ("公租房租赁补贴", "1", "1", "是", None, "404.00"),
    ]


def test_a_ranked_service_is_listed_by_its_own_ranks(tmp_path: Path) -> None:
    people = many(3, "330212", total_points="60")
    places = [("有房", 2), ("有房", 1), (None, 3)]
    rows = [
        (person.key, "school_enrolment", "330212", True, 0, None, *place)
        for person, place in zip(people, places, strict=True)
    ]
    revision = write_revision(tmp_path / "r1", people, rows)
    export(revision, [YINZHOU])
    listed = read_csv(revision / "exports" / "330212" / "eligibility.csv")
    assert [(row["排名类别"], row["排名"], row["姓名"], row["所计积分"]) for row in listed] == [
        ("有房", "1", "李2", "60.00"),
        ("有房", "2", "李1", "60.00"),
        (None, "3", "李3", "60.00"),
    ]


@pytest.mark.promise("outputs-134", "XLSX split at 100,000 rows, CSV at 500,000")
def test_long_lists_are_split_and_short_ones_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (build.CSV_ROWS, build.XLSX_ROWS) == (500_000, 100_000)
    monkeypatch.setattr(build, "CSV_ROWS", 4)
    monkeypatch.setattr(build, "XLSX_ROWS", 2)
    people = many(9, "330212")
    reminders = [
        {"resident_id": p.resident_id, "district": "330212", "text": "请办理"} for p in people[:4]
    ]
    revision = write_revision(tmp_path / "r1", people, [], reminders)
    export(revision, [YINZHOU])
    folder = revision / "exports" / "330212"
    rows = {name: facts["rows"] for name, facts in read_contents(folder)["files"].items()}
    assert rows == {
        **{
            "scores.parquet": 9,
            "scores-1.csv": 4,
            "scores-2.csv": 4,
            "scores-3.csv": 1,
            "summary.html": 9,
        },
        **{"eligibility.csv": 0, "reminders.csv": 4, "reminders-1.xlsx": 2, "reminders-2.xlsx": 2},
    }
    parts = [
        [row[ID_COLUMN] for row in read_csv(folder / f"scores-{part}.csv")] for part in (1, 2, 3)
    ]
    assert [len(part) for part in parts] == [4, 4, 1]
    assert [one for part in parts for one in part] == [person.resident_id for person in people]


def test_a_package_of_an_aborted_run_is_rebuilt(tmp_path: Path) -> None:
    revision = write_revision(tmp_path / "r1", many(2, "330212"))
    half = revision / "exports" / "330212" / "scores-7.csv"
    half.parent.mkdir(parents=True)
    half.write_text("half")
    export(revision, [YINZHOU])
    assert not half.exists() and (half.parent / "manifest.json").exists()


@pytest.mark.slow
@pytest.mark.promise("outputs-103", "... of lists large enough to spill")
def test_the_same_bytes_whatever_threads_and_memory(tmp_path: Path) -> None:
    """Enough people that several threads write at once and the sort spills."""
    people = write_revision(tmp_path / "one", many(1, "330212"))
    crowd = "SELECT * REPLACE (lpad(to_hex(hash(i)), 32, '0') AS resident_key{}) FROM '{}/*.parquet', range(150000) AS r(i)"
    for folder, more in (
        ("scores", ""),
        ("restricted/identities", ", '330206' || lpad(i::VARCHAR, 12, '0') AS resident_id"),
    ):
        for run in ("a", "b"):
            target = tmp_path / run / folder
            target.mkdir(parents=True)
            select = crowd.format(more, people / folder).replace(
                "SELECT * ", "SELECT * EXCLUDE (i) ", 1
            )
            duckdb.sql(
                f"COPY ({select} ORDER BY resident_key) TO '{target}/{target.name}.parquet' (ROW_GROUP_SIZE 20000)"
            )
    export(tmp_path / "a", [YINZHOU], settings=EngineSettings("1GB", 1))
    export(tmp_path / "b", [YINZHOU], settings=EngineSettings("120MB", 4))
    first, second = (
        [path.read_bytes() for path in files(tmp_path / run / "exports")] for run in ("a", "b")
    )
    assert first == second and len(first) == 8
