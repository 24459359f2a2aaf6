"""In the inbox nothing is invisible: a file is a source's, known to be none, or named."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expectations.findings import FindingKind
from expectations.month import Month
from flows.extract.inbox import (
    InboxContents,
    InboxRules,
    build_inbox_rules,
    explain_unknown,
    list_ignored_findings,
    parse_month_folder,
    scan_inbox,
)
from flows.settings import InboxSettings, Paths, Settings, SourceSettings
from tests.support.world import SOURCES

DECEMBER = Month.parse("2021-12")
EDUCATION = SOURCES["education"].model_copy(update={"file_names": ["学历库", "RS-EDU"]})
DECLARED = {**SOURCES, "education": EDUCATION}


def rules_of(ignore: list[str] | None = None, **sources: SourceSettings) -> InboxRules:
    settings = Settings(
        paths=Paths(root=Path("root"), inbox=Path("inbox")),
        inbox=InboxSettings(ignore=ignore or []),
        sources=sources,
    )
    return build_inbox_rules(DECLARED, settings)


def put(inbox: Path, *names: str) -> Path:
    for name in names:
        path = inbox / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return inbox


def scan(inbox: Path, *names: str, rules: InboxRules | None = None) -> InboxContents:
    return scan_inbox(put(inbox, *names), rules or rules_of())


@pytest.mark.parametrize(
    "name",
    [
        *(
            "education.csv",
            "EDUCATION.CSV",
            "Education.Parquet",
            "education.tsv.gz",
            "education.zip",
        ),
        *("学历与职业技能.xlsx", "学历与职业技能 202112.csv", "人社_学历与职业技能_202112.csv"),
        *("2021-12 education.csv", "education_2021-12.csv", "学历与职业技能（2021年12月）.xlsx"),
        *("市人社局-education-20220104.csv", "海曙区 学历与职业技能 12月.csv", "education(1).csv"),
        *("education (2).csv", "education - 副本.csv", "教育局、人社局学历与职业技能.csv"),
        *("学历库.csv", "rs-edu_202112.csv", "ｅｄｕｃａｔｉｏｎ.csv", "education.csv.zst"),
        *("学历与职业技能数据_202112.csv", "学历与职业技能信息汇总表（12月）.xlsx"),
        *(
            "人社_学历与职业技能明细(1).csv",
            "2021年12月学历与职业技能表.csv",
            "education数据/1.csv",
        ),
        *("education/part-0001.csv", "学历与职业技能/1.csv", "人社_education_202112/p.parquet"),
    ],
)
def test_a_name_with_month_and_department_around_it_is_the_sources(
    tmp_path: Path, name: str
) -> None:
    contents = scan(tmp_path, f"2021-12/{name}")
    assert list(contents.offers) == [("education", DECEMBER)] and not contents.unknown


@pytest.mark.parametrize(
    "name",
    [
        *("人社_202112.csv", "education.xls", "education", "education_final.csv", "educations.csv"),
        *("学历与职业技能_旧.csv", "说明.docx", "medical_credit.csv", "education_202111.csv"),
        *("学历与职业技能_11月.csv", "education.csv.bak", "backup/education.csv", "readme"),
        *("学历与职业技能表旧.csv", "学历与职业技能数据2.csv", "学历与职业技能数据_202111.csv"),
        *("education1.csv", "学历.csv", "education_old/p.csv"),
    ],
)
def test_any_other_name_is_unknown_and_named(tmp_path: Path, name: str) -> None:
    contents = scan(tmp_path, f"2021-12/{name}")
    [entry] = contents.unknown
    assert not contents.offers and entry.month == DECEMBER
    [(finding, error)] = explain_unknown(contents.unknown, tmp_path, DECLARED)
    top = name.split("/")[0]
    assert f"2021-12/{top}" in error.message and error.code == 11 and "ignore" in error.hint
    assert (finding.kind, finding.detail) == (FindingKind.UNKNOWN_FILE, f"2021-12/{top}")


@pytest.mark.parametrize(
    "name", ["education.csv", "2021-13/a.csv", "十二月/education.csv", "x.zip"]
)
def test_what_lies_outside_of_the_months_is_unknown(tmp_path: Path, name: str) -> None:
    contents = scan(tmp_path, name)
    [entry] = contents.list_unknown(DECEMBER)
    assert entry.path == tmp_path / name.split("/")[0] and entry.month is None


def test_the_unknown_of_later_months_wait(tmp_path: Path) -> None:
    contents = scan(tmp_path, "2022-01/x.csv", "2021-12/y.csv")
    assert [entry.path.name for entry in contents.list_unknown(DECEMBER)] == ["y.csv"]


@pytest.mark.parametrize(
    "name",
    [
        *("Thumbs.db", ".DS_Store", "~$education.xlsx", "desktop.ini", "education.csv.part"),
        *("education.csv.tmp", ".education.csv.swp", "_SUCCESS", "~WRL0001.tmp"),
    ],
)
@pytest.mark.parametrize("folder", ["", "2021-12/", "2021-12/education/"])
def test_what_programs_leave_behind_is_passed_over(tmp_path: Path, folder: str, name: str) -> None:
    contents = scan(tmp_path, folder + name)
    assert not contents.unknown and not contents.ignored


def test_patterns_leave_files_aside_and_are_reported(tmp_path: Path) -> None:
    rules = rules_of(["*.docx", "2021-12/旧*", "往年"])
    contents = scan(
        tmp_path,
        "2021-12/说明.docx",
        "2021-12/旧/x.csv",
        "往年/y.csv",
        "2021-12/z.csv",
        rules=rules,
    )
    assert [entry.path.name for entry in contents.unknown] == ["z.csv"]
    [finding] = list_ignored_findings(contents, tmp_path)
    assert (finding.kind, finding.count) == (FindingKind.IGNORED_FILE, 3)


def test_several_files_of_a_source_are_all_offered(tmp_path: Path) -> None:
    names = ("2021-12/education.csv", "2021-12/education(1).csv", "202112/学历与职业技能.xlsx")
    contents = scan(tmp_path, *names)
    assert len(contents.offers[("education", DECEMBER)]) == 3 and not contents.unknown


def test_a_file_of_a_source_that_comes_from_elsewhere_is_unknown(tmp_path: Path) -> None:
    rules = rules_of(education=SourceSettings(origin="/share/{month}.csv"))
    [entry] = scan(tmp_path, "2021-12/education.csv", rules=rules).unknown
    assert "不从收件目录取" in entry.why and entry.source == "education"


@pytest.mark.parametrize("source", SOURCES)
def test_the_source_is_found_by_its_columns(tmp_path: Path, source: str) -> None:
    put(tmp_path, "2021-12/x.csv")
    titles = [column.title for column in SOURCES[source].columns.values()]
    (tmp_path / "2021-12" / "x.csv").write_text(f"统计表\n{','.join(titles)}\n", encoding="gb18030")
    contents = scan(tmp_path)
    [(finding, error)] = explain_unknown(contents.unknown, tmp_path, DECLARED)
    assert finding.source == source and f"（{source}）" in error.message
    assert f"2021-12/{source}.csv" in error.hint


MONTHS = st.integers(2000 * 12, 2099 * 12 + 11).map(Month)


@given(MONTHS)
def test_a_month_folder_has_three_spellings(month: Month) -> None:
    year, number = str(month).split("-")
    for name in (str(month), f"{year}{number}", f"{year}年{number}月", f"{year}年{int(number)}月"):
        assert parse_month_folder(name) == month


@pytest.mark.parametrize("name", ["2021", "2021-13", "2021-1", "12-2021", "x2021-12", "2021-12-01"])
def test_other_folders_are_no_months(name: str) -> None:
    assert parse_month_folder(name) is None
