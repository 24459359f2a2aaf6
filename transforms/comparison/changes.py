"""What changed against a month before: every points column of everyone that is no longer what it was.

Nearly everyone lives in the district where they lived. In both months' scores their rows follow each other in the same
order, so they are compared side by side as they are read: all columns need neither be joined nor sorted, which took
twice the work (docs/developing/decisions/0005-aligned-tables.md). Who came, left or moved stands apart: they are found by their keys alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from expectations.month import Month
from transforms.engine.session import Session, map_concurrently
from transforms.engine.sql import enum_type, sql_literal
from transforms.outputs import list_points_columns, read_with_row_number, write_table, zip_aligned
from transforms.points.columns import strip_points_suffix
from transforms.points.models import CITY

POINTS = "DECIMAL(7,2)"
Moved = tuple[str | None, str | None, int]


@dataclass(frozen=True)
class ChangeCounts:
    """How many items changed, and how many people stand apart by (district before, district now): null for nowhere."""

    items: int
    moved: list[Moved]


def write_changes(
    session: Session,
    now: Path,
    before: Path | None,
    month: Month,
    owners: Mapping[str, str],
    folder: Path,
) -> ChangeCounts:
    """Write month, resident_key, district, item, before, after of every item that differs between two revisions' scores.

    A file for every district, and `apart.parquet`: someone new has null before, someone gone null after (with the
    district they had). Each sorted like the scores, then by item. `owners`: the authority of the points columns in
    force; a district's are null for residents of all others. Without a revision `before` nothing has changed.
    """
    if before is None:
        row = f"'' AS resident_key, '' AS district, {{'item': '', 'before': CAST(0 AS {POINTS}), 'after': CAST(0 AS {POINTS})}}"
        nothing = f"SELECT {_columns(month)} FROM (SELECT {row} AS change) WHERE false"
        return ChangeCounts(write_table(session, nothing, folder / "apart.parquet"), [])
    sides = (read_with_row_number(now, "scores"), read_with_row_number(before, "scores"))
    known = [list_points_columns(session, side) for side in sides]
    items = sorted({strip_points_suffix(column) for side in known for column in side})
    session.execute(f"DROP TYPE IF EXISTS item; CREATE TYPE item AS {enum_type(items)}")
    comparison = _Comparison(sides, known, month)
    columns = "resident_key VARCHAR, district VARCHAR, place_0 BIGINT, place_1 BIGINT"
    session.execute(f"CREATE OR REPLACE TABLE apart ({columns})")

    def write(own: Session, district: str) -> int:
        own.execute(f"INSERT INTO apart {comparison.leaving_and_coming(district)}")
        _set_moved_bits(own, sides, f"(FROM apart WHERE district = {sql_literal(district)})")
        others = {column for column, owner in owners.items() if owner not in (CITY, district)}
        return write_table(own, comparison.beside(district, others), folder / f"{district}.parquet")

    districts = " UNION ".join(f"SELECT district FROM {side}" for side in sides)
    listed = session.execute(f"{districts} ORDER BY district").fetchall()
    counts = map_concurrently(session, [district for (district,) in listed], write)
    _set_moved_bits(session, sides, "apart")
    counts.append(write_table(session, comparison.apart(), folder / "apart.parquet"))
    return ChangeCounts(sum(counts), _moved(session))


def _moved(session: Session) -> list[Moved]:
    """Those who stand apart, counted by where they are from and where they are now."""
    now, before = (f"(FROM apart WHERE place_{number} IS NOT NULL)" for number in (0, 1))
    pairs = f"{before} AS b FULL JOIN {now} AS a ON a.resident_key = b.resident_key"
    return session.execute(f"""
        SELECT b.district AS old, a.district AS new, count(*) FROM {pairs} GROUP BY ALL ORDER BY ALL""").fetchall()


def _set_moved_bits(session: Session, sides: Sequence[str], apart: str) -> None:
    """The variables `apart_0` and `apart_1`: a bit for every row of a side, set for those that stand apart."""
    for number, side in enumerate(sides):
        ((rows,),) = session.execute(f"SELECT count(*) FROM {side}").fetchall()
        bits = f"bitstring_agg(place_{number}, 0, {rows})"
        session.execute(f"SET VARIABLE apart_{number} = (SELECT {bits} FROM {apart})")


def _is_moved(number: int) -> str:
    """Whether a row of a side stands apart. A bit, for a join would lose the order of the rows."""
    return (
        f"coalesce(get_bit(getvariable('apart_{number}'), CAST(file_row_number AS INTEGER)), 0) = 1"
    )


def _columns(month: Month) -> str:
    changed = "CAST(change.item AS VARCHAR) AS item, change.before AS before, change.after AS after"
    return f"DATE '{month.first_day}' AS month, resident_key, district, {changed}"


@dataclass(frozen=True)
class _Comparison:
    """Two months' scores (now, before), and the points columns that each has; their items are those of the type `item`."""

    sides: Sequence[str]
    known: Sequence[Sequence[str]]
    month: Month

    def leaving_and_coming(self, district: str) -> str:
        """The rows of `apart` of a district: who is there in one of the months only, with the place of their row."""
        a, b = (
            f"(SELECT resident_key, file_row_number AS place FROM {side} WHERE district = {sql_literal(district)})"
            for side in self.sides
        )
        return f"""
SELECT coalesce(a.resident_key, b.resident_key), {sql_literal(district)}, a.place, b.place
FROM {a} AS a FULL JOIN {b} AS b ON a.resident_key = b.resident_key
WHERE a.place IS NULL OR b.place IS NULL"""

    def beside(self, district: str, others: set[str]) -> str:
        """The changes of those who have stayed in a district, but for the columns of others."""
        a, b = (
            f"(FROM {side} WHERE district = {sql_literal(district)} AND NOT {_is_moved(number)})"
            for number, side in enumerate(self.sides)
        )
        # the one text that stays a number as it is written: where there is no other, nothing depends on threads
        here = f"CAST({sql_literal(district)} AS {enum_type([district])}) AS district"
        pairs = zip_aligned(a, b, [here, self._changed(others)])
        return f"SELECT {_columns(self.month)}\nFROM (\n{pairs}\n)"

    def apart(self) -> str:
        """The changes of all others."""
        a, b = (
            f"(FROM {side} WHERE {_is_moved(number)})" for number, side in enumerate(self.sides)
        )
        return f"""
WITH changed AS (
    SELECT coalesce(a.resident_key, b.resident_key) AS resident_key, coalesce(a.district, b.district) AS district,
        {self._changed(set())}
    FROM {a} AS a FULL JOIN {b} AS b ON a.resident_key = b.resident_key
)
SELECT {_columns(self.month)}
FROM changed ORDER BY district, resident_key, item"""

    def _changed(self, others: set[str]) -> str:
        """What differs between a row of `a` (now) and one of `b` (before), item by item in the order of their names."""
        return f"unnest(list_filter([{', '.join(self._items(others))}], lambda change: change IS NOT NULL)) AS change"

    def _items(self, others: set[str]) -> Iterator[str]:
        now, then = self.known
        for column in sorted({*now, *then} - others, key=strip_points_suffix):
            after = f"a.{column}" if column in now else f"CAST(NULL AS {POINTS})"
            before = f"b.{column}" if column in then else f"CAST(NULL AS {POINTS})"
            change = f"{{'item': CAST({sql_literal(strip_points_suffix(column))} AS item), 'before': {before}, 'after': {after}}}"
            yield f"CASE WHEN {after} IS DISTINCT FROM {before} THEN {change} END"
