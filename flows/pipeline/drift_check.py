"""The drift check: the month measured, and compared with the previous month as published."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

from expectations.findings import KIND_TEXTS, Finding, FindingKind, is_blocking
from flows.pipeline.compute import write_sql
from flows.pipeline.context import DriftResult, RunContext
from flows.pipeline.manifest import build_month_facts
from flows.pipeline.report import (
    build_report_context,
    build_report_names,
    find_previous_month,
)
from flows.pipeline.staleness import explain_stale_months
from flows.project import split_city
from flows.settings import Drift
from flows.storage.deliveries import Delivery, read_delivery
from flows.storage.revisions import Revision, find_published, next_revision_number
from flows.storage.stage_results import MetricsResult
from reports.findings import describe_finding
from reports.run_report.comparison_findings import find_drift_findings, find_month_findings
from reports.run_report.drift_text import describe_changes
from transforms.comparison.drift import (
    ComparedItems,
    DriftChange,
    Limit,
    Limits,
    find_blocking,
    find_changes,
)
from transforms.comparison.metric_table import (
    PointsItems,
    counted_relation,
    metrics_statement,
    moved_relation,
)
from transforms.comparison.metrics import compute_metrics, hash_schema
from transforms.engine.parquet import empty_relation_sql, read_folder_sql, read_parquet_sql
from transforms.engine.session import Session
from transforms.outputs import (
    CHANGES,
    ELIGIBILITY,
    FACTS,
    METRICS,
    REMINDERS,
    SCORES,
    VIEWS,
    find_table_file,
)
from transforms.points.columns import (
    list_points_columns,
    list_points_items,
    list_scored_indicators,
    strip_points_suffix,
)
from transforms.points.models import CITY

_FEWER = 0.5  # of the values that a column should have
_SOME_VALUES = 5  # that a column should have: it is not empty by chance
FEW_ROWS = 5
"""An increment may be redelivered with so many rows less, however few it has."""


def check_drift(run: RunContext) -> DriftResult:
    """Measure the month, and compare it with the previous month as published."""
    run.build.run_once("metrics", MetricsResult, lambda: _compute_metrics(run))
    before, current = find_previous_month(run), build_month_facts(run).to_values()
    names = build_report_names(run)
    changes = _compare(run, before.manifest.to_values(), current) if before else []
    accepted = run.options.accept if run.is_accepted else None
    lost = find_lost_values(run, before)
    smaller = [*find_smaller_redeliveries(run), *filter(is_blocking, lost)]
    reasons = describe_changes(find_blocking(changes), names)
    reasons += [describe_finding(one, run.project.sources) for one in smaller]
    findings = [
        *find_drift_findings(changes, names, accepted),
        *(_accept(smaller, accepted) if accepted else smaller),
        *find_month_findings(
            current,
            before.manifest.to_values() if before else None,
            run.published.manifest.to_values() if run.published else None,
            names,
            build_report_context(run),
        ),
        *(one for one in lost if not is_blocking(one)),
        *_find_stale(run),
    ]
    counts = {"compared": len(changes), "held": len(reasons)}
    return DriftResult(counts, tuple(findings), tuple(changes), tuple(reasons))


def _find_stale(run: RunContext) -> Iterator[Finding]:
    """Yield the other published months that have to be run again, that after this one included."""
    stale = explain_stale_months(run.root, run.project)
    if find_published(run.root, run.month + 1):
        stale.setdefault(run.month + 1, f"{run.month} 重新发布以后须重新计算")
    for month, reason in sorted(stale.items()):
        if month != run.month:
            yield Finding(FindingKind.STALE_MONTH, month=str(month), detail=reason)


def _accept(held: Sequence[Finding], accepted: str) -> list[Finding]:
    """Return findings that hold a month as those of a month that is accepted."""
    return [
        Finding(
            FindingKind.ACCEPTED,
            one.source,
            one.month,
            one.column,
            detail=f"理由：{accepted}。{KIND_TEXTS[one.kind].title}：{one.detail}",
        )
        for one in held
    ]


def find_smaller_redeliveries(run: RunContext) -> list[Finding]:
    """Return the increments that were delivered again with much fewer rows than before.

    Those that the month, or the month before, was published with are not looked at again.
    """
    published = [find_published(run.root, month) for month in (run.month, run.month - 1)]
    known = {
        (used["source"], used["month"], used["number"])
        for revision in published
        if revision
        for used in revision.manifest.deliveries
    }
    return [
        finding
        for name, chosen in run.inputs.items()
        if run.project.sources[name].delivery == "increment"
        for delivery in chosen.deliveries
        if delivery.number > 1
        and (name, str(delivery.month), delivery.number) not in known
        and (finding := _compare_with_replaced(delivery))
    ]


def _compare_with_replaced(delivery: Delivery) -> Finding | None:
    """Return the finding of a delivery with less than half the rows of the one it replaces."""
    numbers = range(delivery.number - 1, 0, -1)
    earlier = (read_delivery(delivery.folder.parent / f"d{number}") for number in numbers)
    before = next((one.receipt.rows for one in earlier if one.receipt.rows is not None), 0)
    rows = read_delivery(delivery.folder).receipt.rows or 0
    if before - rows <= FEW_ROWS or rows * 2 >= before:
        return None
    detail = f"第 {delivery.number} 次交付 {rows:,} 行，所取代的有 {before:,} 行"
    where = (delivery.source, str(delivery.month))
    return Finding(FindingKind.SMALLER_REDELIVERY, *where, count=rows, total=before, detail=detail)


def find_lost_values(run: RunContext, before: Revision | None) -> list[Finding]:
    """Return the columns that have far fewer values than the deliveries before let expect.

    A column that is empty, or not there at all, is no bad value that the gate would count. The
    month is held beyond the limits of rows, and less than half of what is expected.
    """
    drift = run.project.settings.drift
    limit = Limit(_FEWER, drift.rows_min, drift.standard_errors)
    found = []
    for name, passed in run.accounts.items():
        earlier = (
            [one for one in before.manifest.accounts if one["source"] == name] if before else []
        )
        rows = sum(one["clean"] for one in earlier if "filled" in one)
        if not passed or passed[-1].month != str(run.month) or not rows:
            continue
        for column, count in passed[-1].filled.items():
            was = sum(one.get("filled", {}).get(column, 0) for one in earlier)
            expected = Decimal(was) * passed[-1].clean / rows
            where = (name, str(run.month), column)
            lost = round(expected) - count
            detail = f"按以前的交付约有 {expected:,.0f} 个，本月 {count:,} 个"
            if lost > 0 and limit.exceeded(expected, Decimal(count), expected.sqrt()):
                found.append(Finding(FindingKind.FEWER_VALUES, *where, lost, detail=detail))
            elif not count and expected >= _SOME_VALUES:
                found.append(Finding(FindingKind.EMPTY_COLUMN, *where, lost, detail=detail))
    return found


def _compare(run: RunContext, before: dict[str, Any], current: dict[str, Any]) -> list[DriftChange]:
    """Return every figure of the month against that of the month before."""
    city, districts = split_city(run.project.in_force(run.month))
    compared = ComparedItems(
        # how much an optional source has says nothing of its quality
        {name: one.delivery for name, one in run.project.sources.items() if not one.optional},
        {
            strip_points_suffix(line.column): line.authority
            for line in list_scored_indicators(city, districts)
        },
    )
    return find_changes(before, current, compared, _read_limits(run.project.settings.drift))


def _compute_metrics(run: RunContext) -> MetricsResult:
    """Write `metrics/`; return figures of the tables, and the version of their columns."""
    fact_table = read_folder_sql(run.build.fact_table)  # has more columns than `facts`
    in_force = run.project.services_in_force(run.month)
    paying = [code for code, version in in_force.items() if version.amount]
    lookups = [fact.lookup for fact in run.project.facts.values() if fact.lookup]
    looked_up = sorted({name for lookup in lookups for name in lookup.match.values()})
    with run.engine() as session:
        _write_metrics(session, run)
        published = {
            output.folder: read_folder_sql(run.build.revision / output.folder)
            for output in VIEWS.values()
        }
        tables = {**published, "facts": fact_table}
        return MetricsResult(
            figures=compute_metrics(session, tables, paying, looked_up),
            table_schemas={name: hash_schema(session, table) for name, table in published.items()},
        )


def _write_metrics(session: Session, run: RunContext) -> None:
    """Write the metrics of the month, with those of the month before as published."""
    revision, done = run.build.revision, run.build.results()
    changes = done.changes
    assert changes and done.reminders and done.statements
    before = find_published(run.root, run.month - 1)
    file = find_table_file(before.path, METRICS) if before else None
    tables = {
        output.folder: read_folder_sql(revision / output.folder)
        for output in (SCORES, FACTS, ELIGIBILITY, CHANGES, REMINDERS)
    }
    nothing = empty_relation_sql(METRICS.columns)
    inputs = {
        **tables,
        "moved": moved_relation(changes.moved if changes.compared_with else []),
        "outcomes": counted_relation(done.reminders.outcomes_by_district),
        "cases": counted_relation(done.statements.cases_by_district),
        "previous": read_parquet_sql(file) if file and file.is_file() else nothing,
    }
    points = list_points_columns(session, tables[SCORES.folder])
    facts = list(session.describe(tables[FACTS.folder]))
    statement = metrics_statement(points, facts, _list_items(run))
    values = {
        "month": run.month.first_day,
        "revision": next_revision_number(run.root, run.month),
    }
    session.write(statement, find_table_file(revision, METRICS), values, inputs)
    write_sql(revision, "metrics", [statement])


def _list_items(run: RunContext) -> PointsItems:
    """Return the items of the points tables in force."""
    added: list[str] = []
    subtracted: list[str] = []
    deductions: list[str] = []
    for column, one in list_points_items(*split_city(run.project.in_force(run.month))).items():
        item = strip_points_suffix(column)
        if one.sign < 0:
            (subtracted if one.kind == "section" else deductions).append(item)
        elif one.kind in ("section", "indicator") and one.authority == CITY:
            added.append(item)
    return PointsItems(added, subtracted, deductions)


def _read_limits(given: Drift) -> Limits:
    errors = given.standard_errors
    return Limits(
        residents=Limit(given.residents, given.residents_min, errors),
        rows=Limit(given.rows, given.rows_min, errors),
        mean_points=Limit(given.mean_points, given.mean_points_min, errors),
        eligible=Limit(given.eligible, given.eligible_min, errors),
    )
