"""What the expressions of a service may name, and what is wrong with one, at its place."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from transforms.expressions.kinds import Kind
from transforms.expressions.language import ExpressionError, parse_expression
from transforms.points.validate import Mistake
from transforms.versions import Place

_WANTED = {"number": "应为数值", "yes_no": "应为可判断真假的比较，例如 pension_months >= 6"}


@dataclass(frozen=True)
class ExpressionScope:
    """What may be named.

    Attributes:
        names: Every name with its kind.
        columns: The points columns at each day on which they change while the version is in force.
    """

    names: Mapping[str, Kind]
    columns: Mapping[dt.date, frozenset[str]]

    @cached_property
    def points(self) -> frozenset[str]:
        """The points columns of any of the days."""
        return frozenset().union(*self.columns.values())

    def add_names(self, names: Mapping[str, Kind]) -> ExpressionScope:
        """Return the scope with further names."""
        return replace(self, names={**self.names, **names})

    def read_names(self, text: str) -> frozenset[str]:
        """Return the names of an expression; none of one that is mistaken."""
        try:
            return parse_expression(text, self.names).names
        except ExpressionError:  # reported where the expression is checked
            return frozenset()

    def validate_expression(self, place: Place, text: str, kind: Kind) -> Iterator[Mistake]:
        """Yield what is wrong with an expression that has to be of a kind."""
        try:
            expression = parse_expression(text, self.names)
        except ExpressionError as error:
            yield place, error.found, error.expected
            return
        if expression.kind != kind:
            yield place, f"{text!r}", _WANTED[kind.name]
        yield from self.find_absent_points(place, expression.names)

    def find_absent_points(self, place: Place, used: frozenset[str]) -> Iterator[Mistake]:
        """Yield points that are named and that a later points table no longer has."""
        for name in sorted(used & self.points):
            missing = next((day for day, there in self.columns.items() if name not in there), None)
            if missing:
                yield place, f"{missing} 起的积分表没有 {name}", "请从这一天起写新的版本"
