"""Mistakes that only a district's points table can hold."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.policy_writing import DISTRICT, DISTRICT_TABLE, VALID_TABLE, problems, write


@pytest.mark.proves("points-50")
@pytest.mark.parametrize(
    "section", ["district: {title: 个性分, cap: 20}", "fines: {title: 扣分, subtract: true}"]
)
def test_a_district_has_sections_of_its_own(section: str, tmp_path: Path) -> None:
    code = section.partition(":")[0]
    text = re.sub(r"district: \{[^}]*\}", section, DISTRICT_TABLE)
    write(tmp_path, VALID_TABLE)
    write(tmp_path, text.replace("section: district", f"section: {code}"), DISTRICT)
    assert problems(tmp_path, (DISTRICT,)) == []


def test_an_award_with_an_unknown_code_is_refused(tmp_path: Path) -> None:
    write(tmp_path, VALID_TABLE)
    write(tmp_path, DISTRICT_TABLE.replace("award:village", "award:vilage"), DISTRICT)
    (problem,) = problems(tmp_path, (DISTRICT,))
    assert problem.key == "versions.0.indicators.village.fact"
    assert "没有名为 vilage 的指标" in problem.found and problem.expected == "是否应为 village？"
