"""The closed list of what a published statement may be made of, so that another engine can run it.

Statements are written in DuckDB's dialect. `transforms/engine/spark_dialect.py` turns them into
Spark SQL, and that is right only for constructs that were tried on both engines, value by value.
So the list is closed: a construct that is not on it is refused, however harmless it looks, until a
probe in `tests/engines/` shows that both engines mean the same by it. What is known to differ is
refused with the reason (docs/developing/decisions/0017-portable-statements.md). The worst are those
that raise no error: months between dates, the order inside a list, places in a list, year 0.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import sqlglot
from sqlglot import exp

Found = Callable[[exp.Expr], bool]


@dataclass(frozen=True)
class Unportable:
    """A construct outside the list: how it is written, where, and why it is refused."""

    text: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.text}: {self.reason}"


_NOT_LISTED = "not in the closed list; see transforms/engine/portable.py"

# What both engines were seen to mean the same by, through the dialect: by syntax and by function.
SYNTAX: frozenset[type[exp.Expr]] = frozenset(
    {
        *(exp.Add, exp.Sub, exp.Mul, exp.IntDiv, exp.Mod, exp.Neg, exp.DPipe),
        *(exp.BitwiseAnd, exp.BitwiseLeftShift, exp.BitwiseNot, exp.BitwiseOr),
        *(exp.BitwiseRightShift, exp.BitwiseXor),
        *(exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.NullSafeEQ, exp.NullSafeNEQ),
        *(exp.And, exp.Or, exp.Not, exp.Is, exp.In, exp.Between, exp.Exists, exp.Like),
        *(exp.Case, exp.If, exp.Cast, exp.Paren, exp.Tuple, exp.Interval, exp.Var),
        *(exp.Literal, exp.Boolean, exp.Null, exp.Placeholder),
        *(exp.DataType, exp.DataTypeParam, exp.ColumnDef, exp.Struct, exp.PropertyEQ, exp.Array),
        *(exp.Dot, exp.Column, exp.Identifier, exp.Alias, exp.Star, exp.Lambda),
        *(exp.Select, exp.From, exp.Table, exp.TableAlias, exp.Subquery, exp.Values, exp.Join),
        *(exp.Where, exp.Group, exp.Having, exp.Qualify, exp.Order, exp.Ordered, exp.Distinct),
        *(exp.Union, exp.With, exp.CTE, exp.Filter, exp.Window, exp.WindowSpec),
    }
)
FUNCTIONS: frozenset[type[exp.Expr]] = frozenset(
    {
        *(exp.Abs, exp.Ceil, exp.Floor, exp.Greatest, exp.Least, exp.Coalesce, exp.Nullif),
        *(exp.Count, exp.Sum, exp.Min, exp.Max, exp.ArgMax, exp.AnyValue, exp.IgnoreNulls),
        *(exp.LogicalOr, exp.BitwiseOrAgg, exp.RowNumber, exp.Rank),
        exp.DenseRank,
        *(exp.Year, exp.Month, exp.Day, exp.LastDay, exp.DateFromParts),
        exp.TimestampTrunc,
        *(exp.Left, exp.Right, exp.Length, exp.Lower, exp.Pad, exp.SplitPart, exp.StrPosition),
        *(exp.Substring, exp.Trim, exp.RegexpLike, exp.SHA2, exp.Unhex),
        *(exp.ArrayAgg, exp.ArrayFilter, exp.ArrayMax, exp.ArraySize, exp.ArraySort),
        *(exp.Transform, exp.Explode),
    }
)
_NAMED_FUNCTIONS = frozenset({"bit_count"})
_TYPES = frozenset(
    {
        *(exp.DType.INT, exp.DType.BIGINT, exp.DType.DECIMAL, exp.DType.BOOLEAN, exp.DType.DATE),
        *(exp.DType.TEXT, exp.DType.VARCHAR, exp.DType.VARBINARY, exp.DType.STRUCT),
        *(exp.DType.ARRAY, exp.DType.LIST),
    }
)


def _is_of(*kinds: type[exp.Expr]) -> Found:
    return lambda node: isinstance(node, kinds)


def _is_named(*names: str) -> Found:
    return lambda node: isinstance(node, exp.Func) and _function_name(node) in names


def _is_year_0(node: exp.Expr) -> bool:
    if isinstance(node, exp.TryCast):
        return bool(node.to.this == exp.DType.DATE)
    is_date = isinstance(node, exp.Cast) and node.to.this == exp.DType.DATE
    return is_date and bool(re.match(r"'?0000-", node.this.sql(dialect="duckdb")))


def _is_ordered_list(node: exp.Expr) -> bool:
    kinds = (exp.ArrayAgg, exp.GroupConcat)
    return isinstance(node, kinds) and node.find(exp.Order) is not None


def _has_place(node: exp.Expr) -> bool:
    return isinstance(node, exp.Lambda) and len(node.expressions) > 1


def _is_star_but(node: exp.Expr) -> bool:
    return isinstance(node, exp.Star) and any(node.args.values())


def _is_grouped_by_all(node: exp.Expr) -> bool:
    return isinstance(node, exp.Group) and not node.expressions


def _is_ordered_by_all(node: exp.Expr) -> bool:
    return isinstance(node, exp.Ordered) and node.this.sql(dialect="duckdb").upper() == "ALL"


def _is_positional(node: exp.Expr) -> bool:
    return isinstance(node, exp.Join) and node.method.upper() in ("POSITIONAL", "ASOF")


def _is_unordered_values(node: exp.Expr) -> bool:
    return isinstance(node, exp.Limit | exp.Offset)


# What is known to differ, and what to write instead; those that raise no error come first.
_DIFFERS: tuple[tuple[Found, str], ...] = (
    (
        lambda node: isinstance(node, exp.DateDiff | exp.TimestampDiff),
        "date_diff counts boundaries of months here and full months on Spark, without an error; "
        "write months_between_sql",
    ),
    (
        _is_ordered_list,
        "the order inside a list is lost on Spark, without an error; write sorted_list_sql",
    ),
    (
        _has_place,
        "a lambda's second parameter is the place, counted from 1 here and from 0 on Spark, "
        "without an error; do without the place",
    ),
    (
        _is_year_0,
        "a text of year 0 is no date here and a date on Spark, without an error; compare the text",
    ),
    (_is_named("hash"), "another engine hashes otherwise, without an error; it is for partitions"),
    (
        _is_named("to_json", "json"),
        "Spark leaves nulls out of JSON, without an error; it is for returns, not for tables",
    ),
    (_is_unordered_values, "rows have no order between statements; number them by a key"),
    (_is_of(exp.Div), "`/` is floating point; divide whole numbers by //"),
    (_is_of(exp.Bracket), "places count from 1 or from 0, and an empty list raises; use list_max"),
    (
        _is_named("regexp_full_match"),
        "Spark has no such function; write matches_sql",
    ),
    (_is_star_but, "Sail cannot leave columns out of a star; name the columns"),
    (_is_grouped_by_all, "Sail has no GROUP BY ALL; name the columns"),
    (_is_ordered_by_all, "ORDER BY ALL is DuckDB's own; name the columns"),
    (_is_positional, "rows side by place are DuckDB's own; join by key"),
)
_TYPE_REASONS = {
    "ENUM": "an ENUM is how DuckDB sorts quickly; it is not in a published statement",
    "UUID": "Spark has no UUID, and cannot read a file that has one",
    "INT128": "Spark has no numbers of 128 bits; use DECIMAL(38, 0) or words of 60 bits",
    "DOUBLE": "floating point depends on the order of rows",
}


def find_unportable(sql: str) -> list[Unportable]:
    """Return what a statement has outside the closed list, in its order; empty if it is portable.

    The text is parsed as DuckDB's. Parameters are `$name`.
    """
    return [
        Unportable(node.sql(dialect="duckdb"), _line_of(node), reason)
        for statement in sqlglot.parse(sql, dialect="duckdb")
        if statement is not None
        for node in statement.walk()
        for reason in _reasons(node)
    ]


def _reasons(node: exp.Expr) -> Iterator[str]:
    known = [reason for is_found, reason in _DIFFERS if is_found(node)]
    if known:
        yield known[0]
    elif isinstance(node, exp.DataType):
        if node.this not in _TYPES:
            yield _TYPE_REASONS.get(node.this.name, f"type {node.this.name}: {_NOT_LISTED}")
    elif isinstance(node, exp.Anonymous):
        if _function_name(node) not in _NAMED_FUNCTIONS:
            yield f"function {_function_name(node)}: {_NOT_LISTED}"
    elif type(node) not in SYNTAX | FUNCTIONS:
        yield f"{type(node).__name__}: {_NOT_LISTED}"


def _function_name(node: exp.Func) -> str:
    return node.name.lower() if isinstance(node, exp.Anonymous) else node.sql_name().lower()


def _line_of(node: exp.Expr) -> int:
    """Return the line of the first token that is known of a construct; 0 if none is."""
    lines = (one.meta.get("line") for one in node.walk())
    return next((int(line) for line in lines if line), 0)
