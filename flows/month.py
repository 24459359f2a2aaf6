"""One month as a list of plain steps on a `Run`. Prefect and tests call the same ones."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from flows import publish as publishing
from flows.house import ALL_CODE, House, city_version, code_hash
from flows.making import changes, exports, facts, points, reminders, services
from flows.receiving import clean, compare, pull
from flows.root import Root
from flows.run import Run, inputs_hash, received
from reports.catalogue import build_catalogue
from reports.dictionary import dictionary_rows
from transforms.clean.cleaning import Account
from transforms.policy.columns import points_column
from transforms.policy.tables import CITY


def publish(run: Run) -> dict[str, Any]:
    """Make the finished folder the month's next revision, switch to it, renew the catalogue."""
    revision = run.making.revision
    copy_policy(run.house, revision / "policy")
    run.published = publishing.publish(run.root, run.key, revision, run.month, manifest_facts(run))
    run.making.clear()
    renew_catalogue(run.house, run.root)
    return {"revision": run.published.number}


def manifest_facts(run: Run) -> dict[str, Any]:
    """What the manifest says of how the month came about."""
    done = run.making.done()
    city, _ = city_version(run.house.in_force(run.month))
    sections = {
        kind: [points_column(CITY, code) for code, section in city.sections.items() if section.subtract == subtracted]
        for kind, subtracted in (("positive", False), ("subtracted", True))
    }
    return {
        "as_of": str(run.month.last_day),
        "inputs": inputs_hash(run),
        "policy": {code: {"from": str(v.begins), "hash": v.hash} for code, v in run.house.in_force(run.month).items()},
        "received": received(run),
        "deliveries": [publishing.delivery_facts(d) for served in run.served.values() for d in served.deliveries],
        "carried": {n: str(served.carried_from) for n, served in run.served.items() if served.carried_from},
        "missing": {
            n: {"months": [str(m) for m in served.missing], "reason": served.reason}
            for n, served in run.served.items()
            if served.missing
        },
        "accounts": [account_facts(account) for accounts in run.accounts.values() for account in accounts],
        "services": {
            c: {"from": str(v.begins), "hash": v.hash} for c, v in run.house.services_in_force(run.month).items()
        },
        **{name: value for counts in done.values() for name, value in counts.items()},
        "sections": sections,
        "code": {"version": metadata.version("jifen"), "hash": code_hash(*ALL_CODE)},
    }


def account_facts(account: Account) -> dict[str, Any]:
    """The row account of a delivery, as manifests and reports show it."""
    return {name: value for name, value in vars(account).items() if name != "inputs"}


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
    """Make the analysts' catalogue of the revisions in force."""
    in_force = [publishing.published(root, month) for month in publishing.published_months(root)]
    listed = [(str(revision.month), revision.path) for revision in in_force if revision]
    build_catalogue(root.path, listed, dictionary_rows(house.sources, house.tables), as_seen_from, root.share)


@dataclass(frozen=True)
class Step:
    """A step of the month, by name."""

    name: str
    function: Callable[[Run], Mapping[str, Any]]


RECEIVING = (Step("pull", pull), Step("clean", clean), Step("compare", compare))
MAKING = (
    Step("facts", facts),
    Step("points", points),
    Step("services", services),
    Step("changes", changes),
    Step("reminders", reminders),
    Step("exports", exports),
    Step("publish", publish),
)


def timed(step: Step) -> Step:
    """The step, noting how many seconds it took."""

    def call(run: Run) -> Mapping[str, Any]:
        started = time.perf_counter()
        try:
            return step.function(run)
        finally:
            run.timings[step.name] = round(time.perf_counter() - started, 3)

    return Step(step.name, call)


def unless_unchanged(step: Step) -> Step:
    """The step, left out when the published revision was made from the same inputs."""
    return Step(step.name, lambda run: {"skipped": True} if run.unchanged else step.function(run))


STEPS = tuple(timed(step) for step in (*RECEIVING, *map(unless_unchanged, MAKING)))


def run_steps(run: Run) -> None:
    """The month without Prefect."""
    for step in STEPS:
        step.function(run)
