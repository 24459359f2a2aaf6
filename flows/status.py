"""Where each month stands: published, stale, held, received; and what is due, missing or late."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from expectations.month import Month
from flows.build import build_folder
from flows.holding import read_held
from flows.house import House, load_house
from flows.publish import delivery_facts, published, published_months
from flows.pull import deliveries, inbox_months
from flows.root import Root, months_in, open_root
from flows.settings import Settings


def stale_months(root: Root, sources: list[str]) -> list[Month]:
    """Published months whose deliveries have changed since: of any source, in the month or before."""
    known = [delivery_facts(delivery) for source in sources for delivery in deliveries(root, source)]
    stale = []
    for month in published_months(root):
        revision = published(root, month)
        upto = [delivery for delivery in known if Month.parse(delivery["month"]) <= month]
        if revision and _content(revision.manifest["received"]) != _content(upto):
            stale.append(month)
    return stale


def _content(named: list[dict[str, object]]) -> set[tuple[object, ...]]:
    return {(item["source"], item["month"], item["content"]) for item in named}


def month_lines(settings: Settings, today: dt.date | None = None) -> Iterator[tuple[str, str, str, str, str]]:
    """One line per month that is known, and for the one that is due: month, state, revision, residents, what to do.

    Due is the month after the newest published; what has not come by its last day is late on `today`.
    """
    root, house = open_root(settings), load_house(settings)
    stale = set(stale_months(root, list(house.sources)))
    done = published_months(root)
    due = done[-1] + 1 if done else None
    for month in sorted({*done, *inbox_months(root), *months_in(root.raw), *([due] if due else [])}):
        revision, held = published(root, month), read_held(root, str(month))
        state = "待运行" if revision is None else "已过期，需重新运行" if month in stale else "已发布"
        told = [_missing(house, root, month, today or dt.date.today())]
        if held and build_folder(root, str(month), held.build).is_dir():
            state = "待核（以前的版本仍有效）" if revision else "待核"
            told = [f"{len(held.reasons)} 项与上月相差超出限度，报告 {held.report}", *told]
        number = f"r{revision.number}" if revision else ""
        residents = f"{revision.manifest['residents']:,}" if revision else ""
        yield str(month), state, number, residents, "；".join(told)


def _missing(house: House, root: Root, month: Month, today: dt.date) -> str:
    waiting = root.inbox / str(month)
    offered = {path.name.split(".")[0] for path in waiting.iterdir()} if waiting.is_dir() else set()
    absent = [
        source.title
        for name, source in house.sources.items()
        if name not in offered and all(delivery.month != month for delivery in deliveries(root, name))
    ]
    if not absent:
        return "各来源齐全"
    late = (today - month.last_day).days
    return f"{f'逾期 {late} 天' if late > 0 else f'应于 {month.last_day} 交齐'}，缺少：{'、'.join(absent)}"
