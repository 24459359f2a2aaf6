"""The dictionary against the tables that the real statements make: every column, in order, with its type."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from expectations.month import Month
from expectations.reference_tables import load_reference
from expectations.source_loader import collect_facts, load_sources
from expectations.source_model import Fact
from reports.catalogue.build import DICTIONARY
from reports.catalogue.dictionary import Row, build_dictionary_rows, render_dictionary_markdown
from transforms.comparison.changes import write_changes
from transforms.engine.parquet import read_folder_sql
from transforms.engine.session import EngineSettings, open_engine
from transforms.engine.sql import sql_literal
from transforms.facts.measures import FACT_TYPES
from transforms.facts.published_tables import list_published_columns
from transforms.facts.sql import public_column
from transforms.outputs import VIEWS
from transforms.points.compile import points_sql
from transforms.points.load import load_tables
from transforms.points.models import CITY, PointsTable

PROJECT = Path(__file__).resolve().parents[4]
MONTHS = [Month.parse("2021-10"), Month.parse("2022-04")]  # one under each of the city's versions
SOURCES = load_sources()
FACTS = collect_facts(SOURCES)
TABLES: dict[str, PointsTable] = {
    table.authority: table
    for table in load_tables(
        PROJECT / "data/points", FACTS, load_reference(PROJECT / "data/reference").districts
    )
}
ROWS = build_dictionary_rows(SOURCES, TABLES)


def empty_facts(facts: dict[str, Fact]) -> str:
    """The fact table of a month without residents."""
    fixed = {"month": "DATE", "resident_key": "VARCHAR", "district": "VARCHAR"}
    fixed |= {
        public_column(name): FACT_TYPES[fact.unit]
        for name, fact in facts.items()
        if fact.unit == "points_by_key"
    }
    fixed["corrections"] = "STRUCT(target VARCHAR, case_id VARCHAR, value DECIMAL(12,2))[]"
    kinds = {**fixed, **{name: FACT_TYPES[fact.unit] for name, fact in facts.items()}}
    return (
        "SELECT "
        + ", ".join(f"CAST(NULL AS {kind}) AS {name}" for name, kind in kinds.items())
        + " WHERE false"
    )


def make_scores(connection: duckdb.DuckDBPyConnection, month: Month) -> None:
    """`facts` and `scores` of a month without residents."""
    versions = {name: table.in_force(month.last_day) for name, table in TABLES.items()}
    city = versions.pop(CITY)
    values = {"month": month.first_day, "as_of": month.last_day}
    connection.execute(f"CREATE OR REPLACE TEMP VIEW facts AS {empty_facts(FACTS)}")
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE scores_made AS {points_sql(city, versions, FACTS)}", values
    )


@pytest.fixture(scope="module", params=MONTHS, ids=str)
def made(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, dict[str, str]]]:
    """Table -> column -> type, as the statements of a month make them."""
    month: Month = request.param
    folder = tmp_path_factory.mktemp("month")
    with open_engine(EngineSettings("200MB", 1), folder / "spill") as connection:
        make_scores(connection, month)
        published = ", ".join(
            f"{column} AS {name}" for column, name in list_published_columns(FACTS)["facts"].items()
        )
        connection.execute(f"CREATE TEMP TABLE facts_made AS SELECT {published} FROM facts")
        (folder / "scores").mkdir()
        connection.execute(
            f"COPY scores_made TO {sql_literal(folder / 'scores' / 'scores.parquet')} (FORMAT parquet)"
        )
        write_changes(connection, folder, folder, month, ({}, {}), folder / "changes")
        connection.execute(
            f"CREATE TEMP VIEW changes AS FROM {read_folder_sql(folder / 'changes')}"
        )
        named = {"scores": "scores_made", "facts": "facts_made", "score_changes": "changes"}
        yield {name: described(connection, table) for name, table in named.items()}


def described(connection: duckdb.DuckDBPyConnection, table: str) -> dict[str, str]:
    columns = connection.execute(f"DESCRIBE {table}").fetchall()
    return {
        name: kind.replace('"', "") for name, kind, *_ in columns
    }  # fields are quoted where SQL wants it


def entries(table: str) -> dict[str, Row]:
    return {row["column_name"]: row for row in ROWS if row["table_name"] == table}


@pytest.mark.promise("outputs-7", "Analyst: every column is explained")
@pytest.mark.proves("outputs-109")
@pytest.mark.parametrize("table", ["scores", "facts", "score_changes"])
def test_every_column_has_an_entry_with_its_type(
    made: dict[str, dict[str, str]], table: str
) -> None:
    known = entries(table)
    assert made[table] == {name: known[name]["type"] for name in made[table]}


@pytest.mark.promise("outputs-100", "Column order and types as the generated dictionary lists them")
def test_the_entries_stand_in_the_order_of_the_columns(made: dict[str, dict[str, str]]) -> None:
    assert list(made["facts"]) == list(entries("facts"))
    assert list(made["score_changes"]) == list(entries("score_changes"))


def test_no_entry_is_for_a_column_that_no_month_has(tmp_path: Path) -> None:
    """Scores differ from version to version: together the versions have the columns listed."""
    columns: set[str] = set()
    with open_engine(EngineSettings("200MB", 1), tmp_path) as connection:
        for month in MONTHS:
            make_scores(connection, month)
            columns |= described(connection, "scores_made").keys()
    assert columns == entries("scores").keys()


def test_eligibility_is_described_as_the_design_fixes_it() -> None:
    fixed = [
        "month",
        "resident_key",
        "service",
        "district",
        "eligible",
        "points_short",
        "score",
        "monthly_amount",
        "rank_class",
        "rank",
    ]
    assert list(entries("eligibility")) == fixed


@pytest.mark.proves("outputs-7")
def test_every_entry_says_all_it_has_to_in_both_languages() -> None:
    assert {row["table_name"] for row in ROWS} == VIEWS.keys()
    for row in ROWS:
        assert list(row) == list(DICTIONARY)
        missing = [name for name, text in row.items() if not text.strip()]
        assert not missing, (row["table_name"], row["column_name"], missing)
        assert any("\u4e00" <= letter <= "\u9fff" for letter in row["meaning_zh"] + row["title_zh"])
        assert any("a" <= letter <= "z" for letter in row["meaning_en"].lower())


def test_restricted_facts_are_not_in_the_analysts_dictionary() -> None:
    restricted = {name for name, fact in FACTS.items() if fact.restricted}
    assert restricted and not restricted & entries("facts").keys()


def test_levels_are_listed_from_low_to_high_with_their_names() -> None:
    assert "primary 小学、junior_middle 初中" in entries("facts")["degree"]["meaning_zh"]
    assert "none, dormitory" not in entries("facts")["degree"]["meaning_en"]
    assert "bachelor, master, doctor" in entries("facts")["degree"]["meaning_en"]


def test_an_indicator_entry_describes_each_version() -> None:
    text = entries("scores")["social_insurance_points"]["meaning_en"]
    assert "version 2021-09-08: from pension_months" in text and "at most 25" in text
    assert "version 2022-04-01: from pension_months" in text and "at most 30" in text
    assert (
        "null for residents of other districts"
        in entries("scores")["d330211_village_award_points"]["meaning_en"]
    )


@pytest.mark.proves("outputs-100")
def test_the_committed_page_is_the_generated_one() -> None:
    committed = (PROJECT / "docs" / "reference" / "dictionary.md").read_text(encoding="utf-8")
    assert committed == render_dictionary_markdown(ROWS), "run `make docs`"


def test_a_bar_in_a_text_does_not_break_the_table() -> None:
    row = {**ROWS[0], "meaning_zh": "甲|乙"}
    line = render_dictionary_markdown([row]).splitlines()[-1]
    assert line.count("|") == len(DICTIONARY) and "甲&#124;乙" in line
