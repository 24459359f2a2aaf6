"""An analyst's answer in LibreOffice: `jifen sql --csv` opens with its Chinese and its numbers."""

from __future__ import annotations

from pathlib import Path

import openpyxl
import pytest

from flows.commands.sql import run_query
from tests.support.office import converted
from tests.support.world import World

QUERY = """SELECT name, count(*) AS people, round(avg(total_points), 2) AS mean
    FROM latest_scores JOIN latest_districts USING (month, district) GROUP BY ALL ORDER BY people"""


def test_a_csv_answer_opens_with_chinese_and_numbers(
    synthetic_city: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_query(synthetic_city.settings, QUERY, "csv", publishable=False)
    answer = tmp_path / "answer.csv"
    answer.write_text(capsys.readouterr().out, encoding="utf-8", newline="")
    assert answer.read_bytes().startswith(b"\xef\xbb\xbf")
    (workbook,) = converted([answer], "xlsx", tmp_path / "opened")
    head, *lines = openpyxl.load_workbook(workbook).worksheets[0].iter_rows(values_only=True)
    assert [str(one).removeprefix("\ufeff") for one in head] == ["name", "people", "mean"]
    assert len(lines) >= 5
    for name, people, mean in lines:
        assert str(name)[-1] in "区县市" and isinstance(people, int | float) and 0 < mean < 200
