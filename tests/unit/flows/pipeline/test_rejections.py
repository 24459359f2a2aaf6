"""Equal reasons are given once: months as ranges, sources and places together."""

from __future__ import annotations

from expectations.errors import ExitCode, JifenError
from expectations.month import Month
from flows.pipeline.rejections import MissingMonthsError, combine_errors, format_month_ranges

MONTHS = Month.span(Month.parse("2017-09"), Month.parse("2021-12"))


def test_consecutive_months_are_a_range_with_their_number() -> None:
    assert format_month_ranges(MONTHS) == "2017-09 至 2021-12（52 个月）"
    some = [*MONTHS[:4], MONTHS[6], *MONTHS[10:12]]
    assert format_month_ranges(some) == "2017-09 至 2017-12（4 个月）、2018-03、2018-07、2018-08"


def test_many_sources_that_lack_many_months_are_one_short_error() -> None:
    errors = [MissingMonthsError(f"s{n}", f"来源{n}", MONTHS, True) for n in range(11)]
    error = combine_errors(errors)
    assert error.message.startswith(
        "11 个来源缺少 2017-09 至 2021-12（52 个月） 的数据：来源0（s0）"
    )
    assert len(str(error)) < 500 and "--allow-missing 来源=原因" in error.hint


def test_the_same_reason_in_many_places_is_one_error_with_its_places() -> None:
    errors = [
        JifenError(ExitCode.GATE, "同一个原因", where=f"{month}/x.csv", hint="改正")
        for month in MONTHS
    ]
    error = combine_errors(errors)
    assert (error.code, error.message, error.hint) == (ExitCode.GATE, "同一个原因", "改正")
    assert error.where == "2017-09/x.csv、2017-10/x.csv、2017-11/x.csv 等 52 处"


def test_different_reasons_keep_each_their_way_out() -> None:
    errors = [
        MissingMonthsError("a", "甲", MONTHS[:1], False),
        JifenError(ExitCode.GATE, "不合格", where="b.csv", hint="改正"),
        JifenError(ExitCode.EXTRACT, "打不开", where="c.csv", hint="重发"),
    ]
    error = combine_errors(errors)
    assert error.code == ExitCode.EXTRACT and error.message.startswith("3 份交付缺少或未通过")
    assert all(one.message in error.message and one.hint in error.message for one in errors)
    assert combine_errors(errors[1:2]) is errors[1]
