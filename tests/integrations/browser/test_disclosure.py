"""Pages that leave the operators' hands reveal no count of people under 10, even by inference.

Nine people are planted in every cell of such a page. They must appear neither in what is rendered
nor in its source, and the other cells of a row or column must not give them away. The attacker
assumed has the page and a pencil.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import duckdb
import pytest

from reports.disclosure import FEW, round_people
from reports.simulation import SimulationContext, render_simulation_page
from tests.support.browser import Browser
from tests.support.packages import HAISHU, YINZHOU, export, many, write, write_revision
from transforms.engine.session import Session

NINE = FEW - 1
CITY = {"330212": 1230, "330203": 820, "330206": NINE}  # residents by district
SERVICE = "rent_subsidy"


def read_page(page: Path, browser: Browser) -> str:
    """Return the text that the page shows, and its source without the style sheet."""
    browser.open(page, 1280)
    source = re.sub(r"<style>.*?</style>", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    return f"{browser.evaluate('document.body.innerText')}\n{source}"


def nines(text: str) -> list[str]:
    """Every nine that stands as a number of its own, with what is around it."""
    return re.findall(r".{0,30}(?<![0-9.,])9(?![0-9.,]).{0,30}", text)


def test_a_nine_would_be_seen(browser: Browser, tmp_path: Path) -> None:
    for body in (
        "<td>9</td>",
        "<p>9 人</p>",
        "<i style='width:9%'></i>",
        "<i data-n=9></i>",
        "<p>共九 &#57; 人</p>",
    ):
        (tmp_path / "page.html").write_text(
            f"<style>p {{ margin: 9px }}</style>{body}", encoding="utf-8"
        )
        assert nines(read_page(tmp_path / "page.html", browser)), body


@pytest.fixture
def summary(tmp_path: Path) -> Path:
    """鄞州: nine moved in, nine moved out, nine came, nine left, nine in a band of points, at a service, with a reminder."""
    stayed = many(100, "330212", total_points="30") + many(NINE, "330212", 200, total_points="70")
    came, went, new, left = (
        many(NINE, "330212", start, total_points="30") for start in (300, 400, 500, 600)
    )
    elsewhere = [[replace(one, district="330203") for one in group] for group in (came, went)]
    before = write_revision(tmp_path / "before", [*stayed, *elsewhere[0], *went, *left])
    eligible = [
        (p.key, SERVICE, "330212", n < NINE, 0 if n < NINE else 5, None)
        for n, p in enumerate(stayed[: 2 * NINE])
    ]
    reminders = [
        {"resident_id": p.resident_id, "district": "330212", "text": "请办理"}
        for p in stayed[:NINE]
    ]
    now = write_revision(
        tmp_path / "r1", [*stayed, *came, *elsewhere[1], *new], eligible, reminders
    )
    export(now, [YINZHOU, HAISHU], before)
    return now / "exports"


@pytest.mark.promise(
    "sources-159", "pages for others: people rounded to ten, means over ten or more"
)
@pytest.mark.promise("outputs-53", "Numbers below ten people are not published outside")
def test_nine_people_are_on_no_districts_page(summary: Path, browser: Browser) -> None:
    """海曙 has nine residents in all."""
    for district in ("330212", "330203"):
        text = read_page(summary / district / "summary.html", browser)
        assert "少于 10" in text and nines(text) == []


def points_and_services(folder: Path, changed: int) -> tuple[Path, Path]:
    """A revision, and a simulation in which nine people of one district gain and `changed` of each of the others do.

    Everybody who has reached the service gets 404 yuan; the draft gives the same people 10 more.
    """
    revision, result = folder / "r1", folder / "result"
    people = [(f"{d}{n:04d}", d) for d, number in CITY.items() for n in range(number)]
    gainers = [(key, d) for key, d in people if d == "330206" or int(key[6:]) < changed]
    write(
        revision / "scores", ["resident_key", "district"], [[f"'{k}'", f"'{d}'"] for k, d in people]
    )
    paid = ["resident_key", "service", "district", "eligible", "monthly_amount"]
    rows = [[f"'{k}'", f"'{SERVICE}'", f"'{d}'", "true", "404.00"] for k, d in gainers]
    write(revision / "eligibility", paid, rows)
    gained = [
        [f"'{k}'", f"'{d}'", f"'{item}'", "CAST(10 AS DECIMAL(7,2))", "CAST(12.5 AS DECIMAL(7,2))"]
        for k, d in gainers
        for item in ("age", "total")
    ]
    write(result / "points", ["resident_key", "district", "item", "before", "after"], gained)
    draft = [*paid, "eligible_before", "monthly_amount_before"]
    write(result / "services", draft, [[*row[:4], "414.00", "true", "404.00"] for row in rows])
    return revision, result


def simulated(folder: Path, changed: int) -> Path:
    revision, result = points_and_services(folder, changed)
    names = {"330212": "鄞州区", "330203": "海曙区", "330206": "北仑区"}
    frame = SimulationContext(
        "2021-11",
        names,
        {"age": "年龄", "total": "总分"},
        frozenset({"total"}),
        {SERVICE: "租房补贴"},
        [],
    )
    with duckdb.connect() as connection:
        page = render_simulation_page(Session(connection), revision, result, frame)
    (folder / "index.html").write_text(page, encoding="utf-8")
    return folder / "index.html"


@pytest.mark.proves("sources-159", "outputs-53")
def test_nine_people_are_not_on_the_page_of_a_simulation(tmp_path: Path, browser: Browser) -> None:
    text = read_page(simulated(tmp_path, changed=101), browser)
    assert "少于 10" in text and nines(text) == []


def rows(text: str) -> dict[str, list[str]]:
    """First cell -> the others, of the table of services."""
    services = text.split("服务</h2>")[1].split("</section>")[0]
    lines = (
        re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", line)
        for line in re.findall(r"<tr>(.*?)</tr>", services)
    )
    return {cells[0].strip("\u3000"): cells[1:] for cells in lines}


@pytest.mark.proves("outputs-176")
@pytest.mark.parametrize("column", [3, 4])
def test_money_of_nine_is_not_what_the_other_districts_leave_of_the_citys(
    tmp_path: Path, column: int
) -> None:
    """Exact sums would leave 9 x 404 yuan; each cell shown is off by up to five people's money."""
    found = rows(simulated(tmp_path, changed=104).read_text(encoding="utf-8"))
    assert found["北仑区"][column] == "—"
    city, *others = (
        int(found[name][column].replace(",", "")) for name in ("租房补贴", "鄞州区", "海曙区")
    )
    each = (404, 414)[column - 3]
    assert (city, others) == (220 * each, [100 * each] * 2)
    assert city - sum(others) != NINE * each


def hidden(total: int, parts: Sequence[int]) -> set[int]:
    """What one hidden cell may be, for someone who sees the rounded total and the other rounded parts of a sum."""
    least = (total - 5) - sum(part + 4 for part in parts)
    most = (total + 4) - sum(part - 5 for part in parts)
    return set(range(max(1, least), min(NINE, most) + 1))


@pytest.mark.parametrize("others", [1, 2, 3])
def test_a_hidden_cell_cannot_be_worked_out_from_a_total_and_up_to_three_others(
    others: int,
) -> None:
    """Every way in which numbers can end: at least three numbers of people remain possible."""
    remaining = []
    for cell, *ends in product(range(1, FEW), *[range(100, 110)] * others):
        parts = [round_people(end) or 0 for end in ends]
        possible = hidden(round_people(sum(ends) + cell) or 0, parts)
        assert cell in possible
        remaining.append(len(possible))
    assert min(remaining) >= 3
