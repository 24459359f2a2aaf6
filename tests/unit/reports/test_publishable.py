"""Answers for outside: what is judged, and that nothing of few people follows from an answer."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import combinations
from typing import Any

import duckdb
import pytest

from reports.disclosure import FEW, FEW_TEXT, round_people
from reports.publishable import SUPPRESSED, UnjudgeableQueryError, judge_query

VIEWS = ("scores", "latest_scores", "latest_facts", "eligibility", "latest_districts")
ONE_PER_PERSON = ("latest_scores", "latest_facts")
WITHOUT_PEOPLE = ("latest_districts",)
PERSONS = "SELECT district, f.n, count(DISTINCT s.resident_key)"
FIVE_PARTS = ", ".join(f"count(*) FILTER (WHERE n > {limit})" for limit in range(5))


def judged(query: str) -> Any:
    return judge_query(query, VIEWS, ONE_PER_PERSON, WITHOUT_PEOPLE)


def answer_and_tally(
    connection: duckdb.DuckDBPyConnection, query: str
) -> tuple[list[list[Any]], Counter[str]]:
    asked, tally = judged(query), Counter[str]()
    rows: Sequence[tuple[Any, ...]] = connection.execute(asked.sql).fetchall()
    return list(asked.suppress(rows, tally)), tally


def answer(connection: duckdb.DuckDBPyConnection, query: str) -> list[list[Any]]:
    return answer_and_tally(connection, query)[0]


@pytest.fixture
def connection() -> duckdb.DuckDBPyConnection:
    """Twelve people of A, 26 of B, 3 of C; of two months; fines of one of A and of 14 of B."""
    people = (
        [("A", n) for n in range(12)] + [("B", n) for n in range(26)] + [("C", n) for n in range(3)]
    )
    made = duckdb.connect(config={"threads": 1})
    made.execute("CREATE TABLE s (resident_key VARCHAR, district VARCHAR, n INTEGER, fine INTEGER)")
    for district, n in people:
        fined = (district, n) == ("A", 0) or (district == "B" and n < 14)
        made.execute(
            "INSERT INTO s VALUES (?, ?, ?, ?)", [f"{district}{n}", district, n, 5 * fined]
        )
    made.execute("CREATE VIEW latest_scores AS FROM s; CREATE VIEW latest_facts AS FROM s")
    made.execute("CREATE VIEW scores AS SELECT unnest([1, 2]) AS month, * FROM s")
    made.execute("CREATE VIEW latest_districts AS SELECT DISTINCT district FROM s")
    return made


def test_numbers_of_people_are_rounded_and_few_are_suppressed(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    query = """SELECT district, count(*) AS people, count(*) FILTER (WHERE n < 9) AS few,
        round(avg(fine), 2) AS fined, sum(n) FILTER (WHERE n < 9) AS part
        FROM latest_scores GROUP BY ALL ORDER BY ALL"""
    assert answer(connection, query) == [
        ["A", 10, FEW_TEXT, SUPPRESSED, SUPPRESSED],  # one person's fine is all that the mean holds
        ["B", 30, FEW_TEXT, Decimal("2.7"), SUPPRESSED],
    ]


def test_a_row_of_few_people_is_left_out_with_its_labels(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    """Everybody's facts as labels: nobody's are shown."""
    query = "SELECT district, n, fine, district = 'A' AND n = 0 AS me, count(*) FROM latest_scores GROUP BY ALL"
    rows, tally = answer_and_tally(connection, query)
    assert (rows, tally) == ([], Counter(rows=41, people=41))
    query = "SELECT district, count(*) FROM latest_scores GROUP BY ALL ORDER BY 1"
    rows, tally = answer_and_tally(connection, query)
    assert (rows, tally) == ([["A", 10], ["B", 30]], Counter(rows=1, people=3))
    assert answer(connection, "SELECT count(*) FROM latest_scores WHERE n = 20") == []
    assert answer(connection, "SELECT count(*) FROM latest_scores WHERE n = 99") == []


def test_rows_of_several_months_are_not_people(connection: duckdb.DuckDBPyConnection) -> None:
    query = (
        "SELECT district, count(DISTINCT resident_key) AS people FROM scores GROUP BY 1 ORDER BY 1"
    )
    assert answer(connection, query) == [["A", 10], ["B", 30]]
    query = """SELECT count(DISTINCT resident_key), sum(n) FILTER (WHERE month = 1) AS first,
        sum(n) FILTER (WHERE month = 1 OR resident_key = 'B7') AS more FROM scores"""
    (row,) = answer(connection, query)
    assert row[2] == SUPPRESSED  # his second month


def test_a_sum_is_the_shown_mean_times_the_shown_people(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    """So it says no more of how many they are; sum and mean may stand together."""
    query = """SELECT district, count(*), avg(n), sum(n) FROM latest_scores
        WHERE n > 0 GROUP BY ALL ORDER BY ALL"""
    rows = answer(connection, query)
    assert [row[1] for row in rows] == [10, 30]
    assert all(total == mean * people for _, people, mean, total in rows)


def _random_condition(generator: random.Random) -> str:
    """Return a condition with unknown values, negation, OR, and now and then a person in it."""
    atoms: list[Callable[[], str]] = [
        lambda: f"n < {generator.randint(0, 30)}",
        lambda: f"n >= {generator.randint(0, 30)}",
        lambda: f"fine > {generator.choice([0, 5])}",
        lambda: f"district = '{generator.choice('AB')}'",
        lambda: f"resident_key = 'p{generator.randint(0, 79)}'",
        lambda: f"nullif(n, {generator.randint(0, 30)}) IS NULL",
        lambda: f"nullif(n, {generator.randint(0, 30)}) <> {generator.randint(0, 30)}",
    ]
    condition = generator.choice(atoms)()
    while generator.random() < 0.5:
        joined = f"({condition}) {generator.choice(['AND', 'OR'])} {generator.choice(atoms)()}"
        condition = generator.choice([joined, f"NOT ({joined})"])
    return condition


def _make_people(generator: random.Random) -> duckdb.DuckDBPyConnection:
    made = duckdb.connect(config={"threads": 1})
    made.execute("CREATE TABLE s (resident_key VARCHAR, district VARCHAR, n INTEGER, fine INTEGER)")
    rows = []
    for number in range(80):
        n = generator.choice(["NULL", 0, *range(30)])
        fine = generator.choice(["NULL", 0, 0, 5, 10])
        rows.append(f"('p{number}', '{generator.choice('ABBBC')}', {n}, {fine})")
    made.execute(f"INSERT INTO s VALUES {', '.join(rows)}")
    made.execute("CREATE VIEW latest_scores AS SELECT *, resident_key AS code FROM s")
    return made


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(60))
def test_nobody_finds_few_people_by_subtracting_what_is_shown(seed: int) -> None:
    """Random rows and parts: of any two cells that are shown, at least ten people differ."""
    generator = random.Random(seed)
    connection = _make_people(generator)
    label = generator.choice(
        ["'all'", "district", "n // 10", "coalesce(n, 0) < 20", "n", "code < 'p4'"]
    )
    where = _random_condition(generator) if generator.random() < 0.5 else "true"
    parts = [_random_condition(generator) for _ in range(generator.randint(1, 4))]
    if generator.random() < 0.5:  # the same, with one person more or less
        person = f"resident_key = 'p{generator.randint(0, 79)}'"
        parts[-1] = generator.choice(
            [f"({parts[0]}) OR {person}", f"({parts[0]}) AND NOT {person}", f"NOT {person}"]
        )
    cells = [("people", part) for part in ["true", *parts]]
    for column in ("n", "fine"):
        cells += [(column, part) for part in ["true", *parts] if generator.random() < 0.7]
    cells[1:] = generator.sample(cells[1:], len(cells) - 1)

    def write(kind: str, part: str) -> str:
        column = generator.choice([kind, f"s.{kind}"])
        made = "count(*)" if kind == "people" else f"{generator.choice(['sum', 'avg'])}({column})"
        return made if part == "true" else f"{made} FILTER (WHERE {part})"

    source = f"FROM latest_scores s WHERE {where} GROUP BY ALL"
    query = f"SELECT {label} AS label, {', '.join(write(*cell) for cell in cells)} {source}"
    shown = {label: values for label, *values in answer(connection, query)}
    behind = [
        f"list(resident_key) FILTER (WHERE ({part}) AND {'true' if kind == 'people' else kind} <> 0)"
        for kind, part in cells
    ]
    truth = connection.execute(f"SELECT {label} AS label, {', '.join(behind)} {source}").fetchall()
    assert set(shown) == {label for label, whole, *_ in truth if len(whole or ()) >= FEW}
    for label_, *lists in truth:
        if label_ not in shown:
            continue
        people = [frozenset(one or ()) for one in lists]
        seen = [
            (kind, part, behind_, value)
            for (kind, part), behind_, value in zip(cells, people, shown[label_], strict=True)
            if value not in (FEW_TEXT, SUPPRESSED)
        ]
        assert seen[0][:2] == ("people", "true")  # the row's people
        for kind, _, behind_, value in seen:
            assert len(behind_) >= FEW
            assert kind != "people" or value == round_people(len(behind_))
        for one, other in combinations(seen, 2):
            if one[0] == other[0] and one[1] != other[1]:
                assert len(one[2] ^ other[2]) >= FEW, (query, one[1], other[1])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(30))
def test_a_fact_of_one_person_changes_nothing_that_is_shown(seed: int) -> None:
    """Cells that differ by one person, if he has it: whether they are shown does not say so.

    Short of who knows nine others of ten beforehand: parts here are not at that limit.
    """
    generator = random.Random(seed)
    connection = _make_people(generator)
    code = f"p{generator.randint(0, 79)}"
    target = f"resident_key = '{code}'"
    secret = f"{target} AND fine > 0"
    bases = ["district = 'B'", *(f"n {sign} {n}" for n in range(30) for sign in ("<", ">="))]
    sizes = [f"count(*) FILTER (WHERE {base})" for base in bases]
    (found,) = connection.execute(f"SELECT {', '.join(sizes)} FROM s").fetchall()
    base = generator.choice(
        [base for base, people in zip(bases, found, strict=True) if 10 <= people <= 70]
    )
    query = f"""SELECT count(*) AS people, count(*) FILTER (WHERE {base}) AS part,
        count(*) FILTER (WHERE ({base}) OR ({secret})) AS more,
        count(*) FILTER (WHERE ({base}) AND NOT ({secret})) AS less,
        count(*) FILTER (WHERE NOT ({secret})) AS others,
        sum(n) FILTER (WHERE NOT ({secret})) AS value, sum(n) AS total FROM latest_scores"""
    separate = f"SELECT district, n, code = '{code}' AND fine > 0 AS has, count(*) FROM latest_scores GROUP BY ALL"
    alone = f"SELECT count(*) FROM latest_scores WHERE {secret}"
    answers = []
    for fine in (0, 5):
        connection.execute(f"UPDATE s SET fine = {fine} WHERE {target}")
        rows = [answer(connection, one) for one in (query, separate, alone)]
        answers.append(rows)
        (shown,) = rows[0]
        assert isinstance(shown[1], int) and shown[2:6] == [SUPPRESSED] * 4
    assert answers[0] == answers[1]


def test_what_covers_everybody_is_suppressed_as_what_covers_nearly_everybody(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    query = """SELECT count(*) AS people, count(*) FILTER (WHERE n < 99) AS everybody,
        count(*) FILTER (WHERE resident_key <> 'A0') AS nearly, avg(n) AS mean,
        avg(n) FILTER (WHERE n < 99) AS same, count(*) FILTER (WHERE district = 'B') AS b,
        count(*) FILTER (WHERE district = 'B') AS again, sum(n) FILTER (WHERE n < 99) AS total
        FROM latest_scores"""
    (row,) = answer(connection, query)
    assert row[:3] == [40, SUPPRESSED, SUPPRESSED] and row[4:] == [SUPPRESSED, 30, 30, SUPPRESSED]


def test_functions_that_answer_differently_each_time_are_refused(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    """What answers differently each time cannot be counted twice."""
    functions = connection.execute("""SELECT function_name, max(len(parameters))
        FROM duckdb_functions() WHERE stability = 'VOLATILE' AND function_name NOT LIKE 'current%'
        GROUP BY ALL""")
    for name, arguments in functions.fetchall():
        call = f"{name}({', '.join(['n'] * arguments)}) IS NULL"
        for query in (
            f"SELECT count(*) FILTER (WHERE {call}), count(*) FROM latest_scores",
            f"SELECT count(*) FROM latest_scores WHERE {call}",
        ):
            with pytest.raises(UnjudgeableQueryError, match="每次"):
                judged(query)


def test_rows_may_be_in_the_order_of_their_labels_only(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    query = "SELECT count(*) AS people, district AS d FROM latest_scores GROUP BY district ORDER BY"
    for order in ("ALL DESC", "2 DESC", "d DESC", "district DESC", "lower(district) DESC"):
        assert answer(connection, f"{query} {order}") == [[30, "B"], [10, "A"]]
    for order in ("1", "people", "PEOPLE DESC", "count(*)", "max(n)", "d, -people", "first(n)"):
        with pytest.raises(UnjudgeableQueryError, match="ORDER BY"):
            judged(f"{query} {order}")


def test_an_answer_of_other_columns_than_judged_is_not_shown() -> None:
    asked = judged("SELECT district, count(*) FROM latest_scores GROUP BY 1")
    with pytest.raises(ValueError, match="列"):
        list(asked.suppress([("A", 50, 20, 20, 20)], Counter()))


def test_districts_may_be_joined_as_they_hold_nobody(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    query = """SELECT d.district, count(DISTINCT resident_key) FROM latest_districts d
        LEFT JOIN latest_scores s USING (district) JOIN latest_facts USING (resident_key)
        GROUP BY 1 ORDER BY 1"""
    assert answer(connection, query) == [["A", 10], ["B", 30]]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT district, count(*) FROM scores GROUP BY 1", "数的不一定是人"),
        ("SELECT count(*) FROM latest_scores, latest_facts", "resident_key"),
        (f"{PERSONS} FROM latest_scores s JOIN latest_facts f USING (district)", "resident_key"),
        (f"{PERSONS} FROM latest_scores s NATURAL JOIN latest_facts f", "resident_key"),
        (f"{PERSONS} FROM latest_scores s JOIN latest_facts f ON s.n = f.n", "resident_key"),
        (f"{PERSONS} FROM latest_scores s LEFT JOIN latest_facts f USING (resident_key)", "LEFT"),
        (f"{PERSONS} FROM (latest_scores s JOIN latest_facts f USING (n))", "子查询"),
        (f"{PERSONS} FROM latest_scores s JOIN (VALUES (1)) v(n) USING (n)", "VALUES"),
        (f"{PERSONS} FROM latest_scores s(n, resident_key)", "改名"),
        ("SELECT COLUMNS('d|n'), count(*) FROM latest_scores GROUP BY ALL", "COLUMNS"),
        ("SELECT count(*) FROM latest_scores LIMIT 3", "LIMIT"),
        ("SELECT count(*) FROM latest_scores OFFSET 3", "OFFSET"),
        (f"SELECT count(*), {FIVE_PARTS} FROM latest_scores", "至多 4"),
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
        judged(query)
    assert said.lower() in str(caught.value).lower()
