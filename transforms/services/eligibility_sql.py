"""Services in force, compiled to SQL over the relation `scored`: who qualifies.

`scored` has one row per resident, sorted by district and resident_key: resident_key, district, all
facts, all points columns. The statement is a projection of it (no join, no group, no sort), so that
it streams in its order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import sqlglot
from sqlglot import exp

from transforms.engine.sql import sql_literal
from transforms.expressions.kinds import Kind
from transforms.expressions.language import Expression, parse_condition, parse_expression
from transforms.points.rule_sql import number_sql
from transforms.services.models import ALL, DEFAULT, ROUNDINGS, ServiceVersion

SHORT, SCORE, AMOUNT = "DECIMAL(7, 2)", "DECIMAL(9, 2)", "DECIMAL(12, 2)"


_ROW_TYPE = f"service TEXT, short {SHORT}, score {SCORE}, amount {AMOUNT}"


def eligibility_sql(services: Mapping[str, ServiceVersion], names: Mapping[str, Kind]) -> str:
    """Return the statement of who qualifies, with what is lacking in points.

    One row per resident and service open to their district where all conditions hold. Columns:
    month, resident_key, service, district, eligible, points_short, score, monthly_amount; rows in
    the order of `scored`, then by service. `services`: the versions in force by code. Parameters:
    $month (first day), $as_of (DATE).
    """
    rows = ", ".join(_row(code, services[code], names) for code in sorted(services))
    typed = f"CAST([{rows}] AS STRUCT({_ROW_TYPE})[])"
    return format_sql(f"""
        WITH found AS (
            SELECT resident_key, district,
                LIST_FILTER({typed}, LAMBDA one: NOT one IS NULL) AS rows
            FROM scored
        ),
        listed AS (SELECT resident_key, district, UNNEST(rows) AS one FROM found)
        SELECT CAST($month AS DATE) AS month, resident_key, one.service AS service, district,
            one.short = 0 AS eligible, one.short AS points_short, one.score AS score,
            one.amount AS monthly_amount
        FROM listed""")


def format_sql(statement: str) -> str:
    """Return a statement formatted for readers; only what sqlglot can read."""
    return sqlglot.parse_one(statement, dialect="duckdb").sql(
        dialect="duckdb", pretty=True, indent=4, pad=4, max_text_width=110
    )


def bind_names(expression: Expression, column: Callable[[str], str] = str) -> str:
    """Return the SQL of a checked expression: names as columns, the scoring date as parameter."""
    return expression.sql(lambda name: "CAST($as_of AS DATE)" if name == "as_of" else column(name))


def _row(code: str, version: ServiceVersion, names: Mapping[str, Kind]) -> str:
    """What a service says of a resident, or null: the points short (0: eligible) and the amount."""
    needs = [
        open_in_district_sql(version),
        *(condition_sql(condition.when, names) for condition in version.conditions),
    ]
    short, amount = points_short_sql(version, names), amount_sql(version, names)
    score = f"CAST(FLOOR({score_sql(version, names)} * 100) * 0.01 AS {SCORE})"
    row = (
        f"{{'service': {sql_literal(code)}, 'short': {short}, 'score': {score},"
        f" 'amount': {amount}}}"
    )
    return f"CASE WHEN {' AND '.join(need for need in needs if need) or 'TRUE'} THEN {row} END"


def open_in_district_sql(version: ServiceVersion) -> str:
    if version.districts == ALL:
        return ""
    return f"district IN ({', '.join(sql_literal(code) for code in version.districts)})"


def condition_sql(when: str, names: Mapping[str, Kind]) -> str:
    """A condition as one term of an AND."""
    expression = parse_condition(when, names)
    return (
        f"({bind_names(expression)})"
        if isinstance(expression.tree, exp.Or)
        else bind_names(expression)
    )


def points_short_sql(version: ServiceVersion, names: Mapping[str, Kind]) -> str:
    """Return what the score lacks of the threshold, rounded up to cents: 0 only if reached."""
    cents = f"CEIL(({threshold_sql(version)} - {score_sql(version, names)}) * 100)"
    return f"CAST(GREATEST({cents}, 0) * 0.01 AS {SHORT})"


def score_sql(version: ServiceVersion, names: Mapping[str, Kind]) -> str:
    """Return the score; points that somebody does not have, as another district's, are 0 in it."""
    score = parse_expression(version.points.score, names)

    def column(name: str) -> str:
        return f"COALESCE({name}, 0)" if name.endswith("_points") else name

    return f"COALESCE({bind_names(score, column)}, 0)"


def threshold_sql(version: ServiceVersion) -> str:
    threshold = dict(version.points.threshold)
    default = threshold.pop(DEFAULT, None)
    branches = "".join(
        f" WHEN {sql_literal(code)} THEN {number_sql(value)}"
        for code, value in sorted(threshold.items())
    )
    otherwise = "" if default is None else number_sql(default)
    return (
        f"CASE district{branches}{otherwise and f' ELSE {otherwise}'} END"
        if branches
        else otherwise
    )


def amount_sql(version: ServiceVersion, names: Mapping[str, Kind]) -> str:
    """The cast to a decimal rounds halves away from zero."""
    if version.amount is None:
        return f"CAST(NULL AS {AMOUNT})"
    rounded = f"DECIMAL(12, {ROUNDINGS[version.amount.rounding]})"
    monthly = bind_names(parse_expression(version.amount.monthly, names))
    return f"CAST(CAST({monthly} AS {rounded}) AS {AMOUNT})"
