"""Declared expressions the plain way: read the text from left to right and work it out for one resident.

Three-valued as in SQL: None is "unknown"; a comparison with None is None; `and`, `or` and `not` follow Kleene.
"""

from __future__ import annotations

import datetime as dt
import operator
import re
from collections.abc import Callable, Mapping
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from typing import Any

Value = Any
TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?)|(?P<text>'(?:[^']|'')*')|(?P<name>\w+)|(?P<sign><=|>=|<>|!=|==|[-=<>+*/(),]))"
)
COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "==": operator.eq,
    "<>": operator.ne,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def evaluate_expression(text: str, names: Mapping[str, Value]) -> Value:
    """The value of an expression; `names` gives facts, points, as_of and district. KeyError for an unknown name."""
    reader = _Reader(text, names)
    value = reader.either()
    if reader.peek():
        raise ValueError(f"{text!r}: {reader.peek()!r} is left over")
    return value


def is_condition_met(text: str, names: Mapping[str, Value]) -> bool:
    """A condition holds only when it is true: neither false nor unknown."""
    return evaluate_expression(text, names) is True


def _and(left: Value, right: Value) -> Value:
    """Kleene's and."""
    if left is False or right is False:
        return False
    return None if left is None or right is None else True


def _not(value: Value) -> Value:
    return None if value is None else not value


class _Reader:
    """Recursive descent, loosest binding first: or, and, not, comparison, sum, product, sign, atom."""

    def __init__(self, text: str, names: Mapping[str, Value]) -> None:
        self.names = names
        self.tokens = list(TOKEN.finditer(text))
        if "".join(m.group() for m in self.tokens).strip() != text.strip():
            raise ValueError(f"{text!r} cannot be read")
        self.at = 0

    def peek(self, ahead: int = 0) -> str:
        place = self.at + ahead
        return self.tokens[place].group().strip().lower() if place < len(self.tokens) else ""

    def take(self, *wanted: str) -> bool:
        """Take the next tokens if they are these."""
        if any(self.peek(ahead) != word for ahead, word in enumerate(wanted)):
            return False
        self.at += len(wanted)
        return True

    def either(self) -> Value:
        value = self.all()
        while self.take("or"):
            value = _not(_and(_not(value), _not(self.all())))
        return value

    def all(self) -> Value:
        value = self.not_()
        while self.take("and"):
            value = _and(value, self.not_())
        return value

    def not_(self) -> Value:
        return _not(self.not_()) if self.take("not") else self.comparison()

    def comparison(self) -> Value:
        left = self.sum()
        if self.take("is", "not", "null"):
            return left is not None
        if self.take("is", "null"):
            return left is None
        for words, flip in ((("not", "in"), True), (("in",), False)):
            if self.take(*words):
                return _not(self.in_list(left)) if flip else self.in_list(left)
        for words, flip in ((("not", "between"), True), (("between",), False)):
            if self.take(*words):
                return _not(self.between(left)) if flip else self.between(left)
        if self.peek() in COMPARISONS or self.peek() == "is":
            sign = self.peek().replace("is", "=")
            self.at += 1
            return _compare(sign, left, self.sum())
        return left

    def in_list(self, left: Value) -> Value:
        found: Value = False
        self.take("(")
        while not self.take(")"):
            same = _compare("=", left, self.sum())
            found = _not(_and(_not(found), _not(same)))
            self.take(",")
        return found

    def between(self, left: Value) -> Value:
        low = self.sum()
        self.take("and")
        return _and(_compare(">=", left, low), _compare("<=", left, self.sum()))

    def sum(self) -> Value:
        value = self.product()
        while self.peek() in ("+", "-"):
            sign = 1 if self.take("+") else -1 if self.take("-") else 0
            value = _add(value, self.product(), sign)
        return value

    def product(self) -> Value:
        value = self.signed()
        while self.peek() in ("*", "/"):
            divide = self.take("/") or not self.take("*")
            right = self.signed()
            known = value is not None and right is not None
            value = None if not known else _divide(value, right) if divide else value * right
        return value

    def signed(self) -> Value:
        if self.take("-"):
            value = self.signed()
            return None if value is None else -value
        return self.atom()

    def atom(self) -> Value:
        if self.take("("):
            value = self.either()
            self.take(")")
            return value
        word, kind = self.peek(), self.tokens[self.at].lastgroup
        original = self.tokens[self.at].group().strip()
        self.at += 1
        if kind == "number":
            return Decimal(original)
        if kind == "text":
            return original[1:-1].replace("''", "'")
        if word in ("true", "false", "null"):
            return {"true": True, "false": False, "null": None}[word]
        if word in ("year", "month") and self.take("("):
            day = self.either()
            self.take(")")
            return None if day is None else getattr(day, word)
        if word == "date" and self.tokens[self.at].lastgroup == "text":
            return dt.date.fromisoformat(self.atom())
        return self.names[original]


def _divide(left: Decimal, right: Decimal) -> Value:
    """A quotient: both sides with four decimals, the result with four, the rest cut off; None when dividing by 0."""
    above, under = (
        Decimal(side).quantize(Decimal("0.0001"), ROUND_HALF_UP) for side in (left, right)
    )
    return None if under == 0 else (above / under).quantize(Decimal("0.0001"), ROUND_DOWN)


def _compare(sign: str, left: Value, right: Value) -> Value:
    """One comparison; a date may be compared with its text."""
    if left is None or right is None:
        return None
    if isinstance(left, dt.date) and isinstance(right, str):
        right = dt.date.fromisoformat(right)
    if isinstance(right, dt.date) and isinstance(left, str):
        left = dt.date.fromisoformat(left)
    return COMPARISONS[sign](left, right)


def _add(left: Value, right: Value, sign: int) -> Value:
    """A sum or difference; a date plus or minus a number of days is a date, of two dates the days between."""
    if left is None or right is None:
        return None
    if isinstance(left, dt.date) and isinstance(right, dt.date):
        return (left - right).days
    if isinstance(left, dt.date):
        return left + sign * dt.timedelta(days=int(right))
    return left + sign * right
