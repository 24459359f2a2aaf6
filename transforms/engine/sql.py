"""Small pieces of SQL text: literals, types, and what engines would otherwise say differently.

Statements are written in DuckDB's dialect, as far as it can be carried to another engine without a
change of value: DuckDB's `date_diff('month')` counts boundaries where others count full months,
and the order inside `list(x ORDER BY k)` gets lost. The functions here say it portably.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def sql_literal(text: str | Path) -> str:
    """Return a string as an SQL literal: for paths and declared names, not for people's values."""
    return "'" + str(text).replace("'", "''") + "'"


def enum_type(texts: Iterable[str]) -> str:
    """Return the ENUM type of texts, ordered as given: they are sorted and moved as small numbers.

    Such a column must be cast to VARCHAR again before it is written: the engine writes with every
    row group all values that it has met so far, so the bytes would depend on the order in which
    its threads took turns.
    """
    return f"ENUM({', '.join(map(sql_literal, texts)) or sql_literal('')})"  # never without a value


def months_between_sql(earlier: str, later: str) -> str:
    """Return how many calendar months one date's month is before another's."""
    first, last = (f"year({date}) * 12 + month({date})" for date in (earlier, later))
    return f"(({last}) - ({first}))"


def quotient_sql(above: str, below: str) -> str:
    """Return a quotient of numbers with four decimals, the rest cut off; null where `below` is 0.

    By long division of whole numbers: `/` would be floating point, and a dividend with eight more
    digits would not fit 64 bits. Both sides are below nine hundred trillion.
    """
    a, b = (f"CAST(CAST({side} AS DECIMAL(38, 4)) * 10000 AS BIGINT)" for side in (above, below))
    b = f"nullif({b}, 0)"
    hundredths = f"({a} % {b} * 100)"
    rest = f"({hundredths} % {b} * 100)"
    return f"({a} // {b} + {hundredths} // {b} * 0.01 + {rest} // {b} * 0.0001)"


def sorted_list_sql(entry: str, where: str = "") -> str:
    """Return the aggregate of entries (structs) as a list, sorted by their fields in order."""
    only = f" FILTER (WHERE {where})" if where else ""
    return f"list_sort(list({entry}){only})"


def matches_sql(text: str, pattern: str) -> str:
    """Return the condition that a pattern matches the whole of a text."""
    whole = sql_literal(rf"\A(?:{pattern})\z")  # `$` would let a last line feed through
    return f"regexp_matches({text}, {whole})"
