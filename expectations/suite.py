"""What the gate asks of a staged extract: an expectation suite derived from the declaration.

Staged rows without `reasons` are valid. The gate does not read values again: it holds the typed
rows against the declaration once more, independently of the statement that typed them, and weighs
the refused ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

import great_expectations as gx
import great_expectations.expectations as gxe

from expectations.gx_adapter import ExpectAtMostFailingRows
from expectations.month import Month
from expectations.refusals import (
    count_notes_sql,
    count_values_sql,
    emptied_sql,
    may_be_emptied,
    placeholder_sql,
)
from expectations.source_model import Bounds, Check, Column, Source

SMALL = 20  # up to so many nulls never block: a share of few rows says nothing
VALID = "reasons IS NULL"


def _count(condition: str) -> str:
    """Count the rows that meet a condition.

    Not by FILTER, which picks rows out for every count: a third more work.
    """
    return f"count(CASE WHEN {condition} THEN 1 END)"


VALID_ROWS = _count(VALID)


def build_suite(
    source: Source, received: Month, quarantine_limit: Decimal | float
) -> gx.ExpectationSuite:
    """Return the expectations of one delivery received in a month.

    Each says what it asks, in Chinese, in `meta["what"]`. `quarantine_limit`: the share of refused
    rows (0 to 1) over which a delivery is blocked.
    """
    bounds = source.bounds
    asked = [_columns(source), *_refused(bounds, quarantine_limit)]
    if source.delivery == "snapshot":
        asked.append(
            gxe.ExpectTableRowCountToBeBetween(min_value=1, meta={"what": "全量数据不得为空"})
        )
    for name, column in source.columns.items():
        asked.extend(_never(what, broken) for what, broken in _broken(name, column, received))
        if column.max_null_share is not None:
            asked.append(_nulls(name, column))
        if may_be_emptied(name, source):
            asked.append(_emptied(name, column, bounds))
        if bounds.placeholders is not None:
            asked.append(_placeholders(name, column, bounds))
    if source.key:
        asked.append(_unique(source))
    if source.key and source.person not in source.key:
        asked.append(_other_person(source))
    return gx.ExpectationSuite(name=f"{source.source} {received}", expectations=asked)


def _columns(source: Source) -> Any:
    return gxe.ExpectTableColumnsToMatchSet(
        column_set=sorted(source.columns), exact_match=False, meta={"what": "声明的列须齐全"}
    )


def _refused(bounds: Bounds, limit: Decimal | float) -> list[ExpectAtMostFailingRows]:
    """Return the bounds of refused rows: their share, and that of a small delivery."""
    share = float(limit if bounds.refused is None else bounds.refused)
    most, counted = float(bounds.refused_most), _count("reasons IS NOT NULL")
    return [
        ExpectAtMostFailingRows(
            counted=counted,
            tolerated=bounds.refused_rows,
            share=share,
            meta={"what": f"退回的行不得超过 {share:.2%}（且多于 {bounds.refused_rows} 行）"},
        ),
        ExpectAtMostFailingRows(
            counted=counted,
            tolerated=bounds.refused_most_rows,
            share=most,
            meta={"what": f"退回的行不得超过 {most:.0%}（且多于 {bounds.refused_most_rows} 行）"},
        ),
    ]


def _emptied(name: str, column: Column, bounds: Bounds) -> ExpectAtMostFailingRows:
    share, rows = float(bounds.emptied), bounds.emptied_rows
    return ExpectAtMostFailingRows(
        counted=count_notes_sql(emptied_sql(name)),
        among=count_values_sql(name),
        tolerated=rows,
        share=share,
        meta={"what": f"{column.title}：舍去的值不得超过 {share:.2%}（且多于 {rows} 个）"},
    )


def _placeholders(name: str, column: Column, bounds: Bounds) -> ExpectAtMostFailingRows:
    share, rows = float(bounds.placeholders or 0), bounds.placeholder_rows
    return ExpectAtMostFailingRows(
        counted=count_notes_sql(placeholder_sql(name)),
        among=VALID_ROWS,
        tolerated=rows,
        share=share,
        meta={"what": f"{column.title}：占位值不得超过 {share:.2%}（且多于 {rows} 个）"},
    )


def _other_person(source: Source) -> ExpectAtMostFailingRows:
    share, rows = float(source.bounds.other_person), source.bounds.other_person_rows
    titles = "、".join(source.columns[name].title for name in source.key)
    what = f"{titles}：被另一个人的同号记录取代的行不得超过 {share:.2%}（且多于 {rows} 行）"
    return ExpectAtMostFailingRows(
        counted=_count(f"{VALID} AND other_person"),
        among=VALID_ROWS,
        tolerated=rows,
        share=share,
        meta={"what": what},
    )


def _nulls(name: str, column: Column) -> ExpectAtMostFailingRows:
    share = float(column.max_null_share or 0)
    return ExpectAtMostFailingRows(
        counted=_count(f"{VALID} AND {_name(name)} IS NULL"),
        among=VALID_ROWS,
        tolerated=SMALL,
        share=share,
        meta={"what": f"{column.title}：空值不得超过 {share:.2%}（且多于 {SMALL} 行）"},
    )


def _unique(source: Source) -> ExpectAtMostFailingRows:
    standing = f"{VALID} AND NOT superseded"
    key = ", ".join(_name(name) for name in source.key)
    titles = "、".join(source.columns[name].title for name in source.key)
    return ExpectAtMostFailingRows(
        counted=f"{_count(standing)} - count(DISTINCT CASE WHEN {standing} THEN ({key}) END)",
        among=VALID_ROWS,
        meta={"what": f"{titles}：合格且未被取代的行不得重复"},
    )


def _never(what: str, broken: str) -> ExpectAtMostFailingRows:
    return ExpectAtMostFailingRows(
        counted=_count(f"{VALID} AND ({broken})"), among=VALID_ROWS, meta={"what": what}
    )


def _broken(name: str, column: Column, received: Month) -> Iterator[tuple[str, str]]:
    """Yield what is asked of a column on valid rows, and the SQL condition of a row that fails."""
    quoted, title = _name(name), column.title
    if column.required:
        yield f"{title}：必填", f"{quoted} IS NULL"
    if column.required_when:
        when = " AND ".join(
            f"{_name(other)} = {_text(value)}" for other, value in column.required_when.items()
        )
        yield f"{title}：满足条件时必填", f"{when} AND {quoted} IS NULL"
    if column.type == "id":
        born = f"{quoted} // 1000 % 100000000"  # the address before it may begin with 0
        yield (
            f"{title}：须为 17 位数字",
            f"{quoted} NOT BETWEEN 0 AND {10**17 - 1} OR {born} < 19000101",
        )
    if column.type == "set":
        yield f"{title}：须在声明的取值之内", f"{quoted} NOT IN {_texts(column.values)}"
    if column.type == "date" and not column.future:
        yield f"{title}：不得晚于收到月份的最后一天", f"{quoted} > DATE '{received.last_day}'"
    if column.type == "month":
        latest = received + column.months_ahead
        yield f"{title}：不得晚于 {latest}", f"{quoted} > {latest.ordinal}"
        earliest = Month.parse(column.first_month)
        yield f"{title}：不得早于 {earliest}", f"{quoted} < {earliest.ordinal}"
    if column.check:
        yield f"{title}：须在声明的范围之内", _outside(quoted, column.check)
    if column.by:
        cases = [
            f"{_name(column.by)} = {_text(kind)} AND ({_outside(quoted, c)})"
            for kind, c in column.checks.items()
        ]
        yield f"{title}：须在按类别声明的范围之内", " OR ".join(cases)
    if column.not_before:
        yield f"{title}：不得早于对应的起始列", f"{quoted} < {_name(column.not_before)}"


def _outside(quoted: str, check: Check) -> str:
    bounds = [("<", check.min), ("<=", check.above), (">", check.max)]
    broken = [f"{quoted} {operator} {bound}" for operator, bound in bounds if bound is not None]
    if check.one_of is not None:
        broken.append(f"{quoted} NOT IN {_texts(check.one_of)}")
    return " OR ".join(broken)


def _name(column: str) -> str:
    return f'"{column}"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _texts(values: Iterable[str]) -> str:
    return "(" + ", ".join(_text(value) for value in values) + ")"
