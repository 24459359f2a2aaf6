"""Measures: one declared fact as SQL over its source's rows, and as a value with its default."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from expectations.fact_model import (
    COUNTED_UNITS,
    MONTH_MEASURES,
    YEAR_UNITS,
    Check,
    Divisor,
    Fact,
    Weights,
)
from expectations.source_model import Source
from expectations.window_model import list_years_ago
from transforms.clean.national_id import to_text_sql
from transforms.engine.sql import months_between_sql, quotient_sql, sorted_list_sql, sql_literal
from transforms.facts.windows import date_window_terms, day_sql, month_window

FACT_TYPES = {
    "year": "INTEGER",
    "years": "INTEGER",
    "months": "INTEGER",
    "count": "INTEGER",
    "people": "INTEGER",
    "hours": "DECIMAL(12,2)",
    "ml": "DECIMAL(12,2)",
    "points": "DECIMAL(12,2)",
    "yuan": "DECIMAL(12,2)",
    "times": "INTEGER",
    "m2": "DECIMAL(12,2)",
    "percent": "DECIMAL(12,2)",
    "number": "DECIMAL(12,2)",
    "yes_no": "BOOLEAN",
    "level": "VARCHAR",
    "date": "DATE",
    "month": "DATE",
    "area": "VARCHAR",
    "text": "VARCHAR",
    **{unit: f"STRUCT(year INTEGER, {one} DECIMAL(12,2))[]" for unit, one in YEAR_UNITS.items()},
    "points_by_key": "STRUCT(key VARCHAR, points DECIMAL(12,2))[]",
    "children": "STRUCT(child VARCHAR, level VARCHAR, enrolment_year INTEGER)[]",
}


def equals_sql(values: Mapping[str, str]) -> str:
    """Return SQL that is true if a row has these values (column -> value); of every row if none."""
    return (
        " AND ".join(f"{column} = {sql_literal(value)}" for column, value in values.items())
        or "true"
    )


def where_sql(column: str, asked: Sequence[str] | Check) -> str:
    """Return whether a row has one of these values in a column, or a number within bounds."""
    if not isinstance(asked, Check):
        return f"{column} IN ({', '.join(map(sql_literal, asked))})"
    bounds = ((">=", asked.min), (">", asked.above), ("<=", asked.max), ("<", asked.below))
    return " AND ".join(f"{column} {sign} {bound}" for sign, bound in bounds if bound is not None)


def filter_sql(source: Source, fact: Fact) -> str:
    """Return which rows of a source a fact is measured over; of months not which months."""
    return " AND ".join(_conditions(source, fact)) or "true"


def _conditions(source: Source, fact: Fact) -> list[str]:
    """Return the terms of `filter_sql`."""
    day = day_sql(fact)
    found = [where_sql(column, asked) for column, asked in fact.where.items()]
    if fact.current:
        span = fact.current
        still = f"{span.ends} >= {day}" + (f" OR {span.ends} IS NULL" if span.open_end else "")
        found.append(f"{span.begins} <= {day} AND ({still})")
    if fact.open:
        ends = fact.open.ends
        found.append(f"{fact.open.begins} <= {day} AND ({ends} IS NULL OR {ends} > {day})")
    if fact.within and fact.measure not in MONTH_MEASURES:
        of = str(fact.within.of)
        if source.columns[of].type == "month":
            first, last = month_window(fact)
            found.append(f"{of} BETWEEN {first} AND {last}")
        else:
            found += date_window_terms(fact, fact.within)
    if fact.turns:
        year, born = (
            f"({_school_year(day)} - {fact.turns.age})",
            f"{fact.turns.of} // 1000 % 100000000",
        )
        found.append(f"{born} BETWEEN ({year} - 1) * 10000 + 901 AND {year} * 10000 + 831")
    if fact.listed:
        column = fact.listed.column
        found.append(
            f"{column} IN (SELECT {column} FROM {fact.listed.table} WHERE year = year({day}))"
        )
    if fact.measure == "sum_by_year":
        ago = list_years_ago(fact.years or 0)
        found.append(f"year({fact.keys[0]}) > year($as_of) - {ago.stop}")
        newest = "$as_of" if ago.start == 0 else f"make_date(year($as_of) - {ago.start}, 12, 31)"
        found.append(f"{fact.keys[0]} <= {newest}")
    return found


def any_filter_sql(source: Source, facts: Collection[Fact]) -> str:
    """Return which rows of a source any of these facts is measured over.

    What only narrows another's condition adds nothing.
    """
    measured = [source.facts[name] for fact in facts for name in fact.levels.values()]
    asked = [
        _conditions(source, fact)
        for fact in (*measured, *(fact for fact in facts if not fact.levels))
    ]
    widest = dict.fromkeys(
        " AND ".join(one) for one in asked if not any(set(other) < set(one) for other in asked)
    )
    return " OR ".join(f"({one or 'true'})" for one in widest)


def _school_year(day: str) -> str:
    """Return the year of the next 31 August on or after a day."""
    return f"(year({day}) + CAST(month({day}) > 8 AS INTEGER))"


def _aggregate(source: Source, function: str, value: str, where: str) -> str:
    """Return a value over the rows that fit: aggregated, or as it is with one row per person."""
    if source.spine:
        return f"CASE WHEN {where} THEN {value} END" if where != "true" else value
    counted = "*" if function == "count" else value
    return f"{function}({counted})" + (f" FILTER (WHERE {where})" if where != "true" else "")


def aggregate_sql(source: Source, fact: Fact) -> str:
    """The aggregate a fact is made from, before people without any rows get their default."""
    where, of = filter_sql(source, fact), str(fact.of)
    match fact.measure:
        case "count" | "exists":
            return _aggregate(source, "count", "1", where)
        case "sum":
            return _aggregate(source, "sum", weighted_sql(source, fact), where)
        case "highest":
            return _aggregate(source, "max", _rank(fact), where)
        case "full_months" | "full_years":
            value = f"{of} // 1000 % 100000000" if source.columns[of].type == "id" else of
            return _aggregate(source, "min", value, where)
        case "list":
            return _children(source, fact)
        case _:
            return _aggregate(source, "any_value", of, where)


def weighted_sql(source: Source, fact: Fact) -> str:
    """Return what a record adds to a sum: its value in bounds, times its weights; 1 without `of`."""
    value = fact.of or "1"
    if fact.clip:
        value = f"least({value}, {fact.clip.max})" if fact.clip.max is not None else value
        value = f"greatest({value}, {fact.clip.min})" if fact.clip.min is not None else value
        if not source.columns[str(fact.of)].required:  # the engine's least of null is the other
            value = f"CASE WHEN {fact.of} IS NOT NULL THEN {value} END"
    value = f"{value} * {fact.times}" if fact.times else value
    value = _divided_sql(value, fact) if fact.divided_by is not None else value
    plain = _multiplied_sql(value, fact.weights)
    if fact.weights_from is None:
        return plain
    dated = sorted(fact.weights_from.dates.items(), reverse=True)
    cases = " ".join(
        f"WHEN {fact.weights_from.of} >= DATE {sql_literal(day)}"
        f" THEN {_multiplied_sql(value, weights)}"
        for day, weights in dated
    )
    return f"CASE {cases} ELSE {plain} END"


def _multiplied_sql(value: str, weights: Weights) -> str:
    for column, factors in weights.items():
        cases = " ".join(
            f"WHEN {sql_literal(given)} THEN {factor}" for given, factor in factors.items()
        )
        value = f"{value} * CASE {column} {cases} ELSE 1 END"
    return value


def _divided_sql(value: str, fact: Fact) -> str:
    """Return a quotient with four decimals, the rest cut off; null where the divisor is 0."""
    by = fact.divided_by
    divisor = f"({by.of} + {by.plus})" if isinstance(by, Divisor) else str(by)
    return quotient_sql(value, divisor)


def rows_sql(source: Source, fact: Fact) -> str:
    """Return the rows that a fact is measured over; of those that are one act, the one that counts.

    Of equally great ones the one that adds most counts, then the newest.
    """
    rows = f"counted_{source.source}\nWHERE {filter_sql(source, fact)}"
    if not fact.once_per:
        return rows
    acts = ", ".join(["person", *fact.once_per])
    greatest = [_order_sql(source, fact.greatest)] if fact.greatest else []
    added = [weighted_sql(source, fact)] if fact.of else []
    order = [f"{one} DESC NULLS LAST" for one in (*greatest, *added, *fact.keys)]
    number = f"row_number() OVER (PARTITION BY {acts} ORDER BY {', '.join(order or ['person'])})"
    return f"(SELECT * FROM {rows}\nQUALIFY {number} = 1)"


def _order_sql(source: Source, column: str) -> str:
    """Return a column as something to order by: a set's values in the order of their declaration."""
    values = source.columns[column].values
    cases = " ".join(f"WHEN {sql_literal(value)} THEN {n}" for n, value in enumerate(values))
    return f"CASE {column} {cases} END" if values else column


def covered_months_sql(sources: Mapping[str, Source], own: Source, fact: Fact, name: str) -> str:
    """Return how many months spells cover, one row per person.

    A month is covered when a spell runs on its last day. Months of `spells` without those of
    `without` are the months of both together, less those of `without`: each is a union of spells,
    of which every one adds the months after the last that those before it reach.
    """
    first, last = month_window(fact)
    day = day_sql(fact)
    parts = []
    for kind, spells in (("spells", fact.spells), ("without", fact.without)):
        for spell in spells:
            source = sources[spell.source or own.source]
            where = [where_sql(column, asked) for column, asked in spell.where.items()]
            where += [f"{spell.begins} <= {day}"]
            where += [] if spell.open_end else [f"{spell.ends} IS NOT NULL"]
            ended = (
                f"(year({spell.ends}) * 12 + month({spell.ends}) - 1"
                f" - CAST({spell.ends} < last_day({spell.ends}) AS INTEGER))"
            )
            begun = f"year({spell.begins}) * 12 + month({spell.begins}) - 1"
            parts.append(
                f"SELECT person, '{kind}' AS kind, greatest({begun}, {first}) AS low,"
                f" least(coalesce({ended}, {last}), {last}) AS high\n"
                f"    FROM counted_{source.source} WHERE {' AND '.join(where)}"
            )
    rows = "\n    UNION ALL\n    ".join(parts)

    def added(over: str) -> str:
        reached = (
            f"max(high) OVER (PARTITION BY {over} ORDER BY low, high"
            " ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)"
        )
        return f"greatest(high - greatest(low - 1, coalesce({reached}, low - 1)), 0)"

    without = " - coalesce(sum(alone) FILTER (WHERE kind = 'without'), 0)" if fact.without else ""
    alone = f", {added('person, kind')} AS alone" if fact.without else ""
    return f"""
WITH spells AS (
    {rows}
),
months AS (
    SELECT person, kind, {added("person")} AS together{alone}
    FROM spells WHERE high >= low
)
SELECT person, CAST(sum(together){without} AS INTEGER) AS {name}
FROM months GROUP BY person"""


def _rank(fact: Fact) -> str:
    cases = " ".join(
        f"WHEN {sql_literal(level)} THEN {rank}"
        for rank, step in enumerate(fact.ladder, 1)
        for level in step
    )
    return f"CASE {fact.of} {cases} END"


def _children(source: Source, fact: Fact) -> str:
    due = {level: filter_sql(source, source.facts[name]) for level, name in fact.levels.items()}
    level = (
        "CASE "
        + " ".join(f"WHEN {where} THEN {sql_literal(level)}" for level, where in due.items())
        + " END"
    )
    child = (
        f"{{'child': {to_text_sql(str(fact.of))}, 'level': {level},"
        f" 'enrolment_year': CAST({_school_year(day_sql(fact))} AS INTEGER)}}"
    )
    return sorted_list_sql(child, where=" OR ".join(f"({where})" for where in due.values()))


def fact_sql(source: Source, fact: Fact, column: str) -> str:
    """Return a fact from the column of its raw measure, with the default for unknown people."""
    kind = FACT_TYPES[fact.unit]
    match fact.measure:
        case "count" | "sum":
            return f"CAST(coalesce({column}, 0) AS {kind})"
        case "exists":
            return f"coalesce({column}, 0) > 0"
        case "highest":
            levels = " ".join(
                f"WHEN {rank} THEN {sql_literal(step[0])}"
                for rank, step in enumerate(fact.ladder, 1)
            )
            otherwise = f" ELSE {sql_literal(fact.otherwise)}" if fact.otherwise else ""
            return f"CASE {column} {levels}{otherwise} END"
        case "full_months" | "full_years":
            return _full(source, fact, column)
        case "sum_by_year" | "sum_by_key" | "list":
            return f"CAST(coalesce({column}, []) AS {kind})"
        case "distinct_months" | "run_months" | "covered_months":
            return f"coalesce({column}, 0)"
        case "last_month":
            day = f"make_date({column} // 12, {column} % 12 + 1, 1)"
            return f"CASE WHEN {column} IS NOT NULL THEN {day} END"
        case _:
            default = {"yes_no": "false", **dict.fromkeys(COUNTED_UNITS - {"yuan"}, "0")}.get(
                fact.unit
            )
            return (
                f"coalesce({column}, {default})"
                if default and fact.measure != "gap_months"
                else column
            )


def _full(source: Source, fact: Fact, column: str) -> str:
    """Return full months (or years) up to the day on which they are counted.

    On a month's last day, as the scoring date always is, every month that has begun is complete.
    """
    day, is_id = day_sql(fact), source.columns[str(fact.of)].type == "id"
    if is_id and fact.at is None:
        passed = f"$month - ({column} // 10000 * 12 + {column} // 100 % 100 - 1)"
    elif is_id:
        number = f"year({day}) * 12 + month({day}) - 1"
        passed = f"{number} - ({column} // 10000 * 12 + {column} // 100 % 100 - 1)"
    else:
        passed = months_between_sql(column, day)
    if fact.at is not None:
        begun = f"{column} % 100" if is_id else f"day({column})"
        incomplete = f"{begun} > day({day}) AND {day} < last_day({day})"
        passed = f"greatest({passed} - CAST({incomplete} AS INTEGER), 0)"
    return (
        f"CAST(coalesce({passed}, 0){' // 12' if fact.measure == 'full_years' else ''} AS INTEGER)"
    )
