"""Answers that may leave the bureau: a query is judged before it runs, its cells are suppressed after.

Only what can be judged passes: one SELECT over the catalogue's views whose columns are labels,
numbers of people, sums, means and deviations. A row of fewer than `FEW` people is left out, with
its labels. Of a row that is shown, a cell is suppressed if fewer than `FEW` people stand behind it,
or if fewer differ from those behind another that is shown: who subtracts them would have a number
of few people. Nobody (0) is fewer, too: else what is suppressed would say that there is somebody.
Numbers are rounded as in pages that leave the operators' hands (`reports.disclosure`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import combinations
from typing import Any, Literal

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from reports.disclosure import FEW, FEW_TEXT, round_mean, round_people, round_sum

PERSON = "resident_key"
SUPPRESSED = "人数不足"
"""What stands for a value of fewer than `FEW` people."""
MOST_PARTS = 4
"""How many different FILTERs may stand in a query: every two of them are compared."""
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
    (exp.Values, "VALUES"),
    (exp.Columns, "COLUMNS"),
    (exp.Limit, "LIMIT"),
    (exp.Fetch, "FETCH"),
    (exp.Offset, "OFFSET"),
)
_VOLATILE = {  # they answer differently each time: whom they choose cannot be counted
    *("currval", "error", "gen_random_uuid", "nextval", "random", "setseed", "setval", "sleep_ms"),
    *("stats", "uuid", "uuidv4", "uuidv7", "vector_type", "write_log"),
}


class UnjudgeableQueryError(ValueError):
    """A query of which nobody can say how many people stand behind a cell: what, and what to do."""

    def __init__(self, found: str, expected: str) -> None:
        super().__init__(f"{found}；{expected}")
        self.found, self.expected = found, expected


@dataclass(frozen=True)
class Part:
    """People behind a cell: of a row, or of a FILTER in it, with a value other than zero.

    Attributes:
        column: The column whose value it is, as SQL; empty for a number of people.
        condition: That of the FILTER, as SQL; empty for the whole row.
    """

    column: str = ""
    condition: str = ""

    def predicate_sql(self) -> str:
        """Return SQL of who belongs to it; empty for everybody."""
        conditions = [f"({self.condition})"] if self.condition else []
        conditions += [f"{self.column} <> 0"] if self.column else []  # nor null
        return " AND ".join(conditions)

    def is_comparable(self, other: Part) -> bool:
        """Return whether one's cells may be subtracted from the other's: both of one column."""
        names = [part.column.rpartition(".")[2].strip('"').lower() for part in (self, other)]
        return names[0] == names[1]


@dataclass(frozen=True)
class PublishableColumn:
    """A column of the answer.

    Attributes:
        role: A label, a number of people, a sum, or a mean or deviation.
        part: The people behind its cells; None for a label.
    """

    role: Literal["label", "people", "sum", "mean"]
    part: Part | None = None


@dataclass(frozen=True)
class PublishableQuery:
    """A query that was judged.

    Attributes:
        sql: The query; behind its columns, the numbers by which its rows are judged.
        columns: Its own columns.
        people: The place of each part's number of people, whole rows first.
        either: The place of the number of people in one or the other of two parts of one column.
        values: The place of the number of values in each part of a column.
        width: The number of all columns.
    """

    sql: str
    columns: Sequence[PublishableColumn]
    people: Mapping[Part, int]
    either: Mapping[tuple[Part, Part], int]
    values: Mapping[Part, int]
    width: int

    def suppress(self, rows: Iterable[Sequence[Any]], tally: Counter[str]) -> Iterator[list[Any]]:
        """Yield the rows of the query as they may be shown.

        `tally` counts suppressed `cells`, and the `rows` that are left out with their `people`.
        """
        for row in rows:
            if len(row) != self.width:
                raise ValueError(f"答案有 {len(row)} 列，应为 {self.width} 列")
            people = row[self.people[Part()]]
            if people < FEW:
                tally.update(rows=1, people=people)
                continue
            parts = self._find_shown_parts(row)
            shown = [
                self._show(value, column, row, column.part in parts)
                for value, column in zip(row, self.columns, strict=False)
            ]
            cells = sum(
                column.part is not None and column.part not in parts for column in self.columns
            )
            tally.update(cells=cells)
            yield shown

    def _find_shown_parts(self, row: Sequence[Any]) -> Collection[Part]:
        """Return the parts of at least `FEW` people that differ by as many from those before."""
        shown: list[Part] = []
        for part, place in self.people.items():
            differing = (
                2 * row[self.either[other, part]] - row[self.people[other]] - row[place]
                for other in shown
                if (other, part) in self.either
            )
            if row[place] >= FEW and all(people >= FEW for people in differing):
                shown.append(part)
        return shown

    def _show(
        self, value: Any, column: PublishableColumn, row: Sequence[Any], may_show: bool
    ) -> Any:
        if column.part is None:
            return value
        if not may_show:
            few = column.role == "people" and row[self.people[column.part]] < FEW
            return FEW_TEXT if few else SUPPRESSED
        if column.role == "people":
            return round_people(value)
        values = row[self.values[column.part]]
        if column.role == "sum":
            return round_sum(Decimal(value), values)
        return round_mean(Decimal(value) * values, values)


def judge_query(
    sql: str,
    views: Collection[str],
    one_per_person: Collection[str],
    without_people: Collection[str] = (),
) -> PublishableQuery:
    """Return a query of which every cell can be judged.

    Args:
        sql: One statement.
        views: The views of the catalogue.
        one_per_person: Those with one row per person, in which `count(*)` counts people.
        without_people: Those about something else, which may be joined by any column.

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
    _refuse_joins_of_others(tree, without_people)
    people = _find_people(tree, views, one_per_person)
    columns = [
        _judge_column(column.unalias(), number, people)
        for number, column in enumerate(tree.expressions, 1)
    ]
    if not any(column.part == Part() for column in columns):
        raise UnjudgeableQueryError("没有人数的列", f"加上 {_PEOPLE} AS people")
    _order_by_labels(tree, columns)
    return _add_numbers_behind(tree, columns, people[-1])


def _add_numbers_behind(
    tree: exp.Select, columns: Sequence[PublishableColumn], counted: str
) -> PublishableQuery:
    """Return the query with the numbers by which its rows are judged behind its columns."""
    parts = [column.part for column in columns if column.part is not None]
    parts = sorted(dict.fromkeys(parts), key=lambda part: part.condition != "")
    if len({part.condition for part in parts if part.condition}) > MOST_PARTS:
        raise UnjudgeableQueryError(
            f"不同的 FILTER 多于 {MOST_PARTS} 个",
            f"至多 {MOST_PARTS} 个：分成几条查询，或把条件写作分组的列（GROUP BY）",
        )
    numbers: dict[str, int] = {}

    def place(sql: str) -> int:
        return numbers.setdefault(sql, len(columns) + len(numbers))

    people = {part: place(_count_sql(counted, part.predicate_sql())) for part in parts}
    either = {
        (one, other): place(_count_sql(counted, one.predicate_sql(), other.predicate_sql()))
        for one, other in combinations(parts, 2)
        if one.is_comparable(other)
    }
    values = {
        part: place(_count_sql(f"count({part.column})", part.condition))
        for part in parts
        if part.column
    }
    for sql, number in numbers.items():
        tree = tree.select(f"{sql} AS behind_{number}", dialect="duckdb")
    width = len(columns) + len(numbers)
    return PublishableQuery(tree.sql(dialect="duckdb"), columns, people, either, values, width)


def _count_sql(counted: str, *predicates: str) -> str:
    """Return SQL of a count of what any of the predicates holds for."""
    if not all(predicates):
        return counted
    return f"{counted} FILTER (WHERE {' OR '.join(f'({one})' for one in predicates)})"


def _refuse_forms(tree: exp.Select) -> None:
    for form, title in _REFUSED:
        for found in tree.find_all(form):
            if form is exp.Distinct and isinstance(found.parent, exp.Count):
                continue
            raise UnjudgeableQueryError(f"含有 {title}", "应为视图上的一条简单 SELECT … GROUP BY")
    if len(list(tree.find_all(exp.Select))) > 1:
        raise UnjudgeableQueryError("含有子查询", "应为视图上的一条简单 SELECT … GROUP BY")
    for function in tree.find_all(exp.Func):
        is_other = isinstance(function, exp.Anonymous)
        names = [function.name] if is_other else function.sql_names()
        if any(name.lower() in _VOLATILE for name in names):
            found_sql = function.sql(dialect="duckdb")
            raise UnjudgeableQueryError(f"{found_sql} 每次结果不同", "条件只用视图的列")


def _refuse_joins_of_others(tree: exp.Select, without_people: Collection[str]) -> None:
    """Refuse joins that put a person's columns beside another: their labels would be anybody's."""
    tables = list(tree.find_all(exp.Table))
    if any(table.alias_column_names for table in tables):
        raise UnjudgeableQueryError("给视图的列改名", "FROM 后只写视图和它的别名")
    people = [table for table in tables if table.name not in without_people]
    for table in people[1:]:
        join = table.parent
        using = join.args.get("using") or [] if isinstance(join, exp.Join) else []
        if not isinstance(join, exp.Join) or join.side or PERSON not in {one.name for one in using}:
            raise UnjudgeableQueryError(
                f"{table.name} 不是按 {PERSON} 连接，或是 LEFT 等外连接",
                f"人的各表写 JOIN {table.name} USING ({PERSON})",
            )


def _order_by_labels(tree: exp.Select, columns: Sequence[PublishableColumn]) -> None:
    """Let rows be in the order of labels only: that of numbers would compare them unrounded.

    `ALL` becomes all labels.
    """
    order = tree.args.get("order")
    if order is None:
        return
    labels = {n: one for n, one in enumerate(tree.expressions, 1) if columns[n - 1].part is None}
    others = {one.alias.lower() for one in tree.expressions if one not in labels.values()} - {""}
    grouped = [*labels.values(), *([tree.args["group"]] if tree.args.get("group") else [])]
    may_order = {one.alias.lower() for one in labels.values()} | {
        column.name.lower() for one in grouped for column in one.find_all(exp.Column)
    }
    ordered: list[exp.Expr] = []
    for term in order.expressions:
        by = term.this
        if isinstance(by, exp.Var) and by.name.upper() == "ALL":
            for number in labels:
                one = term.copy()
                one.set("this", exp.Literal.number(number))
                ordered.append(one)
            continue
        names = {column.name.lower() for column in by.find_all(exp.Column)}
        is_label = (
            int(by.name) in labels
            if isinstance(by, exp.Literal) and by.is_int
            else names <= may_order - others and not list(by.find_all(exp.AggFunc, exp.Anonymous))
        )
        if not is_label:
            found = by.sql(dialect="duckdb")
            raise UnjudgeableQueryError(f"ORDER BY {found} 不是分组的列", "只按分组的列排列")
        ordered.append(term)
    tree.set("order", exp.Order(expressions=ordered) if ordered else None)


def _find_people(
    tree: exp.Select, views: Collection[str], one_per_person: Collection[str]
) -> Sequence[str]:
    """Return the ways of counting people that are right here, as normalised SQL; cheapest last."""
    tables = list(tree.find_all(exp.Table))
    names = [table.name for table in tables if isinstance(table.this, exp.Identifier)]
    if not tables or len(names) < len(tables) or not set(names) <= set(views):
        raise UnjudgeableQueryError("读的不是分析目录的视图", "FROM 后写 scores、facts 等视图")
    by_person = all(
        [one.name for one in join.args.get("using") or []] == [PERSON]
        for join in tree.find_all(exp.Join)
    )
    if by_person and set(names) <= set(one_per_person):
        return (_PEOPLE, "count(*)")
    return (_PEOPLE,)


def _judge_column(column: exp.Expr, number: int, people: Collection[str]) -> PublishableColumn:
    """Return the role of a column and the people behind it."""
    if not list(column.find_all(exp.AggFunc, exp.Anonymous, exp.Star)):
        if any(one.name.lower() == PERSON for one in column.find_all(exp.Column)):
            raise UnjudgeableQueryError(f"第 {number} 列是 {PERSON}", "只列出汇总的结果")
        return PublishableColumn("label")
    counted, condition = _split_filter(column)
    if isinstance(counted, exp.Count):
        if _normalise(counted) not in people:
            raise UnjudgeableQueryError(
                f"第 {number} 列 {column.sql(dialect='duckdb')} 数的不一定是人", f"写作 {_PEOPLE}"
            )
        return PublishableColumn("people", Part(condition=condition))
    if isinstance(counted, exp.Round):
        counted, condition = _split_filter(counted.this)
    if isinstance(counted, _VALUES) and isinstance(counted.this, exp.Column):
        role: Literal["sum", "mean"] = "sum" if isinstance(counted, exp.Sum) else "mean"
        return PublishableColumn(role, Part(counted.this.sql(dialect="duckdb"), condition))
    raise UnjudgeableQueryError(
        f"第 {number} 列 {column.sql(dialect='duckdb')} 无法判断",
        "可用：分组的列、count、列的 sum、avg、stddev（可带 FILTER 和 round）",
    )


def _split_filter(column: exp.Expr) -> tuple[exp.Expr, str]:
    """Return an aggregate and the condition of its FILTER as SQL, empty if it has none."""
    if not isinstance(column, exp.Filter):
        return column, ""
    return column.this, column.expression.this.sql(dialect="duckdb")


def _normalise(counted: exp.Expr) -> str:
    """Return a count without the table's name: `count(DISTINCT resident_key)`."""
    bare = counted.copy()
    for column in bare.find_all(exp.Column):
        column.set("table", None)
    return bare.sql(dialect="duckdb", normalize_functions="lower")
