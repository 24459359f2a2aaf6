"""What changed against the month before: every points column of everyone that is not what it was.

`changes_statement` says it for everyone. It runs in two parts. Nearly everyone still lives in the
district where they lived: both months' scores hold them in the same order, so they are read
aligned, two districts at a time, without a join or a sort of all columns. Who came, left or moved
is found by a join of a district's keys alone, marked in a bit per row, and compared by key
(docs/developing/decisions/0005-aligned-tables.md).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from expectations.month import Month
from transforms.engine.aligned import zip_aligned
from transforms.engine.session import Session, map_concurrently
from transforms.engine.sql import enum_type, sql_literal
from transforms.engine.statements import Statement
from transforms.outputs import SCORES, read_with_row_number
from transforms.points.columns import (
    PointsItem,
    list_points_columns,
    strip_points_suffix,
)
from transforms.points.models import CITY

POINTS, EFFECT = "DECIMAL(7,2)", "DECIMAL(8,2)"
INPUTS = ("scores", "previous_scores")
MOVED_FILE = "moved.parquet"
Moved = tuple[str | None, str | None, int]
Items = tuple[Mapping[str, PointsItem], Mapping[str, PointsItem]]
"""What the points columns of both months are (now, before), by column."""


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
    items: Items,
    folder: Path,
) -> ChangeResult:
    """Write all that differs: one row per resident and item, columns as declared in `CHANGES`.

    A file for every district, and `moved.parquet` for who came, left or moved: someone new has
    null before, someone gone null after, with the district they had. Each is sorted like the
    scores, then by item.

    Args:
        session: Runs the statements.
        now: The revision compared.
        before: The one with which it is compared; without it nothing has changed.
        month: The month scored.
        items: What the points columns are. A district's are null for residents of all others.
        folder: Where the files go.
    """
    values = {"month": month.first_day}
    if before is None:
        statement = changes_statement([], [], items)
        scores = "(SELECT '' AS resident_key, '' AS district WHERE false)"
        empty = dict.fromkeys(INPUTS, scores)
        rows = session.write(statement, folder / MOVED_FILE, values, empty)
        return ChangeResult(rows, [], statement)
    sides = (read_with_row_number(now, SCORES), read_with_row_number(before, SCORES))
    columns = [list_points_columns(session, side) for side in sides]
    names = sorted({strip_points_suffix(column) for side in columns for column in side})
    session.execute(f"DROP TYPE IF EXISTS item; CREATE TYPE item AS {enum_type(names)}")
    owners = {column: item.authority for side in items for column, item in side.items()}
    comparison = _Comparison(sides, columns, items)
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
    statement = changes_statement(columns[0], columns[1], items)
    moved = {name: f"({comparison.is_moved_sql(i)})" for i, name in enumerate(INPUTS)}
    counts.append(session.write(statement, folder / MOVED_FILE, values, moved))
    return ChangeResult(sum(counts), _count_moved(session), statement)


def changes_statement(now: Sequence[str], before: Sequence[str], items: Items) -> Statement:
    """Return the query of all changes between `scores` and `previous_scores`.

    `now`, `before`: the points columns that each has. `items`: what they are.
    """
    entries = _list_entries(now, before, items)
    sql = f"""WITH changed AS (
    SELECT coalesce(a.resident_key, b.resident_key) AS resident_key,
        coalesce(a.district, b.district) AS district,
        CASE WHEN b.resident_key IS NULL THEN 'new' WHEN a.resident_key IS NULL THEN 'gone'
            WHEN a.district = b.district THEN 'stayed' ELSE 'moved' END AS movement,
        {_changes_sql(entries, "VARCHAR")}
    FROM scores AS a FULL JOIN previous_scores AS b ON a.resident_key = b.resident_key
)
{_select_sql(entries, "VARCHAR")}
FROM changed ORDER BY district, resident_key, item"""
    return Statement("changes", sql, INPUTS, "file")


_MOVED_COLUMNS = "resident_key VARCHAR, district VARCHAR, place_0 BIGINT, place_1 BIGINT"


@dataclass(frozen=True)
class _Entry:
    """One points column of either month: SQL of its values, what it is in each month."""

    column: str
    after: str
    before: str
    now: PointsItem | None
    then: PointsItem | None

    @property
    def item(self) -> str:
        return strip_points_suffix(self.column)

    @property
    def declared(self) -> PointsItem | None:
        """What it is; None where neither month declares it."""
        return self.now or self.then

    def struct_sql(self, item_type: str) -> str:
        """Return SQL of the change."""
        item = f"CAST({sql_literal(self.item)} AS {item_type})"
        return f"{{'item': {item}, 'before': {self.before}, 'after': {self.after}}}"


def _select_sql(entries: Sequence[_Entry], item_type: str) -> str:
    """Return the columns of the table; kind and effect follow from the item, once it is known."""
    kinds, effects = {}, {}
    for entry in entries:
        if declared := entry.declared:
            kinds[entry.item] = sql_literal(declared.kind)
            signs = (entry.now or declared).sign, (entry.then or declared).sign
            effects[entry.item] = _effect_sql(*signs)
    kind, effect = _case_sql(kinds, item_type), _case_sql(effects, item_type)
    return f"""SELECT CAST($month AS DATE) AS month, resident_key, district,
    CAST(change.item AS VARCHAR) AS item, {kind} AS kind,
    change.before AS before, change.after AS after, CAST({effect} AS {EFFECT}) AS effect,
    movement"""


def _case_sql(values: Mapping[str, str], item_type: str) -> str:
    """Return SQL of the value of an item; null of one that has none."""
    items: dict[str, list[str]] = {}
    for item, value in values.items():
        items.setdefault(value, []).append(f"CAST({sql_literal(item)} AS {item_type})")
    branches = " ".join(
        f"WHEN change.item IN ({', '.join(listed)}) THEN {value}" for value, listed in items.items()
    )
    return f"CASE {branches} END" if branches else "CAST(NULL AS VARCHAR)"


def _effect_sql(now: int, before: int) -> str:
    """Return SQL of the effect of a change, by the signs of the item."""
    terms = sorted([(now, "after"), (-before, "before")], key=lambda term: -term[0])
    return " ".join(
        f"{'+' if sign > 0 else '-'} coalesce(change.{side}, 0)" for sign, side in terms
    ).removeprefix("+ ")


def _list_entries(
    now: Sequence[str], before: Sequence[str], items: Items, others: Collection[str] = ()
) -> list[_Entry]:
    """Return the points columns of either month, without `others`, in the order of the items."""
    nothing = f"CAST(NULL AS {POINTS})"
    return [
        _Entry(
            column,
            f"a.{column}" if column in now else nothing,
            f"b.{column}" if column in before else nothing,
            items[0].get(column),
            items[1].get(column),
        )
        for column in sorted({*now, *before} - set(others), key=strip_points_suffix)
    ]


def _changes_sql(entries: Sequence[_Entry], item_type: str) -> str:
    """Return SQL of what differs between a row of `a` (now) and of `b` (before)."""
    changes = ", ".join(
        f"CASE WHEN {entry.after} IS DISTINCT FROM {entry.before}"
        f" THEN {entry.struct_sql(item_type)} END"
        for entry in entries
    )
    entry = f"STRUCT(item {item_type}, before {POINTS}, after {POINTS})"
    listed = f"CAST([{changes}] AS {entry}[])"
    return f"unnest(list_filter({listed}, lambda change: change IS NOT NULL)) AS change"


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
    """Two months' scores (now, before), the points columns of each, and what these are.

    Items are of type `item`.
    """

    sides: Sequence[str]
    columns: Sequence[Sequence[str]]
    items: Items

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
        entries = _list_entries(now, before, self.items, others)
        columns = [here, "'stayed' AS movement", _changes_sql(entries, "item")]
        return f"{_select_sql(entries, 'item')}\nFROM (\n{zip_aligned(a, b, columns)}\n)"
