"""Rules, conditions and values as Chinese sentences, generated from what scores."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from expectations.fact_model import YEAR_UNITS, Fact
from expectations.source_model import Source
from transforms.expressions.fact_values import find_fact
from transforms.expressions.language import split_tokens
from transforms.points.models import PointsSum
from transforms.points.rules import Axis, Each, PerYear, Range, Rule, Slope, Steps, Table, Tiers
from transforms.templates import format_date, format_number

_MEASURE_WORDS = {
    "year": "年",
    "years": "年",
    "months": "个月",
    "count": "次",
    "people": "人",
    "hours": "小时",
    "ml": "毫升",
    "yuan": "元",
    "times": "次",
    "m2": "平方米",
    "percent": "%",
    "number": "",
}
_UNKNOWN = "无记录"
_OPERATORS = {
    "and": "且", "or": "或", "not": "非", "in": "属于", "is": "为", "null": _UNKNOWN,
    "between": "介于", "true": "是", "false": "否", "as_of": "计分日", "district": "居住区县",
    "date": "", "year": "年份", "month": "月份", ">=": "≥", "<=": "≤", "<>": "≠", "!=": "≠", "==": "=",
}  # fmt: skip


@dataclass(frozen=True)
class Titles:
    """What facts and their levels are called.

    facts: by name. levels: per level fact the title of each level. areas: names of areas by code.
    """

    facts: Mapping[str, Fact]
    levels: Mapping[str, Mapping[str, str]]
    areas: Mapping[str, str] = field(default_factory=dict)

    def title(self, fact: str) -> str:
        """Return what a fact is called."""
        return self.facts[fact].title if fact in self.facts else fact

    def level(self, fact: str, level: str) -> str:
        """Return what a level of a fact is called, or an area."""
        if fact in self.facts and self.facts[fact].unit == "area":
            return self.areas.get(level, level)
        return self.levels.get(fact, {}).get(level, level)


def collect_titles(sources: Mapping[str, Source], areas: Mapping[str, str] | None = None) -> Titles:
    """Return the titles of all facts, of levels as the source's column calls them, and of areas."""
    facts = {name: fact for source in sources.values() for name, fact in source.facts.items()}
    levels = {
        name: {
            level: titles[0]
            for level, titles in source.columns[str(fact.of)].values.items()
            if titles
        }
        | ({fact.otherwise: "无"} if fact.otherwise else {})
        for source in sources.values()
        for name, fact in source.facts.items()
        if fact.unit == "level" and fact.of in source.columns
    }
    return Titles(facts, levels, areas or {})


def format_value(name: str, value: Any, names: Titles) -> str:
    """Return a fact's value as people say it, without its unit, which the evidence line has."""
    if value is None:
        return _UNKNOWN
    if isinstance(value, bool):
        return "是" if value else "否"
    if isinstance(value, list):
        return "、".join(_describe_entry(entry) for entry in value) or "无"
    if isinstance(value, int | Decimal):
        return format_number(value)
    if isinstance(value, dt.date):
        return format_date(value, names.facts[name].unit if name in names.facts else "date")
    return names.level(name, str(value))


def _describe_entry(entry: Mapping[str, Any]) -> str:
    if "year" in entry:
        unit = next(key for key in entry if key != "year")
        return f"{entry['year']} 年 {_format_amount(entry[unit], _MEASURE_WORDS[unit])}"
    return (
        f"{entry['key']} {format_number(entry['points'])} 分"
        if "key" in entry
        else str(entry.get("level", ""))
    )


def describe_condition(text: str, names: Titles) -> str:
    """Return a condition with titles of facts and levels, and operators in Chinese."""
    named = [token for token in split_tokens(text) if token in names.facts]
    said = [_describe_token(token, named, names) for token in split_tokens(text)]
    return re.sub(r"(?<=[(，]) | (?=[)，])", "", " ".join(word for word in said if word))


def _describe_token(token: str, named: list[str], names: Titles) -> str:
    if token.startswith("'"):
        level = token.strip("'")
        titles = (names.level(fact, level) for fact in named)
        return next((title for title in titles if title != level), level)
    if token in names.facts:
        return names.title(token)
    return _OPERATORS.get(token, "，" if token == "," else token)


def describe_limits(found: PointsSum, titles: Mapping[str, str], names: Titles) -> str:
    """Return what limits and guards a group or section, as one sentence without its full stop.

    Args:
        found: The group or section.
        titles: Titles of the table's indicators, groups and sections by code.
        names: Titles of facts and levels.
    """
    parts = []
    if found.cap is not None:
        parts.append(f"最高 {format_number(found.cap)} 分")
    if found.cap_share is not None:
        of = "、".join(titles.get(code, code) for code in found.cap_share.of)
        parts.append(f"不超过{of}得分的 {format_number(found.cap_share.share * 100)}%")
    if found.floor is not None:
        parts.append(f"最低 {format_number(found.floor)} 分")
    if found.all_of:
        parts.append(f"{'、'.join(titles.get(code, code) for code in found.all_of)}缺一不可")
    if found.when:
        parts.append(f"须{describe_condition(found.when, names)}")
    if found.unless:
        parts.append(f"{describe_condition(found.unless, names)}时不计")
    return "；".join(parts)


def describe_rule(rule: Rule, fact: str | None, names: Titles) -> str:
    """Return a rule as one sentence without its full stop.

    Args:
        rule: The rule.
        fact: The indicator's own fact, as written in the points table.
        names: Titles of facts and levels.
    """
    if rule.counts is not None:
        return "，".join(
            f"{names.title(name)} × {format_number(points)} 分"
            for name, points in rule.counts.items()
        )
    if rule.table is not None:
        return _describe_table(rule.table, names)
    declared = find_fact(str(fact), names.facts)
    if rule.levels is not None:
        listed = (
            f"{names.level(str(fact), level)} {format_number(points)} 分"
            for level, points in rule.levels.items()
        )
        return "、".join(listed) + "，其他 0 分"
    if rule.flat is not None:
        return f"符合即得 {format_number(rule.flat)} 分"
    if rule.per_year is not None:
        return _describe_per_year(rule.per_year, declared)
    return _describe_number_rule(rule, _unit_word(declared))


def _describe_per_year(per_year: PerYear, fact: Fact | None) -> str:
    unit = YEAR_UNITS[fact.unit] if fact is not None else "hours"
    inner = _describe_number_rule(per_year.rule, _MEASURE_WORDS[unit])
    most, years = format_number(per_year.cap), per_year.years_ago
    span = f"近 {len(years)} 个自然年" if years[0] == 0 else f"上一年及以前共 {len(years)} 个自然年"
    return f"每个自然年内{inner}，每年最高 {most} 分，{span}相加"


def _unit_word(fact: Fact | None) -> str:
    """The measure word of a fact's values. Full years are counted from a birth date: an age."""
    if fact is None or fact.unit == "points":
        return "分" if fact else ""
    return "岁" if fact.measure == "full_years" else _MEASURE_WORDS.get(fact.unit, "")


def _format_amount(value: Decimal | int, unit: str) -> str:
    space = "" if unit == "%" else " "
    return f"{format_number(value)}{space}{unit}".rstrip()


def _describe_number_rule(rule: Rule, unit: str) -> str:
    if rule.bands is not None:
        listed = (
            f"{_describe_range(band, unit)} {format_number(band.points)} 分" for band in rule.bands
        )
        return "、".join(listed) + "，其他 0 分"
    if rule.by_count is not None:
        most = max(rule.by_count)
        words = {most: "及以上"}
        return "、".join(
            f"{_format_amount(times, unit)}{words.get(times, '')} {format_number(points)} 分"
            for times, points in sorted(rule.by_count.items())
        )
    if rule.slope is not None:
        return _describe_slope(rule.slope, unit)
    if rule.each is not None:
        return _describe_each(rule.each, unit)
    if rule.tiers is not None:
        return _describe_tiers(rule.tiers, unit)
    assert rule.steps is not None
    return _describe_steps(rule.steps, unit)


def _describe_range(found: Range, unit: str) -> str:
    if found.low is None:
        return (
            f"不满 {_format_amount(found.below, unit)}"
            if found.below is not None
            else f"{_format_amount(found.high or 0, unit)}及以下"
        )
    if found.below is not None:
        return f"{format_number(found.low)} 至不满 {_format_amount(found.below, unit)}"
    if found.high is None:
        return f"{_format_amount(found.low, unit)}及以上"
    return f"{format_number(found.low)} 至 {_format_amount(found.high, unit)}"


def _describe_slope(slope: Slope, unit: str) -> str:
    direction = "低" if slope.direction == "below" else "高"
    change = f"{'减' if slope.each < 0 else '加'} {format_number(abs(slope.each))} 分"
    bounds = [
        f"不足 {_format_amount(slope.low, unit)}" if slope.low is not None else "",
        f"超过 {_format_amount(slope.high, unit)}" if slope.high is not None else "",
    ]
    outside = "、".join(bound for bound in bounds if bound)
    start = f"{_format_amount(slope.start, unit)} {format_number(slope.points)} 分"
    said = f"{start}，每{direction} {_format_amount(slope.unit, unit)}{change}"
    return f"{said}，{outside} 0 分" if outside else said


def _describe_each(each: Each, unit: str) -> str:
    one = _format_amount(each.unit or 1, unit)
    every = f"每 {one}" if each.unit in (None, 1) else f"每满 {one}"
    points = format_number(each.points)
    exactly = "（按比例）" if each.pro_rata else ""
    if each.start is None or each.first is None:
        return f"{every}计 {points} 分{exactly}"
    first = f"达到 {_format_amount(each.start, unit)}计 {format_number(each.first)} 分"
    return f"{first}，此后{every}加 {points} 分{exactly}"


def _describe_tiers(tiers: Tiers, unit: str) -> str:
    one = _format_amount(tiers.unit, unit)
    if tiers.mode == "whole":
        rates = (
            f"满 {rate.begins} 个时每个 {format_number(rate.points)} 分" for rate in tiers.rates
        )
        return f"以 {one}为一个单位，{'、'.join(rates)}，全部单位按达到的最高一档计"
    rates = (f"第 {rate.begins} 个起每个 {format_number(rate.points)} 分" for rate in tiers.rates)
    return f"以 {one}为一个单位，{'、'.join(rates)}，分段累计"


def _describe_steps(steps: Steps, unit: str) -> str:
    marks = "、".join(
        f"达到 {_format_amount(mark, unit)} {format_number(points)} 分"
        for mark, points in sorted(steps.marks.items())
    )
    if len(steps.marks) == 1:
        return marks
    return f"{marks}，{'取达到的最高一档' if steps.mode == 'highest' else '达到的各档相加'}"


def _describe_table(table: Table, names: Titles) -> str:
    rows = []
    for down, cells in table.points.items():
        listed = (
            f"{_describe_cell(table.across, cell, names)} {format_number(points)} 分"
            for cell, points in cells.items()
        )
        rows.append(f"{_describe_cell(table.down, down, names)}：{'、'.join(listed)}")
    titles = f"{names.title(table.down.fact)}与{names.title(table.across.fact)}"
    return f"按{titles}对照，{'；'.join(rows)}；其他 0 分"


def _describe_cell(axis: Axis, name: str, names: Titles) -> str:
    fact = names.facts.get(axis.fact)
    if axis.bands is not None:
        return _describe_range(axis.bands[name], _unit_word(fact))
    if fact is not None and fact.unit == "yes_no":
        return "是" if name == "true" else "否"
    return names.level(axis.fact, name)
