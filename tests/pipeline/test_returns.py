"""Returns: a workbook for every department and month of what it has to mend, as delivered and why."""

from __future__ import annotations

from pathlib import Path

import openpyxl
import pytest

from expectations.errors import JifenError
from tests.support.answers import read_sheet
from tests.support.world import World, national_id

PEOPLE = [national_id(f"3302031990061530{n}") for n in range(1, 10)]
Row = dict[str, str]


def residents(**first: str) -> list[Row]:
    given = {"residence_district": "330203", "name": "例女士", "phone": "05740000000",
             "registered_on": "2011-01-01", "status": "resident"}  # fmt: skip
    rows = [{**given, "resident_id": one} for one in PEOPLE]
    return [{**rows[0], **first}, *rows[1:]]


def degrees(**more: str) -> list[Row]:
    given = {"kind": "degree", "level": "bachelor", "awarded_on": "2015-06-30", **more}
    return [
        {**given, "certificate_no": f"D{n}", "resident_id": one} for n, one in enumerate(PEOPLE)
    ]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, only=("registry", "education"))


def folder(world: World, month: str) -> Path:
    return world.revision(month).path / "restricted" / "returns"


def test_a_department_gets_every_row_and_value_to_mend_with_reason_and_form(world: World) -> None:
    bad = {**degrees()[0], "certificate_no": "X", "awarded_on": "5/1/2020"}
    other = {**degrees()[1], "certificate_no": "D0"}
    world.deliver(
        "2021-10",
        registry=residents(permit_issued_on="1/2/2020"),
        education=[*degrees(), bad, other],
    )
    world.run("2021-10")
    found = sorted(path.name for path in folder(world, "2021-10").glob("*.xlsx"))
    assert found == ["公安.xlsx", "教育、人社.xlsx"]
    refused, replaced = read_sheet(folder(world, "2021-10") / "教育、人社.xlsx")
    assert (refused["处理"], refused["行号"], refused["栏目"]) == ("整行退回", "10", "颁发日期")
    assert refused["原因"] == "颁发日期：日在前，应为年月日"
    assert refused["应有的写法"] == "日期，如 2024-03-05" and refused["文件"] == "education.csv"
    assert "证书编号：X" in refused["交付的内容"] and "颁发日期：5/1/2020" in refused["交付的内容"]
    assert replaced["处理"] == "被取代的行" and PEOPLE[0] in replaced["交付的内容"]
    (emptied,) = read_sheet(folder(world, "2021-10") / "公安.xlsx")
    assert (emptied["处理"], emptied["栏目"]) == ("舍去的值", "居住证签发日期")
    manifest = world.revision("2021-10").manifest
    assert manifest.returns == {"教育、人社": 2, "公安": 1}
    page = (world.revision("2021-10").path / "report" / "index.html").read_text("utf-8")
    assert "restricted/returns/公安.xlsx" in page
    assert not any(one in page or one in str(manifest) for one in PEOPLE)


def test_the_workbook_prints_on_landscape_pages_under_a_fixed_header(world: World) -> None:
    world.deliver("2021-10", registry=residents(permit_issued_on="1/2/2020"), education=degrees())
    world.run("2021-10")
    sheet = openpyxl.load_workbook(folder(world, "2021-10") / "公安.xlsx").worksheets[0]
    assert sheet.freeze_panes == "A2" and sheet.print_title_rows == "$1:$1"
    assert (sheet.page_setup.orientation, sheet.page_setup.paperSize) == ("landscape", 9)
    assert (sheet.page_setup.fitToWidth, sheet.page_setup.fitToHeight) == (1, 0)


def test_a_month_without_anything_to_mend_has_no_workbook(world: World) -> None:
    world.deliver("2021-10", registry=residents(), education=degrees())
    world.run("2021-10")
    assert list(folder(world, "2021-10").glob("*.xlsx")) == []
    assert world.revision("2021-10").manifest.returns == {}


@pytest.mark.parametrize("how", ["refused", "without a column", "missing"])
def test_a_delivery_refused_whole_is_returned_though_nothing_is_published(
    world: World, how: str
) -> None:
    rows = degrees(awarded_on="5/1/2020") if how == "refused" else degrees()
    world.deliver("2021-10", registry=residents(permit_issued_on="1/2/2020"), education=rows)
    file = world.inbox / "2021-10" / "education.csv"
    if how == "without a column":
        file.write_text("证书编号,公民身份号码\nD1," + PEOPLE[0] + "\n", encoding="utf-8")
    if how == "missing":
        file.unlink()
    with pytest.raises(JifenError):
        world.run("2021-10")
    blocked = world.root.quarantine / "returns" / "2021-10"
    whole, *others = read_sheet(blocked / "教育、人社.xlsx")
    assert whole["处理"] == "整份退回" and whole["原因"] and whole["应有的写法"]
    assert len(others) == (len(PEOPLE) if how == "refused" else 0)
    if how != "missing":
        assert (blocked / "公安.xlsx").exists(), "what is clean has returns, too"
    (page,) = world.root.runs.glob("*.html")
    assert "quarantine/returns/2021-10" in page.read_text("utf-8")
    world.deliver("2021-10", registry=residents(), education=degrees())
    world.run("2021-10")
    assert not blocked.exists()
