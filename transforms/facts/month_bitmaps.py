"""Insured months of each person from hundreds of millions of postings, in one grouping.

A person's months are a bitmap in words of 60 bits (BIGINT), one column each: word k holds the
months from `first_month` + 60 k on, the newest in its lowest bit. `bit_or` over the postings then
answers distinct months, last month, gap and run at once; counting distinct months instead takes
four times as long and eight times the memory
(docs/developing/decisions/0001-month-bitmaps.md).

A month with a reversal is decided by its own postings, which are kept as disputed postings.
Postings only ever add: the bitmaps and disputed postings of all rows received up to a month are
its incremental state, and the next month groups only the rows received since
(docs/developing/decisions/0002-incremental-state.md).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from expectations.fact_model import MONTH_MEASURES
from expectations.month import Month
from expectations.source_model import Check, Fact, Ledger, Source
from transforms.clean.types import SQL_TYPES
from transforms.engine.statements import Statement
from transforms.facts.measures import equals_sql, filter_sql
from transforms.facts.windows import month_sql, month_window

BITS = 60
ALL_BITS = 2**BITS - 1
MEASURES = MONTH_MEASURES
_NEW = "received > $state_month"


def list_month_facts(source: Source) -> dict[str, Fact]:
    """Return the facts of a source that are measured over a person's months."""
    return {name: fact for name, fact in source.facts.items() if fact.measure in MEASURES}


def is_append_only(source: Source) -> bool:
    """Return True if a month's rows only ever add to earlier ones: its state can be continued."""
    return (
        bool(list_month_facts(source))
        and source.delivery == "increment"
        and not (source.key or source.standing)
    )


def has_month_facts_only(source: Source) -> bool:
    """Return True if nothing of a source but its months becomes a fact."""
    return len(list_month_facts(source)) == len(source.facts)


def empty_state(source: Source, month: Month) -> dict[str, dict[str, str]]:
    """Return the tables of a month's incremental state: name -> column -> SQL type."""
    words = {f"{series}_{word.number}": "BIGINT" for series, word in _columns(source, month)}
    tables = {f"month_bitmaps_{source.source}": {"person": "BIGINT", "postings": "BIGINT", **words}}
    if source.ledger:
        case = {name: _sql_type(source, name) for name in _case(source, source.ledger)}
        times = dict.fromkeys(["held", "taken_back"], _sql_type(source, source.ledger.newest))
        tables[f"disputed_postings_{source.source}"] = {"person": "BIGINT", **case, **times}
    return tables


def state_statements(source: Source, month: Month) -> list[Statement]:
    """Return the queries of a month's state, in the order in which they run.

    They read `counted_<source>` (all rows that count) and the state before, `previous_<table>`,
    which covers the rows received up to $state_month (text; '' for none).
    """
    statements = []
    if source.ledger:
        statements.append(_disputed_postings(source, source.ledger))
    return [*statements, _month_bitmaps(source, month)]


def months_statement(source: Source, month: Month) -> Statement:
    """Return the query of `months_<source>`: one row per person, one column per month fact.

    It reads the month's state.
    """
    facts = list_month_facts(source)
    words = _words(source, month)
    newest, filled, passed, runs = [], [], [], []
    for view in _views(facts):
        newest.append(f"{_newest_sql(view, words)} AS {view}_newest")
        filled += [f"{_filled_sql(view, word)} AS {view}_{word.number}_filled" for word in words]
        runs.append(f"{_break_sql(view, words, 'filled')} AS {view}_break")
    for view, gap in sorted({(_view_name(f), f.gap) for f in facts.values() if f.gap}):
        passed += [
            f"{_passed_over_sql(view, word, gap)} AS {view}_{word.number}_gap{gap}"
            for word in words
        ]
        runs.append(f"{_break_sql(view, words, f'gap{gap}')} AS {view}_break{gap}")
    columns = _lines(
        f"CAST({_measure_sql(fact, words)} AS INTEGER) AS {name}" for name, fact in facts.items()
    )
    sql = f"""
WITH {_valid_months_sql(source, month)},
newest AS (
    SELECT *,
    {_lines(newest)}
    FROM valid
),
filled AS (
    SELECT *,
    {_lines(filled)}
    FROM newest
),
{_gaps_sql(passed)}runs AS (
    SELECT *,
    {_lines(runs)}
    FROM {"passed_over" if passed else "filled"}
)
SELECT person,
    {columns}
FROM runs"""
    return Statement(f"months_{source.source}", sql, inputs=tuple(empty_state(source, month)))


@dataclass(frozen=True)
class _Word:
    """One word of a bitmap: its number, its first and its last month."""

    number: int
    first: int
    last: int

    def bit_sql(self, month: str) -> str:
        """Return the bit of a month of this word."""
        return f"CAST(1 AS BIGINT) << ({self.last} - {month})"

    def newer_sql(self, month: str) -> str:
        """Return the bits of all months of this word that are later than a month."""
        return f"((CAST(1 AS BIGINT) << greatest(least({self.last} - {month}, {BITS}), 0)) - 1)"


def _words(source: Source, month: Month) -> list[_Word]:
    """Words up to the last month that a row received by a month can be for."""
    columns = [source.columns[str(fact.of)] for fact in list_month_facts(source).values()]
    first = min(Month.parse(column.first_month).ordinal for column in columns)
    last = month.ordinal + max(column.months_ahead for column in columns)
    starts = range(first, last + 1, BITS)
    return [_Word(number, start, start + BITS - 1) for number, start in enumerate(starts)]


def _series(source: Source, facts: Mapping[str, Fact]) -> dict[str, tuple[str, str]]:
    """Facts over the same rows share a bitmap: its name -> (month column, condition)."""
    return {_series_name(fact): (str(fact.of), filter_sql(source, fact)) for fact in facts.values()}


def _series_name(fact: Fact) -> str:
    """Return the name of a bitmap: the same for facts over the same rows, and for no others."""
    asked: list[str] = []
    for column, one in fact.where.items():
        bounds = one.model_dump(exclude_none=True) if isinstance(one, Check) else {}
        values = [] if isinstance(one, Check) else one
        asked += [column, *values, *(f"{bound}_{value}" for bound, value in bounds.items())]
    return re.sub(r"\W", "_", "_".join([str(fact.of), *asked]))


def _view_name(fact: Fact) -> str:
    """Return the name of the months of a series that count for a fact: those of its window."""
    parts = [_series_name(fact)]
    if fact.at is not None:
        parts.append(fact.at if isinstance(fact.at, str) else f"at_{fact.at.month}_{fact.at.day}")
    if fact.within is not None:
        window = fact.within.model_dump_json(exclude_none=True, exclude_defaults=True)
        parts.append(re.sub(r"\W+", "_", window).strip("_"))
    return "_".join(parts)


def _views(facts: Mapping[str, Fact]) -> dict[str, Fact]:
    """Facts over the same months share them: by name one of these facts."""
    return {_view_name(fact): fact for fact in facts.values()}


def _columns(source: Source, month: Month) -> list[tuple[str, _Word]]:
    words = _words(source, month)
    return [
        (series, word) for series in _series(source, list_month_facts(source)) for word in words
    ]


def _month_columns(source: Source) -> list[str]:
    facts = list_month_facts(source).values()
    return sorted({column for fact in facts for column in (str(fact.of), *fact.where)})


def _case(source: Source, ledger: Ledger) -> list[str]:
    """Return the columns that separate disputed postings, besides the person: month, employer."""
    return list(dict.fromkeys([*_month_columns(source), *ledger.per]))


def _sql_type(source: Source, name: str) -> str:
    return SQL_TYPES[source.columns[name].type]


def _bitmaps_sql(source: Source, month: Month, condition: str = "true") -> str:
    """Return the words of every series over the rows that meet a condition."""
    series = _series(source, list_month_facts(source))
    words = []
    for name, word in _columns(source, month):
        column, own = series[name]
        within = f"{column} BETWEEN {word.first} AND {word.last} AND {own} AND {condition}"
        bits = f"bit_or(CASE WHEN {within} THEN {word.bit_sql(column)} END)"
        words.append(f"coalesce({bits}, 0) AS {name}_{word.number}")
    return _lines(words)


def _disputed_postings(source: Source, ledger: Ledger) -> Statement:
    """Postings of months with a reversal: when each employer's newest held, and was taken back."""
    name = source.source
    month = ", ".join(["person", *_month_columns(source)])
    case = ", ".join(["person", *_case(source, ledger)])
    posting = f"""{case},
        CASE WHEN {equals_sql(ledger.holds)} THEN {ledger.newest} END AS held,
        CASE WHEN {equals_sql(ledger.tie)} THEN {ledger.newest} END AS taken_back"""
    sql = f"""
WITH disputed AS (SELECT DISTINCT {month} FROM previous_disputed_postings_{name}),
reversed AS (
    SELECT DISTINCT {month} FROM counted_{name} WHERE {_NEW} AND {equals_sql(ledger.tie)}
),
newly_disputed AS (SELECT {month} FROM reversed ANTI JOIN disputed USING ({month})),
postings AS (
    SELECT {case}, held, taken_back FROM previous_disputed_postings_{name}
    UNION ALL
    SELECT {posting}
    FROM counted_{name} SEMI JOIN disputed USING ({month}) WHERE {_NEW}
    UNION ALL
    SELECT {posting}
    FROM counted_{name} SEMI JOIN newly_disputed USING ({month})
)
SELECT {case}, max(held) AS held, max(taken_back) AS taken_back
FROM postings GROUP BY {case}"""
    inputs = (f"counted_{name}", f"previous_disputed_postings_{name}")
    return Statement(f"disputed_postings_{name}", sql, inputs)


def _month_bitmaps(source: Source, month: Month) -> Statement:
    """One row per person: how many postings, and the months of every series, reversed or not."""
    name = source.source
    holds = equals_sql(source.ledger.holds) if source.ledger else "true"
    columns = [f"{series}_{word.number}" for series, word in _columns(source, month)]
    merged = _lines(f"coalesce(b.{it}, 0) | coalesce(a.{it}, 0) AS {it}" for it in columns)
    sql = f"""
WITH added AS (
    SELECT person, count(*) AS postings,
    {_bitmaps_sql(source, month, holds)}
    FROM counted_{name} WHERE {_NEW}
    GROUP BY person
)
SELECT coalesce(a.person, b.person) AS person,
    coalesce(a.postings, 0) + coalesce(b.postings, 0) AS postings,
    {merged}
FROM previous_month_bitmaps_{name} AS b FULL JOIN added AS a ON a.person = b.person"""
    inputs = (f"counted_{name}", f"previous_month_bitmaps_{name}")
    return Statement(f"month_bitmaps_{name}", sql, inputs)


def _valid_months_sql(source: Source, month: Month) -> str:
    """Return `valid`: bitmaps up to $month, without the months that no posting holds any more."""
    name, kept, words = source.source, [], _words(source, month)
    for view, fact in _views(list_month_facts(source)).items():
        first, last = month_window(fact)
        for word in words:
            column = f"{_series_name(fact)}_{word.number}"
            bits = f"b.{column} & ~coalesce(r.{column}, 0)" if source.ledger else f"b.{column}"
            if fact.at or fact.within or word.last > month.ordinal:
                bits += f" & ~{word.newer_sql(last)}"
            if fact.within:
                bits += f" & {word.newer_sql(f'({first} - 1)')}"
            kept.append(f"{bits} AS {view}_{word.number}")
    if not source.ledger:
        return f"""valid AS (
    SELECT b.person,
    {_lines(kept)}
    FROM month_bitmaps_{name} AS b
)"""
    months = ", ".join(["person", *_month_columns(source)])
    return f"""revoked AS (
    SELECT {months} FROM disputed_postings_{name} GROUP BY {months}
    HAVING NOT bool_or(held IS NOT NULL AND (taken_back IS NULL OR held > taken_back))
),
revoked_bitmaps AS (
    SELECT person,
    {_bitmaps_sql(source, month)}
    FROM revoked GROUP BY person
),
valid AS (
    SELECT b.person,
    {_lines(kept)}
    FROM month_bitmaps_{name} AS b LEFT JOIN revoked_bitmaps AS r ON r.person = b.person
)"""


def _newest_sql(series: str, words: list[_Word]) -> str:
    """Return the newest month of a series; null if it has none."""
    cases = " ".join(
        f"WHEN {series}_{word.number} <> 0"
        f" THEN {word.last} - {_trailing_zeros_sql(f'{series}_{word.number}')}"
        for word in reversed(words)
    )
    return f"CASE {cases} END"


def _filled_sql(series: str, word: _Word) -> str:
    """Return a word with the months after the newest one set too: its ones lead up to a break."""
    return f"{series}_{word.number} | {word.newer_sql(f'{series}_newest')}"


def _gaps_sql(passed: list[str]) -> str:
    """Return the step in which months that are passed over are set, where there are any."""
    if not passed:
        return ""
    return f"passed_over AS (\n    SELECT *,\n    {_lines(passed)}\n    FROM filled\n),\n"


def _passed_over_sql(series: str, word: _Word, gap: int) -> str:
    """Return a filled word with every month set that is not after more than `gap` missing ones.

    That is: which has, of itself and the `gap` months before it, any that is set. Months before
    this word's first are the lowest bits of the word before.
    """
    own = f"{series}_{word.number}_filled"
    shifted = [own, *(f"({own} >> {months})" for months in range(1, gap + 1))]
    if word.number:
        older = f"{series}_{word.number - 1}_filled"
        shifted += [
            f"(({older} & {2**months - 1}) << {BITS - months})" for months in range(1, gap + 1)
        ]
    return " | ".join(shifted)


def _break_sql(series: str, words: list[_Word], kind: str) -> str:
    """Return the last month before the newest one that ends a run."""
    cases = " ".join(
        f"WHEN {series}_{word.number}_{kind} <> {ALL_BITS}"
        f" THEN {word.last} - {_trailing_ones_sql(f'{series}_{word.number}_{kind}')}"
        for word in reversed(words)
    )
    return f"CASE {cases} ELSE {words[0].first - 1} END"


def _measure_sql(fact: Fact, words: list[_Word]) -> str:
    series = _view_name(fact)
    match fact.measure:
        case "distinct_months":
            return " + ".join(_count_sql(f"{series}_{word.number}") for word in words)
        case "run_months" if fact.gap:
            of_run = (
                f"({series}_{word.number} & {word.newer_sql(f'{series}_break{fact.gap}')})"
                for word in words
            )
            return " + ".join(map(_count_sql, of_run))
        case "run_months":
            return f"{series}_newest - {series}_break"
        case "gap_months":
            return f"{month_sql(fact)} - {series}_newest"
        case _:
            return f"{series}_newest"


def _count_sql(word: str) -> str:
    return f"CAST(bit_count({word}) AS INTEGER)"


def _trailing_ones_sql(word: str) -> str:
    """Return how many of the lowest bits are set without a break."""
    return f"({_count_sql(f'xor({word}, {word} + 1)')} - 1)"


def _trailing_zeros_sql(word: str) -> str:
    """Return how many of the lowest bits are not set; of a word that is not 0."""
    return f"({_count_sql(f'xor({word}, {word} - 1)')} - 1)"


def _lines(columns: Iterable[str]) -> str:
    return ",\n    ".join(columns)
