"""What a district's lists hold: what a clerk needs and no more. Deductions appear as one sum, never which."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from expectations.month import Month
from reports.packages.csv_cells import ListColumn
from reports.packages.xlsx import ROW_NUMBER, Sheet, column_to_fill, data_column, date_to_fill
from transforms.engine.aligned import zip_aligned
from transforms.engine.sql import sql_literal
from transforms.points.columns import points_column_name
from transforms.points.models import CITY, PointsVersion

DEDUCTION = "deduction_points"
_HANDLES = [
    ListColumn("month", "月份", "month"),
    ListColumn("resident_id", "公民身份号码", "code", width=21),
    ListColumn("name", "姓名", "text", width=12),
    ListColumn("phone", "联系电话", "code", width=14),
]
_CHILD = [
    ListColumn("child_id", "子女身份号码", "code", width=21),
    ListColumn("guardians", "各监护人的积分", "text"),
]
_COMMUNITY = ListColumn("community", "居住小区", "text")
REMINDERS = [
    ListColumn("month", "月份", "month", width=12),
    ListColumn("kind", "提醒事项", "text", width=16),
    ListColumn("service", "服务", "text", width=16),
    *_HANDLES[1:],
    ListColumn("due_on", "截止日期", width=12),
    ListColumn("text", "内容", "text", width=56),
    ListColumn("added_in", "首次列入版本", width=9),
    ListColumn("attempt", "提醒次数", "text", width=14),
]
# What is known of an earlier attempt stands with its number.
_ATTEMPT = """'第 ' || coalesce(attempt, 1) || ' 次' || CASE last_outcome
        WHEN 'unreachable' THEN '，上次未联系上' WHEN 'unanswered' THEN '，上次没有结果'
        WHEN 'wrong_number' THEN '，号码已更正' ELSE '' END"""
OUTCOMES = ["已通知", "已办理", "不需要", "未联系上", "号码有误"]
_WORKBOOK_COLUMNS = [
    ROW_NUMBER,
    *map(data_column, REMINDERS),
    column_to_fill("办理结果", 11, OUTCOMES),
    date_to_fill("办理日期", 12),
    column_to_fill("备注", 18),
    replace(data_column(ListColumn("reminder_id", "提醒编号")), printed=False),
]


@dataclass(frozen=True)
class PackageTitles:
    """What names the lists' columns: versions in force on the scoring date, titles of services and reminder kinds.

    `of_children`: the services of children.
    """

    city: PointsVersion
    districts: Mapping[str, PointsVersion]
    services: Mapping[str, str]
    reminders: Mapping[str, str]
    of_children: frozenset[str] = frozenset()


def reminder_sheet(district: str, month: Month) -> Sheet:
    """Return the sheet of reminders.xlsx: the list, and columns in which the district answers."""
    as_of = month.last_day
    title = f"{district} {as_of.year}年{as_of.month}月 提醒名单"
    return Sheet("提醒名单", title, _WORKBOOK_COLUMNS)


def score_list_columns(policy: PackageTitles, district: str) -> list[ListColumn]:
    """The columns of scores.csv: positive indicators of the city and of this district, then the sums."""
    city = policy.city
    here = policy.districts.get(district)
    indicators = [
        ListColumn(points_column_name(CITY, code), indicator.title)
        for code, indicator in city.indicators.items()
        if not city.sections[_section(city, indicator.section)].subtract
    ]
    own = (
        [ListColumn(points_column_name(district, c), i.title) for c, i in here.indicators.items()]
        if here
        else []
    )
    return _distinct([*_HANDLES, _COMMUNITY, *indicators, *own, *sum_columns(policy)])


def sum_columns(policy: PackageTitles) -> list[ListColumn]:
    """Section sums, the one sum of deductions, and what they add up to."""
    added = [
        (code, section) for code, section in policy.city.sections.items() if not section.subtract
    ]
    return [
        *(ListColumn(points_column_name(CITY, code), section.title) for code, section in added),
        ListColumn(DEDUCTION, "扣分合计"),
        ListColumn("common_points", "共性分"),
        ListColumn("district_points", "个性分"),
        ListColumn("total_points", "总分"),
    ]


def eligibility_list_columns(policy: PackageTitles) -> list[ListColumn]:
    """The columns of eligibility.csv: one row per service and person who has reached it or lacks nothing but points.

    `score` is what the service counts; without a rank of its own, it decides the rank.
    """
    *parts, total = sum_columns(policy)
    return _distinct(
        [
            _HANDLES[0],
            ListColumn("service", "服务", "text"),
            ListColumn("rank_class", "排名类别", "text"),
            ListColumn("rank", "排名"),
            *_HANDLES[1:],
            _COMMUNITY,
            ListColumn("reached", "是否达标"),
            ListColumn("score", "所计积分"),
            ListColumn("lacking", "尚缺"),
            ListColumn("monthly_amount", "每月金额（元）"),
            *(_CHILD if policy.of_children else []),
            total,
            *parts,
        ]
    )


def people_rows_sql(policy: PackageTitles, district: str, scores: str, identities: str) -> str:
    """Everyone scored in the district with what the lists say of them, and the key that joins them to other tables.

    `scores` and `identities` hold the same residents in one order. Sorted by ID: the order of the keys would reveal
    whoever holds both the list and the analysts' tables who is who.
    """
    deductions = [
        points_column_name(CITY, code)
        for code, section in policy.city.sections.items()
        if section.subtract
    ]
    deducted = " + ".join(deductions) or "0"
    made = {DEDUCTION: f"CAST({deducted} AS DECIMAL(7, 2)) AS {DEDUCTION}"}
    columns = ", ".join(
        made.get(column.name, column.name) for column in score_list_columns(policy, district)
    )
    a, b = (
        f"(FROM {table} WHERE district = {sql_literal(district)})" for table in (scores, identities)
    )
    rows = zip_aligned(
        a, b, ["a.* EXCLUDE (resident_key)", "b.resident_id", "b.name", "b.phone", "b.community"]
    )
    return f"SELECT {columns}, resident_key\nFROM (\n{rows}\n)\nORDER BY resident_id"


def eligibility_rows_sql(policy: PackageTitles, district: str, eligibility: str) -> str:
    """The rows of `eligibility` about `people`: as ranked; a service without ranks by its score.

    Who has reached the service comes before who has not; equals share a rank. Services in their declared order.
    A child's row names the guardian of this district whose points count, of several the first by ID; reads `families`.
    """
    handles = ", ".join(column.name for column in [*_HANDLES[1:], _COMMUNITY, *sum_columns(policy)])
    short = "'积分还差 ' || CAST(points_short AS VARCHAR) || ' 分'"
    named, source = "", "mine JOIN people USING (resident_key)"
    if policy.of_children:
        named = ", child_id, guardians"
        source = (
            "mine LEFT JOIN children USING (resident_key, service)"
            " JOIN people ON people.resident_key = coalesce(children.guardian, mine.resident_key)"
        )
    return f"""
WITH mine AS (FROM {eligibility} WHERE district = {sql_literal(district)}),
{_children_sql(policy) if policy.of_children else ""}listed AS (
    SELECT people.month, service AS code, {handles}, eligible, points_short, score, monthly_amount, rank_class,
        coalesce(rank, rank() OVER (PARTITION BY service ORDER BY eligible DESC, score DESC)) AS rank{named}
    FROM {source}
),
in_order AS (FROM listed ORDER BY {_place("code", policy.services)}, code, rank, resident_id{", child_id" if named else ""})
SELECT * EXCLUDE (code, eligible, points_short), {title_sql("code", policy.services)} AS service,
    CASE WHEN eligible THEN '是' ELSE '否' END AS reached, CASE WHEN NOT eligible THEN {short} END AS lacking
FROM in_order"""


def _children_sql(policy: PackageTitles) -> str:
    """The relation `children`: of each child the guardian who is named, and everybody's points."""
    city = policy.city
    titles = {points_column_name(CITY, code): one.title for code, one in city.sections.items()}
    titles |= {points_column_name(CITY, code): one.title for code, one in city.indicators.items()}
    part = f"CASE one.part WHEN 'score' THEN '' ELSE {title_sql('one.part', titles)} || ' ' END"
    counts = "CASE WHEN one.less THEN '（不计入）' ELSE '（计入）' END"
    entry = f"{part} || CAST(-one.points AS VARCHAR) || ' 分' || {counts}"
    order = "{'part': part, 'less': NOT counted, 'points': -points}"
    return f"""children AS (
    SELECT families.child_key AS resident_key, families.service, min(families.child_id) AS child_id,
        arg_min(people.resident_key, {{'less': NOT counted, 'id': people.resident_id}})
            FILTER (WHERE people.resident_key IS NOT NULL) AS guardian,
        array_to_string(
            list_transform(list_sort(list({order})), lambda one: {entry}), '、') AS guardians
    FROM families LEFT JOIN people ON people.resident_key = families.guardian_key
    GROUP BY families.child_key, families.service
),
"""


def reminder_rows_sql(policy: PackageTitles, reminders: str) -> str:
    """The reminders of the `people` of this district, by kind and date."""
    return f"""
SELECT month, {title_sql("kind", policy.reminders)} AS kind, {title_sql("service", policy.services)} AS service,
    resident_id, name, phone, due_on, text, 'r' || added_in AS added_in,
    {_ATTEMPT} AS attempt, reminder_id
FROM {reminders} SEMI JOIN people USING (resident_id)
ORDER BY kind, service, due_on, resident_id, text, added_in"""


def withdrawn_rows_sql(policy: PackageTitles, district: str, withdrawn: str) -> str:
    """Return the reminders that a district was given before and that are not true any more."""
    return f"""
SELECT month, {title_sql("kind", policy.reminders)} AS kind, {title_sql("service", policy.services)} AS service,
    resident_id, name, phone, due_on, text, 'r' || added_in AS added_in,
    {_ATTEMPT} AS attempt, reminder_id
FROM {withdrawn} WHERE district = {sql_literal(district)}
ORDER BY kind, service, due_on, resident_id, text, added_in"""


def title_sql(column: str, titles: Mapping[str, str]) -> str:
    """A code as people call it."""
    whens = " ".join(
        f"WHEN {sql_literal(code)} THEN {sql_literal(title)}" for code, title in titles.items()
    )
    return f"CASE {column} {whens} ELSE {column} END" if whens else column


def _place(column: str, codes: Mapping[str, str]) -> str:
    """Where a code stands among those declared; without any, the code itself."""
    whens = " ".join(f"WHEN {sql_literal(code)} THEN {place}" for place, code in enumerate(codes))
    return f"CASE {column} {whens} END" if whens else column


def _section(version: PointsVersion, parent: str) -> str:
    """The section at the top of the groups that an indicator stands in."""
    return _section(version, version.groups[parent].parent) if parent in version.groups else parent


def _distinct(columns: Sequence[ListColumn]) -> list[ListColumn]:
    """Headers that occur twice get the column's name added: a header names one column."""
    times = Counter(column.title for column in columns)
    return [
        replace(c, title=f"{c.title}（{c.name}）") if times[c.title] > 1 else c for c in columns
    ]
