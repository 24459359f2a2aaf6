"""Which of a source's deliveries a month is made from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from expectations.errors import JifenError
from expectations.month import Month
from expectations.source_model import Source
from flows.pipeline.rejections import MissingMonthsError
from flows.storage.deliveries import Delivery
from flows.storage.revisions import find_published, list_published_months
from flows.storage.root import Root


@dataclass(frozen=True)
class InputSet:
    """What serves one source in one month.

    Attributes:
        deliveries: Ascending by month.
        carried_from: The month whose snapshot serves in place of the month's own.
        missing: Months without a delivery; a source that never delivered misses the month itself.
        reason: Why the operator allows that; None where nothing is missing, or not allowed.
        open_gaps: The missing months that nobody has allowed.
        is_absent: The source may be without a delivery, and is in this month, after earlier ones.
    """

    deliveries: tuple[Delivery, ...]
    carried_from: Month | None = None
    missing: tuple[Month, ...] = ()
    reason: str | None = None
    open_gaps: tuple[Month, ...] = ()
    is_absent: bool = False


def select_inputs(
    source: Source,
    received: Sequence[Delivery],
    month: Month,
    allowed: Mapping[str, str],
    known_gaps: Mapping[Month, str] | None = None,
) -> InputSet:
    """Return which of a source's deliveries serve a month, and which are missing.

    A month is missing between the first delivery and this month unless a snapshot carried forward
    covers it; a source that never came misses the month; an optional one misses none. Whether that stops the month is for
    `find_missing_error` to say.

    Args:
        source: The source.
        received: Its delivery in force of every received month, ascending.
        month: The month that is run.
        allowed: Source -> the operator's reason why it may be missing.
        known_gaps: Months of the source that may be missing since an earlier run, and why.
    """
    by_month = {delivery.month: delivery for delivery in received if delivery.month <= month}
    if source.optional:
        chosen = tuple(by_month[key] for key in sorted(by_month))
        return InputSet(chosen, is_absent=bool(by_month) and month not in by_month)
    reach = _months_carried(source)
    gaps = [] if by_month else [month]
    for gap in Month.span(min(by_month), month) if by_month else ():
        if gap not in by_month and not any(gap - back in by_month for back in range(1, reach + 1)):
            gaps.append(gap)
    reasons = {gap: why for gap, why in (known_gaps or {}).items() if gap in gaps}
    if source.source in allowed and _may_miss(source, gaps, month):
        reasons |= {gap: allowed[source.source] for gap in gaps if gap not in reasons}
    open_gaps = tuple(gap for gap in gaps if gap not in reasons)
    reason = _join_reasons(reasons[gap] for gap in gaps) if gaps and not open_gaps else None
    if source.delivery == "increment":
        chosen = tuple(by_month[key] for key in sorted(by_month))
        return InputSet(chosen, None, tuple(gaps), reason, open_gaps)
    newest = next((month - back for back in range(reach + 1) if month - back in by_month), None)
    if newest is None:
        return InputSet((), None, tuple(gaps), reason, open_gaps)
    carried = newest if newest != month else None
    return InputSet((by_month[newest],), carried, tuple(gaps), reason, open_gaps)


def _join_reasons(reasons: Iterable[str]) -> str:
    """Return reasons as one, none of them twice."""
    return "；".join(dict.fromkeys(part for reason in reasons for part in reason.split("；")))


def list_allowed_gaps(root: Root, before: Month | None = None) -> dict[str, dict[Month, str]]:
    """Return by source the months that published months do without, and the operators' reasons.

    Args:
        root: The root.
        before: Only what months before this one were published with; by default all.
    """
    allowed: dict[str, dict[Month, str]] = {}
    for month in list_published_months(root):
        revision = find_published(root, month) if before is None or month < before else None
        for source, gap in revision.manifest.missing.items() if revision else ():
            for missing in gap["months"]:
                known = allowed.setdefault(source, {})
                known.setdefault(Month.parse(missing), str(gap["reason"]))
    return allowed


def find_missing_error(source: Source, chosen: InputSet, month: Month) -> JifenError | None:
    """Return the error (exit 11) of months that are missing and not allowed to be."""
    if not chosen.open_gaps:
        return None
    may_miss = _may_miss(source, chosen.open_gaps, month)
    return MissingMonthsError(source.source, source.title, chosen.open_gaps, may_miss)


def _months_carried(source: Source) -> int:
    """For how many months a snapshot serves in place of later ones that did not come."""
    return 0 if source.spine or source.delivery == "increment" else source.carry_forward


def _may_miss(source: Source, gaps: Sequence[Month], month: Month) -> bool:
    """Whether the operator may allow it: the spine, which says who is scored, not of the month."""
    return not (source.spine and month in gaps)
