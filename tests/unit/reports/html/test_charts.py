"""Charts as SVG: the same bytes wherever they are drawn, text as text, nothing loaded."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html import unescape

import pytest

from reports.html.charts import Histogram, Move, draw_bands, draw_histograms, draw_moves

BANDS = ("低于 0 分", "0 至不足 20 分", "20 分以上")
MOVES = [Move("总分", 1234567, 89), Move("<script>区&县</script>", 0, 0)]
CHARTS = {
    "bands": draw_bands(BANDS, [0, 12, 3456789], [1, 2, 3]),
    "first month": draw_bands(BANDS, [0, 12, 3456789], []),
    "nobody": draw_bands(BANDS, [0, 0, 0], [0, 0, 0]),
    "districts": draw_histograms(BANDS, [Histogram("<b>区", "9 人", [0, 4, 5])]),
    "no district": draw_histograms(BANDS, []),
    "moves": draw_moves(MOVES),
    "no moves": draw_moves([]),
}


def list_texts(svg: str) -> list[str]:
    return [unescape(text) for text in re.findall(r"<text[^>]*>([^<]*)</text>", svg)]


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_loads_nothing_and_has_its_width(name: str) -> None:
    assert CHARTS[name].startswith('<svg version="1.1" class="marks" width="360" ')
    assert not re.search(r"https?:|//|url\(|<script|<b>|<image|NaN", CHARTS[name])


def test_texts_stay_text_and_are_escaped() -> None:
    assert {*BANDS, "0", "12", "3,456,789", "人数", "200 万"} <= set(list_texts(CHARTS["bands"]))
    assert {"总分", "1,234,567", "89", "<script>区&县</script>"} <= set(list_texts(CHARTS["moves"]))
    assert {"<b>区", "9 人", BANDS[0], BANDS[-1]} <= set(list_texts(CHARTS["districts"]))


def test_the_outline_of_the_previous_month_is_there_where_it_is_known() -> None:
    assert CHARTS["bands"].count('stroke="var(--ink)"') > CHARTS["first month"].count(
        'stroke="var(--ink)"'
    )


@pytest.mark.slow
def test_another_process_draws_the_same_bytes() -> None:
    code = (
        "import sys; from reports.html.charts import Move, draw_moves;"
        f"sys.stdout.buffer.write(draw_moves({MOVES!r}).encode())"
    )
    environment = {**os.environ, "TZ": "Pacific/Kiritimati", "LC_ALL": "C"}
    drawn = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, check=True
    )
    assert drawn.stdout.decode() == CHARTS["moves"]


def test_altair_is_imported_only_where_a_chart_is_drawn() -> None:
    """It costs a second, which no command has to wait that draws nothing."""
    code = "import sys, flows.cli.app, reports.run_report.page; print('altair' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert run.stdout.strip() == "False"
