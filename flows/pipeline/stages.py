"""One month as a list of plain steps on a `Run`. Prefect and tests call the same ones."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from expectations.errors import JifenError
from flows.pipeline import drift_check, ingest
from flows.pipeline.compute import (
    compute_changes,
    compute_facts,
    compute_points,
    compute_reminders,
    compute_services,
    write_packages,
)
from flows.pipeline.context import RunContext
from flows.pipeline.hold import detect_changed_inputs, restore_hold
from flows.pipeline.ingest import clean_deliveries, pull_deliveries
from flows.pipeline.release import publish_month
from flows.pipeline.report import write_blocked_report, write_report
from reports.run_report.sections import STEP_TITLES


def receive_deliveries(run: RunContext) -> dict[str, Any]:
    """Take up what is known of the month if it was held, then receive what has come."""
    restore_hold(run)
    return pull_deliveries(run)


def detect_no_change(run: RunContext) -> dict[str, Any]:
    """See whether anything is left to do, and what has changed since the month was held."""
    counts = ingest.detect_no_change(run)
    detect_changed_inputs(run)
    return counts


@dataclass(frozen=True)
class Stage:
    """A step of the month, by name."""

    name: str
    function: Callable[[RunContext], Mapping[str, Any]]

    @property
    def title(self) -> str:
        """What the operator reads: while it is done, and in the report."""
        return STEP_TITLES[self.name]


INGEST_STAGES = (
    Stage("pull", receive_deliveries),
    Stage("clean", clean_deliveries),
    Stage("compare", detect_no_change),
)
COMPUTE_STAGES = (
    Stage("facts", compute_facts),
    Stage("points", compute_points),
    Stage("services", compute_services),
    Stage("changes", compute_changes),
    Stage("reminders", compute_reminders),
    Stage("exports", write_packages),
    Stage("drift", drift_check.check_drift),
    Stage("report", write_report),
    Stage("publish", publish_month),
)


def with_timing(step: Stage) -> Stage:
    """The step, noting how many seconds it took; a month that is blocked gets its page."""

    def call(run: RunContext) -> Mapping[str, Any]:
        started = time.perf_counter()
        try:
            return step.function(run)
        except JifenError as error:
            write_blocked_report(run, error)
            raise
        finally:
            run.timings[step.name] = round(time.perf_counter() - started, 3)

    return Stage(step.name, call)


def skip_if_unchanged(step: Stage) -> Stage:
    """The step, told as it begins, and left out when the published revision was made from the same inputs."""

    def call(run: RunContext) -> Mapping[str, Any]:
        if run.unchanged:
            return {"skipped": True}
        run.report_progress(step.title)
        return step.function(run)

    return Stage(step.name, call)


STAGES = tuple(
    with_timing(step) for step in (*INGEST_STAGES, *map(skip_if_unchanged, COMPUTE_STAGES))
)
