"""The open layer against a plain loop over people, and what is measured in its files."""

from __future__ import annotations

import datetime as dt
import math
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from expectations.findings import FindingKind
from flows.pipeline.open_layer import find_disclosures
from flows.storage.stage_results import OpenLayerResult
from transforms.engine.session import EngineSettings, Session, open_engine
from transforms.engine.sql import sql_literal
from transforms.open_layer import (
    RESIDENT_STEPS,
    OpenFigures,
    OpenTable,
    classes_statement,
    measure_open_table,
    open_eligibility,
    open_residents,
    write_open_table,
)
from transforms.outputs import OPEN_ELIGIBILITY, OPEN_RESIDENTS, read_column_meanings
from transforms.points.models import PointsVersion

MONTH = dt.date(2024, 4, 1)
FACTS = ("age", "degree", "skill", "tenure", "residence_months", "pension_months")
FEW = 10
RESIDENT_NAMES = (
    *("district", "age_from", "degree", "skill", "tenure"),
    *("residence_years_from", "pension_years_from"),
    *("base_points_from", "district_points_from", "points_from", "generalised"),
)
Person = dict[str, Any]


def city() -> PointsVersion:
    """A version with a section that adds and one that subtracts."""
    return PointsVersion.model_construct(
        sections={"base": _Section(subtract=False), "deduction": _Section(subtract=True)}
    )


class _Section:
    def __init__(self, *, subtract: bool) -> None:
        self.subtract = subtract


def draw_people(generator: random.Random, size: int) -> list[Person]:
    return [
        {
            "resident_key": f"{n:05}",
            "district": generator.choice(["330203"] * 5 + ["330212"]),
            "age": generator.choice([22, 24, 31, 33, 58]),
            "degree": generator.choice([None, None, "bachelor", "doctor"]),
            "skill": generator.choice([None, None, None, "level_1"]),
            "tenure": generator.choice(["rented", "rented", None, "owned"]),
            "residence_months": generator.choice([3, 14, 40, 100, None]),
            "pension_months": generator.choice([0, 0, 13, 50]),
            "base_points": generator.choice([0, 4.99, 5, 31.5]),
            "district_points": generator.choice([0, 0, 12]),
            "deduction_points": generator.choice([0] * 9 + [40]),
        }
        for n in range(size)
    ]


def load(session: Session, people: list[Person]) -> None:
    session.execute("CREATE TABLE people AS FROM (SELECT unnest($1, max_depth := 2))", [people])
    session.execute("CREATE VIEW facts AS FROM people")
    session.execute(
        "CREATE VIEW scores AS SELECT resident_key, district, base_points, deduction_points,"
        " district_points FROM people"
    )


@pytest.fixture
def session(tmp_path: Path) -> Any:
    with open_engine(EngineSettings("500MB"), tmp_path / "spill") as opened:
        yield opened


def band(value: float | None, width: int) -> int | None:
    return None if value is None else math.floor(value / width) * width


def generalise_plainly(people: list[Person]) -> Counter[tuple[Any, ...]]:
    """Every row with how many there are, by one step after another for whoever needs it."""

    def row(one: Person, steps: int) -> tuple[Any, ...]:
        years, points = (5 if steps >= 1 else 1), (20 if steps >= 2 else 5)
        residence, pension = one["residence_months"], one["pension_months"]
        total = one["base_points"] + one["district_points"]
        return (
            one["district"] if steps < 9 else None,
            band(one["age"], 5) if steps < 11 else None,
            (one["degree"] or "none") if steps < 7 else None,
            (one["skill"] or "none") if steps < 6 else None,
            (one["tenure"] or "none") if steps < 5 else None,
            band(None if residence is None else residence // 12, years) if steps < 8 else None,
            band(pension // 12, years) if steps < 8 else None,
            band(one["base_points"], points) if steps < 4 else None,
            band(one["district_points"], points) if steps < 4 else None,
            band(total, 20 if steps >= 3 else 5) if steps < 10 else None,
            steps,
        )

    done: Counter[tuple[Any, ...]] = Counter()
    left = people
    for steps in range(len(RESIDENT_STEPS) + 1):
        counted = Counter(row(one, steps) for one in left)
        done.update({found: n for found, n in counted.items() if n >= FEW})
        left = [one for one in left if counted[row(one, steps)] < FEW]
    return done


def read_rows(session: Session, file: Path, names: tuple[str, ...]) -> Counter[tuple[Any, ...]]:
    return Counter(
        session.fetch_rows(f"SELECT {', '.join(names)} FROM read_parquet({sql_literal(file)})")
    )


@pytest.mark.parametrize("size", [0, 9, 40, 700, 3000])
@pytest.mark.parametrize("seed", [1, 2])
def test_rows_are_generalised_step_by_step_until_ten_people_share_them(
    session: Session, tmp_path: Path, size: int, seed: int
) -> None:
    people = draw_people(random.Random(seed), size)
    load(session, people or draw_people(random.Random(seed), 1))
    if not people:
        session.execute("DELETE FROM people")
    file = tmp_path / "residents.parquet"
    figures, _ = write_open_table(session, open_residents(city(), FACTS), file, MONTH)
    expected = generalise_plainly(people)
    assert read_rows(session, file, RESIDENT_NAMES) == expected
    assert figures.rows == sum(expected.values()) and figures.withheld == size - figures.rows
    assert figures.is_within_bounds and figures.linked == 0
    counted = [sum(n for row, n in expected.items() if row[-1] >= k) for k in range(1, 12)]
    withheld = figures.withheld
    assert [n for _, n in figures.generalised] == [n + withheld for n in counted]


def test_a_city_without_some_facts_does_without_their_columns(
    session: Session, tmp_path: Path
) -> None:
    load(session, draw_people(random.Random(3), 200))
    file = tmp_path / "residents.parquet"
    figures, _ = write_open_table(session, open_residents(city(), ["age"]), file, MONTH)
    held = list(session.describe(f"read_parquet({sql_literal(file)})"))
    assert held[:4] == ["month", "district", "age_from", "base_points_from"]
    assert figures.rows + figures.withheld == 200


def test_eligibility_is_generalised_and_names_no_person(session: Session, tmp_path: Path) -> None:
    generator = random.Random(4)
    people = draw_people(generator, 1500)
    load(session, people)
    rows = [
        {
            "resident_key": one["resident_key"],
            "district": one["district"],
            "service": generator.choice(["a", "b"]),
            "eligible": short == 0,
            "points_short": short,
            "score": 40 - short,
        }
        for one in people
        for short in [generator.choice([0, 0.01, 5, 5.5, 37])]
    ]
    children = [
        {**row, "resident_key": f"child {n}", "service": "school"}
        for n, row in enumerate(rows[:300])
    ]
    rows += children
    session.execute("CREATE TABLE eligibility AS FROM (SELECT unnest($1, max_depth := 2))", [rows])
    file = tmp_path / "eligibility.parquet"
    figures, _ = write_open_table(session, open_eligibility(FACTS), file, MONTH)
    assert figures.rows + figures.withheld == 1800 and figures.is_within_bounds
    assert figures.withheld < 6 * FEW  # of three services, reached and not
    schools = session.fetch_rows(
        f"SELECT count(*), count(age_from) FROM read_parquet({sql_literal(file)})"
        " WHERE service = 'school'"
    )
    assert schools[0][0] > 300 - 2 * FEW and schools[0][1] == 0
    counted = dict(
        session.fetch_rows(
            f"SELECT points_short_to, count(*) FROM read_parquet({sql_literal(file)})"
            " WHERE generalised = 0 GROUP BY ALL"
        )
    )
    assert counted.keys() <= {0, 5, 10, 40} and min(counted.values()) > 100
    assert "resident_key" not in session.describe(f"read_parquet({sql_literal(file)})")


def write_with_one_more(session: Session, table: OpenTable, file: Path) -> None:
    """Write the classes of a table, and the row of one person who has a deduction."""
    session.execute(
        f"INSERT INTO {table.classes} SELECT * REPLACE ('999999' AS district, 11 AS people,"
        f" 1 AS deducted) FROM {table.classes} LIMIT 1"
    )
    names = ", ".join(table.names)
    session.execute(
        f"COPY (SELECT {names} FROM (SELECT *, unnest(range(CASE WHEN district = '999999' THEN 1"
        f" ELSE people END)) FROM {table.classes} WHERE people >= {FEW}))"
        f" TO {sql_literal(file)} (FORMAT parquet)"
    )


def test_a_row_of_one_person_is_measured_and_becomes_a_finding(
    session: Session, tmp_path: Path
) -> None:
    load(session, draw_people(random.Random(5), 400))
    table = open_residents(city(), FACTS)
    session.create_table(classes_statement(table))
    write_with_one_more(session, table, tmp_path / "rows.parquet")
    figures = measure_open_table(session, table, tmp_path / "rows.parquet")
    assert (figures.linked, figures.few["all"], figures.deducted_few) == (1, 1, 1)
    assert figures.few["three"] == figures.few["five"] == 1 and not figures.is_within_bounds
    (found,) = find_disclosures(OpenLayerResult(tables={"open_residents": vars(figures)}))
    assert (found.kind, found.count, found.column) == (FindingKind.DISCLOSURE, 1, "open_residents")
    assert found.way_out


def test_within_the_bounds_nothing_is_found() -> None:
    figures = OpenFigures(1000, 0, [], 10, {"all": 0}, 0)
    assert list(find_disclosures(OpenLayerResult(tables={"open_residents": vars(figures)}))) == []
    over = OpenFigures(1000, 0, [], 11, {"all": 0}, 0)
    assert list(find_disclosures(OpenLayerResult(tables={"open_residents": vars(over)})))


@pytest.mark.parametrize("output", [OPEN_RESIDENTS, OPEN_ELIGIBILITY])
def test_the_dictionary_numbers_the_steps_as_they_are_declared(output: Any) -> None:
    meanings = {one.column_name: one.meaning_zh for one in read_column_meanings(output.view)}
    table = open_eligibility(FACTS) if output is OPEN_ELIGIBILITY else open_residents(city(), FACTS)
    last = {step.family: n for n, step in enumerate(table.steps, 1) if step.width is None}
    for column in table.columns:
        if column.family in last and column.name in meanings:
            assert f"从第 {last[column.family]} 步起为空" in meanings[column.name], column.name
    assert f"{len(table.steps)} " in meanings["generalised"]
    assert f"{len(table.steps) + 1} " not in meanings["generalised"]
