"""Answers for outside: what is judged, and that no cell of few people is shown."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import duckdb
import pytest

from reports.disclosure import FEW, FEW_TEXT
from reports.publishable import SUPPRESSED, UnjudgeableQueryError, judge_query

VIEWS = ("scores", "latest_scores", "latest_facts", "eligibility")
ONE_PER_PERSON = ("latest_scores", "latest_facts")


def answer(connection: duckdb.DuckDBPyConnection, query: str) -> list[list[Any]]:
    judged = judge_query(query, VIEWS, ONE_PER_PERSON)
    rows: Sequence[tuple[Any, ...]] = connection.execute(judged.sql).fetchall()
    return [judged.suppress(row)[0] for row in rows]


@pytest.fixture
def connection() -> duckdb.DuckDBPyConnection:
    """Twelve people of A, 26 of B, 3 of C; of two months; fines of one of A and of 14 of B."""
    people = (
        [("A", n) for n in range(12)] + [("B", n) for n in range(26)] + [("C", n) for n in range(3)]
    )
    made = duckdb.connect()
    made.execute("CREATE TABLE s (resident_key VARCHAR, district VARCHAR, n INTEGER, fine INTEGER)")
    for district, n in people:
        fined = (district, n) == ("A", 0) or (district == "B" and n < 14)
        made.execute(
            "INSERT INTO s VALUES (?, ?, ?, ?)", [f"{district}{n}", district, n, 5 * fined]
        )
    made.execute("CREATE VIEW latest_scores AS FROM s; CREATE VIEW latest_facts AS FROM s")
    made.execute("CREATE VIEW scores AS SELECT unnest([1, 2]) AS month, * FROM s")
    return made


def test_numbers_of_people_are_rounded_and_few_are_suppressed(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    query = """SELECT district, count(*) AS people, count(*) FILTER (WHERE n < 9) AS few,
        round(avg(fine), 2) AS fined, sum(n) FILTER (WHERE n < 9) AS part
        FROM latest_scores GROUP BY ALL ORDER BY ALL"""
    assert answer(connection, query) == [
        ["A", 10, FEW_TEXT, SUPPRESSED, SUPPRESSED],  # one person's fine is all that the mean holds
        ["B", 30, FEW_TEXT, 2.69, SUPPRESSED],
        ["C", FEW_TEXT, FEW_TEXT, SUPPRESSED, SUPPRESSED],
    ]


def test_rows_of_several_months_are_not_people(connection: duckdb.DuckDBPyConnection) -> None:
    query = (
        "SELECT district, count(DISTINCT resident_key) AS people FROM scores GROUP BY 1 ORDER BY 1"
    )
    assert answer(connection, query) == [["A", 10], ["B", 30], ["C", FEW_TEXT]]


@pytest.mark.parametrize("seed", range(20))
def test_no_row_shows_a_number_or_value_of_few_people(
    connection: duckdb.DuckDBPyConnection, seed: int
) -> None:
    """Whatever is asked of whatever groups, against a loop over the people."""
    generator = random.Random(seed)
    size, limit = generator.randint(2, 15), generator.randint(0, 26)
    query = f"""SELECT n // {size} AS band, sum(fine) AS fines,
        count(*) FILTER (WHERE n < {limit}) AS part, count(*) AS people
        FROM latest_scores GROUP BY ALL ORDER BY ALL"""
    people = connection.execute("SELECT n, fine FROM s").fetchall()
    for band, fines, part, shown in answer(connection, query):
        here = [(n, fine) for n, fine in people if n // size == band]
        fined = sum(fine > 0 for _, fine in here)
        assert (shown == FEW_TEXT) == (len(here) < FEW)
        assert shown == FEW_TEXT or (abs(shown - len(here)) <= 5 and shown % 10 == 0)
        assert (fines == SUPPRESSED) == (fined < FEW)
        assert fines == SUPPRESSED or fines == sum(fine for _, fine in here)
        assert (part == FEW_TEXT) == (sum(n < limit for n, _ in here) < FEW)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT district, count(*) FROM scores GROUP BY 1", "数的不一定是人"),
        ("SELECT count(*) FROM latest_scores, latest_facts", "数的不一定是人"),
        ("SELECT count(total_points) FROM latest_scores", "数的不一定是人"),
        ("SELECT district FROM latest_scores", "没有人数的列"),
        ("SELECT sum(n) FROM latest_scores", "没有人数的列"),
        ("SELECT resident_key, count(*) FROM latest_scores GROUP BY 1", "resident_key"),
        ("SELECT substr(resident_key, 1), count(*) FROM latest_scores GROUP BY 1", "resident_key"),
        ("SELECT * FROM latest_scores", "无法判断"),
        ("FROM latest_scores", "无法判断"),
        ("SELECT max(n), count(*) FROM latest_scores", "max"),
        ("SELECT mode(n), count(*) FROM latest_scores", "mode"),
        ("SELECT list(n), count(*) FROM latest_scores", "无法判断"),
        ("SELECT histogram(n), count(*) FROM latest_scores GROUP BY ALL", "无法判断"),
        ("SELECT arg_max(n, fine), count(*) FROM latest_scores", "无法判断"),
        ("SELECT count_if(fine > 0), count(*) FROM latest_scores", "无法判断"),
        ("SELECT sum(CASE WHEN fine > 0 THEN 1 END), count(*) FROM latest_scores", "无法判断"),
        ("SELECT 100 * count(*) FILTER (WHERE n > 1) / count(*) FROM latest_scores", "无法判断"),
        ("SELECT count(*) + 0, count(*) FROM latest_scores", "无法判断"),
        ("SELECT sum(n), avg(n), count(*) FROM latest_scores", "sum 和 avg"),
        ("SELECT count(*) FROM latest_scores HAVING count(*) = 3", "HAVING"),
        ("SELECT count(*) FROM latest_scores WHERE n > (SELECT 1)", "子查询"),
        ("WITH x AS (FROM latest_scores) SELECT count(*) FROM x", "WITH"),
        ("SELECT count(*) FROM (FROM latest_scores)", "子查询"),
        ("SELECT count(*) FROM latest_scores UNION ALL SELECT 1", "不是一条 SELECT"),
        ("SELECT n, count(*) OVER () FROM latest_scores", "窗口函数"),
        ("SELECT DISTINCT n FROM latest_scores", "DISTINCT"),
        ("SELECT district, count(*) FROM latest_scores GROUP BY ROLLUP (district)", "ROLLUP"),
        ("SELECT count(*) FROM latest_scores TABLESAMPLE 3 ROWS", "抽样"),
        ("SELECT count(*) FROM read_parquet('a')", "视图"),
        ("SELECT count(*) FROM dictionary", "视图"),
        ("SELECT count(*)", "视图"),
        ("SUMMARIZE latest_scores", "不是一条 SELECT"),
        ("DESCRIBE latest_scores", "不是一条 SELECT"),
        ("EXPLAIN ANALYZE SELECT count(*) FROM latest_scores", "不是一条 SELECT"),
        ("SHOW TABLES", "不是一条 SELECT"),
        ("not sql at all (", "看不懂"),
    ],
)
def test_what_cannot_be_judged_is_refused_with_its_reason(query: str, said: str) -> None:
    with pytest.raises(UnjudgeableQueryError) as caught:
        judge_query(query, VIEWS, ONE_PER_PERSON)
    assert said.lower() in str(caught.value).lower()
