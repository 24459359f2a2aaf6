"""`jifen demo`: two synthetic months, run, and a look at the results."""

from __future__ import annotations

from pathlib import Path

from expectations.month import Month
from flows.commands.explain import load_statement
from flows.commands.run import run_months
from flows.commands.synth import SynthPlan, write_extracts
from flows.pipeline.context import RunOptions
from flows.pipeline.progress import NULL_PROGRESS, Advance, ProgressSink
from flows.project import Project, load_project
from flows.settings import Paths, Policy, Settings
from flows.storage.revisions import Revision, find_published
from flows.storage.root import Root, open_root
from reports.explain.text import format_explanation
from reports.statements.read import find_person_row
from transforms.engine.parquet import read_folder_sql
from transforms.engine.session import open_engine

DEMO_MONTHS = Month.span(Month.parse("2024-03"), Month.parse("2024-04"))


def run_demo(
    residents: int, root: Path, report_progress: ProgressSink, advance: Advance = NULL_PROGRESS
) -> None:
    """Make two synthetic months in a root of their own, run them, and show what came out."""
    place = root.resolve()
    paths = Paths(root=place, inbox=place / "inbox")
    settings = Settings(paths=paths, policy=Policy(allow_illustrative=True))
    report_progress(f"合成 {residents:,} 人两个月的部门数据（不是真人）")
    plan = SynthPlan(residents, DEMO_MONTHS)
    write_extracts(settings, plan, settings.paths.inbox, report_progress)
    run_months(settings, DEMO_MONTHS, RunOptions(), report_progress, advance)
    project, opened = load_project(settings), open_root(settings)
    revision = find_published(opened, DEMO_MONTHS[-1])
    assert revision is not None
    for line in describe_results(settings, project, opened, revision):
        report_progress(line)


def describe_results(
    settings: Settings, project: Project, root: Root, revision: Revision
) -> list[str]:
    """Return where the results are, one person's points line by line, and one question answered."""
    scores = read_folder_sql(revision.path / "scores")
    with open_engine(settings.engine_settings, root.tmp / "spill") as session:
        key = session.scalar(
            f"SELECT resident_key FROM {scores} ORDER BY total_points DESC, resident_key LIMIT 1"
        )
        row = find_person_row(session, revision.path, key)
        assert row is not None
        statement = load_statement(session, project.sources, revision, row)
        districts = session.execute(
            f"SELECT district, count(*), round(avg(total_points), 1) FROM {scores}"
            " GROUP BY 1 ORDER BY 1"
        ).fetchall()
    question = "SELECT district, count(*), avg(total_points) FROM latest_scores GROUP BY 1"
    return [
        "\n积分最高的一位，逐项说明（jifen explain）：",
        *(f"  {line}" for line in format_explanation(statement.row, statement.texts)),
        f"\n各区县人数和平均总分（{question}）：",
        *(
            f"  {project.reference.districts[code]}  {count:>7,}  {mean:>6}"
            for code, count, mean in districts
        ),
        "\n结果位置：",
        f"  运行报告      {revision.path / 'report' / 'index.html'}",
        f"  数据驾驶舱    {root.overview / 'index.html'}",
        f"  区县导出包    {revision.path / 'exports' / '330212'}",
        f"  分析目录      {root.catalogue}（任何 DuckDB 客户端以只读方式打开）",
        f"  计分语句      {revision.path / 'sql'}",
        f"  退回的行      {root.quarantine}",
    ]
