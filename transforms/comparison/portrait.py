"""The portrait of the residents: who they are, by six traits, and by every two of them.

A trait is a value of a fact, or a band of one. Where a city's sources do not declare a fact that a
trait reads, the portrait does without the trait.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import combinations, pairwise

from transforms.engine.sql import sql_literal

UNKNOWN = "none"


@dataclass(frozen=True)
class Trait:
    """One thing that residents are counted by.

    Attributes:
        code: Its name in items of the metrics.
        title: Its name for people.
        facts: The facts that `sql` reads.
        sql: Its value of a resident, as text; null stands for UNKNOWN.
        titles: Value -> its name for people, in order.
        levels_of: The fact whose declared levels are the values, before `titles`.
    """

    code: str
    title: str
    facts: tuple[str, ...]
    sql: str
    titles: dict[str, str] = field(default_factory=dict)
    levels_of: str = ""


def _band_sql(fact: str, starts: Sequence[int]) -> str:
    """Return the lower end of a fact's band, as text."""
    above = "".join(f" WHEN {fact} < {end} THEN '{start}'" for start, end in pairwise(starts))
    return f"CASE WHEN {fact} IS NULL THEN NULL{above} ELSE '{starts[-1]}' END"


TRAITS = (
    Trait(
        "age",
        "年龄",
        ("age",),
        _band_sql("age", (0, 18, 30, 40, 50, 60)),
        {"0": "不满 18 岁", "18": "18–29 岁", "30": "30–39 岁", "40": "40–49 岁"}
        | {"50": "50–59 岁", "60": "60 岁以上", UNKNOWN: "不详"},
    ),
    Trait("degree", "学历", ("degree",), "degree", {UNKNOWN: "没有登记"}, "degree"),
    Trait("skill", "职业技能", ("skill",), "skill", {UNKNOWN: "没有登记"}, "skill"),
    Trait(
        "tenure",
        "居住方式",
        ("tenure",),
        "tenure",
        {UNKNOWN: "没有登记"},
        "tenure",
    ),
    Trait(
        "insurance",
        "养老保险",
        ("insured_now", "pension_months"),
        "CASE WHEN insured_now THEN 'now' WHEN pension_months > 0 THEN 'before' ELSE 'never' END",
        {"now": "正在参保", "before": "曾经参保", "never": "从未参保"},
    ),
    Trait(
        "years",
        "在本市居住",
        ("residence_months",),
        _band_sql("residence_months", (0, 12, 36, 60, 120)),
        {"0": "不满 1 年", "12": "1 至不满 3 年", "36": "3 至不满 5 年", "60": "5 至不满 10 年"}
        | {"120": "10 年以上", UNKNOWN: "不详"},
    ),
)


def list_portrait_traits(facts: Collection[str]) -> list[Trait]:
    """Return the traits that these facts allow."""
    return [trait for trait in TRAITS if set(trait.facts) <= set(facts)]


def combined_sql(traits: Sequence[Trait]) -> str:
    """Return SQL of how many people of each district have which combination of all traits.

    It reads `facts`; columns: district, the traits by code, people. A city of millions has some ten
    thousand combinations: everything else is summed up from them.
    """
    values = "".join(
        f",\n    coalesce({trait.sql}, {sql_literal(UNKNOWN)}) AS {trait.code}" for trait in traits
    )
    return f"SELECT district{values},\n    count(*) AS people\nFROM facts GROUP BY ALL"


def traits_sql(traits: Sequence[Trait], together: int) -> str:
    """Return SQL of people by trait, or by two traits: district, item, people.

    It reads `combined` (`combined_sql`). Items: `age:30`, `age:30/degree:bachelor`; the traits in
    their declared order.

    Args:
        traits: Those of the portrait.
        together: How many traits an item combines, 1 or 2.
    """
    chosen = list(combinations(traits, together))
    if not chosen:
        return "SELECT '' AS district, '' AS item, 0 AS people WHERE false"
    items = "".join(
        f"\n    WHEN {_grouped(one)} THEN "
        + " || '/' || ".join(f"'{trait.code}:' || {trait.code}" for trait in one)
        for one in chosen
    )
    sets = ", ".join(
        f"({', '.join(['district', *(trait.code for trait in one)])})" for one in chosen
    )
    return (
        f"SELECT district, CASE{items} END AS item, sum(people) AS people\n"
        f"FROM combined GROUP BY GROUPING SETS ({sets})"
    )


def _grouped(traits: Sequence[Trait]) -> str:
    """Return the condition that a row is grouped by these traits."""
    return " AND ".join(f"grouping({trait.code}) = 0" for trait in traits)
