"""The closed expression language of conditions, derived facts and amounts.

Comparison (`=`, `<>`, `<`, `<=`, `>`, `>=`), `and`, `or`, `not`, `in (...)`, `between ... and ...`,
`is [not] null`, `+ - * /`, parentheses, numbers, 'texts', true, false, declared names, and dates
(`date '2021-09-01'`) plus or minus whole days, `year(...)` and `month(...)` of a date. Nothing
else. As in SQL, a comparison with null is neither true nor false; a condition holds only when true.
`a / b` takes both sides with four decimals and gives four, the rest cut off; null when b is 0.
Arithmetic is exact: what could be too large to compute is refused.

Texts are parsed by sqlglot, checked node by node and rebuilt: what is written in a declaration
never becomes SQL unchanged.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from expectations.errors import find_similar
from transforms.expressions.kinds import DATE, NUMBER, TEXT, YES_NO, Kind, Size

_KEYWORDS = frozenset({"and", "or", "not", "in", "between", "is", "null", "true", "false", "date"})
_PARTS: Mapping[str, tuple[type[exp.Func], Decimal]] = {
    "year": (exp.Year, Decimal(9999)),
    "month": (exp.Month, Decimal(12)),
}
"""Parts of a date: the function, and the most that it gives."""
_LANGUAGE = _KEYWORDS | _PARTS.keys() | {*"=<>+-*/(),", "<>", "<=", ">=", "!=", "=="}
_ALLOWED = "可用：比较、and/or/not、in、between、is null、加减乘除"
_KIND_TITLES = {"number": "数值", "yes_no": "是否", "text": "文字", "date": "日期"}
_DIGITS = 38  # of a decimal
_LARGEST_DIVIDED = Decimal(9 * 10**14)  # with four decimals a whole number of 64 bits


class ExpressionError(ValueError):
    """A text that the language cannot say: what was found and what was expected."""

    def __init__(self, found: str, expected: str) -> None:
        super().__init__(f"{found}；{expected}")
        self.found, self.expected = found, expected


@dataclass(frozen=True)
class Expression:
    """A checked expression: its kind, the names it reads, the areas it names, and its SQL."""

    tree: exp.Expr
    kind: Kind
    names: frozenset[str]
    areas: frozenset[str] = frozenset()

    def sql(self, rename: Callable[[str], str] = str) -> str:
        """Return DuckDB SQL, one line.

        Args:
            rename: Gives the SQL of each name (a column, or a parameter like `$as_of`).
        """

        def put(node: exp.Expr) -> exp.Expr:
            if isinstance(node, exp.Column):
                return sqlglot.parse_one(rename(node.name), dialect="duckdb")
            return node

        return self.tree.transform(put).sql(dialect="duckdb", comments=False)


def parse_expression(text: str, names: Mapping[str, Kind]) -> Expression:
    """Return one expression over these names.

    Raises:
        ExpressionError: It is not in the language.
    """
    try:
        statements = sqlglot.parse(text, dialect="duckdb")
    except (SqlglotError, RecursionError):
        raise ExpressionError(f"看不懂的条件 {text!r}", "请检查括号、引号和运算符") from None
    if len(statements) != 1 or not isinstance(statements[0], exp.Expr):
        raise ExpressionError(f"看不懂的条件 {text!r}", "只写一个条件")
    reader = _ExpressionReader(names)
    try:
        read = reader.read(statements[0])
    except RecursionError:
        raise ExpressionError("条件嵌套过深", "请拆成较简单的条件") from None
    _refuse_foreign(text, names)
    return Expression(read.tree, read.kind, frozenset(reader.used), frozenset(reader.areas))


def split_tokens(text: str) -> list[str]:
    """Return the words, signs, numbers and 'texts' of an expression, in order.

    The language's own words are in lower case.
    """
    found = re.findall(r"'[^']*'|[0-9.]+|\w+|--|/\*|[<>=!]+|\S", text)
    return [
        token.lower() if token.lower() in _KEYWORDS | _PARTS.keys() else token for token in found
    ]


def _refuse_foreign(text: str, names: Collection[str]) -> None:
    """Refuse what is SQL to sqlglot and not of the language: comments, `symmetric`, casts."""
    for token in split_tokens(text):
        if token not in _LANGUAGE and token not in names and not re.match(r"['0-9]", token):
            raise ExpressionError(
                f"不允许的写法 {token!r}", "说明写在 # 后面" if token in ("--", "/*") else _ALLOWED
            )


def parse_condition(text: str, names: Mapping[str, Kind]) -> Expression:
    """Return one expression that is true or false.

    Raises:
        ExpressionError: It is not in the language, or neither true nor false.
    """
    expression = parse_expression(text, names)
    if expression.kind != YES_NO:
        raise ExpressionError(
            f"{text!r} 不是条件", "应为可判断真假的比较，例如 pension_months >= 6"
        )
    return expression


def check_condition(text: str, names: Mapping[str, Kind]) -> Expression:
    """Return one condition that somebody can have meant: it depends on something.

    Raises:
        ExpressionError: It is no condition, or the same for everybody on every day.
    """
    expression = parse_condition(text, names)
    if not expression.names:
        raise ExpressionError(
            f"{text!r} 对每个人都一样", "请删去这一行；从别的版本沿用的条件用 without 去掉"
        )
    return expression


@dataclass(frozen=True)
class _Read:
    """A part of an expression: its kind, its tree rebuilt and, of a number, its size."""

    kind: Kind
    tree: exp.Expr

    def sized(self, most: Decimal, decimals: int) -> _Read:
        return replace(self, kind=replace(self.kind, size=Size(most, decimals)))


_COMPARED: tuple[type[exp.Binary], ...] = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE)


class _ExpressionReader:
    """One walk over a parsed text.

    Every node is known, well typed and rebuilt, or the text is refused.
    """

    def __init__(self, names: Mapping[str, Kind]) -> None:
        self.names = names
        self.used: set[str] = set()
        self.areas: set[str] = set()

    def read(self, node: exp.Expr) -> _Read:  # noqa: C901, PLR0912 - one line per kind of node
        if isinstance(node, exp.Column):
            return self._name(node)
        if isinstance(node, exp.Literal):
            return self._literal(node)
        if isinstance(node, exp.Boolean):
            return _Read(YES_NO, node.copy())
        if isinstance(node, exp.Cast):
            return self._date(node)
        if isinstance(node, exp.Year | exp.Month):
            return self._part(node)
        if isinstance(node, exp.Paren):
            inner = self.read(node.this)
            return _Read(inner.kind, exp.Paren(this=inner.tree))
        if isinstance(node, exp.Neg):
            inner = self._number(node.this)
            return _Read(inner.kind, exp.Neg(this=inner.tree))
        if isinstance(node, exp.And | exp.Or):
            left, right = self._of(node.this, YES_NO), self._of(node.expression, YES_NO)
            return _Read(YES_NO, type(node)(this=left, expression=right))
        if isinstance(node, exp.Not):
            return _Read(YES_NO, exp.Not(this=self._of(node.this, YES_NO)))
        if isinstance(node, exp.Is):
            return self._is_null(node)
        if isinstance(node, _COMPARED):
            return self._comparison(node)
        if isinstance(node, exp.Between):
            left, (low, high) = self._alike(
                node.this, [node.args["low"], node.args["high"]], ordered=True
            )
            return _Read(YES_NO, exp.Between(this=left, low=low, high=high))
        if isinstance(node, exp.In) and node.expressions:
            left, listed = self._alike(node.this, node.expressions, ordered=False)
            return _Read(YES_NO, exp.In(this=left, expressions=listed))
        if isinstance(node, exp.Add | exp.Sub | exp.Mul | exp.Div):
            return self._arithmetic(node)
        raise ExpressionError(f"不允许的写法 {_text(node)!r}", _ALLOWED)

    def _name(self, node: exp.Column) -> _Read:
        name = node.name
        if node.table or name not in self.names:
            raise ExpressionError(f"不认识的名称 {_text(node)}", self._meant(name))
        self.used.add(name)
        return _Read(self.names[name], exp.column(name))

    def _meant(self, name: str) -> str:
        """Return what to do about an unknown name."""
        if name == "district":
            return "积分表的条件看不到居住区县；只对某区县居民的规则写进该区县的积分表"
        if name.endswith("_points") and not any(one.endswith("_points") for one in self.names):
            return "积分表的条件看不到得分，只看指标数据；缺一不可的各项用 all_of"
        close = find_similar(name, self.names)
        if close:
            return f"是否应为 {close}？"
        return "请查数据字典；文字写在半角单引号里，例如 tenure = 'rented'"

    def _literal(self, node: exp.Literal) -> _Read:
        if node.is_string:
            return _Read(TEXT, node.copy())
        if not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,4})?", node.name):
            raise ExpressionError(f"不允许的数值 {node.name}", "应为最多四位小数的数值")
        decimals = len(node.name.partition(".")[2])
        return _Read(NUMBER, node.copy()).sized(Decimal(node.name), decimals)

    def _date(self, node: exp.Cast) -> _Read:
        literal = isinstance(node.this, exp.Literal) and node.this.is_string
        if not (node.to.is_type("date") and literal):
            raise ExpressionError(f"不允许的写法 {_text(node)!r}", "日期写作 date '2021-09-01'")
        return _Read(DATE, _date_literal(node.this.name))

    def _part(self, node: exp.Year | exp.Month) -> _Read:
        """Read `year(...)` or `month(...)`: a whole number, null of no date."""
        function, most = _PARTS[type(node).__name__.lower()]
        part = exp.cast(function(this=self._of(node.this, DATE)), "INTEGER")
        return _Read(NUMBER, part).sized(most, 0)

    def _is_null(self, node: exp.Is) -> _Read:
        if not isinstance(node.expression, exp.Null):
            raise ExpressionError(f"不允许的写法 {_text(node)!r}", "is 只用于 is null；相等请写 =")
        return _Read(YES_NO, exp.Is(this=self.read(node.this).tree, expression=exp.Null()))

    def _of(self, node: exp.Expr, kind: Kind) -> exp.Expr:
        read = self.read(node)
        if read.kind.name != kind.name:
            raise ExpressionError(
                f"{_text(node)} 是{_KIND_TITLES[read.kind.name]}",
                f"此处应为{_KIND_TITLES[kind.name]}",
            )
        return read.tree

    def _number(self, node: exp.Expr) -> _Read:
        read = self.read(node)
        if read.kind.name != "number":
            raise ExpressionError(f"{_text(node)} 是{_KIND_TITLES[read.kind.name]}", "此处应为数值")
        return read

    def _comparison(self, node: exp.Binary) -> _Read:
        if isinstance(node.this, _COMPARED):
            raise ExpressionError(
                f"{_text(node)!r} 把比较连写了",
                "写作 age between 18 and 60（含两端），或 age >= 18 and age < 60",
            )
        ordered = not isinstance(node, exp.EQ | exp.NEQ)
        left, (right,) = self._alike(node.this, [node.expression], ordered=ordered)
        return _Read(YES_NO, type(node)(this=left, expression=right))

    def _alike(
        self, node: exp.Expr, others: list[exp.Expr], *, ordered: bool
    ) -> tuple[exp.Expr, list[exp.Expr]]:
        """Return both sides of a comparison, of one kind; only numbers and dates have an order."""
        read = self.read(node)
        if isinstance(node, exp.Literal) and node.is_string:
            raise ExpressionError(f"比较的左边是文字 {node.name!r}", "名称写在左边，文字写在右边")
        if ordered and read.kind.name not in ("number", "date"):
            raise ExpressionError(
                f"{_text(node)} 是{_KIND_TITLES[read.kind.name]}，不能比较大小",
                "请用 =、<> 或 in 逐一列出",
            )
        return read.tree, [self._side(other, read.kind) for other in others]

    def _side(self, node: exp.Expr, kind: Kind) -> exp.Expr:
        if isinstance(node, exp.Literal) and node.is_string:
            if kind.name == "date":
                return _date_literal(node.name)
            if kind.levels and node.name not in kind.levels:
                raise ExpressionError(
                    f"没有等级 {node.name!r}", f"可为：{'、'.join(sorted(kind.levels))}"
                )
            if kind.area:
                if not re.fullmatch(r"[0-9]{6}", node.name):
                    raise ExpressionError(
                        f"{node.name!r} 不是区划代码", "区划写六位代码，例如 '330203'"
                    )
                self.areas.add(node.name)
        return self._of(node, kind)

    def _arithmetic(self, node: exp.Binary) -> _Read:
        left = self.read(node.this)
        if left.kind.name == "date" and isinstance(node, exp.Add | exp.Sub):
            days = node.expression
            if not (isinstance(days, exp.Literal) and re.fullmatch(r"[0-9]{1,5}", days.name)):
                raise ExpressionError(
                    f"日期不能加减 {_text(days)}", "日期只能加减整数天，例如 as_of + 45"
                )
            return _Read(DATE, type(node)(this=left.tree, expression=days.copy()))
        left, right = self._number(node.this), self._number(node.expression)
        a, b = left.kind.size, right.kind.size
        if isinstance(node, exp.Div):
            return self._quotient(node, left, right)
        if isinstance(node, exp.Mul):
            found = Size(a.most * b.most, a.decimals + b.decimals)
            tree: exp.Expr = exp.Mul(this=_widened(left, found), expression=right.tree)
        else:
            found = Size(a.most + b.most, max(a.decimals, b.decimals))
            tree = type(node)(this=left.tree, expression=right.tree)
        if found.decimals + len(f"{found.most:.0f}") > _DIGITS:
            raise ExpressionError(f"{_text(node)} 可能大得无法计算", "请少乘几个数")
        return _Read(NUMBER, tree).sized(found.most, found.decimals)

    def _quotient(self, node: exp.Binary, left: _Read, right: _Read) -> _Read:
        for side, read in ((node.this, left), (node.expression, right)):
            if read.kind.size.most > _LARGEST_DIVIDED:
                raise ExpressionError(
                    f"{_text(side)} 可能大得无法相除", "相除的两边都不能超过九百万亿；请先除后乘"
                )
        literal = isinstance(node.expression, exp.Literal)
        least = right.kind.size.most if literal else Decimal(10) ** -right.kind.size.decimals
        most = left.kind.size.most / least if least else left.kind.size.most
        return _Read(NUMBER, _divided(left.tree, right.tree)).sized(most, 4)


def _text(node: exp.Expr) -> str:
    return node.sql(dialect="duckdb")


def _date_literal(text: str) -> exp.Expr:
    try:
        fits = re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text)
        day = dt.date.fromisoformat(text) if fits else None
    except ValueError:
        day = None
    if day is None:
        raise ExpressionError(f"{text!r} 不是日期", "应为存在的日期，写作 '2021-09-01'")
    return exp.cast(exp.Literal.string(day.isoformat()), "DATE")


def _widened(factor: _Read, product: Size) -> exp.Expr:
    """Return a factor, as a wide decimal if the product would not fit the engine's usual types."""
    digits = product.decimals + len(f"{product.most:.0f}")
    small = digits <= 18 if product.decimals else product.most < 2**31
    if small:
        return factor.tree
    return exp.cast(factor.tree, f"DECIMAL({_DIGITS}, {factor.kind.size.decimals})")


def _divided(left: exp.Expr, right: exp.Expr) -> exp.Expr:
    """Return a quotient with four decimals, by long division of whole numbers.

    The engine's own `/` would be floating point, and a dividend with eight more digits would not
    fit 64 bits: the whole part comes first, then two decimals at a time of what is left.
    """
    a = _ten_thousandths(left)
    b = exp.func("NULLIF", _ten_thousandths(right), exp.Literal.number(0))
    hundred = exp.Literal.number(100)

    def div(above: exp.Expr) -> exp.Expr:
        return exp.IntDiv(this=above.copy(), expression=b.copy())

    def rest(above: exp.Expr) -> exp.Expr:
        remainder = exp.Paren(this=exp.Mod(this=above.copy(), expression=b.copy()))
        return exp.Paren(this=exp.Mul(this=remainder, expression=hundred.copy()))

    hundredths = rest(a)
    parts = [
        div(a),
        exp.Mul(this=exp.Paren(this=div(hundredths)), expression=exp.Literal.number("0.01")),
        exp.Mul(
            this=exp.Paren(this=div(rest(hundredths))), expression=exp.Literal.number("0.0001")
        ),
    ]
    total: exp.Expr = parts[0]
    for part in parts[1:]:
        total = exp.Add(this=total, expression=part)
    return exp.Paren(this=total)


def _ten_thousandths(node: exp.Expr) -> exp.Expr:
    wide = exp.cast(node, f"DECIMAL({_DIGITS}, 4)")
    return exp.cast(exp.Mul(this=wide, expression=exp.Literal.number(10000)), "BIGINT")
