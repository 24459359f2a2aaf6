"""What is wrong with services of children: guardians, what is combined, and examples."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from expectations.source_model import Fact
from transforms.expressions.kinds import NUMBER, YES_NO
from transforms.points.validate import Mistake, describe_unknown
from transforms.services.expression_scope import ExpressionScope
from transforms.services.models import Guardians, ServiceExample, ServiceVersion
from transforms.services.namespace import RANK_SCORE
from transforms.versions import Place

_PLACE: Place = ("guardians",)


def validate_guardians(
    version: ServiceVersion, scope: ExpressionScope, facts: Mapping[str, Fact]
) -> Iterator[Mistake]:
    """Yield mistakes in how the points of guardians make a child's."""
    guardians = version.guardians
    if guardians is None:
        return
    yield from _validate_children(guardians, facts)
    if guardians.chosen is not None:
        yield from scope.validate_expression((*_PLACE, "chosen"), guardians.chosen, YES_NO)
    for key, named in (("points", guardians.parts), ("caps", guardians.caps)):
        for name in named:
            if scope.points and name not in scope.points:
                yield (*_PLACE, key, name), *describe_unknown("积分", name, scope.points)
        yield from scope.find_absent_points((*_PLACE, key), frozenset(named))
    if not guardians.is_picked:
        yield from _validate_combined(version, guardians, scope)
    if version.rank is not None:
        yield from _validate_keys(version, guardians, scope)


def _validate_children(guardians: Guardians, facts: Mapping[str, Fact]) -> Iterator[Mistake]:
    lists = {name: fact for name, fact in facts.items() if fact.unit == "children"}
    if guardians.children not in lists:
        yield (*_PLACE, "children"), *describe_unknown("子女的名单", guardians.children, lists)
        return
    levels = lists[guardians.children].levels
    for index, level in enumerate(guardians.levels):
        if level not in levels:
            yield (*_PLACE, "levels", index), *describe_unknown("学段", level, levels)


def _validate_combined(
    version: ServiceVersion, guardians: Guardians, scope: ExpressionScope
) -> Iterator[Mistake]:
    """Yield what a score of combined points cannot name."""
    if version.points.multipliers:
        yield (
            ("points", "multipliers"),
            "各监护人的积分相加或分项取高时不能用",
            "把倍数写进 score，或改用 points: highest",
        )
    place: Place = ("points", "score")
    used = scope.read_names(version.points.score)
    for name in sorted(used - scope.points if scope.points else ()):
        yield (
            place,
            f"{name} 是监护人各自的数据",
            "各监护人的积分相加或分项取高时，score 只写积分",
        )
    yield from _find_uncombined(place, used & scope.points, guardians)
    for name in guardians.caps:
        yield from _find_uncombined((*_PLACE, "caps", name), {name}, guardians)


def _validate_keys(
    version: ServiceVersion, guardians: Guardians, scope: ExpressionScope
) -> Iterator[Mistake]:
    """Yield keys of a rank that mix what is the child's and what is each guardian's."""
    scope = scope.add_names({RANK_SCORE: NUMBER})
    for index, key in enumerate(version.rank.by if version.rank else ()):
        place, used = ("rank", "by", index), scope.read_names(key.text)
        of_child = used & (scope.points | {RANK_SCORE})
        if of_child and used - of_child:
            said = "、".join(sorted(of_child))
            yield place, f"{said} 是子女的，其余是监护人各自的", "分成两项写"
        yield from _find_uncombined(place, used & scope.points, guardians)


def _find_uncombined(
    place: Place, used: Collection[str], guardians: Guardians
) -> Iterator[Mistake]:
    """Yield points that are named although they are not combined."""
    for name in sorted(set(used) - guardians.parts.keys() if guardians.parts else ()):
        yield place, f"guardians.points 没有写 {name}", "请写明它取高（highest）还是相加（sum）"


def validate_example_guardians(
    version: ServiceVersion, example: ServiceExample
) -> Iterator[Mistake]:
    """Yield what an example lacks, or has too much, of guardians."""
    if version.subject == "resident":
        for key in ("guardians", "child_level"):
            if getattr(example, key):
                yield (key,), "这项服务按居民本人计", "请删去，或写 subject: child"
    elif example.facts:
        yield (
            (next(iter(example.facts)),),
            "这项服务按子女计",
            "监护人的数据和积分写在 guardians 里：[{total_points: 60}, {total_points: 40}]",
        )
    elif not example.guardians:
        yield ("guardians",), "没有监护人", "请写：[{total_points: 60}, {total_points: 40}]"
