"""The trial's attacks on the published files of a generated town: whom do they single out?

Everybody is tried, and everybody with a deduction: with a district's package, and with the facts
that a neighbour knows. A row of the open layer is possible for somebody where nothing in it differs
from what is known; one that is possible for a single person, or a person for whom a few rows are
possible, would be a link.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from data.synthetic.write import ExtractPlan, generate_extracts
from expectations.month import Month
from tests.support.queries import OPEN_QUERIES, QUERIES
from tests.support.world import SOURCES, World
from transforms.engine.session import EngineSettings
from transforms.engine.sql import sql_literal

BEFORE, MONTH = "2024-02", "2024-03"
RESIDENTS = 1500
FEW = 10
SECTIONS = ("province_points", "city_points", "district_points")


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = World(tmp_path_factory.mktemp("disclosure"), threads=2)
    plan = ExtractPlan(
        RESIDENTS,
        [Month.parse(BEFORE), Month.parse(MONTH)],
        sources=SOURCES,
        reference=world.settings.paths.reference,
        faults=False,
    )
    generate_extracts(
        plan,
        world.inbox,
        settings=EngineSettings("1GB", 2),
        spill=world.root.tmp,
        progress=lambda line: None,
    )
    world.run(BEFORE)
    world.run(MONTH)
    return world


@pytest.fixture(scope="module")
def opened(town: World) -> Any:
    """The published files: `package` (all districts'), `facts`, `open_rows` with how many."""
    folder = town.revision(MONTH).path
    with duckdb.connect() as connection:
        for name, files in {
            "package": "exports/*/scores.parquet",
            "facts": "facts/*.parquet",
            "scores": "scores/*.parquet",
            "rows": "open/residents/*.parquet",
            "services": "open/eligibility/*.parquet",
        }.items():
            read = f"read_parquet({sql_literal(folder / files)}, filename = true)"
            connection.execute(f"CREATE VIEW {name} AS FROM {read}")
        connection.execute(
            "CREATE TABLE open_rows AS"
            " SELECT * EXCLUDE (filename), count(*) AS people FROM rows GROUP BY ALL"
        )
        yield connection


def count_possible(
    connection: duckdb.DuckDBPyConnection, known: str, conditions: list[str]
) -> list[int]:
    """Return for each person of `known` how many rows of the open layer may be theirs."""
    possible = " AND ".join(conditions)
    rows = connection.execute(
        f"SELECT coalesce(sum(people), 0) FROM ({known}) AS known"
        f" LEFT JOIN open_rows ON {possible} GROUP BY known.person"
    ).fetchall()
    return [int(row[0]) for row in rows]


def band(column: str, value: str, width: str) -> str:
    return f"({column} IS NULL OR ({value} >= {column} AND {value} < {column} + {width}))"


def package_sql(where: str = "true") -> str:
    """What a clerk has of everybody: points as listed, and the age that the ID contains."""
    born = "strptime(substr(resident_id, 7, 8), '%Y%m%d')"
    as_of = f"(CAST('{MONTH}-01' AS DATE) + INTERVAL 1 MONTH - INTERVAL 1 DAY)"
    total = " + ".join(f"coalesce({name}, 0)" for name in SECTIONS)
    return (
        f"SELECT resident_id AS person, regexp_extract(filename, 'exports/([0-9]+)/', 1) AS place,"
        f" date_diff('year', {born}, {as_of})"
        f" - CAST(strftime({born}, '%m%d') > strftime({as_of}, '%m%d') AS INTEGER) AS years,"
        f" {', '.join(SECTIONS)}, {total} AS total FROM package WHERE {where}"
    )


CLERK = [
    "(open_rows.district IS NULL OR open_rows.district = place)",
    band("age_from", "years", "5"),
    *(
        band(f"{name}_from", f"known.{name}", "CASE WHEN generalised >= 2 THEN 20 ELSE 5 END")
        for name in SECTIONS
    ),
    band("points_from", "total", "CASE WHEN generalised >= 3 THEN 20 ELSE 5 END"),
]
YEARS = "CASE WHEN generalised >= 1 THEN 5 ELSE 1 END"
THREE = [
    "(open_rows.district IS NULL OR open_rows.district = known.district)",
    band("age_from", "age", "5"),
    band("residence_years_from", "residence_months // 12", YEARS),
]
FIVE = [
    *THREE,
    "(open_rows.degree IS NULL OR open_rows.degree = coalesce(known.degree, 'none'))",
    "(open_rows.tenure IS NULL OR open_rows.tenure = coalesce(known.tenure, 'none'))",
]


def test_a_package_and_the_open_layer_link_nobody(
    town: World, opened: duckdb.DuckDBPyConnection
) -> None:
    possible = count_possible(opened, package_sql(), CLERK)
    assert len(possible) > 0.9 * RESIDENTS
    single = sum(count == 1 for count in possible)
    assert single <= 0.01 * len(possible)
    assert single == town.revision(MONTH).manifest.open_layer["open_residents"]["linked"] == 0
    assert not [count for count in possible if 0 < count < FEW]


def test_the_same_attack_links_most_people_with_the_exact_layer(
    opened: duckdb.DuckDBPyConnection,
) -> None:
    """The attack is a real one: with exact points it succeeds."""
    columns = [
        name
        for name, *_ in opened.execute("DESCRIBE package").fetchall()
        if name.endswith("_points") and name in opened.sql("FROM scores LIMIT 0").columns
    ]
    listed = ", ".join(columns)
    (unique,) = opened.execute(
        f"SELECT count(*) FROM (SELECT {listed} FROM scores GROUP BY ALL HAVING count(*) = 1)"
    ).fetchall()[0]
    assert len(columns) > 10 and unique > 0.3 * RESIDENTS


@pytest.mark.parametrize("known", [THREE, FIVE], ids=["three facts", "five facts"])
def test_a_neighbour_singles_out_nobody(
    town: World, opened: duckdb.DuckDBPyConnection, known: list[str]
) -> None:
    possible = count_possible(opened, "SELECT resident_key AS person, * FROM facts", known)
    assert len(possible) > 0.9 * RESIDENTS
    assert not [count for count in possible if 0 < count < FEW]
    few = town.revision(MONTH).manifest.open_layer["open_residents"]["few"]
    assert few == {"three": 0, "five": 0, "all": 0}


def test_nobody_with_a_deduction_is_singled_out(
    town: World, opened: duckdb.DuckDBPyConnection
) -> None:
    deducted = package_sql("deduction_points > 0")
    possible = count_possible(opened, deducted, CLERK)
    assert len(possible) > 5 and not [count for count in possible if 0 < count < FEW]
    assert town.revision(MONTH).manifest.open_layer["open_residents"]["deducted_few"] == 0


def test_the_total_beside_the_sections_reveals_no_deduction(
    opened: duckdb.DuckDBPyConnection,
) -> None:
    """With the exact total it would: it is below what the sections add up to."""
    sections = " + ".join(f"{name}_from" for name in SECTIONS)
    wide = "CASE WHEN generalised >= 2 THEN 20 ELSE 5 END"
    revealed = opened.execute(
        f"SELECT count(*) FROM open_rows WHERE points_from + {wide} <= {sections}"
        f" OR points_from > {sections} + 3 * {wide}"
    ).fetchall()
    assert revealed == [(0,)]
    exact = " + ".join(SECTIONS)
    (visible,) = opened.execute(
        f"SELECT count(*) FROM scores WHERE total_points + 5 <= {exact}"
    ).fetchall()[0]
    assert visible > 5


def test_no_row_of_the_open_layer_is_of_fewer_than_ten_people(
    town: World, opened: duckdb.DuckDBPyConnection
) -> None:
    for table in ("rows", "services"):
        (least,) = opened.execute(
            "SELECT min(people) FROM (SELECT count(*) AS people FROM"
            f" (SELECT * EXCLUDE (filename) FROM {table}) GROUP BY ALL)"
        ).fetchall()[0]
        assert least >= FEW
    measured = town.revision(MONTH).manifest.open_layer
    counted = [opened.execute(f"SELECT count(*) FROM {t}").fetchall() for t in ("rows", "services")]
    views = ("open_residents", "open_eligibility")
    assert [[(measured[view]["rows"],)] for view in views] == counted


def test_the_open_layer_has_no_key_no_offence_no_award_and_no_date(
    opened: duckdb.DuckDBPyConnection,
) -> None:
    columns = set(opened.sql("FROM rows LIMIT 0").columns) | set(
        opened.sql("FROM services LIMIT 0").columns
    )
    assert columns - {"filename"} == {
        *("month", "district", "age_from", "degree", "skill", "tenure"),
        *("residence_years_from", "pension_years_from", "points_from", "generalised"),
        *(f"{name}_from" for name in SECTIONS),
        *("service", "eligible", "points_short_to", "score_from"),
    }


def test_the_report_says_whom_the_open_layer_singles_out(town: World) -> None:
    page = Path(town.revision(MONTH).path / "report" / "index.html").read_text(encoding="utf-8")
    assert "与区县导出一一对应" in page and "0 人（0.0 %）" in page and "概化的行数" in page


@pytest.mark.parametrize("lowered", [5, 10])
def test_lowered_thresholds_in_bands_differ_by_what_is_counted(
    town: World, opened: duckdb.DuckDBPyConnection, lowered: int
) -> None:
    """As the guide says: no more than what was generalised further, or withheld."""
    folder = town.revision(MONTH).path / "eligibility" / "*.parquet"
    exact = dict(
        opened.execute(
            f"SELECT service, count_if(NOT eligible AND points_short <= {lowered})"
            f" FROM read_parquet({sql_literal(folder)}) GROUP BY 1"
        ).fetchall()
    )
    banded = {
        service: (counted, further)
        for service, counted, further in opened.execute(
            f"SELECT service, count_if(points_short_to BETWEEN 1 AND {lowered} AND generalised < 2),"
            " count_if(NOT eligible AND generalised >= 2) FROM services GROUP BY 1"
        ).fetchall()
    }
    withheld = town.revision(MONTH).manifest.open_layer["open_eligibility"]["withheld"]
    assert sum(exact.values()) > 30
    for service, people in exact.items():
        counted, further = banded.get(service, (0, 0))
        assert counted <= people <= counted + further + withheld


def test_metrics_of_the_open_layer_are_the_exact_answers_but_for_few_people(
    town: World, opened: duckdb.DuckDBPyConnection
) -> None:
    metrics = town.revision(MONTH).path / "metrics" / "metrics.parquet"
    answers = opened.execute(
        f"SELECT district, item, people FROM read_parquet({sql_literal(metrics)})"
        " WHERE metric = 'points_band' AND district <> 'city' AND people IS NOT NULL"
    ).fetchall()
    band = "CASE WHEN total_points < 0 THEN -1 ELSE least(floor(total_points / 20), 9) END"
    exact = opened.execute(
        f"SELECT district, CAST(CAST({band} AS INTEGER) AS VARCHAR), count(*) FROM scores"
        f" GROUP BY ALL HAVING count(*) >= {FEW}"
    ).fetchall()
    assert set(answers) <= set(exact) and len(answers) > 10


EXACT = {
    "deductions_by_district": "SELECT district, deducted, mean_deduction FROM exact",
    "distribution_by_district": "SELECT district, greatest(least(band_from, 180), -20) AS band_from,"
    " sum(people) FROM exact GROUP BY ALL",
    "district_points_use": "SELECT * EXCLUDE (highest) FROM exact",
    "education_and_skill": "SELECT coalesce(degree, 'none'), coalesce(skill, 'none'), people FROM exact",
    "housing_by_district": "SELECT district, coalesce(tenure, 'none'), people FROM exact",
    "mean_points_by_month": "FROM exact",
    "nearly_eligible": "SELECT service, district, people FROM exact",
    "new_and_gone": "SELECT district, movement, people FROM exact",
    "newly_eligible": """SELECT service, district, CAST(sum(CASE month WHEN DATE '2024-03-01' THEN 1 ELSE -1 END) AS BIGINT)
        FROM eligibility WHERE eligible GROUP BY ALL""",
    "subsidy_budget": "FROM exact",
    "why_points_were_lost": """SELECT item, title_zh, count(*), sum(effect) FROM latest_score_changes
        LEFT JOIN dictionary ON table_name = 'scores' AND column_name = item || '_points'
        WHERE effect < 0 AND movement IN ('stayed', 'moved') GROUP BY ALL""",
}
"""What a question of the open layer has to answer, where it shows a number: by the question of the
same name to the exact layer, `exact`."""
OF_FEW = ("deductions_by_district", "nearly_eligible", "new_and_gone", "why_points_were_lost")
"""Of which a town so small has no answer."""
BOUNDED = {"lower_thresholds": "lowered", "raise_thresholds": "raised"}


@pytest.fixture(scope="module")
def catalogues(town: World) -> Iterator[Callable[[str, str], list[Any]]]:
    """Ask a catalogue: the rows of the last of some statements."""
    opened = {
        name: duckdb.connect(town.root.path / f"{name}.duckdb", read_only=True)
        for name in ("catalogue", "catalogue-exact")
    }

    def ask(name: str, sql: str) -> list[Any]:
        *before, last = opened[name].extract_statements(sql)
        for statement in before:
            opened[name].execute(statement)
        return opened[name].execute(last).fetchall()

    yield ask
    for connection in opened.values():
        connection.close()


def wrap_exact(name: str) -> str:
    """The question to the exact layer, as the relation that EXACT reads."""
    *before, last = QUERIES[name].rstrip().rstrip(";").split(";\n")
    return "".join(f"{one};\n" for one in before) + f"WITH exact AS ({last})\n{EXACT[name]}"


def test_every_question_of_the_open_layer_is_compared() -> None:
    assert EXACT.keys() | BOUNDED.keys() | {"insurance_coverage_by_age"} == OPEN_QUERIES.keys()


@pytest.mark.parametrize("name", EXACT)
def test_the_open_layer_answers_as_the_exact_one(
    catalogues: Callable[[str, str], list[Any]], name: str
) -> None:
    """Wherever it shows all numbers of a row."""
    exact = {str(row) for row in catalogues("catalogue-exact", wrap_exact(name))}
    answers = catalogues("catalogue", OPEN_QUERIES[name])
    shown = {str(row) for row in answers if None not in row}
    assert shown <= exact
    assert shown or name in OF_FEW


def test_items_have_the_titles_that_they_have_in_the_exact_layer(
    catalogues: Callable[[str, str], list[Any]],
) -> None:
    titles = {
        item.removesuffix("_points"): title
        for item, title in catalogues(
            "catalogue-exact",
            "SELECT column_name, title_zh FROM dictionary WHERE table_name = 'scores'",
        )
    }
    answers = catalogues("catalogue", OPEN_QUERIES["why_points_were_lost"])
    assert answers
    assert [title for _, title, *_ in answers] == [titles[item] for item, *_ in answers]


def test_the_open_layer_answers_who_is_insured_but_for_few_people(
    catalogues: Callable[[str, str], list[Any]],
) -> None:
    exact = {
        age: (people, insured)
        for age, people, insured in catalogues(
            "catalogue-exact",
            "SELECT list_max(list_filter([0, 18, 30, 40, 50, 60], lambda start: start <= age)),"
            " count(*), count(*) FILTER (insured_now) FROM latest_facts GROUP BY 1",
        )
    }
    answers = catalogues("catalogue", OPEN_QUERIES["insurance_coverage_by_age"])
    assert answers
    for age, people, insured, _ in answers:
        assert (people or 0) <= exact[age][0]
        assert (insured or 0) <= exact[age][1]
        assert None in (people, insured) or (people, insured) == exact[age]


@pytest.mark.parametrize("name", BOUNDED)
def test_the_open_layer_answers_of_thresholds_at_least_and_at_most(
    catalogues: Callable[[str, str], list[Any]], name: str
) -> None:
    """But for the withheld, at most nine per service and answer."""
    columns = [f"{BOUNDED[name]}_by_{points}" for points in (5, 10)]
    exact = QUERIES[name].rstrip().rstrip(";")
    wanted = {
        service: counts
        for service, *counts in catalogues(
            "catalogue-exact", f"SELECT service, {', '.join(columns)} FROM ({exact})"
        )
    }
    bounds = ", ".join(f"{column}_at_{end}" for column in columns for end in ("least", "most"))
    answers = catalogues(
        "catalogue", f"SELECT service, {bounds} FROM ({OPEN_QUERIES[name].rstrip().rstrip(';')})"
    )
    assert len(answers) > 3
    for service, *found in answers:
        for count, least, most in zip(wanted[service], found[::2], found[1::2], strict=True):
            assert least <= count < most + FEW
