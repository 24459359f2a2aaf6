"""The closed expression language of conditions, derived facts and amounts.

Comparison (`=`, `<>`, `<`, `<=`, `>`, `>=`), `and`, `or`, `not`, `in (...)`, `between ... and ...`,
`is [not] null`, `+ - * /`, parentheses, numbers, 'texts', true, false, declared names, and dates
(`date '2021-09-01'`) plus or minus whole days. Nothing else. As in SQL, a comparison with null is
neither true nor false; a condition holds only when true. `a / b` takes both sides with four
decimals and gives four, the rest cut off; null when b is 0.

Texts are parsed by sqlglot, checked node by node and rebuilt: what is written in a declaration
never becomes SQL as is.
"""

from __future__ import annotations

import datetime as dt
import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from expectations.source_model import COUNTED_UNITS, Fact


@dataclass(frozen=True)
class Kind:
    """What a name stands for; a text with `levels` can only be one of them (or null)."""

    name: Literal["number", "yes_no", "text", "date"]
    levels: frozenset[str] = frozenset()


NUMBER, YES_NO, TEXT, DATE = Kind("number"), Kind("yes_no"), Kind("text"), Kind("date")
_KEYWORDS = frozenset({"and", "or", "not", "in", "between", "is", "null", "true", "false", "date"})
_LANGUAGE = _KEYWORDS | {*"=<>+-*/(),", "<>", "<=", ">=", "!=", "=="}
_ALLOWED = "可用：比较、and/or/not、in、between、is null、加减乘除"
_KIND_TITLES = {"number": "数值", "yes_no": "是否", "text": "文字", "date": "日期"}


class ExpressionError(ValueError):
    """A text that is not in the language: what was found and what was expected."""

    def __init__(self, found: str, expected: str) -> None:
        super().__init__(f"{found}；{expected}")
        self.found, self.expected = found, expected


@dataclass(frozen=True)
class Expression:
    """A checked expression: its kind, the names it reads, and its SQL."""

    tree: exp.Expr
    kind: Kind
    names: frozenset[str]

    def sql(self, rename: Callable[[str], str] = str) -> str:
        """Return DuckDB SQL, one line; `rename` gives the SQL of each name (a column, `$as_of`)."""

        def put(node: exp.Expr) -> exp.Expr:
            if isinstance(node, exp.Column):
                return sqlglot.parse_one(rename(node.name), dialect="duckdb")
            return node

        return self.tree.transform(put).sql(dialect="duckdb", comments=False)


def list_levels(fact: Fact) -> list[str]:
    """The levels a level fact can have, lowest first, then what a person without any has."""
    return [rung[0] for rung in fact.ladder] + ([fact.otherwise] if fact.otherwise else [])


def build_fact_kinds(facts: Mapping[str, Fact]) -> dict[str, Kind]:
    """Return what expressions over these facts may name, with `as_of`: neither maps nor lists."""
    kinds = {"as_of": DATE}
    for name, fact in facts.items():
        if fact.unit in COUNTED_UNITS:
            kinds[name] = NUMBER
        elif fact.unit == "yes_no":
            kinds[name] = YES_NO
        elif fact.unit in ("date", "month"):
            kinds[name] = DATE
        elif fact.unit in ("level", "area", "text"):
            kinds[name] = Kind("text", frozenset(list_levels(fact)))
    return kinds


def parse_expression(text: str, names: Mapping[str, Kind]) -> Expression:
    """Read one expression over these names; ExpressionError when it is not in the language."""
    try:
        statements = sqlglot.parse(text, dialect="duckdb")
    except (SqlglotError, RecursionError):
        raise ExpressionError(f"看不懂的条件 {text!r}", "请检查括号、引号和运算符") from None
    if len(statements) != 1 or not isinstance(statements[0], exp.Expr):
        raise ExpressionError(f"看不懂的条件 {text!r}", "只写一个条件")
    reader = _ExpressionReader(names)
    try:
        kind, tree = reader.read(statements[0])
    except RecursionError:
        raise ExpressionError("条件嵌套过深", "请拆成较简单的条件") from None
    _refuse_foreign(text, names)
    return Expression(tree, kind, frozenset(reader.used))


def split_tokens(text: str) -> list[str]:
    """Return the words, signs, numbers and 'texts' of an expression, in order.

    The language's own words are in lower case.
    """
    found = re.findall(r"'[^']*'|[0-9.]+|\w+|--|/\*|[<>=!]+|\S", text)
    return [token.lower() if token.lower() in _KEYWORDS else token for token in found]


def _refuse_foreign(text: str, names: Mapping[str, Kind]) -> None:
    """Refuse what sqlglot parses and the language has not: comments, `symmetric`, casts."""
    for token in split_tokens(text):
        if token not in _LANGUAGE and token not in names and not re.match(r"['0-9]", token):
            raise ExpressionError(
                f"不允许的写法 {token!r}", "说明写在 # 后面" if token in ("--", "/*") else _ALLOWED
            )


def parse_condition(text: str, names: Mapping[str, Kind]) -> Expression:
    """Read one expression that is true or false; ExpressionError otherwise."""
    expression = parse_expression(text, names)
    if expression.kind != YES_NO:
        raise ExpressionError(
            f"{text!r} 不是条件", "应为可判断真假的比较，例如 pension_months >= 6"
        )
    return expression


_Read = tuple[Kind, exp.Expr]
_COMPARED: tuple[type[exp.Binary], ...] = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE)


class _ExpressionReader:
    """One walk over a parsed text: every node is known and well typed, or the text is refused."""

    def __init__(self, names: Mapping[str, Kind]) -> None:
        self.names = names
        self.used: set[str] = set()

    def read(self, node: exp.Expr) -> _Read:  # noqa: C901, PLR0912 - one line per kind of node
        if isinstance(node, exp.Column):
            return self._name(node)
        if isinstance(node, exp.Literal):
            return self._literal(node)
        if isinstance(node, exp.Boolean):
            return YES_NO, node.copy()
        if isinstance(node, exp.Cast):
            return self._date(node)
        if isinstance(node, exp.Paren):
            kind, inner = self.read(node.this)
            return kind, exp.Paren(this=inner)
        if isinstance(node, exp.Neg):
            return NUMBER, exp.Neg(this=self._of(node.this, NUMBER))
        if isinstance(node, exp.And | exp.Or):
            return YES_NO, type(node)(
                this=self._of(node.this, YES_NO), expression=self._of(node.expression, YES_NO)
            )
        if isinstance(node, exp.Not):
            return YES_NO, exp.Not(this=self._of(node.this, YES_NO))
        if isinstance(node, exp.Is):
            return self._is_null(node)
        if isinstance(node, _COMPARED):
            left, right = self._alike(
                node.this, [node.expression], ordered=not isinstance(node, exp.EQ | exp.NEQ)
            )
            return YES_NO, type(node)(this=left, expression=right[0])
        if isinstance(node, exp.Between):
            left, right = self._alike(
                node.this, [node.args["low"], node.args["high"]], ordered=True
            )
            return YES_NO, exp.Between(this=left, low=right[0], high=right[1])
        if isinstance(node, exp.In) and node.expressions:
            left, right = self._alike(node.this, node.expressions, ordered=False)
            return YES_NO, exp.In(this=left, expressions=right)
        if isinstance(node, exp.Add | exp.Sub | exp.Mul | exp.Div):
            return self._arithmetic(node)
        raise ExpressionError(f"不允许的写法 {node.sql(dialect='duckdb')!r}", _ALLOWED)

    def _name(self, node: exp.Column) -> _Read:
        name = node.name
        if node.table or name not in self.names:
            close = difflib.get_close_matches(name, self.names, 1)
            meant = (
                f"是否应为 {close[0]}？"
                if close
                else "请查数据字典；文字写在半角单引号里，例如 tenure = 'rented'"
            )
            raise ExpressionError(f"不认识的名称 {node.sql(dialect='duckdb')}", meant)
        self.used.add(name)
        return self.names[name], exp.column(name)

    def _literal(self, node: exp.Literal) -> _Read:
        if node.is_string:
            return TEXT, node.copy()
        if not re.fullmatch(r"\d{1,12}(\.\d{1,4})?", node.name):
            raise ExpressionError(f"不允许的数值 {node.name}", "应为最多四位小数的数值")
        return NUMBER, node.copy()

    def _date(self, node: exp.Cast) -> _Read:
        if not (
            node.to.is_type("date") and isinstance(node.this, exp.Literal) and node.this.is_string
        ):
            raise ExpressionError(
                f"不允许的写法 {node.sql(dialect='duckdb')!r}", "日期写作 date '2021-09-01'"
            )
        return DATE, _date_literal(node.this.name)

    def _is_null(self, node: exp.Is) -> _Read:
        if not isinstance(node.expression, exp.Null):
            raise ExpressionError(
                f"不允许的写法 {node.sql(dialect='duckdb')!r}", "is 只用于 is null；相等请写 ="
            )
        return YES_NO, exp.Is(this=self.read(node.this)[1], expression=exp.Null())

    def _of(self, node: exp.Expr, kind: Kind) -> exp.Expr:
        found, tree = self.read(node)
        if found.name != kind.name:
            raise ExpressionError(
                f"{node.sql(dialect='duckdb')} 是{_KIND_TITLES[found.name]}",
                f"此处应为{_KIND_TITLES[kind.name]}",
            )
        return tree

    def _alike(
        self, node: exp.Expr, others: list[exp.Expr], *, ordered: bool
    ) -> tuple[exp.Expr, list[exp.Expr]]:
        """Both sides of a comparison, of one kind; only numbers and dates have an order."""
        kind, left = self.read(node)
        if isinstance(node, exp.Literal) and node.is_string:
            raise ExpressionError(f"比较的左边是文字 {node.name!r}", "名称写在左边，文字写在右边")
        if ordered and kind.name not in ("number", "date"):
            raise ExpressionError(
                f"{node.sql(dialect='duckdb')} 是{_KIND_TITLES[kind.name]}，不能比较大小",
                "请用 =、<> 或 in 逐一列出",
            )
        return left, [self._side(other, kind) for other in others]

    def _side(self, node: exp.Expr, kind: Kind) -> exp.Expr:
        if isinstance(node, exp.Literal) and node.is_string:
            if kind.name == "date":
                return _date_literal(node.name)
            if kind.levels and node.name not in kind.levels:
                raise ExpressionError(
                    f"没有等级 {node.name!r}", f"可为：{'、'.join(sorted(kind.levels))}"
                )
        return self._of(node, kind)

    def _arithmetic(self, node: exp.Binary) -> _Read:
        kind, left = self.read(node.this)
        if kind == DATE and isinstance(node, exp.Add | exp.Sub):
            days = node.expression
            if not (isinstance(days, exp.Literal) and re.fullmatch(r"\d{1,5}", days.name)):
                raise ExpressionError(
                    f"日期不能加减 {days.sql(dialect='duckdb')}",
                    "日期只能加减整数天，例如 as_of + 45",
                )
            return DATE, type(node)(this=left, expression=days.copy())
        left, right = self._of(node.this, NUMBER), self._of(node.expression, NUMBER)
        if isinstance(node, exp.Div):
            return NUMBER, _divided(left, right)
        return NUMBER, type(node)(this=left, expression=right)


def _date_literal(text: str) -> exp.Expr:
    try:
        day = dt.date.fromisoformat(text) if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text) else None
    except ValueError:
        day = None
    if day is None:
        raise ExpressionError(f"{text!r} 不是日期", "应为存在的日期，写作 '2021-09-01'")
    return exp.cast(exp.Literal.string(day.isoformat()), "DATE")


def _divided(left: exp.Expr, right: exp.Expr) -> exp.Expr:
    """Return a quotient with four decimals on whole numbers: the engine's `/` is floating point."""
    above = exp.cast(
        exp.Mul(this=_four_decimals(left), expression=exp.Literal.number(100000000)), "BIGINT"
    )
    under = exp.cast(
        exp.Mul(this=_four_decimals(right), expression=exp.Literal.number(10000)), "BIGINT"
    )
    whole = exp.IntDiv(this=above, expression=exp.func("NULLIF", under, exp.Literal.number(0)))
    return exp.Paren(this=exp.Mul(this=whole, expression=exp.Literal.number("0.0001")))


def _four_decimals(node: exp.Expr) -> exp.Expr:
    return exp.cast(node, "DECIMAL(18, 4)")
