"""The first stages of a month: deliveries received, validated, cleaned; and whether they changed.

A run looks at every delivery there is before it stops: a missing one hides no broken one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from expectations import gate
from expectations.errors import ExitCode, JifenError
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
from flows.pipeline.findings import (
    describe_missing,
    describe_rejection,
    find_empty_deliveries,
    find_input_findings,
    find_row_findings,
    select_new_accounts,
)
from flows.pipeline.fingerprints import build_cleaning_job, build_fingerprint, input_fingerprint
from flows.pipeline.hold import find_changed_inputs, list_acceptances, restore_options
from flows.pipeline.inputs import InputSet, find_missing_error, list_allowed_gaps, select_inputs
from flows.pipeline.rejections import combine_errors
from flows.pipeline.repeats import (
    DeliveryHistory,
    Repeat,
    describe_repeat,
    find_repeat_findings,
    list_allowed_repeats,
)
from flows.pipeline.sealed_inputs import find_known_account
from flows.storage.build import open_build
from flows.storage.deliveries import Delivery, list_deliveries, record_row_count
from flows.storage.held_months import load_hold
from flows.storage.keys import fingerprint_key
from flows.storage.removals import refuse_removed_inputs
from flows.storage.revisions import find_published, is_stale
from flows.storage.seals import seal_of_delivery
from transforms.clean.accounts import RowCounts
from transforms.clean.delivery import (
    CleaningJob,
    clean_delivery,
    find_staged_rows,
)
from transforms.clean.keys import count_replaced_persons
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
    gaps = list_allowed_gaps(run.root, before=run.month)
    for name, source in sources.items():
        received, known = list_deliveries(run.root, name), gaps.get(name)
        chosen = select_inputs(source, received, run.month, options.allowed_missing, known)
        inputs[name] = chosen
        missing = find_missing_error(source, chosen, run.month)
        if missing and name not in failed:  # what is there but cannot be received is not missing
            rejected.append(RejectedDelivery(name, missing, None))
            findings.append(describe_missing(name, chosen, missing))
    chosen_deliveries = [one for chosen in inputs.values() for one in chosen.deliveries]
    published = find_published(run.root, run.month)
    refuse_removed_inputs(run.root, run.key, published, chosen_deliveries)
    findings += find_input_findings(inputs, run.month)
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
    repeats: dict[str, list[Repeat]] = {}
    findings: list[Finding] = []
    cleaned = 0
    with run.engine() as session:
        for name, chosen in run.inputs.items():
            passed: list[RowCounts] = []
            history = DeliveryHistory(run, session, run.project.sources[name])
            for delivery in chosen.deliveries:
                known, damage = find_known_account(run, delivery)
                if damage:
                    findings.append(damage)
                outcome, repeat = _clean_or_reject(history, delivery, known)
                if isinstance(outcome, RejectedDelivery):
                    rejected.append(outcome)
                    findings.append(_describe_rejection(outcome, repeat))
                    continue
                cleaned += known is None
                passed.append(outcome)
                if repeat:
                    repeats.setdefault(name, []).append(repeat)
            if len(passed) == len(chosen.deliveries):
                accounts[name] = passed
    before = find_published(run.root, run.month - 1)
    new = select_new_accounts(accounts, run.month, before.manifest if before else None)
    findings += find_row_findings(run.project.sources, new)
    findings += find_repeat_findings(repeats, new)
    rows = sum(account.clean for passed in accounts.values() for account in passed)
    findings += _find_encodings(accounts, run.month)
    findings += find_empty_deliveries(accounts, run.month)
    result = CleanResult(
        {"cleaned": cleaned, "rows": rows},
        tuple(findings),
        accounts,
        tuple(rejected),
        list_allowed_repeats(repeats),
    )
    stopped = [one.error for one in (*run.rejected, *rejected)]
    if stopped:
        raise StageStoppedError(combine_errors(stopped), result)
    return replace(result, build=open_build(run.root, str(run.month), build_fingerprint(run)))


def _clean_or_reject(
    history: DeliveryHistory, delivery: Delivery, known: RowCounts | None
) -> tuple[RowCounts | RejectedDelivery, Repeat | None]:
    """Return the account of a delivery, `known` if it was clean before, or why it is no good.

    And the earlier month's delivery that it repeats: asked each time, since that may have been
    delivered anew.
    """
    run, session, repeat = history.run, history.session, None
    job = build_cleaning_job(run.project, delivery)
    if known is None:
        run.report_progress(f"清洗 {delivery.month} {delivery.source}")
    try:
        account = known or _clean_one(run, session, job)
        repeat = history.find_repeat(delivery, account)
        if repeat and repeat.reason is None:
            raise describe_repeat(job.source, repeat, str(delivery.folder))
        if repeat is None:
            account = _count_replaced(run, session, job, account)
    except JifenError as error:
        if error.code not in DELIVERY_CODES:
            raise
        run.report_progress(f"{delivery.month} {delivery.source} 未通过")
        rows = None if known else find_staged_rows(run.root.tmp / "clean")
        counts = count_refused(session, rows) if rows else None
        # The frames of both errors hold the engine's connections, which would be let go too late.
        error.__context__ = None
        rejected = RejectedDelivery(
            delivery.source, error.with_traceback(None), counts, delivery.month
        )
        return rejected, repeat
    known_encodings = [part.encoding or "" for part in delivery.receipt.parts]
    if delivery.receipt.rows is None or (account.encodings or known_encodings) != known_encodings:
        record_row_count(delivery, account.received, account.encodings)
    return account, repeat


def _count_replaced(
    run: RunContext, session: Session, job: CleaningJob, account: RowCounts
) -> RowCounts:
    """Return the account of the month's own increment with the rows of others that it replaces.

    Raises:
        JifenError: Exit 12, they are more than the source's bounds allow.
    """
    source, bounds = job.source, job.source.bounds
    if job.received != run.month:
        return account
    jobs = [build_cleaning_job(run.project, one) for one in run.inputs[source.source].deliveries]
    earlier = [one.folder(run.root.path, "clean") for one in jobs if one.received < job.received]
    folder = job.folder(run.root.path, "clean")
    rows = count_replaced_persons(session, source, folder, [one for one in earlier if one.is_dir()])
    if rows > bounds.other_person_rows and rows > bounds.other_person * account.clean:
        titles = "、".join(source.columns[name].title for name in source.key)
        what = (
            f"{source.title}（{source.source}）{job.received} 未通过检查："
            f"{account.clean:,} 行中有 {rows:,} 行的{titles}与以前月份另一个人的相同，会取代那些记录"
        )
        hint = f"请部门核对{titles}是否每月重新编号或被截断，重新提供后再运行"
        where = f"raw/{job.received}/{source.source}/d{job.number}"
        raise JifenError(ExitCode.GATE, what, where=where, hint=hint)
    return replace(account, replaced_earlier=rows)


def _describe_rejection(rejected: RejectedDelivery, repeat: Repeat | None) -> Finding:
    assert rejected.month is not None
    if repeat is None:
        return describe_rejection(rejected.source, rejected.month, rejected.error)
    detail = f"与 {repeat.earlier} 的相同"
    hint = rejected.error.hint
    kind = FindingKind.SAME_CONTENT
    return Finding(kind, rejected.source, str(repeat.month), detail=detail, hint=hint)


def _clean_one(run: RunContext, session: Session, job: CleaningJob) -> RowCounts:
    limit = run.project.settings.gate.quarantine_limit

    def judge(staged: str) -> list[str]:
        return gate.validate_delivery(session, staged, job.source, job.received, limit)

    account = clean_delivery(session, job, run.root.path, run.root.tmp / "clean", judge)
    seal_of_delivery(run.root, job.folder(run.root.path, "clean")).write(run.key)
    return account


def detect_no_change(run: RunContext) -> CompareResult:
    """Return whether the published revision was made from these very inputs.

    And compared with the previous month as it is published now: then nothing is left to do.
    """
    published = find_published(run.root, run.month)
    unchanged = False
    is_same = published and published.manifest.inputs == input_fingerprint(run)
    if published and is_same and published.manifest.key_fingerprint == fingerprint_key(run.key):
        reminded = published.manifest.reminders_allowed or not run.options.send_reminders
        unchanged = reminded and not is_stale(run.root, published)
    if unchanged:
        run.build.clear()
    changed = find_changed_inputs(run)
    if changed and run.options.accept:
        run.report_progress(f"待核以后有变化，重新计算：{'；'.join(changed)}")
    four_eyes = run.project.settings.access.four_eyes
    accepted = list_acceptances(run.root, run.month, build_fingerprint(run)) if four_eyes else []
    return CompareResult(
        {"unchanged": unchanged}, (), published, unchanged, tuple(changed), tuple(accepted)
    )
