"""Tiny points tables as a policy writer types them, and the points that residents get from them."""

from __future__ import annotations

import datetime as dt
import textwrap
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from expectations.errors import DeclarationError, Diagnostic
from expectations.reference_tables import load_reference
from expectations.source_model import Fact
from transforms.points.compile import points_sql
from transforms.points.load import load_tables, read_tables
from transforms.points.models import PointsTable, PointsVersion

PROJECT_TABLES = Path(__file__).parents[2] / "data" / "points"
PROJECT_DISTRICTS = load_reference(PROJECT_TABLES.parent / "reference").districts
DISTRICT = "330211"
AS_OF = dt.date(2021, 10, 31)


def fact(unit: str, **more: Any) -> Fact:
    return Fact(
        title="数据", unit=unit, meaning="义", meaning_en="meaning", measure="count", **more
    )  # type: ignore[arg-type]


FACTS: dict[str, Fact] = {
    "age": fact("years"),
    "months": fact("months"),
    "insured": fact("months"),
    "events": fact("count"),
    "others": fact("count"),
    "hours": fact("hours"),
    "held": fact("yes_no"),
    "degree": fact("level", ladder=[["college"], ["bachelor"], ["master"]], otherwise="none"),
    "skill": fact("level", ladder=[["junior"], ["senior"]]),
    "valid_to": fact("date"),
    "lives_at": fact("area"),
    "by_year": fact("hours_by_year", years=5),
    "awards": fact("points_by_key"),
}
TYPES = {
    "hours": "DECIMAL(18, 2)",
    "held": "BOOLEAN",
    "degree": "VARCHAR",
    "skill": "VARCHAR",
    "valid_to": "DATE",
    "lives_at": "VARCHAR",
    "by_year": "STRUCT(year INTEGER, hours DECIMAL(18, 2))[]",
    "awards": "STRUCT(key VARCHAR, points DECIMAL(18, 2))[]",
}
Person = Mapping[str, Any]


def line(rule: Mapping[str, Any], **around: Any) -> dict[str, Any]:
    """One indicator as its file would have it."""
    frame = {
        "title": "指标",
        "section": "base",
        "basis": "第1条",
        "values": "illustrative",
        "evidence": "依据",
    }
    return {**frame, "rule": rule, "examples": [{"points": "0"}], **around}


def version(
    indicators: Mapping[str, Any], sections: Mapping[str, Any] | None = None, **more: Any
) -> PointsVersion:
    return PointsVersion.model_validate(
        {
            "from": "2021-09-08",
            "basis": "文号",
            "sections": sections or {"base": {"title": "基础分"}},
            "indicators": indicators,
            **more,
        }
    )


def score(
    people: list[Person],
    city: PointsVersion,
    districts: Mapping[str, PointsVersion] | None = None,
    corrected: tuple[str, ...] = (),
    as_of: dt.date = AS_OF,
) -> list[dict[str, Any]]:
    """The scores of people given by some of their facts (`district` and `corrections` among them), in their order."""
    columns = {
        "resident_key": "VARCHAR",
        "district": "VARCHAR",
        **{name: TYPES.get(name, "INTEGER") for name in FACTS},
    }
    columns["corrections"] = "STRUCT(target VARCHAR, case_id VARCHAR, value DECIMAL(12, 2))[]"
    with duckdb.connect() as connection:
        connection.execute(
            f"CREATE TABLE facts ({', '.join(f'{name} {kind}' for name, kind in columns.items())})"
        )
        for number, person in enumerate(people):
            row = {
                "district": DISTRICT,
                "by_year": [],
                "awards": [],
                **person,
                "resident_key": f"{number:06}",
            }
            connection.execute(
                f"INSERT INTO facts VALUES ({', '.join('?' * len(columns))})",
                [row.get(c) for c in columns],
            )
        statement = points_sql(city, districts or {}, FACTS, corrected=corrected)
        found = connection.execute(statement, {"month": as_of.replace(day=1), "as_of": as_of})
        names = [column[0] for column in found.description or []]
        return sorted(
            (dict(zip(names, row, strict=True)) for row in found.fetchall()),
            key=lambda r: str(r["resident_key"]),
        )


def points(
    rule: Mapping[str, Any], people: list[Person], as_of: dt.date = AS_OF, **around: Any
) -> list[str]:
    """What one rule gives each of these people, as text ("10.00")."""
    scored = score(people, version({"x": line(rule, **around)}), as_of=as_of)
    return [str(row["x_points"]) for row in scored]


def given(
    rule: Mapping[str, Any], fact_name: str, values: Mapping[Any, str], **around: Any
) -> None:
    """Assert the points of each value of one fact (a text: exact decimals)."""
    people = [{fact_name: None if value is None else Decimal(str(value))} for value in values]
    wanted = [f"{Decimal(expected):.2f}" for expected in values.values()]
    assert dict(zip(values, points(rule, people, fact=fact_name, **around), strict=True)) == dict(
        zip(values, wanted, strict=True)
    )


def write(folder: Path, text: str, authority: str = "city") -> list[str]:
    """A points table typed into the folder."""
    lines = textwrap.dedent(text).lstrip("\n").splitlines()
    (folder / f"{authority}.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return lines


def load(folder: Path, districts: tuple[str, ...] = ()) -> list[PointsTable]:
    return load_tables(folder, FACTS, districts)


def problems(folder: Path, districts: tuple[str, ...] = ()) -> list[Diagnostic]:
    """What is wrong with the tables of a folder."""
    try:
        load(folder, districts)
    except DeclarationError as error:
        return error.problems
    return []


def remarks(folder: Path, districts: tuple[str, ...] = ()) -> list[Diagnostic]:
    """What the tables of a folder may say but seldom mean."""
    return read_tables(folder, FACTS, districts).warnings


VALID_TABLE = """
    authority: city
    title: 积分表
    purpose: 目的
    legal_basis: 依据
    effect: [points_loan]
    versions:
      - from: 2021-09-08
        basis: 文号
        sections:
          base: {title: 基础分, cap: 100}
          deduction: {title: 扣分, subtract: true}
        groups:
          deeds: {title: 善行, in: base, combine: sum, cap: 10}
        indicators:
          age:
            title: 年龄
            section: base
            fact: age
            rule:
              bands:
                - {from: 18, to: 35, points: 10}
                - {from: 36, to: 45, points: 8}
            cap: 20
            basis: 第1条
            values: published
            evidence: 年龄 {age} 周岁
            examples: {17: 0, 18: 10}
          schooling:
            title: 学历
            section: deeds
            fact: degree
            rule: {levels: {college: 5, bachelor: 8, master: 10}}
            when: months >= 6
            basis: 第2条
            values: published
            evidence: 学历 {degree}
            examples:
              - {degree: master, months: 6, points: 10}
          fines:
            title: 处罚
            section: deduction
            fact: months
            rule: {tiers: {mode: whole, rates: [{from: 1, points: 4}]}}
            at_most: insured
            basis: 第3条
            values: illustrative
            evidence: 处罚
            examples:
              - {months: 1, insured: 1, points: 4}
      - from: 2022-04-01
        basis: 文号二
        without: [schooling, fines]
        sections:
          base: {title: 基础分}
        indicators:
          age: {as_in: 2021-09-08, cap: 15}
"""

_HEAD, _, _ = VALID_TABLE.partition("    versions:")
DISTRICT_TABLE = (
    _HEAD.replace("city", f'"{DISTRICT}"')
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
