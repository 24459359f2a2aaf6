"""Findings of a month's stages: what came in, what happened to its rows, what was not used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from expectations.errors import ExitCode, JifenError
from expectations.findings import Finding, FindingKind
from expectations.month import Month
from expectations.refusals import NOTED_CODES, REASON_TEXTS, describe_reason
from expectations.source_loader import find_spine
from expectations.source_model import Source
from flows.pipeline.inputs import InputSet
from flows.pipeline.rejections import format_month_ranges
from flows.storage.records import Manifest
from flows.storage.stage_results import FactsResult, RemindersResult, StatementsResult
from transforms.clean.accounts import RowCounts

SHOWN_REASONS = 5
"""So many reasons stand in one finding; the report's table has all."""


def find_input_findings(inputs: Mapping[str, InputSet], month: Month) -> Iterator[Finding]:
    """Yield what serves in place of deliveries that did not come, and what may be missing."""
    for name, chosen in inputs.items():
        if chosen.carried_from:
            behind = month.ordinal - chosen.carried_from.ordinal
            detail = f"沿用 {chosen.carried_from}"
            yield Finding(FindingKind.CARRIED, name, str(month), count=behind, detail=detail)
        if chosen.is_absent:
            detail = f"上次交付 {chosen.deliveries[-1].month}"
            yield Finding(FindingKind.OPTIONAL_ABSENT, name, str(month), count=1, detail=detail)
        if chosen.missing and chosen.reason is not None:
            months = "、".join(map(str, chosen.missing))
            detail = f"{months}，原因：{chosen.reason}"
            yield Finding(
                FindingKind.ALLOWED_MISSING, name, count=len(chosen.missing), detail=detail
            )


def describe_missing(source: str, chosen: InputSet, error: JifenError) -> Finding:
    """Return the finding of months that are missing and stop the run."""
    months = format_month_ranges(chosen.open_gaps)
    count = len(chosen.open_gaps)
    return Finding(FindingKind.MISSING, source, count=count, detail=months, hint=error.hint)


def describe_rejection(source: str, month: Month, error: JifenError) -> Finding:
    """Return the finding of a delivery that could not be read or did not pass."""
    kind = FindingKind.UNREADABLE if error.code == ExitCode.EXTRACT else FindingKind.REJECTED
    where = f"；位置：{error.where}" if error.where else ""
    detail = error.message.rpartition("未通过检查：")[2].replace("\n  ", "；") + where
    return Finding(kind, source, str(month), detail=detail, hint=error.hint)


def select_new_accounts(
    accounts: Mapping[str, Sequence[RowCounts]], month: Month, before: Manifest | None
) -> list[RowCounts]:
    """Return the accounts that no report has shown yet, and those of the month itself.

    Args:
        accounts: Of all deliveries that serve the month, by source.
        month: The month.
        before: The manifest of the previous month as published.
    """
    shown = {(one["source"], one["month"], one["number"]) for one in _used_before(before)}
    return [
        one
        for passed in accounts.values()
        for one in passed
        if one.month == str(month) or (one.source, one.month, one.number) not in shown
    ]


def _used_before(before: Manifest | None) -> Sequence[Mapping[str, object]]:
    return before.deliveries if before else ()


def find_row_findings(
    sources: Mapping[str, Source], accounts: Iterable[RowCounts]
) -> Iterator[Finding]:
    """Yield what happened to the rows and values of deliveries, and what of them was not used."""
    for account in accounts:
        source = sources[account.source]
        yield from _refused(source, account)
        yield from _noted(source, account)
        yield from _replaced(account)
        where = (account.source, account.month)
        if account.undeclared:
            count = len(account.undeclared)
            yield Finding(FindingKind.UNDECLARED_COLUMN, *where, count=count)
        for column in account.missing_columns:
            if account.received:
                yield Finding(FindingKind.MISSING_COLUMN, *where, column, account.received)
        if account.unended:
            detail = f"读到 {account.received:,} 行"
            yield Finding(FindingKind.UNENDED_FILE, *where, count=account.unended, detail=detail)
        if account.unanswered:
            total = account.unanswered + account.received
            kind = FindingKind.UNANSWERED_ROWS
            yield Finding(kind, *where, count=account.unanswered, total=total)
        if account.ignored_sheets:
            yield Finding(FindingKind.IGNORED_SHEET, *where, count=account.ignored_sheets)
        if account.number > 1:
            detail = f"第 {account.number} 次交付"
            yield Finding(FindingKind.REDELIVERED, *where, count=account.received, detail=detail)


def find_empty_deliveries(
    accounts: Mapping[str, Sequence[RowCounts]], month: Month
) -> Iterator[Finding]:
    """Yield the month's increments without any row, of sources that had some before."""
    for name, passed in accounts.items():
        own = [one for one in passed if one.month == str(month)]
        before = sum(one.received for one in passed if one.month < str(month))
        if own and before and not any(one.received for one in own):
            detail = f"以前各月共 {before:,} 行"
            yield Finding(FindingKind.EMPTY_DELIVERY, name, str(month), count=1, detail=detail)


def _refused(source: Source, account: RowCounts) -> Iterator[Finding]:
    if not account.quarantined:
        return
    kind, detail = FindingKind.REFUSED_ROWS, describe_reasons(source, account)
    if account.refused_cases:
        rest = account.quarantined - len(account.refused_cases)
        more = [f"其余 {rest} 件见退回清单"] if rest else []
        kind, detail = FindingKind.REFUSED_CASES, "；".join([*account.refused_cases, *more])
    yield Finding(
        kind,
        account.source,
        account.month,
        count=account.quarantined,
        total=account.received,
        detail=detail,
    )


def describe_reasons(source: Source, account: RowCounts) -> str:
    """Return the reasons of refused rows, the most frequent first, with numbers and examples."""
    ordered = sorted(account.reasons.items(), key=lambda item: (-item[1], item[0]))
    texts = [
        f"{describe_reason(source, reason)} {count:,}{_show_example(account, reason)}"
        for reason, count in ordered
    ]
    more = [f"另有 {len(texts) - SHOWN_REASONS} 种原因"] if len(texts) > SHOWN_REASONS else []
    return "，".join([*texts[:SHOWN_REASONS], *more])


def _show_example(account: RowCounts, note: str) -> str:
    example = account.examples.get(note)
    return f"（例如 {example}）" if example else ""


def _noted(source: Source, account: RowCounts) -> Iterator[Finding]:
    """Yield what was emptied or changed, by column."""
    columns: dict[str, Counter[str]] = {}
    for note, count in account.defects.items():
        column, _, code = note.partition(":")
        columns.setdefault(column, Counter())[code] += count
    for column, codes in columns.items():
        where = (account.source, account.month, column)
        emptied = {code: count for code, count in codes.items() if code not in NOTED_CODES}
        if emptied:
            yield Finding(
                FindingKind.EMPTIED_VALUES,
                *where,
                count=sum(emptied.values()),
                total=account.values.get(column, 0),
                detail="，".join(
                    f"{REASON_TEXTS.get(code, code)} {count:,}"
                    + _show_example(account, f"{column}:{code}")
                    for code, count in emptied.items()
                ),
            )
        empty = codes["placeholder"] + codes["stand_in"]
        if empty:
            stand_in = f"其中占位日期 {codes['stand_in']:,}" if codes["stand_in"] else ""
            yield Finding(
                FindingKind.PLACEHOLDERS,
                *where,
                count=empty,
                total=account.received,
                detail=stand_in,
            )
        if codes["cleaned"]:
            yield Finding(FindingKind.CLEANED_TEXTS, *where, count=codes["cleaned"])


def _replaced(account: RowCounts) -> Iterator[Finding]:
    where, total = (account.source, account.month), account.received
    others = account.other_person
    if account.superseded > others:
        same = account.superseded - others
        yield Finding(FindingKind.REPLACED_ROWS, *where, count=same, total=total)
    if account.replaced_earlier:
        detail = "取代以前月份交付的记录"
        count = account.replaced_earlier
        kind = FindingKind.REPLACED_OTHER_PERSON
        yield Finding(kind, *where, count=count, total=account.clean, detail=detail)
    if others:
        yield Finding(FindingKind.REPLACED_OTHER_PERSON, *where, count=others, total=total)


def find_fact_findings(result: FactsResult, corrections: Collection[str]) -> Iterator[Finding]:
    """Yield the rows that no fact or point was made of.

    Args:
        result: What making the fact table counted.
        corrections: The sources of corrections.
    """
    counted = (
        (FindingKind.UNMATCHED_ROWS, result.unmatched),
        (FindingKind.OVER_QUOTA, result.over_quota),
        (FindingKind.UNKNOWN_CODES, result.unknown_keys),
    )
    for kind, by_source in counted:
        for source, count in by_source.items():
            if count:
                yield Finding(kind, source, count=count)
    if result.altered_state:
        yield Finding(FindingKind.WORKING_FILES, count=1, detail=result.altered_state)
    if result.corrections_without_target:
        yield Finding(
            FindingKind.CORRECTIONS_WITHOUT_TARGET,
            next(iter(corrections), ""),
            count=result.corrections_without_target,
            detail="、".join(result.ineffective_corrections),
        )


def find_outcome_findings(
    result: RemindersResult, sources: Mapping[str, Source]
) -> Iterator[Finding]:
    """Yield what came of reminders that somebody has to act on."""
    answers = next((name for name, one in sources.items() if one.outcomes), "")
    if result.wrong_numbers:
        yield Finding(
            FindingKind.WRONG_NUMBERS, find_spine(sources).source, count=result.wrong_numbers
        )
    if result.unknown_reminders:
        named = result.named_unknown_reminders
        rest = result.unknown_reminders - len(named)
        more = [f"其余 {rest} 条见退回清单"] if rest else []
        detail = "、".join([*named, *more])
        count = result.unknown_reminders
        yield Finding(FindingKind.UNKNOWN_REMINDERS, answers, count=count, detail=detail)
    if result.reminders_exhausted:
        yield Finding(FindingKind.REMINDED_IN_VAIN, answers, count=result.reminders_exhausted)


def find_case_findings(
    result: StatementsResult, sources: Mapping[str, Source]
) -> Iterator[Finding]:
    """Yield how the open cases stand, the overdue ones by number."""
    source = next((name for name, one in sources.items() if one.objects), "")
    totals = Counter[str]()
    for counts in result.cases.values():
        totals.update(counts)
    if totals["overdue"]:
        rest = totals["overdue"] - len(result.overdue_cases)
        more = [f"其余 {rest} 件见异议办理单"] if rest else []
        detail = "、".join([*result.overdue_cases, *more])
        count, total = totals["overdue"], totals["open"]
        yield Finding(FindingKind.OVERDUE_CASES, source, count=count, total=total, detail=detail)
    if totals["open"] > totals["overdue"]:
        detail = f"其中下月内到期 {totals['due']} 件"
        count = totals["open"] - totals["overdue"]
        yield Finding(FindingKind.OPEN_CASES, source, count=count, detail=detail)
    if totals["late"]:
        count, total = totals["late"], totals["upheld"] + totals["rejected"]
        yield Finding(FindingKind.LATE_DECISIONS, source, count=count, total=total)
    if result.unknown_calendars:
        detail = "、".join(map(str, result.unknown_calendars))
        count = len(result.unknown_calendars)
        yield Finding(FindingKind.UNKNOWN_CALENDAR, source, count=count, detail=detail)
