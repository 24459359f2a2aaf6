"""Where each month stands: published, stale, received, waiting, missing."""

from __future__ import annotations

from collections.abc import Iterator

from expectations.month import Month
from flows.house import House, load_house
from flows.publish import delivery_facts, published, published_months
from flows.pull import deliveries, inbox_months
from flows.root import Root, months_in
from flows.running import open_root
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


def month_lines(settings: Settings) -> Iterator[tuple[str, str, str, str, str]]:
    """One line per month that is known: month, state, revision, residents, what is missing or waiting."""
    root, house = open_root(settings), load_house(settings)
    stale = set(stale_months(root, list(house.sources)))
    months = sorted({*published_months(root), *inbox_months(root), *months_in(root.raw)})
    for month in months:
        revision = published(root, month)
        state = "待运行" if revision is None else "已过期，需重新运行" if month in stale else "已发布"
        number = f"r{revision.number}" if revision else ""
        residents = f"{revision.manifest['residents']:,}" if revision else ""
        yield str(month), state, number, residents, _missing(house, root, month)


def _missing(house: House, root: Root, month: Month) -> str:
    waiting = root.inbox / str(month)
    offered = {path.name.split(".")[0] for path in waiting.iterdir()} if waiting.is_dir() else set()
    absent = [
        source.title
        for name, source in house.sources.items()
        if name not in offered and all(delivery.month != month for delivery in deliveries(root, name))
    ]
    return f"缺少：{'、'.join(absent)}" if absent else "各来源齐全"
