"""Insured months of each person from hundreds of millions of postings, in one grouping.

A person's months are two words of 120 bits, counted back from the last month that a posting may be for: bit i of word
w is the month 120 w + i before it. `bit_or` over the postings then answers distinct months, gap and run at once.
See docs/developing/decisions/0001-month-bitmaps.md. Months
further back than both words are few: they are kept as a list. So are months with a reversal: whether they stand is
worked out from their own postings.

Postings only ever add. What the months up to the one before came to (`words`, `cases`)
is handed on, and only the new postings are grouped; with nothing handed on every posting is new. The words go to disk
part by part of the people as they are made, so that no table has to hold everyone's.
"""

from __future__ import annotations

from collections.abc import Mapping

from expectations.source_model import Fact, Ledger, Source
from transforms.engine.statements import PARTITION_FILTER, Statement
from transforms.facts.measures import equals_sql, filter_sql

BITS_PER_WORD, WORDS = 120, 2
_NO_MONTHS = "CAST(0 AS HUGEINT)"  # the engine shifts and masks only what is of one type
_NEW = "received > $handed_on"
MEASURES = ("distinct_months", "last_month", "gap_months", "run_months")


def list_month_facts(source: Source) -> dict[str, Fact]:
    """The facts of a source that are made from a person's months."""
    return {name: fact for name, fact in source.facts.items() if fact.measure in MEASURES}


def is_append_only(source: Source) -> bool:
    """Whether a month's rows only ever add to those before: then what the month before came to can be taken up."""
    return (
        bool(list_month_facts(source))
        and source.delivery == "increment"
        and not (source.key or source.standing)
    )


def empty_state(source: Source) -> dict[str, str]:
    """The tables that a month hands on to the next: name -> a query with their columns and no rows."""
    name = source.source
    words = "".join(
        f", {_to_parquet(_NO_MONTHS)} AS {track}_0, {_to_parquet(_NO_MONTHS)} AS {track}_1, CAST([] AS INTEGER[]) AS {track}_old"
        for track in _series_list(list_month_facts(source))
    )
    queries = {
        f"words_{name}": f"SELECT person, CAST(0 AS BIGINT) AS postings{words} FROM rows_{name} WHERE false"
    }
    if source.ledger:
        case, newest = ", ".join(["person", *_case(source, source.ledger)]), source.ledger.newest
        queries[f"cases_{name}"] = (
            f"SELECT {case}, {newest} AS held, {newest} AS taken_back FROM rows_{name} WHERE false"
        )
    return queries


def state_statements(source: Source) -> list[Statement]:
    """Queries named as the tables handed on, in the order in which they are made.

    They read `rows_<source>` (all rows that count) and the tables handed on to this month, `<table>_before`, which
    hold the rows received up to $handed_on. The words are made part by part of the people.
    """
    cases = (
        [Statement(f"cases_{source.source}", _cases(source, source.ledger))]
        if source.ledger
        else []
    )
    return [
        *cases,
        Statement(f"words_{source.source}", _words(source, _series_list(list_month_facts(source)))),
    ]


def months_statement(source: Source) -> Statement:
    """The query of `months_<source>`, from the tables handed on: one row per person, one column per month fact."""
    return Statement(
        f"months_{source.source}", _month_measures_sql(source, list_month_facts(source))
    )


def _series_list(facts: Mapping[str, Fact]) -> dict[str, tuple[str, str]]:
    """Facts over the same rows and month column share a track: name -> (month column, condition)."""
    tracks = {}
    for fact in facts.values():
        tracks[_series_name(fact)] = (str(fact.of), filter_sql(fact))
    return tracks


def _series_name(fact: Fact) -> str:
    return "_".join([str(fact.of), *(value for values in fact.where.values() for value in values)])


def _ahead(source: Source) -> int:
    """How many months after the month scored a row may be for; it counts once its month has come."""
    return max(
        source.columns[month].months_ahead
        for month, _ in _series_list(list_month_facts(source)).values()
    )


def _month_columns(source: Source) -> list[str]:
    return sorted(
        {
            column
            for fact in list_month_facts(source).values()
            for column in (str(fact.of), *fact.where)
        }
    )


def _case(source: Source, ledger: Ledger) -> list[str]:
    wanted = _month_columns(source)
    return wanted + [column for column in ledger.per if column not in wanted]


def _cases(source: Source, ledger: Ledger) -> str:
    """Months of a person with a reversal: when each employer's newest posting held, and when one was taken back."""
    name = source.source
    month = ", ".join(["person", *_month_columns(source)])
    case = ", ".join(["person", *_case(source, ledger)])
    posting = f"""{case},
        CASE WHEN {equals_sql(ledger.holds)} THEN {ledger.newest} END AS held,
        CASE WHEN {equals_sql(ledger.tie)} THEN {ledger.newest} END AS taken_back"""
    return f"""
WITH known AS (SELECT DISTINCT {month} FROM cases_{name}_before),
found AS (SELECT DISTINCT {month} FROM rows_{name} WHERE {_NEW} AND {equals_sql(ledger.tie)}),
added AS (SELECT * FROM found ANTI JOIN known USING ({month})),
postings AS (
    SELECT * FROM cases_{name}_before
    UNION ALL
    SELECT {posting}
    FROM rows_{name} SEMI JOIN known USING ({month}) WHERE {_NEW}
    UNION ALL
    SELECT {posting}
    FROM rows_{name} SEMI JOIN added USING ({month})
)
SELECT {case}, max(held) AS held, max(taken_back) AS taken_back
FROM postings GROUP BY ALL"""


def _bit(source: Source, month: str, word: int) -> tuple[str, str]:
    """The bit of a month in a word, and whether the month lies within that word."""
    back = f"$month + {_ahead(source)} - {month}"
    return (
        f"CAST(1 AS HUGEINT) << CAST({back} - {word * BITS_PER_WORD} AS HUGEINT)",
        f"{back} BETWEEN {word * BITS_PER_WORD} AND {word * BITS_PER_WORD + BITS_PER_WORD - 1}",
    )


def _as_words(source: Source, condition: str = "true") -> str:
    """The months of rows that fit a condition, as the words of every track."""
    parts = []
    for track, (month, own) in _series_list(list_month_facts(source)).items():
        fits = f"{own} AND {condition}"
        for word in range(WORDS):
            bit, within = _bit(source, month, word)
            parts.append(
                f"coalesce(bit_or(CASE WHEN {fits} AND {within} THEN {bit} END), {_NO_MONTHS}) AS {track}_{word}"
            )
        old = f"{month} <= $month + {_ahead(source) - BITS_PER_WORD * WORDS} AND {fits}"
        parts.append(f"list({month}) FILTER (WHERE {old}) AS {track}_old")
    return ",\n    ".join(parts)


def _int128(number: int) -> str:
    return f"CAST({number} AS HUGEINT)"


def _to_parquet(word: str) -> str:
    """A word as a column of 128 bits that Parquet knows; an integer of this size it would round."""
    return f"CAST(CAST({word} AS UHUGEINT) AS UUID)"


def _from_parquet(stored: str) -> str:
    return f"CAST(CAST({stored} AS UHUGEINT) AS HUGEINT)"


def _words(source: Source, tracks: Mapping[str, tuple[str, str]]) -> str:
    """One row per person of a part: how many rows, and the months of every track, taken back or not."""
    name = source.source
    holds = equals_sql(source.ledger.holds) if source.ledger else "true"
    top = BITS_PER_WORD - 1
    lower = _int128((1 << top) - 1)
    merged = []
    for track in tracks:
        before = [
            f"coalesce({_from_parquet(f'b.{track}_{word}')}, {_NO_MONTHS})" for word in range(WORDS)
        ]
        carry = _NO_MONTHS
        for word in range(WORDS):  # a month later every month lies one bit further back
            known = f"((({before[word]} & {lower}) << {_int128(1)}) + {carry})"
            merged.append(
                f"{_to_parquet(f'{known} | coalesce(a.{track}_{word}, {_NO_MONTHS})')} AS {track}_{word}"
            )
            carry = f"({before[word]} >> {_int128(top)})"
        fallen = (
            f"CASE WHEN {carry} = 1 THEN [$month + {_ahead(source) - BITS_PER_WORD * WORDS}] END"
        )
        merged.append(f"list_concat(b.{track}_old, {fallen}, a.{track}_old) AS {track}_old")
    return f"""
WITH a AS (
    SELECT person, count(*) AS postings,
    {_as_words(source, holds)}
    FROM rows_{name} WHERE {_NEW} AND {PARTITION_FILTER}
    GROUP BY person
),
b AS (FROM words_{name}_before WHERE {PARTITION_FILTER})
SELECT coalesce(a.person, b.person) AS person, coalesce(a.postings, 0) + coalesce(b.postings, 0) AS postings,
    {("," + chr(10) + "    ").join(merged)}
FROM b FULL JOIN a ON a.person = b.person"""


def _count(word: str) -> str:
    return f"CAST(bit_count({word}) AS INTEGER)"


def _trailing_ones(word: str) -> str:
    """How many of the lowest bits are set without a break."""
    return f"({_count(f'xor({word}, {word} + 1)')} - 1)"


def _trailing_zeros(word: str) -> str:
    """How many of the lowest bits are not set."""
    return f"({_count(f'xor({word}, {word} - 1)')} - 1)"


def _valid_months_sql(source: Source, tracks: Mapping[str, tuple[str, str]]) -> str:
    """`standing`: the words without the months that no employer's posting holds any more."""
    name = source.source
    if not source.ledger:
        words = ", ".join(
            f"{_from_parquet(f'{track}_{word}')} AS {track}_{word}"
            for track in tracks
            for word in range(WORDS)
        )
        return f"standing AS (SELECT * REPLACE ({words}) FROM words_{name})"
    kept = []
    for track in tracks:
        for word in range(WORDS):
            undone = f"coalesce(u.{track}_{word}, {_NO_MONTHS})"
            kept.append(f"{_from_parquet(f'w.{track}_{word}')} & ~{undone} AS {track}_{word}")
        undone = f"coalesce(list_contains(u.{track}_old, m), false)"
        kept.append(f"list_filter(w.{track}_old, lambda m: NOT {undone}) AS {track}_old")
    return f"""undone AS (
    SELECT person, {", ".join(_month_columns(source))} FROM cases_{name} GROUP BY ALL
    HAVING NOT bool_or(held IS NOT NULL AND (taken_back IS NULL OR held > taken_back))
),
u AS (SELECT person, {_as_words(source)} FROM undone GROUP BY person),
standing AS (
    SELECT w.person, {", ".join(kept)}
    FROM words_{name} AS w LEFT JOIN u ON u.person = w.person
)"""


def _month_measures_sql(source: Source, facts: Mapping[str, Fact]) -> str:
    """One row per person, one column per month fact; from here on bit 0 is the month scored."""
    tracks, ahead = _series_list(facts), _ahead(source)
    present, olds, gaps, runs = [], [], [], []
    span = BITS_PER_WORD * WORDS - ahead
    for track in tracks:
        low, high, old = f"{track}_0", f"{track}_1", f"{track}_old"
        come = f"({high} & {_int128((1 << ahead) - 1)}) << {_int128(BITS_PER_WORD - ahead)}"
        present += [
            f"({low} >> {_int128(ahead)}) | ({come}) AS {low}",
            f"{high} >> {_int128(ahead)} AS {high}",
        ]
        olds.append(f"list_reverse_sort(list_distinct(coalesce({old}, []))) AS {old}")
        gaps.append(
            f"CASE WHEN {low} <> 0 THEN {_trailing_zeros(low)} WHEN {high} <> 0 THEN {BITS_PER_WORD} + {_trailing_zeros(high)}"
            f" ELSE $month - {old}[1] END AS {track}_gap"
        )
        reached = f"{track}_gap + {_trailing_ones(f'({low} >> {track}_gap)')}"
        runs.append(
            f"CASE WHEN {track}_gap >= {span} THEN 0"
            f" WHEN {track}_gap >= {BITS_PER_WORD} THEN {_trailing_ones(f'({high} >> ({track}_gap - {BITS_PER_WORD}))')}"
            f" WHEN {reached} = {BITS_PER_WORD} THEN {BITS_PER_WORD} - {track}_gap + {_trailing_ones(high)}"
            f" ELSE {_trailing_ones(f'({low} >> {track}_gap)')} END AS {track}_run"
        )
    columns = ",\n    ".join(
        f"CAST({_measured(fact, span)} AS INTEGER) AS {fact_name}"
        for fact_name, fact in facts.items()
    )
    return f"""WITH {_valid_months_sql(source, tracks)},
olds AS (SELECT * REPLACE ({", ".join([*present, *olds])}) FROM standing),
gaps AS (SELECT *, {", ".join(gaps)} FROM olds),
runs AS (SELECT *, {", ".join(runs)} FROM gaps)
SELECT person,
    {columns}
FROM runs"""


def _measured(fact: Fact, span: int) -> str:
    track = _series_name(fact)
    gap, run, old = f"{track}_gap", f"{track}_run", f"{track}_old"
    match fact.measure:
        case "distinct_months":
            return " + ".join(
                [*(_count(f"{track}_{word}") for word in range(WORDS)), f"len({old})"]
            )
        case "run_months":
            # A run that reaches the end of the words, or begins behind it, goes on as long as the old months follow.
            first = f"greatest({gap}, {span})"
            follows = f"list_filter({old}, lambda m, place: m = $month - {first} - place + 1)"
            return f"{run} + CASE WHEN {gap} + {run} >= {span} THEN len({follows}) ELSE 0 END"
        case "gap_months":
            return gap
        case _:
            return f"$month - {gap}"
