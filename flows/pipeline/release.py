"""Release: publish the finished month, keep the policy beside it, renew the catalogue."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

from flows.pipeline.context import PublishResult, RunContext
from flows.pipeline.hold import hold_if_drifted
from flows.pipeline.manifest import build_month_facts
from flows.pipeline.overview import renew_overview
from flows.project import Project
from flows.storage.held_months import remove_hold
from flows.storage.publish import publish_revision, share_revision
from flows.storage.revisions import (
    find_published,
    list_published_months,
    next_revision_number,
)
from flows.storage.root import Root
from flows.storage.seals import Seal, list_catalogue_seals
from reports.catalogue.build import EXACT_CATALOGUE, OPEN_CATALOGUE, build_catalogue
from reports.catalogue.dictionary import build_dictionary_rows


def publish_month(run: RunContext) -> PublishResult:
    """Make the finished folder the month's next revision, switch to it, renew what shows all months.

    Raises:
        JifenError: Exit 14, the month is held.
    """
    hold_if_drifted(run)
    number = next_revision_number(run.root, run.month)
    revision = run.build.revision
    copy_policy(run.project, revision / "policy")
    packages = len(run.project.reference.districts)
    entry = run.root.access_log("export", month=str(run.month), revision=number, packages=packages)
    facts = build_month_facts(run).model_copy(update={"access_entry": entry})
    published = publish_revision(run.root, run.key, revision, facts)
    run.build.clear()
    remove_hold(run.root, run.month)
    renew_catalogue(run.project, run.root)
    findings = renew_overview(run.project, run.root)
    return PublishResult({"revision": published.number}, tuple(findings), published)


def copy_policy(project: Project, target: Path) -> None:
    """Keep the tables that scored the month beside it."""
    shutil.rmtree(target, ignore_errors=True)
    for folder, files in project.policy_files().items():
        (target / folder).mkdir(parents=True)
        for path in files:
            shutil.copyfile(path, target / folder / path.name)
    (target / "reference").mkdir()
    for name in project.reference.hashes:
        source = project.reference.folder / f"{name}.csv"
        shutil.copyfile(source, target / "reference" / f"{name}.csv")


def renew_catalogue(project: Project, root: Root, as_seen_from: Path | None = None) -> None:
    """Make the catalogues of the revisions in force.

    All revisions and the overview are opened to the groups that the settings name now.
    """
    for _, _, path in root.revision_folders():
        root.share(path.parent, deep=False)
        share_revision(root, path)
    if root.overview.exists():
        root.share(root.overview)
    in_force = [find_published(root, month) for month in list_published_months(root)]
    listed = [(str(revision.month), revision.path) for revision in in_force if revision]
    dictionary = build_dictionary_rows(project.sources, project.tables)
    catalogues = (OPEN_CATALOGUE, EXACT_CATALOGUE)
    for catalogue, seal in zip(catalogues, list_catalogue_seals(root), strict=True):
        prepare = partial(_prepare_file, root, seal, exact=catalogue is EXACT_CATALOGUE)
        build_catalogue(root.path, listed, dictionary, as_seen_from, prepare, catalogue)
        seal.write(root.key())


def _prepare_file(root: Root, seal: Seal, file: Path, *, exact: bool) -> None:
    """Give a catalogue's new file its readers, and remove the seal of those that it replaces.

    A kill before the new seal leaves the catalogue without one, which `jifen verify` names.
    """
    root.share(file, exact=exact)
    seal.file.unlink(missing_ok=True)
