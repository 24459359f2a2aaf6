"""Returns of a month: what every department has to mend, gathered for its workbook."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from flows.pipeline.context import RunContext
from flows.pipeline.findings import select_new_accounts
from flows.storage.deliveries import find_newest_delivery
from flows.storage.revisions import find_published
from reports.packages.returns import (
    FOLDER,
    ReturnedDelivery,
    ReturnedFile,
    ReturnInputs,
    drop_return_workbooks,
    write_return_workbooks,
)
from transforms.clean.returns import RETURNS
from transforms.engine.session import Session
from transforms.outputs import RETURNED_ROWS


def write_month_returns(run: RunContext, session: Session) -> dict[str, int]:
    """Write the workbooks of a month that is being built; return rows by who gets them."""
    revision = run.build.revision
    found = sorted((revision / RETURNED_ROWS).glob("*.parquet"))
    files = [*_list_files(run), *(ReturnedFile(file, str(run.month)) for file in found)]
    project = run.project
    inputs = ReturnInputs(project.sources, project.reference.districts, files)
    counts = write_return_workbooks(session, inputs, run.month, revision / FOLDER)
    drop_return_workbooks(_blocked_folder(run))
    return counts


def write_blocked_returns(run: RunContext) -> Path | None:
    """Write the workbooks of a month that stopped at what came in; return where, if there are any.

    Of deliveries that were refused whole, of others that came this month, and what did not come.
    """
    whole = [
        ReturnedDelivery(
            one.source,
            str(one.month or run.month),
            one.error.message.replace("\n", ""),
            one.error.hint,
        )
        for one in run.rejected
        if one.source
    ]
    files = [*_list_files(run), *_list_rejected_files(run)]
    folder, project = _blocked_folder(run), run.project
    inputs = ReturnInputs(project.sources, project.reference.districts, files, whole)
    with run.engine() as session:
        counts = write_return_workbooks(session, inputs, run.month, folder)
    return folder if counts else None


def _blocked_folder(run: RunContext) -> Path:
    return run.root.quarantine / "returns" / str(run.month)


def _list_files(run: RunContext) -> Iterator[ReturnedFile]:
    """Yield the returned rows of deliveries that no month before has shown."""
    before = find_published(run.root, run.month - 1)
    for one in select_new_accounts(run.accounts, run.month, before.manifest if before else None):
        if one.quarantined or one.defects or one.superseded:
            yield from _find_file(run, one.source, one.month, one.number)


def _list_rejected_files(run: RunContext) -> Iterator[ReturnedFile]:
    """Yield the returned rows of deliveries that were read and did not pass."""
    for one in run.rejected:
        delivery = (
            find_newest_delivery(run.root, one.source, one.month)
            if one.source and one.month and one.counts
            else None
        )
        if delivery:
            yield from _find_file(run, one.source, str(delivery.month), delivery.number)


def _find_file(run: RunContext, source: str, month: str, number: int) -> Iterator[ReturnedFile]:
    place = run.root.quarantine / source / f"received={month}" / f"d{number}" / RETURNS
    if place.exists():
        yield ReturnedFile(place, month)
