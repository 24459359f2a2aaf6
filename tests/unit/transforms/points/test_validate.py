"""Every kind of mistake in a points table is refused with exactly one message: file, line, key, found, meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.policy_writing import (
    DISTRICT,
    FACTS,
    VALID_TABLE,
    line,
    load,
    problems,
    remarks,
    write,
)
from transforms.points.models import Indicator
from transforms.points.validate import validate_indicator

AGE = "versions.0.indicators.age"
SCHOOLING = "versions.0.indicators.schooling"
FINES = "versions.0.indicators.fines"
TIERS = "rule: {tiers: {mode: whole, rates: [{from: 1, points: 4}]}}"
LEVELS = "rule: {levels: {college: 5, bachelor: 8, master: 10}}"
EMPTY_ROW = "rule: {table: {down: {fact: degree}, across: {fact: skill}, points: {master: {}}}}"
DEGREE = f"fact: degree\n            {LEVELS}"

# what is replaced, by what, the key of the message, a part of what it says
MISTAKES = {
    "unknown key": ("            cap: 20", "            capp: 20", f"{AGE}.capp", "是否应为 cap"),
    "unknown key in a rule": ("mode: whole", "mood: x, mode: whole", f"{FINES}.rule.tiers.mood", "是否应为 mode"),
    "double key": ("            cap: 20", "            cap: 20\n            cap: 30", f"{AGE}.cap", "重复的键"),
    "missing key": ("            basis: 第1条\n", "", f"{AGE}.basis", "缺少"),
    "missing mode": ("mode: whole, ", "", f"{FINES}.rule.tiers.mode", "缺少"),
    "mode that does not exist": ("mode: whole", "mode: best", f"{FINES}.rule.tiers.mode", "whole 或 marginal"),
    "overlap": ("from: 36, to: 45", "from: 35, to: 45", f"{AGE}.rule.bands.1", "重叠"),
    "range the wrong way round": ("from: 36, to: 45", "from: 45, to: 36", f"{AGE}.rule.bands.1", "区间为空"),
    "range without bounds": ("from: 36, to: 45, points", "points", f"{AGE}.rule.bands.1", "至少写"),
    "unknown fact": ("fact: age", "fact: agee", f"{AGE}.fact", "是否应为 age"),
    "unknown level": ("master: 10}}", "masters: 10}}", f"{SCHOOLING}.rule.levels.masters", "是否应为 master"),
    "unit that does not fit the rule": ("fact: age", "fact: held", f"{AGE}.fact", "单位是是否"),
    "award in the city's table": ("fact: age", "fact: award:x", f"{AGE}.fact", "区县积分表"),
    "two rules": ("rule: {levels", "rule: {flat: 3, levels", f"{SCHOOLING}.rule", "只写一种规则"),
    "no rule": (LEVELS, "rule: {}", f"{SCHOOLING}.rule", "只写一种规则"),
    "bad date": ("- from: 2022-04-01", "- from: 2022-02-30", "versions.1.from", "存在的日期"),
    "versions not ascending": ("- from: 2022-04-01", "- from: 2021-09-07", "versions.1.from", "从早到晚"),
    "two versions of one day": ("- from: 2022-04-01", "- from: 2021-09-08", "versions.1.from", "从早到晚"),
    "cap below zero": ("            cap: 20", "            cap: -1", f"{AGE}.cap", "0 至 99999"),
    "cap of a section in more than hundredths": ("cap: 100}", "cap: 99.995}", "versions.0.sections.base.cap", "两位小数"),
    "cap of a group in more than hundredths": ("cap: 10}", "cap: 10.125}", "versions.0.groups.deeds.cap", "两位小数"),
    "number that is none": ("points: 8}", "points: 8分}", f"{AGE}.rule.bands.1.points", "0 至 99999"),
    "exponent": ("points: 8}", "points: 1e1}", f"{AGE}.rule.bands.1.points", "0 至 99999"),
    "yes is no switch": ("subtract: true", "subtract: yes", "versions.0.sections.deduction.subtract", ""),
    "unused group": ("section: deeds", "section: base", "versions.0.groups.deeds", "没有任何指标"),
    "unused section": ("section: deduction", "section: base", "versions.0.sections.deduction", "没有任何指标"),
    "unknown section": ("        section: deeds", "        section: deds", f"{SCHOOLING}.section", "是否应为 deeds"),
    "unknown parent": ("in: base, combine", "in: bse, combine", "versions.0.groups.deeds.in", "是否应为 base"),
    "cycle": ("in: base, combine", "in: deeds, combine", "versions.0.groups.deeds.in", "互相包含"),
    "indicator named like a section": ("          schooling:", "          base:", "versions.0.indicators.base", "别的含义"),
    "reserved name": ("          schooling:", "          total:", "versions.0.indicators.total", "别的含义"),
    "name of cases about nothing declared": ("          schooling:", "          unknown:", "versions.0.indicators.unknown", "别的含义"),
    "name of a section of another version": ("          fines:", "          city:", "versions.0.indicators.city", "另一版本"),
    "code in capitals": ("          schooling:", "          Schooling:", "versions.0.indicators.Schooling", "小写字母"),
    "unknown name in a condition": ("when: months", "when: month", f"{SCHOOLING}.when", "是否应为 months"),
    "condition that is none": ("when: months >= 6", "when: months + 6", f"{SCHOOLING}.when", "不是条件"),
    "at_most of another unit": ("at_most: insured", "at_most: age", f"{FINES}.at_most", "应与 fact 相同"),
    "unknown at_most": ("at_most: insured", "at_most: insurd", f"{FINES}.at_most", "是否应为 insured"),
    "unknown fact in the evidence": ("年龄 {age}", "年龄 {ages}", f"{AGE}.evidence", "是否应为 age"),
    "open brace in the evidence": ("年龄 {age}", "年龄 {age", f"{AGE}.evidence", "花括号"),
    "format in the evidence": ("年龄 {age}", "年龄 {age:d}", f"{AGE}.evidence", "内有别的写法"),
    "conversion in the evidence": ("年龄 {age}", "年龄 {age!d}", f"{AGE}.evidence", "内有别的写法"),
    "no examples": ("            examples: {17: 0, 18: 10}\n", "", f"{AGE}.examples", "缺少"),
    "example that is no value": ("{17: 0,", "{17.5: 0,", f"{AGE}.examples.17.5", "应为整数"),
    "example of an unknown fact": ("{degree: master,", "{degre: master,", f"{SCHOOLING}.examples.0.degre", "degree"),
    "values neither published nor illustrative": ("values: illustrative", "values: guess", f"{FINES}.values", "published"),
    "empty title": ("title: 处罚", "title:", f"{FINES}.title", "没有值"),
    "empty cap": ("            cap: 20", "            cap:", f"{AGE}.cap", "没有值"),
    "empty bound": ("{from: 36, to", "{from: , to", f"{AGE}.rule.bands.1.from", "没有值"),
    "empty cap in place of an earlier one": ("08, cap: 15}", "08, cap: }", "versions.1.indicators.age.cap", "没有值"),
    "empty guard in place of an earlier one": ("08, cap: 15}", "08, when: }", "versions.1.indicators.age.when", "没有值"),
    "empty as_in": ("as_in: 2021-09-08", "as_in: ", "versions.1.indicators.age.as_in", "没有值"),
    "no date of the version that as_in names": ("- from: 2021-09-08\n        basis", "- basis", "versions.0.from", "缺少"),
    "no fact": ("            fact: age\n", "", f"{AGE}.rule", "缺少 fact"),
    "fact beside counts": (LEVELS, "rule: {counts: {events: 1}}", f"{SCHOOLING}.fact", "请删去"),
    "counts of what is no count": (DEGREE, "rule: {counts: {hours: 1}}", f"{SCHOOLING}.rule.counts.hours", "单位"),
    "row of a table without cells": (DEGREE, EMPTY_ROW, f"{SCHOOLING}.rule.table.points.master", "至少要有 1 项"),
    "one mark twice": (TIERS, "rule: {steps: {mode: sum, marks: {6: 5, 6.0: 8}}}", f"{FINES}.rule.steps.marks.6.0", "重复的键"),
    "one count twice": (TIERS, "rule: {by_count: {1: 4, 2: 5, 2.0: 6}}", f"{FINES}.rule.by_count.2.0", "重复的键"),
    "by_count with a gap": (TIERS, "rule: {by_count: {1: 4, 3: 5}}", f"{FINES}.rule", "不跳号"),
    "unit beside pro_rata": (TIERS, "rule: {each: {points: 4, unit: 1, pro_rata: true}}", f"{FINES}.rule.each", "只写一个"),
    "start without first": (TIERS, "rule: {each: {points: 4, unit: 1, start: 2}}", f"{FINES}.rule.each", "同时写"),
    "direction missing": (TIERS, "rule: {slope: {start: 1, points: 4, each: 1}}", f"{FINES}.rule.slope.direction", "缺少"),
    "tiers not ascending": ("[{from: 1, points: 4}]", "[{from: 2, points: 4}, {from: 1, points: 5}]", f"{FINES}.rule.tiers", "从小到大"),
    "unknown earlier version": ("as_in: 2021-09-08", "as_in: 2021-09-07", "versions.1.indicators.age.as_in", "2021-09-08"),
    "earlier version without the indicator": ("  age: {as_in", "  ages: {as_in", "versions.1.indicators.ages.as_in", "是否应为 age"),
    "authority that is not the file's": ("authority: city", "authority: citi", "authority", "应与文件名相同"),
}  # fmt: skip


@pytest.mark.promises(
    {
        "sources-135": "a writer's every mistake, all at once, with file, line, key",
        "points-9": "`values` is published or illustrative, nothing else",
        "points-13": "Names that collide (`base`, `total`, a section of any version) are refused",
        "points-24": "bands that overlap are refused at load",
        "points-26": "slope without a direction is refused",
        "points-38": "One fact and exactly one rule (table two, counts a family)",
        "outputs-12": "Policy writer: one text file, no key silently ignored",
    }
)
@pytest.mark.proves("points-8", "points-30", "points-47")
@pytest.mark.parametrize("kind", MISTAKES)
def test_each_mistake_gives_one_message_at_its_line(kind: str, tmp_path: Path) -> None:
    old, new, key, meant = MISTAKES[kind]
    text = (
        VALID_TABLE.replace(
            "base: {title: 基础分}\n", "base: {title: 基础分}\n          city: {title: 市}\n"
        )
        if "另一" in meant
        else VALID_TABLE
    )
    assert old in text
    lines = write(tmp_path, text.replace(old, new, 1))
    aside = ("versions.1.sections.city", "versions.1.without.0", "versions.1.without.1")
    found = [problem for problem in problems(tmp_path) if problem.key not in aside]
    assert [problem.key for problem in found] == [key]
    problem = found[0]
    assert meant in f"{problem.found}；{problem.expected}"
    assert problem.file == tmp_path / "city.yaml"
    assert (
        key.rsplit(".", 1)[-1].isdigit()
        or "缺少" in problem.found
        or key.rsplit(".")[-1] in lines[problem.line - 1]
    )


YOUNG = {"young": {"below": "30"}, "older": {"from": "29"}}
GRID = {
    "down": {"fact": "degree"},
    "across": {"fact": "skill"},
    "points": {"master": {"senior": "1"}},
}
EACH = {"each": {"unit": "1", "points": "1"}}


@pytest.mark.promise("points-35", "per_year takes any number rule inside, no other")
@pytest.mark.parametrize(
    ("rule", "fact", "place", "meant"),
    [
        (
            {"table": {**GRID, "down": {"fact": "degre"}}},
            None,
            ("rule", "table", "down", "fact"),
            "degree",
        ),
        (
            {"table": {**GRID, "down": {"fact": "age"}}},
            None,
            ("rule", "table", "down", "bands"),
            "数值要先分段",
        ),
        (
            {"table": {**GRID, "points": {"masters": {"senior": "1"}}}},
            None,
            ("rule", "table", "points", "masters"),
            "master",
        ),
        (
            {"table": {**GRID, "points": {"master": {"seniors": "1"}}}},
            None,
            ("rule", "table", "points", "master", "seniors"),
            "senior",
        ),
        (
            {
                "table": {
                    **GRID,
                    "across": {"fact": "age", "bands": YOUNG},
                    "points": {"master": {"young": "1"}},
                }
            },
            None,
            ("rule", "table", "across", "bands", "older"),
            "重叠",
        ),
        (
            {"per_year": {"cap": "5", "years": "5", "rule": {"flat": "1"}}},
            "by_year",
            ("rule", "per_year", "rule"),
            "flat",
        ),
        (
            {"per_year": {"cap": "5", "years": "6", "rule": EACH}},
            "by_year",
            ("rule", "per_year", "years"),
            "5 个自然年",
        ),
        ({"per_year": {"cap": "5", "years": "5", "rule": EACH}}, "hours", ("fact",), "分年度小时"),
    ],
)
def test_mistakes_in_tables_and_years(
    rule: Any, fact: str | None, place: tuple[str, ...], meant: str
) -> None:
    indicator = Indicator.model_validate(line(rule, fact=fact))
    found = [
        (where, f"{what}；{wanted}")
        for where, what, wanted in validate_indicator(indicator, "city", FACTS)
    ]
    assert [where for where, _ in found] == [place]
    assert meant in found[0][1]


def test_a_later_version_takes_over_what_it_leaves_out(tmp_path: Path) -> None:
    write(tmp_path, VALID_TABLE)
    table = load(tmp_path)[0]
    before, after = (version.indicators["age"] for version in table.versions)
    assert (before.cap, after.cap) == (20, 15)
    assert after.model_copy(update={"cap": before.cap}) == before


@pytest.mark.promise(
    "points-14",
    "Unknown key, fact, level, place; double key; overlap; bad date: refused, all at once",
)
@pytest.mark.proves("points-1")
def test_mistakes_in_all_tables_are_reported_at_once(tmp_path: Path) -> None:
    text = VALID_TABLE
    kinds = (
        "double key",
        "overlap",
        "unknown level",
        "missing mode",
        "bad date",
        "cycle",
        "unknown name in a condition",
    )
    for kind in kinds:
        old, new, _, _ = MISTAKES[kind]
        text = text.replace(old, new, 1)
    write(tmp_path, text)
    write(tmp_path, "authority: '330299'\n", "330299")
    found = problems(tmp_path, (DISTRICT,))
    reported = {(problem.file.name, problem.key) for problem in found}
    assert {("city.yaml", MISTAKES[kind][2]) for kind in kinds} <= reported
    assert ("330299.yaml", "(文件)") in reported
    assert len(found) == len(kinds) + 1


def test_a_mistake_taken_over_by_a_version_is_reported_once(tmp_path: Path) -> None:
    write(
        tmp_path,
        VALID_TABLE.replace("{from: 36, to: 45, points: 8}", "{from: 30, to: 45, points: 8}"),
    )
    assert [problem.key for problem in problems(tmp_path)] == [f"{AGE}.rule.bands.1"]


@pytest.mark.parametrize("text", ["", "- a\n", "authority: [\n", "just text\n"])
def test_a_file_that_is_no_table_gives_one_message(text: str, tmp_path: Path) -> None:
    write(tmp_path, text)
    assert len(problems(tmp_path)) == 1


@pytest.mark.proves("points-15")
@pytest.mark.parametrize(
    ("bands", "gap"),
    [
        ("{from: 18, to: 35, points: 10}", None),
        ("{from: 18, to: 34, points: 10}", "34 与 36 之间的数值不得分"),
        ("{from: 18, below: 36, points: 10}", None),
        ("{from: 18, below: 35, points: 10}", "35 与 36 之间的数值不得分"),
    ],
)
def test_a_gap_between_bands_of_whole_numbers_is_a_remark(
    bands: str, gap: str | None, tmp_path: Path
) -> None:
    write(tmp_path, VALID_TABLE.replace("{from: 18, to: 35, points: 10}", bands))
    assert [w.found for w in remarks(tmp_path) if "之间" in w.found] == ([gap] if gap else [])


@pytest.mark.proves("points-15")
def test_a_gap_between_bands_of_decimals_is_a_remark_with_its_place(tmp_path: Path) -> None:
    hours = VALID_TABLE.replace("fact: age", "fact: hours").replace("{17: 0, 18: 10}", "{18.5: 10}")
    lines = write(tmp_path, hours)
    found = [w for w in remarks(tmp_path) if "之间" in w.found]
    assert [w.found for w in found] == ["35 与 36 之间的数值不得分（hours 可有小数）"]
    assert (found[0].key, lines[found[0].line - 1].strip()) == (f"{AGE}.rule", "rule:")
    write(tmp_path, hours.replace("from: 18, to: 35", "from: 18, below: 36"))
    assert [w for w in remarks(tmp_path) if "之间" in w.found] == []


@pytest.mark.proves("points-15")
def test_a_gap_between_the_named_ranges_of_a_table_is_a_remark_too(tmp_path: Path) -> None:
    table = (
        "{down: {fact: degree}, across: {fact: hours, bands: {many: {from: 6}, few: {to: 5}}}, "
        "points: {master: {few: 1}}}"
    )
    write(tmp_path, VALID_TABLE.replace(DEGREE, f"rule: {{table: {table}}}"))
    (found,) = [w for w in remarks(tmp_path) if "之间" in w.found]
    assert (found.key, found.found) == (
        f"{SCHOOLING}.rule",
        "5 与 6 之间的数值不得分（hours 可有小数）",
    )
    write(
        tmp_path,
        VALID_TABLE.replace(DEGREE, f"rule: {{table: {table.replace('hours', 'events')}}}"),
    )
    assert [w for w in remarks(tmp_path) if "之间" in w.found] == []


def test_a_wrong_file_extension_is_reported(tmp_path: Path) -> None:
    write(tmp_path, VALID_TABLE)
    (tmp_path / "city.yaml").rename(tmp_path / "city.yml")
    assert {(one.file.name, one.expected) for one in problems(tmp_path)} == {
        ("city.yaml", "请为 city 写一份积分表"),
        ("city.yml", "文件名应以 .yaml 结尾"),
    }
