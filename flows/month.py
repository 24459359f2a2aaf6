"""One month as a list of plain steps on a `Run`. Prefect and tests call the same ones."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from expectations.problems import JifenError
from flows import holding, receiving
from flows import publish as publishing
from flows.house import House
from flows.making import changes, exports, facts, points, reminders, services
from flows.manifest import manifest_facts
from flows.receiving import clean, pull
from flows.reporting import keep_blocked_page, report
from flows.root import Root
from flows.run import Run
from reports.catalogue import build_catalogue
from reports.dictionary import dictionary_rows
from reports.exports import sealed_files
from reports.run_sections import STEP_TITLES


def receive(run: Run) -> dict[str, Any]:
    """Take up what is known of the month if it was held, then receive what has come."""
    holding.recall(run)
    return pull(run)


def compare(run: Run) -> dict[str, Any]:
    """See whether anything is left to do, and what has changed since the month was held."""
    counts = receiving.compare(run)
    holding.note_changes(run)
    return counts


def publish(run: Run) -> dict[str, Any]:
    """Make the finished folder the month's next revision, switch to it, renew the catalogue. JifenError 14: it is held."""
    holding.hold(run)
    revision = run.making.revision
    copy_policy(run.house, revision / "policy")
    run.root.access_log("export", month=str(run.month), packages=len(run.house.reference.districts))
    described = {f"exports/{name}": about for name, about in sealed_files(revision / "exports").items()}
    run.published = publishing.publish(run.root, run.key, revision, run.month, manifest_facts(run), described)
    run.making.clear()
    holding.forget(run)
    renew_catalogue(run.house, run.root)
    return {"revision": run.published.number}


def copy_policy(house: House, target: Path) -> None:
    """Keep the tables that scored the month beside it."""
    shutil.rmtree(target, ignore_errors=True)
    for folder, files in house.policy_files().items():
        (target / folder).mkdir(parents=True)
        for path in files:
            shutil.copyfile(path, target / folder / path.name)
    (target / "reference").mkdir()
    for name in house.reference.hashes:
        shutil.copyfile(house.reference.folder / f"{name}.csv", target / "reference" / f"{name}.csv")


def renew_catalogue(house: House, root: Root, as_seen_from: Path | None = None) -> None:
    """Make the analysts' catalogue of the revisions in force; all revisions open to the group that the settings name now."""
    for _, _, path in root.revision_folders():
        root.share(path.parent, deep=False)
        publishing.share(root, path)
    in_force = [publishing.published(root, month) for month in publishing.published_months(root)]
    listed = [(str(revision.month), revision.path) for revision in in_force if revision]
    build_catalogue(root.path, listed, dictionary_rows(house.sources, house.tables), as_seen_from, root.share)


@dataclass(frozen=True)
class Step:
    """A step of the month, by name."""

    name: str
    function: Callable[[Run], Mapping[str, Any]]

    @property
    def title(self) -> str:
        """What the operator reads: while it is done, and in the report."""
        return STEP_TITLES[self.name]


RECEIVING = (Step("pull", receive), Step("clean", clean), Step("compare", compare))
MAKING = (
    Step("facts", facts),
    Step("points", points),
    Step("services", services),
    Step("changes", changes),
    Step("reminders", reminders),
    Step("exports", exports),
    Step("drift", holding.drift),
    Step("report", report),
    Step("publish", publish),
)


def timed(step: Step) -> Step:
    """The step, noting how many seconds it took; a month that is blocked gets its page."""

    def call(run: Run) -> Mapping[str, Any]:
        started = time.perf_counter()
        try:
            return step.function(run)
        except JifenError as error:
            keep_blocked_page(run, error)
            raise
        finally:
            run.timings[step.name] = round(time.perf_counter() - started, 3)

    return Step(step.name, call)


def unless_unchanged(step: Step) -> Step:
    """The step, told as it begins, and left out when the published revision was made from the same inputs."""

    def call(run: Run) -> Mapping[str, Any]:
        if run.unchanged:
            return {"skipped": True}
        run.tell(step.title)
        return step.function(run)

    return Step(step.name, call)


STEPS = tuple(timed(step) for step in (*RECEIVING, *map(unless_unchanged, MAKING)))
