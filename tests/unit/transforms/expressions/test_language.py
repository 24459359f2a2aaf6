"""The expression language: what it says, what it refuses, and that it stays exact."""

from __future__ import annotations

from decimal import Decimal

import duckdb
import pytest

from transforms.expressions.kinds import DATE, NUMBER, TEXT, YES_NO, Kind
from transforms.expressions.language import ExpressionError, parse_condition, parse_expression

NAMES = {
    "age": NUMBER,
    "rent": NUMBER,
    "frozen": YES_NO,
    "tenure": Kind("text", frozenset({"rented", "owned"})),
    "area": TEXT,
    "valid_to": DATE,
    "as_of": DATE,
}


@pytest.mark.proves("points-116")
@pytest.mark.parametrize(
    ("text", "sql"),
    [
        ("age >= 18 and not frozen", "age >= 18 AND NOT frozen"),
        ("(age < 18 or age > 60) and frozen = false", "(age < 18 OR age > 60) AND frozen = FALSE"),
        ("tenure in ('rented', 'owned')", "tenure IN ('rented', 'owned')"),
        (
            "valid_to between as_of + 1 and as_of + 45",
            "valid_to BETWEEN $as_of + 1 AND $as_of + 45",
        ),
        ("valid_to >= '2021-09-08'", "valid_to >= CAST('2021-09-08' AS DATE)"),
        ("month(as_of) in (11, 12)", "CAST(MONTH($as_of) AS INT) IN (11, 12)"),
        ("YEAR(valid_to - 1) = 2021", "CAST(YEAR(valid_to - 1) AS INT) = 2021"),
        ("valid_to is not null", "NOT valid_to IS NULL"),
        ("age * 2 - 1 <> -3", "age * 2 - 1 <> -3"),
        ("area = 'IS NOT -- \"A\"' and age<>-3", "area = 'IS NOT -- \"A\"' AND age <> -3"),
    ],
)
def test_what_the_language_says(text: str, sql: str) -> None:
    assert (
        parse_condition(text, NAMES).sql(lambda name: "$as_of" if name == "as_of" else name) == sql
    )


@pytest.mark.promise("sources-154", "declared expressions parsed, rebuilt, names checked")
@pytest.mark.promise("points-12", "No SQL in a table: conditions are a closed language")
@pytest.mark.promise("points-120", "Closed language: unknown name or function refused at its place")
@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("agee > 1", "是否应为 age"),
        ("tenure = 'rentd'", "没有等级"),
        ("tenure > 'owned'", "不能比较大小"),
        ("age = 'x'", "应为数值"),
        ("not age", "应为是否"),
        ("month(age) = 1", "应为日期"),
        ("month('2021-01-01') = 1", "应为日期"),
        ("month = 1", "不认识的名称"),
        ("day(as_of) = 1", "不允许"),
        ("month(as_of)", "不是条件"),
        ("age", "不是条件"),
        ("valid_to + age > as_of", "整数天"),
        ("valid_to > '2021-02-30'", "不是日期"),
        ("count(age) > 1", "不允许"),
        ("age in (select 1)", "不允许"),
        ("case when frozen then true end", "不允许"),
        ("$as_of > valid_to", "不允许"),
        ("other.age > 1", "不认识的名称"),
        ("age > 1; drop table x", "只写一个条件"),
        ("age = null", "不允许"),
        ("age > 1e3", "不允许的数值"),
        ("(age > 1", "看不懂"),
        ("age between symmetric 60 and 18", "symmetric"),
        ("age <> 18 -- later", "'--'；说明写在 # 后面"),
        ("age /* years */ > 18", "说明写在 # 后面"),
        ("age isnull", "isnull"),
        ('"age" > 18', "不允许"),
        ("valid_to > '2021-09-01'::date", "不允许"),
        ("valid_to > try_cast('2021-09-01' as date)", "try_cast"),
        ("area = $$x$$", "不允许"),
        ("age > 1;", "';'"),
        ("", "看不懂"),
    ],
)
def test_what_the_language_refuses(text: str, part: str) -> None:
    with pytest.raises(ExpressionError, match=part):
        parse_condition(text, NAMES)


def test_an_expression_knows_its_names_and_its_kind() -> None:
    expression = parse_expression("rent * 0.4 + age", NAMES)
    assert (expression.names, expression.kind) == (frozenset({"rent", "age"}), NUMBER)


@pytest.mark.parametrize(
    ("age", "rent", "result"),
    [(1, "3", "0.3333"), (-7, "2", "-3.5"), (2, "0.3", "6.6666"), (1, "0", None)],
)
def test_division_is_exact_to_four_decimals_and_null_by_zero(
    age: int, rent: str, result: str | None
) -> None:
    sql = parse_expression("age / rent", NAMES).sql()
    facts = f"SELECT {age} AS age, {rent}::DECIMAL(18, 2) AS rent"
    with duckdb.connect() as connection:
        row = connection.execute(f"SELECT {sql}, typeof({sql}) FROM ({facts})").fetchall()[0]
    assert row[0] == (None if result is None else Decimal(result))
    assert row[1].startswith("DECIMAL")
