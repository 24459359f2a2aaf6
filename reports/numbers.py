"""Numbers as people read them in pages and messages."""

from __future__ import annotations

from decimal import Decimal

NO_VALUE = "—"


def format_count(value: float | Decimal | None) -> str:
    """Return a whole number with separators; a dash for none."""
    return NO_VALUE if value is None else f"{value:,.0f}"


def format_points(value: Decimal | None) -> str:
    """Return points with two decimals; a dash for none."""
    return NO_VALUE if value is None else f"{value:,.2f}"


def format_cell(value: str | int | None) -> str:
    """Return what stands in a cell of a table: text as it is, a number as a count."""
    return value if isinstance(value, str) else format_count(value)


def format_signed(value: Decimal) -> str:
    """Return a sum of points with its sign."""
    return f"{value:+,.2f}".replace("-", "−")


def format_share(difference: Decimal, before: Decimal) -> str:
    """Return a signed percentage; words for no difference, and for one to nothing."""
    if not difference:
        return "不变"
    if not before:
        return "新增"
    return f"{100 * difference / abs(before):+.1f} %".replace("-", "−")


def format_with_previous(now: float | Decimal, previous: float | Decimal | None) -> str:
    """Return `12（上月 10，+20.0 %）`."""
    if previous is None:
        return format_count(now)
    before = Decimal(str(previous))
    change = format_share(Decimal(str(now)) - before, before)
    return f"{format_count(now)}（上月 {format_count(previous)}，{change}）"
