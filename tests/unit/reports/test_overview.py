"""The figures of the overview: rounded, nothing of fewer than ten people, nothing that names a number of people."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import altair
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog

from reports.disclosure import FEW, FEW_TEXT, round_amount, round_mean, round_people
from reports.overview.deliveries import build_deliveries, count_rows
from reports.overview.figures import SHOWN
from reports.overview.money import build_money
from reports.overview.portrait import build_portrait, list_trait_titles
from reports.overview.sections import (
    CountedMetric,
    build_counted,
    build_people,
    build_services,
)
from tests.support.overview_city import (
    HAISHU,
    NAMES,
    YINZHOU,
    Cell,
    charts_script,
    city_cells,
    figures_of,
    manifest,
    render,
    write_metrics,
)
from transforms.comparison.metric_table import DECLARED_METRICS
from transforms.comparison.portrait import TRAITS

MONTHS = ("2023-04", "2024-03", "2024-04")


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Three months; 海曙 has nine people."""
    return write_metrics(
        tmp_path,
        {
            month: city_cells({YINZHOU: 1234 + place, HAISHU: FEW - 1}, 50 + place)
            for place, month in enumerate(MONTHS)
        },
    )


def test_people_and_points_are_listed_by_month_and_district(files: dict[str, Path]) -> None:
    (table,) = build_people(figures_of(files)).tables
    assert table.rows[YINZHOU][-1] == (
        "2024-04", "1,240", "52.00", "10.00", "620", FEW_TEXT, FEW_TEXT, FEW_TEXT,
    )  # fmt: skip
    assert table.rows[HAISHU][-1][:5] == ("2024-04", FEW_TEXT, "—", "—", FEW_TEXT)
    assert [row[0] for row in table.rows["city"]] == list(MONTHS)


def test_a_month_that_was_compared_with_nothing_has_no_movements(tmp_path: Path) -> None:
    cells = [one for one in city_cells({YINZHOU: 500}) if one[0] != "movement"]
    (table,) = build_people(figures_of(write_metrics(tmp_path, {"2024-04": cells}))).tables
    assert table.rows[YINZHOU][0][4:] == ("—",) * 4


def test_services_have_who_is_near_and_all_months(files: dict[str, Path]) -> None:
    near, history = build_services(figures_of(files), NAMES.services).tables
    assert near.rows[YINZHOU] == [("租房补贴", "620", "620"), ("积分贷款", "1,240", FEW_TEXT)]
    assert history.rows[YINZHOU][0] == ("2023-04", "620", "1,230")


def test_the_budget_is_twelve_times_the_newest_month(files: dict[str, Path]) -> None:
    section = build_money(figures_of(files), NAMES.services)
    assert section is not None
    budget, history = section.tables
    monthly = 250_500  # 404 x 620 is 250,480
    assert budget.rows[YINZHOU] == [
        ("租房补贴", "620", "0", f"{monthly:,}", f"{12 * monthly:,}", "620", f"{monthly:,}")
    ]
    assert budget.rows[HAISHU] == [("租房补贴", FEW_TEXT, "—", "—", "—", FEW_TEXT, "—")]
    assert history.rows[YINZHOU][-1] == ("2024-04", f"{monthly:,}", f"{monthly:,}")
    ahead = section.charts[1].rows[YINZHOU]
    assert [one["month"] for one in ahead][::11] == ["2024-05", "2025-04"]
    assert [one["value"] for one in ahead] == [place * monthly for place in range(1, 13)]


def test_people_whose_amount_is_not_known_are_named_in_the_budget(tmp_path: Path) -> None:
    cells = [
        ("eligible", YINZHOU, "rent_subsidy", 200, 200),
        ("amount", YINZHOU, "rent_subsidy", 50_000, 150),
    ]
    more = [(m, "city", i, v, p) for m, _, i, v, p in cells]
    given_cells: list[Cell] = [*city_cells({YINZHOU: 400})[:1], *cells, *more]
    section = build_money(
        figures_of(write_metrics(tmp_path, {"2024-04": given_cells})), NAMES.services
    )
    assert section is not None and section.tables[0].rows[YINZHOU][0][2] == "50"


def test_without_paid_services_there_is_no_section_of_money(tmp_path: Path) -> None:
    cells = [one for one in city_cells({YINZHOU: 400}) if "amount" not in one[0]]
    assert build_money(figures_of(write_metrics(tmp_path, {"2024-04": cells})), {}) is None


def test_a_count_that_no_month_has_makes_no_section(files: dict[str, Path]) -> None:
    assert build_counted(figures_of(files), CountedMetric("objections", "异议", "件"), {}) is None


def test_the_portrait_has_every_trait_alone_and_with_every_other(files: dict[str, Path]) -> None:
    section = build_portrait(figures_of(files), list_trait_titles(NAMES.sources))
    assert section is not None
    rows = {key: one for table in section.tables for key, one in table.rows.items()}
    heads = {key: table.head for table in section.tables for key in table.rows}
    assert set(rows) == {"age|", "degree|", "age|degree", "degree|age"}
    assert rows["age|"] == [("18–29 岁", "620"), ("30–39 岁", "620")]
    assert heads["degree|age"] == ("学历", "18–29 岁", "30–39 岁")
    assert rows["degree|age"] == [("本科", "620", "620")]
    assert rows["age|degree"] == [("18–29 岁", "620"), ("30–39 岁", "620")]


def test_every_trait_has_a_title_for_each_of_its_values() -> None:
    for trait in TRAITS:
        _, titles = list_trait_titles(NAMES.sources)[trait.code]
        assert len(titles) >= 3 and all(titles.values())
        assert len(set(titles.values())) == len(titles), trait.code


def test_refused_and_late_data_are_listed_by_department() -> None:
    months = {
        "2024-03": manifest("2024-03"),
        "2024-04": manifest("2024-04", accounts=[], carried={"education": "2024-03"}),
        "2024-05": manifest("2024-05", missing={"education": {"months": ["2024-05"]}}),
    }
    by_source, by_month = build_deliveries(months, NAMES.sources).tables
    lines = {row[1]: row for row in by_source.rows[""]}
    title, department = NAMES.sources["education"].title, NAMES.sources["education"].department
    assert lines[title] == (
        department, title, "8,640", "250", "2.85 %", 2, "2024-04、2024-05",
    )  # fmt: skip
    place = by_month.head.index(title)
    assert [row[place] for row in by_month.rows[""]] == ["120", "未交", "120"]
    assert [count_rows(rows) for rows in (0, 9, 15)] == ["0", FEW_TEXT, "20"]


def test_only_metrics_that_may_leave_the_bureau_are_read() -> None:
    kept = {one.code for one in DECLARED_METRICS if not one.leaves_bureau}
    assert kept == {"points", "raised", "lowered"} and not kept & set(SHOWN)


@pytest.mark.slow
def test_the_script_of_the_charts_cannot_end_its_element() -> None:
    assert "vegaEmbed" in charts_script() and "</script" not in charts_script()


def test_every_specification_is_valid_vega_lite(files: dict[str, Path]) -> None:
    page = render(files, {month: manifest(month) for month in MONTHS})
    found = re.search(r'id="charts">(.*?)</script>', page, re.DOTALL)
    assert found
    charts: list[dict[str, Any]] = json.loads(found[1])
    assert len(charts) == 11
    for chart in charts:
        altair.Chart.from_dict(chart["spec"])
        assert chart["rows"]


def test_months_without_metrics_are_named(files: dict[str, Path]) -> None:
    page = render(files, {month: manifest(month) for month in ("2023-03", *MONTHS)})
    assert "没有统计数据的月份：2023-03" in page
    assert "还没有可以汇总的月份" in render({}, {"2023-03": manifest("2023-03")})


def test_a_title_is_text(files: dict[str, Path]) -> None:
    names = dict(NAMES.services)
    names["rent_subsidy"] = "</script><b>补贴"
    section = build_services(figures_of(files), names)
    assert section.tables[0].rows[YINZHOU][0][0] == names["rent_subsidy"]
    page = render(files, {})
    data = page.split('id="charts">')[1].split("</script>")[0]
    assert "<" not in data


@given(people=st.integers(FEW, 30_000), points=st.integers(-20, 250), over=st.integers(0, 99))
def test_a_mean_may_be_that_of_any_number_of_people(people: int, points: int, over: int) -> None:
    """The reader has the rounded people and the mean: a sum in whole points fits each number."""
    shown = round_mean(Decimal(points * people + over), people)
    assert shown is not None
    half = (Decimal("0.01") if people >= 1000 else Decimal("0.1")) / 2
    rounded = round_people(people) or 0
    for number in range(max(FEW, rounded - 5), rounded + 5):
        low, high = (shown - half) * number, (shown + half) * number
        assert high.to_integral_value("ROUND_FLOOR") >= low


@given(people=st.integers(FEW, 30_000), amount=st.integers(100, 900))
def test_money_names_the_rounded_people_at_most(people: int, amount: int) -> None:
    """Everybody gets the same, which the reader knows."""
    shown = round_amount(Decimal(amount * people), people)
    assert shown is not None
    near = [
        number
        for number in range(FEW, people + 20)
        if round_amount(Decimal(amount * number), number) == shown
    ]
    assert len(near) >= 5 and round_people(near[0]) == round_people(near[-1])


def test_fewer_than_ten_have_no_mean_and_no_money() -> None:
    assert round_mean(Decimal(900), FEW - 1) is None
    assert round_amount(Decimal(900), FEW - 1) is None


def test_hidden_cells_of_the_portrait_cannot_be_worked_out(tmp_path: Path) -> None:
    """Rows and columns of all crossings sum to the same numbers of people, as the reader knows."""
    sizes = {"age": 4, "degree": 3, "skill": 3}
    counts = {
        (a, d, s): (7 * a + 5 * d + 3 * s) % 4 + (60 if a + d == s + 2 else 0)
        for a in range(4) for d in range(3) for s in range(3)
    }  # fmt: skip
    traits = list(sizes)
    cells: dict[tuple[int, int, int, int], int] = {}  # trait, value, trait, value
    for one, first in enumerate(traits):
        for other in range(one + 1, 3):
            for x in range(sizes[first]):
                for y in range(sizes[traits[other]]):
                    cells[one, x, other, y] = sum(
                        n for key, n in counts.items() if key[one] == x and key[other] == y
                    )
    order = list(cells)
    bounds = [
        (shown - 5, shown + 4) if (shown := round_people(cells[key])) else (0, FEW - 1)
        for key in order
    ]
    equal: list[list[int]] = []
    for trait, name in enumerate(traits):
        for value in range(sizes[name]):
            sums = [
                [1 if ((key[0], key[1]) == (trait, value) and key[2] == other)
                 or ((key[2], key[3]) == (trait, value) and key[0] == other) else 0
                 for key in order]
                for other in range(3) if other != trait
            ]  # fmt: skip
            equal.append([a - b for a, b in zip(*sums, strict=True)])
    hidden = [place for place, key in enumerate(order) if cells[key] < FEW]
    assert len(hidden) >= 3
    for place in hidden:
        ends = []
        for sign in (1, -1):
            goal = [0] * len(order)
            goal[place] = sign
            found = linprog(goal, A_eq=equal, b_eq=[0] * len(equal), bounds=bounds)
            assert found.success
            ends.append(sign * found.fun)
        assert ends[1] - ends[0] >= 2, order[place]
