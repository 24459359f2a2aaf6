"""Months that differ too much from the last are kept back, and the report names first what differs and whom to ask."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from expectations.errors import JifenError
from flows.settings import Drift
from tests.support.held_city import (
    NOVEMBER,
    OCTOBER,
    PEOPLE,
    a_tenth_of_education,
    amended,
    copied,
    degrees,
    first_month,
    held,
    registry,
    verdict,
)
from tests.support.world import World
from transforms.comparison.drift import Limit, count_delivered_rows


@pytest.fixture
def town(october_town: World, tmp_path: Path) -> World:
    """October is published."""
    return copied(october_town, tmp_path / "town")


def page(error: JifenError) -> str:
    return Path(error.where).read_text(encoding="utf-8")


@pytest.mark.promise("outputs-194", "A first month is not held")
def test_the_first_month_is_not_held_and_says_that_there_is_nothing_to_compare(
    october_town: World,
) -> None:
    revision = october_town.revision(OCTOBER)
    assert (revision.manifest.held, revision.manifest.accepted) == ([], None)
    assert "上月没有发布" in verdict(
        (revision.path / "report" / "index.html").read_text(encoding="utf-8")
    )


@pytest.mark.promise(
    "outputs-193", "Compares residents, rows, means by district and indicator, eligible"
)
def test_an_ordinary_month_passes_by_itself_and_was_compared(town: World) -> None:
    town.deliver(NOVEMBER, registry=registry(), education=degrees())
    run = town.run(NOVEMBER)
    assert {change.kind for change in run.drift} == {
        "rows", "residents", "mean", "district_mean", "indicator_mean", "eligible",
    }  # fmt: skip
    assert town.revision(NOVEMBER).manifest.held == []


@pytest.mark.promise("outputs-142", "Held reasons")
@pytest.mark.promise("outputs-196", "Held: built, reported, not switched")
@pytest.mark.proves("sources-74", "sources-130")
def test_a_department_that_delivers_a_tenth_is_named_first(town: World) -> None:
    a_tenth_of_education(town)
    error = held(town)
    assert (
        "学历与职业技能（教育、人社）交付的行数：40 行 → 4 行（−90.0 %）"
        in error.message.splitlines()[1]
    )
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


def test_a_points_table_that_moves_the_mean_is_held_and_named(town: World, tmp_path: Path) -> None:
    paths = town.settings.paths.model_copy(update={"policy": amended(tmp_path / "policy", 21)})
    town.settings = town.settings.model_copy(update={"paths": paths})
    town.deliver(NOVEMBER, registry=registry(), education=degrees())
    error = held(town)
    top = verdict(page(error))
    assert "全市平均总分：34.00 分 → 37.00 分（+8.8 %）" in top
    assert "指标“文化程度”的平均分：18.00 分 → 21.00 分（+16.7 %）" in top
    assert "2021-09-08 版的内容与以前所用的不同，原因：更正文化程度的分值" in page(error)


@pytest.mark.promise("outputs-195", "A new policy version is shown, not held for points")
def test_a_new_version_of_the_tables_is_shown_at_the_top_and_holds_nothing_but_rows(
    tmp_path: Path,
) -> None:
    town = first_month(tmp_path / "town", "2022-03")
    town.deliver("2022-04", registry=registry(), education=degrees(PEOPLE[:4]))
    error = held(town, "2022-04")
    assert "交付的行数" in error.message and "平均" not in error.message
    town.deliver("2022-04", registry=registry(), education=degrees())
    run = town.run("2022-04")
    assert any(change.over and change.kind == "indicator_mean" for change in run.drift)
    text = (town.revision("2022-04").path / "report" / "index.html").read_text(encoding="utf-8")
    assert "本月起用新版本" in verdict(text) and "平均总分" in verdict(text)
    assert "2022-04-01 起，上月为 2021-09-08 版" in text


@pytest.mark.promise("outputs-153", "Drift limits: held over the relative and the absolute one")
@pytest.mark.parametrize(
    ("before", "after", "exceeded"),
    [
        (1000, 1051, True), (1000, 1050, False), (1000, 949, True), (300, 320, False), (0, 51, True), (0, 50, False),
        (2000, 2100, False), (2000, 2101, True),
    ],
)  # fmt: skip
def test_a_change_is_too_large_only_over_both_limits(
    before: int, after: int, exceeded: bool
) -> None:
    assert Limit(0.05, 50).exceeded(Decimal(before), Decimal(after)) is exceeded


def test_the_first_increment_with_its_history_is_no_measure_of_a_month() -> None:
    def build_manifest(month: str, *rows: int) -> dict[str, Any]:
        received = [
            {"source": "volunteer", "month": f"2021-{9 + n}", "received": r}
            for n, r in enumerate(rows, 1)
        ]
        return {"month": month, "accounts": received}

    months = [
        build_manifest("2021-10", 6000),
        build_manifest("2021-11", 6000, 20),
        build_manifest("2021-12", 6000, 20, 2),
    ]
    assert [count_delivered_rows(month, "volunteer", "increment") for month in months] == [
        None,
        20,
        2,
    ]
    assert [count_delivered_rows(month, "volunteer", "snapshot") for month in months] == [
        6000,
        20,
        2,
    ]
    assert (
        count_delivered_rows(build_manifest("2021-12", 6000, 20), "volunteer", "increment") is None
    )  # December did not come


@pytest.mark.parametrize("residents", [500, 6_000, 80_000, 5_100_000])
def test_limits_scale_with_the_city(residents: int) -> None:
    """A registry without a twelfth of its people is held in every city; an ordinary month in none."""
    given = Drift()
    for gone, is_held in ((round(residents * 0.08), True), (round(residents * 0.01), False)):
        movers = Decimal(gone + round(residents * 0.01))
        limit = Limit(given.residents, given.residents_min, given.standard_errors)
        after = Decimal(residents - gone)
        assert limit.exceeded(Decimal(residents), after, movers.sqrt()) is is_held


@pytest.mark.parametrize(("rows", "is_held"), [(6, True), (60, False), (110, False), (400, True)])
def test_rows_of_a_small_source_are_held_beyond_their_noise(rows: int, is_held: bool) -> None:
    given = Drift()
    limit = Limit(given.rows, given.rows_min, given.standard_errors)
    error = Decimal(82 + rows).sqrt()
    assert limit.exceeded(Decimal(82), Decimal(rows), error) is is_held
