"""One month as an ordered list of plain stages. Prefect and tests run the same ones."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from flows.pipeline.compute import (
    compute_changes,
    compute_facts,
    compute_points,
    compute_reminders,
    compute_services,
)
from flows.pipeline.context import RunContext, StageResult, StageStoppedError
from flows.pipeline.delivery import deliver_published
from flows.pipeline.drift_check import check_drift
from flows.pipeline.ingest import clean_deliveries, detect_no_change, pull_deliveries
from flows.pipeline.open_layer import compute_open_layer
from flows.pipeline.packages import write_packages
from flows.pipeline.progress import NULL_PROGRESS, Advance
from flows.pipeline.release import publish_month
from flows.pipeline.report import write_report
from flows.pipeline.statements import compute_statements
from flows.pipeline.titles import STAGE_TITLES


@dataclass(frozen=True)
class Stage:
    """A stage of the month.

    Attributes:
        name: Its name in Prefect, in records and in timings.
        function: What it does: the run so far in, a result out.
        retry_seconds: How long to wait before each further try of an error that may pass.
    """

    name: str
    function: Callable[[RunContext], StageResult]
    retry_seconds: tuple[float, ...] = ()

    @property
    def title(self) -> str:
        """What the operator reads while it runs, and in the report."""
        return STAGE_TITLES[self.name]


StageRunner = Callable[[Stage, RunContext], StageResult]

DELIVER_RETRY_SECONDS = (5.0, 30.0)
INGEST_STAGES = (
    Stage("pull", pull_deliveries, retry_seconds=(5.0, 30.0)),
    Stage("clean", clean_deliveries),
    Stage("compare", detect_no_change),
)
COMPUTE_STAGES = (
    Stage("facts", compute_facts),
    Stage("points", compute_points),
    Stage("services", compute_services),
    Stage("open", compute_open_layer),
    Stage("changes", compute_changes),
    Stage("statements", compute_statements),
    Stage("reminders", compute_reminders),
    Stage("exports", write_packages),
    Stage("drift", check_drift),
    Stage("report", write_report),
    Stage("publish", publish_month),
)


def skip_if_unchanged(stage: Stage) -> Stage:
    """Return the stage, left out when the published revision was made from the same inputs."""

    def call(run: RunContext) -> StageResult:
        if run.unchanged:
            return StageResult({"skipped": True})
        run.report_progress(stage.title)
        return stage.function(run)

    return replace(stage, function=call)


STAGES = (*INGEST_STAGES, *map(skip_if_unchanged, COMPUTE_STAGES))
DELIVER_STAGE = Stage("deliver", deliver_published, DELIVER_RETRY_SECONDS)


def list_stages(run: RunContext) -> tuple[Stage, ...]:
    """Return the stages of a run: the last one only where there are destinations."""
    return (*STAGES, DELIVER_STAGE) if run.project.settings.deliver else STAGES


class StagesFailedError(Exception):
    """A stage failed: `error` is what it raised, `run` what the stages before left."""

    def __init__(self, stage: Stage, error: Exception, run: RunContext) -> None:
        super().__init__(str(error))
        self.stage, self.error, self.run = stage, error, run


def call_stage(stage: Stage, run: RunContext) -> StageResult:
    """Run a stage here and now."""
    return stage.function(run)


def run_stages(
    run: RunContext, call: StageRunner = call_stage, advance: Advance = NULL_PROGRESS
) -> RunContext:
    """Run all stages; deliveries that are missing do not keep those that came from being checked.

    Args:
        run: The run before its first stage.
        call: How a stage is run: by itself, or as a Prefect task.
        advance: Where progress is shown.

    Raises:
        StagesFailedError: A stage failed.
    """
    stages = list_stages(run)
    for number, stage in enumerate(stages, 1):
        advance(f"{run.month} {stage.title}", number, len(stages))
        started = time.perf_counter()
        result, error = _attempt(stage, run, call)
        seconds = round(time.perf_counter() - started, 3)
        run = replace(run.with_result(result), timings={**run.timings, stage.name: seconds})
        if error and not (stage.name == "pull" and isinstance(error, StageStoppedError)):
            raise StagesFailedError(stage, error, run)
    return run


def _attempt(
    stage: Stage, run: RunContext, call: StageRunner
) -> tuple[StageResult, Exception | None]:
    """Return what a stage leaves, and what it raised."""
    try:
        return call(stage, run), None
    except StageStoppedError as error:
        return error.result, error
    except Exception as error:
        return StageResult(), error
