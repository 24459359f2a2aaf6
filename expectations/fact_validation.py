"""Which column types and units the measures of facts accept."""

from __future__ import annotations

from collections.abc import Iterator

from expectations.source_model import Fact, Source

_NUMBERS, _DATES = ("amount", "integer"), ("date",)
_TAKES: dict[str, tuple[str, ...]] = {
    "sum": _NUMBERS,
    "sum_by_year": _NUMBERS,
    "sum_by_key": _NUMBERS,
    "highest": ("set",),
    "full_months": ("date", "id"),
    "full_years": ("date", "id"),
    "list": ("id",),
}
_GIVES: dict[str, tuple[str, ...]] = {
    "count": ("count", "people", "months"),  # of rows that are a month each
    "exists": ("yes_no",),
    "sum": ("count", "people", "hours", "ml", "points", "yuan"),
    "highest": ("level",),
    "full_months": ("months",),
    "full_years": ("years",),
    "distinct_months": ("months",),
    "gap_months": ("months",),
    "run_months": ("months",),
    "last_month": ("month",),
    "sum_by_year": ("hours_by_year",),
    "sum_by_key": ("points_by_key",),
    "list": ("children",),
}
_VALUE: dict[str, tuple[str, ...]] = {
    "date": ("date",),
    "month": ("month",),
    "yes_no": ("yes_no",),
    "area": ("area",),
    "district": ("area",),
    "amount": ("count", "people", "hours", "ml", "points", "yuan", "years", "months"),
    "integer": ("count", "people", "years", "months"),
}
_READS: dict[str, tuple[str, ...]] = {  # what only some measures look at
    "clip": ("sum", "sum_by_year", "sum_by_key"),
    "weights": ("sum", "sum_by_year", "sum_by_key"),
    "keys": ("sum_by_year", "sum_by_key"),
    "years": ("sum_by_year",),
    "otherwise": ("highest",),
    "levels": ("list",),
}
_MEASURED_AGAIN = ("count", "exists", "sum", "highest", "full_months", "full_years", "value")
_ROWS = ("of", "where", "current", "open", "within", "turns", "listed", "pick")


def find_unused_keys(fact: Fact) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Yield every key of a fact that nothing reads, so that it cannot do what its writer meant.

    Yields:
        The key's place, what it is, what to do.
    """
    for key in sorted(fact.model_fields_set & {*_READS, *_ROWS}):
        if fact.measure is None:
            yield (key,), "不起作用", "由 lookup 或 derive 得出的数据不看任何行，请删去"
        elif fact.measure not in _READS.get(key, (fact.measure,)):
            yield (key,), "不起作用", f"只用于 measure: {'、'.join(_READS[key])}，请删去"


def find_move_errors(source: Source, fact: Fact) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Yield every key of a fact's `moves` that cannot be computed.

    Yields:
        The key's place, what stands there, what may stand there.
    """
    move = fact.moves
    if move is None:
        return
    if fact.measure is None:
        yield ("moves",), "不起作用", "由 lookup 或 derive 得出的数据随其他数据变化，请删去"
    elif move.by == "month" and fact.unit != "months":
        yield ("moves", "by"), "month", "只用于以月计的数据"
    elif move.by == "date":
        if fact.measure not in _MEASURED_AGAIN or source.ledger or source.quota or fact.pick:
            yield ("moves", "by"), "date", "流水、配额、pick 和按月累计的数据不能按日期重新计算"
        if move.during:
            yield ("moves", "while"), move.during, "只用于 by: month，请删去"
    other = source.facts.get(move.during or "")
    if move.during and (other is None or other.unit != "yes_no"):
        yield ("moves", "while"), move.during, "应为本来源的一项是否数据"


def find_type_errors(source: Source, fact: Fact) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Yield every key of a fact that names a column of an unfit type, or an unfit unit.

    Yields:
        The key's place, what stands there, what may stand there.
    """
    for key, name, types in _asked(fact):
        column = source.columns.get(name)
        if column and column.type not in types:
            yield key, f"{name}（{column.type}）", f"须为这些类型的列：{'、'.join(types)}"
    of = source.columns.get(fact.of or "")
    units = (
        _VALUE.get(of.type, ("text", "level"))
        if fact.measure == "value" and of
        else _GIVES.get(str(fact.measure))
    )
    if units and fact.unit not in units:
        yield ("unit",), fact.unit, f"measure: {fact.measure} 的单位可为：{'、'.join(units)}"


def _asked(fact: Fact) -> Iterator[tuple[tuple[str, ...], str, tuple[str, ...]]]:
    """Yield key, column, and the types that the column may have."""
    if fact.of and fact.measure in _TAKES:
        yield ("of",), fact.of, _TAKES[fact.measure]
    for key, span in (("current", fact.current), ("open", fact.open)):
        for end in (span.begins, span.ends) if span else ():
            yield (key,), end, _DATES
    if fact.within:
        yield ("within", "of"), fact.within.of, _DATES
    if fact.turns:
        yield ("turns", "of"), fact.turns.of, ("id",)
    if fact.measure == "sum_by_year":
        for name in fact.keys:
            yield ("keys",), name, _DATES
