"""Services in force, compiled to SQL over the relation `scored`: who qualifies.

`scored` has one row per resident, sorted by district and resident_key: resident_key, district, all
facts, all points columns. The statement is a projection of it (no join, no group, no sort), so that
it streams in its order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import sqlglot
from sqlglot import exp

from transforms.engine.sql import sql_literal
from transforms.expressions.kinds import DATE, NUMBER, YES_NO, Kind
from transforms.expressions.language import Expression, parse_condition, parse_expression
from transforms.points.rule_sql import number_sql
from transforms.services.models import (
    ALL,
    DEFAULT,
    ROUNDINGS,
    Ranking,
    RankKey,
    ServiceVersion,
)
from transforms.services.namespace import RANK_SCORE

SHORT, SCORE, AMOUNT = "DECIMAL(7, 2)", "DECIMAL(9, 2)", "DECIMAL(12, 2)"
KEY = "DECIMAL(38, 4)"
KEY_DECIMALS, POINTS_DECIMALS = 4, 2
_ROW_TYPE = f"service TEXT, short {SHORT}, score {SCORE}, amount {AMOUNT}"


def eligibility_sql(services: Mapping[str, ServiceVersion], names: Mapping[str, Kind]) -> str:
    """Return the statement of which residents qualify, with what is lacking in points, unranked.

    One row per resident and service of residents open to their district where all conditions hold. Columns:
    month, resident_key, service, district, eligible, points_short, score, monthly_amount,
    rank_class, rank (both null); rows in the order of `scored`, then by service. `services`: the
    versions in force by code. Parameters: $month (first day), $as_of (DATE).
    """
    of_residents = select_services_of(services, "resident").items()
    rows = [_struct(_row_fields(code, version, names)) for code, version in of_residents]
    guards = [guard_sql(version, names) for _, version in of_residents]
    return format_sql(f"""
        {_listed_sql(rows, guards, _ROW_TYPE)}
        SELECT CAST($month AS DATE) AS month, resident_key, one.service AS service, district,
            one.short = 0 AS eligible, one.short AS points_short, one.score AS score,
            one.amount AS monthly_amount, CAST(NULL AS TEXT) AS rank_class,
            CAST(NULL AS INTEGER) AS rank
        FROM listed""")


def candidates_sql(services: Mapping[str, ServiceVersion], names: Mapping[str, Kind]) -> str:
    """Return the same rows as `eligibility_sql`, with what decides ranks.

    Columns: resident_key, service, district, short, score, amount, class (number of the class, from
    1) and key_1, key_2, ...: the greater, the earlier. Parameter: $as_of (DATE).
    """
    keys = count_rank_keys(services.values())
    decided = ", ".join(["class INTEGER", *(f"key_{n} {KEY}" for n in range(1, keys + 1))])
    rows, guards = [], []
    for code, version in select_services_of(services, "resident").items():
        fields = _row_fields(code, version, names) | _rank_fields(version, names, keys)
        rows.append(_struct(fields))
        guards.append(guard_sql(version, names))
    taken = "".join(f", one.key_{n} AS key_{n}" for n in range(1, keys + 1))
    return format_sql(f"""
        {_listed_sql(rows, guards, f"{_ROW_TYPE}, {decided}")}
        SELECT resident_key, one.service AS service, district, one.short AS short,
            one.score AS score, one.amount AS amount, one.class AS class{taken}
        FROM listed""")


def select_services_of(
    services: Mapping[str, ServiceVersion], subject: str
) -> dict[str, ServiceVersion]:
    """Return the services of residents or of children, sorted by code."""
    return {code: one for code, one in sorted(services.items()) if one.subject == subject}


def count_rank_keys(versions: Iterable[ServiceVersion]) -> int:
    """Return how many keys the service with the most of them is ranked by; 0: none is ranked."""
    return max((len(version.rank.by) for version in versions if version.rank), default=0)


def _listed_sql(rows: Sequence[str], guards: Sequence[str], row_type: str) -> str:
    """The relation `listed`: one row per resident and service whose guard holds."""
    cases = ", ".join(
        f"CASE WHEN {guard} THEN {row} END" for row, guard in zip(rows, guards, strict=True)
    )
    typed = f"CAST([{cases}] AS STRUCT({row_type})[])"
    return f"""
        WITH found AS (
            SELECT resident_key, district,
                LIST_FILTER({typed}, LAMBDA one: NOT one IS NULL) AS rows
            FROM scored
        ),
        listed AS (SELECT resident_key, district, UNNEST(rows) AS one FROM found)"""


def format_sql(statement: str) -> str:
    """Return a statement formatted for readers; only what sqlglot can read."""
    return sqlglot.parse_one(statement, dialect="duckdb").sql(
        dialect="duckdb", pretty=True, indent=4, pad=4, max_text_width=110
    )


def bind_names(expression: Expression, column: Callable[[str], str] = str) -> str:
    """Return the SQL of a checked expression: names as columns, the scoring date as parameter."""
    return expression.sql(lambda name: "CAST($as_of AS DATE)" if name == "as_of" else column(name))


def _struct(fields: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"'{name}': {sql}" for name, sql in fields.items()) + "}"


def guard_sql(version: ServiceVersion, names: Mapping[str, Kind]) -> str:
    """Whether a service is open to a resident's district and all conditions hold."""
    needs = [
        open_in_district_sql(version),
        *(condition_sql(condition.when, names) for condition in version.conditions),
    ]
    return " AND ".join(need for need in needs if need) or "TRUE"


def _row_fields(code: str, version: ServiceVersion, names: Mapping[str, Kind]) -> dict[str, str]:
    """What a service says of a resident: the points short (0: eligible), score and amount."""
    return {
        "service": sql_literal(code),
        "short": points_short_sql(version, names),
        "score": shown_score_sql(version, names),
        "amount": amount_sql(version, names),
    }


def _rank_fields(version: ServiceVersion, names: Mapping[str, Kind], keys: int) -> dict[str, str]:
    """The class and the keys of a resident; nulls for a service that is not ranked."""
    rank = version.rank
    score = shown_score_sql(version, names)
    found = [] if rank is None else [rank_key_sql(key, names, score) for key in rank.by]
    found += [f"CAST(NULL AS {KEY})"] * (keys - len(found))
    number = "CAST(NULL AS INTEGER)" if rank is None else rank_class_sql(rank, names)
    return {"class": number} | {f"key_{n}": key for n, key in enumerate(found, 1)}


def rank_class_sql(rank: Ranking, names: Mapping[str, Kind]) -> str:
    """Return the number of the first class that holds of a resident; null: none does."""
    whens = " ".join(
        f"WHEN {condition_sql(one.when, names)} THEN {number}"
        for number, one in enumerate(rank.classes, 1)
    )
    return f"CASE {whens} END" if whens else "CAST(NULL AS INTEGER)"


def rank_key_sql(key: RankKey, names: Mapping[str, Kind], score: str) -> str:
    """Return a key as a number of which the greater comes first; null is unknown.

    Points that somebody does not have are 0, as in the score. `score`: what the key `score` is.
    """
    expression = parse_expression(key.text, {**names, RANK_SCORE: NUMBER})

    def column(name: str) -> str:
        if name == RANK_SCORE:
            return score
        return f"COALESCE({name}, 0)" if name.endswith("_points") else name

    value = bind_names(expression, column)
    if expression.kind == DATE:
        value = f"year({value}) * 10000 + month({value}) * 100 + day({value})"
    elif expression.kind == YES_NO:
        value = f"CASE WHEN {value} THEN 1 WHEN NOT ({value}) THEN 0 END"
    return f"CAST({value} AS {KEY})" if key.asc is None else f"CAST(-({value}) AS {KEY})"


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
    return short_of_sql(version, score_sql(version, names))


def short_of_sql(version: ServiceVersion, score: str) -> str:
    """Return what a score lacks of the threshold of `district`."""
    cents = f"CEIL(({threshold_sql(version)} - {score}) * 100)"
    return f"CAST(GREATEST({cents}, 0) * 0.01 AS {SHORT})"


def score_sql(version: ServiceVersion, names: Mapping[str, Kind]) -> str:
    """Return the score; points that somebody does not have, as another district's, are 0 in it."""
    score = parse_expression(version.points.score, names)

    def column(name: str) -> str:
        return f"COALESCE({name}, 0)" if name.endswith("_points") else name

    found = f"COALESCE({bind_names(score, column)}, 0)"
    whens, otherwise = "", "1"
    for one in version.points.multipliers:
        if one.when is None:
            otherwise = number_sql(one.times)
            break
        whens += f" WHEN {condition_sql(one.when, names)} THEN {number_sql(one.times)}"
    if whens:
        return f"{found} * CASE{whens} ELSE {otherwise} END"
    return found if otherwise == "1" else f"{found} * {otherwise}"


def shown_score_sql(version: ServiceVersion, names: Mapping[str, Kind]) -> str:
    """Return the score as it is published: cut to two decimals."""
    score = score_sql(version, names)
    exact = parse_expression(version.points.score, names).kind.size.decimals <= POINTS_DECIMALS
    if exact and not version.points.multipliers:
        return f"CAST({score} AS {SCORE})"
    return f"CAST(FLOOR(({score}) * 100) * 0.01 AS {SCORE})"


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
