"""The project's own tables: they load, their examples hold, and a version knows when it was changed."""

from __future__ import annotations

import datetime as dt
import shutil
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from expectations.errors import ExitCode, JifenError
from expectations.source_loader import collect_facts, load_sources
from tests.support.policy_writing import PROJECT_DISTRICTS, PROJECT_TABLES, line, version
from transforms.points.examples import check_examples
from transforms.points.load import load_tables, read_tables
from transforms.points.models import CITY, PointsTable

FACTS = collect_facts(load_sources())


@pytest.fixture(scope="module")
def tables() -> dict[str, PointsTable]:
    return {
        table.authority: table for table in load_tables(PROJECT_TABLES, FACTS, PROJECT_DISTRICTS)
    }


@pytest.mark.promise(
    "points-1", "One YAML file for the city and each district; a missing or surplus file is refused"
)
def test_city_and_districts_have_tables_with_ascending_versions(
    tables: dict[str, PointsTable],
) -> None:
    assert (
        tables.keys()
        == {CITY, *PROJECT_DISTRICTS}
        == {path.stem for path in PROJECT_TABLES.glob("*.yaml")}
    )
    for table in tables.values():
        begins = [version.begins for version in table.versions]
        assert begins == sorted(set(begins)) and begins[0] >= tables[CITY].versions[0].begins, (
            table.authority
        )


@pytest.mark.promise("points-106", "Cap 30 from 2021-09-08, 50 from 2022-04-01, all ten")
@pytest.mark.parametrize(
    ("day", "cap"), [("2021-09-08", 30), ("2022-03-31", 30), ("2022-04-01", 50)]
)
def test_district_points_are_capped_alike_in_all_districts(
    tables: dict[str, PointsTable], day: str, cap: int
) -> None:
    as_of = dt.date.fromisoformat(day)
    begun = [tables[code] for code in PROJECT_DISTRICTS if tables[code].versions[0].begins <= as_of]
    assert {table.in_force(as_of).sections["district"].cap for table in begun} == {cap}


def test_all_examples_hold(
    tables: dict[str, PointsTable], engine: duckdb.DuckDBPyConnection
) -> None:
    assert check_examples(engine, PROJECT_TABLES, list(tables.values()), FACTS) == []
    assert read_tables(PROJECT_TABLES, FACTS, PROJECT_DISTRICTS).warnings == []


@pytest.mark.proves("points-10", "outputs-180")
def test_a_change_of_one_line_is_found_by_its_examples(
    tmp_path: Path, engine: duckdb.DuckDBPyConnection
) -> None:
    shutil.copytree(PROJECT_TABLES, tmp_path / "points")
    path = tmp_path / "points" / "city.yaml"
    before = path.read_text(encoding="utf-8")
    path.write_text(
        before.replace("{from: 36, to: 45, points: 8}", "{from: 36, to: 45, points: 9}"),
        encoding="utf-8",
    )
    tables = load_tables(tmp_path / "points", FACTS, PROJECT_DISTRICTS)
    found = check_examples(engine, tmp_path / "points", tables, FACTS)
    assert [problem.key for problem in found] == [
        f"versions.0.indicators.age.examples.{age}" for age in (36, 45)
    ]
    assert "例中写 8 分，按规则得 9.00 分" in found[0].found
    text = path.read_text(encoding="utf-8").splitlines()
    assert text[found[0].line - 1].strip().startswith("examples: {17: 0")


@pytest.mark.slow
def test_an_example_with_too_many_points_is_reported(
    tmp_path: Path, engine: duckdb.DuckDBPyConnection
) -> None:
    shutil.copytree(PROJECT_TABLES, tmp_path / "points")
    path = tmp_path / "points" / "city.yaml"
    text = path.read_text(encoding="utf-8").replace(
        "{0: 0, 1: 5, 3: 15}", "{0: 0, 1: 6, 20000: 15}", 1
    )
    path.write_text(text, encoding="utf-8")
    found = check_examples(
        engine,
        tmp_path / "points",
        load_tables(tmp_path / "points", FACTS, PROJECT_DISTRICTS),
        FACTS,
    )
    reported = {
        problem.key.rpartition(".")[2]: problem.found
        for problem in found
        if problem.key.startswith("versions.0")
    }
    assert reported == {
        "1": "例中写 6 分，按规则得 5.00 分",
        "20000": "例中写 15 分，按规则的分超出 99,999.99",
    }


@pytest.mark.slow
def test_an_example_lacking_a_fact_of_its_condition_is_reported(
    tmp_path: Path, engine: duckdb.DuckDBPyConnection
) -> None:
    shutil.copytree(PROJECT_TABLES, tmp_path / "points")
    path = tmp_path / "points" / "city.yaml"
    before = path.read_text(encoding="utf-8")
    guarded = "        fact: permit_months\n        when: insured_now and permit_months >= 12\n"
    path.write_text(before.replace("        fact: permit_months\n", guarded), encoding="utf-8")
    found = check_examples(
        engine,
        tmp_path / "points",
        load_tables(tmp_path / "points", FACTS, PROJECT_DISTRICTS),
        FACTS,
    )
    assert {problem.expected for problem in found} == {
        "请核对规则与例子；例中没有写条件用到的 insured_now"
    }


@pytest.mark.promise(
    "points-3", "In force is the newest version begun on or before the scoring date"
)
@pytest.mark.promise("points-4", "A scoring date before the first version is an error, code 10")
@pytest.mark.promise("outputs-14", "Policy writer: dates a version")
def test_the_version_in_force_is_the_newest_that_has_begun(tables: dict[str, PointsTable]) -> None:
    city = tables["city"]
    assert city.in_force(dt.date(2021, 9, 30)).begins == dt.date(2021, 9, 8)
    assert city.in_force(dt.date(2022, 3, 31)).begins == dt.date(2021, 9, 8)
    assert city.in_force(dt.date(2022, 4, 1)).begins == dt.date(2022, 4, 1)
    with pytest.raises(JifenError) as refused:
        city.in_force(dt.date(2021, 9, 7))
    assert refused.value.code is ExitCode.DECLARATIONS


@pytest.mark.promise("points-5", "A later version takes over what it does not change (`as_in`)")
def test_indicators_taken_over_keep_what_was_not_replaced(tables: dict[str, PointsTable]) -> None:
    before, after = tables["city"].versions
    assert (before.indicators["job_creation"].cap, after.indicators["job_creation"].cap) == (10, 20)
    assert (before.indicators["inventions"].cap, after.indicators["inventions"].cap) == (20, 30)
    assert after.indicators["donation"].cap == Decimal(40)
    assert after.indicators["honours"].section == "city"


@pytest.mark.promise("points-20", "What counts as changed is what is said, not how it is written")
def test_the_hash_depends_on_meaning_not_on_notation(tables: dict[str, PointsTable]) -> None:
    rule = {"each": {"unit": "12", "points": "2"}}
    base = version({"x": line(rule, fact="months", cap="10"), "y": line(rule, fact="months")})
    same = version(
        {"x": line(rule, fact="months", cap="10.0"), "y": line(rule, fact="months")}, amends="更正"
    )
    dearer = version({"x": line(rule, fact="months", cap="11"), "y": line(rule, fact="months")})
    turned = version({"y": line(rule, fact="months"), "x": line(rule, fact="months", cap="10")})
    assert base.hash == same.hash
    assert len({base.hash, dearer.hash, turned.hash}) == 3
    all_versions = [version for table in tables.values() for version in table.versions]
    assert len({version.hash for version in all_versions}) == len(all_versions)
