"""Measures: one declared fact as SQL over its source's rows, and as a value with its default."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from expectations.source_model import COUNTED_UNITS, Fact, Source
from transforms.clean.national_id import to_text_sql
from transforms.engine.sql import months_between_sql, sorted_list_sql, sql_literal

FACT_TYPES = {
    "years": "INTEGER",
    "months": "INTEGER",
    "count": "INTEGER",
    "people": "INTEGER",
    "hours": "DECIMAL(12,2)",
    "ml": "DECIMAL(12,2)",
    "points": "DECIMAL(12,2)",
    "yuan": "DECIMAL(12,2)",
    "yes_no": "BOOLEAN",
    "level": "VARCHAR",
    "date": "DATE",
    "month": "DATE",
    "area": "VARCHAR",
    "text": "VARCHAR",
    "hours_by_year": "STRUCT(year INTEGER, hours DECIMAL(12,2))[]",
    "points_by_key": "STRUCT(key VARCHAR, points DECIMAL(12,2))[]",
    "children": "STRUCT(child VARCHAR, level VARCHAR, enrolment_year INTEGER)[]",
}


def equals_sql(values: Mapping[str, str]) -> str:
    """Return SQL that is true if a row has these values (column -> value); of every row if none."""
    return (
        " AND ".join(f"{column} = {sql_literal(value)}" for column, value in values.items())
        or "true"
    )


def filter_sql(fact: Fact) -> str:
    """Which rows of a source a fact is measured over."""
    return " AND ".join(_conditions(fact)) or "true"


def _conditions(fact: Fact) -> list[str]:
    """Return the terms of `filter_sql`."""
    found = [
        f"{column} IN ({', '.join(map(sql_literal, values))})"
        for column, values in fact.where.items()
    ]
    if fact.current:
        span = fact.current
        still = f"{span.ends} >= $as_of" + (f" OR {span.ends} IS NULL" if span.open_end else "")
        found.append(f"{span.begins} <= $as_of AND ({still})")
    if fact.open:
        ends = fact.open.ends
        found.append(f"{fact.open.begins} <= $as_of AND ({ends} IS NULL OR {ends} > $as_of)")
    if fact.within:
        since = f"last_day($as_of - INTERVAL {fact.within.last_months} MONTH)"
        found.append(f"{fact.within.of} > {since} AND {fact.within.of} <= $as_of")
    if fact.turns:
        year, born = (
            f"({_school_year()} - {fact.turns.age})",
            f"{fact.turns.of} // 1000 % 100000000",
        )
        found.append(f"{born} BETWEEN ({year} - 1) * 10000 + 901 AND {year} * 10000 + 831")
    if fact.listed:
        column = fact.listed.column
        found.append(
            f"{column} IN (SELECT {column} FROM {fact.listed.table} WHERE year = year($as_of))"
        )
    if fact.measure == "sum_by_year":
        found.append(
            f"year({fact.keys[0]}) > year($as_of) - {fact.years} AND {fact.keys[0]} <= $as_of"
        )
    return found


def any_filter_sql(source: Source, facts: Collection[Fact]) -> str:
    """Return which rows of a source any of these facts is measured over.

    What only narrows another's condition adds nothing.
    """
    measured = [source.facts[name] for fact in facts for name in fact.levels.values()]
    asked = [
        _conditions(fact) for fact in (*measured, *(fact for fact in facts if not fact.levels))
    ]
    widest = dict.fromkeys(
        " AND ".join(one) for one in asked if not any(set(other) < set(one) for other in asked)
    )
    return " OR ".join(f"({one or 'true'})" for one in widest)


def _school_year() -> str:
    """The year of the next 31 August on or after the scoring date."""
    return "(year($as_of) + CAST(month($as_of) > 8 AS INTEGER))"


def _aggregate(source: Source, function: str, value: str, where: str) -> str:
    """Return a value over the rows that fit: aggregated, or as it is with one row per person."""
    if source.spine:
        return f"CASE WHEN {where} THEN {value} END" if where != "true" else value
    counted = "*" if function == "count" else value
    return f"{function}({counted})" + (f" FILTER (WHERE {where})" if where != "true" else "")


def aggregate_sql(source: Source, fact: Fact) -> str:
    """The aggregate a fact is made from, before people without any rows get their default."""
    where, of = filter_sql(fact), str(fact.of)
    match fact.measure:
        case "count" | "exists":
            return _aggregate(source, "count", "1", where)
        case "sum":
            return _aggregate(source, "sum", weighted_sql(fact), where)
        case "highest":
            return _aggregate(source, "max", _rank(fact), where)
        case "full_months" | "full_years":
            value = f"{of} // 1000 % 100000000" if source.columns[of].type == "id" else of
            return _aggregate(source, "min", value, where)
        case "list":
            return _children(source, fact)
        case _:
            return _aggregate(source, "any_value", of, where)


def weighted_sql(fact: Fact) -> str:
    value = str(fact.of)
    if fact.clip:
        value = f"least({value}, {fact.clip.max})" if fact.clip.max is not None else value
        value = f"greatest({value}, {fact.clip.min})" if fact.clip.min is not None else value
    for column, weights in fact.weights.items():
        cases = " ".join(
            f"WHEN {sql_literal(given)} THEN {weight}" for given, weight in weights.items()
        )
        value = f"{value} * CASE {column} {cases} ELSE 1 END"
    return value


def _rank(fact: Fact) -> str:
    cases = " ".join(
        f"WHEN {sql_literal(level)} THEN {rank}"
        for rank, step in enumerate(fact.ladder, 1)
        for level in step
    )
    return f"CASE {fact.of} {cases} END"


def _children(source: Source, fact: Fact) -> str:
    due = {level: filter_sql(source.facts[name]) for level, name in fact.levels.items()}
    level = (
        "CASE "
        + " ".join(f"WHEN {where} THEN {sql_literal(level)}" for level, where in due.items())
        + " END"
    )
    child = (
        f"{{'child': {to_text_sql(str(fact.of))}, 'level': {level},"
        f" 'enrolment_year': CAST({_school_year()} AS INTEGER)}}"
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
        case "distinct_months" | "run_months":
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
    """Return full months (or years) up to the scoring date, a month's end: periods are complete."""
    if source.columns[str(fact.of)].type == "id":
        passed = f"$month - ({column} // 10000 * 12 + {column} // 100 % 100 - 1)"
    else:
        passed = months_between_sql(column, "$as_of")
    return (
        f"CAST(coalesce({passed}, 0){' // 12' if fact.measure == 'full_years' else ''} AS INTEGER)"
    )
