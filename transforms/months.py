"""Insured months of each person from hundreds of millions of postings, in one grouping.

A person's months are two words of 120 bits: bit i of word w is the month 120 w + i before the month scored. `bit_or`
over the postings then answers distinct months, gap and run at once. Counting distinct months instead takes four times
as long and eight times the memory (docs/benchmarks.md). Months further back than both words are few: they are kept as
a list. So are months with a reversal: what is left of them is worked out from their own postings.
"""

from __future__ import annotations

from collections.abc import Mapping

from expectations.source import Fact, Ledger, Source
from transforms.engine import quoted

_BITS, _WORDS = 120, 2
SPAN = _BITS * _WORDS
_NO_MONTHS = "CAST(0 AS HUGEINT)"
MEASURES = ("distinct_months", "last_month", "gap_months", "run_months")


def months_steps(source: Source, facts: Mapping[str, Fact], rows: str) -> list[tuple[str, str]]:
    """Named statements that end in the table `months_<source>`: one row per person, one column per month fact."""
    name = source.source
    tracks = _tracks(facts)
    steps = []
    if source.ledger:
        steps.append((f"undone_{name}", _undone(source, source.ledger, rows, facts)))
    steps.append((f"words_{name}", _words(source, tracks, rows)))
    steps.append((f"months_{name}", _finish(name, facts, tracks)))
    return steps


def _tracks(facts: Mapping[str, Fact]) -> dict[str, tuple[str, str]]:
    """Facts over the same rows and month column share a track: name -> (month column, condition)."""
    tracks = {}
    for fact in facts.values():
        condition = " AND ".join(
            f"{column} IN ({', '.join(map(quoted, values))})" for column, values in fact.where.items()
        )
        tracks[_track(fact)] = (str(fact.of), condition or "true")
    return tracks


def _track(fact: Fact) -> str:
    return "_".join([str(fact.of), *(value for values in fact.where.values() for value in values)])


def _equal(values: Mapping[str, str]) -> str:
    return " AND ".join(f"{column} = {quoted(value)}" for column, value in values.items())


def _undone(source: Source, ledger: Ledger, rows: str, facts: Mapping[str, Fact]) -> str:
    """Months of a person without any standing posting, though one holds: (person, columns of the facts, month)."""
    wanted = sorted({column for fact in facts.values() for column in (str(fact.of), *fact.where)})
    case = ", ".join(["person", *wanted])
    return f"""
CREATE OR REPLACE TEMP TABLE undone_{source.source} AS
WITH doubtful AS (SELECT DISTINCT {case} FROM {rows} WHERE {_equal(ledger.tie)}),
decided AS (
    SELECT {case}, {", ".join(ledger.per)},
        max({ledger.newest}) FILTER (WHERE {_equal(ledger.holds)}) AS held,
        max({ledger.newest}) FILTER (WHERE {_equal(ledger.tie)}) AS taken_back
    FROM {rows} SEMI JOIN doubtful USING ({case})
    GROUP BY ALL
)
SELECT {case} FROM decided
GROUP BY ALL
HAVING NOT bool_or(held IS NOT NULL AND (taken_back IS NULL OR held > taken_back))"""


def _words(source: Source, tracks: Mapping[str, tuple[str, str]], rows: str) -> str:
    holds = f" AND {_equal(source.ledger.holds)}" if source.ledger else ""
    parts, cleared, clear_parts = [], [], []
    for track, (month, condition) in tracks.items():
        for word in range(_WORDS):
            bit = f"CAST(1 AS HUGEINT) << CAST($month - {month} - {word * _BITS} AS HUGEINT)"
            within = f"$month - {month} BETWEEN {word * _BITS} AND {word * _BITS + _BITS - 1}"
            known = f"bit_or(CASE WHEN {condition}{holds} AND {within} THEN {bit} END)"
            parts.append(f"coalesce({known}, {_NO_MONTHS}) AS {track}_{word}")
            clear_parts.append(f"bit_or(CASE WHEN {condition} AND {within} THEN {bit} END) AS {track}_{word}")
            cleared.append(f"w.{track}_{word} & ~coalesce(u.{track}_{word}, {_NO_MONTHS}) AS {track}_{word}")
        old = f"FILTER (WHERE {month} <= $month - {SPAN} AND {condition}"
        parts.append(f"list({month}) {old}{holds}) AS {track}_old")
        clear_parts.append(f"list({month}) {old}) AS {track}_old")
        cleared.append(
            f"list_filter(w.{track}_old, lambda m: NOT coalesce(list_contains(u.{track}_old, m), false)) AS {track}_old"
        )
    grouped = f"SELECT person, count(*) AS postings, {', '.join(parts)}\n    FROM {rows} GROUP BY person"
    if not source.ledger:
        return f"CREATE OR REPLACE TEMP TABLE words_{source.source} AS {grouped}"
    return f"""
CREATE OR REPLACE TEMP TABLE words_{source.source} AS
WITH w AS (
    {grouped}
),
u AS (SELECT person, {", ".join(clear_parts)} FROM undone_{source.source} GROUP BY person)
SELECT w.person, w.postings, {", ".join(cleared)}
FROM w LEFT JOIN u ON w.person = u.person"""


def _count(word: str) -> str:
    return f"CAST(bit_count({word}) AS INTEGER)"


def _ones(word: str) -> str:
    """How many of the lowest bits are set without a break."""
    return f"({_count(f'xor({word}, {word} + 1)')} - 1)"


def _zeros(word: str) -> str:
    """How many of the lowest bits are not set."""
    return f"({_count(f'xor({word}, {word} - 1)')} - 1)"


def _finish(name: str, facts: Mapping[str, Fact], tracks: Mapping[str, tuple[str, str]]) -> str:
    """One row per person, one column per month fact."""
    olds, gaps, runs = [], [], []
    for track in tracks:
        low, high, old = f"{track}_0", f"{track}_1", f"{track}_old"
        olds.append(f"list_reverse_sort(list_distinct(coalesce({old}, []))) AS {old}")
        gaps.append(
            f"CASE WHEN {low} <> 0 THEN {_zeros(low)} WHEN {high} <> 0 THEN {_BITS} + {_zeros(high)}"
            f" ELSE $month - {old}[1] END AS {track}_gap"
        )
        reached = f"{track}_gap + {_ones(f'({low} >> {track}_gap)')}"
        runs.append(
            f"CASE WHEN {track}_gap >= {SPAN} THEN 0"
            f" WHEN {track}_gap >= {_BITS} THEN {_ones(f'({high} >> ({track}_gap - {_BITS}))')}"
            f" WHEN {reached} = {_BITS} THEN {_BITS} - {track}_gap + {_ones(high)}"
            f" ELSE {_ones(f'({low} >> {track}_gap)')} END AS {track}_run"
        )
    columns = ",\n    ".join(f"CAST({_measured(fact)} AS INTEGER) AS {fact_name}" for fact_name, fact in facts.items())
    return f"""
CREATE OR REPLACE TEMP TABLE months_{name} AS
WITH olds AS (SELECT * REPLACE ({", ".join(olds)}) FROM words_{name}),
gaps AS (SELECT *, {", ".join(gaps)} FROM olds),
runs AS (SELECT *, {", ".join(runs)} FROM gaps)
SELECT person, postings,
    {columns}
FROM runs"""


def _measured(fact: Fact) -> str:
    track = _track(fact)
    gap, run, old = f"{track}_gap", f"{track}_run", f"{track}_old"
    match fact.measure:
        case "distinct_months":
            return " + ".join([*(_count(f"{track}_{word}") for word in range(_WORDS)), f"len({old})"])
        case "run_months":
            # A run that reaches the end of the words, or begins behind it, goes on as long as the old months follow.
            first = f"greatest({gap}, {SPAN})"
            follows = f"list_filter({old}, lambda m, place: m = $month - {first} - place + 1)"
            return f"{run} + CASE WHEN {gap} + {run} >= {SPAN} THEN len({follows}) ELSE 0 END"
        case "gap_months":
            return gap
        case _:
            return f"$month - {gap}"
