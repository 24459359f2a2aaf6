"""One month as a list of plain steps on a `Run`. Prefect and tests call the same ones."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
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
from flows.pipeline.ingest import clean_deliveries, pull_deliveries
from flows.pipeline.report import write_blocked_report, write_report
from flows.project import Project
from flows.storage import publish
from flows.storage.manifest import build_manifest
from flows.storage.revisions import find_published, list_published_months
from flows.storage.root import Root
from reports.catalogue.build import build_catalogue
from reports.catalogue.dictionary import build_dictionary_rows
from reports.packages.build import list_sealed_files
from reports.run_report.sections import STEP_TITLES


def receive_deliveries(run: RunContext) -> dict[str, Any]:
    """Take up what is known of the month if it was held, then receive what has come."""
    drift_check.restore_hold(run)
    return pull_deliveries(run)


def detect_no_change(run: RunContext) -> dict[str, Any]:
    """See whether anything is left to do, and what has changed since the month was held."""
    counts = ingest.detect_no_change(run)
    drift_check.detect_changed_inputs(run)
    return counts


def publish_month(run: RunContext) -> dict[str, Any]:
    """Make the finished folder the month's next revision, switch to it, renew the catalogue. JifenError 14: it is held."""
    drift_check.hold_if_drifted(run)
    revision = run.making.revision
    copy_policy(run.house, revision / "policy")
    run.root.access_log("export", month=str(run.month), packages=len(run.house.reference.districts))
    described = {
        f"exports/{name}": about for name, about in list_sealed_files(revision / "exports").items()
    }
    run.published = publish.publish_revision(
        run.root, run.key, revision, run.month, build_manifest(run), described
    )
    run.making.clear()
    drift_check.clear_hold(run)
    renew_catalogue(run.house, run.root)
    return {"revision": run.published.number}


def copy_policy(house: Project, target: Path) -> None:
    """Keep the tables that scored the month beside it."""
    shutil.rmtree(target, ignore_errors=True)
    for folder, files in house.policy_files().items():
        (target / folder).mkdir(parents=True)
        for path in files:
            shutil.copyfile(path, target / folder / path.name)
    (target / "reference").mkdir()
    for name in house.reference.hashes:
        shutil.copyfile(
            house.reference.folder / f"{name}.csv", target / "reference" / f"{name}.csv"
        )


def renew_catalogue(house: Project, root: Root, as_seen_from: Path | None = None) -> None:
    """Make the analysts' catalogue of the revisions in force; all revisions open to the group that the settings name now."""
    for _, _, path in root.revision_folders():
        root.share(path.parent, deep=False)
        publish.share_revision(root, path)
    in_force = [find_published(root, month) for month in list_published_months(root)]
    listed = [(str(revision.month), revision.path) for revision in in_force if revision]
    build_catalogue(
        root.path,
        listed,
        build_dictionary_rows(house.sources, house.tables),
        as_seen_from,
        root.share,
    )


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
