"""The first stages of a month: deliveries received, validated, cleaned; and whether they changed.

A run looks at every delivery there is before it stops: a missing one hides no broken one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from expectations import gate
from expectations.errors import JifenError
from expectations.findings import Finding, FindingKind
from expectations.month import Month
from flows.extract.inbox import (
    InboxContents,
    build_inbox_rules,
    explain_unknown,
    list_ignored_findings,
    scan_inbox,
)
from flows.extract.pull import PullFailedError, PullFailure, pull_up_to
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
from flows.pipeline.rejections import combine_errors
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
    sources, settings = run.project.sources, run.project.settings
    contents = scan_inbox(run.root.inbox, build_inbox_rules(sources, settings))
    findings, rejected = _find_unknown_files(run, contents)
    cause: BaseException | None = None
    try:
        new = pull_up_to(run.root, settings, sources, run.month, contents)
    except PullFailedError as error:
        new, cause = error.new, error.__cause__
        rejected += [
            RejectedDelivery(one.source, one.error, None, one.month) for one in error.failures
        ]
        findings += [_describe_failure(one, contents) for one in error.failures]
    failed = {one.source for one in rejected}
    for delivery in new:
        run.report_progress(f"收到 {delivery.month} {delivery.source} 第 {delivery.number} 次交付")
    inputs: dict[str, InputSet] = {}
    for name, source in sources.items():
        received = list_deliveries(run.root, name)
        chosen = select_inputs(source, received, run.month, options.allowed_missing)
        inputs[name] = chosen
        missing = find_missing_error(source, chosen, run.month)
        if missing and name not in failed:  # what is there but cannot be received is not missing
            rejected.append(RejectedDelivery(name, missing, None))
    counts = {"deliveries": len(new)}
    result = PullResult(counts, tuple(findings), options, held, inputs, tuple(rejected))
    if rejected:
        raise StageStoppedError(combine_errors([one.error for one in rejected]), result) from cause
    return result


def _find_unknown_files(
    run: RunContext, contents: InboxContents
) -> tuple[list[Finding], list[RejectedDelivery]]:
    """Return the findings of files that are no delivery, and those that stop the month."""
    inbox, sources = run.root.inbox, run.project.sources
    unknown = list(explain_unknown(contents.list_unknown(run.month), inbox, sources))
    findings = [*list_ignored_findings(contents, inbox), *(finding for finding, _ in unknown)]
    rejected = [
        # A source whose own file is there lacks nothing.
        RejectedDelivery("" if contents.has_offer(one.source) else one.source, error, None)
        for one, error in unknown
    ]
    return findings, rejected


def _describe_failure(failure: PullFailure, contents: InboxContents) -> Finding:
    """Return the finding of a delivery that could not be received."""
    several = contents.offers.get((failure.source, failure.month), ())
    is_several = len(several) > 1
    kind = FindingKind.SEVERAL_FILES if is_several else FindingKind.UNREADABLE
    count, error = len(several) if is_several else 1, failure.error
    return Finding(
        kind, failure.source, str(failure.month), "", count, 0, error.message, error.hint
    )


def _find_encodings(accounts: Mapping[str, Sequence[RowCounts]], month: Month) -> Iterator[Finding]:
    """Yield the encodings of this month's text files that are not in UTF-8."""
    for name, passed in accounts.items():
        for account in passed:
            found = Counter(one for one in account.encodings if one not in ("", "utf-8"))
            if account.month == str(month):
                for encoding, count in found.items():
                    detail = encoding.upper()
                    kind = FindingKind.ENCODING
                    yield Finding(kind, name, account.month, count=count, detail=detail)


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
    findings = tuple(_find_encodings(accounts, run.month))
    result = CleanResult({"cleaned": cleaned, "rows": rows}, findings, accounts, tuple(rejected))
    stopped = [one.error for one in (*run.rejected, *rejected)]
    if stopped:
        raise StageStoppedError(combine_errors(stopped), result)
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
    known_encodings = [part.encoding or "" for part in delivery.receipt.parts]
    if delivery.receipt.rows is None or (account.encodings or known_encodings) != known_encodings:
        record_row_count(delivery, account.received, account.encodings)
    return account


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
