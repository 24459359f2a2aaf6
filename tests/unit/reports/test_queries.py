"""The analysts' questions, answered on a population small enough to work out every answer by hand.

October and November 2021. Ann and Bo live in 330212, Cy, Di and Ed in 330203; in November Ed is gone and Fay is new.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from reports.catalogue.build import DICTIONARY, build_catalogue
from tests.support.queries import OPEN_QUERIES, QUERIES
from transforms.engine.session import EngineSettings, open_engine
from transforms.engine.sql import sql_literal

OCT, NOV = dt.date(2021, 10, 1), dt.date(2021, 11, 1)
POINTS = "DECIMAL(7,2)"

# key, district, common, district points, deduction, total
SCORES = {
    "2021-10": """('ann', '330212', 50.50, 5, 0, 55.50), ('bo', '330212', 40, 0, 0, 40), ('cy', '330203', 70, 10, 0, 80),
                  ('di', '330203', 19.99, 0, 0, 19.99), ('ed', '330203', 100, 0, 0, 100)""",
    "2021-11": """('ann', '330212', 53.50, 10, 0, 63.50), ('bo', '330212', 30, 0, 10, 30), ('cy', '330203', 68, 10, 0, 78),
                  ('di', '330203', 20, 0, 0, 20), ('fay', '330203', -5, 0, 30, -5)""",
}
# key, district, age, insured now, gap, pension months, degree, skill, shortage job,
# tenure, registered, rental months, frozen, hours by year
FACTS = """('ann', '330212', 41, true, 0, 166, 'junior_college', 'level_3', true, 'rented', true, 30, false, [(2020, 12), (2021, 20.5)]),
           ('bo', '330212', 49, false, 3, 10, 'junior_college', 'level_3', false, 'rented', false, 5, false, []),
           ('cy', '330203', 40, true, 1, 100, 'bachelor', NULL, false, 'owned', false, 0, false, [(2021, 4)]),
           ('di', '330203', 9, false, NULL, 0, NULL, NULL, false, 'none', false, 0, false, []),
           ('fay', '330203', 85, false, 40, 2, NULL, NULL, false, 'dormitory', false, 0, true, [])"""
# key, service, district, eligible, points short, monthly amount
ELIGIBILITY = {
    "2021-10": """('ann', 'rent_subsidy', '330212', true, 0, 404), ('ann', 'health_check', '330212', true, 0, NULL),
                  ('bo', 'health_check', '330212', false, 10, NULL), ('cy', 'health_check', '330203', false, 0.5, NULL),
                  ('ed', 'health_check', '330203', true, 0, NULL), ('bo', 'loan', '330212', true, 0, NULL),
                  ('di', 'loan', '330203', true, 0, NULL), ('cy', 'loan', '330203', true, 0, NULL),
                  ('ann', 'club', '330212', true, 0, NULL),
                  ('ann', 'rental', '330212', true, 0, NULL)""",
    "2021-11": """('ann', 'rent_subsidy', '330212', true, 0, 404), ('ann', 'health_check', '330212', true, 0, NULL),
                  ('bo', 'rent_subsidy', '330212', false, 5, 300), ('cy', 'health_check', '330203', true, 0, NULL),
                  ('bo', 'health_check', '330212', false, 1.5, NULL), ('bo', 'loan', '330212', false, 20, NULL),
                  ('cy', 'rent_subsidy', '330203', true, 0, NULL)""",
}
# In October Di was insured, and Ed was there instead of Fay.
FACTS_BEFORE = FACTS.replace("('di', '330203', 9, false", "('di', '330203', 9, true").replace(
    "'fay'", "'ed'"
)
# service, title, amount, threshold of 330212; all but the rental are open in both districts
DECLARED = {
    "2021-10": "('rent_subsidy', '租房补贴', 'market_rent * 0.4', 60), ('health_check', '体检', NULL, 50), "
    "('loan', '贷款', NULL, 50), ('club', '俱乐部', NULL, 10), ('rental', '公租房', NULL, 30)",
    "2021-11": "('rent_subsidy', '租房补贴', 'market_rent * 0.4', 60), ('health_check', '体检', NULL, 50), "
    "('loan', '贷款', NULL, 70), ('rental', '公租房', NULL, 70)",
}
CHANGES = """('ann', '330212', 'total', 55.50, 63.50), ('ann', '330212', 'age', 5, 8),
             ('bo', '330212', 'total', 40, 30), ('bo', '330212', 'common', 40, 30), ('bo', '330212', 'penalties', 0, 10),
             ('bo', '330212', 'deduction', 0, 10),
             ('cy', '330203', 'total', 80, 78), ('cy', '330203', 'common', 70, 68), ('cy', '330203', 'age', 10, 8),
             ('cy', '330203', 'penalties', 5, 5.50),
             ('cy', '330203', 'd330203_village', NULL, 0), ('cy', '330203', 'd330212_village', 3, NULL),
             ('di', '330203', 'total', 19.99, 20),
             ('ed', '330203', 'total', 100, NULL), ('fay', '330203', 'total', NULL, -5)"""


def tables(month: str) -> dict[str, str]:
    """Folder of a revision -> the rows of its table."""
    first = f"DATE '{month}-01' AS month"
    corrected = "CAST(CASE WHEN key = 'ann' THEN [('fact:age', NULL), ('age', 5)] ELSE [] END"
    corrected += f" AS STRUCT(target VARCHAR, before {POINTS})[]) AS corrected"
    return {
        "scores": f"""SELECT {first}, key AS resident_key, district, common::{POINTS} AS common_points,
            own::{POINTS} AS district_points, off::{POINTS} AS deduction_points, total::{POINTS} AS total_points, {corrected}
            FROM (VALUES {SCORES[month]}) AS t(key, district, common, own, off, total)""",
        "facts": f"""SELECT {first}, * EXCLUDE (hours), hours::STRUCT(year INTEGER, hours DECIMAL(12,2))[] AS service_hours_by_year,
            true AS permit_held
            FROM (VALUES {FACTS if month == "2021-11" else FACTS_BEFORE}) AS t(resident_key, district, age, insured_now,
            pension_gap_months, pension_months, degree, skill, shortage_job, tenure, rental_registered, rental_months,
            frozen, hours)""",
        "eligibility": f"""SELECT {first}, resident_key, service, district, eligible, short::{POINTS} AS points_short,
            (CASE WHEN eligible THEN 63.5 ELSE threshold - short END)::DECIMAL(9,2) AS score, amount::DECIMAL(12,2) AS monthly_amount
            FROM (VALUES {ELIGIBILITY[month]}) AS t(resident_key, service, district, eligible, short, amount)
            JOIN (VALUES {DECLARED[month]}) AS s(service, title, monthly, threshold) USING (service)""",
        "districts": f"SELECT {first}, * FROM (VALUES ('330203', '海曙区'), ('330212', '鄞州区')) AS t(district, name)",
        "services": f"""SELECT {first}, service, title, monthly AS monthly_amount
            FROM (VALUES {DECLARED[month]}) AS s(service, title, monthly, threshold)""",
        "thresholds": f"""SELECT {first}, service, district, threshold::{POINTS} AS points
            FROM (VALUES {DECLARED[month]}) AS s(service, title, monthly, threshold),
            (VALUES ('330203'), ('330212')) AS d(district)
            WHERE service <> 'rental' OR district = '330203'""",
        "changes": f"""SELECT {first}, resident_key, district, item,
            CASE WHEN item IN ('total', 'common') THEN item WHEN item = 'deduction' THEN 'section' ELSE 'indicator' END
                AS kind,
            before::{POINTS} AS before, after::{POINTS} AS after,
            CAST((coalesce(after, 0) - coalesce(before, 0)) * CASE WHEN item IN ('penalties', 'deduction') THEN -1 ELSE 1 END
                AS DECIMAL(8,2)) AS effect,
            CASE resident_key WHEN 'ed' THEN 'gone' WHEN 'fay' THEN 'new' ELSE 'stayed' END AS movement
            FROM (VALUES {CHANGES}) AS t(resident_key, district, item, before, after)""",
    }


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    root = tmp_path_factory.mktemp("root")
    settings = EngineSettings("200MB", 1)
    revisions = [(month, root / "months" / month / "r1") for month in SCORES]
    with open_engine(settings, root / "tmp") as connection:
        for month, revision in revisions:
            for folder, rows in tables(month).items():
                (revision / folder).mkdir(parents=True)
                connection.execute(
                    f"COPY ({rows}) TO {sql_literal(revision / folder / 'a.parquet')}"
                )
    described: dict[str, str | None] = dict.fromkeys(DICTIONARY)
    age = {**described, "table_name": "scores", "column_name": "age_points", "title_zh": "年龄"}
    build_catalogue(root, revisions, [age])
    with open_engine(
        settings, root / "tmp", root / "catalogue-exact.duckdb", read_only=True
    ) as connection:
        yield connection


def d(text: str) -> Decimal:
    return Decimal(text)


ANSWERS: dict[str, list[tuple[Any, ...]]] = {
    "distribution_by_district": [
        ("330203", -20, 1),
        ("330203", 20, 1),
        ("330203", 60, 1),
        ("330212", 20, 1),
        ("330212", 60, 1),
    ],
    "mean_points_by_month": [
        (OCT, "330203", 3, 66.66, 3.33),
        (OCT, "330212", 2, 47.75, 2.5),
        (NOV, "330203", 3, 31.0, 3.33),
        (NOV, "330212", 2, 46.75, 5.0),
    ],
    "newly_eligible": [("health_check", "330203", 1), ("rent_subsidy", "330203", 1)],
    "who_lost_points": [
        ("bo", "330212", d("10.00"), ["penalties -10.00"]),
        ("cy", "330203", d("2.00"), ["age -2.00", "d330212_village -3.00", "penalties -0.50"]),
    ],
    # the mean of five falls from 59.098 to 37.3: Fay -5 - 59.098, Ed 59.098 - 100, who stayed -3.99
    "change_of_mean": [
        ("new", 1, -12.8196),
        ("gone", 1, -8.1804),
        ("penalties", 2, -2.1),
        ("limits", None, 1.702),
        ("d330212_village", 1, -0.6),
        ("age", 2, 0.2),
    ],
    "why_points_were_lost": [
        ("penalties", None, 2, d("-10.50")),
        ("age", "年龄", 1, d("-2.00")),
        ("d330212_village", None, 1, d("-3.00")),
    ],
    "new_and_gone": [("330203", "gone", 1, 100.0), ("330203", "new", 1, -5.0)],
    "insurance_coverage_by_age": [(40, 3, 2, 66.7), (70, 1, 0, 0.0)],
    "insurance_gaps": [("0-1", 2, 133.0), ("2-3", 1, 10.0), ("13+", 1, 2.0)],
    "subsidy_budget": [
        (OCT, "rent_subsidy", "330212", 1, 0, d("404.00")),
        (NOV, "rent_subsidy", "330203", 0, 1, None),
        (NOV, "rent_subsidy", "330212", 1, 0, d("404.00")),
    ],
    "subsidy_amount_unknown": [("rent_subsidy", "market_rent * 0.4", "330203", "cy")],
    "subsidy_due": [("rent_subsidy", "ann", "330212", OCT, NOV, 2, d("808.00"))],
    "nearly_eligible": [("health_check", "330212", 1, 1.5), ("rent_subsidy", "330212", 1, 5.0)],
    "lower_thresholds": [
        ("health_check", 2, 0, 1, 1, 1),
        ("loan", 0, 0, 0, 0, 0),
        ("rent_subsidy", 2, 0, 0, 1, 1),
    ],
    "raise_thresholds": [
        ("health_check", "体检", 2, 0, 0, 0, 0),
        ("rent_subsidy", "租房补贴", 2, 0, 0, 2, 2),
    ],
    "why_eligibility_was_lost": [
        ("club", "service_ended", 1),
        ("health_check", "gone", 1),
        ("loan", "insurance_ended", 1),
        ("loan", "other_condition", 1),
        ("loan", "points", 1),
        ("rental", "moved", 1),
    ],
    "deductions_by_district": [("330203", 3, 1, 30.0, 1), ("330212", 2, 1, 10.0, 0)],
    "education_and_skill": [
        ("junior_college", "level_3", 2, 1),
        (None, None, 2, 0),
        ("bachelor", None, 1, 0),
    ],
    "housing_by_district": [
        ("330203", "dormitory", 1, 0, None),
        ("330203", "none", 1, 0, None),
        ("330203", "owned", 1, 0, None),
        ("330212", "rented", 2, 1, 17.5),
    ],
    "volunteering_by_year": [(2020, 1, d("12.00")), (2021, 2, d("24.50"))],
    "corrections_in_effect": [("age", 1, d("5.00")), ("fact:age", 1, None)],
    "district_points_use": [("330203", 3, 1, 10.0, d("10.00")), ("330212", 2, 1, 10.0, d("10.00"))],
}


@pytest.mark.promise("outputs-124", "At least a dozen questions, each answered by hand")
def test_every_one_of_at_least_twelve_questions_is_answered() -> None:
    assert QUERIES.keys() == ANSWERS.keys() and len(ANSWERS) >= 12


@pytest.mark.promise("sources-110", "framework, explain, questions, simulate, growth targets")
@pytest.mark.proves("outputs-124")
@pytest.mark.parametrize("name", ANSWERS)
def test_answer(name: str, catalogue: duckdb.DuckDBPyConnection) -> None:
    assert catalogue.execute(QUERIES[name]).fetchall() == ANSWERS[name]


@pytest.mark.parametrize(
    "sql",
    [*QUERIES.values(), *OPEN_QUERIES.values()],
    ids=[*QUERIES, *(f"open/{name}" for name in OPEN_QUERIES)],
)
def test_a_question_says_what_it_asks_in_both_languages(sql: str) -> None:
    chinese, english, _ = sql.split("\n", 2)
    assert re.fullmatch(r"-- .*[\u4e00-\u9fff].*？", chinese) and re.fullmatch(
        r"-- [^\u4e00-\u9fff]+\?", english
    )


def test_a_question_about_two_months_opens_no_other_months_files(
    catalogue: duckdb.DuckDBPyConnection,
) -> None:
    variable, question = QUERIES["newly_eligible"].split(";\n", 1)
    catalogue.execute(variable)
    catalogue.execute("SET VARIABLE before = DATE '2021-09-01'")
    plan = catalogue.execute(f"EXPLAIN {question}").fetchall()[0][1]
    assert plan.count("READ_PARQUET") == 1  # the newest month's; October is not what was asked for


def test_the_analysts_guide_lists_every_question() -> None:
    guide = (Path(__file__).resolve().parents[3] / "docs" / "guides" / "analysts.md").read_text(
        encoding="utf-8"
    )
    english = {name: sql.splitlines()[1].removeprefix("-- ") for name, sql in QUERIES.items()}
    lines = {name: f"| `{name}` | {question} |" for name, question in english.items()}
    missing = [name for name, line in lines.items() if line not in guide]
    assert not missing


def test_the_analysts_guide_names_the_questions_that_the_open_layer_answers() -> None:
    """And no other: each has the name of the question to the exact layer that it answers."""
    guide = (Path(__file__).resolve().parents[3] / "docs" / "guides" / "analysts.md").read_text(
        encoding="utf-8"
    )
    assert OPEN_QUERIES.keys() < QUERIES.keys()
    assert set(re.findall(r"\| `open/(\w+)`", guide)) == OPEN_QUERIES.keys()


# service, district, points short to, steps of generalisation; then of those eligible the score from
LACKING = "('loan', '330203', 5, 0), ('loan', '330203', 10, 1), ('loan', '330203', 20, 2), ('loan', NULL, NULL, 6)"
HAVING = "('loan', '330203', 60, 0), ('loan', '330203', 60, 1), ('loan', '330212', 75, 0), ('loan', '330212', NULL, 3)"


def test_thresholds_are_answered_from_bands_at_least_and_at_most() -> None:
    """The loan takes 60 points in 330203 and 70 in 330212; one of each pair of numbers is a bound."""
    with duckdb.connect() as opened:
        opened.execute(f"""CREATE VIEW latest_open_eligibility AS
            SELECT service, district, false AS eligible, band AS points_short_to, NULL AS score_from, generalised
            FROM (VALUES {LACKING}) AS listed(service, district, band, generalised)
            UNION ALL
            SELECT service, district, true, 0, band, generalised
            FROM (VALUES {HAVING}) AS listed(service, district, band, generalised)""")
        opened.execute("""CREATE VIEW latest_thresholds AS FROM (VALUES ('loan', '330203', 60), ('loan', '330212', 70),
            ('check', '330203', NULL)) AS listed(service, district, points)""")
        opened.execute("CREATE VIEW latest_services AS SELECT 'loan' AS service, '贷款' AS title")
        lowered = opened.execute(OPEN_QUERIES["lower_thresholds"]).fetchall()
        raised = opened.execute(OPEN_QUERIES["raise_thresholds"]).fetchall()
    assert lowered == [("loan", 4, 1, 3, 2, 4)]
    assert raised == [("loan", "贷款", 4, 1, 3, 2, 4)]
