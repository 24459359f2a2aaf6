"""Release: publish the finished month, copy its policy, renew the catalogue."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from flows.pipeline.context import RunContext
from flows.pipeline.hold import clear_hold, hold_if_drifted
from flows.pipeline.manifest import build_manifest
from flows.project import Project
from flows.storage import publish
from flows.storage.revisions import find_published, list_published_months
from flows.storage.root import Root
from reports.catalogue.build import build_catalogue
from reports.catalogue.dictionary import build_dictionary_rows
from reports.packages.build import list_sealed_files


def publish_month(run: RunContext) -> dict[str, Any]:
    """Make the finished folder the month's next revision, switch to it, renew the catalogue. JifenError 14: it is held."""
    hold_if_drifted(run)
    revision = run.making.revision
    copy_policy(run.project, revision / "policy")
    run.root.access_log(
        "export", month=str(run.month), packages=len(run.project.reference.districts)
    )
    described = {
        f"exports/{name}": about for name, about in list_sealed_files(revision / "exports").items()
    }
    run.published = publish.publish_revision(
        run.root, run.key, revision, run.month, build_manifest(run), described
    )
    run.making.clear()
    clear_hold(run)
    renew_catalogue(run.project, run.root)
    return {"revision": run.published.number}


def copy_policy(project: Project, target: Path) -> None:
    """Keep the tables that scored the month beside it."""
    shutil.rmtree(target, ignore_errors=True)
    for folder, files in project.policy_files().items():
        (target / folder).mkdir(parents=True)
        for path in files:
            shutil.copyfile(path, target / folder / path.name)
    (target / "reference").mkdir()
    for name in project.reference.hashes:
        shutil.copyfile(
            project.reference.folder / f"{name}.csv", target / "reference" / f"{name}.csv"
        )


def renew_catalogue(project: Project, root: Root, as_seen_from: Path | None = None) -> None:
    """Make the analysts' catalogue of the revisions in force; all revisions open to the group that the settings name now."""
    for _, _, path in root.revision_folders():
        root.share(path.parent, deep=False)
        publish.share_revision(root, path)
    in_force = [find_published(root, month) for month in list_published_months(root)]
    listed = [(str(revision.month), revision.path) for revision in in_force if revision]
    build_catalogue(
        root.path,
        listed,
        build_dictionary_rows(project.sources, project.tables),
        as_seen_from,
        root.share,
    )
