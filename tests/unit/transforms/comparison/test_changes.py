"""Changes since an earlier month: aligned tables give the same result as a loop over people."""

from __future__ import annotations

import random
from decimal import Decimal
from functools import partialmethod
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from expectations.month import Month
from tests.support.world import needless_words, read_rows
from transforms.comparison.changes import write_changes
from transforms.engine.session import EngineSettings, Session, open_engine
from transforms.engine.sql import sql_literal
from transforms.outputs import CHANGES
from transforms.points.columns import PointsItem

MONTH = Month.parse("2024-04")
AGE = ({"age_points": PointsItem("city", "indicator", 1)},) * 2
CITY_ITEMS = ("age", "debt", "deduction", "turned", "total")
OWN = {"330203": "d330203_award", "330212": "d330212_award"}
SIGNS = {"debt": (-1, -1), "deduction": (-1, -1), "turned": (-1, 1)}
"""Item -> its sign in the total (now, before); all others add."""
KINDS = {"deduction": "section", "total": "total"}


def list_items(side: int) -> dict[str, PointsItem]:
    """What the points columns are, now (0) or before (1)."""
    authorities = {**dict.fromkeys(CITY_ITEMS, "city"), **{own: code for code, own in OWN.items()}}
    return {
        f"{item}_points": PointsItem(
            authority, KINDS.get(item, "indicator"), SIGNS.get(item, (1, 1))[side]
        )
        for item, authority in authorities.items()
    }


DECLARED = (list_items(0), list_items(1))
People = dict[str, tuple[str, dict[str, Decimal]]]
"""resident_key -> district, points by item."""


def draw_person(generator: random.Random, district: str) -> tuple[str, dict[str, Decimal]]:
    items = [*CITY_ITEMS, *([OWN[district]] if district in OWN else [])]
    return district, {item: Decimal(generator.randrange(3)) for item in items}


def draw_city(generator: random.Random, size: int) -> tuple[People, People]:
    """A month and the one before: most have stayed; some came, left or moved."""
    districts = ["330203", "330212", "330213"]
    before = {
        f"{generator.getrandbits(128):032x}": draw_person(generator, generator.choice(districts))
        for _ in range(size)
    }
    now = {
        key: draw_person(
            generator, district if generator.random() < 0.9 else generator.choice(districts)
        )
        for key, (district, _) in before.items()
        if generator.random() < 0.95
    }
    return now | {
        f"{generator.getrandbits(128):032x}": draw_person(generator, generator.choice(districts))
        for _ in range(size // 20)
    }, before


def write(connection: Session, folder: Path, people: People, items: list[str]) -> Path:
    """The scores of a revision, as far as changes read them."""
    (folder / "scores").mkdir(parents=True)
    columns = ", ".join(f"{item}_points DECIMAL(7,2)" for item in items)
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE made (resident_key VARCHAR, district VARCHAR, {columns})"
    )
    rows = [
        [key, district, *(points.get(item) for item in items)]
        for key, (district, points) in people.items()
    ]
    places = ", ".join("?" * (len(items) + 2))
    for row in rows:
        connection.execute(f"INSERT INTO made VALUES ({places})", row)
    target = folder / "scores" / "scores.parquet"
    connection.execute(
        f"COPY (FROM made ORDER BY district, resident_key) TO {sql_literal(target)} (ROW_GROUP_SIZE 2048)"
    )
    return folder


def find_movement(now: People, before: People, key: str) -> str:
    if key not in before:
        return "new"
    if key not in now:
        return "gone"
    return "stayed" if now[key][0] == before[key][0] else "moved"


def compare_each_person(now: People, before: People) -> set[tuple[object, ...]]:
    found: set[tuple[object, ...]] = set()
    for key in {*now, *before}:
        district, after = now.get(key, (before.get(key, ("", {}))[0], {}))
        then = before.get(key, ("", {}))[1]
        for item in {*after, *then}:
            if then.get(item) != after.get(item):
                sign, sign_before = SIGNS.get(item, (1, 1))
                effect = sign * after.get(item, 0) - sign_before * then.get(item, 0)
                what = (item, KINDS.get(item, "indicator"))
                movement = find_movement(now, before, key)
                values = (then.get(item), after.get(item), effect)
                found.add((key, district, *what, *values, movement))
    return found


def read_changes(folder: Path) -> list[tuple[object, ...]]:
    names = [name for name in CHANGES.columns if name != "month"]
    return [
        tuple(row[n] for n in ("resident_key", "district", *names[2:])) for row in read_rows(folder)
    ]


ITEMS = [*CITY_ITEMS, *OWN.values()]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seed", "size", "threads"), [(1, 40, 1), (2, 40, 2), (3, 6_000, 2), (4, 6_000, 1)]
)
def test_changes_equal_those_of_a_loop_over_people(
    tmp_path: Path, seed: int, size: int, threads: int
) -> None:
    now, before = draw_city(random.Random(seed), size)
    with open_engine(EngineSettings("300MB", threads), tmp_path / "spill") as connection:
        folders = [
            write(connection, tmp_path / name, p, ITEMS)
            for name, p in (("now", now), ("before", before))
        ]
        made = write_changes(
            connection, folders[0], folders[1], MONTH, DECLARED, tmp_path / "changes"
        )
    found = read_changes(tmp_path / "changes")
    assert len(found) == made.items == len(set(found)) > 20
    assert set(found) == compare_each_person(now, before)
    places = {
        key: (before.get(key, (None,))[0], now.get(key, (None,))[0]) for key in {*now, *before}
    }
    moved = [place for place in places.values() if place[0] != place[1]]
    assert sorted(made.moved, key=str) == sorted(
        ((*p, moved.count(p)) for p in set(moved)), key=str
    )


def test_moving_between_changing_districts_is_not_leaving(tmp_path: Path) -> None:
    """A month's districts need not be those of the month before."""
    stays, age = ("330213", {"age": Decimal(1)}), {"age": Decimal(2)}
    now = {"a": stays, "b": ("330299", age), "c": ("330299", age)}
    before = {
        "a": stays,
        "b": ("330203", age),
        "d": ("330203", age),
        "e": ("330203", {"age": Decimal(3)}),
    }
    with open_engine(EngineSettings("300MB", 2), tmp_path / "spill") as connection:
        folders = [
            write(connection, tmp_path / name, p, ["age"])
            for name, p in (("now", now), ("before", before))
        ]
        made = write_changes(connection, folders[0], folders[1], MONTH, AGE, tmp_path / "changes")
    found = set(read_changes(tmp_path / "changes"))
    assert found == compare_each_person(now, before) and len(found) == 3
    assert set(made.moved) == {("330203", "330299", 1), (None, "330299", 1), ("330203", None, 2)}


@pytest.mark.slow
def test_dictionaries_of_row_groups_hold_no_unused_items(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or its bytes would depend on what other threads had written by then."""
    small = partialmethod(Session.write, options="ROW_GROUP_SIZE 2048")
    monkeypatch.setattr(Session, "write", small)
    now, before = draw_city(random.Random(6), 6_000)
    with open_engine(EngineSettings("300MB", 2), tmp_path / "spill") as connection:
        folders = [
            write(connection, tmp_path / name, p, ITEMS)
            for name, p in (("now", now), ("before", before))
        ]
        write_changes(connection, folders[0], folders[1], MONTH, DECLARED, tmp_path / "changes")
    files = sorted((tmp_path / "changes").iterdir())
    assert max(pq.read_metadata(file).num_row_groups for file in files) > 1
    assert not {
        word
        for file in files
        for column in ("item", "district", "kind", "movement")
        for word in needless_words(file, column)
    }


def test_columns_of_only_one_month_are_compared_with_null(tmp_path: Path) -> None:
    now, before = {"a": ("330213", {"age": Decimal(1)})}, {"a": ("330213", {"old": Decimal(2)})}
    with open_engine(EngineSettings("300MB", 2), tmp_path / "spill") as connection:
        folders = [
            write(connection, tmp_path / "now", now, ["age"]),
            write(connection, tmp_path / "before", before, ["old"]),
        ]
        write_changes(connection, folders[0], folders[1], MONTH, AGE, tmp_path / "changes")
    what = ("item", "kind", "before", "after", "effect", "movement")
    rows = [tuple(row[name] for name in what) for row in read_rows(tmp_path / "changes")]
    assert rows == [
        ("age", "indicator", None, Decimal(1), Decimal(1), "stayed"),
        ("old", None, Decimal(2), None, None, "stayed"),
    ]


def test_a_first_month_has_the_same_columns_and_no_rows(tmp_path: Path) -> None:
    with open_engine(EngineSettings("300MB", 2), tmp_path / "spill") as connection:
        folder = write(connection, tmp_path / "now", draw_city(random.Random(5), 30)[0], ITEMS)
        assert (
            write_changes(connection, folder, None, MONTH, DECLARED, tmp_path / "first").items == 0
        )
        write_changes(connection, folder, folder, MONTH, DECLARED, tmp_path / "second")
        described = [
            connection.execute(
                f"DESCRIBE FROM {sql_literal(tmp_path / name / 'moved.parquet')}"
            ).fetchall()
            for name in ("first", "second")
        ]
    assert read_rows(tmp_path / "first") == read_rows(tmp_path / "second") == []
    assert described[0] == described[1]
