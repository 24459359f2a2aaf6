"""One city version and the districts' versions, compiled to one SQL statement.

Facts in, scores out. The statement is a chain of projections (no join, no group, no sort), so that
it streams over any number of residents and a person can read it:

    known       the facts that the tables read, with exact types
    limited     values bounded by others (`at_most`), when a table asks for one
    rules       what the rules give, exactly; only when the statement explains the points
    scored      points of every indicator, capped and rounded
    indicators  corrections of indicators put in their place, when there are any this month
    grouped     capped sums (or the highest) of groups, a step for each level of groups
    sections    capped sums of the city's sections, and of the residence district
    uncapped    what groups and sections add up to; only when the statement explains the points
    totals      common points
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Iterator, Mapping

import sqlglot

from expectations.fact_model import COUNTED_UNITS, WHOLE_UNITS, YEAR_UNITS, Fact
from transforms.clean.national_id import redact_ids_sql
from transforms.engine.sql import sql_literal
from transforms.expressions.fact_values import AWARD
from transforms.expressions.kinds import build_fact_kinds
from transforms.expressions.language import Expression, parse_condition, parse_expression
from transforms.facts.corrections import FACT_PREFIX
from transforms.points.columns import (
    ScoredIndicator,
    closed_by_column,
    list_detail_columns,
    list_score_columns,
    list_scored_indicators,
    rule_points_column,
)
from transforms.points.models import CITY, PointsVersion
from transforms.points.rule_sql import RuleInput, number_sql, rule_sql, year_column_name
from transforms.points.sums_sql import (
    POINTS_TYPE,
    common_points,
    explaining_columns,
    guard_columns,
    list_guard_facts,
    sum_steps,
    total_points,
)

_MAX_POINTS = "99999.99"  # the most that a points column holds


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

    `facts` has one row per resident: resident_key, district (code), every fact by its name
    (numbers of whole units as integers, the others as decimals with two places), and
    `corrections`, STRUCT(target VARCHAR, case_id VARCHAR, value DECIMAL(12,2))[] or null: those
    that hold for the resident, at most one per target, those of facts (`fact:<name>`, already
    applied) included. Parameters: $month (first day) and $as_of (DATE). The result has one row per
    row of `facts`, in their order, with the columns of `list_score_columns`.

    Args:
        city: The city's version in force.
        districts: The districts' versions in force, by code.
        facts: All facts declared, by name.
        corrected: The targets that some correction holds for this month; only these indicators
            look for one. A target that the tables do not know changes nothing.
        details: Add the columns that explain the points (`list_detail_columns`): the same
            expressions before they are capped, closed or added up; and to `corrected` the cases,
            which analysts do not see.
        carried: Columns of `facts` that the result has as well, after all others; those that
            the tables read with their exact types.
    """
    authorities = [(CITY, city), *districts.items()]
    lines = list_scored_indicators(city, districts)
    amended = [line for line in lines if line.target in set(corrected)]
    guarded = [name for _, version in authorities for name in list_guard_facts(version, facts)]
    steps = [("known", [*_key_columns(), *_facts_read(lines, guarded, facts, carried)])]
    limited = [
        f"{_limited_value(line, facts)} AS {line.column}_value"
        for line in lines
        if line.indicator.at_most
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
    guards = guard_columns(authorities, facts)
    steps.append(
        ("scored", [*_key_columns()[:2], "corrections", *carried, *scored, *guards, *explained])
    )
    if amended:
        steps.append(("indicators", ["*", *map(_corrected_column, amended)]))
    steps += sum_steps(city, districts)
    if details:
        steps.append(("uncapped", ["*", *explaining_columns(authorities)]))
    steps.append(("totals", ["*", common_points(city)]))
    result = [
        _corrections_applied(amended, cases=details) + " AS corrected"
        if column == "corrected"
        else _result_column(column, city, districts)
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
    lines: list[ScoredIndicator],
    guarded: Collection[str],
    facts: Mapping[str, Fact],
    carried: Collection[str],
) -> list[str]:
    """Return every fact that is read, once, in declared order.

    Awards and maps by year come after them, then what is carried beside.
    """
    names = {name for line in lines for name in _read_facts(line, facts)} | set(guarded)
    plain = [_typed_fact(name, fact) for name, fact in facts.items() if name in names]
    awards = [
        f"{line.here(_award_sql(line))} AS {_award_column(line)}"
        for line in lines
        if _is_award(line)
    ]
    years: dict[str, set[int]] = {}
    for line in lines:
        if (per_year := line.indicator.rule.per_year) is not None:
            years.setdefault(str(line.indicator.fact), set()).update(per_year.years_ago)
    by_year = [
        _year_sql(name, YEAR_UNITS[facts[name].unit], ago)
        for name, agos in years.items()
        for ago in sorted(agos)
    ]
    return plain + awards + by_year + [name for name in carried if name not in names & facts.keys()]


def _read_facts(line: ScoredIndicator, facts: Mapping[str, Fact]) -> Iterator[str]:
    yield from line.indicator.facts
    kinds = build_fact_kinds(facts)
    if line.indicator.at_most:
        yield from _limit(line, facts).names
    for guard in (line.indicator.when, line.indicator.unless):
        if guard:
            yield from parse_condition(guard, kinds).names


def _limit(line: ScoredIndicator, facts: Mapping[str, Fact]) -> Expression:
    return parse_expression(str(line.indicator.at_most), build_fact_kinds(facts))


def _typed_fact(name: str, fact: Fact) -> str:
    """A fact with the one exact type of its unit, whatever the facts file holds; no maps."""
    if fact.unit in WHOLE_UNITS:
        return f"CAST({name} AS BIGINT) AS {name}"
    return f"CAST({name} AS DECIMAL(18, 2)) AS {name}" if fact.unit in COUNTED_UNITS else name


def _is_award(line: ScoredIndicator) -> bool:
    return (line.indicator.fact or "").startswith(AWARD)


def _award_column(line: ScoredIndicator) -> str:
    return f"award_{line.authority}_{line.code}"


def _award_sql(line: ScoredIndicator) -> str:
    key = sql_literal(f"{line.authority}:{(line.indicator.fact or '').removeprefix(AWARD)}")
    return f"CAST({_find_in_list_sql('awards', f'one.key = {key}', 'points')} AS DECIMAL(18, 2))"


def _year_sql(fact: str, field: str, ago: int) -> str:
    value = _find_in_list_sql(fact, f"one.year = YEAR($as_of) - {ago}", field)
    return f"CAST({value} AS DECIMAL(18, 2)) AS {year_column_name(fact, ago)}"


def _find_in_list_sql(column: str, condition: str, field: str) -> str:
    """A field of the one element that meets the condition, or null.

    Not `[1]`: Spark refuses to index an empty list. Most lists are empty: these are not looked
    into.
    """
    kept = f"LIST_FILTER({column}, LAMBDA one: {condition})"
    found = f"LIST_MAX(LIST_TRANSFORM({kept}, LAMBDA one: one.{field}))"
    return f"CASE WHEN ARRAY_LENGTH({column}) > 0 THEN {found} END"


def _limited_value(line: ScoredIndicator, facts: Mapping[str, Fact]) -> str:
    """The lesser of the fact and its `at_most`, unknown if either is."""
    own = _award_column(line) if _is_award(line) else line.indicator.fact
    limit = _limit(line, facts).sql()
    return f"CASE WHEN {own} <= {limit} THEN {own} WHEN {limit} < {own} THEN {limit} END"


def _rule_points(line: ScoredIndicator, facts: Mapping[str, Fact]) -> str:
    """What the rule gives alone, exactly."""
    inputs = {name: _fact_input(name, facts) for name in line.indicator.facts}
    return rule_sql(line.indicator.rule, inputs, _own_input(line, facts))


def _scored_column(
    line: ScoredIndicator, points: str, facts: Mapping[str, Fact], amended: bool
) -> str:
    """An indicator's points: rule, cap, guards, and the cast that rounds halves away from zero."""
    indicator = line.indicator
    if indicator.cap is not None:
        points = f"LEAST({points}, {number_sql(indicator.cap)})"
    kinds = build_fact_kinds(facts)
    if indicator.unless:
        unless = parse_condition(indicator.unless, kinds).sql()
        points = f"CASE WHEN {unless} THEN 0 ELSE {points} END"
    if indicator.when:
        when = parse_condition(indicator.when, kinds).sql()
        points = f"CASE WHEN {when} THEN {points} ELSE 0 END"
    column = _uncorrected_column(line) if amended else line.column
    return f"{line.here(f'CAST({points} AS {POINTS_TYPE})')} AS {column}"


def _explaining_columns(line: ScoredIndicator, facts: Mapping[str, Fact]) -> Iterator[str]:
    """What the rule gives, rounded, and what closed the indicator."""
    points = f"CAST(LEAST({line.column}_exact, {_MAX_POINTS}) AS {POINTS_TYPE})"
    yield f"{points} AS {rule_points_column(line)}"
    kinds = build_fact_kinds(facts)
    closed = [f"WHEN {line.replaced_sql} THEN 'replaced'"] * bool(line.replaced_in)
    if line.indicator.when:
        when = parse_condition(line.indicator.when, kinds).sql()
        closed.append(f"WHEN ({when}) IS NOT TRUE THEN 'when'")
    if line.indicator.unless:
        unless = parse_condition(line.indicator.unless, kinds).sql()
        closed.append(f"WHEN {unless} THEN 'unless'")
    if closed:
        yield f"CASE {' '.join(closed)} END AS {closed_by_column(line)}"


def _explaining_result(column: str, districts: Mapping[str, PointsVersion]) -> str:
    """A column of the final SELECT; a district's is null for residents of other districts."""
    value = f"CAST({column} AS {POINTS_TYPE})" if column.endswith("_points") else column
    for code in districts:
        if column.startswith(f"d{code}_"):
            value = f"CASE WHEN district = {sql_literal(code)} THEN {value} END"
    return f"{value} AS {column}"


def _own_input(line: ScoredIndicator, facts: Mapping[str, Fact]) -> RuleInput | None:
    indicator = line.indicator
    if indicator.fact is None:
        return None
    award = RuleInput(_award_column(line), whole=False)
    own = award if _is_award(line) else _fact_input(indicator.fact, facts)
    if indicator.at_most:
        whole = own.whole and _limit(line, facts).kind.size.decimals == 0
        return RuleInput(f"{line.column}_value", whole)
    return own


def _fact_input(name: str, facts: Mapping[str, Fact]) -> RuleInput:
    unit = facts[name].unit if name in facts else ""
    return RuleInput(name, unit in WHOLE_UNITS, unit == "yes_no")


def _uncorrected_column(line: ScoredIndicator) -> str:
    return f"{line.column}_before"


def _corrected_column(line: ScoredIndicator) -> str:
    value = _find_in_list_sql("corrections", f"one.target = {sql_literal(line.target)}", "value")
    corrected = f"CAST(COALESCE({value}, {_uncorrected_column(line)}) AS {POINTS_TYPE})"
    return f"{line.here(corrected)} AS {line.column}"


def _result_column(column: str, city: PointsVersion, districts: Mapping[str, PointsVersion]) -> str:
    """A column of the final SELECT: what no step before has made, and the names of the others."""
    made = {
        "month": "CAST($month AS DATE)",
        "policy_city": _date_sql(city.begins),
        "policy_district": _policy_district(districts),
        "total_points": total_points(city),
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


def _corrections_applied(amended: list[ScoredIndicator], *, cases: bool) -> str:
    """The corrections that took effect: of facts, and of indicators that hold for the resident."""
    effective = [f"one.target LIKE '{FACT_PREFIX}%'"]
    everywhere = [
        sql_literal(line.target)
        for line in amended
        if line.authority == CITY and not line.replaced_in
    ]
    if everywhere:
        effective.append(f"one.target IN ({', '.join(everywhere)})")
    for line in amended:
        target = f"one.target = {sql_literal(line.target)}"
        if line.replaced_in:
            effective.append(f"({target} AND NOT {line.replaced_sql})")
        elif line.authority != CITY:
            effective.append(f"({target} AND district = {sql_literal(line.authority)})")
    branches = [
        f"WHEN {sql_literal(line.target)} THEN {_uncorrected_column(line)}" for line in amended
    ]
    before = (
        f"CASE one.target {' '.join(branches)} END" if branches else f"CAST(NULL AS {POINTS_TYPE})"
    )
    case, kind = "", ""
    if cases:
        case, kind = f"'case_id': {redact_ids_sql('one.case_id')}, ", "case_id VARCHAR, "
    entry = f"{{'target': one.target, {case}'before': {before}}}"
    kept = f"LIST_FILTER(corrections, LAMBDA one: {' OR '.join(effective)})"
    entries = f"LIST_TRANSFORM({kept}, LAMBDA one: {entry})"
    found = f"CASE WHEN ARRAY_LENGTH(corrections) > 0 THEN {entries} ELSE [] END"
    return f"CAST({found} AS STRUCT(target VARCHAR, {kind}before {POINTS_TYPE})[])"


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
