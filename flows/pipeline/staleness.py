"""Stale months: published from what has changed since, so that they have to be run again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from expectations.month import Month
from flows.project import Project
from flows.storage.deliveries import delivery_key, list_deliveries
from flows.storage.records import Manifest
from flows.storage.revisions import Revision, find_published, is_stale, list_published_months
from flows.storage.root import Root
from transforms.points.models import PointsVersion
from transforms.services.models import ServiceVersion

Versions = Mapping[str, Sequence[PointsVersion | ServiceVersion]]


def explain_stale_months(root: Root, project: Project) -> dict[Month, str]:
    """Return the months that have to be run again, and why.

    A month is stale when its deliveries, or those of months before, have changed; when the month
    before was published again; and when a version that scored it was amended.
    """
    stale: dict[Month, str] = {}
    changed = set(find_stale_months(root, project.sources))
    for month in list_published_months(root):
        revision = find_published(root, month)
        if revision is None:
            continue
        reasons = list(find_amended_names(project, revision.manifest))
        if is_stale(root, revision):
            reasons.append("上月已重新发布")
        elif month in changed:
            reasons.append("交付有变化")
        if reasons:
            stale[month] = "；".join(reasons)
    return stale


def find_stale_months(root: Root, sources: Iterable[str]) -> list[Month]:
    """Return the published months whose deliveries, or those of months before, have changed.

    A month is stale, too, when the month before was published again.
    """
    known = [
        delivery_key(delivery) for source in sources for delivery in list_deliveries(root, source)
    ]
    stale = []
    for month in list_published_months(root):
        revision = find_published(root, month)
        upto = [delivery for delivery in known if Month.parse(delivery["month"]) <= month]
        if revision and (_has_other_deliveries(revision, upto) or is_stale(root, revision)):
            stale.append(month)
    return stale


def _has_other_deliveries(revision: Revision, received: list[dict[str, object]]) -> bool:
    return _content(revision.manifest.received) != _content(received)


def _content(named: list[dict[str, object]]) -> set[tuple[object, ...]]:
    return {(item["source"], item["month"], item["content"]) for item in named}


def find_amended_names(project: Project, manifest: Manifest) -> Iterator[str]:
    """Yield the versions that scored a month and have been amended since, with the reason."""
    tables: Versions = {table.authority: table.versions for table in project.tables.values()}
    services: Versions = {service.service: service.versions for service in project.services}
    for title, declared, decided in (
        ("积分表", tables, manifest.policy),
        ("服务", services, manifest.services),
    ):
        for name, used in decided.items():
            for version in declared.get(name, ()):
                if str(version.begins) == used["from"] and version.hash != used["hash"]:
                    yield f"{title} {name} {used['from']} 版经更正（{version.amends or '未写原因'}）"
