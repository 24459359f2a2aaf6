"""The overview in a real browser, cut off from the network: read, explored by keyboard, printed, and what it never says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from reports.disclosure import FEW
from tests.support.browser import Browser
from tests.support.overview_city import (
    HAISHU,
    YINZHOU,
    city_cells,
    manifest,
    render,
    write_metrics,
)

WIDTHS = (1280, 390)
TAB, DOWN = ("Tab", 9), ("ArrowDown", 40)
NINE = FEW - 1
VISIBLE = "[...document.querySelectorAll('.keyed')].filter(one => !one.hidden).map(one => one.dataset.key)"
DRAWN = """[...document.querySelectorAll('.explored')].filter(one => !one.hidden).map(one => ({
    id: one.id, hidden: one.getAttribute('aria-hidden'), marks: one.querySelectorAll('.role-mark path').length,
    right: one.querySelector('svg').getBoundingClientRect().right}))"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 months of two districts."""
    folder = tmp_path_factory.mktemp("overview")
    months = [f"{2022 + place // 12}-{place % 12 + 1:02}" for place in range(24)]
    files = write_metrics(
        folder,
        {
            month: city_cells({YINZHOU: 12_340 + 50 * place, HAISHU: 820}, 48 + place / 10)
            for place, month in enumerate(months)
        },
    )
    late = manifest(months[-1], carried={"housing": months[-2]})
    target = folder / "index.html"
    manifests = {month: manifest(month) for month in months} | {months[-1]: late}
    target.write_text(render(files, manifests), encoding="utf-8")
    return target


def load(browser: Browser, page: Path, width: int = 1280) -> None:
    browser.open(page, width)
    browser.evaluate("window.drawn.then(() => 1)")


@pytest.mark.parametrize("width", WIDTHS)
def test_it_opens_without_network_complaint_or_sideways_scrolling(
    page: Path, browser: Browser, width: int
) -> None:
    load(browser, page, width)
    assert browser.requests == [page.as_uri()]
    assert browser.complaints == []
    assert browser.evaluate("[innerWidth, document.documentElement.scrollWidth]") == [width, width]
    charts: list[dict[str, Any]] = browser.evaluate(DRAWN)
    assert len(charts) == 11
    for chart in charts:
        assert chart["marks"] > 0 and chart["hidden"] == "true", chart["id"]
        assert chart["right"] <= width, chart["id"]
    smallest = "Math.min(...[...document.querySelectorAll('p, li, td, th, select')].map(e => parseFloat(getComputedStyle(e).fontSize)))"
    assert browser.evaluate(smallest) >= 13


def test_a_district_is_chosen_by_keyboard(page: Path, browser: Browser) -> None:
    load(browser, page)
    assert set(browser.evaluate(VISIBLE)) == {"city", "", "age|degree"}
    for _ in range(20):
        browser.press(*TAB)
        if browser.evaluate("document.activeElement.id") == "district":
            break
    before = browser.evaluate("document.querySelector('#people-chart svg').outerHTML")
    browser.press(*DOWN)
    browser.evaluate("window.drawn.then(() => 1)")
    assert browser.evaluate("document.getElementById('district').value") == HAISHU
    assert set(browser.evaluate(VISIBLE)) == {HAISHU, "", "age|degree"}
    assert browser.evaluate("document.querySelector('#people-chart svg').outerHTML") != before
    assert browser.evaluate("document.querySelector('.where').textContent") == "（海曙区）"
    first = "document.querySelector('.keyed:not([hidden]) tbody td').textContent"
    assert browser.evaluate(first) == "820"
    assert browser.complaints == []


def test_every_choice_and_fold_is_reached_by_keyboard(page: Path, browser: Browser) -> None:
    load(browser, page)
    reached, opened = [], 0
    for _ in range(80):
        browser.press(*TAB)
        where = browser.evaluate("[document.activeElement.tagName, document.activeElement.id]")
        if where[0] == "SELECT":
            reached.append(where[1])
        if where[0] == "SUMMARY":
            browser.press("Enter", 13)
            opened += browser.evaluate("document.activeElement.parentElement.open")
    assert reached[:4] == ["district", "service", "one", "other"]
    assert opened >= browser.evaluate("document.querySelectorAll('details').length") == 7


def choose(browser: Browser, name: str, value: str) -> None:
    browser.evaluate(f"""(() => {{ const one = document.getElementById('{name}'); one.value = '{value}';
        one.dispatchEvent(new Event('change')); return window.drawn.then(() => 1) }})()""")


def test_the_portrait_crosses_any_two_traits_or_shows_one(page: Path, browser: Browser) -> None:
    load(browser, page)
    choose(browser, "one", "degree")
    assert "degree|" in browser.evaluate(VISIBLE)  # the same trait twice is one trait
    choose(browser, "other", "age")
    assert "degree|age" in browser.evaluate(VISIBLE)
    assert browser.complaints == []


def test_every_chart_has_its_numbers_as_a_table(page: Path, browser: Browser) -> None:
    load(browser, page)
    choose(browser, "district", YINZHOU)
    charts: list[dict[str, Any]] = browser.evaluate("""
        JSON.parse(document.getElementById('charts').textContent).map(chart => ({
            id: chart.id,
            rows: chart.rows[chart.choices.map(name => document.getElementById(name).value).join('|')],
            cells: [...document.getElementById(chart.id).closest('section')
                .querySelectorAll('.keyed:not([hidden]) td')].map(cell => cell.textContent)}))""")
    assert len(charts) == 11
    for chart in charts:
        if chart["id"] in ("reminders-chart", "refused-chart", "late-chart", "budget-chart"):
            continue  # sums of the table's cells
        for row in chart["rows"]:
            shown = re.match(r"[0-9][0-9,.]*|少于 10|—", row["label"])
            assert shown and shown[0] in chart["cells"], (chart["id"], row)


def test_everything_is_there_in_print(page: Path, browser: Browser, tmp_path: Path) -> None:
    load(browser, page)
    browser.call("Emulation.setEmulatedMedia", media="print")
    try:
        shown = "[...document.querySelectorAll('.keyed:not([hidden]) table')].map(table => table.checkVisibility())"
        found = browser.evaluate(shown)
        assert len(found) >= 10 and all(found)
        browser.printed(tmp_path / "page.pdf")
    finally:
        browser.call("Emulation.setEmulatedMedia", media="")
    assert (tmp_path / "page.pdf").stat().st_size > 50_000


def test_nine_people_are_nowhere_on_it(browser: Browser, tmp_path: Path) -> None:
    """Neither shown nor in its source, in any district; 海曙 has nine people in all."""
    cells = city_cells({YINZHOU: 1234, HAISHU: NINE})
    files = write_metrics(tmp_path, {"2024-03": cells, "2024-04": cells})
    target = tmp_path / "index.html"
    target.write_text(render(files, {"2024-04": manifest("2024-04")}), encoding="utf-8")
    load(browser, target)
    source = target.read_text(encoding="utf-8")
    data = source.split('id="charts">')[1].split("</script>")[0]
    tables = source.split("<main")[1].split("</main>")[0]
    texts = [data.split('"rows":', 1)[1], tables]
    for district in ("city", YINZHOU, HAISHU):
        choose(browser, "district", district)
        texts.append(browser.evaluate("document.querySelector('main').innerText"))
    assert "少于 10" in texts[-1]
    for text in texts:
        found = re.findall(r".{0,30}(?<![0-9.,:-])9(?:\.0)?(?![0-9.,-]).{0,30}", text)
        assert [one for one in found if '"value"' in one or "spec" not in one] == []
    assert "9.0" not in re.findall(r'"value":([0-9.]+)', data)
