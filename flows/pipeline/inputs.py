"""Which of a source's deliveries a month is made from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from expectations.errors import ExitCode, JifenError
from expectations.month import Month
from expectations.source_model import Source
from flows.storage.deliveries import Delivery


@dataclass(frozen=True)
class InputSet:
    """What serves one source in one month: deliveries ascending by month, and what had to be bridged.

    `carried_from`: the month whose snapshot serves in place of the month's own. `missing`: months without a delivery
    that the operator allowed, for `reason`; a source that never delivered misses the month itself.
    """

    deliveries: tuple[Delivery, ...]
    carried_from: Month | None = None
    missing: tuple[Month, ...] = ()
    reason: str | None = None


def select_inputs(
    source: Source, received: Sequence[Delivery], month: Month, allowed: Mapping[str, str]
) -> InputSet:
    """Decide which of a source's deliveries serve a month.

    `allowed` maps a source that may be missing to the operator's reason. A month missing between the first delivery and
    this month, or a source that never came, is exit 11 unless a snapshot carried forward covers it or the operator
    allowed it. The spine, which says who is scored, is never carried, nor allowed to be missing in the month itself.
    """
    by_month = {delivery.month: delivery for delivery in received if delivery.month <= month}
    reach = 0 if source.spine or source.delivery == "increment" else source.carry_forward
    gaps = [] if by_month else [month]
    for gap in Month.span(min(by_month), month) if by_month else ():
        if gap not in by_month and not any(gap - back in by_month for back in range(1, reach + 1)):
            gaps.append(gap)
    allowable = not (source.spine and month in gaps)
    if gaps and not (allowable and source.source in allowed):
        raise _missing(source, gaps, allowable=allowable)
    bridged: dict[str, Any] = (
        {"missing": tuple(gaps), "reason": allowed[source.source]} if gaps else {}
    )
    if source.delivery == "increment":
        return InputSet(tuple(by_month[key] for key in sorted(by_month)), **bridged)
    newest = next((month - back for back in range(reach + 1) if month - back in by_month), None)
    if newest is None:
        return InputSet((), **bridged)
    return InputSet((by_month[newest],), newest if newest != month else None, **bridged)


def reject_repeated_increment(received: Iterable[Delivery], delivery: Delivery, rows: int) -> None:
    """Block (exit 12) an increment that is an earlier month's extract over again; one without rows may repeat."""
    earlier = [
        known
        for known in received
        if known.content == delivery.content and known.month < delivery.month
    ]
    if rows and earlier:
        what = f"来源 {delivery.source} {delivery.month} 的交付与 {earlier[-1].month} 的完全相同：这是以前月份的文件"
        raise JifenError(
            ExitCode.GATE,
            what,
            where=str(delivery.folder),
            hint="请部门重新交付本月的文件，放入后再运行",
        )


def _missing(source: Source, gaps: Sequence[Month], *, allowable: bool) -> JifenError:
    name = source.source
    hint = (
        f"请部门补交，放入收件目录 {gaps[0]}/{name}.csv（或 .parquet、.xlsx、同名文件夹）后再运行"
    )
    if allowable:
        hint += f"；确实没有时用 --allow-missing {name}=原因"
    return JifenError(
        ExitCode.EXTRACT,
        f"{source.title}（{name}）缺少 {'、'.join(map(str, gaps))} 的数据",
        hint=hint,
    )
