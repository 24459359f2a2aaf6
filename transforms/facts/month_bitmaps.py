"""Insured months of each person from hundreds of millions of postings, in one grouping.

A person's months are bitmaps in words of 60 months (BIGINT): one row per person and word, word k
holding the months 60 k to 60 k + 59 (months are numbers, so a word is five calendar years), the
newest in its lowest bit. `bit_or` over the postings builds them; distinct months, last month, gap
and run follow from bit operations. Counting distinct months instead takes four times as long and
eight times the memory (docs/developing/decisions/0001-month-bitmaps.md).

A month with a reversal is decided by its own postings, which are kept as disputed postings.
Postings only ever add: the bitmaps and disputed postings of all rows received up to a month are
its incremental state, and the next month groups only the rows received since
(docs/developing/decisions/0002-incremental-state.md).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from expectations.fact_model import MONTH_MEASURES
from expectations.source_model import Check, Fact, Ledger, Source
from transforms.clean.types import SQL_TYPES
from transforms.engine.statements import Statement
from transforms.facts.measures import equals_sql, filter_sql
from transforms.facts.windows import month_sql, month_window

BITS = 60
MEASURES = MONTH_MEASURES
_Series = Mapping[str, tuple[str, str]]
"""Bitmaps by name: the column of months, and which rows set their month's bit."""


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


def empty_state(source: Source) -> dict[str, dict[str, str]]:
    """Return the tables of a month's incremental state: name -> column -> SQL type."""
    bitmaps = {"person": "BIGINT", "word": "INTEGER", "postings": "BIGINT"}
    tables = {f"month_bitmaps_{source.source}": bitmaps | dict.fromkeys(_series(source), "BIGINT")}
    if source.ledger:
        case = {name: SQL_TYPES[source.columns[name].type] for name in _case(source, source.ledger)}
        newest = SQL_TYPES[source.columns[source.ledger.newest].type]
        times = dict.fromkeys(["held", "taken_back"], newest)
        tables[f"disputed_postings_{source.source}"] = {"person": "BIGINT", **case, **times}
    return tables


def state_statements(source: Source) -> list[Statement]:
    """Return the queries of a month's state, in the order in which they run.

    They read `counted_<source>` (all rows that count) and the state before, `previous_<table>`,
    which covers the rows received up to $state_month (text; '' for none).
    """
    statements = [_month_bitmaps(source)]
    if source.ledger:
        statements.append(_disputed_postings(source, source.ledger))
    return statements


def months_statement(source: Source) -> Statement:
    """Return the query of `months_<source>`: one row per person, one column per month fact.

    It reads the month's state. In every word a run ends where it would end if it came from that
    word's newest month; it goes on into the word before if that one's newest month is near enough.
    """
    facts = list_month_facts(source)
    views = {_view_name(fact): fact for fact in facts.values()}
    runs = {_run_name(fact): fact for fact in facts.values() if fact.measure == "run_months"}
    steps = {
        "ends": [
            *(f"{_newest_sql(view)} AS {view}_newest" for view in views),
            *(f"{_end_sql(fact)} AS {run}_end" for run, fact in runs.items()),
        ],
        "breaks": [f"{_break_sql(fact)} AS {run}_break" for run, fact in runs.items()],
        "last_breaks": [
            f"max({run}_break) OVER (PARTITION BY person) AS {run}_last"
            for run, fact in runs.items()
            if fact.gap
        ],
    }
    columns = _lines(
        f"CAST({_measure_sql(fact)} AS INTEGER) AS {name}" for name, fact in facts.items()
    )
    ctes, rows = _valid_months_sql(source, views), "valid"
    for step, added in steps.items():
        if added:
            ctes += f",\n{step} AS (\n    SELECT *,\n    {_lines(added)}\n    FROM {rows}\n)"
            rows = step
    sql = f"""
WITH {ctes}
SELECT person,
    {columns}
FROM {rows} GROUP BY person"""
    return Statement(f"months_{source.source}", sql, inputs=tuple(empty_state(source)))


def _month_columns(source: Source) -> list[str]:
    """Return the columns of months that facts are measured over: mostly one."""
    return list(dict.fromkeys(str(fact.of) for fact in list_month_facts(source).values()))


def _series(source: Source, holds: str = "true") -> _Series:
    """Return the bitmaps of the rows that hold their month; facts over the same rows share one."""
    facts = list_month_facts(source).values()
    return {
        _series_name(fact): (str(fact.of), f"{holds} AND {filter_sql(source, fact)}")
        for fact in facts
    }


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


def _run_name(fact: Fact) -> str:
    return f"{_view_name(fact)}_gap{fact.gap}"


def _case(source: Source, ledger: Ledger) -> list[str]:
    """Return the columns that separate disputed postings, besides the person: month, employer."""
    facts = list_month_facts(source).values()
    asked = sorted({column for fact in facts for column in fact.where})
    return list(dict.fromkeys([*_month_columns(source), *asked, *ledger.per]))


def _month_bitmaps(source: Source) -> Statement:
    """One row per person and word: how many postings, and the months of every series."""
    name, ledger = source.source, source.ledger
    series = _series(source, equals_sql(ledger.holds) if ledger else "true")
    rows = [
        f"SELECT person, word, postings, {', '.join(series)} FROM previous_month_bitmaps_{name}",
        *(
            f"""SELECT person, {_word_sql(month)} AS word, {int(not number)} AS postings,
    {_bits_sql(series, month)}
    FROM counted_{name} WHERE received > $state_month"""
            for number, month in enumerate(_month_columns(source))
        ),
    ]
    sql = f"""
SELECT person, word, CAST(sum(postings) AS BIGINT) AS postings,
    {_merged_sql(series)}
FROM (
    {_union_sql(rows)}
)
GROUP BY person, word"""
    inputs = (f"counted_{name}", f"previous_month_bitmaps_{name}")
    return Statement(f"month_bitmaps_{name}", sql, inputs)


def _disputed_postings(source: Source, ledger: Ledger) -> Statement:
    """Postings of months with a reversal: when each employer's newest held, and was taken back."""
    name = source.source
    case = ", ".join(["person", *_case(source, ledger)])
    posting = f"""SELECT {case},
        CASE WHEN {equals_sql(ledger.holds)} THEN {ledger.newest} END AS held,
        CASE WHEN {equals_sql(ledger.tie)} THEN {ledger.newest} END AS taken_back
    FROM counted_{name}"""
    months = []
    rows = [f"SELECT {case}, held, taken_back FROM previous_disputed_postings_{name}"]
    for month in _month_columns(source):
        months += [
            f"""reversed_{month} AS (
    SELECT DISTINCT person, {month} FROM counted_{name}
    WHERE received > $state_month AND {equals_sql(ledger.tie)}
)""",
            f"""disputed_{month} AS (
    SELECT DISTINCT person, {month} FROM previous_disputed_postings_{name}
)""",
        ]
        rows += [
            f"{posting} SEMI JOIN reversed_{month} USING (person, {month})",
            f"{posting} SEMI JOIN disputed_{month} USING (person, {month})"
            " WHERE received > $state_month",
        ]
    sql = f"""
WITH {f",{chr(10)}".join(months)},
postings AS (
    {_union_sql(rows)}
)
SELECT {case}, max(held) AS held, max(taken_back) AS taken_back
FROM postings GROUP BY {case}"""
    inputs = (f"counted_{name}", f"previous_disputed_postings_{name}")
    return Statement(f"disputed_postings_{name}", sql, inputs)


def _valid_months_sql(source: Source, views: Mapping[str, Fact]) -> str:
    """Return `valid`: by person and word the months up to $month that some posting holds.

    Of a month with a reversal the disputed postings decide. `first_month`: the word's first month.
    """
    name, disputed, join, kept = source.source, "", "", []
    for view, fact in views.items():
        series, (first, last) = _series_name(fact), month_window(fact)
        bits = f"b.{series}"
        if source.ledger:
            bits = f"((b.{series} & ~coalesce(d.{fact.of}_disputed, 0)) | coalesce(d.{series}, 0))"
        bits += f" & ~{_later_sql(last)}"
        if fact.within:
            bits += f" & {_later_sql(f'({first} - 1)')}"
        kept.append(f"{bits} AS {view}")
    if source.ledger:
        disputed = f"disputed AS (\n    {_disputed_months_sql(source)}\n),\n"
        join = "\n    LEFT JOIN disputed AS d ON d.person = b.person AND d.word = b.word"
    return f"""{disputed}valid AS (
    SELECT b.person, b.first_month,
    {_lines(kept)}
    FROM (SELECT *, word * {BITS} AS first_month FROM month_bitmaps_{name}) AS b{join}
)"""


def _disputed_months_sql(source: Source) -> str:
    """Return by person and word the months with a reversal, and those of them that stand."""
    months = _month_columns(source)
    stands = "held IS NOT NULL AND (taken_back IS NULL OR held > taken_back)"
    series = {f"{month}_disputed": (month, "taken_back IS NOT NULL") for month in months}
    series |= _series(source, stands)
    rows = [
        f"""SELECT person, {_word_sql(month)} AS word,
    {_bits_sql(series, month)}
    FROM disputed_postings_{source.source}"""
        for month in months
    ]
    return f"""SELECT person, word,
    {_merged_sql(series)}
    FROM (
    {_union_sql(rows)}
    ) GROUP BY person, word"""


def _word_sql(month: str) -> str:
    return f"CAST({month} // {BITS} AS INTEGER)"


def _bit_sql(month: str) -> str:
    """Return the bit of a month in its word."""
    return f"(CAST(1 AS BIGINT) << ({BITS - 1} - {month} % {BITS}))"


def _later_sql(month: str) -> str:
    """Return the bits of the months later than a month, in the word that begins at `first_month`."""
    later = f"greatest(least(first_month + {BITS - 1} - {month}, {BITS}), 0)"
    return f"((CAST(1 AS BIGINT) << {later}) - 1)"


def _bits_sql(series: _Series, month: str) -> str:
    """Return what a row adds to every bitmap by one of its columns of months."""
    return _lines(
        f"CASE WHEN {condition} THEN {_bit_sql(month)} ELSE 0 END AS {name}"
        if column == month
        else f"0 AS {name}"
        for name, (column, condition) in series.items()
    )


def _merged_sql(series: Iterable[str]) -> str:
    return _lines(f"bit_or({name}) AS {name}" for name in series)


def _union_sql(queries: Iterable[str]) -> str:
    return "\n    UNION ALL\n    ".join(queries)


def _newest_sql(view: str) -> str:
    """Return the newest month of a word; null if it has none. Its bit is the lowest of all."""
    zeros = f"(bit_count(xor({view}, {view} - 1)) - 1)"
    return f"CASE WHEN {view} <> 0 THEN first_month + {BITS - 1} - {zeros} END"


def _end_sql(fact: Fact) -> str:
    """Return the newest month of a word that is before its newest one and ends a run.

    Months that are passed over are set first: that of themselves and the `gap` months before them
    have any that is set. So are the months after the newest one: then ones lead up to the end.
    """
    view = _view_name(fact)
    passed = " | ".join([view, *(f"({view} >> {months})" for months in range(1, fact.gap + 1))])
    filled = f"({passed} | ({view} - 1))"
    ones = f"(bit_count(xor({filled}, {filled} + 1)) - 1)"
    return f"CASE WHEN {view} <> 0 THEN first_month + {BITS - 1} - {ones} END"


def _break_sql(fact: Fact) -> str:
    """Return the month before a run that ends in a word; null if it goes on in the word before.

    It goes on if no month of this word is older, and the newest month before it is near enough.
    """
    view, end = _view_name(fact), f"{_run_name(fact)}_end"
    before = "PARTITION BY person ORDER BY first_month ROWS BETWEEN 1 PRECEDING AND 1 PRECEDING"
    older = f"max({view}_newest) OVER ({before})"
    whole = f"({view} & ~{_later_sql(end)}) = 0"
    return f"CASE WHEN {whole} AND {end} - {older} <= {fact.gap} THEN NULL ELSE {end} END"


def _measure_sql(fact: Fact) -> str:
    """Return a fact of a person from the rows of all words."""
    view, run = _view_name(fact), _run_name(fact)
    match fact.measure:
        case "distinct_months":
            return f"sum(bit_count({view}))"
        case "run_months" if fact.gap:
            return f"sum(bit_count({view} & {_later_sql(f'{run}_last')}))"
        case "run_months":
            return f"max({view}_newest) - max({run}_break)"
        case "gap_months":
            return f"{month_sql(fact)} - max({view}_newest)"
        case _:
            return f"max({view}_newest)"


def _lines(columns: Iterable[str]) -> str:
    return ",\n    ".join(columns)
