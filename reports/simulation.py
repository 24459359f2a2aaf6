"""The page of a simulation. It may leave the operators' hands: people are rounded to 10, nothing is said of fewer than 10."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from html import escape
from pathlib import Path
from typing import Any

from reports.html.page import render_document
from reports.packages.summary import FEW, FEW_TEXT, STYLE, round_people
from transforms.engine.parquet import read_folder_sql
from transforms.engine.session import Session

MARKS = (Decimal(-20), Decimal(-10), Decimal(-5), Decimal(0), Decimal(5), Decimal(10), Decimal(20))
MORE_STYLE = """
body { max-width: 60rem } td { width: auto } .sum { font-weight: bold }
.bar i.down { background: #fff; border: 2px solid var(--down) } ul { padding-left: 1.2rem }
"""


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
    """One HTML file, nothing loaded from anywhere, of the differences that `simulate` has written to `result`."""
    total = measure_total_effect(session, result)
    residents = _residents(session, revision)
    everyone = sum(residents.values())
    title = f"积分草案模拟 {frame.month}"
    body = [
        f"<h1>{escape(title)}</h1>",
        "<ul>" + "".join(f"<li>{escape(text)}</li>" for text in frame.tried) + "</ul>",
        f"<p class='sum'>{describe_effect(total, everyone)}</p>",
        _section("总分变化分布", _distribution(session, everyone)),
        _section("按区县（总分）", _by_district(session, frame, residents)),
        _section("按部分与合计", _by_item(session, frame, sums=True)),
        _section("按指标", _by_item(session, frame, sums=False)),
        _section("积分应用", _services(session, frame, revision, result)),
        f"<footer>以 {escape(frame.month)} 已发布的数据按草案重新计算，不影响任何已发布的结果。"
        f"人数四舍五入到 {FEW}，不足 {FEW} 人不列数字，平均数只对至少 {FEW} 人计算，金额按舍入后的人数折算。"
        "扣分项目的“增加”指多扣。</footer>",
    ]
    return render_document(title, "\n".join(body), STYLE + MORE_STYLE)


def describe_effect(total: Effect, everyone: int) -> str:
    """Who gains and who loses, in one sentence."""
    same = everyone - total.gainers - total.losers
    gainers, losers = format_people(total.gainers), format_people(total.losers)
    moved = f"总分增加 {gainers} 人，减少 {losers} 人，不变 {format_people(same)} 人"
    return f"全市 {format_people(everyone)} 人：{moved}。"


def format_people(number: int) -> str:
    """A number of people as the page says it."""
    told = round_people(number)
    return FEW_TEXT if told is None and number else f"{told or 0:,}"


def measure_total_effect(session: Session, result: Path) -> Effect:
    """The effect on total points over everyone; makes the view `points` of the differences."""
    session.execute(
        f"CREATE OR REPLACE TEMP VIEW points AS FROM {read_folder_sql(result / 'points')}"
    )
    return _effects(session, "'all'", "item = 'total'").get("all", NOBODY)


def _residents(session: Session, revision: Path) -> dict[str, int]:
    scores = read_folder_sql(revision / "scores")
    return dict(
        session.execute(f"SELECT district, count(*) FROM {scores} GROUP BY 1 ORDER BY 1").fetchall()
    )


def _effects(session: Session, by: str, where: str = "true") -> dict[str, Effect]:
    rows = session.execute(f"""
        SELECT {by}, count(*) FILTER (change > 0), count(*) FILTER (change < 0),
            coalesce(sum(change) FILTER (change > 0), 0), coalesce(sum(change) FILTER (change < 0), 0)
        FROM (SELECT *, coalesce(after, 0) - coalesce(before, 0) AS change FROM points WHERE {where})
        GROUP BY 1""").fetchall()
    return {name: Effect(*numbers) for name, *numbers in rows}


def _distribution(session: Session, everyone: int) -> str:
    """People by the change of their total: bands to both sides of no change."""
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
    rows = []
    for place, name in enumerate(names):
        number = found.get(place, 0)
        bar = f'<i class="{"down" if place < 4 else "up"}" style="width:{100 * (round_people(number) or 0) // longest}%"></i>'
        rows.append(
            f'<tr><th>{name}</th><th class="bar">{bar}</th><td>{format_people(number)}</td></tr>'
        )
    return f"<table>{''.join(rows)}</table>"


def _by_district(session: Session, frame: SimulationContext, residents: Mapping[str, int]) -> str:
    found = _effects(session, "district", "item = 'total'")
    rows = [
        (frame.districts.get(code, code), format_people(number), *_effect(found.get(code, NOBODY)))
        for code, number in residents.items()
    ]
    return _table(("区县", "人数", "增加人数", "平均增加", "减少人数", "平均减少"), rows)


def _by_item(session: Session, frame: SimulationContext, *, sums: bool) -> str:
    found = _effects(session, "item")
    order = {item: place for place, item in enumerate(frame.items)}
    listed = [
        item
        for item in sorted(found, key=lambda item: order.get(item, len(order)))
        if (item in frame.sums) is sums
    ]
    rows = [(frame.items.get(item, item), *_effect(found[item])) for item in listed]
    return _table(("项目", "增加人数", "平均增加", "减少人数", "平均减少"), rows)


def _effect(effect: Effect) -> tuple[str, ...]:
    return (
        format_people(effect.gainers),
        _mean(effect.gained, effect.gainers),
        format_people(effect.losers),
        _mean(effect.lost, effect.losers),
    )


def _mean(points: Decimal, number: int) -> str:
    return f"{points / number:+.2f}" if number >= FEW else "—"


def _services(session: Session, frame: SimulationContext, revision: Path, result: Path) -> str:
    if not any((result / "services").iterdir()):
        return "<p>该月没有发布积分应用的结果。</p>"
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
    return _table(
        ("服务", "现已达标", "新达标", "不再达标", "现每月金额（元）", "草案每月金额（元）"),
        [_service(frame, row) for row in rows],
    )


def _service(frame: SimulationContext, row: Sequence[Any]) -> tuple[str, ...]:
    """Money is told like a mean: only over at least 10 people, and a change only when at least 10 are paid otherwise."""
    code, district, reached, more, fewer, paid_otherwise, money, more_money = row
    name = frame.districts.get(district, district) if district else frame.services.get(code, code)
    before = _yuan(money, reached)
    after = _yuan(money + more_money, reached + more - fewer) if paid_otherwise >= FEW else "—"
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


def _yuan(money: Decimal, number: int) -> str:
    """What the rounded number of people would get: exact sums less those of all but one district would be exact again."""
    told = round_people(number)
    return f"{money / number * told:,.0f}" if told and money else "—"


def _section(title: str, content: str) -> str:
    return f"<h2>{escape(title)}</h2>\n{content}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    first, *others = head
    lines = [f"<tr><th>{first}</th>{''.join(f'<td>{name}</td>' for name in others)}</tr>"]
    lines += [
        f"<tr><th>{escape(name)}</th>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
        for name, *cells in rows
    ]
    return f"<table>{''.join(lines)}</table>" if len(lines) > 1 else "<p>没有变化。</p>"
