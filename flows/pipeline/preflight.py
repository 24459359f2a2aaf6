"""What is refused before any work begins: declarations that cannot score or package a month."""

from __future__ import annotations

from collections.abc import Sequence

from expectations.errors import ExitCode, JifenError
from expectations.month import Month
from flows.pipeline.compute import list_package_districts
from flows.project import Project
from flows.storage.revisions import find_published, list_published_months
from flows.storage.root import Root
from reports.packages.build import check_keys
from transforms.points.models import PointsVersion
from transforms.services.models import ServiceVersion


def refuse_changed_versions(project: Project, root: Root) -> None:
    """JifenError 10 when a version that has decided a published month was changed without a new reason (`amends`)."""
    declared: dict[str, dict[str, Sequence[PointsVersion | ServiceVersion]]] = {
        "policy": {table.authority: table.versions for table in project.tables.values()},
        "services": {service.service: service.versions for service in project.services},
    }
    changed: dict[str, list[Month]] = {}
    for month in list_published_months(root):
        revision = find_published(root, month)
        for kind, versions in declared.items():
            for name, used in (revision.manifest[kind] if revision else {}).items():
                same = [
                    version
                    for version in versions.get(name, [])
                    if str(version.begins) == used["from"]
                ]
                if not same:
                    changed.setdefault(f"{name} {used['from']} 不见了", []).append(month)
                elif same[0].hash != used["hash"] and same[0].amends in (None, used.get("amends")):
                    changed.setdefault(f"{name} {used['from']} 已改动", []).append(month)
    if changed:
        raise JifenError(
            ExitCode.DECLARATIONS,
            f"已用于发布月份的版本不得改动：{'；'.join(f'{what}（用于 {_listed(used)}）' for what, used in changed.items())}",
            where="points/*.yaml、services/*.yaml",
            hint="改动写成新的版本（新的 from）；确需更正原版本时，在该版本写 amends: 原因，每次更正写新的原因",
        )


def _listed(months: Sequence[Month]) -> str:
    few = len(months) <= 3
    return (
        "、".join(map(str, months)) if few else f"{months[0]} 至 {months[-1]} 中 {len(months)} 个月"
    )


def refuse_missing_keys(project: Project) -> None:
    """JifenError 10 when a package could not be encrypted as it must be: known before hours of work, not after."""
    check_keys(list_package_districts(project), project.settings.exports.require_encryption)


def refuse_illustrative(project: Project, month: Month) -> None:
    """JifenError 10 when a version in force has values that the bureau has yet to set."""
    found = [
        f"{code}:{name}"
        for code, version in project.in_force(month).items()
        for name, indicator in version.indicators.items()
        if indicator.values == "illustrative"
    ]
    found += [
        f"{code}:{part}"
        for code, v in project.services_in_force(month).items()
        for part in v.illustrative
    ]
    if found and not project.settings.policy.allow_illustrative:
        raise JifenError(
            ExitCode.DECLARATIONS,
            f"{month} 的积分表和服务中有 {len(found)} 项取值仅为示例：{'、'.join(found[:6])}{' 等' if len(found) > 6 else ''}",
            where="points/*.yaml、services/*.yaml（values: illustrative）",
            hint="由主管部门核定后改为 published；演示和测试可在 jifen.toml 的 [policy] 写 allow_illustrative = true",
        )
