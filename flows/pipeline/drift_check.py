"""Held months: finished, kept back by the drift check, and published as they are once an operator accepts them."""

from __future__ import annotations

from typing import Any

from flows.pipeline.context import RunContext
from flows.pipeline.manifest import build_manifest
from flows.pipeline.report import build_report_names, find_previous_month
from flows.project import split_city
from flows.settings import Drift
from reports.run_report.drift_text import describe_changes
from transforms.comparison import drift
from transforms.comparison.drift import ComparedItems, Limit, Limits
from transforms.comparison.metrics import compute_metrics, hash_schema
from transforms.engine.parquet import read_folder_sql
from transforms.points.columns import list_scored_indicators, strip_points_suffix


def check_drift(run: RunContext) -> dict[str, Any]:
    """Measure the month, and compare it with the month before as published."""
    run.making.step("figures", lambda: _compute_metrics(run))
    before = find_previous_month(run)
    if before:
        city, districts = split_city(run.project.in_force(run.month))
        compared = ComparedItems(
            {name: source.delivery for name, source in run.project.sources.items()},
            {
                strip_points_suffix(line.column): line.authority
                for line in list_scored_indicators(city, districts)
            },
        )
        limits = _limits(run.project.settings.drift)
        run.changes = drift.find_changes(before.manifest, build_manifest(run), compared, limits)
    run.reasons = describe_changes(drift.find_blocking(run.changes), build_report_names(run))
    return {"compared": len(run.changes), "held": len(run.reasons)}


def _compute_metrics(run: RunContext) -> dict[str, Any]:
    """What the manifest keeps of the tables: their figures, and table -> version of its columns."""
    tables = ("scores", "facts", "eligibility", "changes")
    paying = [
        code for code, version in run.project.services_in_force(run.month).items() if version.amount
    ]
    with run.engine() as session:
        for name in tables:
            session.execute(
                f"CREATE TEMP VIEW {name} AS FROM {read_folder_sql(run.making.revision / name)}"
            )
        session.execute(f"CREATE TEMP VIEW known AS FROM {read_folder_sql(run.making.wide)}")
        lookups = [fact.lookup for fact in run.project.facts.values() if fact.lookup]
        looked_up = sorted({name for lookup in lookups for name in lookup.match.values()})
        return {
            "figures": compute_metrics(session, paying, looked_up),
            "schema": {name: hash_schema(session, name) for name in tables},
        }


def _limits(given: Drift) -> Limits:
    return Limits(
        residents=Limit(given.residents, given.residents_min),
        rows=Limit(given.rows, given.rows_min),
        mean_points=Limit(given.mean_points, given.mean_points_min),
        eligible=Limit(given.eligible, given.eligible_min),
    )
