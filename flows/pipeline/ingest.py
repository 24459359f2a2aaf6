"""The first half of a month: deliveries received, judged and cleaned; nothing is computed when nothing has changed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from expectations import gate
from expectations.errors import JifenError
from flows.extract.pull import pull_up_to
from flows.pipeline.context import RejectedDelivery, RunContext
from flows.pipeline.fingerprints import (
    CLEANING_CODE_PATHS,
    build_fingerprint,
    code_fingerprint,
    input_fingerprint,
)
from flows.pipeline.inputs import reject_repeated_increment, select_inputs
from flows.pipeline.report import BLOCKING
from flows.project import Project
from flows.storage.build import open_build
from flows.storage.deliveries import Delivery, list_deliveries, record_row_count
from flows.storage.revisions import find_published, is_stale
from transforms.clean.delivery import (
    CleaningJob,
    RowCounts,
    clean_delivery,
    find_staged_rows,
    read_account,
)
from transforms.comparison.metrics import count_refused
from transforms.engine.session import Session


def pull_deliveries(run: RunContext) -> dict[str, Any]:
    """Receive every month up to this one that is on offer and not yet received, or has changed.

    JifenError 11 names every source that lacks a month, so that the operator can call all departments at once.
    """
    gate.preload()
    new = pull_up_to(run.root, run.project.settings, run.project.sources, run.month)
    for delivery in new:
        run.report_progress(f"收到 {delivery.month} {delivery.source} 第 {delivery.number} 次交付")
    lacking = []
    for name, source in run.project.sources.items():
        had = list_deliveries(run.root, name)
        try:
            run.served[name] = select_inputs(source, had, run.month, run.allowed)
        except JifenError as error:
            lacking.append(RejectedDelivery(name, error, None))
    run.refused = lacking
    if lacking:
        raise _combine_errors([refused.error for refused in lacking])
    return {"deliveries": len(new)}


def clean_deliveries(run: RunContext) -> dict[str, Any]:
    """Stage, judge and split every delivery that serves the month and is not yet clean.

    All are judged before the first one that is no good ends the run (JifenError 11 or 12), so that the operator can
    call every department at once; what is clean stays clean.
    """
    cleaned = 0
    with run.engine() as session:
        for name, served in run.served.items():
            accounts = []
            for delivery in served.deliveries:
                job = build_cleaning_job(run.project, delivery)
                known = read_account(job, run.root.path)
                if known is None:
                    run.report_progress(f"清洗 {delivery.month} {name}")
                passed = _passed(run, session, job, delivery, known)
                cleaned += known is None and passed is not None
                accounts += [passed] if passed else []
            if len(accounts) == len(served.deliveries):
                run.accounts[name] = accounts
    if run.refused:
        raise _combine_errors([refused.error for refused in run.refused])
    run.build = open_build(run.root, str(run.month), build_fingerprint(run))
    return {
        "cleaned": cleaned,
        "rows": sum(a.clean for accounts in run.accounts.values() for a in accounts),
    }


def _passed(
    run: RunContext,
    session: Session,
    job: CleaningJob,
    delivery: Delivery,
    known: RowCounts | None,
) -> RowCounts | None:
    """The account of a delivery, `known` if it was clean before; None, and noted, when it is no good."""
    try:
        account = known or _clean_one(run, session, job)
        if (
            job.source.delivery == "increment"
        ):  # asked each time: an earlier month may have been delivered anew since
            reject_repeated_increment(
                run.served[delivery.source].deliveries, delivery, account.received
            )
    except JifenError as error:
        if error.code not in BLOCKING:
            raise
        run.report_progress(f"{delivery.month} {delivery.source} 未通过")
        rows = None if known else find_staged_rows(run.root.tmp / "clean")
        counts = count_refused(session, rows) if rows else None
        error.__context__ = (
            None  # the frames of both hold the engine's connections, which would be let go too late
        )
        run.refused.append(RejectedDelivery(delivery.source, error.with_traceback(None), counts))
        return None
    if "rows" not in delivery.receipt:
        record_row_count(delivery, account.received)
    return account


def _combine_errors(errors: Sequence[JifenError]) -> JifenError:
    """One error for all. What cannot be read comes first (11): of that nobody knows yet whether it would pass."""
    if len(errors) == 1:
        return errors[0]
    listed = "\n".join(
        f"  {error}".replace("\n", "\n  ") for error in errors
    )  # each with its own way out
    what = f"{len(errors)} 份交付缺少或未通过：\n{listed}"
    return JifenError(
        min(error.code for error in errors), what, hint="逐项处理（报告中也都列出）后再运行"
    )


def _clean_one(run: RunContext, session: Session, job: CleaningJob) -> RowCounts:
    limit = run.project.settings.gate.quarantine_limit

    def judge(staged: str) -> list[str]:
        return gate.validate_delivery(session, staged, job.source, job.received, limit)

    return clean_delivery(session, job, run.root.path, run.root.tmp / "clean", judge)


def build_cleaning_job(project: Project, delivery: Delivery) -> CleaningJob:
    """What cleaning a delivery depends on: its content, the source's declaration, the districts, encoding, limit, code."""
    source = project.sources[delivery.source]
    given = project.settings.sources.get(delivery.source)
    encoding = (given and given.encoding) or source.encoding
    inputs = [
        delivery.content,
        source.model_dump_json(exclude={"synthetic", "facts"}),
        ",".join(project.reference.districts),
        encoding,
        str(project.settings.gate.quarantine_limit),
        code_fingerprint(*CLEANING_CODE_PATHS),
    ]
    digest = hashlib.sha256("\n".join(inputs).encode()).hexdigest()
    return CleaningJob(
        source,
        delivery.month,
        delivery.number,
        delivery.parts,
        encoding,
        frozenset(project.reference.districts),
        digest,
    )


def detect_no_change(run: RunContext) -> dict[str, Any]:
    """See whether the published revision was made from these very inputs, and compared with the month before as it is
    published now: then nothing is left to do."""
    run.published = find_published(run.root, run.month)
    if run.published and run.published.manifest.get("inputs") == input_fingerprint(run):
        told = run.published.manifest["told"] or not run.send
        run.unchanged = told and not is_stale(run.root, run.published)
    if run.unchanged:
        run.making.clear()
    return {"unchanged": run.unchanged}
