"""One city version and the districts' versions, compiled to one SQL statement: facts to scores.

The statement is a chain of projections (no join, no group, no sort), so that it streams over any
number of residents, in steps that a person can follow:

    known       the facts that the tables read, with exact types
    limited     values bounded by a second fact (`at_most`), when a table asks for one
    rules       what the rules give, exactly; only when the statement explains the points
    scored      points of every indicator, capped and rounded
    indicators  corrections of indicators put in their place, when there are any this month
    grouped     capped sums (or the highest) of groups, inner groups first
    sections    capped sums of the city's sections, and of the residence district
    uncapped    what groups and sections add up to; only when the statement explains the points
    totals      common points
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Iterator, Mapping
from decimal import Decimal

import sqlglot

from expectations.source_model import COUNTED_UNITS, Fact
from transforms.clean.national_id import redact_ids_sql
from transforms.engine.sql import sql_literal
from transforms.expressions.language import build_fact_kinds, parse_condition
from transforms.points.columns import (
    ScoredIndicator,
    closed_by_column,
    list_detail_columns,
    list_score_columns,
    list_scored_indicators,
    points_column_name,
    rule_points_column,
    uncapped_column,
)
from transforms.points.models import AWARD, CITY, PointsVersion
from transforms.points.rule_sql import RuleInput, number_sql, rule_sql, year_column_name
from transforms.points.rules import WHOLE_UNITS

_POINTS_TYPE = "DECIMAL(7, 2)"
_MAX_POINTS = "99999.99"  # the most that a points column holds
_SUM_TYPE = "DECIMAL(9, 2)"
_CORRECTED_TYPE = "STRUCT(target VARCHAR, case_id VARCHAR, before DECIMAL(7, 2))[]"


def points_sql(
    city: PointsVersion,
    districts: Mapping[str, PointsVersion],
    facts: Mapping[str, Fact],
    *,
    corrected: Collection[str] = (),
    details: bool = False,
    carried: Collection[str] = (),
) -> str:
    """Return the statement that scores everyone in the relation `facts` at once.

    `facts` has one row per resident and these columns: resident_key, district (code), every fact by
    its name (numbers of whole units as integers, the others as decimals with two places), and
    `corrections`, STRUCT(target VARCHAR, case_id VARCHAR, value DECIMAL(12,2))[] or null: the
    corrections that hold for the resident, at most one per target, those of facts (`fact:<name>`,
    already applied) included. Parameters: $month (first day) and $as_of (DATE). Result: one row per
    row of `facts`, in their order, with the columns of `list_score_columns`.

    `corrected`: the targets that some correction holds for this month; only these indicators look
    for one. A target that the tables do not know changes nothing.

    `details`: the result has the columns that explain the points, too (`list_detail_columns`): the
    same expressions, under a name before they are capped, closed or added up.

    `carried`: columns of `facts` that the result has as well, after all others; those that the
    tables read with their exact types.
    """
    lines = list_scored_indicators(city, districts)
    amended = [line for line in lines if line.target in set(corrected)]
    steps = [("known", [*_key_columns(), *_facts_read(lines, facts, carried)])]
    limited = [
        f"{_limited_value(line)} AS {line.column}_value" for line in lines if line.indicator.at_most
    ]
    if limited:
        steps.append(("limited", ["*", *limited]))
    rules = {line.column: _rule_points(line, facts) for line in lines}
    explained: list[str] = []
    if details:
        exact = [f"{line.here(rules[line.column])} AS {line.column}_exact" for line in lines]
        steps.append(("rules", ["*", *exact]))
        rules = {column: f"{column}_exact" for column in rules}
        explained = [column for line in lines for column in _explaining_columns(line, facts)]
    scored = (_scored_column(line, rules[line.column], facts, line in amended) for line in lines)
    steps.append(("scored", [*_key_columns()[:2], "corrections", *carried, *scored, *explained]))
    if amended:
        steps.append(("indicators", ["*", *map(_corrected_column, amended)]))
    authorities = [(CITY, city), *districts.items()]
    if grouped := [g for name, version in authorities for g in _group_columns(name, version)]:
        steps.append(("grouped", ["*", *grouped]))
    steps.append(("sections", ["*", *_section_columns(city), _district_points(districts)]))
    if details:
        uncapped = [c for name, version in authorities for c in _uncapped_columns(name, version)]
        steps.append(("uncapped", ["*", *uncapped]))
    steps.append(("totals", ["*", _common_points(city)]))
    result = [
        _result_column(column, city, districts, amended)
        for column in list_score_columns(city, districts)
    ]
    if details:
        result += [
            _explaining_result(name, districts) for name in list_detail_columns(city, districts)
        ]
    chain = _chain_sql(steps, [*result, *carried])
    return chain if details else _format_sql(chain)


def _key_columns() -> list[str]:
    return ["resident_key", "district", "corrections", "CAST($as_of AS DATE) AS as_of"]


def _facts_read(
    lines: list[ScoredIndicator], facts: Mapping[str, Fact], carried: Collection[str]
) -> list[str]:
    """Return every fact that some indicator reads, once, in declared order.

    Awards and hours by year come after them, then what is carried beside.
    """
    names = {name for line in lines for name in _read_facts(line, facts)}
    plain = [_typed_fact(name, fact) for name, fact in facts.items() if name in names]
    awards = [
        f"{line.here(_award_sql(line))} AS {_award_column(line)}"
        for line in lines
        if _is_award(line)
    ]
    spans = {line.indicator.fact: 0 for line in lines if line.indicator.rule.per_year}
    for line in lines:
        if (per_year := line.indicator.rule.per_year) is not None:
            spans[line.indicator.fact] = max(spans[line.indicator.fact], per_year.years)
    years = [_year_sql(str(fact), ago) for fact, span in spans.items() for ago in range(span)]
    return plain + awards + years + [name for name in carried if name not in names & facts.keys()]


def _read_facts(line: ScoredIndicator, facts: Mapping[str, Fact]) -> Iterator[str]:
    yield from line.indicator.facts
    if line.indicator.at_most:
        yield line.indicator.at_most
    for guard in (line.indicator.when, line.indicator.unless):
        if guard:
            yield from parse_condition(guard, build_fact_kinds(facts)).names


def _typed_fact(name: str, fact: Fact) -> str:
    """Return a fact with the one exact type of its unit; maps are split into columns elsewhere."""
    if fact.unit in WHOLE_UNITS:
        return f"CAST({name} AS BIGINT) AS {name}"
    return f"CAST({name} AS DECIMAL(18, 2)) AS {name}" if fact.unit in COUNTED_UNITS else name


def _is_award(line: ScoredIndicator) -> bool:
    return (line.indicator.fact or "").startswith(AWARD)


def _award_column(line: ScoredIndicator) -> str:
    return f"award_{line.authority}_{line.code}"


def _award_sql(line: ScoredIndicator) -> str:
    key = f"{line.authority}:{(line.indicator.fact or '').removeprefix(AWARD)}"
    points = _find_in_list_sql("awards", f"one.key = {sql_literal(key)}", "points")
    return f"CAST({points} AS DECIMAL(18, 2))"


def _year_sql(fact: str, ago: int) -> str:
    hours = _find_in_list_sql(fact, f"one.year = YEAR($as_of) - {ago}", "hours")
    return f"CAST({hours} AS DECIMAL(18, 2)) AS {year_column_name(fact, ago)}"


def _find_in_list_sql(column: str, condition: str, field: str) -> str:
    """Return a field of the one element that meets the condition, or null.

    Not by `[1]`: Spark refuses to index an empty list. Most lists are empty: these are not looked
    into.
    """
    matching = f"LIST_FILTER({column}, LAMBDA one: {condition})"
    found = f"LIST_MAX(LIST_TRANSFORM({matching}, LAMBDA one: one.{field}))"
    return f"CASE WHEN ARRAY_LENGTH({column}) > 0 THEN {found} END"


def _limited_value(line: ScoredIndicator) -> str:
    """The lesser of the fact and its `at_most`, unknown if either is."""
    own, limit = line.indicator.fact, line.indicator.at_most
    return f"CASE WHEN {own} <= {limit} THEN {own} WHEN {limit} < {own} THEN {limit} END"


def _rule_points(line: ScoredIndicator, facts: Mapping[str, Fact]) -> str:
    """What the rule gives alone, exactly."""
    inputs = {name: _fact_input(name, facts) for name in line.indicator.facts}
    return rule_sql(line.indicator.rule, inputs, _own_input(line, facts))


def _scored_column(
    line: ScoredIndicator, points: str, facts: Mapping[str, Fact], amended: bool
) -> str:
    """Return an indicator's points: rule, guards, cap, and the cast that rounds.

    It rounds halves away from zero, to two decimals.
    """
    indicator = line.indicator
    if indicator.cap is not None:
        points = f"LEAST({points}, {number_sql(indicator.cap)})"
    kinds = build_fact_kinds(facts)
    if indicator.unless:
        points = (
            f"CASE WHEN {parse_condition(indicator.unless, kinds).sql()} THEN 0 ELSE {points} END"
        )
    if indicator.when:
        points = (
            f"CASE WHEN {parse_condition(indicator.when, kinds).sql()} THEN {points} ELSE 0 END"
        )
    column = _uncorrected_column(line) if amended else line.column
    return f"{line.here(f'CAST({points} AS {_POINTS_TYPE})')} AS {column}"


def _explaining_columns(line: ScoredIndicator, facts: Mapping[str, Fact]) -> Iterator[str]:
    """What the rule gives, rounded, and which guard closed the indicator."""
    points = f"CAST(LEAST({line.column}_exact, {_MAX_POINTS}) AS {_POINTS_TYPE})"
    yield f"{points} AS {rule_points_column(line)}"
    kinds = build_fact_kinds(facts)
    closed = ""
    if line.indicator.when:
        when = parse_condition(line.indicator.when, kinds).sql()
        closed = f"WHEN ({when}) IS NOT TRUE THEN 'when'"
    if line.indicator.unless:
        closed += f" WHEN {parse_condition(line.indicator.unless, kinds).sql()} THEN 'unless'"
    if closed:
        yield f"CASE {closed} END AS {closed_by_column(line)}"


def _explaining_result(column: str, districts: Mapping[str, PointsVersion]) -> str:
    """A column of the final SELECT; a district's is null for residents of other districts."""
    value = f"CAST({column} AS {_POINTS_TYPE})" if column.endswith("_points") else column
    for code in districts:
        if column.startswith(f"d{code}_"):
            value = f"CASE WHEN district = {sql_literal(code)} THEN {value} END"
    return f"{value} AS {column}"


def _own_input(line: ScoredIndicator, facts: Mapping[str, Fact]) -> RuleInput | None:
    indicator = line.indicator
    if indicator.fact is None:
        return None
    if _is_award(line):
        return RuleInput(_award_column(line), whole=False)
    if indicator.at_most:
        whole = (
            _fact_input(indicator.fact, facts).whole and _fact_input(indicator.at_most, facts).whole
        )
        return RuleInput(f"{line.column}_value", whole)
    return _fact_input(indicator.fact, facts)


def _fact_input(name: str, facts: Mapping[str, Fact]) -> RuleInput:
    return RuleInput(name, name in facts and facts[name].unit in WHOLE_UNITS)


def _uncorrected_column(line: ScoredIndicator) -> str:
    return f"{line.column}_before"


def _corrected_column(line: ScoredIndicator) -> str:
    value = _find_in_list_sql("corrections", f"one.target = {sql_literal(line.target)}", "value")
    corrected = f"CAST(COALESCE({value}, {_uncorrected_column(line)}) AS {_POINTS_TYPE})"
    return f"{line.here(corrected)} AS {line.column}"


def _sum_sql(
    authority: str, version: PointsVersion, parent: str, combine: str, cap: Decimal | None
) -> str:
    columns = [points_column_name(authority, code) for code in version.members(parent)]
    highest = combine == "highest" and len(columns) > 1
    total = f"GREATEST({', '.join(columns)})" if highest else " + ".join(columns) or "0"
    return total if cap is None else f"LEAST({total}, {number_sql(cap)})"


def _group_columns(authority: str, version: PointsVersion) -> list[str]:
    """Return a column for every group, inner ones first, so that each can name those before it."""
    return [
        f"{_sum_sql(authority, version, code, group.combine, group.cap)}"
        f" AS {points_column_name(authority, code)}"
        for code, group in version.inner_first()
    ]


def _section_columns(city: PointsVersion) -> list[str]:
    return [
        f"CAST({_sum_sql(CITY, city, code, 'sum', section.cap)} AS {_POINTS_TYPE})"
        f" AS {points_column_name(CITY, code)}"
        for code, section in city.sections.items()
    ]


def _uncapped_columns(authority: str, version: PointsVersion) -> Iterator[str]:
    """What groups and sections add up to before their caps."""
    combined = {code: group.combine for code, group in version.inner_first()}
    for code, combine in [*combined.items(), *((code, "sum") for code in version.sections)]:
        total = _sum_sql(authority, version, code, combine, None)
        yield f"CAST({total} AS {_SUM_TYPE}) AS {uncapped_column(authority, code)}"


def _district_points(districts: Mapping[str, PointsVersion]) -> str:
    branches = [
        f"WHEN {sql_literal(code)}"
        f" THEN {_sum_sql(code, version, section, 'sum', version.sections[section].cap)}"
        for code, version in sorted(districts.items())
        for section in version.sections
    ]
    points = f"CASE district {' '.join(branches)} ELSE 0 END" if branches else "0"
    return f"CAST({points} AS {_POINTS_TYPE}) AS district_points"


def _common_points(city: PointsVersion) -> str:
    """Sections that add, minus sections that subtract."""
    terms = [
        ("-" if s.subtract else "+", points_column_name(CITY, code))
        for code, s in city.sections.items()
    ]
    text = " ".join(
        f"{sign} {column}" for sign, column in sorted(terms, key=lambda term: term[0])
    ).removeprefix("+ ")
    return f"CAST({text or '0'} AS {_POINTS_TYPE}) AS common_points"


def _result_column(
    column: str,
    city: PointsVersion,
    districts: Mapping[str, PointsVersion],
    amended: list[ScoredIndicator],
) -> str:
    """Return a column of the final SELECT: SQL of what no step has made, else its name."""
    made = {
        "month": "CAST($month AS DATE)",
        "policy_city": _date_sql(city.begins),
        "policy_district": _policy_district(districts),
        "total_points": f"CAST(common_points + district_points AS {_POINTS_TYPE})",
        "corrected": _corrections_applied(amended),
    }
    return f"{made[column]} AS {column}" if column in made else column


def _date_sql(day: dt.date) -> str:
    return f"CAST({sql_literal(day.isoformat())} AS DATE)"


def _policy_district(districts: Mapping[str, PointsVersion]) -> str:
    branches = [
        f"WHEN {sql_literal(code)} THEN {_date_sql(version.begins)}"
        for code, version in sorted(districts.items())
    ]
    return f"CASE district {' '.join(branches)} END" if branches else "CAST(NULL AS DATE)"


def _corrections_applied(amended: list[ScoredIndicator]) -> str:
    """Return the corrections that took effect: of facts, and of indicators where they hold."""
    effective = ["one.target LIKE 'fact:%'"]
    city = [sql_literal(line.target) for line in amended if line.authority == CITY]
    if city:
        effective.append(f"one.target IN ({', '.join(city)})")
    for line in amended:
        if line.authority != CITY:
            target, district = sql_literal(line.target), sql_literal(line.authority)
            effective.append(f"(one.target = {target} AND district = {district})")
    branches = [
        f"WHEN {sql_literal(line.target)} THEN {_uncorrected_column(line)}" for line in amended
    ]
    before = (
        f"CASE one.target {' '.join(branches)} END" if branches else f"CAST(NULL AS {_POINTS_TYPE})"
    )
    entry = (
        f"{{'target': one.target, 'case_id': {redact_ids_sql('one.case_id')}, 'before': {before}}}"
    )
    matching = f"LIST_FILTER(corrections, LAMBDA one: {' OR '.join(effective)})"
    entries = f"LIST_TRANSFORM({matching}, LAMBDA one: {entry})"
    listed = f"CASE WHEN ARRAY_LENGTH(corrections) > 0 THEN {entries} ELSE [] END"
    return f"CAST({listed} AS {_CORRECTED_TYPE})"


def _chain_sql(steps: list[tuple[str, list[str]]], result: list[str]) -> str:
    """Return the chain of steps as one statement, a step a line."""
    sources = ["facts", *(name for name, _ in steps)]
    chain = ",\n".join(
        f"{name} AS (SELECT {', '.join(columns)} FROM {source})"
        for (name, columns), source in zip(steps, sources, strict=False)
    )
    return f"WITH {chain}\nSELECT {', '.join(result)}\nFROM {sources[-1]}\n"


def _format_sql(chain: str) -> str:
    """Return a statement formatted for readers; only what sqlglot can read."""
    statement = sqlglot.parse_one(chain, dialect="duckdb")
    text = statement.sql(dialect="duckdb", pretty=True, indent=4, pad=4, max_text_width=110)
    return re.sub(r"\n +THEN ", " THEN ", text) + "\n"
