"""Findings of a finished month: against the month before, its versions, and what is unknown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from expectations.findings import Finding, FindingKind
from reports.run_report.drift_text import ReportNames, explain_change, format_change
from transforms.comparison.drift import (
    DriftChange,
    Manifest,
    find_amended_versions,
    find_new_versions,
)

GROUPS = (("policy", "积分表"), ("services", "服务"))


@dataclass(frozen=True)
class ReportContext:
    """What the page states beside the numbers.

    illustrative: values in use that the bureau has yet to set; not_modelled: table, what it leaves
    out, why; outdated: what has changed since the month was held; timings: seconds by stage;
    alone: why there is no month before; made_at: when, in the city's time; revision: the number
    that the month gets; published: that of the revision in force until then.
    """

    illustrative: Sequence[str]
    not_modelled: Sequence[tuple[str, str, str]]
    outdated: Sequence[str]
    timings: Mapping[str, float]
    alone: str
    made_at: str
    revision: int
    published: int | None


def find_month_findings(
    now: Manifest,
    before: Manifest | None,
    replaced: Manifest | None,
    names: ReportNames,
    context: ReportContext,
) -> Iterator[Finding]:
    """Yield what the finished month's own numbers and versions show.

    Args:
        now: The month.
        before: The previous month as published.
        replaced: The revision of the month that is in force.
        names: What things are called.
        context: What is known of the run.
    """
    if context.outdated:
        yield Finding(
            FindingKind.CHANGED_SINCE_HELD,
            count=len(context.outdated),
            detail="；".join(context.outdated),
        )
    if before is None:
        yield Finding(FindingKind.NOT_COMPARED, detail=context.alone)
    else:
        yield from _since_month_before(before, now, names)
    yield from _list_amended(now, before, replaced, names)
    for service, people in now["figures"]["amount_unknown"].items():
        places = now["figures"].get("places_unknown", {}).get(service)
        where = f"涉及 {places:,} 个小区" if places else ""
        title = names.services.get(service, service)
        yield Finding(FindingKind.AMOUNT_UNKNOWN, column=title, count=people, detail=where)
    if context.illustrative:
        yield Finding(FindingKind.ILLUSTRATIVE, count=len(context.illustrative))


def _since_month_before(before: Manifest, now: Manifest, names: ReportNames) -> Iterator[Finding]:
    """Yield what is not as it was when the month before was published."""
    for group, title in GROUPS:
        then, today = before[group], now[group]
        for code in sorted(find_new_versions(then, today)):
            was = f"上月为 {then[code]['from']} 版" if code in then else "上月没有"
            name = f"{title}“{names.authority(code)}”"
            detail = f"{today[code]['from']} 起，{was}"
            yield Finding(FindingKind.NEW_VERSION, column=name, detail=detail)
    if before["accepted"]:
        yield Finding(
            FindingKind.PREVIOUS_ACCEPTED,
            month=before["month"],
            count=len(before["held"]),
            detail=f"理由：{before['accepted']}",
        )
    if before["code"]["hash"] != now["code"]["hash"]:
        was, version = before["code"]["version"], now["code"]["version"]
        what = f"{was} → {version}" if was != version else f"同为 {version} 版，内容有改动"
        yield Finding(FindingKind.CHANGED_PROGRAM, detail=what)


def _list_amended(
    now: Manifest, before: Manifest | None, replaced: Manifest | None, names: ReportNames
) -> Iterator[Finding]:
    """Yield the versions whose content is not that of the month before or of this month's own."""
    for group, title in GROUPS:
        found = {
            code
            for other in (before, replaced)
            if other
            for code in find_amended_versions(other[group], now[group])
        }
        for code in sorted(found):
            version = now[group][code]
            reason = f"，原因：{version['amends']}" if version.get("amends") else ""
            name = f"{title}“{names.authority(code)}”"
            detail = f"{version['from']} 版的内容与以前所用的不同{reason}"
            yield Finding(FindingKind.AMENDED_VERSION, column=name, detail=detail)


def find_drift_findings(
    changes: Sequence[DriftChange], names: ReportNames, accepted: str | None
) -> Iterator[Finding]:
    """Yield the changes that are over the limits.

    Args:
        changes: What was compared.
        names: What things are called.
        accepted: Why the operator publishes the month all the same; None where they do not.
    """
    blocking = [change for change in changes if change.holds]
    for change in changes:
        if change.over and change.renewed:
            detail = format_change(change, names)
            yield Finding(FindingKind.EXPLAINED_DRIFT, detail=detail)
    if accepted is None:
        for change in blocking:
            what, hint = format_change(change, names), explain_change(change, names)
            yield Finding(FindingKind.DRIFT, detail=what, hint=hint)
    elif blocking:
        listed = "；".join(format_change(change, names) for change in blocking)
        detail = f"理由：{accepted}。{listed}"
        yield Finding(FindingKind.ACCEPTED, count=len(blocking), detail=detail)
