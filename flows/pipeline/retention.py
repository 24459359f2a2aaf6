"""What the rules of retention ask to remove now, and its removal."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from expectations.month import Month
from flows.pipeline.inputs import select_inputs
from flows.project import Project
from flows.storage.deliveries import RECEIPT, list_deliveries
from flows.storage.removal_records import Removal, Rule
from flows.storage.removals import (
    IDENTIFIED_FOLDERS,
    PlannedRemoval,
    begin_removal,
    finish_removals,
    prepare_kept_folder,
)
from flows.storage.revisions import (
    Revision,
    find_published,
    list_published_months,
    list_revisions,
)
from flows.storage.root import Root, list_months, list_versions
from transforms.clean.delivery import OUTPUT_KINDS
from transforms.engine.session import open_engine
from transforms.outputs import REMINDERS
from transforms.reminders.build import write_sent_reminders

DeliveryName = tuple[str, Month, int]


@dataclass(frozen=True)
class RetentionPlan:
    """What is to be removed now.

    Attributes:
        removals: By rule; none where nothing has run out.
        needed: How many deliveries are old enough, but inputs of months that may be run again.
        inbox: Months of which the inbox still has files, though their deliveries go.
    """

    removals: Sequence[PlannedRemoval] = ()
    needed: int = 0
    inbox: Sequence[Month] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing has run out."""
        return not self.removals


@dataclass
class _Deliveries:
    """Deliveries that have run out: what goes, and how many stay as inputs of later months."""

    targets: list[Path] = field(default_factory=list)
    needed: int = 0


def plan_removals(root: Root, project: Project, this_month: Month) -> RetentionPlan:
    """Return what has run out in a month.

    What is of a month has run out once that month and so many after it are over. What identifies
    people in the newest published month stays whatever its age: the next one is computed from it.
    """
    given = project.settings.retention
    old, replaced = (
        _list_old(root, project, this_month),
        _list_replaced(root, project, this_month),
    )
    deliveries = _Deliveries()
    if given.raw:
        deliveries = _find_old_deliveries(root, project, this_month)
    found = [
        _plan_revisions("identified", given.identified, old),
        _plan_revisions("superseded", given.superseded, replaced),
        PlannedRemoval("raw", given.raw or 0, tuple(deliveries.targets), {}),
    ]
    terms = {one.rule: one.months for one in found if one.months and one.rule != "superseded"}
    if terms:
        shortest = min(terms, key=lambda rule: terms[rule])
        builds = tuple(_list_old_builds(root, this_month - terms[shortest]))
        found = [
            replace(one, targets=one.targets + builds) if one.rule == shortest else one
            for one in found
        ]
    raw = [target for target in deliveries.targets if target.is_relative_to(root.raw)]
    months = sorted({Month.parse(target.relative_to(root.raw).parts[0]) for target in raw})
    return RetentionPlan(
        [one for one in found if one.targets],
        deliveries.needed,
        [month for month in months if any((root.inbox / str(month)).glob("*"))],
    )


def carry_out(root: Root, key: bytes, project: Project, plan: RetentionPlan) -> list[Removal]:
    """Remove what is planned; each removal is signed before anything goes.

    The caller holds the root's lock, and no removal is unfinished.
    """
    done = []
    for planned in plan.removals:
        kept = prepare_kept_folder(root)
        if planned.reminder_lists:
            engine = project.settings.engine_settings
            with open_engine(engine, root.tmp / "spill") as session:
                for name, files in planned.reminder_lists.items():
                    write_sent_reminders(session, files, kept / name)
        done.append(begin_removal(root, key, planned, kept))
        finish_removals(root, key)
    return done


def _plan_revisions(rule: Rule, months: int | None, revisions: list[Revision]) -> PlannedRemoval:
    """Return the removal of what identifies people in some revisions."""
    lists = {
        f"sent-{revision.month}-r{revision.number}.parquet": files
        for revision in revisions
        if (files := sorted((revision.path / REMINDERS.folder).glob("*.parquet")))
    }
    targets = [target for revision in revisions for target in _list_identified(revision)]
    return PlannedRemoval(rule, months or 0, tuple(targets), lists)


def _list_old(root: Root, project: Project, this_month: Month) -> list[Revision]:
    """Return the revisions, in force or replaced, of months that are too old to name people."""
    months, newest = (
        project.settings.retention.identified,
        max(list_months(root.months), default=None),
    )
    return [
        revision
        for month in list_months(root.months)
        if months and month < this_month - months and month != newest
        for revision in list_revisions(root, month)
        if _list_identified(revision)
    ]


def _list_replaced(root: Root, project: Project, this_month: Month) -> list[Revision]:
    """Return the revisions that were replaced long ago, but those whose month is too old itself."""
    months, old = project.settings.retention.superseded, _list_old(root, project, this_month)
    if not months:
        return []
    found = []
    for month in list_months(root.months):
        revisions = list_revisions(root, month)
        for revision, successor in itertools.pairwise(revisions):
            at = Month.parse(successor.manifest.published_at[:7])
            is_out = at < this_month - months and revision not in old
            if is_out and find_published(root, month) and _list_identified(revision):
                found.append(revision)
    return found


def _list_identified(revision: Revision) -> list[Path]:
    folders = (revision.path / name for name in IDENTIFIED_FOLDERS)
    return [folder for folder in folders if folder.exists()]


def _find_old_deliveries(root: Root, project: Project, this_month: Month) -> _Deliveries:
    """Return what goes of deliveries of months that are not run again: all but the receipt.

    Of those that later months are made from only what was refused or emptied goes.
    """
    months = project.settings.retention.raw
    assert months
    cutoff, found = this_month - months, _Deliveries()
    needed = _list_needed(root, project, cutoff, this_month)
    for month in list_months(root.raw):
        sources = sorted((root.raw / str(month)).iterdir()) if month < cutoff else []
        for number, folder in [one for source in sources for one in list_versions(source, "d")]:
            source = folder.parent.name
            is_needed = (source, month, number) in needed
            found.needed += is_needed
            place = Path(source) / f"received={month}" / f"d{number}"
            kinds = [kind for kind in OUTPUT_KINDS if kind != "clean" or not is_needed]
            working = [root.path / kind / place for kind in kinds]
            parts = sorted(item for item in folder.iterdir() if item.name != RECEIPT)
            found.targets += [] if is_needed else parts
            found.targets += [one for one in working if one.exists()]
    returns = root.quarantine / "returns"
    found.targets += [returns / str(month) for month in list_months(returns) if month < cutoff]
    return found


def _list_needed(
    root: Root, project: Project, cutoff: Month, this_month: Month
) -> set[DeliveryName]:
    """Return the deliveries that months from the cutoff on, and coming ones, are made from."""
    needed: set[DeliveryName] = set()
    published = list_published_months(root)
    for name, source in project.sources.items():
        received = list_deliveries(root, name)
        chosen = list(received[-1:])
        for month in Month.span(cutoff, max([this_month, *published]) + 1):
            chosen += select_inputs(source, received, month, {}).deliveries
        needed |= {(name, one.month, one.number) for one in chosen}
    for month in published:
        revision = (
            find_published(root, month) if month >= cutoff or month == published[-1] else None
        )
        for used in revision.manifest.deliveries if revision else ():
            needed.add((used["source"], Month.parse(used["month"]), used["number"]))
    return needed


def _list_old_builds(root: Root, before: Month) -> Iterator[Path]:
    """Yield builds of months before one, which nobody finished: they hold people's rows, too."""
    for folder in sorted((root.tmp / "build").glob("*")):
        with suppress(ValueError):
            if Month.parse(folder.name[:7]) < before:
                yield folder
