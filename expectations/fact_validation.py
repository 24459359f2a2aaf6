"""Which names, column types, units and keys the facts of a source accept.

Every check yields mistakes: the place below the fact, what was found, what was expected.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from expectations.errors import did_you_mean
from expectations.fact_model import MONTH_MEASURES, YEAR_UNITS, Divisor, Spell
from expectations.source_model import Check, Column, Fact, Source

Mistake = tuple[tuple[str, ...], str, str]

# Words that SQL keeps for itself, and columns that stand beside the facts in every table.
_SQL_WORDS = """all analyse analyze and any array as asc asymmetric both case cast check collate column
    constraint create default deferrable desc describe distinct do else end except false fetch for
    foreign from group having in initially intersect into lambda lateral leading limit not null
    offset on only or order pivot pivot_longer pivot_wider placing primary qualify references
    returning select show some summarize symmetric table then to trailing true union unique unpivot
    using variadic when where window with between is date cross join left right full inner natural
    anti semi exists values interval map struct"""
_BESIDE_FACTS = """month resident_key resident_id person district corrections corrected name phone community
    as_of value points service level due_on opens_on closes_on eligible points_short monthly_amount
    reminded policy_city policy_district"""

_NUMBERS, _DATES = ("amount", "integer"), ("date",)
_TAKES: dict[str, tuple[str, ...]] = {
    "sum": _NUMBERS,
    "sum_by_year": _NUMBERS,
    "sum_by_key": _NUMBERS,
    "highest": ("set",),
    "full_months": ("date", "id"),
    "full_years": ("id",),  # an age; of a date, full_months
    "list": ("id",),
}
_MEASURED = ("hours", "ml", "points", "yuan", "m2", "percent", "number")
_GIVES: dict[str, tuple[str, ...]] = {
    "count": ("count", "times", "people", "months"),  # of rows that are a month each
    "exists": ("yes_no",),
    "sum": ("count", "times", "people", "months", "years", *_MEASURED),
    "highest": ("level",),
    "full_months": ("months",),
    "full_years": ("years",),
    "distinct_months": ("months",),
    "gap_months": ("months",),
    "run_months": ("months",),
    "covered_months": ("months",),
    "last_month": ("month",),
    "sum_by_year": tuple(YEAR_UNITS),
    "sum_by_key": ("points_by_key",),
    "list": ("children",),
}
_VALUE: dict[str, tuple[str, ...]] = {
    "date": ("date",),
    "month": ("month",),
    "yes_no": ("yes_no",),
    "area": ("area",),
    "district": ("area",),
    "amount": ("count", "times", "people", "years", "months", *_MEASURED),
    "integer": ("count", "times", "people", "years", "months", *_MEASURED),
}
_SUMS = ("sum", "sum_by_year", "sum_by_key")
_READS: dict[str, tuple[str, ...]] = {  # what only some measures look at
    "clip": _SUMS,
    "weights": _SUMS,
    "weights_from": _SUMS,
    "times": _SUMS,
    "divided_by": _SUMS,
    "once_per": ("count", *_SUMS),
    "greatest": ("count", *_SUMS),
    "gap": ("run_months",),
    "spells": ("covered_months",),
    "without": ("covered_months",),
    "keys": ("sum_by_year", "sum_by_key"),
    "years": ("sum_by_year",),
    "otherwise": ("highest",),
    "levels": ("list",),
}
_NEEDS: dict[str, tuple[str, ...]] = {  # what a measure cannot do without
    "highest": ("ladder",),
    "sum_by_year": ("keys", "years"),
    "sum_by_key": ("keys",),
    "list": ("levels",),
    "covered_months": ("spells",),
}
_ROWS = ("of", "where", "current", "open", "within", "at", "turns", "listed", "pick")
_READ_THE_DAY = (*MONTH_MEASURES, "full_months", "full_years", "covered_months", "list")
_MEASURED_AGAIN = ("count", "exists", "sum", "highest", "full_months", "full_years", "value")


def validate_fact(source: Source, name: str, fact: Fact) -> Iterator[Mistake]:
    """Yield every mistake of one fact that can be seen within its source."""
    yield from _validate_name(name)
    yield from _validate_needs(source, fact)
    yield from _validate_months(source, fact)
    yield from _validate_window(source, fact)
    yield from _validate_cut_off(fact)
    yield from _validate_records(source, fact)
    yield from _validate_types(source, fact)
    yield from _validate_unused_keys(fact)
    yield from _validate_conditions(source, fact)
    yield from _validate_move(source, fact)
    for level in fact.levels.values():
        if level not in source.facts:
            yield ("levels",), level, f"没有这个指标数据；{did_you_mean(level, source.facts)}"


def _validate_name(name: str) -> Iterator[Mistake]:
    if name in _SQL_WORDS.split():
        yield (), f"{name} 是 SQL 的保留字", "请换一个名称"
    elif name in _BESIDE_FACTS.split():
        yield (), f"{name} 已有别的含义", "请换一个名称"
    elif name.endswith("_points"):
        yield (), f"{name} 以 _points 结尾，会与得分混淆", "请换一个名称"


def _validate_needs(source: Source, fact: Fact) -> Iterator[Mistake]:
    """Yield the keys that a measure cannot do without."""
    measure = f"measure: {fact.measure}"
    needs_column = fact.measure not in (None, "count", "exists", "covered_months")
    if fact.measure == "sum_by_year" and fact.unit == "times_by_year" and fact.of is None:
        pass  # how many rows
    elif needs_column != (fact.of is not None):
        yield (
            (),
            measure,
            "须给出 of（count、exists、covered_months 不用）" if needs_column else "不用 of",
        )
    for key in _NEEDS.get(str(fact.measure), ()):
        if not getattr(fact, key):
            yield (key,), "缺少这个键", f"{measure} 须写 {key}"
    if fact.ladder and fact.measure != "highest":
        yield ("ladder",), measure, "ladder 只用于 measure: highest"
    if fact.measure == "value" and not (fact.pick or source.spine):
        yield ("pick",), "缺少这个键", "一人可有多行：写明取哪一行"


def _validate_months(source: Source, fact: Fact) -> Iterator[Mistake]:
    if fact.measure == "covered_months":
        for key in ("where", "current", "open", "turns", "listed", "pick"):
            if key in fact.model_fields_set:
                yield (key,), "不起作用", "covered_months 的筛选写在 spells 之内"
    if fact.measure not in MONTH_MEASURES:
        return
    if fact.of in source.columns and source.columns[fact.of].type != "month":
        yield ("of",), str(fact.of), "须为类型是 month 的列"
    if fact.current or fact.open or fact.turns or fact.listed or fact.pick:
        yield (), f"measure: {fact.measure}", "按月计数的数据只用 where 和 within 筛选"
    bounds = [name for name, asked in fact.where.items() if isinstance(asked, Check)]
    if bounds and source.ledger:
        yield (
            ("where", bounds[0]),
            "有冲正的来源，按月计数不能按范围筛选",
            "由部门给出档次列，再按取值筛选",
        )


def _validate_window(source: Source, fact: Fact) -> Iterator[Mistake]:
    """Yield windows over no column, or ends that do not fit its type."""
    within = fact.within
    if within is None:
        return
    own = fact.measure in MONTH_MEASURES or fact.measure == "covered_months"
    if own and within.of not in (None, fact.of):
        yield ("within", "of"), str(within.of), "按月计数的数据，时间段就是这些月份，请删去 of"
        return
    if not own and within.of is None:
        yield ("within", "of"), "缺少这个键", "写明时间段看哪一列"
        return
    column = source.columns.get(within.of or "")
    months = own or (column is not None and column.type == "month")
    for end in (*(within.between or ()), *([within.since] if within.since else [])):
        if (len(end) == 7) != months:
            expected = "按月的列写到月：YYYY-MM" if months else "日期列写到日：YYYY-MM-DD"
            yield ("within",), end, expected


def _validate_cut_off(fact: Fact) -> Iterator[Mistake]:
    if fact.at is None or fact.measure is None:
        return
    if fact.measure == "sum_by_year":
        yield ("at",), "sum_by_year 按计分日所在年分年度", "请删去 at"
    elif fact.measure not in _READ_THE_DAY and not (
        fact.current or fact.open or fact.within or fact.turns or fact.listed
    ):
        yield ("at",), "不起作用", "这项数据与日期无关；写上 within、current 等，或删去 at"


def _validate_records(source: Source, fact: Fact) -> Iterator[Mistake]:
    """Yield mistakes of what a record adds, and of which records are one."""
    if source.spine:
        for key in ("once_per", "spells"):
            if getattr(fact, key):
                yield (key,), "登记来源一人一行", "请写在别的来源"
    yield from _validate_acts(source, fact)
    for day, weights in (fact.weights_from.dates if fact.weights_from else {}).items():
        if len(day) != 10:
            yield ("weights_from", "dates", day), day, "写到日：YYYY-MM-DD"
        if not weights:
            yield ("weights_from", "dates", day), "没有权数", "写作 {列: {取值: 权数}}"


def _validate_acts(source: Source, fact: Fact) -> Iterator[Mistake]:
    if fact.greatest and not fact.once_per:
        yield ("greatest",), "不起作用", "greatest 与 once_per 一同写"
    if fact.once_per and fact.measure != "count" and not fact.greatest:
        yield ("greatest",), "缺少这个键", "同一件事的几条记录取哪一条：写明按哪一列取最大"
    for name in fact.once_per:
        column = source.columns.get(name)
        if column and not column.required:
            yield ("once_per",), name, "须为必填的列（required: true）"


def _validate_conditions(source: Source, fact: Fact) -> Iterator[Mistake]:
    """Yield values of `where` that a column of its type cannot have, and bounds of no use."""
    for name, values in fact.where.items():
        column = source.columns.get(name)
        found = _find_bad_value(column, values) if column else None
        if found:
            yield ("where", name), *found
    if fact.clip is not None:
        if fact.clip.model_fields_set - {"min", "max"}:
            yield ("clip",), "one_of、above、below 不起作用", "clip 只用 min 和 max"
        yield from ((("clip",), *found) for found in _find_empty_bounds(fact.clip))


def validate_spell(
    sources: Mapping[str, Source], own: Source, spell: Spell
) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Yield mistakes of a spell: its source, its columns, and what it asks of them."""
    source = sources.get(spell.source or own.source)
    if source is None:
        yield (
            ("source",),
            str(spell.source),
            f"没有这个来源；{did_you_mean(str(spell.source), sources)}",
        )
        return
    for key, name in (("from", spell.begins), ("to", spell.ends)):
        column = source.columns.get(name)
        if column is None:
            yield (key,), name, f"没有这一列；{did_you_mean(name, source.columns)}"
        elif column.type != "date":
            yield (key,), f"{name}（{column.type}）", "须为类型是 date 的列"
    for name, asked in spell.where.items():
        column = source.columns.get(name)
        if column is None:
            yield ("where", name), name, f"没有这一列；{did_you_mean(name, source.columns)}"
            continue
        unknown = [] if isinstance(asked, Check) or not column.values else asked
        for value in unknown:
            if value not in column.values:
                meant = did_you_mean(value, column.values)
                yield ("where", name), value, f"不是 {name} 的取值；{meant}"
        found = _find_bad_value(column, asked)
        if found:
            yield ("where", name), *found


def _find_bad_value(column: Column, values: Sequence[str] | Check) -> tuple[str, str] | None:
    """Return what is wrong with what `where` asks of a column."""
    if isinstance(values, Check):
        return _find_bad_bounds(column, values)
    if column.type in ("date", "month"):
        return f"{'、'.join(values)}", "日期不用 where 筛选，时间段写作 within"
    if column.type == "amount":
        return f"{'、'.join(values)}", "金额列按范围筛选，写作 {min: 5000} 或 {above: 0, max: 24}"
    if column.type == "integer" and not all(re.fullmatch("-?[0-9]{1,9}", one) for one in values):
        found = "应为整数，或按范围写作 {min: 3}、{above: 0, max: 24}"
        return f"{'、'.join(values)}", found
    if column.type == "id":
        return f"{'、'.join(values)}", "不能按证件号码筛选"
    if column.type == "yes_no" and not set(values) <= {"true", "false"}:
        return f"{'、'.join(values)}", "是否列应为 true 或 false"
    codes = [value for value in values if not re.fullmatch("[0-9]{6}", value)]
    if column.type in ("area", "district") and codes:
        return f"{'、'.join(codes)}", "区划应为六位代码"
    if len(set(values)) < len(values):
        return f"{'、'.join(values)}", "同一个值只写一次"
    return None


def _find_bad_bounds(column: Column, asked: Check) -> tuple[str, str] | None:
    if column.type not in _NUMBERS:
        return f"{column.type} 列不是数值", "只有 amount 和 integer 列按范围筛选"
    if asked.one_of is not None:
        return "one_of", "只用 min、above、max、below"
    if not asked.model_fields_set:
        return "没有范围", "写作 {min: 5000}、{above: 0} 等"
    return next(_find_empty_bounds(asked), None)


def _find_empty_bounds(check: Check) -> Iterator[tuple[str, str]]:
    lows = [bound for bound in (check.min, check.above) if bound is not None]
    highs = [bound for bound in (check.max, check.below) if bound is not None]
    if len(lows) > 1 or len(highs) > 1:
        yield "min 与 above、max 与 below", "各只写一个"
    elif lows and highs and lows[0] > highs[0]:
        yield f"{lows[0]} 大于 {highs[0]}", "最小值不能大于最大值"


def _validate_unused_keys(fact: Fact) -> Iterator[Mistake]:
    """Yield every key that nothing reads, so that it cannot do what its writer meant."""
    for key in sorted(fact.model_fields_set & {*_READS, *_ROWS}):
        if fact.measure is None:
            yield (key,), "不起作用", "由 lookup 或 derive 得出的数据不看任何行，请删去"
        elif fact.measure not in _READS.get(key, (fact.measure,)):
            yield (key,), "不起作用", f"只用于 measure: {'、'.join(_READS[key])}，请删去"


def _validate_move(source: Source, fact: Fact) -> Iterator[Mistake]:
    """Yield every key of a fact's `moves` that cannot be computed."""
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


def _validate_types(source: Source, fact: Fact) -> Iterator[Mistake]:
    """Yield every key that names a column of an unfit type, and an unfit unit."""
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
    if fact.within and fact.within.of and fact.measure not in MONTH_MEASURES:
        yield ("within", "of"), fact.within.of, ("date", "month")
    if fact.turns:
        yield ("turns", "of"), fact.turns.of, ("id",)
    if fact.measure == "sum_by_year":
        for name in fact.keys:
            yield ("keys",), name, _DATES
    yield from _asked_of_records(fact)


def _asked_of_records(fact: Fact) -> Iterator[tuple[tuple[str, ...], str, tuple[str, ...]]]:
    if fact.times:
        yield ("times",), fact.times, _NUMBERS
    if isinstance(fact.divided_by, Divisor):
        yield ("divided_by", "of"), fact.divided_by.of, ("integer",)
    if fact.weights_from:
        yield ("weights_from", "of"), fact.weights_from.of, _DATES
    if fact.greatest:
        yield ("greatest",), fact.greatest, (*_NUMBERS, "date", "month", "set")
