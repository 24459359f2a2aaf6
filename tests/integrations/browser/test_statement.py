"""Statements in a real browser: the page of A4, and a second renderer that knows rows and texts only."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from flows.commands.lookup import PersonQuery
from flows.commands.statement import write_statement_page
from tests.support.browser import Browser
from tests.support.world import World

MONTH = "2024-04"
RENDERER = Path(__file__).with_name("statement_renderer.js")
BLANK = "<!doctype html><meta charset='utf-8'><title>-</title><link rel='icon' href='data:,'>"


def test_another_program_makes_the_same_texts_from_rows_and_texts(
    synthetic_city: World, browser: Browser, tmp_path: Path
) -> None:
    folder = synthetic_city.revision(MONTH).path / "restricted" / "statements"
    texts = json.loads((folder / "texts.json").read_text("utf-8"))
    lines = (folder / "examples.jsonl").read_text("utf-8").splitlines()
    examples = [json.loads(line) for line in lines]
    (tmp_path / "blank.html").write_text(BLANK, encoding="utf-8")
    browser.open(tmp_path / "blank.html", 800)
    rows = json.dumps([example["row"] for example in examples])
    rendered = browser.evaluate(
        f"{RENDERER.read_text('utf-8')}\n"
        f"{{ const texts = {json.dumps(texts)}; {rows}.map(row => renderStatement(row, texts)) }}"
    )
    assert len(rendered) == 100
    for found, example in zip(rendered, examples, strict=True):
        assert found == example["text"]


@pytest.fixture(scope="module")
def page(synthetic_city: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the resident whose district has most to say."""
    scores = synthetic_city.table(MONTH, "scores")
    identities = synthetic_city.table(MONTH, "restricted/identities")
    best = max(range(len(scores)), key=lambda n: scores[n]["total_points"])
    target = tmp_path_factory.mktemp("statement") / "statement.html"
    settings = synthetic_city.settings
    query = PersonQuery(identities[best]["resident_id"], MONTH)
    write_statement_page(settings, query, target, lambda line: None)
    return target


def test_the_page_is_one_sheet_of_a4(page: Path, browser: Browser, tmp_path: Path) -> None:
    browser.open(page, 1000)
    browser.printed(tmp_path / "page.pdf")
    pdf = (tmp_path / "page.pdf").read_bytes()
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) == 1
    width, height = map(float, re.findall(rb"/MediaBox\s*\[0 0 ([\d.]+) ([\d.]+)\]", pdf)[0])
    assert (round(width), round(height)) in ((595, 842), (594, 841), (594, 842), (595, 841))


@pytest.mark.parametrize("width", [1000, 390])
def test_the_page_is_read_without_scrolling_sideways_and_loads_nothing(
    page: Path, browser: Browser, width: int
) -> None:
    browser.open(page, width)
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    assert [url for url in browser.requests if not url.startswith(("file:", "data:"))] == []
    assert browser.complaints == []
    smallest = (
        "Math.min(...[...document.querySelectorAll('p, span, h1, h2')].filter(e => e.innerText)"
    )
    assert browser.evaluate(f"{smallest}.map(e => parseFloat(getComputedStyle(e).fontSize)))") >= 13


def test_services_and_reminders_are_one_list(page: Path, browser: Browser) -> None:
    browser.open(page, 1000)
    signs = browser.evaluate(
        "[...document.querySelectorAll('#companion ~ .lines .points, h2#companion + .lines .points')].map(one => one.textContent)"
    )
    assert len(signs) >= 8 and signs == sorted(signs, reverse=True)  # what is reached first


def test_the_page_names_nobody_in_full(page: Path, synthetic_city: World) -> None:
    text = page.read_text(encoding="utf-8")
    people = synthetic_city.table(MONTH, "restricted/identities")
    hidden = [row[name] for row in people for name in ("resident_id", "phone") if row[name]]
    assert not [one for one in hidden if one in text]
    assert page.stat().st_mode & 0o077 == 0
