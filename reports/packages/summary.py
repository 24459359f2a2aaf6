"""A district's page of figures. It leaves the operators' hands: people are rounded to 10, and nothing is said of fewer than 10."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from html import escape

from expectations.month import Month
from reports.html.page import render_document
from reports.packages.lists import PackageTitles, sum_columns
from transforms.comparison.changes import Moved
from transforms.comparison.metrics import list_band_names, score_band_sql
from transforms.engine.session import Session

FEW = 10
FEW_TEXT = f"少于 {FEW}"
STYLE = """
body { max-width: 46rem } td { width: 8rem } .bar { width: 45% }
.bar i { display: block; height: .8rem; margin-top: .4rem; background: var(--now); print-color-adjust: exact }
"""


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


def round_people(people: int) -> int | None:
    """A number of people to the nearest 10; None for fewer than 10."""
    return None if people < FEW else (people + 5) // 10 * 10


def render_summary_page(
    session: Session,
    district: str,
    policy: PackageTitles,
    month: Month,
    moved: Movement | None,
) -> str:
    """The page of one district, from the tables `people`, `eligible` and `reminded`. One HTML file, nothing loaded."""
    as_of = month.last_day
    title = f"{district} {as_of.year}年{as_of.month}月积分月报"
    body = [
        f"<h1>{escape(title)}</h1>",
        f"<p>计分日：{as_of.year}年{as_of.month}月{as_of.day}日</p>",
        _section("新居民", _people(session, moved)),
        _section("平均分", _means(session, policy)),
        _section("总分分布", _bars(_distribution(session))),
        _section("积分应用", _services(session)),
        _section(
            "提醒",
            _table(
                _counted(session, "SELECT kind, count(*) FROM reminded GROUP BY kind ORDER BY kind")
            ),
        ),
        f"<footer>人数四舍五入到 {FEW}；{FEW_TEXT} 人的不列数字，也不计平均分。逐人名单见同一文件夹中的其他文件。</footer>",
    ]
    return render_document(title, "\n".join(body), STYLE)


def _people(session: Session, moved: Movement | None) -> str:
    rows = _counted(session, "SELECT '本月人数', count(*) FROM people")
    if moved is None:
        return _table(rows) + "<p>上月未发布，没有迁移数字。</p>"
    changes = [
        ("本月迁入（上月在市内其他区县）", moved.moved_in),
        ("本月迁出（到市内其他区县）", moved.moved_out),
    ]
    changes += [("本月新登记", moved.arrived), ("本月不再登记", moved.left)]
    return _table([*rows, *((name, _number(people)) for name, people in changes)])


def _means(session: Session, policy: PackageTitles) -> str:
    columns = sum_columns(policy)
    totals = ", ".join(f"sum({column.name})" for column in columns)
    people, *points = session.execute(f"SELECT count(*), {totals} FROM people").fetchall()[0]
    if people < FEW:
        return f"<p>{FEW_TEXT} 人</p>"
    return _table(
        [
            (column.title, f"{Decimal(s) / people:.1f}")
            for column, s in zip(columns, points, strict=True)
        ]
    )


def _distribution(session: Session) -> list[tuple[str, int]]:
    """People by bands of their total points, those of the run report."""
    found = dict(
        session.execute(
            f"SELECT {score_band_sql('total_points')}, count(*) FROM people GROUP BY 1"
        ).fetchall()
    )
    return [(name, found.get(band, 0)) for band, name in list_band_names().items()]


def _bars(bands: Sequence[tuple[str, int]]) -> str:
    """Bars are drawn from the rounded numbers: their length says no more than the text."""
    longest = max((round_people(people) or 0 for _, people in bands), default=0) or 1
    rows = (
        f'<tr><th>{escape(name)}</th><th class="bar"><i style="width:{100 * (round_people(people) or 0) // longest}%"></i></th>'
        f"<td>{_number(people)}</td></tr>"
        for name, people in bands
    )
    return f"<table>{''.join(rows)}</table>"


def _services(session: Session) -> str:
    found = session.execute("""
        SELECT service, count(*) FILTER (WHERE reached = '是'), count(*) FILTER (WHERE reached = '否')
        FROM eligible GROUP BY service ORDER BY min(rowid)""").fetchall()
    return _table(
        [(name, _number(yes), _number(no)) for name, yes, no in found],
        ("服务", "已达标", "只差积分"),
    )


def _counted(session: Session, query: str) -> list[tuple[str, str]]:
    return [(name, _number(people)) for name, people in session.execute(query).fetchall()]


def _number(people: int) -> str:
    number = round_people(people)
    return FEW_TEXT if number is None else f"{number:,}"


def _section(title: str, content: str) -> str:
    return f"<h2>{escape(title)}</h2>\n{content}"


def _table(rows: Iterable[Sequence[str]], head: Sequence[str] = ()) -> str:
    """Rows of a name and its figures; no rows: says so."""
    lines = [
        f"<tr><th>{escape(name)}</th>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
        for name, *cells in rows
    ]
    if head and lines:
        first, *others = head
        lines.insert(
            0, f"<tr><th>{first}</th>{''.join(f'<td>{name}</td>' for name in others)}</tr>"
        )
    return f"<table>{''.join(lines)}</table>" if lines else "<p>本月没有。</p>"
