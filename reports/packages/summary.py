"""A district's page of figures, with the disclosure rules of pages that leave the operators' hands."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from expectations.month import Month
from reports.disclosure import FEW, FEW_TEXT, format_people, round_people
from reports.html.charts import DataBar
from reports.html.environment import render_template
from reports.packages.lists import PackageTitles, sum_columns
from transforms.comparison.changes import Moved
from transforms.comparison.metrics import list_band_names, score_band_sql
from transforms.engine.session import Session

Rows = list[tuple[str, ...]]


@dataclass
class Movement:
    """Exact numbers of people against the month before: from and to other districts, newly scored, no longer scored."""

    moved_in: int = 0
    moved_out: int = 0
    arrived: int = 0
    left: int = 0


def count_movements(moved: Iterable[Moved]) -> dict[str, Movement]:
    """Movement by district, from people by the district before and the district now."""
    found: dict[str, Movement] = {}
    for then, now, people in moved:
        if now:
            here = found.setdefault(now, Movement())
            here.moved_in, here.arrived = (
                here.moved_in + (people if then else 0),
                here.arrived + (0 if then else people),
            )
        if then:
            there = found.setdefault(then, Movement())
            there.moved_out, there.left = (
                there.moved_out + (people if now else 0),
                there.left + (0 if now else people),
            )
    return found


def render_summary_page(
    session: Session,
    district: str,
    policy: PackageTitles,
    month: Month,
    moved: Movement | None,
) -> str:
    """Return the page of one district, from the tables `people`, `eligible` and `reminded`."""
    as_of = month.last_day
    reminders = "SELECT kind, count(*) FROM reminded GROUP BY kind ORDER BY kind"
    return render_template(
        "summary.html.j2",
        title=f"{district} {as_of.year}年{as_of.month}月积分月报",
        scoring_date=f"{as_of.year}年{as_of.month}月{as_of.day}日",
        few=FEW_TEXT,
        has_previous=moved is not None,
        people=_count(session, "SELECT '本月人数', count(*) FROM people") + _list_movements(moved),
        means=_list_means(session, policy),
        distribution=_list_bands(session),
        services=_list_services(session),
        reminders=_count(session, reminders),
    )


def _list_movements(moved: Movement | None) -> Rows:
    if moved is None:
        return []
    return [
        ("本月迁入（上月在市内其他区县）", format_people(moved.moved_in)),
        ("本月迁出（到市内其他区县）", format_people(moved.moved_out)),
        ("本月新登记", format_people(moved.arrived)),
        ("本月不再登记", format_people(moved.left)),
    ]


def _list_means(session: Session, policy: PackageTitles) -> Rows:
    """Return the means of sections and totals; none where they would be of fewer than 10 people."""
    columns = sum_columns(policy)
    totals = ", ".join(f"sum({column.name})" for column in columns)
    people, *points = session.execute(f"SELECT count(*), {totals} FROM people").fetchall()[0]
    if people < FEW:
        return []
    return [
        (column.title, f"{Decimal(points_sum) / people:.1f}")
        for column, points_sum in zip(columns, points, strict=True)
    ]


def _list_bands(session: Session) -> list[DataBar]:
    """Return people by band of total points; bars of rounded numbers show no more than the text."""
    counts = f"SELECT {score_band_sql('total_points')}, count(*) FROM people GROUP BY 1"
    found = dict(session.execute(counts).fetchall())
    bands = {name: found.get(band, 0) for band, name in list_band_names().items()}
    longest = max(round_people(people) or 0 for people in bands.values()) or 1
    return [
        DataBar(name, 100 * (round_people(people) or 0) // longest, format_people(people))
        for name, people in bands.items()
    ]


def _list_services(session: Session) -> Rows:
    return _count(
        session,
        """
        SELECT service, count(*) FILTER (WHERE reached = '是'), count(*) FILTER (WHERE reached = '否')
        FROM eligible GROUP BY service ORDER BY min(rowid)""",
    )


def _count(session: Session, query: str) -> Rows:
    """Return rows of a name and of numbers of people, as the page shows them."""
    found = session.execute(query).fetchall()
    return [(name, *map(format_people, counts)) for name, *counts in found]
