"""The run report in a real browser, cut off from the network: what stands first, how it is read, what it never says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from expectations.errors import ExitCode, JifenError
from tests.support.browser import Browser
from tests.support.held_city import (
    NAME,
    NOVEMBER,
    PEOPLE,
    PHONE,
    copied,
    degrees,
    held,
    registry,
)
from tests.support.world import World

TAB, ENTER = ("Tab", 9), ("Enter", 13)
WIDTHS = (1280, 390)
STATES = ("published", "held", "blocked")
TROUBLED = 3  # people whose date in the registry cannot be read
WORDS = {"published": "✔ 已发布", "held": "‖ 待核，未发布", "blocked": "✖ 未发布"}


def with_trouble() -> list[dict[str, str]]:
    """The registry with a few rows that cannot stand."""
    return [*registry(), *({**registry()[0], "resident_id": f"33020{n}"} for n in range(TROUBLED))]


def a_doctor(person: str) -> dict[str, str]:
    """Somebody who gains points."""
    return {**degrees([person])[0], "certificate_no": "P", "level": "doctor"}


@pytest.fixture(scope="module")
def pages(october_town: World, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The pages of a good, a held and a blocked month of one town."""
    folder = tmp_path_factory.mktemp("pages")
    good = copied(october_town, folder / "good")
    good.deliver(
        NOVEMBER, registry=with_trouble(), education=[*degrees(PEOPLE[1:]), a_doctor(PEOPLE[0])]
    )
    good.run(NOVEMBER)
    kept_back = copied(october_town, folder / "held")
    kept_back.deliver(NOVEMBER, registry=registry(), education=degrees(PEOPLE[:4]))
    stopped = copied(october_town, folder / "blocked")
    wrong = [{**row, "level": "<b>本科</b>"} for row in degrees()]
    stopped.deliver(NOVEMBER, registry=registry(), education=wrong)
    with pytest.raises(JifenError) as caught:
        stopped.run(NOVEMBER)
    assert caught.value.code == ExitCode.GATE
    (blocked,) = stopped.root.runs.glob(f"*-{NOVEMBER}.html")
    return {
        "published": good.revision(NOVEMBER).path / "report" / "index.html",
        "held": Path(held(kept_back).where),
        "blocked": blocked,
    }


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


@pytest.mark.promise("outputs-87", "report: one page that loads nothing")
@pytest.mark.promise("outputs-144", "Chinese, without network")
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("state", STATES)
def test_it_opens_without_network_complaint_or_sideways_scrolling(
    pages: dict[str, Path], browser: Browser, state: str, width: int
) -> None:
    browser.open(pages[state], width)
    assert browser.requests == [pages[state].as_uri()]
    assert browser.complaints == []
    assert browser.evaluate("[innerWidth, document.documentElement.scrollWidth]") == [width, width]
    smallest = "Math.min(...[...document.querySelectorAll('p, li, td, th, span')].map(e => parseFloat(getComputedStyle(e).fontSize)))"
    assert browser.evaluate(smallest) >= 13


def test_the_browser_would_see_a_request_a_complaint_and_a_page_too_wide(
    browser: Browser, tmp_path: Path
) -> None:
    page = tmp_path / "bad.html"
    page.write_text(
        "<img src='http://example.com/a.png'><script>nonsense()</script><div style='width:3000px'>x</div>"
    )
    browser.open(page, 390)
    assert "http://example.com/a.png" in browser.requests
    assert browser.complaints
    assert browser.evaluate("document.documentElement.scrollWidth") > 390


@pytest.mark.promise("outputs-138", "Verdict first, in words")
@pytest.mark.parametrize("state", STATES)
def test_the_verdict_is_on_the_first_screen_in_words(
    pages: dict[str, Path], browser: Browser, state: str
) -> None:
    browser.open(pages[state], 390, height=800)
    sign = "document.querySelector('.verdict strong')"
    assert browser.evaluate(f"{sign}.textContent") == WORDS[state]
    assert browser.evaluate(f"{sign}.getBoundingClientRect().bottom") < 400
    assert browser.evaluate("document.querySelector('.verdict ol').children.length") >= 1


def test_the_keyboard_reaches_everything(pages: dict[str, Path], browser: Browser) -> None:
    browser.open(pages["published"], 1280)
    browser.press(*TAB)
    assert browser.evaluate("document.activeElement.className") == "skip"
    assert (
        browser.evaluate("document.activeElement.getBoundingClientRect().left") >= 0
    )  # it shows itself
    browser.press(*ENTER)
    assert browser.evaluate("location.hash") == "#main"
    details = browser.evaluate("document.querySelectorAll('details').length")
    opened = 0
    for _ in range(80):
        browser.press(*TAB)
        if browser.evaluate("document.activeElement.tagName") == "SUMMARY":
            browser.press(*ENTER)
            opened += browser.evaluate("document.activeElement.parentElement.open")
        if opened == details:
            break
    assert opened == details >= 5
    marks = (
        "['header', 'nav', 'main', 'footer', 'h1'].map(n => document.querySelectorAll(n).length)"
    )
    assert browser.evaluate(marks) == [1, 1, 1, 1, 1]


@pytest.mark.promise("outputs-143", "Charts, each with its numbers")
def test_every_chart_has_its_numbers_as_a_table(pages: dict[str, Path], browser: Browser) -> None:
    browser.open(pages["published"], 1280)
    charts: list[dict[str, Any]] = (
        browser.evaluate("""[...document.querySelectorAll('figure')].map(figure => ({
        caption: figure.querySelector('figcaption').textContent,
        hidden: figure.querySelector('div').getAttribute('aria-hidden'),
        numbers: [...figure.querySelectorAll('.value, .role-mark text')].map(text => text.textContent)
            .filter(text => /[0-9]/.test(text)),
        section: figure.closest('section').querySelector('h2').textContent,
        cells: [...figure.closest('section').querySelectorAll('td')].map(cell => cell.textContent),
    }))""")
    )
    assert {chart["section"] for chart in charts} == {
        "收到的数据", "退回的数据", "积分分布", "积分变动", "服务与金额", "用时",
    }  # fmt: skip
    for chart in charts:
        assert chart["hidden"] == "true" and chart["caption"]
        for label in chart["numbers"]:
            shown = re.findall(r"[0-9][0-9,.]*", re.sub(r"[+−]?[0-9.]+ %", "", label))
            assert shown and set(shown) <= set(chart["cells"]), (chart["caption"], label)


def test_everything_is_there_in_print(
    pages: dict[str, Path], browser: Browser, tmp_path: Path
) -> None:
    browser.open(pages["published"], 1280)
    folded = "[...document.querySelectorAll('details table')].map(table => table.checkVisibility())"
    assert not any(browser.evaluate(folded))
    browser.call("Emulation.setEmulatedMedia", media="print")
    try:
        assert all(browser.evaluate(folded))
        browser.printed(tmp_path / "page.pdf")
    finally:
        browser.call("Emulation.setEmulatedMedia", media="")
    assert (tmp_path / "page.pdf").stat().st_size > 20_000


def test_this_month_and_last_differ_without_colour(
    pages: dict[str, Path], browser: Browser
) -> None:
    browser.open(pages["held"], 1280)
    shape = "(kind => { const style = getComputedStyle(document.querySelector(kind)); return [style.fill, style.stroke] })"
    now, then = browser.evaluate(f"['.now', '.then'].map({shape})")
    assert now[1] == "none" and then == ["rgb(255, 255, 255)", "rgb(29, 36, 48)"]


@pytest.mark.parametrize("state", STATES)
def test_nothing_on_it_is_about_one_person(pages: dict[str, Path], state: str) -> None:
    text = text_of(pages[state])
    assert not any(given in text for given in (*PEOPLE, NAME, PHONE))
    assert not re.search(r"(?<![0-9a-f])[0-9]{11}(?![0-9])", text)


@pytest.mark.proves("outputs-139")
def test_refused_rows_are_listed_by_source_and_reason(pages: dict[str, Path]) -> None:
    refused = text_of(pages["published"]).split("退回的数据</h2>")[1].split("</section>")[0]
    assert "公民身份号码：号码不合规则" in refused
    assert f"{TROUBLED} 行，占 6.98 %（上月 0 行）" in refused


def test_a_blocked_month_says_what_came_what_was_refused_and_what_to_do(
    pages: dict[str, Path],
) -> None:
    text = text_of(pages["blocked"])
    assert "学历与职业技能（教育、人社） 2021-11：未通过检查" in re.sub("<[^>]+>", "", text)
    assert "请部门核对后重新提供" in text and "未发布任何内容" in text
    lines = {line.split("|")[0]: line for line in rows(text)}
    assert lines["学历与职业技能（教育、人社）"] == "学历与职业技能（教育、人社）|✖ 未通过|40|40"
    assert lines["随迁子女（教育、卫健）"] == "随迁子女（教育、卫健）|合格|1|0"
    assert lines["流动人口登记（公安）"] == "流动人口登记（公安）|合格|40|0"
    assert "学历与职业技能|等级：不在取值范围内|整行退回|40|100.00 %" in rows(text)
    # a value of a closed list is nobody's data: it may be quoted, as text
    assert "<b>本科</b>" not in text


@pytest.mark.proves("sources-36")
def test_a_month_without_a_source_says_which_one(october_town: World, tmp_path: Path) -> None:
    town = copied(october_town, tmp_path / "town")
    town.deliver(NOVEMBER, registry=registry(), education=degrees())
    (town.inbox / NOVEMBER / "patents.csv").unlink()
    progress: list[str] = []
    with pytest.raises(JifenError):
        town.run(NOVEMBER, report_progress=progress.append)
    (page,) = town.root.runs.glob(f"*-{NOVEMBER}.html")
    assert f"报告：{page}" in progress
    assert "专利（市场监管）|✖ 缺报|—|—" in rows(text_of(page))
    assert "学历与职业技能（教育、人社）|合格|40|0" in rows(text_of(page))


def test_a_reason_given_by_the_operator_is_text(october_town: World, tmp_path: Path) -> None:
    town = copied(october_town, tmp_path / "town")
    town.deliver(NOVEMBER, registry=registry(), education=degrees(PEOPLE[:4]))
    town.run(NOVEMBER, accept="<script>核实</script>")
    text = text_of(town.revision(NOVEMBER).path / "report" / "index.html")
    assert "&lt;script&gt;核实&lt;/script&gt;" in text and "<script" not in text


def rows(text: str) -> list[str]:
    """The lines of all tables, cells parted by bars."""
    return [
        "|".join(re.sub("<[^>]+>", "", cell) for cell in re.findall(r"<t[hd].*?</t[hd]>", line))
        for line in re.findall(r"<tr>.*?</tr>", text)
    ]
