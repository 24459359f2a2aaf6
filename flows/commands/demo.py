"""Synthetic months: `jifen synth`, and `jifen demo`, which also runs them and shows where to look."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from expectations.month import Month
from flows.commands.explain import load_published_rules
from flows.commands.run import run_months
from flows.commands.synth import write_extracts
from flows.project import Project, load_project
from flows.settings import Paths, Policy, Settings
from flows.storage.revisions import Revision, find_published
from flows.storage.root import Root, open_root
from reports.explain.compute import explain_row, find_person_row
from reports.explain.text import format_explanation
from transforms.engine.parquet import read_folder_sql
from transforms.engine.session import open_engine

DEMO_MONTHS = Month.span(Month.parse("2024-03"), Month.parse("2024-04"))


def run_demo(residents: int, root: Path, report_progress: Callable[[str], None]) -> None:
    """Two synthetic months, scored and published in a root of their own, and a look at what came out."""
    place = root.resolve()
    settings = Settings(
        paths=Paths(root=place, inbox=place / "inbox"), policy=Policy(allow_illustrative=True)
    )
    report_progress(f"合成 {residents:,} 人两个月的部门数据（不是真人）")
    write_extracts(settings, residents, DEMO_MONTHS, settings.paths.inbox, report_progress)
    run_months(settings, DEMO_MONTHS, {}, report_progress)
    project, opened = load_project(settings), open_root(settings)
    revision = find_published(opened, DEMO_MONTHS[-1])
    assert revision is not None
    for line in describe_results(settings, project, opened, revision):
        report_progress(line)


def describe_results(
    settings: Settings, project: Project, root: Root, revision: Revision
) -> list[str]:
    """Where the results are, the points of one person line by line, and one question answered."""
    rules = load_published_rules(revision, project.sources)
    scores = read_folder_sql(revision.path / "scores")
    with open_engine(settings.engine_settings, root.tmp / "spill") as session:
        key = session.scalar(
            f"SELECT resident_key FROM {scores} ORDER BY total_points DESC, resident_key LIMIT 1",
        )
        row = find_person_row(session, revision.path, key)
        assert row is not None
        explained = explain_row(session, rules, revision.path, revision.manifest, row)
        districts = session.execute(
            f"SELECT district, count(*), round(avg(total_points), 1) FROM {scores} GROUP BY 1 ORDER BY 1"
        ).fetchall()
    told = ["\n积分最高的一位，逐项说明（jifen explain）："]
    told += [
        f"  {line}"
        for line in format_explanation(explained, f"{revision.month} 第 {revision.number} 版")
    ]
    told += [
        "\n各区县人数和平均总分（SELECT district, count(*), avg(total_points) FROM latest_scores GROUP BY 1）："
    ]
    told += [
        f"  {project.reference.districts[code]}  {count:>7,}  {mean:>6}"
        for code, count, mean in districts
    ]
    told += [
        "\n看这里：",
        f"  运行报告      {revision.path / 'report' / 'index.html'}",
        f"  区县导出      {revision.path / 'exports' / '330212'}",
        f"  分析目录      {root.catalogue}（任何 DuckDB 客户端以只读方式打开）",
        f"  计分语句      {revision.path / 'sql'}",
        f"  问题数据      {root.quarantine}",
    ]
    return told
