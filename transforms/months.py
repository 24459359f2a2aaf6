"""Insured months of each person from hundreds of millions of postings, in one grouping.

A person's months are two words of 120 bits: bit i of word w is the month 120 w + i before the month scored. `bit_or`
over the postings then answers distinct months, gap and run at once. Counting distinct months instead takes four times
as long and eight times the memory (docs/benchmarks.md). Months further back than both words, and months with a
reversal, are few: they are worked out exactly from their own postings.
"""

from __future__ import annotations

from collections.abc import Mapping

from expectations.source import Fact, Ledger, Source
from transforms.engine import quoted

_BITS, _WORDS = 120, 2
SPAN = _BITS * _WORDS
MEASURES = ("distinct_months", "last_month", "gap_months", "run_months")


def months_steps(source: Source, facts: Mapping[str, Fact], rows: str) -> list[tuple[str, str]]:
    """Named statements that end in the table `months_<source>`: one row per person, one column per month fact."""
    name = source.source
    tracks = _tracks(facts)
    steps = []
    if source.ledger:
        steps.append((f"undone_{name}", _undone(source, source.ledger, rows, facts)))
    steps.append((f"words_{name}", _words(source, tracks, rows)))
    steps.append((f"old_{name}", _old(source, tracks, rows)))
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
            parts.append(f"bit_or(CASE WHEN {condition}{holds} AND {within} THEN {bit} END) AS {track}_{word}")
            clear_parts.append(f"bit_or(CASE WHEN {condition} AND {within} THEN {bit} END) AS {track}_{word}")
            cleared.append(
                f"coalesce(w.{track}_{word}, CAST(0 AS HUGEINT)) & ~coalesce(u.{track}_{word}, CAST(0 AS HUGEINT)) AS {track}_{word}"
            )
        parts.append(f"bool_or({condition}{holds} AND {month} <= $month - {SPAN}) AS {track}_old")
    grouped = f"SELECT person, count(*) AS postings, {', '.join(parts)}\n    FROM {rows} GROUP BY person"
    if not source.ledger:
        return f"CREATE OR REPLACE TEMP TABLE words_{source.source} AS {grouped}"
    olds = ", ".join(f"w.{track}_old" for track in tracks)
    return f"""
CREATE OR REPLACE TEMP TABLE words_{source.source} AS
WITH w AS (
    {grouped}
),
u AS (SELECT person, {", ".join(clear_parts)} FROM undone_{source.source} GROUP BY person)
SELECT w.person, w.postings, {", ".join(cleared)}, {olds}
FROM w LEFT JOIN u ON w.person = u.person"""


def _old(source: Source, tracks: Mapping[str, tuple[str, str]], rows: str) -> str:
    """Exact figures of the few tracks that reach further back than the words: one row per person and track."""
    holds = f" AND {_equal(source.ledger.holds)}" if source.ledger else ""
    undone = f"undone_{source.source}"
    selects = []
    for track, (month, condition) in tracks.items():
        anti = f" EXCEPT SELECT person, {month} FROM {undone} WHERE {condition}" if source.ledger else ""
        selects.append(f"""
    SELECT '{track}' AS track, * FROM (
        SELECT person, {month} AS month FROM {rows}
        WHERE {condition}{holds} AND {month} <= $month
            AND person IN (SELECT person FROM words_{source.source} WHERE {track}_old){anti or " GROUP BY ALL"}
    )""")
    return f"""
CREATE OR REPLACE TEMP TABLE old_{source.source} AS
WITH months AS ({" UNION ALL ".join(selects)}
),
placed AS (
    SELECT track, person, month, max(month) OVER (PARTITION BY track, person) AS last_month,
        row_number() OVER (PARTITION BY track, person ORDER BY month DESC) - 1 AS place
    FROM months
)
SELECT track, person, count(*) AS distinct_months, any_value(last_month) AS last_month,
    count(*) FILTER (WHERE last_month - month = place) AS run_months
FROM placed GROUP BY track, person"""


def _count(word: str) -> str:
    return f"CAST(bit_count({word}) AS INTEGER)"


def _ones(word: str) -> str:
    """How many of the lowest bits are set without a break."""
    return f"({_count(f'xor({word}, {word} + 1)')} - 1)"


def _zeros(word: str) -> str:
    """How many of the lowest bits are not set."""
    return f"({_count(f'xor({word}, {word} - 1)')} - 1)"


def _finish(name: str, facts: Mapping[str, Fact], tracks: Mapping[str, tuple[str, str]]) -> str:
    gaps, runs, joins = [], [], []
    for track in tracks:
        low, high = f"{track}_0", f"{track}_1"
        gaps.append(
            f"CASE WHEN {low} <> 0 THEN {_zeros(low)} WHEN {high} <> 0 THEN {_BITS} + {_zeros(high)} END AS {track}_gap"
        )
        reached = f"{track}_gap + {_ones(f'({low} >> {track}_gap)')}"
        runs.append(
            f"CASE WHEN {track}_gap >= {_BITS} THEN {_ones(f'({high} >> ({track}_gap - {_BITS}))')}"
            f" WHEN {reached} = {_BITS} THEN {_BITS} - {track}_gap + {_ones(high)}"
            f" ELSE {_ones(f'({low} >> {track}_gap)')} END AS {track}_run"
        )
        joins.append(
            f"LEFT JOIN old_{name} AS old_{track} ON old_{track}.person = r.person AND old_{track}.track = '{track}'"
        )
    columns = ",\n    ".join(f"{_measured(fact)} AS {fact_name}" for fact_name, fact in facts.items())
    return f"""
CREATE OR REPLACE TEMP TABLE months_{name} AS
WITH gaps AS (SELECT *, {", ".join(gaps)} FROM words_{name}),
runs AS (SELECT *, {", ".join(runs)} FROM gaps)
SELECT r.person, r.postings,
    {columns}
FROM runs AS r
{" ".join(joins)}"""


def _measured(fact: Fact) -> str:
    track = _track(fact)
    old = f"old_{track}"
    match fact.measure:
        case "distinct_months":
            bits = " + ".join(_count(f"r.{track}_{word}") for word in range(_WORDS))
            return f"CAST(coalesce({old}.distinct_months, {bits}) AS INTEGER)"
        case "run_months":
            return f"CAST(coalesce({old}.run_months, r.{track}_run) AS INTEGER)"
        case "gap_months":
            return f"CAST(coalesce($month - {old}.last_month, r.{track}_gap) AS INTEGER)"
        case _:
            return f"CAST(coalesce({old}.last_month, $month - r.{track}_gap) AS INTEGER)"
