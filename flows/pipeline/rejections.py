"""What stops a month at its deliveries, as one error: every way out once, equal reasons together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from expectations.errors import ExitCode, JifenError
from expectations.month import Month

_SHOWN = 3  # places that are named one by one


class MissingMonthsError(JifenError):
    """A source lacks months: exit 11.

    Attributes:
        source: The source's code.
        title: Its title.
        months: What it lacks, ascending.
        may_miss: Whether the operator may allow it.
    """

    def __init__(self, source: str, title: str, months: Sequence[Month], may_miss: bool) -> None:
        what = f"{title}（{source}）缺少 {format_month_ranges(months)} 的数据"
        hint = _explain_way_out(months[0], source, f"{source}=原因" if may_miss else "")
        super().__init__(ExitCode.EXTRACT, what, hint=hint)
        self.source, self.title = source, title
        self.months, self.may_miss = tuple(months), may_miss


def _explain_way_out(month: Month, name: str, allowed: str) -> str:
    hint = f"请部门补交，放入收件目录 {month}/{name}.csv（或其他格式、同名文件夹）后再运行"
    return hint + (f"；确实没有时用 --allow-missing {allowed}" if allowed else "")


def format_month_ranges(months: Sequence[Month]) -> str:
    """Return ascending months as text, consecutive ones as a range with their number."""
    runs: list[list[Month]] = []
    for month in months:
        if runs and runs[-1][-1] + 1 == month:
            runs[-1].append(month)
        else:
            runs.append([month])
    return "、".join(
        "、".join(map(str, run)) if len(run) < 3 else f"{run[0]} 至 {run[-1]}（{len(run)} 个月）"
        for run in runs
    )


def combine_errors(errors: Sequence[JifenError]) -> JifenError:
    """Return one error for all, each with its own way out; equal ones together.

    What cannot be read decides the exit code (11): of that nobody knows yet whether it would pass.
    """
    grouped = list(_group_errors(errors))
    if len(grouped) == 1:
        return grouped[0]
    listed = "\n".join(f"  {error}".replace("\n", "\n  ") for error in grouped)
    what = f"{len(errors)} 份交付缺少或未通过：\n{listed}"
    hint = "逐项处理（报告中也都列出）后再运行"
    return JifenError(min(error.code for error in errors), what, hint=hint)


def _group_errors(errors: Sequence[JifenError]) -> Iterator[JifenError]:
    """Yield the errors; those of one kind about the same months, or in several places, as one."""
    missing: dict[object, list[MissingMonthsError]] = {}
    others: dict[object, list[JifenError]] = {}
    for error in errors:
        if isinstance(error, MissingMonthsError):
            missing.setdefault((error.months, error.may_miss), []).append(error)
        else:
            others.setdefault((error.code, error.message, error.hint), []).append(error)
    for lacking in missing.values():
        yield lacking[0] if len(lacking) == 1 else _combine_missing(lacking)
    for alike in others.values():
        first, places = alike[0], [error.where for error in alike if error.where]
        if len(places) > 1:
            more = f" 等 {len(places)} 处" if len(places) > _SHOWN else ""
            where = "、".join(places[:_SHOWN]) + more
            first = JifenError(first.code, first.message, where=where, hint=first.hint)
        yield first


def _combine_missing(errors: Sequence[MissingMonthsError]) -> JifenError:
    months, may_miss = errors[0].months, errors[0].may_miss
    subjects = "、".join(f"{error.title}（{error.source}）" for error in errors)
    what = f"{len(errors)} 个来源缺少 {format_month_ranges(months)} 的数据：{subjects}"
    allowed = "来源=原因（每个来源写一次）" if may_miss else ""
    return JifenError(ExitCode.EXTRACT, what, hint=_explain_way_out(months[0], "来源代码", allowed))
