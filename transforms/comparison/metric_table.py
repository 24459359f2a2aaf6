"""The metrics of a month as a table: what people ask every month, counted once.

A metric is declared in `DECLARED_METRICS` and counted by one query, district by district; the whole
city is the sum of the districts, under the code `city`.

What is hidden is null, and what nobody has looks the same: an item has a row in every district, so
that a missing row does not say that nobody has it. Hidden are cells of fewer than `FEW_PEOPLE`
people, and as many of the next smallest as it takes that no subtraction gives one of them back:
from the city its districts, from the residents of a district the values of a trait or the bands of
points, from a value of a trait the pairs that it is in. A district knows its own cells, so at least
three of an item's are hidden. Kinds of deductions are counted for the city only; where few people
of a district have a deduction, the points that are added there, and their rises and falls, are
rounded to hundreds, so that nobody subtracts the total from them. The previous month's value is
that month's own cell.

The table is the analysts' (`transforms.outputs.METRICS`); `leaves_bureau` says which metrics may
stand, rounded, on pages for others.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from transforms.comparison.changes import Moved
from transforms.comparison.metrics import score_band_sql
from transforms.comparison.portrait import combined_sql, list_portrait_traits, traits_sql
from transforms.comparison.suppression import (
    CITY_SQL,
    FEW_PEOPLE,
    PASSES,
    VALUE,
    hide_more_sql,
    in_list_sql,
    round_added_sql,
    wholes_sql,
)
from transforms.engine.sql import sql_literal
from transforms.engine.statements import Statement
from transforms.outputs import METRICS, DistrictCount
from transforms.points.columns import strip_points_suffix

INPUTS = (
    *("scores", "facts", "eligibility", "changes", "moved", "reminders", "outcomes", "cases"),
    "previous",
)
POINTS_NEAR = 5
"""Who lacks at most so many points for a service, and nothing else, is near it."""


@dataclass(frozen=True)
class Metric:
    """One metric: what its rows count.

    Attributes:
        code: Its name in the table.
        title: Its name for people.
        unit: The unit of `value`.
        item: What `item` is; empty when there is one row per district.
        meaning: What is counted, in English.
        sql: The query of district, item, value and people; `{items}` stands for the points
            columns, `{traits}` and `{pairs}` for the traits of the portrait.
        leaves_bureau: Whether pages for others may show it, rounded or as a mean; what shows
            deductions is for analysts only.
        by_district: Whether it is counted by district, or for the city only.
        items_of: A metric whose items it has, too, whether somebody has them or not.
    """

    code: str
    title: str
    unit: str
    item: str
    meaning: str
    sql: str
    leaves_bureau: bool = True
    by_district: bool = True
    items_of: str = ""


_PEOPLE = "count(*) AS people"
_ELIGIBLE = "FROM eligibility WHERE eligible"
_NEAR = f"FROM eligibility WHERE NOT eligible AND points_short <= {POINTS_NEAR}"
DECLARED_METRICS = (
    Metric(
        "residents",
        "计分人数",
        "people",
        "",
        "people scored",
        f"SELECT district, '' AS item, count(*) AS value, {_PEOPLE} FROM scores GROUP BY district",
    ),
    Metric(
        "total_points",
        "总分合计",
        "points",
        "",
        "sum of total points; divided by people it is the mean",
        f"SELECT district, '' AS item, sum(total_points) AS value, {_PEOPLE}"
        " FROM scores GROUP BY district",
    ),
    Metric(
        "total_points_squared",
        "总分平方和",
        "number",
        "",
        "sum of the squares of total points; with their sum and the people it gives the deviation",
        f"SELECT district, '' AS item, sum(total_points * total_points) AS value, {_PEOPLE}"
        " FROM scores GROUP BY district",
    ),
    Metric(
        "points_band",
        "各分数段人数",
        "people",
        "band of 20 points, -1 below zero, 9 from 180 on",
        "people by band of total points",
        f"SELECT district, CAST({score_band_sql('total_points')} AS VARCHAR) AS item,"
        f" count(*) AS value, {_PEOPLE} FROM scores GROUP BY ALL",
    ),
    Metric(
        "points",
        "各项得分合计",
        "points",
        "points column without _points",
        "sum of an indicator, section or sum; people who have other than 0",
        "SELECT district, one.item AS item, one.value AS value, one.people AS people\n"
        "FROM (SELECT district, unnest([{items}]) AS one FROM scores GROUP BY district)",
        leaves_bureau=False,
    ),
    Metric(
        "eligible",
        "达标人数",
        "people",
        "service",
        "people who qualify",
        f"SELECT district, service AS item, count(*) AS value, {_PEOPLE} {_ELIGIBLE} GROUP BY ALL",
    ),
    Metric(
        "amount",
        "应发金额",
        "yuan",
        "service",
        "yuan a month of those who qualify and whose amount is known",
        f"SELECT district, service AS item, sum(monthly_amount) AS value, {_PEOPLE} {_ELIGIBLE}"
        " AND monthly_amount IS NOT NULL GROUP BY ALL",
    ),
    Metric(
        "near",
        "接近达标人数",
        "people",
        "service",
        f"people who lack at most {POINTS_NEAR} points for a service, and nothing else",
        f"SELECT district, service AS item, count(*) AS value, {_PEOPLE} {_NEAR} GROUP BY ALL",
        items_of="eligible",
    ),
    Metric(
        "near_amount",
        "接近达标者的金额",
        "yuan",
        "service",
        "yuan a month that those near a service would be due, where their amount is known",
        f"SELECT district, service AS item, sum(monthly_amount) AS value, {_PEOPLE} {_NEAR}"
        " AND monthly_amount IS NOT NULL GROUP BY ALL",
        items_of="amount",
    ),
    Metric(
        "portrait",
        "居民构成",
        "people",
        "trait:value",
        "people by age, degree, skill, tenure, pension insurance, time in the city",
        "SELECT district, item, people AS value, people FROM ({traits})",
    ),
    Metric(
        "portrait_pair",
        "居民构成（两项交叉）",
        "people",
        "trait:value/trait:value",
        "people by every two traits of the portrait",
        "SELECT district, item, people AS value, people FROM ({pairs})",
        by_district=False,
    ),
    Metric(
        "movement",
        "人员变动",
        "people",
        "moved_in, moved_out, new or gone",
        "people who moved within the city, are new, or are not scored any more",
        "SELECT district, item, sum(people) AS value, sum(people) AS people\n"
        "FROM (SELECT people, unnest([\n"
        "    {'district': now, 'item': CASE WHEN before IS NULL THEN 'new' ELSE 'moved_in' END},\n"
        "    {'district': before, 'item': CASE WHEN now IS NULL THEN 'gone' ELSE 'moved_out' END}\n"
        "], max_depth := 2) FROM moved) WHERE district IS NOT NULL GROUP BY ALL",
    ),
    Metric(
        "raised",
        "得分上升",
        "points",
        "points column without _points",
        "signed effect of all rises, and people, of those scored in both months",
        f"SELECT district, item, sum(effect) AS value, {_PEOPLE}"
        " FROM changes WHERE effect > 0 AND movement IN ('stayed', 'moved') GROUP BY ALL",
        leaves_bureau=False,
        items_of="points",
    ),
    Metric(
        "lowered",
        "得分下降",
        "points",
        "points column without _points",
        "signed effect of all falls, and people, of those scored in both months",
        f"SELECT district, item, sum(effect) AS value, {_PEOPLE}"
        " FROM changes WHERE effect < 0 AND movement IN ('stayed', 'moved') GROUP BY ALL",
        leaves_bureau=False,
        items_of="points",
    ),
    Metric(
        "reminders",
        "提醒",
        "count",
        "kind of reminder",
        "reminders listed, and people reminded",
        "SELECT district, kind AS item, count(*) AS value,"
        " count(DISTINCT resident_id) AS people FROM reminders GROUP BY ALL",
    ),
    Metric(
        "reminders_answered",
        "提醒办理结果",
        "count",
        "outcome",
        "reports that came in the month about reminders listed before, and their people",
        "SELECT district, item, value, people FROM outcomes WHERE people > 0",
    ),
    Metric(
        "objection_cases",
        "异议",
        "count",
        "open, overdue, upheld or rejected",
        "cases not decided yet, in time or overdue, and those decided by what came in the month",
        "SELECT district, item, value, people FROM cases WHERE people > 0",
    ),
)


@dataclass(frozen=True)
class PointsItems:
    """The items of the points tables, by what they do to the total.

    Attributes:
        added: Sections of the city that add, and the city's indicators in them.
        subtracted: Sections that subtract.
        deductions: The indicators in those, of districts too.
    """

    added: Collection[str] = ()
    subtracted: Collection[str] = ()
    deductions: Collection[str] = ()


def metrics_statement(
    points_columns: Sequence[str], facts: Collection[str], items: PointsItems
) -> Statement:
    """Return the query of the metrics: one row per metric, district (or city) and item.

    It reads tables of the month, `moved` (before, now, people: districts of those who came, left or
    moved), `outcomes` and `cases` (see `counted_relation`), and `previous`, the metrics of the month
    before. Parameters: $month (first day), $revision.

    Args:
        points_columns: Those of `scores`.
        facts: The columns of `facts`.
        items: Those of the points tables in force.
    """
    traits = list_portrait_traits(facts)
    parts = {
        "{items}": ",\n        ".join(map(_item_sql, points_columns)),
        "{traits}": traits_sql(traits, 1),
        "{pairs}": traits_sql(traits, 2),
    }
    counted = "\nUNION ALL\n".join(
        f"SELECT {sql_literal(one.code)} AS metric, district, item,"
        f" CAST(value AS {VALUE}) AS value, CAST(people AS BIGINT) AS people\n"
        f"FROM ({_fill(one.sql, parts)})"
        for one in DECLARED_METRICS
    )
    passes = ",\n".join(map(hide_more_sql, range(1, PASSES + 1)))
    sql = f"""WITH combined AS MATERIALIZED (
{combined_sql(traits)}
),
counted AS MATERIALIZED (
{counted}
),
listed AS (
{_listed_sql([trait.code for trait in traits], items.deductions)}
),
everywhere AS (
    SELECT metric, place.district, item, coalesce(sum(value), 0) AS value,
        CAST(coalesce(sum(people), 0) AS BIGINT) AS people
    FROM listed
    JOIN (SELECT district FROM counted UNION SELECT {CITY_SQL}) AS place
        ON by_district OR place.district = {CITY_SQL}
    LEFT JOIN (
        SELECT metric, unnest([district, {CITY_SQL}]) AS district, item, value, people FROM counted
    ) AS own USING (metric, district, item)
    GROUP BY ALL
),
hidden_0 AS (SELECT *, people < {FEW_PEOPLE} AS hidden FROM everywhere),
wholes AS MATERIALIZED (
{wholes_sql()}
),
{passes},
shown AS MATERIALIZED (FROM hidden_{PASSES}),
rounded AS (
    SELECT district FROM shown
    WHERE metric = 'points' AND item IN ({in_list_sql(items.subtracted)}) AND hidden
)
SELECT CAST($month AS DATE) AS month, CAST($revision AS INTEGER) AS revision, metric, district,
    item, CAST(CASE WHEN NOT hidden THEN {round_added_sql(items.added)} END AS {VALUE}) AS value,
    CASE WHEN NOT hidden THEN people END AS people, before.value AS previous
FROM shown
LEFT JOIN (SELECT metric, district, item, value FROM previous) AS before
    USING (metric, district, item)
ORDER BY metric, district, item"""
    return Statement(METRICS.folder, sql, INPUTS, "file")


def _listed_sql(traits: Sequence[str], kinds: Collection[str]) -> str:
    """Return SQL of the items: metric, item, and whether they are counted by district."""
    place = f"list_position({list(traits)}, split_part({{}}.item, ':', 1))"
    named = [
        "SELECT metric, item FROM counted",
        f"SELECT 'portrait_pair', one.item || '/' || other.item\n"
        f"    FROM (FROM counted WHERE metric = 'portrait') AS one\n"
        f"    JOIN (FROM counted WHERE metric = 'portrait') AS other\n"
        f"        ON {place.format('one')} < {place.format('other')}",
        *(
            f"SELECT {sql_literal(one.code)}, item FROM counted"
            f" WHERE metric = {sql_literal(one.items_of)}"
            for one in DECLARED_METRICS
            if one.items_of
        ),
    ]
    only_city = in_list_sql([one.code for one in DECLARED_METRICS if not one.by_district])
    union = "\n    UNION\n    ".join(named)
    return f"""    SELECT metric, item,
        metric NOT IN ({only_city}) AND NOT (metric IN ('points', 'raised', 'lowered')
            AND item IN ({in_list_sql(kinds)})) AS by_district
    FROM (
    {union}
    )"""


def _fill(sql: str, parts: Mapping[str, str]) -> str:
    for name, part in parts.items():
        sql = sql.replace(name, part)
    return sql


def moved_relation(moved: Sequence[Moved]) -> str:
    """Return `moved` as SQL."""
    nobody: list[Moved] = [(None, None, 0)]
    rows = ", ".join(
        f"({', '.join('NULL' if code is None else sql_literal(code) for code in codes)}, {people})"
        for *codes, people in moved or nobody
    )
    typed = "CAST(before AS VARCHAR) AS before, CAST(now AS VARCHAR) AS now, people"
    return f"(SELECT {typed} FROM (VALUES {rows}) AS listed(before, now, people))"


def counted_relation(counted: Sequence[DistrictCount]) -> str:
    """Return what an earlier stage counted as SQL: district, item, value, people."""
    rows = ", ".join(
        f"({sql_literal(district)}, {sql_literal(item)}, {value}, {people})"
        for district, item, value, people in counted or [("", "", 0, 0)]
    )
    return f"(FROM (VALUES {rows}) AS listed(district, item, value, people))"


def _item_sql(column: str) -> str:
    """Return SQL of what a points column comes to in a district; nothing for other districts'."""
    item = sql_literal(strip_points_suffix(column))
    value = f"CAST(coalesce(sum({column}), 0) AS {VALUE})"
    return f"{{'item': {item}, 'value': {value}, 'people': count_if({column} <> 0)}}"
