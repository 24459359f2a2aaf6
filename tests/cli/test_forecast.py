"""When a service will be reached: worked out by hand, and what cannot be declared."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Collection
from pathlib import Path

import pytest

from expectations.errors import DeclarationError
from expectations.source_loader import BUILTIN_SOURCES, load_sources
from flows.commands.explain import explain_person
from flows.commands.lookup import PersonQuery
from flows.settings import OWN_DECLARATIONS
from tests.support.world import World, national_id

# 36 years old in June 2022
PERSON = national_id("33020319860615302")
IDLE = national_id("33020319860615303")
CITY_TABLE = """
authority: city
title: 试验积分表
purpose: 试验
legal_basis: 试验办法
effect: [EFFECT]
versions:
  - from: 2021-09-08
    basis: 试验办法第一版
    sections:
      base: {title: 基础分, cap: 200}
      deduction: {title: 扣分, subtract: true}
    indicators:
      age: {title: 年龄, section: base, fact: age, rule: {bands: [{from: 18, to: 35, points: 5}]}, basis: 第一条,
        values: published, evidence: "年龄 {age} 周岁", examples: {18: 5}}
      residence: {title: 居住, section: base, fact: residence_months, rule: {each: {unit: 1, points: 1}}, basis: 第二条,
        values: published, evidence: "居住 {residence_months} 个月", examples: {4: 4}}
      penalties: {title: 行政处罚, section: deduction, fact: penalties_24m, rule: {each: {unit: 1, points: 3}}, basis: 第三条,
        values: published, evidence: "处罚 {penalties_24m} 次", examples: {1: 3}}
"""
ROOT_SOURCES = ("registry", "social_security", "credit")


def service(threshold: int) -> str:
    return f"""
service: at_{threshold}
title: 满 {threshold} 分
department: 卫生健康委
purpose: 试验
legal_basis: 试验办法
versions:
  - from: 2021-09-08
    basis: 试验办法
    values: {{districts: published, conditions: published, points: published}}
    districts: all
    conditions:
      - {{when: insured_now, lacking: 需正在缴纳养老保险}}
    points: {{threshold: {threshold}}}
    window: all_year
    examples:
      - {{district: "330203", insured_now: true, total_points: {threshold}, eligible: true}}
"""


def run_town(folder: Path, thresholds: Collection[int]) -> World:
    policy, effect = folder / "policy", ", ".join(f"at_{one}" for one in thresholds)
    shutil.copytree(OWN_DECLARATIONS / "reminders", policy / "reminders")
    for part in ("points", "services"):
        (policy / part).mkdir(parents=True)
    for table in (OWN_DECLARATIONS / "points").glob("3*.yaml"):
        text = re.sub("effect: .*", f"effect: [{effect}]", table.read_text(encoding="utf-8"))
        (policy / "points" / table.name).write_text(text, encoding="utf-8")
    city = CITY_TABLE.replace("EFFECT", effect)
    (policy / "points" / "city.yaml").write_text(city, encoding="utf-8")
    for one in thresholds:
        (policy / "services" / f"at_{one}.yaml").write_text(service(one), encoding="utf-8")
    world = World(folder, policy=policy, only=ROOT_SOURCES)
    resident = {"residence_district": "330203", "registered_on": "2019-12-31", "status": "resident"}
    paid = {"insurance": "pension", "month": "2021-10", "district": "330203", "base": "5000",
            "kind": "paid", "posted_on": "2021-10-20"}  # fmt: skip
    penalty = {"kind": "penalty", "level": "general", "status": "valid"}
    world.deliver(
        "2021-10",
        registry=[{**resident, "resident_id": one} for one in (PERSON, IDLE)],
        social_security=[{**paid, "resident_id": PERSON}],
        credit=[{**penalty, "event_id": "K1", "resident_id": PERSON, "on_date": "2020-12-15"}],
    )
    world.run("2021-10")
    return world


def explained(world: World, resident_id: str) -> tuple[dict[str, int | None], str]:
    lines: list[str] = []
    for as_json in (True, False):
        explain_person(
            world.settings, PersonQuery(resident_id), lines.append, as_json=as_json, records=False
        )
    return json.loads(lines[0])["months_to"], "\n".join(lines[1:])


def test_a_service_is_reached_when_time_has_brought_the_points(tmp_path: Path) -> None:
    """24 points in October 2021: residence 22, age 5, a penalty -3.

    Age is lost in June 2022, after 8 months; the penalty of December 2020 in December 2022, after 14.
    """
    after = {30: 6, 31: 7, 33: 14, 46: 24, 47: None}
    world = run_town(tmp_path, [24, *after])
    found, text = explained(world, PERSON)
    assert found == {f"at_{threshold}": months for threshold, months in after.items()}
    assert "预计 14 个月后（2022-12）达到" in text
    assert text.count("24 个月内不能达到") == 1
    assert explained(world, IDLE)[0] == {}  # lacks a condition, too


@pytest.mark.parametrize(
    ("fact", "moves", "place"),
    [
        ("pension_months", "{by: date}", "moves.by"),
        ("degree", "{by: month}", "moves.by"),
        ("insured_now", "{by: month}", "moves"),
        ("awards", "{by: date}", "moves.by"),
        ("age", "{by: date, while: permit_held}", "moves.while"),
        ("permit_months", "{by: month, while: age}", "moves.while"),
        ("permit_months", "{by: month, while: nothing}", "moves.while"),
    ],
)
def test_what_cannot_be_computed_is_refused_at_load(
    tmp_path: Path, fact: str, moves: str, place: str
) -> None:
    folder = tmp_path / "sources"
    shutil.copytree(BUILTIN_SOURCES, folder)
    for path in folder.glob("*.yaml"):
        before, found, after = path.read_text(encoding="utf-8").partition(f"\n  {fact}:\n")
        if found:
            own, end, rest = after.partition("\n\n")
            lines = own.split("\n")
            stop = next(
                (n for n, line in enumerate(lines) if not line.startswith("    ")), len(lines)
            )
            mine = [line for line in lines[:stop] if not line.startswith("    moves:")]
            text = "\n".join([*mine, f"    moves: {moves}", *lines[stop:]])
            path.write_text(before + found + text + end + rest, encoding="utf-8")
    with pytest.raises(DeclarationError) as refused:
        load_sources(folder)
    assert [problem.key for problem in refused.value.problems] == [f"facts.{fact}.{place}"]
