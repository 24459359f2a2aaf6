"""Months that differ too much from the last are finished but kept back, until an operator accepts what was built."""

from __future__ import annotations

import datetime as dt
import json
import re
import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from expectations.problems import ExitCode, JifenError
from flows.holding import accept_reason
from flows.publish import list_files
from flows.settings import OWN_DECLARATIONS
from flows.status import month_lines
from flows.verify import verify
from tests.held_city import (
    DECEMBER,
    NOVEMBER,
    OCTOBER,
    PEOPLE,
    SMALL,
    copied,
    degrees,
    first_month,
    held,
    october_town,
    registry,
    with_drift,
)
from tests.world import World
from transforms.drift import Limit, delivered_rows

REASON = "已向教育局核实，学历库完成清理"


@pytest.fixture
def town(tmp_path: Path) -> World:
    """October is published."""
    return copied(october_town(), tmp_path / "town")


@pytest.fixture(scope="module")
def november(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = copied(october_town(), tmp_path_factory.mktemp("november") / "town")
    a_tenth_of_education(made)
    held(made)
    return made


@pytest.fixture
def waiting(november: World, tmp_path: Path) -> World:
    """October is published, November held."""
    return copied(november, tmp_path / "waiting")


def a_tenth_of_education(town: World) -> None:
    town.deliver(NOVEMBER, registry=registry(), education=degrees(PEOPLE[:4]))


def files(folder: Path) -> dict[str, dict[str, Any]]:
    """All files of a revision but the report, which says how the month came to be published."""
    return {name: facts for name, facts in list_files(folder).items() if not name.startswith(("report/", "policy/"))}


def page(error: JifenError) -> str:
    return Path(error.where).read_text(encoding="utf-8")


def verdict(text: str) -> str:
    """The first thing on the page, as plain text."""
    found = re.search(r'<section class="verdict.*?</section>', text, re.DOTALL)
    assert found
    return re.sub("<[^>]+>", "", found[0])


def built(town: World, month: str = NOVEMBER) -> Path:
    (folder,) = (town.root.tmp / "build").glob(f"{month}-*")
    return folder / "revision"


# --- what is held ---


def test_the_first_month_is_not_held_and_says_that_there_is_nothing_to_compare() -> None:
    revision = october_town().revision(OCTOBER)
    assert (revision.manifest["held"], revision.manifest["accepted"]) == ([], None)
    assert "上月没有发布" in verdict((revision.path / "report" / "index.html").read_text(encoding="utf-8"))


def test_an_ordinary_month_passes_by_itself_and_was_compared(town: World) -> None:
    town.deliver(NOVEMBER, registry=registry(), education=degrees())
    run = town.run(NOVEMBER)
    assert {change.kind for change in run.changes} == {
        "rows", "residents", "mean", "district_mean", "indicator_mean", "eligible",
    }  # fmt: skip
    assert town.revision(NOVEMBER).manifest["held"] == []


def test_a_department_that_delivers_a_tenth_is_named_first(town: World) -> None:
    a_tenth_of_education(town)
    error = held(town)
    assert "学历与职业技能（教育、人社）交付的行数：40 行 → 4 行（−90.0 %）" in error.what.splitlines()[1]
    top = verdict(page(error))
    assert "待核，未发布" in top and "请教育、人社核对是否交全" in top and "--accept" in top
    assert top.index("交付的行数") < top.index("文化程度")


def test_dates_a_year_off_are_seen_in_the_points_that_they_move(town: World) -> None:
    town.deliver(NOVEMBER, registry=registry(permit="2016-01-10"), education=degrees())
    top = verdict(page(held(town)))
    assert "指标“持证居住”的平均分：8.00 分 → 10.00 分（+25.0 %）" in top
    assert "请核对流动人口登记（公安）的日期和取值是否变了含义" in top


def test_a_district_whose_residents_vanish_is_named(town: World) -> None:
    town.deliver(NOVEMBER, registry=registry(PEOPLE[:24]), education=degrees())
    top = verdict(page(held(town)))
    assert "江北区计分人数：16 人 → 0 人（−100.0 %）" in top
    assert "请核对流动人口登记（公安）中该区县是否漏交" in top


def amended(folder: Path, bachelor: int) -> Path:
    """The declarations with another value for a degree, written into the version that is in force."""
    shutil.copytree(OWN_DECLARATIONS, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    table = folder / "points" / "city.yaml"
    text = table.read_text(encoding="utf-8")
    text = text.replace("bachelor: 18", f"bachelor: {bachelor}").replace(
        "  - from: 2021-09-08\n", "  - from: 2021-09-08\n    amends: 更正文化程度的分值\n", 1
    )
    table.write_text(text, encoding="utf-8")
    return folder


def test_a_points_table_that_moves_the_mean_is_held_and_named(town: World, tmp_path: Path) -> None:
    paths = town.settings.paths.model_copy(update={"policy": amended(tmp_path / "policy", 21)})
    town.settings = town.settings.model_copy(update={"paths": paths})
    town.deliver(NOVEMBER, registry=registry(), education=degrees())
    error = held(town)
    top = verdict(page(error))
    assert "全市平均总分：34.00 分 → 37.00 分（+8.8 %）" in top
    assert "指标“文化程度”的平均分：18.00 分 → 21.00 分（+16.7 %）" in top
    assert "积分表“全市”2021-09-08 版的内容与上月所用的不同（更正）" in page(error)


def test_a_new_version_of_the_tables_is_shown_at_the_top_and_holds_nothing_but_rows(tmp_path: Path) -> None:
    town = first_month(tmp_path / "town", "2022-03")
    town.deliver("2022-04", registry=registry(), education=degrees(PEOPLE[:4]))
    error = held(town, "2022-04")
    assert "交付的行数" in error.what and "平均" not in error.what
    town.deliver("2022-04", registry=registry(), education=degrees())
    run = town.run("2022-04")
    assert any(change.over and change.kind == "indicator_mean" for change in run.changes)
    text = (town.revision("2022-04").path / "report" / "index.html").read_text(encoding="utf-8")
    assert "本月起用新版本" in verdict(text) and "平均总分" in verdict(text)
    assert "积分表“全市”换了新版本（2022-04-01 起，上月为 2021-09-08 版）" in text


@pytest.mark.parametrize(
    ("before", "after", "exceeded"),
    [
        (1000, 1051, True), (1000, 1050, False), (1000, 949, True), (300, 320, False), (0, 51, True), (0, 50, False),
        (2000, 2100, False), (2000, 2101, True),
    ],
)  # fmt: skip
def test_a_change_is_too_large_only_over_both_limits(before: int, after: int, exceeded: bool) -> None:
    assert Limit(0.05, 50).exceeded(Decimal(before), Decimal(after)) is exceeded


def test_the_first_increment_with_its_history_is_no_measure_of_a_month() -> None:
    def says(month: str, *rows: int) -> dict[str, Any]:
        received = [{"source": "volunteer", "month": f"2021-{9 + n}", "received": r} for n, r in enumerate(rows, 1)]
        return {"month": month, "accounts": received}

    months = [says("2021-10", 6000), says("2021-11", 6000, 20), says("2021-12", 6000, 20, 2)]
    assert [delivered_rows(month, "volunteer", "increment") for month in months] == [None, 20, 2]
    assert [delivered_rows(month, "volunteer", "snapshot") for month in months] == [6000, 20, 2]
    assert delivered_rows(says("2021-12", 6000, 20), "volunteer", "increment") is None  # December did not come


# --- what an operator does about it ---


def test_accepting_publishes_exactly_what_was_built_and_says_why(waiting: World) -> None:
    revision = built(waiting)
    before = files(revision)
    inodes = {name: (revision / name).stat().st_ino for name in before}
    waiting.run(NOVEMBER, accept=REASON)
    published = waiting.revision(NOVEMBER)
    assert files(published.path) == before and len(before) > 20
    assert {name: (published.path / name).stat().st_ino for name in before} == inodes  # nothing was made again
    assert published.manifest["accepted"] == REASON and len(published.manifest["held"]) > 1
    assert "经核准发布，理由：" + REASON in verdict((published.path / "report/index.html").read_text(encoding="utf-8"))
    noted = [json.loads(line) for line in (waiting.root.runs / "access.log").read_text(encoding="utf-8").splitlines()]
    assert [(n["action"], n["month"], n.get("reason")) for n in noted] == [
        ("export", OCTOBER, None),
        ("accept", NOVEMBER, REASON),
        ("export", NOVEMBER, None),
    ]
    assert verify(waiting.root, waiting.root.key()) == []


def test_accepting_on_the_first_run_publishes_in_one_go_and_the_next_report_says_so(town: World) -> None:
    a_tenth_of_education(town)
    town.run(NOVEMBER, accept=REASON)
    assert town.revision(NOVEMBER).manifest["accepted"] == REASON
    town.deliver(DECEMBER, registry=registry(), education=degrees(PEOPLE[:4]))
    town.run(DECEMBER)
    text = (town.revision(DECEMBER).path / "report" / "index.html").read_text(encoding="utf-8")
    assert "上月（2021-11）有" in text and REASON in text


def test_a_held_month_stays_held_until_something_is_done(waiting: World) -> None:
    scores = built(waiting) / "scores" / "scores.parquet"
    inode = scores.stat().st_ino
    held(waiting)
    assert scores.stat().st_ino == inode


def test_wider_limits_let_a_held_month_through(waiting: World) -> None:
    waiting.settings = with_drift(waiting.settings, SMALL.model_copy(update={"rows": 0.95, "mean_points": 1.0}))
    waiting.run(NOVEMBER)
    assert waiting.revision(NOVEMBER).manifest["held"] == []


def test_a_corrected_delivery_is_scored_anew_and_passes(waiting: World) -> None:
    waiting.deliver(NOVEMBER, registry=registry(), education=degrees())
    waiting.run(NOVEMBER)
    assert waiting.revision(NOVEMBER).manifest["accepted"] is None
    assert not (waiting.root.runs / f"held-{NOVEMBER}.json").exists()


def test_accepting_what_has_changed_since_says_so_and_holds_what_is_new(waiting: World, tmp_path: Path) -> None:
    waiting.deliver(NOVEMBER, registry=registry(), education=degrees(PEOPLE[:5]))
    told: list[str] = []
    error = held(waiting, accept=REASON, tell=told.append)
    assert any("待核以后有变化，重新计算：交付（education 2021-11）" in line for line in told)
    assert "交付（education 2021-11）" in error.what and "40 行 → 5 行" in error.what
    waiting.run(NOVEMBER, accept=REASON)
    assert waiting.revision(NOVEMBER).manifest["accepted"] == REASON


def test_a_changed_table_and_changed_code_are_named(
    waiting: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = waiting.settings.paths.model_copy(update={"policy": amended(tmp_path / "policy", 20)})
    waiting.settings = waiting.settings.model_copy(update={"paths": paths})
    for module in ("flows.run", "flows.holding"):
        monkeypatch.setattr(f"{module}.code_hash", lambda *places: "another")
    what = held(waiting, accept=REASON).what
    assert "积分表（city）" in what and "程序（jifen）" in what and "交付（" not in what


def test_a_month_held_in_a_backfill_is_accepted_as_it_was_built(town: World) -> None:
    a_tenth_of_education(town)
    held(town, last=False)
    before = files(built(town))
    town.run(NOVEMBER, accept=REASON, last=True)
    assert files(town.revision(NOVEMBER).path) == before


def test_a_held_month_with_a_missing_source_is_accepted_without_saying_it_again(town: World) -> None:
    a_tenth_of_education(town)
    (town.inbox / NOVEMBER / "patents.csv").unlink()
    held(town, allowed={"patents": "本月无数据"})
    town.run(NOVEMBER, accept=REASON)
    assert town.revision(NOVEMBER).manifest["missing"]["patents"]["reason"] == "本月无数据"


def test_accepting_a_good_month_is_not_recorded_and_its_second_revision_is_held_beside_it(town: World) -> None:
    town.deliver(NOVEMBER, registry=registry(), education=degrees())
    town.run(NOVEMBER, accept=REASON)
    assert town.revision(NOVEMBER).manifest["accepted"] is None
    a_tenth_of_education(town)
    held(town)
    assert town.revision(NOVEMBER).number == 1
    assert states(town)[NOVEMBER].startswith("待核（以前的版本仍有效）")


def states(town: World, today: dt.date = dt.date(2021, 12, 5)) -> dict[str, str]:
    return {month: f"{state} {told}" for month, state, _, _, told in month_lines(town.settings, today)}


def test_status_shows_what_is_held_due_and_late(town: World) -> None:
    assert "逾期 5 天，缺少：随迁子女" in states(town, dt.date(2021, 12, 10))[NOVEMBER]
    assert "应于 2021-12-05 02:00 前交齐" in states(town)[NOVEMBER]
    a_tenth_of_education(town)
    report = held(town).where
    assert states(town)[NOVEMBER].startswith("待核 ") and report in states(town)[NOVEMBER]
    town.run(NOVEMBER, accept=REASON)
    assert states(town)[NOVEMBER].startswith("已发布")


@pytest.mark.parametrize("given", ["", "  ", f"{PEOPLE[0]} 无误", "请致电 13857407777"])
def test_a_reason_is_needed_and_holds_nobodys_number(given: str) -> None:
    with pytest.raises(JifenError) as caught:
        accept_reason(given)
    assert caught.value.code == ExitCode.USAGE and PEOPLE[0] not in str(caught.value)
