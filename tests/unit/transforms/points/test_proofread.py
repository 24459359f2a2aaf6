"""What a points table may say but nobody means is an error, or a remark that `--strict` refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.policy_writing import (
    DISTRICT,
    DISTRICT_TABLE,
    FACTS,
    VALID_TABLE,
    problems,
    remarks,
    write,
)
from transforms.points.load import read_tables

AGE, SCHOOLING, FINES = (f"versions.0.indicators.{code}" for code in ("age", "schooling", "fines"))
BANDS = """bands:
                - {from: 18, to: 35, points: 10}
                - {from: 36, to: 45, points: 8}
            cap: 20"""
EXAMPLES = "examples: {17: 0, 18: 10}"
LEVELS = "rule: {levels: {college: 5, bachelor: 8, master: 10}}"
DEGREE = f"fact: degree\n            {LEVELS}"
MINUS = "rule: {slope: {start: 0, points: 0, each: -20, direction: above}}"
WRONG_WAY = "rule: {slope: {start: 0, points: 4, each: 1, direction: above, from: 50, to: 20}}"
SLOPE = "slope: {start: 18, points: 10, each: -1, direction: above}"
OTHER = "- {degree: master, months: 6, points: 10}\n              - {degree: master, points: 0}"
PART = "- {degree: master, months: 6, points: 10}"
TABLE = "rule: {table: {down: {fact: age}, across: {fact: degree}, points: {x: {master: 1}}}}"
FALLING = "tiers: {mode: whole, unit: 12, rates: [{from: 1, points: 10}, {from: 3, points: 5}]}"
TIERS = "rule: {tiers: {mode: whole, rates: [{from: 1, points: 4}]}}"

# was, becomes, key of the message, a part of what it says
REFUSED = {
    "points for nobody": ("            cap: 20", "            cap: 0", f"{AGE}.cap", "永远不得分"),
    "cap of a section that is 0": ("扣分, subtract: true", "扣分, cap: 0, subtract: true", "versions.0.sections.deduction.cap", "0"),
    "cap of a group that is 0": ("cap: 10}", "cap: 0}", "versions.0.groups.deeds.cap", "0"),
    "two minus signs": (TIERS, MINUS, f"{FINES}.rule", "两次相减"),
    "slope the wrong way round": (TIERS, WRONG_WAY, f"{FINES}.rule.slope", "区间为空"),
    "limit of its own fact": ("at_most: insured", "at_most: months", f"{FINES}.at_most", "自己的数据"),
    "effect twice": ("effect: [points_loan]", "effect: [points_loan, points_loan]", "effect", "重复"),
    "condition that always holds": ("when: months >= 6", "when: true", f"{SCHOOLING}.when", "对每个人都一样"),
    "condition on constants": ("when: months >= 6", "when: 1 < 2", f"{SCHOOLING}.when", "对每个人都一样"),
    "name of an area": ("when: months >= 6", "when: lives_at = '海曙区'", f"{SCHOOLING}.when", "六位代码"),
    "full-width digit": ("points: 8}", "points: ８}", f"{AGE}.rule.bands.1.points", "半角"),
    "Arabic digit": ("points: 8}", "points: ٨}", f"{AGE}.rule.bands.1.points", "半角"),
    "leading zeros": ("points: 8}", "points: 00008.5000}", f"{AGE}.rule.bands.1.points", "前面不写 0"),
    "leading zero": ("points: 8}", "points: 010}", f"{AGE}.rule.bands.1.points", "前面不写 0"),
    "leading zero of a bound": ("from: 36, to", "from: 036, to", f"{AGE}.rule.bands.1.from", "前面不写 0"),
    "full-width braces": ("年龄 {age} 周岁", "年龄 ｛age｝ 周岁", f"{AGE}.evidence", "全角"),
    "full-width quotes": ("evidence: 处罚", "evidence: “处罚”", f"{FINES}.evidence", "全角"),
    "full-width quotes of a title": ("title: 处罚", "title: 「处罚」", f"{FINES}.title", "全角"),
    "number too large": ("points: 8}", "points: 123456}", f"{AGE}.rule.bands.1.points", "99999"),
    "thousands": ("points: 8}", "points: 1,000}", f"{AGE}.rule.bands.1.points", "千分位"),
    "comma in a text": ("base: {title: 基础分", "base: {title: 甲, 乙", "versions.0.sections.base.title", "逗号"),
    "two inequalities": ("when: months >= 6", "when: 18 <= age <= 60", f"{SCHOOLING}.when", "between"),
    "axis without ranges": (DEGREE, TABLE, f"{SCHOOLING}.rule.table.down.bands", "bands"),
    "points in a condition": ("when: months >= 6", "when: age_points > 0", f"{SCHOOLING}.when", "得分"),
}  # fmt: skip

REMARKED = {
    "a year between bands": ("from: 36, to: 45", "from: 37, to: 45", f"{AGE}.rule", "35 与 37"),
    "cap below a row": ("            cap: 20", "            cap: 5", f"{AGE}.rule", "上限只有 5"),
    "section's cap below a row": ("基础分, cap: 100}", "基础分, cap: 9}", f"{AGE}.rule", "上限只有 9"),
    "group's cap below a level": ("cap: 10}", "cap: 9}", f"{SCHOOLING}.rule", "上限只有 9"),
    "cap above that of the section": ("基础分, cap: 100}", "基础分, cap: 15}", f"{AGE}.cap", "不起作用"),
    "group's cap above that of the section": ("cap: 10}", "cap: 300}", "versions.0.groups.deeds.cap", "不起作用"),
    "deductions that add": ("扣分, subtract: true}", "扣分, subtract: false}", "versions.0.sections.deduction", "加分的分项"),
    "below zero": (BANDS, SLOPE, f"{AGE}.rule", "会降到"),
    "falling steps": (BANDS, "steps: {mode: highest, marks: {18: 10, 36: 8}}", f"{AGE}.rule", "少"),
    "falling tiers": (BANDS, FALLING, f"{AGE}.rule", "少"),
    "falling counts": (TIERS, "rule: {by_count: {1: 4, 2: 3}}", f"{FINES}.rule", "少"),
    "more than can be scored": (TIERS, "rule: {each: {unit: 1, points: 9999}}", f"{FINES}.rule", "没有上限"),
    "examples without points": (EXAMPLES, "examples: {17: 0}", f"{AGE}.examples", "都得 0 分"),
    "example without the condition's fact": (PART, OTHER, f"{SCHOOLING}.examples.1", "条件用到的 months"),
    "text cut by a comment": ("basis: 第2条", "basis: 第2条 #3", f"{SCHOOLING}.basis", "注释"),
    "unknown area": ("when: months >= 6", "when: months >= 6 and lives_at <> '330299'", f"{SCHOOLING}.when", "330299"),
    "indicators left out": ("without: [schooling, fines]", "without: [schooling]", "versions.1.indicators", "少了 1 个指标：fines（处罚）"),
    "level between those listed": ("{college: 5, bachelor: 8, master: 10}", "{college: 5, master: 10}", f"{SCHOOLING}.rule", "bachelor"),
}  # fmt: skip


def change(folder: Path, was: str, becomes: str) -> list[str]:
    """Write the table with one mistake, and an area fact to name; return its lines."""
    text = VALID_TABLE
    assert was in text
    return write(folder, text.replace(was, becomes, 1))


@pytest.mark.parametrize("mistake", REFUSED)
def test_a_mistake_that_nobody_can_mean_is_refused_at_its_line(
    mistake: str, tmp_path: Path
) -> None:
    was, becomes, key, meant = REFUSED[mistake]
    lines = change(tmp_path, was, becomes)
    found = problems(tmp_path, (DISTRICT,))
    assert [one.key for one in found] == [key], [str(one) for one in found]
    assert meant in f"{found[0].found}；{found[0].expected}"
    assert key.split(".")[-1] in lines[found[0].line - 1] or str(found[0].line) in str(found[0])


@pytest.mark.parametrize("mistake", REMARKED)
def test_a_mistake_that_some_city_may_mean_is_remarked_at_its_line(
    mistake: str, tmp_path: Path
) -> None:
    was, becomes, key, meant = REMARKED[mistake]
    lines = change(tmp_path, was, becomes)
    assert problems(tmp_path, (DISTRICT,)) == []
    found = [one for one in remarks(tmp_path, (DISTRICT,)) if one.key == key]
    assert any(meant in f"{one.found}；{one.expected}" for one in found), remarks(tmp_path)
    assert all(1 < one.line <= len(lines) for one in found)


def test_the_valid_table_gives_no_remark(tmp_path: Path) -> None:
    write(tmp_path, VALID_TABLE)
    assert remarks(tmp_path) == []


def test_a_penalty_that_earns_points_is_refused(tmp_path: Path) -> None:
    write(tmp_path, VALID_TABLE.replace("        section: deduction", "        section: base"))
    facts = {**FACTS, "months": FACTS["months"].model_copy(update={"adverse": True})}
    with pytest.raises(Exception, match="越多得分越多"):
        read_tables(tmp_path, facts, ())


def test_an_indicator_with_the_code_of_a_city_indicator_is_remarked(tmp_path: Path) -> None:
    write(tmp_path, VALID_TABLE)
    write(
        tmp_path,
        DISTRICT_TABLE.replace("village", "age")
        .replace("award:age", "months")
        .replace("{3.5: 3.5}", "{4: 4}"),
        DISTRICT,
    )
    (found,) = remarks(tmp_path, (DISTRICT,))
    assert (found.key, found.found) == (AGE, "age 与市级指标同名，两项都计分")
