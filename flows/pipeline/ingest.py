"""The first stages of a month: deliveries received, validated, cleaned; and whether they changed.

A run looks at every delivery there is before it stops: a missing one hides no broken one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from expectations import gate
from expectations.errors import JifenError
from flows.extract.pull import pull_up_to
from flows.pipeline.context import (
    DELIVERY_CODES,
    CleanResult,
    CompareResult,
    PullResult,
    RejectedDelivery,
    RunContext,
    StageStoppedError,
)
from flows.pipeline.fingerprints import build_cleaning_job, build_fingerprint, input_fingerprint
from flows.pipeline.hold import find_changed_inputs, restore_options
from flows.pipeline.inputs import (
    InputSet,
    find_missing_error,
    reject_repeated_increment,
    select_inputs,
)
from flows.storage.build import open_build
from flows.storage.deliveries import Delivery, list_deliveries, record_row_count
from flows.storage.held_months import load_hold
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


def pull_deliveries(run: RunContext) -> PullResult:
    """Receive every month up to this one that is on offer and not yet received, or has changed.

    Raises:
        StageStoppedError: Exit 11, sources that lack a month; with what did come.
    """
    gate.preload()
    held = load_hold(run.root, run.month)
    options = restore_options(run, held)
    new = pull_up_to(run.root, run.project.settings, run.project.sources, run.month)
    for delivery in new:
        run.report_progress(f"收到 {delivery.month} {delivery.source} 第 {delivery.number} 次交付")
    inputs: dict[str, InputSet] = {}
    rejected: list[RejectedDelivery] = []
    for name, source in run.project.sources.items():
        received = list_deliveries(run.root, name)
        chosen = select_inputs(source, received, run.month, options.allowed_missing)
        inputs[name] = chosen
        error = find_missing_error(source, chosen, run.month)
        if error:
            rejected.append(RejectedDelivery(name, error, None))
    counts = {"deliveries": len(new)}
    result = PullResult(counts, (), options, held, inputs, tuple(rejected))
    if rejected:
        raise StageStoppedError(_combine_errors(rejected), result)
    return result


def clean_deliveries(run: RunContext) -> CleanResult:
    """Stage, validate and split every delivery that serves the month and is not yet clean.

    All are looked at before the first one that is no good ends the run, so that the operator can
    call every department at once; what is clean stays clean.

    Raises:
        StageStoppedError: Exit 11 or 12, deliveries that are missing or no good; with the others.
    """
    accounts: dict[str, list[RowCounts]] = {}
    rejected: list[RejectedDelivery] = []
    cleaned = 0
    with run.engine() as session:
        for name, chosen in run.inputs.items():
            passed: list[RowCounts] = []
            for delivery in chosen.deliveries:
                job = build_cleaning_job(run.project, delivery)
                known = read_account(job, run.root.path)
                outcome = _clean_or_reject(run, session, job, delivery, known)
                if isinstance(outcome, RejectedDelivery):
                    rejected.append(outcome)
                else:
                    cleaned += known is None
                    passed.append(outcome)
            if len(passed) == len(chosen.deliveries):
                accounts[name] = passed
    rows = sum(account.clean for passed in accounts.values() for account in passed)
    result = CleanResult({"cleaned": cleaned, "rows": rows}, (), accounts, tuple(rejected))
    if run.rejected or rejected:
        raise StageStoppedError(_combine_errors([*run.rejected, *rejected]), result)
    return replace(result, build=open_build(run.root, str(run.month), build_fingerprint(run)))


def _clean_or_reject(
    run: RunContext, session: Session, job: CleaningJob, delivery: Delivery, known: RowCounts | None
) -> RowCounts | RejectedDelivery:
    """Return the account of a delivery, `known` if it was clean before, or why it is no good."""
    if known is None:
        run.report_progress(f"清洗 {delivery.month} {delivery.source}")
    try:
        account = known or _clean_one(run, session, job)
        # Asked each time: an earlier month may have been delivered anew since.
        if job.source.delivery == "increment":
            received = run.inputs[delivery.source].deliveries
            reject_repeated_increment(received, delivery, account.received)
    except JifenError as error:
        if error.code not in DELIVERY_CODES:
            raise
        run.report_progress(f"{delivery.month} {delivery.source} 未通过")
        rows = None if known else find_staged_rows(run.root.tmp / "clean")
        counts = count_refused(session, rows) if rows else None
        # The frames of both errors hold the engine's connections, which would be let go too late.
        error.__context__ = None
        return RejectedDelivery(delivery.source, error.with_traceback(None), counts, delivery.month)
    if delivery.receipt.rows is None:
        record_row_count(delivery, account.received)
    return account


def _combine_errors(rejected: Sequence[RejectedDelivery]) -> JifenError:
    """Return one error for all, each with its own way out.

    What cannot be read decides the exit code (11): of that nobody knows yet whether it would pass.
    """
    errors = [one.error for one in rejected]
    if len(errors) == 1:
        return errors[0]
    listed = "\n".join(f"  {error}".replace("\n", "\n  ") for error in errors)
    what = f"{len(errors)} 份交付缺少或未通过：\n{listed}"
    hint = "逐项处理（报告中也都列出）后再运行"
    return JifenError(min(error.code for error in errors), what, hint=hint)


def _clean_one(run: RunContext, session: Session, job: CleaningJob) -> RowCounts:
    limit = run.project.settings.gate.quarantine_limit

    def judge(staged: str) -> list[str]:
        return gate.validate_delivery(session, staged, job.source, job.received, limit)

    return clean_delivery(session, job, run.root.path, run.root.tmp / "clean", judge)


def detect_no_change(run: RunContext) -> CompareResult:
    """Return whether the published revision was made from these very inputs.

    And compared with the previous month as it is published now: then nothing is left to do.
    """
    published = find_published(run.root, run.month)
    unchanged = False
    if published and published.manifest.inputs == input_fingerprint(run):
        reminded = published.manifest.reminders_allowed or not run.options.send_reminders
        unchanged = reminded and not is_stale(run.root, published)
    if unchanged:
        run.build.clear()
    changed = find_changed_inputs(run)
    if changed and run.options.accept:
        run.report_progress(f"待核以后有变化，重新计算：{'；'.join(changed)}")
    return CompareResult({"unchanged": unchanged}, (), published, unchanged, tuple(changed))
