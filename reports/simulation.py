"""The page of a simulation, with the disclosure rules of pages that leave the operators' hands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from reports.disclosure import FEW, FEW_TEXT, round_mean, round_people
from reports.html.charts import DataBar
from reports.html.environment import render_template
from transforms.engine.parquet import read_folder_sql
from transforms.engine.session import Session

MARKS = (Decimal(-20), Decimal(-10), Decimal(-5), Decimal(0), Decimal(5), Decimal(10), Decimal(20))
Rows = list[tuple[str, ...]]


@dataclass(frozen=True)
class SimulationContext:
    """What the page says beside the numbers: the month simulated, titles by code, and what was tried, in sentences."""

    month: str
    districts: Mapping[str, str]
    items: Mapping[str, str]
    sums: frozenset[str]
    services: Mapping[str, str]
    tried: Sequence[str]


@dataclass(frozen=True)
class Effect:
    """Exact numbers of one line of a table: people who gain and lose points, and how many points together."""

    gainers: int
    losers: int
    gained: Decimal
    lost: Decimal


NOBODY = Effect(0, 0, Decimal(0), Decimal(0))


def render_simulation_page(
    session: Session, revision: Path, result: Path, frame: SimulationContext
) -> str:
    """Return the page of the differences that `simulate` has written to `result`."""
    total = measure_total_effect(session, result)
    residents = _count_residents(session, revision)
    everyone = sum(residents.values())
    return render_template(
        "simulation.html.j2",
        title=f"积分草案模拟 {frame.month}",
        month=frame.month,
        tried=frame.tried,
        effect=describe_effect(total, everyone),
        distribution=_list_bands(session, everyone),
        districts=_list_districts(session, frame, residents),
        sums=_list_items(session, frame, sums=True),
        indicators=_list_items(session, frame, sums=False),
        services=_list_services(session, frame, revision, result),
    )


def describe_effect(total: Effect, everyone: int) -> str:
    """Who gains and who loses, in one sentence."""
    same = everyone - total.gainers - total.losers
    gainers, losers = format_people(total.gainers), format_people(total.losers)
    moved = f"总分增加 {gainers} 人，减少 {losers} 人，不变 {format_people(same)} 人"
    return f"全市 {format_people(everyone)} 人：{moved}。"


def format_people(number: int) -> str:
    """Return a number of people as the page shows it: of changes, nobody is 0."""
    rounded = round_people(number)
    return FEW_TEXT if rounded is None and number else f"{rounded or 0:,}"


def measure_total_effect(session: Session, result: Path) -> Effect:
    """The effect on total points over everyone; makes the view `points` of the differences."""
    session.execute(
        f"CREATE OR REPLACE TEMP VIEW points AS FROM {read_folder_sql(result / 'points')}"
    )
    return _measure_effects(session, "'all'", "item = 'total'").get("all", NOBODY)


def _count_residents(session: Session, revision: Path) -> dict[str, int]:
    scores = read_folder_sql(revision / "scores")
    return dict(
        session.execute(f"SELECT district, count(*) FROM {scores} GROUP BY 1 ORDER BY 1").fetchall()
    )


def _measure_effects(session: Session, by: str, where: str = "true") -> dict[str, Effect]:
    rows = session.execute(f"""
        SELECT {by}, count(*) FILTER (change > 0), count(*) FILTER (change < 0),
            coalesce(sum(change) FILTER (change > 0), 0), coalesce(sum(change) FILTER (change < 0), 0)
        FROM (SELECT *, coalesce(after, 0) - coalesce(before, 0) AS change FROM points WHERE {where})
        GROUP BY 1""").fetchall()
    return {name: Effect(*numbers) for name, *numbers in rows}


def _list_bands(session: Session, everyone: int) -> list[DataBar]:
    """Return people by the change of their total: bands to both sides of no change."""
    below = " ".join(f"WHEN change < {mark} THEN {place}" for place, mark in enumerate(MARKS[:4]))
    above = " ".join(
        f"WHEN change <= {mark} THEN {place}" for place, mark in enumerate(MARKS[4:], 5)
    )
    found: dict[int, int] = dict(
        session.execute(f"""
            SELECT CASE {below} {above} ELSE 8 END, count(*)
            FROM (SELECT after - before AS change FROM points WHERE item = 'total') GROUP BY 1""").fetchall()
    )
    found[4] = everyone - sum(found.values())
    names = ["减少超过 20 分", "减少 10 至 20 分", "减少 5 至 10 分", "减少 5 分以内", "不变"]
    names += ["增加 5 分以内", "增加 5 至 10 分", "增加 10 至 20 分", "增加超过 20 分"]
    longest = max(round_people(number) or 0 for number in found.values()) or 1
    return [
        DataBar(
            name,
            100 * (round_people(found.get(place, 0)) or 0) // longest,
            format_people(found.get(place, 0)),
            "down" if place < 4 else "up",
        )
        for place, name in enumerate(names)
    ]


def _list_districts(
    session: Session, frame: SimulationContext, residents: Mapping[str, int]
) -> Rows:
    found = _measure_effects(session, "district", "item = 'total'")
    return [
        (
            frame.districts.get(code, code),
            format_people(number),
            *_format_effect(found.get(code, NOBODY)),
        )
        for code, number in residents.items()
    ]


def _list_items(session: Session, frame: SimulationContext, *, sums: bool) -> Rows:
    found = _measure_effects(session, "item")
    order = {item: place for place, item in enumerate(frame.items)}
    listed = [
        item
        for item in sorted(found, key=lambda item: order.get(item, len(order)))
        if (item in frame.sums) is sums
    ]
    return [(frame.items.get(item, item), *_format_effect(found[item])) for item in listed]


def _format_effect(effect: Effect) -> tuple[str, ...]:
    return (
        format_people(effect.gainers),
        _format_mean(effect.gained, effect.gainers),
        format_people(effect.losers),
        _format_mean(effect.lost, effect.losers),
    )


def _format_mean(points: Decimal, number: int) -> str:
    mean = round_mean(points, number)
    return "—" if mean is None else f"{mean:+}"


def _list_services(
    session: Session, frame: SimulationContext, revision: Path, result: Path
) -> Rows | None:
    """Return one row per service and per district where something changes; None: not published."""
    if not any((result / "services").iterdir()):
        return None
    session.execute(
        f"CREATE OR REPLACE TEMP VIEW service_changes AS FROM {read_folder_sql(result / 'services')}"
    )
    published = f"(SELECT service, district, eligible, monthly_amount FROM {read_folder_sql(revision / 'eligibility')})"
    rows = session.execute(f"""
        WITH earlier AS (
            SELECT service, district, count(*) AS reached, coalesce(sum(monthly_amount), 0) AS money
            FROM {published} WHERE eligible GROUP BY ALL
        ),
        moved AS (
            SELECT service, district,
                count(*) FILTER (eligible IS TRUE AND eligible_before IS NOT TRUE) AS more,
                count(*) FILTER (eligible IS NOT TRUE AND eligible_before IS TRUE) AS fewer,
                count(*) FILTER (paid <> paid_before) AS paid_otherwise,
                coalesce(sum(paid - paid_before), 0) AS money
            FROM (
                SELECT *, CASE WHEN eligible THEN coalesce(monthly_amount, 0) ELSE 0 END AS paid,
                    CASE WHEN eligible_before THEN coalesce(monthly_amount_before, 0) ELSE 0 END AS paid_before
                FROM service_changes
            ) GROUP BY ALL
        )
        SELECT service, CASE WHEN grouping(district) = 1 THEN '' ELSE district END AS district,
            sum(coalesce(reached, 0)), sum(coalesce(more, 0)), sum(coalesce(fewer, 0)), sum(coalesce(paid_otherwise, 0)),
            sum(coalesce(earlier.money, 0)), sum(coalesce(moved.money, 0))
        FROM earlier FULL JOIN moved USING (service, district)
        GROUP BY GROUPING SETS ((service), (service, district))
        ORDER BY service, district""").fetchall()
    order = {code: place for place, code in enumerate(frame.services)}
    rows = [
        row for row in rows if not row[1] or any(row[3:6])
    ]  # districts only where something changes
    rows.sort(key=lambda row: (order.get(row[0], len(order)), row[1]))
    return [_service_row(frame, row) for row in rows]


def _service_row(frame: SimulationContext, row: Sequence[Any]) -> tuple[str, ...]:
    """Money is shown like a mean: only over at least 10 people, and a change only when at least 10 are paid otherwise."""
    code, district, reached, more, fewer, paid_otherwise, money, more_money = row
    name = frame.districts.get(district, district) if district else frame.services.get(code, code)
    before = _format_yuan(money, reached)
    after = (
        _format_yuan(money + more_money, reached + more - fewer) if paid_otherwise >= FEW else "—"
    )
    if not paid_otherwise:
        after = before
    return (
        f"{'　' if district else ''}{name}",
        format_people(reached),
        format_people(more),
        format_people(fewer),
        before,
        after,
    )


def _format_yuan(money: Decimal, number: int) -> str:
    """What the rounded number of people would get: exact sums less those of all but one district would be exact again."""
    rounded = round_people(number)
    return f"{money / number * rounded:,.0f}" if rounded and money else "—"
