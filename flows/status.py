"""Where each month stands: published, stale, held, blocked, received; and what is due, missing or late."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from typing import Any

from expectations.month import Month
from expectations.problems import JifenError
from flows.build import build_folder
from flows.holding import read_held
from flows.house import House, load_house
from flows.origins.files import Inbox
from flows.publish import delivery_facts, outrun, published, published_months
from flows.pull import deliveries, inbox_months
from flows.root import Root, months_in, open_root
from flows.serve import CITY_TIME, Schedule, known_schedule
from flows.settings import Settings

ENDED = {"blocked": "数据未通过", "failed": "未完成"}


def stale_months(root: Root, sources: list[str]) -> list[Month]:
    """Published months whose deliveries have changed since, of any source, in the month or before; or the month before."""
    known = [delivery_facts(delivery) for source in sources for delivery in deliveries(root, source)]
    stale = []
    for month in published_months(root):
        revision = published(root, month)
        upto = [delivery for delivery in known if Month.parse(delivery["month"]) <= month]
        if revision and (_content(revision.manifest["received"]) != _content(upto) or outrun(root, revision)):
            stale.append(month)
    return stale


def _content(named: list[dict[str, object]]) -> set[tuple[object, ...]]:
    return {(item["source"], item["month"], item["content"]) for item in named}


def month_lines(settings: Settings, today: dt.date | None = None) -> Iterator[tuple[str, str, str, str, str]]:
    """One line per month that is known, and for the one that comes next: month, state, revision, residents, what to do.

    Next is the month after the newest published. A month is due on the day of `jifen serve` (the 5th of the month
    after, unless it was told otherwise); what has not come by then is late on `today`.
    """
    root, house = open_root(settings), load_house(settings)
    today, schedule = today or dt.datetime.now(CITY_TIME).date(), known_schedule(root)
    stale = set(stale_months(root, list(house.sources)))
    done = published_months(root)
    coming = done[-1] + 1 if done else None
    for month in sorted({*done, *inbox_months(root), *months_in(root.raw), *([coming] if coming else [])}):
        revision, held, last = published(root, month), read_held(root, str(month)), _last_run(root, month)
        state = "待运行" if revision is None else "已过期，需重新运行" if month in stale else "已发布"
        told = [_missing(house, root, month, schedule, today) or "各来源齐全"]
        if last.get("state") in ENDED:
            state = f"{ENDED[last['state']]}（以前的版本仍有效）" if revision else ENDED[last["state"]]
            told = told if told != ["各来源齐全"] else []  # beside "数据未通过" it would be read as sound
            report = f"，报告 {last['report']}" if last["report"] else ""
            what = last["reason"].splitlines()[0].removesuffix("：")
            told.insert(0, f"{what}（退出码 {last['exit_code']}），{last['todo']}{report}")
        if held and build_folder(root, str(month), held.build).is_dir():
            state = "待核（以前的版本仍有效）" if revision else "待核"
            told.insert(0, f"{len(held.reasons)} 项与上月相差超出限度，报告 {held.report}")
        if month == coming and (newest := schedule.newest_due(today)) > month:
            told.append(f"此后到 {newest} 各月也已到期")
        number = f"r{revision.number}" if revision else ""
        residents = f"{revision.manifest['residents']:,}" if revision else ""
        yield str(month), state, number, residents, "；".join(told)


def _last_run(root: Root, month: Month) -> dict[str, Any]:
    """The record of the month's last run; empty when there is none."""
    newest = max(root.runs.glob(f"[0-9]*-{month}.json"), default=None)
    return dict(json.loads(newest.read_bytes())) if newest else {}


def _missing(house: House, root: Root, month: Month, schedule: Schedule, today: dt.date) -> str:
    """What has not been received and is not in the inbox; what has an origin of its own is not looked for there."""
    absent = [name for name in house.sources if all(known.month != month for known in deliveries(root, name))]
    fetched = [name for name in absent if (given := house.settings.sources.get(name)) and given.origin]
    lacking = [name for name in absent if name not in fetched and not _offered(root, name, month)]
    told = []
    if lacking:
        due = schedule.due(month)
        late = (today - due.date()).days
        when = f"逾期 {late} 天" if late > 0 else f"应于 {due:%Y-%m-%d %H:%M} 前交齐"
        told.append(f"{when}，缺少：{_titles(house, lacking)}")
    if fetched:
        told.append(f"运行时自行取数：{_titles(house, fetched)}")
    return "；".join(told)


def _offered(root: Root, source: str, month: Month) -> bool:
    """Whether a run would find something of the source in the inbox, be it good or not."""
    try:
        return Inbox(root.inbox, source).offer(month) is not None
    except JifenError:
        return True


def _titles(house: House, names: list[str]) -> str:
    return "、".join(house.sources[name].title for name in names)
