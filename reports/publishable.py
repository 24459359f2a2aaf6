"""Answers that may leave the bureau: a query is judged before it runs, its cells are suppressed after.

Only what can be judged passes: one SELECT over the catalogue's views whose columns are labels,
numbers of people, sums, means and deviations. A cell of fewer than `FEW` people is suppressed, a
number of people is rounded as in pages that leave the operators' hands (`reports.disclosure`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from reports.disclosure import FEW, FEW_TEXT, round_people

PERSON = "resident_key"
SUPPRESSED = "人数不足"
"""What stands for a value of fewer than `FEW` people."""
_PEOPLE = f"count(DISTINCT {PERSON})"
_VALUES = (exp.Sum, exp.Avg, exp.Stddev, exp.StddevPop, exp.StddevSamp)
_REFUSED: tuple[tuple[type[exp.Expr], str], ...] = (
    (exp.Subquery, "子查询"),
    (exp.With, "WITH"),
    (exp.Window, "窗口函数"),
    (exp.Unnest, "unnest"),
    (exp.Lateral, "LATERAL"),
    (exp.Pivot, "PIVOT"),
    (exp.Having, "HAVING"),
    (exp.Qualify, "QUALIFY"),
    (exp.Distinct, "DISTINCT"),
    (exp.Rollup, "ROLLUP"),
    (exp.Cube, "CUBE"),
    (exp.GroupingSets, "GROUPING SETS"),
    (exp.TableSample, "抽样"),
)


class UnjudgeableQueryError(ValueError):
    """A query of which nobody can say how many people stand behind a cell: what, and what to do."""

    def __init__(self, found: str, expected: str) -> None:
        super().__init__(f"{found}；{expected}")
        self.found, self.expected = found, expected


@dataclass(frozen=True)
class PublishableColumn:
    """A column of the answer.

    Attributes:
        role: A label, the row's people, people of a part of the row, or a value over people.
        people: The place of the number of people whose value it is made of, other than zero.
    """

    role: Literal["label", "row", "part", "value"]
    people: int = 0


@dataclass(frozen=True)
class PublishableQuery:
    """A query that was judged: its SQL, with hidden numbers of people last, and its columns."""

    sql: str
    columns: Sequence[PublishableColumn]

    def suppress(self, row: Sequence[Any]) -> tuple[list[Any], int]:
        """Return what may be shown of a row, and how many of its cells are suppressed."""
        few = any(
            row[place] < FEW for place, column in enumerate(self.columns) if column.role == "row"
        )
        shown: list[Any] = []
        suppressed = 0
        for value, column in zip(row, self.columns, strict=False):
            if column.role == "label":
                shown.append(value)
            elif column.role == "value":
                hidden = few or row[column.people] < FEW
                shown.append(SUPPRESSED if hidden else value)
                suppressed += hidden
            else:
                people = None if few else round_people(value)
                shown.append(FEW_TEXT if people is None else people)
                suppressed += people is None
        return shown, suppressed


def judge_query(
    sql: str, views: Collection[str], one_per_person: Collection[str]
) -> PublishableQuery:
    """Return a query of which every cell can be judged.

    Args:
        sql: One statement.
        views: The views of the catalogue.
        one_per_person: Those with one row per person, in which `count(*)` counts people.

    Raises:
        UnjudgeableQueryError: It cannot be judged.
    """
    try:
        tree = sqlglot.parse_one(sql, dialect="duckdb")
    except SqlglotError:
        raise UnjudgeableQueryError("看不懂的查询", "应为一条 SELECT") from None
    if not isinstance(tree, exp.Select):
        raise UnjudgeableQueryError("不是一条 SELECT", "应为一条不含 UNION 等的 SELECT")
    _refuse_forms(tree)
    people = _find_people(tree, views, one_per_person)
    columns: list[PublishableColumn] = []
    hidden: list[exp.Expr] = []
    width = len(tree.expressions)
    for number, column in enumerate(tree.expressions, 1):
        role, behind = _judge_column(column.unalias(), number, people)
        if behind is not None:
            hidden.append(behind)
        columns.append(PublishableColumn(role, width + len(hidden) - 1 if behind else 0))
    if not any(column.role == "row" for column in columns):
        raise UnjudgeableQueryError("没有人数的列", f"加上 {_PEOPLE} AS people")
    _refuse_exact_counts(tree)
    for place, behind in enumerate(hidden):
        tree = tree.select(exp.alias_(behind, f"people_behind_{place}"))
    return PublishableQuery(tree.sql(dialect="duckdb"), columns)


def _refuse_forms(tree: exp.Select) -> None:
    for form, title in _REFUSED:
        for found in tree.find_all(form):
            if form is exp.Distinct and isinstance(found.parent, exp.Count):
                continue
            raise UnjudgeableQueryError(f"含有 {title}", "应为视图上的一条简单 SELECT … GROUP BY")
    if len(list(tree.find_all(exp.Select))) > 1:
        raise UnjudgeableQueryError("含有子查询", "应为视图上的一条简单 SELECT … GROUP BY")


def _find_people(
    tree: exp.Select, views: Collection[str], one_per_person: Collection[str]
) -> Collection[str]:
    """Return the ways of counting people that are right here, as normalised SQL."""
    tables = list(tree.find_all(exp.Table))
    names = [table.name for table in tables if isinstance(table.this, exp.Identifier)]
    if not tables or len(names) < len(tables) or not set(names) <= set(views):
        raise UnjudgeableQueryError("读的不是分析目录的视图", "FROM 后写 scores、facts 等视图")
    joins = tree.args.get("joins") or []
    by_person = all(
        [one.name for one in join.args.get("using") or []] == [PERSON] for join in joins
    )
    if by_person and set(names) <= set(one_per_person):
        return (_PEOPLE, "count(*)")
    return (_PEOPLE,)


def _judge_column(
    column: exp.Expr, number: int, people: Collection[str]
) -> tuple[Literal["label", "row", "part", "value"], exp.Expr | None]:
    """Return the role of a column and, of a value, what counts the people behind it."""
    if not list(column.find_all(exp.AggFunc, exp.Anonymous, exp.Star)):
        if any(one.name == PERSON for one in column.find_all(exp.Column)):
            raise UnjudgeableQueryError(f"第 {number} 列是 {PERSON}", "只列出汇总的结果")
        return "label", None
    condition = column.expression.this if isinstance(column, exp.Filter) else None
    counted = column.this if isinstance(column, exp.Filter) else column
    if isinstance(counted, exp.Count):
        if _normalise(counted) not in people:
            raise UnjudgeableQueryError(
                f"第 {number} 列 {column.sql(dialect='duckdb')} 数的不一定是人", f"写作 {_PEOPLE}"
            )
        return ("row" if condition is None else "part"), None
    if isinstance(counted, exp.Round):
        counted = counted.this
        if isinstance(counted, exp.Filter):
            condition, counted = counted.expression.this, counted.this
    if isinstance(counted, _VALUES) and isinstance(counted.this, exp.Column):
        other = exp.NEQ(this=counted.this.copy(), expression=exp.Literal.number(0))  # nulls, too
        where = exp.and_(condition.copy(), other) if condition is not None else other
        counter = "count(*)" if "count(*)" in people else _PEOPLE
        behind = exp.Filter(
            this=sqlglot.parse_one(counter, dialect="duckdb"), expression=exp.Where(this=where)
        )
        return "value", behind
    raise UnjudgeableQueryError(
        f"第 {number} 列 {column.sql(dialect='duckdb')} 无法判断",
        "可用：分组的列、count、列的 sum、avg、stddev（可带 FILTER 和 round）",
    )


def _normalise(counted: exp.Expr) -> str:
    """Return a count without the table's name: `count(DISTINCT resident_key)`."""
    bare = counted.copy()
    for column in bare.find_all(exp.Column):
        column.set("table", None)
    return bare.sql(dialect="duckdb", normalize_functions="lower")


def _refuse_exact_counts(tree: exp.Select) -> None:
    """Refuse the sum and the mean of one column: together they give the number not rounded."""
    both = {
        kind: {one.this.sql() for one in tree.find_all(kind) if isinstance(one.this, exp.Column)}
        for kind in (exp.Sum, exp.Avg)
    }
    for one in both[exp.Sum] & both[exp.Avg]:
        raise UnjudgeableQueryError(f"{one} 的 sum 和 avg 会给出未取整的人数", "只取其中一个")
