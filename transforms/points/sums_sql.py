"""Groups, sections and totals of points tables as SQL: what indicators come to together."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from expectations.fact_model import Fact
from transforms.engine.sql import sql_literal
from transforms.expressions.kinds import build_fact_kinds
from transforms.expressions.language import parse_condition
from transforms.points.columns import closed_by_column_of_sum, points_column_name, uncapped_column
from transforms.points.models import CITY, Group, PointsSum, PointsVersion
from transforms.points.rule_sql import number_sql

POINTS_TYPE = "DECIMAL(7, 2)"
_SUM_TYPE = "DECIMAL(9, 2)"

Step = tuple[str, list[str]]
Authorities = Sequence[tuple[str, PointsVersion]]


def guard_columns(authorities: Authorities, facts: Mapping[str, Fact]) -> list[str]:
    """Return columns of the conditions of groups and sections, made where facts can be read."""
    kinds = build_fact_kinds(facts)
    return [
        f"{parse_condition(text, kinds).sql()} AS {_guard_column(authority, code, key)}"
        for authority, version in authorities
        for code, found in _list_sums(version)
        for key, text in (("when", found.when), ("unless", found.unless))
        if text
    ]


def list_guard_facts(version: PointsVersion, facts: Mapping[str, Fact]) -> Iterator[str]:
    """Yield the facts that the conditions of groups and sections read."""
    kinds = build_fact_kinds(facts)
    for _, found in _list_sums(version):
        for text in (found.when, found.unless):
            if text:
                yield from parse_condition(text, kinds).names


def sum_steps(city: PointsVersion, districts: Mapping[str, PointsVersion]) -> list[Step]:
    """Return the steps from indicators to sections and the district's points.

    Groups come first, inner ones before those that hold them. Of a table in which a limit follows
    other points (`cap_share`), groups and sections are made one after the other instead.
    """
    authorities: Authorities = [(CITY, city), *districts.items()]
    plain = [(name, version) for name, version in authorities if not _has_cap_share(version)]
    steps = _group_steps(plain)
    for name, version in authorities:
        if _has_cap_share(version):
            prefix = "city" if name == CITY else f"d{name}"
            steps += [
                (f"{prefix}_{code}", ["*", _sum_column(name, version, code)])
                for code in version.sums_in_order()
            ]
    sections = [] if _has_cap_share(city) else [_sum_column(CITY, city, c) for c in city.sections]
    return [*steps, ("sections", ["*", *sections, _district_points(districts)])]


def _group_steps(plain: Authorities) -> list[Step]:
    """Return a step for each level of groups: no column of a step is read in the same step.

    DuckDB would read it, as other engines do not.
    """
    levels: dict[int, list[str]] = {}
    for name, version in plain:
        level_of: dict[str, int] = {}
        for code, _ in version.inner_first():
            inner = (level_of.get(member, 0) for member in version.members(code))
            level_of[code] = 1 + max(inner, default=0)
            column = f"{_limited_sql(name, version, code)} AS {points_column_name(name, code)}"
            levels.setdefault(level_of[code], []).append(column)
    return [
        ("grouped" if level == 1 else f"grouped_{level}", ["*", *columns])
        for level, columns in sorted(levels.items())
    ]


def explaining_columns(authorities: Authorities) -> Iterator[str]:
    """Yield columns that explain groups and sections.

    What each comes to before its limits, what closed it, and the points of districts' sections.
    """
    for authority, version in authorities:
        for code, found in _list_sums(version):
            total = _total_sql(authority, version, code)
            yield f"CAST({total} AS {_SUM_TYPE}) AS {uncapped_column(authority, code)}"
            if found.has_guard:
                closed = " ".join(_closing_branches(authority, code, found))
                yield f"CASE {closed} END AS {closed_by_column_of_sum(authority, code)}"
        if authority != CITY and not _has_cap_share(version):
            yield from (_sum_column(authority, version, code) for code in version.sections)


def common_points(city: PointsVersion) -> str:
    """Return the column of common points: sections that add, minus sections that subtract."""
    return f"CAST({_signed(CITY, city) or '0'} AS {POINTS_TYPE}) AS common_points"


def total_points(city: PointsVersion) -> str:
    """Return the total as SQL, at least the city's floor."""
    total = "common_points + district_points"
    if city.floor is not None:
        total = f"GREATEST({total}, {number_sql(city.floor)})"
    return f"CAST({total} AS {POINTS_TYPE})"


def _list_sums(version: PointsVersion) -> list[tuple[str, PointsSum]]:
    return [*version.inner_first(), *version.sections.items()]


def _has_cap_share(version: PointsVersion) -> bool:
    return any(found.cap_share for _, found in _list_sums(version))


def _guard_column(authority: str, code: str, key: str) -> str:
    return f"{points_column_name(authority, code).removesuffix('_points')}_{key}"


def _total_sql(authority: str, version: PointsVersion, code: str) -> str:
    """What stands directly in a group or section, added up, or the highest of it."""
    found = version.find_sum(code)
    columns = [points_column_name(authority, member) for member in version.members(code)]
    highest = isinstance(found, Group) and found.combine == "highest" and len(columns) > 1
    return f"GREATEST({', '.join(columns)})" if highest else " + ".join(columns) or "0"


def _limited_sql(authority: str, version: PointsVersion, code: str) -> str:
    """A group or section within its limits, 0 where it is closed."""
    found = version.find_sum(code)
    value = _total_sql(authority, version, code)
    limits = [] if found.cap is None else [number_sql(found.cap)]
    if found.cap_share is not None:
        of = " + ".join(points_column_name(authority, one) for one in found.cap_share.of)
        share = number_sql(found.cap_share.share)
        limits.append(f"CAST(GREATEST({of}, 0) * {share} AS {_SUM_TYPE})")
    if limits:
        value = f"LEAST({', '.join([value, *limits])})"
    if found.floor is not None:
        value = f"GREATEST({value}, {number_sql(found.floor)})"
    if found.all_of:
        present = " AND ".join(f"{points_column_name(authority, one)} > 0" for one in found.all_of)
        value = f"CASE WHEN {present} THEN {value} ELSE 0 END"
    if found.unless:
        closed = _guard_column(authority, code, "unless")
        value = f"CASE WHEN {closed} THEN 0 ELSE {value} END"
    if found.when:
        value = f"CASE WHEN {_guard_column(authority, code, 'when')} THEN {value} ELSE 0 END"
    return value


def _closing_branches(authority: str, code: str, found: PointsSum) -> Iterator[str]:
    if found.when:
        yield f"WHEN ({_guard_column(authority, code, 'when')}) IS NOT TRUE THEN 'when'"
    if found.unless:
        yield f"WHEN {_guard_column(authority, code, 'unless')} THEN 'unless'"
    for one in found.all_of:
        absent = f"{points_column_name(authority, one)} <= 0"
        yield f"WHEN {absent} THEN {sql_literal(f'all_of:{one}')}"


def _sum_column(authority: str, version: PointsVersion, code: str) -> str:
    value, column = _limited_sql(authority, version, code), points_column_name(authority, code)
    return f"CAST({value} AS {POINTS_TYPE}) AS {column}"


def _signed(authority: str, version: PointsVersion) -> str:
    """The sections of a table, those that add first, then those that subtract."""
    terms = [
        ("-" if section.subtract else "+", points_column_name(authority, code))
        for code, section in version.sections.items()
    ]
    ordered = sorted(terms, key=lambda term: term[0])
    return " ".join(f"{sign} {column}" for sign, column in ordered).removeprefix("+ ")


def _district_points(districts: Mapping[str, PointsVersion]) -> str:
    branches = [
        f"WHEN {sql_literal(code)} THEN {_district_sql(code, version)}"
        for code, version in sorted(districts.items())
    ]
    points = f"CASE district {' '.join(branches)} ELSE 0 END" if branches else "0"
    return f"CAST({points} AS {POINTS_TYPE}) AS district_points"


def _district_sql(code: str, version: PointsVersion) -> str:
    """What a district's table comes to."""
    value = _signed(code, version)
    if not _has_cap_share(version):
        single = len(version.sections) == 1
        for section in version.sections:
            limited = _limited_sql(code, version, section)
            column = points_column_name(code, section)
            value = re.sub(
                rf"\b{column}\b", limited if single and value == column else f"({limited})", value
            )
    return value if version.floor is None else f"GREATEST({value}, {number_sql(version.floor)})"
