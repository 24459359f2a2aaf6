"""The closed list: what a published statement may not be made of, and that what it may is tried."""

from __future__ import annotations

import pytest
import sqlglot

from tests.support.probes import EXPRESSIONS, OF_RULES, QUERIES
from transforms.engine.portable import FUNCTIONS, SYNTAX, find_unportable
from transforms.engine.spark_dialect import to_spark_sql

SILENT = {
    "SELECT date_diff('month', a, b) FROM t": "months_between_sql",
    "SELECT datediff('month', a, b) FROM t": "months_between_sql",
    "SELECT list(x ORDER BY k) FROM t": "sorted_list_sql",
    "SELECT array_agg(x ORDER BY k DESC) FROM t": "sorted_list_sql",
    "SELECT list_transform(l, lambda one, place: place) FROM t": "place",
    "SELECT list_filter(l, (one, place) -> place > 1) FROM t": "place",
    "SELECT TRY_CAST(a AS DATE) FROM t": "year 0",
    "SELECT DATE '0000-01-01'": "year 0",
    "SELECT hash(a) % 3 FROM t": "partitions",
    "SELECT to_json(a) FROM t": "nulls",
    "SELECT a FROM t LIMIT 3": "order",
}
"""Statements that another engine takes otherwise without an error, and what the reason says."""
LOUD = {
    "SELECT a / b FROM t": "floating point",
    "SELECT l[1] FROM t": "list_max",
    "SELECT regexp_full_match(a, 'b') FROM t": "matches_sql",
    "SELECT * EXCLUDE (a) FROM t": "name the columns",
    "SELECT * REPLACE (1 AS a) FROM t": "name the columns",
    "SELECT COLUMNS(*) FROM t": "not in the closed list",
    "SELECT a, count(*) FROM t GROUP BY ALL": "name the columns",
    "SELECT a FROM t ORDER BY ALL": "name the columns",
    "SELECT a FROM t POSITIONAL JOIN u": "join by key",
    "SELECT CAST(a AS HUGEINT) FROM t": "128 bits",
    "SELECT CAST(a AS ENUM('x', 'y')) FROM t": "ENUM",
    "SELECT CAST(a AS UUID) FROM t": "UUID",
    "SELECT CAST(a AS UINTEGER) FROM t": "not in the closed list",
    "SELECT CAST(a AS DOUBLE) FROM t": "floating point",
    "SELECT strlen(a) FROM t": "not in the closed list",
    "SELECT suffix(a, 'x') FROM t": "not in the closed list",
    "SELECT TRY_CAST(a AS INTEGER) FROM t": "not in the closed list",
    "SELECT TRY(a) FROM t": "not in the closed list",
    "SELECT string_agg(a, ',') FROM t": "not in the closed list",
    "SELECT getvariable('a')": "not in the closed list",
    "SELECT printf('%d', a) FROM t": "not in the closed list",
    "SELECT a FROM t TABLESAMPLE 10%": "not in the closed list",
    "SELECT now()": "not in the closed list",
    "SELECT random()": "not in the closed list",
}


@pytest.mark.parametrize("sql", [*SILENT, *LOUD])
def test_a_construct_outside_the_list_is_refused_with_the_reason(sql: str) -> None:
    reasons = [found.reason for found in find_unportable(sql)]
    assert any((SILENT | LOUD)[sql] in reason for reason in reasons), reasons


@pytest.mark.parametrize("sql", SILENT)
def test_what_differs_without_an_error_is_never_carried(sql: str) -> None:
    with pytest.raises(ValueError, match=SILENT[sql]):
        to_spark_sql(sql)


def test_a_construct_is_found_within_others_and_named_with_its_line() -> None:
    sql = """WITH a AS (
    SELECT k, max(v) AS v FROM t GROUP BY k
)
SELECT k FROM a WHERE EXISTS (
    SELECT 1 FROM u WHERE u.k = a.k
        AND date_diff('month', u.d, u.e) > 1
)"""
    (found,) = find_unportable(sql)
    assert found.line == 6
    assert found.text == "DATE_DIFF('MONTH', u.d, u.e)"


def test_everything_on_the_list_is_tried_on_both_engines() -> None:
    """A construct that no probe has is on the list without a reason."""
    queries = [*(f"SELECT {one}" for one in EXPRESSIONS.values()), *QUERIES.values()]
    tried = {
        type(node)
        for query in [*queries, *OF_RULES.values()]
        for node in sqlglot.parse_one(query, dialect="duckdb").walk()
    }
    assert {kind.__name__ for kind in (SYNTAX | FUNCTIONS) - tried} == set()


@pytest.mark.parametrize("name", [*EXPRESSIONS, *QUERIES, *OF_RULES])
def test_probes_are_of_the_closed_list(name: str) -> None:
    expression = EXPRESSIONS.get(name)
    query = f"SELECT {expression}" if expression else (QUERIES | OF_RULES)[name]
    assert find_unportable(query) == []
