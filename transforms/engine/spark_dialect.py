"""Published statements as Spark SQL, for Apache Spark 4 and what speaks its protocol.

sqlglot carries most of DuckDB's text. What it does not carry is rewritten here: one rule for each
construct that Spark or Sail takes otherwise; all but the last are for what raises no error.
Statements keep to the closed list of `transforms/engine/portable.py`; each rule is tried with it
and without it (`tests/engines/test_dialect.py`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import sqlglot
from sqlglot import exp

from transforms.engine.portable import find_unportable

Rule = Callable[[exp.Expr], exp.Expr]

SESSION_SETTINGS: Mapping[str, str] = {
    "spark.sql.ansi.enabled": "true",  # else what does not fit is null, without an error
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.decimalOperations.allowPrecisionLoss": "false",  # else products lose decimals
}
"""What a session has to be set to before a statement runs in it."""

_BITWISE = (exp.BitwiseAnd, exp.BitwiseOr, exp.BitwiseXor)
_SPACES = " \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
_DOTTED_I = "\u0130"


def group_bitwise_operators(node: exp.Expr) -> exp.Expr:
    """Put one of `&`, `|`, `^` within another into parentheses.

    DuckDB takes them from left to right, Spark `&` before `^` before `|`.
    """
    if isinstance(node, _BITWISE):
        for side in (node.this, node.expression):
            if isinstance(side, _BITWISE):
                side.replace(exp.Paren(this=side.copy()))
    return node


def skip_null_arguments(node: exp.Expr) -> exp.Expr:
    """Leave rows without the value out of `arg_max(value, by)`, as DuckDB does.

    Spark gives null if the greatest row has no value.
    """
    if not isinstance(node, exp.ArgMax):
        return node
    known = exp.Not(this=exp.Is(this=node.this.copy(), expression=exp.Null()))
    if isinstance(node.parent, exp.Filter):
        where = node.parent.expression
        where.set("this", exp.and_(where.this.copy(), known))
        return node
    return exp.Filter(this=node.copy(), expression=exp.Where(this=known))


def order_null_fields_last(node: exp.Expr) -> exp.Expr:
    """Compare structs so that a null field is the greatest, as in DuckDB; in Spark it is the least.

    In `max` of a struct, `arg_max` by several columns, and lists of structs that are sorted: a
    field is preceded by whether it is null.
    """
    if isinstance(node, exp.ArgMax) and isinstance(node.expression, exp.Tuple):
        by = {f"by_{n}": one for n, one in enumerate(node.expression.expressions)}
        node.set("expression", _with_null_flags(by))
    elif isinstance(node, exp.Max) and isinstance(node.this, exp.Struct):
        node.set("this", _with_null_flags(_fields(node.this)))
    elif isinstance(node, exp.ArraySort):
        listed = node.this.this if isinstance(node.this, exp.Filter) else node.this
        if isinstance(listed, exp.ArrayAgg) and isinstance(listed.this, exp.Struct):
            fields = _fields(listed.this)
            listed.set("this", _with_null_flags(fields))
            entry = exp.to_identifier("entry")
            plain = _struct({name: exp.column(name, table="entry") for name in fields})
            taken = exp.Lambda(this=plain, expressions=[entry])
            return exp.Transform(this=node.copy(), expression=taken)
    return node


def trim_all_spaces(node: exp.Expr) -> exp.Expr:
    """Trim every space of Unicode, as DuckDB does; Spark trims that of ASCII only."""
    if isinstance(node, exp.Trim) and node.expression is None:
        node.set("expression", exp.Literal.string(_SPACES))
    return node


def lower_dotted_i(node: exp.Expr) -> exp.Expr:
    """Write the small letter of the Turkish capital I with a dot as `i`, as DuckDB does.

    Spark makes it two characters. It is the only character that the two take otherwise.
    """
    if isinstance(node, exp.Lower):
        given = [node.this.copy(), exp.Literal.string(_DOTTED_I), exp.Literal.string("i")]
        return exp.Lower(this=exp.Anonymous(this="REPLACE", expressions=given))
    return node


def collect_subqueries(node: exp.Expr) -> exp.Expr:
    """Look a value up in the list of a subquery's values; Sail takes `IN (SELECT ...)` in WHERE only.

    The subquery is of a reference table: few values, none of them null.
    """
    query = node.args.get("query") if isinstance(node, exp.In) else None
    if query is None:
        return node
    listed = query.copy()
    select = listed.find(exp.Select)
    select.set("expressions", [exp.ArrayAgg(this=select.expressions[0].unalias().copy())])
    return exp.Anonymous(this="ARRAY_CONTAINS", expressions=[listed, node.this.copy()])


RULES: tuple[Rule, ...] = (
    group_bitwise_operators,
    order_null_fields_last,
    skip_null_arguments,
    trim_all_spaces,
    lower_dotted_i,
    collect_subqueries,
)


def to_spark_sql(
    sql: str, values: Mapping[str, Any] | None = None, rules: Sequence[Rule] = RULES
) -> str:
    """Return a published statement as Spark SQL, with its parameters as literals.

    A view of Spark takes no parameters. A key that is bound here stands in every plan that Spark
    prints: nothing but a test may bind one.

    Args:
        sql: The query, in DuckDB's dialect.
        values: The parameters by name.
        rules: The rewrites; tests leave some out.

    Raises:
        ValueError: The statement is outside the closed list.
        KeyError: A parameter has no value.
    """
    refused = find_unportable(sql)
    if refused:
        raise ValueError("\n".join(map(str, refused)))
    tree = sqlglot.parse_one(sql, dialect="duckdb")
    for node in reversed(list(tree.walk(bfs=False))):  # what is inside comes first
        if isinstance(node, exp.Placeholder):
            node.replace(_literal((values or {})[node.name]))
            continue
        carried = node
        for rule in rules:
            carried = rule(carried)
        if carried is not node:
            node.replace(carried)
    return tree.sql(dialect="spark", unsupported_level=sqlglot.ErrorLevel.RAISE)


def _literal(value: object) -> exp.Expr:
    """Return a value as a literal of its type."""
    if isinstance(value, bytes):
        return exp.HexString(this=value.hex())
    if isinstance(value, dt.date):
        return exp.cast(exp.Literal.string(value.isoformat()), "DATE")
    if isinstance(value, int | Decimal):
        return exp.Literal.number(str(value))
    return exp.Literal.string(str(value))


def _fields(struct: exp.Struct) -> dict[str, exp.Expr]:
    return {one.name: one.expression for one in struct.expressions}


def _struct(fields: Mapping[str, exp.Expr]) -> exp.Struct:
    return exp.Struct(
        expressions=[
            exp.PropertyEQ(this=exp.to_identifier(name), expression=value.copy())
            for name, value in fields.items()
        ]
    )


def _with_null_flags(fields: Mapping[str, exp.Expr]) -> exp.Struct:
    """Return a struct of the fields, each preceded by whether it is null."""
    flagged: dict[str, exp.Expr] = {}
    for name, value in fields.items():
        flagged[f"{name}_is_null"] = exp.Is(this=value.copy(), expression=exp.Null())
        flagged[name] = value
    return _struct(flagged)
