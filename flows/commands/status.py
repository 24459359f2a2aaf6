"""The state of each month: published, stale, held, blocked; and what is due, missing or late."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from expectations.findings import Finding, read_findings
from expectations.month import Month
from flows.city_time import CITY_TIME
from flows.commands.prune import describe_prunable
from flows.destinations.contents import Destination, list_destinations
from flows.destinations.outcome import find_undelivered
from flows.extract.inbox import (
    InboxContents,
    build_inbox_rules,
    explain_unknown,
    scan_inbox,
)
from flows.orchestration.schedule import Schedule, load_schedule
from flows.pipeline.hold import list_acceptances
from flows.pipeline.inputs import list_allowed_gaps
from flows.pipeline.retention import plan_removals
from flows.pipeline.staleness import explain_stale_months
from flows.project import Project, load_project
from flows.settings import Settings
from flows.storage.build import find_build_folder
from flows.storage.deliveries import list_deliveries
from flows.storage.destination_receipts import list_receipts
from flows.storage.held_months import load_hold
from flows.storage.removals import Removals, load_removals
from flows.storage.revisions import Revision, find_published, list_published_months
from flows.storage.root import Root, list_months, open_root
from reports.findings import NO_FINDINGS, Findings, split_findings

ENDED = {"blocked": "数据未通过", "failed": "未完成"}


@dataclass(frozen=True)
class MonthState:
    """A month as `jifen status` shows it; `notes`: what to do; `findings`: those of its last run."""

    month: str
    state: str
    revision: str
    residents: str
    notes: list[str]
    findings: Findings


def list_month_states(settings: Settings, today: dt.date | None = None) -> Iterator[MonthState]:
    """Yield every month and the next.

    The next month is the one after the newest published. A month is due on the day of `jifen serve`
    (the 5th of the month after, unless another was given); what has not come by then is late on
    `today`.
    """
    root, project = open_root(settings), load_project(settings)
    today, schedule = today or dt.datetime.now(CITY_TIME).date(), load_schedule(root)
    contents = scan_inbox(root.inbox, build_inbox_rules(project.sources, settings))
    stale, destinations = explain_stale_months(root, project), list_destinations(project)
    done = list_published_months(root)
    coming = done[-1] + 1 if done else None
    removals = load_removals(root, root.key()) if done else Removals(())
    for month in sorted(
        {*done, *contents.months, *list_months(root.raw), *([coming] if coming else [])}
    ):
        revision, held, last = (
            find_published(root, month),
            load_hold(root, month),
            _last_run(root, month),
        )
        wrong = _list_inbox_notes(project, root, contents, month)
        state = (
            "待运行" if revision is None else "已过期，需重新运行" if month in stale else "已发布"
        )
        missing = describe_missing_sources(project, root, month, schedule, today)
        notes = [*wrong, missing] if missing else wrong or ["各来源齐全"]
        if last.get("state") in ENDED:
            state = (
                f"{ENDED[last['state']]}（以前的修订版仍有效）"
                if revision
                else ENDED[last["state"]]
            )
            if notes == ["各来源齐全"]:
                notes = []  # next to "数据未通过" it would be read as valid
            report = f"，报告 {last['report']}" if last["report"] else ""
            what = last["reason"].splitlines()[0].removesuffix("：")
            notes.insert(0, f"{what}（退出码 {last['exit_code']}），{last['todo']}{report}")
        if month in stale and revision:
            notes.insert(0, stale[month])
        state = _note_removal(state, notes, removals, revision)
        if held and find_build_folder(root, str(month), held.build).is_dir():
            state = "待核（以前的修订版仍有效）" if revision else "待核"
            by = "、".join(
                map(root.operator.name_account, list_acceptances(root, month, held.build))
            )
            accepted = f"（已由{by}核准，还须另一人核准）" if by else ""
            over = f"{len(held.hold_reasons)} 项与上月相差超出限度{accepted}"
            notes.insert(0, f"{over}，报告 {held.report}")
        if month == coming and (newest := schedule.newest_due(today)) > month:
            notes.append(f"此后到 {newest} 各月也已到期")
        number = f"r{revision.number}" if revision else ""
        residents = f"{revision.manifest.residents:,}" if revision else ""
        is_newest = bool(done) and month == done[-1]
        own = destinations if revision and not removals.find_of_revision(revision) else []
        undelivered = _list_undelivered(root, revision, own, is_newest=is_newest)
        records = last.get("findings") if last.get("state") in (*ENDED, "held") else None
        if records is None:
            records = (revision.manifest.findings if revision else None) or ()
        findings = split_findings([*read_findings(records), *undelivered], project.sources)
        yield MonthState(str(month), state, number, residents, notes, findings)
    this_month = Month.of(today)
    if prunable := describe_prunable(root, plan_removals(root, project, this_month)):
        yield MonthState("", "保存期限", "", "", [prunable], NO_FINDINGS)
    if outside := _list_inbox_notes(project, root, contents, None):
        yield MonthState("", "收件目录", "", "", outside, NO_FINDINGS)


def _note_removal(
    state: str, notes: list[str], removals: Removals, revision: Revision | None
) -> str:
    """Note a removal that keeps a month from being run once more; return the month's state."""
    if revision is None:
        return state
    found = removals.find_of_revision(revision) or removals.find_of_inputs(revision)
    if found is None:
        return state
    notes.insert(0, f"个人数据或所用交付{found.describe()}，不能重新计算")
    return "已发布" if state.startswith("已过期") else state


def format_month_states(states: Iterable[MonthState]) -> Iterator[str]:
    """Yield the states as lines; a place is never broken, so that it can be copied.

    All findings are shown of the newest published month and of months that wait for somebody; of
    the others, how many there are.
    """
    listed = list(states)
    published = [one.month for one in listed if one.revision]
    for one in listed:
        people = f"{one.residents} 人" if one.residents else ""
        yield "  ".join(filter(None, [one.month, one.state, one.revision, people]))
        yield from (f"    {note}" for note in one.notes)
        if one.state == "已发布" and one.month != max(published):
            if one.findings.actions:
                yield f"    须处理 {len(one.findings.actions)} 项，见报告"
        elif one.findings.actions or one.findings.notices:
            yield from (f"    {line}" for line in one.findings.lines)


def _list_undelivered(
    root: Root,
    revision: Revision | None,
    destinations: Sequence[Destination],
    *,
    is_newest: bool,
) -> list[Finding]:
    """Return what has not arrived: of the newest month, and of months that were delivered before.

    An older month was published before there were destinations, if nobody has tried.
    """
    if revision is None or not destinations:
        return []
    key = root.key()
    due = [
        one
        for one in destinations
        if is_newest or list_receipts(root, key, revision.month, one.name)
    ]
    return list(find_undelivered(root, key, revision, due))


def _last_run(root: Root, month: Month) -> dict[str, Any]:
    """The record of the month's last run; empty when there is none."""
    newest = max(root.runs.glob(f"[0-9]*-{month}.json"), default=None)
    return dict(json.loads(newest.read_bytes())) if newest else {}


def describe_missing_sources(
    project: Project, root: Root, month: Month, schedule: Schedule, today: dt.date
) -> str:
    """Return which sources a month still lacks, until when, and which a run fetches itself."""
    lacking, fetched = find_missing_sources(project, root, month)
    notes = []
    if lacking:
        due = schedule.due(month)
        late = (today - due.date()).days
        when = f"逾期 {late} 天" if late > 0 else f"应于 {due:%Y-%m-%d %H:%M} 前交齐"
        notes.append(f"{when}，缺少：{list_source_titles(project, lacking)}")
    if fetched:
        notes.append(f"运行时自行取数：{list_source_titles(project, fetched)}")
    return "；".join(notes)


def _list_inbox_notes(
    project: Project, root: Root, contents: InboxContents, month: Month | None
) -> list[str]:
    """Return what is wrong in the inbox: in a month's folder, or (None) outside of them."""
    several = [
        f"{project.sources[name].title}有 {len(found)} 份文件，只能留一份"
        for (name, of), found in sorted(contents.offers.items())
        if of == month and len(found) > 1
    ]
    entries = [entry for entry in contents.unknown if entry.month == month]
    unknown = explain_unknown(entries, root.inbox, project.sources)
    return [*several, *(error.message for _, error in unknown)]


def find_missing_sources(project: Project, root: Root, month: Month) -> tuple[list[str], list[str]]:
    """Return the sources not received, not in the inbox and neither optional nor allowed to miss.

    And beside them those that have an origin of their own, which only a run asks.
    """
    allowed = list_allowed_gaps(root)
    contents = scan_inbox(root.inbox, build_inbox_rules(project.sources, project.settings))
    absent = [
        name
        for name, source in project.sources.items()
        if not source.optional
        and month not in allowed.get(name, {})
        and all(known.month != month for known in list_deliveries(root, name))
    ]
    fetched = [
        name for name in absent if (given := project.settings.sources.get(name)) and given.origin
    ]
    lacking = [
        name for name in absent if name not in fetched and (name, month) not in contents.offers
    ]
    return lacking, fetched


def list_source_titles(project: Project, names: list[str]) -> str:
    """Return the titles of sources in one line."""
    return "、".join(project.sources[name].title for name in names)
