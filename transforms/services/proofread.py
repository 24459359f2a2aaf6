"""What a service may say but seldom means: remarks, which `jifen check --strict` refuses."""

from __future__ import annotations

import re
from collections.abc import Iterator

from transforms.points.validate import Mistake
from transforms.services.models import ServiceVersion
from transforms.services.namespace import RANK_SCORE


def proofread_service_version(version: ServiceVersion) -> Iterator[Mistake]:
    """Yield remarks on one version of a service: place, what was found, what to do."""
    multipliers = version.points.multipliers
    for index, one in enumerate(multipliers):
        place = ("points", "multipliers", index)
        if one.times == 1 and one.when is None:
            yield (*place, "times"), "乘以 1 不起作用", "请删去这一行"
        elif index == 0 and one.when is None:
            yield (
                place,
                f"对每个人都乘以 {one.times.normalize():f}，不改变任何人的名次",
                "只有一部分人乘的，用 when 写明；人人都乘的，改分数线即可",
            )
    ranked_by_score = version.rank is None or any(
        re.search(rf"\b{RANK_SCORE}\b", key.text) for key in version.rank.by
    )
    if multipliers and not ranked_by_score:
        yield (
            ("points", "multipliers"),
            "排名的依据（rank.by）里没有 score，乘数不改变任何人的名次",
            "要按乘过的分排名的，在 rank.by 中写 score",
        )
