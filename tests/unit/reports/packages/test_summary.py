"""The district's page: rounded to 10, nothing about fewer than 10 people, no person in it."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest

from reports.disclosure import round_people
from tests.support.packages import YINZHOU, Person, export, many, write_revision


def page(revision: Path) -> str:
    return unescape((revision / "exports" / "330212" / "summary.html").read_text(encoding="utf-8"))


def rows(text: str) -> dict[str, list[str]]:
    """First cell -> the other cells that say something."""
    lines = [
        re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", line)
        for line in re.findall(r"<tr>(.*?)</tr>", text)
    ]
    return {cells[0]: [cell for cell in cells[1:] if "<i" not in cell] for cells in lines}


def moved(people: list[Person], district: str) -> list[Person]:
    return [replace(person, district=district) for person in people]


@pytest.fixture
def revision(tmp_path: Path) -> Path:
    """鄞州 in November: 40 stayed, 14 moved in, 9 moved out, 25 are new, 12 left; 9 people have reached a service."""
    stayed, came, new = (
        many(40, "330212", total_points="30"),
        many(14, "330212", 100, total_points="50"),
        many(25, "330212", 200),
    )
    went, left = many(9, "330203", 300), many(12, "330212", 400)
    before = write_revision(
        tmp_path / "before", [*stayed, *moved(came, "330203"), *moved(went, "330212"), *left]
    )
    eligible = [(p.key, "rent_subsidy", "330212", True, 0, 404) for p in stayed[:9]]
    eligible += [(p.key, "rent_subsidy", "330212", False, 5, None) for p in stayed[9:26]]
    reminders = [
        {"resident_id": p.resident_id, "district": "330212", "text": "请办理"} for p in stayed[:9]
    ]
    made = write_revision(tmp_path / "r1", [*stayed, *came, *new, *went], eligible, reminders)
    export(made, [YINZHOU], before)
    return made


def test_the_page_says_whose_and_of_which_day_it_is(revision: Path) -> None:
    text = page(revision)
    assert "<h1>鄞州区 2021年11月积分月报</h1>" in text and "计分日：2021年11月30日" in text


@pytest.mark.promise("outputs-129", "Summary: moved in, moved out, left")
def test_people_are_rounded_to_ten_and_small_counts_suppressed(revision: Path) -> None:
    found = rows(page(revision))
    assert found["本月人数"] == ["80"]  # 79
    assert found["本月迁入（上月在市内其他区县）"] == ["10"]  # 14
    assert found["本月迁出（到市内其他区县）"] == ["少于 10"]  # 9
    assert found["本月新登记"] == ["30"]  # 25
    assert found["本月不再登记"] == ["10"]  # 12
    assert found["公租房租赁补贴"] == ["少于 10", "20"]  # 9 and 17
    assert found["居住证签注"] == ["少于 10"]  # 9


def test_the_distribution_is_rounded_and_its_bars_say_no_more(revision: Path) -> None:
    text = page(revision)
    found = rows(text)
    assert (
        found["0 至不足 20 分"] == ["30"]
        and found["20 至不足 40 分"] == ["40"]
        and found["40 至不足 60 分"] == ["10"]
    )
    assert found["低于 0 分"] == found["180 分以上"] == ["少于 10"]
    assert sorted(set(re.findall(r"width:(\d+)%", text)), key=int) == ["0", "25", "75", "100"]


def test_means_are_over_everyone_and_only_over_ten_or_more(revision: Path, tmp_path: Path) -> None:
    assert rows(page(revision))["总分"] == ["24.1"]  # (40 x 30 + 14 x 50) / 79
    few = write_revision(tmp_path / "few", many(9, "330212", total_points="77.7"))
    export(few, [YINZHOU])
    found = rows(page(few))
    assert "总分" not in found and "77.7" not in page(few) and found["本月人数"] == ["少于 10"]


def test_no_count_of_nine_people_is_shown(revision: Path) -> None:
    cells = {cell for cells in rows(page(revision)).values() for cell in cells}
    people = {cell for cell in cells if re.fullmatch("[0-9,]+", cell)}
    assert (
        "少于 10" in cells
        and people
        and all(number.endswith("0") and number != "0" for number in people)
    )


def test_nobody_is_named_and_nothing_is_loaded(revision: Path) -> None:
    text = page(revision)
    assert not re.search(r"[0-9]{11}|李[0-9]|https?:|src=|@import|url\(", text)


def test_without_the_month_before_moves_are_not_reported(tmp_path: Path) -> None:
    revision = write_revision(tmp_path / "r1", many(20, "330212"))
    export(revision, [YINZHOU])
    assert "上月未发布" in page(revision) and "本月迁入（上月在市内其他区县）" not in rows(
        page(revision)
    )


@pytest.mark.parametrize(
    ("people", "rounded"),
    [(0, None), (9, None), (10, 10), (14, 10), (15, 20), (99, 100), (1234, 1230)],
)
def test_rounding(people: int, rounded: int | None) -> None:
    assert round_people(people) == rounded
