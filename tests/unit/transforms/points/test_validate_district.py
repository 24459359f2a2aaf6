"""Mistakes that only a district's points table can hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.policy_writing import DISTRICT, VALID_TABLE, problems, write

HEAD, _, _ = VALID_TABLE.partition("    versions:")
DISTRICT_TABLE = (
    HEAD.replace("city", f'"{DISTRICT}"')
    + """
    versions:
      - from: 2021-09-08
        basis: 文号
        sections:
          district: {title: 个性分, cap: 30}
        indicators:
          village:
            title: 村社
            section: district
            fact: award:village
            rule: {each: {pro_rata: true, points: 1}}
            basis: 第1条
            values: illustrative
            evidence: 赋分 {value}
            examples: {3.5: 3.5}
"""
)


@pytest.mark.proves("points-50")
def test_a_district_has_exactly_one_section(tmp_path: Path) -> None:
    write(tmp_path, VALID_TABLE)
    write(tmp_path, DISTRICT_TABLE, DISTRICT)
    assert problems(tmp_path, (DISTRICT,)) == []
    write(
        tmp_path,
        DISTRICT_TABLE.replace("district: {", "base: {").replace(
            "section: district", "section: base"
        ),
        DISTRICT,
    )
    assert [problem.key for problem in problems(tmp_path, (DISTRICT,))] == ["versions.0.sections"]


def test_an_award_with_an_unknown_code_is_refused(tmp_path: Path) -> None:
    write(tmp_path, VALID_TABLE)
    write(tmp_path, DISTRICT_TABLE.replace("award:village", "award:vilage"), DISTRICT)
    (problem,) = problems(tmp_path, (DISTRICT,))
    assert problem.key == "versions.0.indicators.village.fact"
    assert "没有名为 vilage 的指标" in problem.found and problem.expected == "是否应为 village？"
