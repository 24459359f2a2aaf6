"""The drift check: the month measured, and compared with the previous month as published."""

from __future__ import annotations

from flows.pipeline.context import DriftResult, RunContext
from flows.pipeline.manifest import build_month_facts
from flows.pipeline.report import build_report_names, find_previous_month
from flows.project import split_city
from flows.settings import Drift
from flows.storage.records import MetricsResult
from reports.run_report.drift_text import describe_changes
from transforms.comparison.drift import ComparedItems, Limit, Limits, find_blocking, find_changes
from transforms.comparison.metrics import compute_metrics, hash_schema
from transforms.engine.parquet import read_folder_sql
from transforms.outputs import VIEWS
from transforms.points.columns import list_scored_indicators, strip_points_suffix


def check_drift(run: RunContext) -> DriftResult:
    """Measure the month, and compare it with the previous month as published."""
    run.build.run_once("metrics", MetricsResult, lambda: _compute_metrics(run))
    before = find_previous_month(run)
    if before is None:
        return DriftResult({"compared": 0, "held": 0})
    city, districts = split_city(run.project.in_force(run.month))
    compared = ComparedItems(
        {name: source.delivery for name, source in run.project.sources.items()},
        {
            strip_points_suffix(line.column): line.authority
            for line in list_scored_indicators(city, districts)
        },
    )
    limits = _read_limits(run.project.settings.drift)
    current = build_month_facts(run).to_values()
    changes = find_changes(before.manifest.to_values(), current, compared, limits)
    reasons = describe_changes(find_blocking(changes), build_report_names(run))
    counts = {"compared": len(changes), "held": len(reasons)}
    return DriftResult(counts, (), tuple(changes), tuple(reasons))


def _compute_metrics(run: RunContext) -> MetricsResult:
    """Return what the manifest keeps of the tables: figures, and the version of their columns."""
    published = {
        output.folder: read_folder_sql(run.build.revision / output.folder)
        for output in VIEWS.values()
    }
    fact_table = read_folder_sql(run.build.fact_table)  # has more columns than `facts`
    tables = {**published, "facts": fact_table}
    in_force = run.project.services_in_force(run.month)
    paying = [code for code, version in in_force.items() if version.amount]
    lookups = [fact.lookup for fact in run.project.facts.values() if fact.lookup]
    looked_up = sorted({name for lookup in lookups for name in lookup.match.values()})
    with run.engine() as session:
        return MetricsResult(
            figures=compute_metrics(session, tables, paying, looked_up),
            table_schemas={name: hash_schema(session, table) for name, table in published.items()},
        )


def _read_limits(given: Drift) -> Limits:
    return Limits(
        residents=Limit(given.residents, given.residents_min),
        rows=Limit(given.rows, given.rows_min),
        mean_points=Limit(given.mean_points, given.mean_points_min),
        eligible=Limit(given.eligible, given.eligible_min),
    )
