"""What is wrong with multipliers and ranks of a service."""

from __future__ import annotations

from collections.abc import Iterator

from transforms.expressions.kinds import DATE, NUMBER, YES_NO
from transforms.expressions.language import ExpressionError, parse_expression
from transforms.points.validate import Mistake
from transforms.services.eligibility_sql import KEY_DECIMALS
from transforms.services.expression_scope import ExpressionScope
from transforms.services.models import Multiplier, RankClass, Ranking
from transforms.services.namespace import RANK_SCORE
from transforms.versions import Place


def validate_multipliers(
    multipliers: list[Multiplier], scope: ExpressionScope
) -> Iterator[Mistake]:
    """Yield mistakes in the multipliers of a score."""
    for index, one in enumerate(multipliers):
        place: Place = ("points", "multipliers", index)
        if one.when is not None:
            yield from scope.validate_expression((*place, "when"), one.when, YES_NO)
        elif index < len(multipliers) - 1:
            yield (
                ("points", "multipliers", index + 1),
                "上一行没有 when，对每个人都成立，轮不到这一行",
                "没有 when 的写在最后",
            )


def validate_rank(rank: Ranking, scope: ExpressionScope) -> Iterator[Mistake]:
    """Yield mistakes in the classes and keys of a rank; `scope` has no name `score` yet."""
    yield from _validate_classes(rank.classes, scope)
    scope = scope.add_names({RANK_SCORE: NUMBER})
    seen: set[str] = set()
    for index, key in enumerate(rank.by):
        place = ("rank", "by", index)
        yield from _validate_key(place, key.text, scope)
        if key.text in seen:
            yield place, f"前面已比过 {key.text}", "请删去"
        seen.add(key.text)


def _validate_classes(classes: list[RankClass], scope: ExpressionScope) -> Iterator[Mistake]:
    titles: set[str] = set()
    for index, one in enumerate(classes):
        place = ("rank", "classes", index)
        yield from scope.validate_expression((*place, "when"), one.when, YES_NO)
        if one.title in titles:
            yield (*place, "title"), f"前面已有类别 {one.title}", "每一类用不同的名称"
        titles.add(one.title)


def _validate_key(place: Place, text: str, scope: ExpressionScope) -> Iterator[Mistake]:
    try:
        expression = parse_expression(text, scope.names)
    except ExpressionError as error:
        yield place, error.found, error.expected
        return
    kind = expression.kind
    if kind.name not in (NUMBER.name, DATE.name, YES_NO.name):
        yield place, f"{text} 不能比较先后", "排名按数值、日期或是否；等级和区划写成类别（classes）"
    elif not expression.names:
        yield place, f"{text} 对每个人都一样", "请写一项数据或积分"
    elif kind.name == NUMBER.name and kind.size.decimals > KEY_DECIMALS:
        yield place, f"{text} 多于 {KEY_DECIMALS} 位小数", "请少乘几个数"
    yield from scope.find_absent_points(place, expression.names)
