"""What `jifen check` finds: mistakes, illustrative values, and versions changed afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from expectations.errors import DeclarationError, ExitCode, JifenError
from flows.pipeline.preflight import refuse_changed_versions, refuse_missing_keys
from flows.project import Project, load_project
from flows.settings import Settings
from flows.storage.root import Root
from transforms.engine.session import open_engine
from transforms.points.examples import check_examples
from transforms.services.examples import check_reminder_examples, check_service_examples
from transforms.services.validate import ValidationScope


def check_project(
    settings: Settings, report_progress: Callable[[str], None], *, strict: bool
) -> None:
    """Load everything and run every example.

    Raises:
        JifenError: Exit code 10 on any mistake; with `strict` on remarks and illustrative values.
    """
    project = load_project(settings)
    root = Root(settings.paths.root, settings.paths.inbox)
    with open_engine(settings.engine_settings, root.tmp / "spill") as session:
        folder = settings.paths.policy
        known = ValidationScope(project.facts, project.tables, project.reference.districts)
        problems = [
            *check_examples(
                session, folder / "points", list(project.tables.values()), project.facts
            ),
            *check_service_examples(session, folder / "services", project.services, known),
            *check_reminder_examples(session, folder / "reminders", project.reminders, known),
        ]
    if problems:
        raise DeclarationError(problems)
    refuse_changed_versions(project, root)
    refuse_missing_keys(project)
    examples = sum(
        len(i.examples)
        for t in project.tables.values()
        for v in t.versions
        for i in v.indicators.values()
    )
    examples += sum(
        len(version.examples) for service in project.services for version in service.versions
    )
    examples += sum(len(reminder.examples) for reminder in project.reminders)
    declared = (
        f"{len(project.sources)} 个来源、{len(project.facts)} 项指标数据、"
        f"{len(project.tables)} 张积分表、{len(project.services)} 项服务、"
        f"{len(project.reminders)} 项提醒、{len(project.reference.rows)} 张参考表"
    )
    report_progress(f"{declared}、{examples} 个示例：无误")
    for warning in project.warnings:
        report_progress(f"请留意：{warning}")
    illustrative = list(list_illustrative_values(project))
    if illustrative:
        report_progress(f"以下 {len(illustrative)} 项取值仅为示例，投入使用前须由主管部门核定：")
        for line in illustrative:
            report_progress(f"  {line}")
    if strict:
        _refuse_remarks(project, len(illustrative))


def _refuse_remarks(project: Project, illustrative: int) -> None:
    """Raise JifenError 10 if anything is seldom meant or only illustrative."""
    found, hints = [], []
    if project.warnings:
        found.append(f"{len(project.warnings)} 处请留意")
        hints.append("逐条改正以上“请留意”之处")
    if illustrative:
        found.append(f"{illustrative} 项取值仅为示例")
        hints.append("核定后把 values 改为 published")
    if found:
        raise JifenError(ExitCode.DECLARATIONS, "；".join(found), hint="；".join(hints))


def list_illustrative_values(project: Project) -> Iterator[str]:
    """Every indicator whose values the bureau has yet to set: table, version, code, title."""
    for table in project.tables.values():
        for version in table.versions:
            for code, indicator in version.indicators.items():
                if indicator.values == "illustrative":
                    yield f"{table.authority} {version.begins} {code} {indicator.title}"
    for service in project.services:
        for dated in service.versions:
            for part in dated.illustrative:
                yield f"{service.service} {dated.begins} {part} {service.title}"
