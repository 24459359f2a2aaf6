"""What `jifen check` finds: mistakes in declarations, values that are only illustrative, versions changed afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from expectations.errors import DeclarationError, ExitCode, JifenError
from expectations.month import Month
from flows.pipeline.compute import list_package_districts
from flows.project import Project, load_project
from flows.settings import Settings
from flows.storage.revisions import find_published, list_published_months
from flows.storage.root import Root
from reports.packages.build import check_keys
from transforms.engine.session import open_engine
from transforms.points.examples import check_examples
from transforms.points.load import find_gaps
from transforms.points.models import PointsVersion
from transforms.services.examples import check_reminder_examples, check_service_examples
from transforms.services.models import ServiceVersion
from transforms.services.validate import ValidationScope


def check_project(
    settings: Settings, report_progress: Callable[[str], None], *, strict: bool
) -> None:
    """Load everything and run every example. JifenError 10 on any mistake; with `strict` on illustrative values too."""
    house = load_project(settings)
    root = Root(settings.paths.root, settings.paths.inbox)
    with open_engine(settings.engine_settings, root.tmp / "spill") as session:
        folder = settings.paths.policy
        known = ValidationScope(house.facts, house.tables, house.reference.districts)
        problems = [
            *check_examples(session, folder / "points", list(house.tables.values()), house.facts),
            *check_service_examples(session, folder / "services", house.services, known),
            *check_reminder_examples(session, folder / "reminders", house.reminders, known),
        ]
    if problems:
        raise DeclarationError(problems)
    refuse_changed_versions(house, root)
    refuse_missing_keys(house)
    examples = sum(
        len(i.examples)
        for t in house.tables.values()
        for v in t.versions
        for i in v.indicators.values()
    )
    examples += sum(
        len(version.examples) for service in house.services for version in service.versions
    )
    examples += sum(len(reminder.examples) for reminder in house.reminders)
    declared = (
        f"{len(house.sources)} 个来源、{len(house.facts)} 项指标数据、{len(house.tables)} 张积分表"
    )
    declared += f"、{len(house.services)} 项服务、{len(house.reminders)} 项提醒、{len(house.reference.rows)} 张参考表"
    report_progress(f"{declared}、{examples} 个示例：无误")
    for warning in find_gaps(list(house.tables.values()), house.facts):
        report_progress(f"请留意：{warning}")
    illustrative = list(list_illustrative_values(house))
    if illustrative:
        report_progress(f"以下 {len(illustrative)} 项取值仅为示例，投入使用前须由主管部门核定：")
        for line in illustrative:
            report_progress(f"  {line}")
    if illustrative and strict:
        raise JifenError(
            ExitCode.DECLARATIONS,
            f"{len(illustrative)} 项取值仅为示例",
            hint="核定后把 values 改为 published",
        )


def list_illustrative_values(house: Project) -> Iterator[str]:
    """Every indicator whose values the bureau has yet to set: table, version, code, title."""
    for table in house.tables.values():
        for version in table.versions:
            for code, indicator in version.indicators.items():
                if indicator.values == "illustrative":
                    yield f"{table.authority} {version.begins} {code} {indicator.title}"
    for service in house.services:
        for dated in service.versions:
            for part in dated.illustrative:
                yield f"{service.service} {dated.begins} {part} {service.title}"


def refuse_changed_versions(house: Project, root: Root) -> None:
    """JifenError 10 when a version that has decided a published month was changed without a new reason (`amends`)."""
    declared: dict[str, dict[str, Sequence[PointsVersion | ServiceVersion]]] = {
        "policy": {table.authority: table.versions for table in house.tables.values()},
        "services": {service.service: service.versions for service in house.services},
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


def refuse_missing_keys(house: Project) -> None:
    """JifenError 10 when a package could not be encrypted as it must be: known before hours of work, not after."""
    check_keys(list_package_districts(house), house.settings.exports.require_encryption)


def refuse_illustrative(house: Project, month: Month) -> None:
    """JifenError 10 when a version in force has values that the bureau has yet to set."""
    found = [
        f"{code}:{name}"
        for code, version in house.in_force(month).items()
        for name, indicator in version.indicators.items()
        if indicator.values == "illustrative"
    ]
    found += [
        f"{code}:{part}"
        for code, v in house.services_in_force(month).items()
        for part in v.illustrative
    ]
    if found and not house.settings.policy.allow_illustrative:
        raise JifenError(
            ExitCode.DECLARATIONS,
            f"{month} 的积分表和服务中有 {len(found)} 项取值仅为示例：{'、'.join(found[:6])}{' 等' if len(found) > 6 else ''}",
            where="points/*.yaml、services/*.yaml（values: illustrative）",
            hint="由主管部门核定后改为 published；演示和测试可在 jifen.toml 的 [policy] 写 allow_illustrative = true",
        )
