"""The run's page: gathered from the run for `reports`, written into the revision, or kept where operators find it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from expectations.problems import ExitCode, JifenError
from flows import publish as publishing
from flows.house import city_version
from flows.manifest import account_facts, manifest_facts
from flows.pull import deliveries
from flows.run import Run
from reports.findings import Names
from reports.run_report import Beside, Waiting, blocked_page, month_page
from reports.titles import item_titles
from transforms.policy.columns import item_of, score_lines

PARTS = {"districts": "适用区县", "conditions": "条件", "points": "分数线", "amount": "金额"}
BLOCKING = (ExitCode.EXTRACT, ExitCode.GATE)


def report(run: Run) -> dict[str, Any]:
    """Write the page of the finished month. Made anew in every run: the verdict is the operator's too."""
    target = run.making.revision / "report" / "index.html"
    target.parent.mkdir(exist_ok=True)
    before = month_before(run)
    beside = Beside(list(_illustrative(run)), list(_not_modelled(run)), run.outdated, run.timings, _alone(run))
    page = month_page(manifest_facts(run), before.manifest if before else None, names_of(run), run.changes, beside)
    target.write_text(page, encoding="utf-8")
    return {"bytes": len(page.encode())}


def month_before(run: Run) -> publishing.Revision | None:
    """The month before as published, to compare with; None too when an older program published it, without figures."""
    before = publishing.published(run.root, run.month - 1)
    return before if before and "figures" in before.manifest else None


def _alone(run: Run) -> str:
    """Why there is nothing to compare with, when there is not."""
    before = run.month - 1
    if publishing.published(run.root, before) is None:
        return "上月没有发布，没有可比的数字"
    return f"上月由旧版程序发布，没有留下可比的数字；要比对，请先重新运行 {before}，再运行 {run.month}"


def keep_blocked_page(run: Run, error: JifenError) -> Path | None:
    """Keep the page of a month that stopped at what came in; None for errors that are not about that."""
    if error.code not in BLOCKING:
        return None
    stopped = [refused.error for refused in run.refused] or [error]
    reasons = [one.what + (f"；位置：{one.where}" if one.where else "") for one in stopped]
    steps = list(dict.fromkeys(one.todo for one in stopped))
    return run.keep_page(blocked_page(str(run.month), reasons, steps, list(_waiting(run)), names_of(run)))


def names_of(run: Run) -> Names:
    """What things are called in the operators' words."""
    house = run.house
    city, districts = city_version(house.in_force(run.month))
    origin = {fact: name for name, source in house.sources.items() for fact in source.facts}
    return Names(
        sources=house.sources,
        districts=house.reference.districts,
        items=item_titles(house.tables, house.reference.districts),
        services={service.service: service.title for service in house.services},
        reminders=house.reminder_titles(),
        fed_by={
            item_of(line.column): sorted({origin[f] for f in line.indicator.facts if f in origin})
            for line in score_lines(city, districts)
        },
    )


def _illustrative(run: Run) -> Iterator[str]:
    """Values in force that the bureau has yet to set."""
    house = run.house
    for code, version in house.in_force(run.month).items():
        for indicator in version.indicators.values():
            if indicator.values == "illustrative":
                yield f"{house.tables[code].title}：{indicator.title}"
    services = house.services_in_force(run.month)
    for service in house.services:
        if service.service in services:
            for part in services[service.service].illustrative:
                yield f"{service.title}：{PARTS[part]}"


def _not_modelled(run: Run) -> Iterator[tuple[str, str, str]]:
    for code, version in run.house.in_force(run.month).items():
        for left_out in version.not_modelled:
            yield run.house.tables[code].title, left_out.title, left_out.reason


def _waiting(run: Run) -> Iterator[Waiting]:
    """How far each source came."""
    stopped = {refused.source: refused.counts for refused in run.refused}
    for name in run.house.sources:
        own = [account for account in run.accounts.get(name, []) if account.month == str(run.month)]
        if own:
            yield Waiting(name, False, "合格", account_facts(own[-1]))
        elif name in stopped:
            yield Waiting(name, True, "✖ 未通过" if name in run.served else "✖ 缺月", stopped[name])
        elif any(delivery.month == run.month for delivery in deliveries(run.root, name)):
            yield Waiting(name, False, "已到，尚未检查", None)
        else:
            yield Waiting(name, False, "未交，沿用以前的月份或准许缺数" if name in run.served else "未收到", None)
