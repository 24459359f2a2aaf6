"""Which of a source's deliveries a month is made from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from expectations.errors import ExitCode, JifenError
from expectations.month import Month
from expectations.source_model import Source
from flows.pipeline.rejections import MissingMonthsError
from flows.storage.deliveries import Delivery


@dataclass(frozen=True)
class InputSet:
    """What serves one source in one month.

    Attributes:
        deliveries: Ascending by month.
        carried_from: The month whose snapshot serves in place of the month's own.
        missing: Months without a delivery; a source that never delivered misses the month itself.
        reason: Why the operator allows that; None where nothing is missing, or not allowed.
    """

    deliveries: tuple[Delivery, ...]
    carried_from: Month | None = None
    missing: tuple[Month, ...] = ()
    reason: str | None = None


def select_inputs(
    source: Source, received: Sequence[Delivery], month: Month, allowed: Mapping[str, str]
) -> InputSet:
    """Return which of a source's deliveries serve a month, and which are missing.

    A month is missing between the first delivery and this month unless a snapshot carried forward
    covers it; a source that never came misses the month. Whether that stops the month is for
    `find_missing_error` to say.

    Args:
        source: The source.
        received: Its delivery in force of every received month, ascending.
        month: The month that is run.
        allowed: Source -> the operator's reason why it may be missing.
    """
    by_month = {delivery.month: delivery for delivery in received if delivery.month <= month}
    reach = _months_carried(source)
    gaps = [] if by_month else [month]
    for gap in Month.span(min(by_month), month) if by_month else ():
        if gap not in by_month and not any(gap - back in by_month for back in range(1, reach + 1)):
            gaps.append(gap)
    reason = allowed.get(source.source) if gaps and _may_miss(source, gaps, month) else None
    if source.delivery == "increment":
        chosen = tuple(by_month[key] for key in sorted(by_month))
        return InputSet(chosen, None, tuple(gaps), reason)
    newest = next((month - back for back in range(reach + 1) if month - back in by_month), None)
    if newest is None:
        return InputSet((), None, tuple(gaps), reason)
    carried = newest if newest != month else None
    return InputSet((by_month[newest],), carried, tuple(gaps), reason)


def find_missing_error(source: Source, chosen: InputSet, month: Month) -> JifenError | None:
    """Return the error (exit 11) of months that are missing and not allowed to be."""
    if not chosen.missing or chosen.reason is not None:
        return None
    may_miss = _may_miss(source, chosen.missing, month)
    return MissingMonthsError(source.source, source.title, chosen.missing, may_miss)


def reject_repeated_increment(received: Iterable[Delivery], delivery: Delivery, rows: int) -> None:
    """Refuse an increment that is an earlier month's extract again; one without rows may repeat.

    Raises:
        JifenError: Exit 12, it is.
    """
    earlier = [
        known
        for known in received
        if known.content == delivery.content and known.month < delivery.month
    ]
    if rows and earlier:
        subject = f"来源 {delivery.source} {delivery.month} 的交付"
        what = f"{subject}与 {earlier[-1].month} 的完全相同：这是以前月份的文件"
        hint = "请部门重新交付本月的文件，放入后再运行"
        raise JifenError(ExitCode.GATE, what, where=str(delivery.folder), hint=hint)


def _months_carried(source: Source) -> int:
    """For how many months a snapshot serves in place of later ones that did not come."""
    return 0 if source.spine or source.delivery == "increment" else source.carry_forward


def _may_miss(source: Source, gaps: Sequence[Month], month: Month) -> bool:
    """Whether the operator may allow it: the spine, which says who is scored, not of the month."""
    return not (source.spine and month in gaps)
