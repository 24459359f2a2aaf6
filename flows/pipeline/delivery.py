"""The stage after publication: hand the month over; what does not arrive unpublishes nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from expectations.findings import Finding
from flows.destinations.contents import Destination, list_destinations
from flows.destinations.deliver import deliver_revision
from flows.destinations.delivery import DeliveryContext
from flows.destinations.outcome import (
    describe_outcome,
    find_outcome_findings,
    is_delivered,
    make_undelivered_error,
)
from flows.pipeline.context import RunContext, StageResult, StageStoppedError
from flows.pipeline.report import (
    build_report_context,
    build_report_names,
    find_previous_month,
)
from reports.run_report.page import render_month_page


@dataclass(frozen=True)
class DeliverResult(StageResult):
    """What the destinations got; `findings`: what has not arrived."""


def deliver_published(run: RunContext) -> DeliverResult:
    """Deliver the revision in force to every destination that has not got it by its receipt.

    Raises:
        StageStoppedError: Exit 1, something has not arrived; its cause is a ConnectionError when
            trying again may help.
    """
    revision = run.published
    assert revision is not None
    left = [one for one in list_destinations(run.project) if not _is_done(run, one)]
    context = DeliveryContext(run.project, run.root, run.key, revision)
    outcomes = deliver_revision(context, left)
    for outcome in outcomes:
        run.report_progress(describe_outcome(outcome, revision))
    findings = tuple(find_outcome_findings(outcomes, revision))
    result = DeliverResult({"tried": len(left), "missing": len(findings)}, findings)
    if findings:
        error = make_undelivered_error(outcomes, revision)
        raise StageStoppedError(error, result) from error.__cause__
    return result


def _is_done(run: RunContext, destination: Destination) -> bool:
    assert run.published is not None
    return is_delivered(run.root, run.key, run.published, destination)


def write_undelivered_report(run: RunContext) -> Path | None:
    """Keep the month's page once more, with what has not arrived in its first section.

    The page in the revision is never changed. None for a month that this run did not publish.
    """
    revision = run.published
    if run.unchanged or revision is None:
        return None
    values = revision.manifest.to_values()
    missing: list[Finding] = [
        finding for one in run.results if isinstance(one, DeliverResult) for finding in one.findings
    ]
    values["findings"] = [*(values["findings"] or ()), *(one.to_record() for one in missing)]
    before = find_previous_month(run)
    page = render_month_page(
        values,
        before.manifest.to_values() if before else None,
        build_report_names(run),
        run.drift,
        replace(build_report_context(run), revision=revision.number),
    )
    return run.write_report(page)
