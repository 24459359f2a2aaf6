"""The metrics of a month as a table: what people ask every month, counted once.

A metric is declared in `DECLARED_METRICS` and counted by one query, district by district; the whole
city is the sum of the districts, under the code `city`. What nobody has has no row. Cells of fewer
than `FEW_PEOPLE` people are null, and the smallest of the other districts' cells with them where the
city's cell would otherwise reveal a single one, or fewer than so many people in all. The previous
month's value is that month's own cell.

The table is the analysts' (`transforms.outputs.METRICS`); `leaves_bureau` says which metrics may
stand, rounded, on pages for others.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from transforms.comparison.changes import Moved
from transforms.comparison.metrics import score_band_sql
from transforms.comparison.portrait import combined_sql, list_portrait_traits, traits_sql
from transforms.engine.sql import sql_literal
from transforms.engine.statements import Statement
from transforms.outputs import METRICS, DistrictCount
from transforms.points.columns import strip_points_suffix
from transforms.points.models import CITY

FEW_PEOPLE = 10
INPUTS = (
    *("scores", "facts", "eligibility", "changes", "moved", "reminders", "outcomes", "cases"),
    "previous",
)
POINTS_NEAR = 5
"""Who lacks at most so many points for a service, and nothing else, is near it."""
VALUE = "DECIMAL(18,2)"


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
    """

    code: str
    title: str
    unit: str
    item: str
    meaning: str
    sql: str
    leaves_bureau: bool = True


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
    ),
    Metric(
        "near_amount",
        "接近达标者的金额",
        "yuan",
        "service",
        "yuan a month that those near a service would be due, where their amount is known",
        f"SELECT district, service AS item, sum(monthly_amount) AS value, {_PEOPLE} {_NEAR}"
        " AND monthly_amount IS NOT NULL GROUP BY ALL",
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
        "SELECT district, item, value, people FROM outcomes",
    ),
    Metric(
        "objection_cases",
        "异议",
        "count",
        "open, overdue, upheld or rejected",
        "cases not decided yet, in time or overdue, and those decided by what came in the month",
        "SELECT district, item, value, people FROM cases",
    ),
)


def metrics_statement(points_columns: Sequence[str], facts: Collection[str]) -> Statement:
    """Return the query of the metrics: one row per metric, district (or city) and item.

    It reads tables of the month, `moved` (before, now, people: districts of those who came, left or
    moved), `outcomes` and `cases` (see `counted_relation`), and `previous`, the metrics of the month
    before. Parameters: $month (first day), $revision.

    Args:
        points_columns: Those of `scores`.
        facts: The columns of `facts`.
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
    few = f"(people < {FEW_PEOPLE} AND district <> {sql_literal(CITY)})"
    sql = f"""WITH combined AS MATERIALIZED (
{combined_sql(traits)}
),
counted AS (
{counted}
),
everywhere AS (
    FROM counted WHERE people > 0
    UNION ALL
    SELECT metric, {sql_literal(CITY)}, item, sum(value), CAST(sum(people) AS BIGINT)
    FROM counted WHERE people > 0 GROUP BY metric, item
),
ranked AS (
    SELECT *, {few} AS few, count(*) FILTER ({few}) OVER cell AS few_cells,
        sum(people) FILTER ({few}) OVER cell AS few_people,
        row_number() OVER (cell ORDER BY {few} OR district = {sql_literal(CITY)}, people, district)
            AS place
    FROM everywhere WINDOW cell AS (PARTITION BY metric, item)
),
shown AS (
    SELECT metric, district, item, value, people,
        people >= {FEW_PEOPLE} AND NOT (place = 1 AND district <> {sql_literal(CITY)}
            AND few_cells > 0 AND (few_cells = 1 OR few_people < {FEW_PEOPLE})) AS is_shown
    FROM ranked
)
SELECT CAST($month AS DATE) AS month, CAST($revision AS INTEGER) AS revision, metric, district,
    item, CAST(CASE WHEN is_shown THEN shown.value END AS {VALUE}) AS value,
    CASE WHEN is_shown THEN people END AS people, before.value AS previous
FROM shown
LEFT JOIN (SELECT metric, district, item, value FROM previous) AS before
    USING (metric, district, item)
ORDER BY metric, district, item"""
    return Statement(METRICS.folder, sql, INPUTS, "file")


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
