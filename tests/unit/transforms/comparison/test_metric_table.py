"""The metrics of a month against loops over people."""

from __future__ import annotations

import datetime as dt
import random
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from reports.disclosure import FEW
from transforms.comparison.changes import Moved
from transforms.comparison.metric_table import (
    DECLARED_METRICS,
    FEW_PEOPLE,
    counted_relation,
    metrics_statement,
    moved_relation,
)
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
OUTCOMES = [("330203", "reached", 12, 11), ("330212", "reached", 3, 3), ("330212", "done", 30, 30)]
CASES = [("330203", "open", 15, 14), ("330213", "upheld", 4, 4)]
MOVED: list[Moved] = [
    (None, "330203", 12),
    ("330212", None, 30),
    ("330203", "330212", 11),
    ("330213", "330212", 4),
]


def draw_people(generator: random.Random, size: int) -> list[dict[str, Any]]:
    people = []
    for n in range(size):
        age, own = generator.randrange(4), generator.choice([None, 0, 5])
        total = generator.randrange(-20, 200)
        people.append(
            {
                "key": f"{n:04}",
                "district": generator.choice(DISTRICTS),
                "points": {"age": age, "d330203_own": own, "total": total},
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

    def add(metric: str, district: str, item: str, value: int) -> None:
        for place in (district, "city"):
            cells[metric, place, item].append(Decimal(value))

    for who in people:
        here, points = who["district"], who["points"]
        add("residents", here, "", 1)
        add("total_points", here, "", points["total"])
        add("total_points_squared", here, "", points["total"] ** 2)
        band = -1 if points["total"] < 0 else min(points["total"] // 20, 9)
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


def find_hidden(counted: dict[Cell, tuple[Decimal, int]]) -> set[Cell]:
    """The cells of few people, and the smallest other district's where the city reveals them."""
    hidden = {cell for cell, (_, people) in counted.items() if people < FEW}
    for metric, item in {(metric, item) for metric, _, item in counted}:
        cells = [(metric, district, item) for district in DISTRICTS]
        few = [cell for cell in cells if cell in hidden]
        others = [cell for cell in cells if cell in counted and cell not in hidden]
        people = sum(counted[cell][1] for cell in few)
        if others and few and (len(few) == 1 or people < FEW):
            hidden.add(min(others, key=lambda cell: (counted[cell][1], cell)))
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


@pytest.mark.parametrize("seed", range(3))
def test_the_metrics_equal_those_of_loops_over_people(tmp_path: Path, seed: int) -> None:
    people = draw_people(random.Random(seed), 300)
    columns = [f"{item}_points" for item in people[0]["points"]]
    empty = empty_relation_sql(METRICS.columns)
    with open_engine(EngineSettings("300MB", 2), tmp_path / "spill") as session:
        file = tmp_path / "metrics.parquet"
        statement = metrics_statement(columns, FACTS)
        session.write(statement, file, PARAMS, {**write_inputs(people), "previous": empty})
        assert session.describe(sql_literal(file)) == METRICS.columns
        rows = session.fetch_dicts(f"FROM {sql_literal(file)}")
        again = {**write_inputs(people), "previous": f"(FROM {sql_literal(file)})"}
        session.write(statement, tmp_path / "next.parquet", PARAMS, again)
        next_rows = session.fetch_dicts(f"FROM {sql_literal(tmp_path / 'next.parquet')}")
    counted = count_plainly(people)
    hidden = find_hidden(counted)
    wanted = {cell: (None, None) if cell in hidden else counted[cell] for cell in counted}
    found = {(r["metric"], r["district"], r["item"]): (r["value"], r["people"]) for r in rows}
    assert found == wanted and len(found) == len(rows)
    assert any(value is None for value, _ in found.values())
    assert {metric for metric, _, _ in found} == {one.code for one in DECLARED_METRICS}
    assert [row["previous"] for row in next_rows] == [row["value"] for row in next_rows]
    assert {row["previous"] for row in rows} == {None}


@pytest.mark.parametrize("seed", range(3))
def test_no_cell_of_few_people_is_what_is_left_of_the_city(seed: int) -> None:
    counted = count_plainly(draw_people(random.Random(seed), 300))
    hidden = find_hidden(counted)
    for metric, item in {(metric, item) for metric, _, item in counted}:
        left = [
            (metric, district, item) for district in DISTRICTS if (metric, district, item) in hidden
        ]
        if left and (metric, "city", item) not in hidden:
            people = sum(counted[cell][1] for cell in left)
            assert people >= FEW and (len(left) > 1 or counted[left[0]][1] >= FEW)


def test_cells_are_suppressed_below_the_number_of_the_disclosure_rules() -> None:
    assert FEW_PEOPLE == FEW


def test_a_first_month_has_nobody_who_moved(tmp_path: Path) -> None:
    with open_engine(EngineSettings("200MB", 1), tmp_path / "spill") as session:
        assert session.fetch_rows(f"FROM {moved_relation([])}") == [(None, None, 0)]
