"""What changed against the month before: every points column of everyone that is not what it was.

`changes_statement` says it for everyone. It runs in two parts. Nearly everyone still lives in the
district where they lived: both months' scores hold them in the same order, so they are read
aligned, two districts at a time, without a join or a sort of all columns. Who came, left or moved
is found by a join of a district's keys alone, marked in a bit per row, and compared by key
(docs/developing/decisions/0005-aligned-tables.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from expectations.month import Month
from transforms.engine.aligned import zip_aligned
from transforms.engine.session import Session, map_concurrently
from transforms.engine.sql import enum_type, sql_literal
from transforms.engine.statements import Statement
from transforms.outputs import SCORES, read_with_row_number
from transforms.points.columns import list_points_columns, strip_points_suffix
from transforms.points.models import CITY

POINTS = "DECIMAL(7,2)"
INPUTS = ("scores", "previous_scores")
MOVED_FILE = "moved.parquet"
Moved = tuple[str | None, str | None, int]


@dataclass(frozen=True)
class ChangeResult:
    """How many items changed; how many people moved, by district before and now (None: nowhere);
    the statement that says it.
    """

    items: int
    moved: list[Moved]
    statement: Statement


def write_changes(
    session: Session,
    now: Path,
    before: Path | None,
    month: Month,
    owners: Mapping[str, str],
    folder: Path,
) -> ChangeResult:
    """Write month, resident_key, district, item, before, after of all that differs.

    A file for every district, and `moved.parquet` for who came, left or moved: someone new has
    null before, someone gone null after, with the district they had. Each is sorted like the
    scores, then by item. `now`, `before`: the revisions compared; without `before` nothing has
    changed. `owners`: the authority of each points column in force; a district's are null for
    residents of all others.
    """
    values = {"month": month.first_day}
    if before is None:
        statement = changes_statement([], [])
        scores = "(SELECT '' AS resident_key, '' AS district WHERE false)"
        empty = dict.fromkeys(INPUTS, scores)
        rows = session.write(statement, folder / MOVED_FILE, values, empty)
        return ChangeResult(rows, [], statement)
    sides = (read_with_row_number(now, SCORES), read_with_row_number(before, SCORES))
    columns = [list_points_columns(session, side) for side in sides]
    items = sorted({strip_points_suffix(column) for side in columns for column in side})
    session.execute(f"DROP TYPE IF EXISTS item; CREATE TYPE item AS {enum_type(items)}")
    comparison = _Comparison(sides, columns)
    session.execute(f"CREATE OR REPLACE TABLE moved_residents ({_MOVED_COLUMNS})")

    def write(own: Session, district: str) -> int:
        own.execute(f"INSERT INTO moved_residents {comparison.moved_sql(district)}")
        moved = f"(FROM moved_residents WHERE district = {sql_literal(district)})"
        _set_moved_bits(own, sides, moved)
        others = {column for column, owner in owners.items() if owner not in (CITY, district)}
        statement = Statement("changes", comparison.stayed_sql(district, others), form="file")
        return own.write(statement, folder / f"{district}.parquet", values)

    districts = " UNION ".join(f"SELECT district FROM {side}" for side in sides)
    listed = session.fetch_rows(f"{districts} ORDER BY district")
    counts = map_concurrently(session, [district for (district,) in listed], write)
    _set_moved_bits(session, sides, "moved_residents")
    statement = changes_statement(*columns)
    moved = {name: f"({comparison.is_moved_sql(i)})" for i, name in enumerate(INPUTS)}
    counts.append(session.write(statement, folder / MOVED_FILE, values, moved))
    return ChangeResult(sum(counts), _count_moved(session), statement)


def changes_statement(now: Sequence[str], before: Sequence[str]) -> Statement:
    """Return the query of all changes between `scores` and `previous_scores`.

    `now`, `before`: the points columns that each has.
    """
    sql = f"""WITH changed AS (
    SELECT coalesce(a.resident_key, b.resident_key) AS resident_key,
        coalesce(a.district, b.district) AS district,
        {_changes_sql(now, before, "VARCHAR")}
    FROM scores AS a FULL JOIN previous_scores AS b ON a.resident_key = b.resident_key
)
{_SELECT}
FROM changed ORDER BY district, resident_key, item"""
    return Statement("changes", sql, INPUTS, "file")


_MOVED_COLUMNS = "resident_key VARCHAR, district VARCHAR, place_0 BIGINT, place_1 BIGINT"
_SELECT = """SELECT CAST($month AS DATE) AS month, resident_key, district,
    CAST(change.item AS VARCHAR) AS item, change.before AS before, change.after AS after"""


def _changes_sql(
    now: Sequence[str], before: Sequence[str], item_type: str, others: Sequence[str] = ()
) -> str:
    """Return SQL of what differs between a row of `a` (now) and of `b` (before), by item names."""
    changes = ", ".join(_items_sql(now, before, item_type, set(others)))
    entry = f"STRUCT(item {item_type}, before {POINTS}, after {POINTS})"
    listed = f"CAST([{changes}] AS {entry}[])"
    return f"unnest(list_filter({listed}, lambda change: change IS NOT NULL)) AS change"


def _items_sql(
    now: Sequence[str], before: Sequence[str], item_type: str, others: set[str]
) -> Iterator[str]:
    for column in sorted({*now, *before} - others, key=strip_points_suffix):
        after = f"a.{column}" if column in now else f"CAST(NULL AS {POINTS})"
        then = f"b.{column}" if column in before else f"CAST(NULL AS {POINTS})"
        item = f"CAST({sql_literal(strip_points_suffix(column))} AS {item_type})"
        change = f"{{'item': {item}, 'before': {then}, 'after': {after}}}"
        yield f"CASE WHEN {after} IS DISTINCT FROM {then} THEN {change} END"


def _count_moved(session: Session) -> list[Moved]:
    """Count who moved by where they are from and where they are now."""
    now, before = (f"(FROM moved_residents WHERE place_{i} IS NOT NULL)" for i in (0, 1))
    pairs = f"{before} AS b FULL JOIN {now} AS a ON a.resident_key = b.resident_key"
    return session.fetch_rows(f"""
        SELECT b.district AS before, a.district AS now, count(*)
        FROM {pairs} GROUP BY ALL ORDER BY ALL""")


def _set_moved_bits(session: Session, sides: Sequence[str], moved: str) -> None:
    """Set the session's variables `moved_0` and `moved_1`: per side a bit for every row."""
    for i, side in enumerate(sides):
        rows = session.scalar(f"SELECT count(*) FROM {side}")
        bits = f"bitstring_agg(place_{i}, 0, {rows})"
        session.execute(f"SET VARIABLE moved_{i} = (SELECT {bits} FROM {moved})")


def _is_moved(i: int) -> str:
    """Return the condition that a row has moved: a bit, for a join would lose the rows' order."""
    place = "CAST(file_row_number AS INTEGER)"
    return f"coalesce(get_bit(getvariable('moved_{i}'), {place}), 0) = 1"


@dataclass(frozen=True)
class _Comparison:
    """Two months' scores (now, before), and the points columns of each.

    Items are of type `item`.
    """

    sides: Sequence[str]
    columns: Sequence[Sequence[str]]

    def moved_sql(self, district: str) -> str:
        """Return who is in a district in one of the months only, with the place of their row."""
        a, b = (
            "(SELECT resident_key, file_row_number AS place"
            f" FROM {side} WHERE district = {sql_literal(district)})"
            for side in self.sides
        )
        return f"""
SELECT coalesce(a.resident_key, b.resident_key), {sql_literal(district)}, a.place, b.place
FROM {a} AS a FULL JOIN {b} AS b ON a.resident_key = b.resident_key
WHERE a.place IS NULL OR b.place IS NULL"""

    def is_moved_sql(self, i: int) -> str:
        """Return a side's rows of who moved."""
        return f"FROM {self.sides[i]} WHERE {_is_moved(i)}"

    def stayed_sql(self, district: str, others: set[str]) -> str:
        """Return the changes of who stayed in a district, without the columns of other ones."""
        a, b = (
            f"(FROM {side} WHERE district = {sql_literal(district)} AND NOT {_is_moved(i)})"
            for i, side in enumerate(self.sides)
        )
        # an ENUM of one value: its dictionary cannot depend on which thread came first
        here = f"CAST({sql_literal(district)} AS {enum_type([district])}) AS district"
        now, before = self.columns
        changes = _changes_sql(now, before, "item", sorted(others))
        return f"{_SELECT}\nFROM (\n{zip_aligned(a, b, [here, changes])}\n)"
