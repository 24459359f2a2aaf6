"""What is refused before any work begins: declarations that may not score or package a month."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from expectations.errors import ExitCode, JifenError
from expectations.month import Month
from flows.destinations.contents import list_destinations
from flows.project import Project
from flows.storage.revisions import Revision, find_published, list_published_months
from flows.storage.root import Root
from reports.packages.build import check_keys, list_package_districts
from transforms.points.models import PointsVersion
from transforms.services.models import ServiceVersion

Versions = Mapping[str, Sequence[PointsVersion | ServiceVersion]]


def refuse_changed_versions(project: Project, root: Root) -> None:
    """Refuse a version changed after it decided a published month, without a new `amends`.

    Raises:
        JifenError: Exit 10, with the months that it decided.
    """
    changed: dict[str, list[Month]] = {}
    for month in list_published_months(root):
        revision = find_published(root, month)
        for what in _find_changed_versions(project, revision) if revision else ():
            changed.setdefault(what, []).append(month)
    if changed:
        listed = "；".join(
            f"{what}（用于 {format_months(used)}）" for what, used in changed.items()
        )
        raise JifenError(
            ExitCode.DECLARATIONS,
            f"已用于发布月份的版本不得改动：{listed}",
            where="points/*.yaml、services/*.yaml",
            hint="改动写成新的版本（新的 from）；"
            "确需更正原版本时，在该版本写 amends: 原因，每次更正写新的原因",
        )


def _find_changed_versions(project: Project, revision: Revision) -> Iterator[str]:
    """Yield the versions that decided a revision and are not what they were, nor amended."""
    manifest = revision.manifest
    tables: Versions = {table.authority: table.versions for table in project.tables.values()}
    services: Versions = {service.service: service.versions for service in project.services}
    for declared, decided in ((tables, manifest.policy), (services, manifest.services)):
        for name, used in decided.items():
            same = [one for one in declared.get(name, ()) if str(one.begins) == used["from"]]
            if not same:
                yield f"{name} {used['from']} 不见了"
            elif same[0].hash != used["hash"] and same[0].amends in (None, used.get("amends")):
                yield f"{name} {used['from']} 已改动"


def format_months(months: Sequence[Month]) -> str:
    """Return a few months one by one, many as a range with their number."""
    if len(months) <= 3:
        return "、".join(map(str, months))
    return f"{months[0]} 至 {months[-1]} 中 {len(months)} 个月"


def refuse_missing_keys(project: Project) -> None:
    """Refuse packages and destinations that could not be encrypted as they must be.

    Before hours of work.

    Raises:
        JifenError: Exit 10, a key is wrong, or missing though required; a destination is nobody's.
    """
    districts = list_package_districts(project.reference)
    check_keys(districts, project.settings.exports.require_encryption)
    list_destinations(project)


def refuse_illustrative(project: Project, month: Month) -> None:
    """Refuse a version in force with values that the bureau has yet to set.

    Raises:
        JifenError: Exit 10, unless the settings allow it.
    """
    found = [
        f"{code}:{name}"
        for code, version in project.in_force(month).items()
        for name, indicator in version.indicators.items()
        if indicator.values == "illustrative"
    ]
    found += [
        f"{code}:{part}"
        for code, version in project.services_in_force(month).items()
        for part in version.illustrative
    ]
    if found and not project.settings.policy.allow_illustrative:
        listed = "、".join(found[:6]) + (" 等" if len(found) > 6 else "")
        raise JifenError(
            ExitCode.DECLARATIONS,
            f"{month} 的积分表和服务中有 {len(found)} 项取值仅为示例：{listed}",
            where="points/*.yaml、services/*.yaml（values: illustrative）",
            hint="由主管部门核定后改为 published；"
            "演示和测试可在 jifen.toml 的 [policy] 写 allow_illustrative = true",
        )
