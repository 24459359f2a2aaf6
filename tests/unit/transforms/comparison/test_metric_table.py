"""The metrics of a month against loops over people."""

from __future__ import annotations

import datetime as dt
import random
from collections import defaultdict
from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pytest

from reports.disclosure import FEW
from transforms.comparison.changes import Moved
from transforms.comparison.metric_table import (
    DECLARED_METRICS,
    PointsItems,
    counted_relation,
    metrics_statement,
    moved_relation,
)
from transforms.comparison.suppression import FEW_PEOPLE, PASSES
from transforms.engine.parquet import empty_relation_sql
from transforms.engine.session import EngineSettings, open_engine
from transforms.engine.sql import sql_literal
from transforms.outputs import METRICS

DISTRICTS = ("330203", "330212", "330213")
PARAMS = {"month": dt.date(2024, 4, 1), "revision": 2}
Cell = tuple[str, str, str]
FACTS = {
    "age": "INTEGER",
    "degree": "VARCHAR",
    "insured_now": "BOOLEAN",
    "pension_months": "INTEGER",
}
ONLY_CITY = {(metric, "fine") for metric in ("points", "raised", "lowered")}
OUTCOMES = [("330203", "reached", 12, 11), ("330212", "reached", 3, 3), ("330212", "done", 30, 30)]
CASES = [("330203", "open", 15, 14), ("330213", "upheld", 4, 4)]
MOVED: list[Moved] = [
    (None, "330203", 12),
    ("330212", None, 30),
    ("330203", "330212", 11),
    ("330213", "330212", 4),
]


def draw_people(generator: random.Random, size: int, fines: int) -> list[dict[str, Any]]:
    """So many people; `fines`: how many have none for two who have one."""
    people = []
    for n in range(size):
        age, own = generator.randrange(4), generator.choice([None, 0, 5])
        total = Decimal(generator.randrange(-40, 400)) / 2
        fine = generator.choice([0] * fines + [5, 20])
        people.append(
            {
                "key": f"{n:04}",
                "district": generator.choice(DISTRICTS),
                "points": {
                    "age": age,
                    "d330203_own": own,
                    "fine": fine,
                    "off": fine,
                    "total": total,
                },
                "service": generator.choice([None, "a", "b"]),
                "eligible": generator.random() < 0.7,
                "short": generator.choice([0, 3, 5, 6]),
                "amount": generator.choice([None, 100, 250]),
                "years": generator.choice([None, 17, 18, 29, 45, 60, 80]),
                "degree": generator.choice([None, "primary", "doctor"]),
                "insured": generator.random() < 0.5,
                "paid": generator.choice([0, 0, 7]),
                "change": generator.choice([None, -3, 4]),
                "movement": generator.choice(["stayed", "stayed", "moved", "new"]),
                "kinds": generator.sample(["x", "y"], generator.randrange(3)),
            }
        )
    return people


def count_plainly(  # noqa: C901, PLR0912 - one condition per metric
    people: list[dict[str, Any]],
) -> dict[Cell, tuple[Decimal, int]]:
    """Every cell with its value and its people, before suppression."""
    cells: dict[Cell, list[Decimal]] = defaultdict(list)

    def add(metric: str, district: str, item: str, value: int | Decimal) -> None:
        for place in (district, "city"):
            cells[metric, place, item].append(Decimal(value))

    for who in people:
        here, points = who["district"], who["points"]
        add("residents", here, "", 1)
        add("total_points", here, "", points["total"])
        add("total_points_squared", here, "", points["total"] ** 2)
        band = -1 if points["total"] < 0 else min(int(points["total"] // 20), 9)
        add("points_band", here, str(band), 1)
        for item, value in points.items():
            if value:
                add("points", here, item, value)
        if who["service"] and who["eligible"]:
            add("eligible", here, who["service"], 1)
            if who["amount"] is not None:
                add("amount", here, who["service"], who["amount"])
        elif who["service"] and who["short"] <= 5:
            add("near", here, who["service"], 1)
            if who["amount"] is not None:
                add("near_amount", here, who["service"], who["amount"])
        traits = describe_plainly(who)
        for place, trait in enumerate(traits):
            add("portrait", here, trait, 1)
            for other in traits[place + 1 :]:
                add("portrait_pair", here, f"{trait}/{other}", 1)
        if who["change"] and who["movement"] != "new":
            add("raised" if who["change"] > 0 else "lowered", here, "age", who["change"])
        for kind in who["kinds"]:
            add("reminders", here, kind, 1)
    for then, now, number in MOVED:
        for _ in range(number):
            if now:
                add("movement", now, "moved_in" if then else "new", 1)
            if then:
                add("movement", then, "moved_out" if now else "gone", 1)
    counted = {cell: (sum(values, Decimal(0)), len(values)) for cell, values in cells.items()}
    for metric, rows in (("reminders_answered", OUTCOMES), ("objection_cases", CASES)):
        for district, item, value, number in rows:
            for place in (district, "city"):
                before = counted.get((metric, place, item), (Decimal(0), 0))
                counted[metric, place, item] = (before[0] + value, before[1] + number)
    return counted


def list_cells(counted: dict[Cell, tuple[Decimal, int]]) -> dict[Cell, tuple[Decimal, int]]:
    """Every item of a metric in every place, what nobody has with nothing."""
    items: dict[str, set[str]] = defaultdict(set)
    for metric, _, item in counted:
        items[metric].add(item)
    items["points"] |= {"age", "d330203_own", "fine", "off", "total"}
    for metric, other in (("raised", "points"), ("lowered", "points"), ("near", "eligible")):
        items[metric] |= items[other]
    items["near_amount"] |= items["amount"]
    order = ["age", "degree", "insurance"]
    items["portrait_pair"] = {
        f"{one}/{other}"
        for one in items["portrait"]
        for other in items["portrait"]
        if order.index(one.split(":")[0]) < order.index(other.split(":")[0])
    }
    return {
        (metric, place, item): counted.get((metric, place, item), (Decimal(0), 0))
        for metric, names in items.items()
        for item in names
        for place in (*DISTRICTS, "city")
        if place == "city" or (metric != "portrait_pair" and (metric, item) not in ONLY_CITY)
    }


def list_wholes(cells: Iterable[Cell]) -> dict[Cell, list[tuple[Any, int]]]:
    """The wholes that each cell is a part of, and how many of their parts have to be hidden."""
    found: dict[Cell, list[tuple[Any, int]]] = {}
    for metric, place, item in cells:
        wholes: list[tuple[Any, int]] = []
        if place != "city":
            wholes.append(((metric, "places", item), 3))
        if metric == "portrait":
            wholes.append(((metric, place, item.split(":")[0]), 2))
        if metric == "points_band":
            wholes.append(((metric, place), 2))
        if metric == "portrait_pair":
            left, right = item.split("/")
            wholes.append(((left, right.split(":")[0]), 2))
            wholes.append(((left.split(":")[0], right), 2))
        found[metric, place, item] = wholes
    return found


def find_hidden(cells: dict[Cell, tuple[Decimal, int]]) -> set[Cell]:
    """The cells of few people, and those without which a subtraction would give one of them back."""
    hidden = {cell for cell, (_, people) in cells.items() if people < FEW}
    parts: dict[Any, list[Cell]] = defaultdict(list)
    least: dict[Any, int] = {}
    for cell, wholes in list_wholes(cells).items():
        for whole, needed in wholes:
            parts[whole].append(cell)
            least[whole] = needed
    for _ in range(PASSES):
        more = set()
        for whole, listed in parts.items():
            known = [cell for cell in listed if cell in hidden]
            if not known:
                continue
            few = sum(cells[cell][1] for cell in known) < FEW
            others = sorted(set(listed) - hidden, key=lambda cell: (cells[cell][1], cell[1:]))
            more |= set(others[: max(least[whole] - len(known), int(few))])
        hidden |= more
    return hidden


def describe_plainly(who: dict[str, Any]) -> list[str]:
    """The traits that `facts` of this test allow: those of skill, tenure and time are not there."""
    ends = [start for start in (0, 18, 30, 40, 50, 60) if start <= (who["years"] or 0)]
    age = "none" if who["years"] is None else str(ends[-1])
    insured = "now" if who["insured"] else "before" if who["paid"] else "never"
    return [f"age:{age}", f"degree:{who['degree'] or 'none'}", f"insurance:{insured}"]


def relation(columns: dict[str, str], rows: list[list[Any]]) -> str:
    def literal(value: Any) -> str:
        return "NULL" if value is None else sql_literal(str(value))

    values = ", ".join(f"({', '.join(map(literal, row))})" for row in rows)
    typed = ", ".join(f"CAST({name} AS {kind}) AS {name}" for name, kind in columns.items())
    return f"(SELECT {typed} FROM (VALUES {values}) AS t({', '.join(columns)}))"


def write_inputs(people: list[dict[str, Any]]) -> dict[str, str]:
    points = {f"{item}_points": "DECIMAL(7,2)" for item in people[0]["points"]}
    text = dict.fromkeys(("resident_key", "district"), "VARCHAR")
    return {
        "scores": relation(
            text | points, [[p["key"], p["district"], *p["points"].values()] for p in people]
        ),
        "facts": relation(
            text | FACTS,
            [
                [p["key"], p["district"], p["years"], p["degree"], p["insured"], p["paid"]]
                for p in people
            ],
        ),
        "eligibility": relation(
            text
            | {"service": "VARCHAR", "eligible": "BOOLEAN", "points_short": "DECIMAL(7,2)"}
            | {"monthly_amount": "DECIMAL(12,2)"},
            [
                [p["key"], p["district"], p["service"], p["eligible"], p["short"], p["amount"]]
                for p in people
                if p["service"]
            ],
        ),
        "changes": relation(
            text | {"item": "VARCHAR", "effect": "DECIMAL(8,2)", "movement": "VARCHAR"},
            [
                [p["key"], p["district"], "age", p["change"], p["movement"]]
                for p in people
                if p["change"]
            ],
        ),
        "reminders": relation(
            {"resident_id": "VARCHAR", "district": "VARCHAR", "kind": "VARCHAR"},
            [[p["key"], p["district"], kind] for p in people for kind in p["kinds"]],
        ),
        "moved": moved_relation(MOVED),
        "outcomes": counted_relation(OUTCOMES),
        "cases": counted_relation(CASES),
    }


@pytest.mark.parametrize(("seed", "fines"), [(0, 2), (1, 40), (2, 400)])
def test_the_metrics_equal_those_of_loops_over_people(
    tmp_path: Path, seed: int, fines: int
) -> None:
    people = draw_people(random.Random(seed), 300, fines)
    columns = [f"{item}_points" for item in people[0]["points"]]
    empty = empty_relation_sql(METRICS.columns)
    with open_engine(EngineSettings("300MB", 2), tmp_path / "spill") as session:
        file = tmp_path / "metrics.parquet"
        items = PointsItems(added=["age"], subtracted=["off"], deductions=["fine"])
        statement = metrics_statement(columns, FACTS, items)
        session.write(statement, file, PARAMS, {**write_inputs(people), "previous": empty})
        assert session.describe(sql_literal(file)) == METRICS.columns
        rows = session.fetch_dicts(f"FROM {sql_literal(file)}")
        again = {**write_inputs(people), "previous": f"(FROM {sql_literal(file)})"}
        session.write(statement, tmp_path / "next.parquet", PARAMS, again)
        next_rows = session.fetch_dicts(f"FROM {sql_literal(tmp_path / 'next.parquet')}")
    cells = list_cells(count_plainly(people))
    hidden = find_hidden(cells)
    blurred = {place for metric, place, item in hidden if (metric, item) == ("points", "off")}
    wanted = {
        cell: (None, None) if cell in hidden else (blur(cell, value, blurred), people)
        for cell, (value, people) in cells.items()
    }
    found = {(r["metric"], r["district"], r["item"]): (r["value"], r["people"]) for r in rows}
    assert found == wanted and len(found) == len(rows)
    assert any(value is None for value, _ in found.values())
    assert {metric for metric, _, _ in found} == {one.code for one in DECLARED_METRICS}
    assert [row["previous"] for row in next_rows] == [row["value"] for row in next_rows]
    assert {row["previous"] for row in rows} == {None}


def blur(cell: Cell, value: Decimal, blurred: set[str]) -> Decimal:
    """What is added, in hundreds where it less the total gives a hidden deduction."""
    metric, place, item = cell
    in_points = metric in ("points", "raised", "lowered")
    if place not in blurred or not in_points or item != "age":
        return value
    return (value / 100).quantize(Decimal(1), ROUND_HALF_UP) * 100


@pytest.mark.parametrize("seed", range(3))
def test_no_subtraction_gives_a_hidden_cell_back(seed: int) -> None:
    """Of any whole nothing is hidden, or two parts and ten people; of places, three."""
    cells = list_cells(count_plainly(draw_people(random.Random(seed), 600, 40)))
    hidden, parts = find_hidden(cells), defaultdict(list)
    for cell, wholes in list_wholes(cells).items():
        for whole in wholes:
            parts[whole].append(cell)
    assert hidden and set(cells) - hidden
    for (_, least), listed in parts.items():
        left = [cell for cell in listed if cell in hidden]
        others = set(listed) - set(left)
        people = sum(cells[cell][1] for cell in left)
        assert not left or not others or (len(left) >= least and people >= FEW)


def test_cells_are_suppressed_below_the_number_of_the_disclosure_rules() -> None:
    assert FEW_PEOPLE == FEW


def test_a_first_month_has_nobody_who_moved(tmp_path: Path) -> None:
    with open_engine(EngineSettings("200MB", 1), tmp_path / "spill") as session:
        assert session.fetch_rows(f"FROM {moved_relation([])}") == [(None, None, 0)]
