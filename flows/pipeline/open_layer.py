"""The stage of the open layer: rows that ten people share, and whom they single out, measured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

from expectations.findings import Finding, FindingKind
from flows.pipeline.compute import view_facts_and_scores, write_sql
from flows.pipeline.context import RunContext, StageResult
from flows.project import split_city
from flows.storage.stage_results import OpenLayerResult
from transforms.engine.parquet import read_folder_sql
from transforms.open_layer import (
    OpenFigures,
    open_eligibility,
    open_residents,
    write_open_table,
)
from transforms.outputs import ELIGIBILITY, find_table_file


def compute_open_layer(run: RunContext) -> StageResult:
    """Write the tables that analysts see of residents, and measure whom they single out."""
    result = run.build.run_once("open_layer", OpenLayerResult, lambda: _open_layer(run))
    return StageResult(result.to_values(), tuple(find_disclosures(result)))


def _open_layer(run: RunContext) -> OpenLayerResult:
    revision = run.build.revision
    city, _ = split_city(run.project.in_force(run.month))
    facts = run.project.facts
    figures, statements = {}, []
    with run.engine() as session:
        view_facts_and_scores(session, run)
        rows = read_folder_sql(revision / ELIGIBILITY.folder)
        session.execute(f"CREATE VIEW eligibility AS FROM {rows}")
        for table in (open_residents(city, facts), open_eligibility(facts)):
            file = find_table_file(revision, table.output)
            measured, made = write_open_table(session, table, file, run.month.first_day)
            figures[table.output.view] = asdict(measured)
            statements += made
    write_sql(revision, "open", statements)
    return OpenLayerResult(tables=figures)


def find_disclosures(result: OpenLayerResult) -> Iterator[Finding]:
    """Yield a finding for each table of the open layer that singles out more than is promised."""
    for view, measured in result.tables.items():
        figures = OpenFigures(**measured)
        if not figures.is_within_bounds:
            few = max(figures.few.values())
            yield Finding(
                FindingKind.DISCLOSURE,
                column=view,
                count=max(figures.linked, few, figures.deducted_few),
                total=figures.rows,
                detail=f"与区县导出一一对应 {figures.linked} 人，不足 10 人的组合 {few} 人，"
                f"其中有扣分的 {figures.deducted_few} 人",
            )
