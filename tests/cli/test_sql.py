"""`jifen sql` answers questions on published pseudonymous data, and does nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from expectations.errors import ExitCode, JifenError
from flows.cli.app import app
from flows.commands.sql import read_query, run_query
from flows.pipeline.release import renew_catalogue
from flows.project import load_project
from tests.support.world import World, national_id

PERSON = national_id("33020319850101101")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = World(tmp_path_factory.mktemp("asking"))
    resident = {
        "resident_id": PERSON,
        "residence_district": "330203",
        "registered_on": "2019-01-15",
        "status": "resident",
    }
    world.deliver("2021-10", registry=[resident])
    world.run("2021-10")
    renew_catalogue(load_project(world.settings), world.root)
    return world


@pytest.mark.promise("outputs-178", "`sql`: table, CSV, JSON")
def test_a_question_is_answered_as_json_csv_or_table(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    query = "SET VARIABLE least = 1; SELECT district, total_points FROM latest_scores WHERE total_points >= getvariable('least')"
    run_query(world.settings, query, "json")
    assert json.loads(capsys.readouterr().out) == {"district": "330203", "total_points": 8}
    run_query(world.settings, query, "csv")
    assert capsys.readouterr().out == "\ufeffdistrict,total_points\n330203,8.00\n"
    run_query(world.settings, query, "table")
    assert "8.00" in capsys.readouterr().out


@pytest.mark.promise("outputs-179", "`sql` reads published pseudonymous files only, writes nothing")
@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM read_parquet('{revision}/restricted/identities/identities.parquet')",
        "SELECT * FROM read_text('{root}/secret.key')",
        "SELECT * FROM glob('{root}/*')",
        "SELECT 1; COPY (SELECT 1) TO '{revision}/scores/more.parquet'",
        "WITH x AS (COPY (SELECT 1) TO '{revision}/scores/more.parquet') FROM x",
        "(WITH x AS (COPY (SELECT 1) TO '{revision}/scores/more.parquet') FROM x) UNION ALL SELECT 1; -- a comment",
        "SET VARIABLE x = (WITH x AS (COPY (SELECT 1) TO '{revision}/scores/more.parquet') FROM x)",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO '{revision}/scores/more.parquet'",
        "EXPLAIN /**/ ANALYZE COPY (SELECT 1) TO '{revision}/scores/more.parquet'",
        "EXPLAIN (ANALYZE) COPY (SELECT 1) TO '{revision}/scores/more.parquet'",
        "EXPLAIN ANALYZE WITH x AS (COPY (SELECT 1) TO '{revision}/scores/more.parquet') FROM x",
        "EXPLAIN ANALYZE COPY (PIVOT scores ON district USING count(*)) TO '{revision}/scores/more.parquet'",
        "COPY (PIVOT scores ON district USING count(*)) TO '{revision}/scores/more.parquet'",
        "PIVOT scores ON district IN (WITH x AS (COPY (SELECT 1) TO '{revision}/scores/more.parquet') FROM x) USING count(*)",
        "FROM (WITH x AS (COPY (SELECT 1) TO '{revision}/scores/more.parquet') PIVOT scores ON district USING count(*))",
        "PIVOT (WITH x AS (COPY (SELECT 1 AS a) TO '{revision}/scores/more.parquet') FROM x) ON a USING count(*)",
        "WITH x AS (COPY (SELECT 1) TO '{revision}/scores/more.parquet') PIVOT scores ON district USING count(*)",
        "PIVOT scores ON district IN ('330203') USING count(*); COPY (SELECT 1) TO '{revision}/scores/more.parquet'",
        "PIVOT read_parquet('{revision}/restricted/identities/identities.parquet') ON district USING count(*)",
        "EXPLAIN ANALYZE SELECT * FROM read_text('{root}/secret.key')",
        "EXPLAIN CREATE TABLE x AS SELECT 1",
        "CREATE TABLE x AS PIVOT scores ON district USING count(*)",
        "CREATE TABLE x AS SELECT 1",
        "DROP VIEW scores",
        "ATTACH '{root}/other.duckdb'",
        "SET enable_external_access = true; SELECT 1",
        "SET allowed_directories = ['/']",
        "EXPORT DATABASE '{root}/out'",
        "LOAD httpfs",
        "SELECT nothing FROM scores",
        "not a question",
        "",
        "-- nothing but a comment",
    ],
)
def test_nothing_else_can_be_read_or_written(world: World, query: str) -> None:
    revision = world.revision("2021-10").path
    before = sorted(path for path in world.root.path.rglob("*") if "tmp" not in path.parts)
    with pytest.raises(JifenError) as caught:
        run_query(world.settings, query.format(revision=revision, root=world.root.path), "csv")
    assert caught.value.code == ExitCode.USAGE
    assert PERSON not in str(caught.value)
    assert sorted(path for path in world.root.path.rglob("*") if "tmp" not in path.parts) == before


def test_a_mistake_is_reported_with_what_was_perhaps_meant(world: World) -> None:
    with pytest.raises(JifenError) as caught:
        run_query(world.settings, "SELECT distrct FROM scores", "table")
    assert '"district"' in str(caught.value) and "LINE 1: SELECT distrct" in str(caught.value)


def test_no_column_and_no_letter_is_cut_off_in_a_narrow_terminal(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    run_query(
        world.settings,
        "SELECT month, resident_key, total_points, '[red]' AS note FROM latest_scores",
        "table",
    )
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == [
        "month",
        "resident_key",
        "total_points",
        "note",
    ]
    assert len(lines[2].split()[1]) == 32 and lines[3:] == [
        "total_points  8.00",
        "note          [red]",
    ]


def test_a_long_answer_is_a_short_table_that_says_so_and_a_whole_file(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    query = "SELECT unnest(range(20001)) AS number"
    run_query(world.settings, query, "table")
    shown = capsys.readouterr()
    assert "│    999 │" in shown.out and "1000" not in shown.out and "1,000" in shown.err
    run_query(world.settings, query, "csv")
    assert capsys.readouterr().out.split() == ["\ufeffnumber", *map(str, range(20001))]


def test_a_file_says_what_other_tools_say(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    query = "SELECT true AS yes, [{'key': 'a', 'points': 1.50}] AS awards, NULL AS nothing"
    run_query(world.settings, query, "csv")
    assert (
        capsys.readouterr().out
        == '\ufeffyes,awards,nothing\ntrue,"[{""key"": ""a"", ""points"": 1.5}]",\n'
    )
    run_query(world.settings, query, "json")
    row = json.loads(capsys.readouterr().out)
    assert row == {"yes": True, "awards": [{"key": "a", "points": 1.5}], "nothing": None}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (
            "PIVOT scores ON district IN ('330203') USING count(*) GROUP BY policy_city; -- a comment",
            "330203",
        ),
        ("EXPLAIN SELECT count(*) FROM scores", "physical_plan"),
        ("explain analyze SELECT count(*) FROM scores;", "analyzed_plan"),
        ("SUMMARIZE scores", "total_points"),
        ("DESCRIBE scores", "total_points"),
        ("SHOW TABLES", "latest_scores"),
    ],
)
def test_statements_that_only_read_are_answered(
    world: World, capsys: pytest.CaptureFixture[str], query: str, expected: str
) -> None:
    run_query(world.settings, query, "json")
    assert expected in capsys.readouterr().out


def test_json_numbers_duplicate_names_and_nulls_values_it_lacks(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """A name that is taken gets a number, as DuckDB itself names the columns of a table; what is no number is null."""
    run_query(world.settings, "SELECT 1 AS a, 2 AS a, 3 AS a_1, 4 AS a", "json")
    assert json.loads(capsys.readouterr().out) == {"a": 1, "a_2": 2, "a_1": 3, "a_3": 4}
    query = "SELECT map([DATE '2021-01-01'], ['inf'::DOUBLE]) AS m, 'nan'::DOUBLE AS n, [1.5, 2]::DECIMAL(2,1)[2] AS l"
    run_query(world.settings, query, "json")
    line = capsys.readouterr().out
    assert json.loads(line, parse_constant=pytest.fail) == {
        "m": {"2021-01-01": None},
        "n": None,
        "l": [1.5, 2],
    }
    for form in ("csv", "table"):
        run_query(world.settings, query, form)
        assert "2021-01-01" in capsys.readouterr().out


def test_nothing_is_left_behind(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = sorted(world.root.path.rglob("*"))
    run_query(world.settings, "SELECT 1", "csv")
    assert sorted(world.root.path.rglob("*")) == before and list(tmp_path.iterdir()) == []


def test_without_a_published_month_there_is_nothing_to_ask(tmp_path: Path) -> None:
    with pytest.raises(JifenError) as caught:
        run_query(World(tmp_path).settings, "SELECT 1", "csv")
    assert caught.value.code == ExitCode.USAGE


def test_every_statement_of_a_text_is_answered_under_its_own_line(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    run_query(world.settings, "SELECT 1 AS a;\n-- a comment\nSELECT 'second' AS b", "table")
    said = capsys.readouterr().out
    assert said.index("第 1 条：SELECT 1 AS a") < said.index("第 2 条：SELECT 'second' AS b")
    assert said.index("│ 1 │") < said.index("│ second │")


@pytest.mark.parametrize("form", ["csv", "json"])
def test_a_file_of_two_answers_is_refused_by_name(
    world: World, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(JifenError) as caught:
        run_query(world.settings, "SELECT 1 AS a; SELECT 2 AS b", form)
    assert caught.value.code == ExitCode.USAGE and "SELECT 2 AS b" in str(caught.value)
    assert capsys.readouterr().out == ""


def test_variables_without_a_question_are_no_query(world: World) -> None:
    with pytest.raises(JifenError, match="没有查询"):
        run_query(world.settings, "SET VARIABLE a = 1", "table")


def test_a_file_of_sql_is_run(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "我的 q.sql").write_text("\ufeffSELECT 7 AS seven", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    asked = ["sql", "--csv", "我的 q.sql", "--root", str(world.root.path)]
    result = CliRunner().invoke(app, asked)
    assert (result.exit_code, result.stdout) == (0, "\ufeffseven\n7\n")
    (tmp_path / "bytes.sql").write_bytes(b"SELECT '\xff'")
    for name, said in (("none.sql", "没有这个文件"), ("bytes.sql", "UTF-8")):
        with pytest.raises(JifenError) as caught:
            read_query(name)
        assert caught.value.code == ExitCode.USAGE and said in str(caught.value)
    assert read_query("SELECT district FROM s.sql") == "SELECT district FROM s.sql"


@pytest.mark.parametrize(
    ("query", "meant"),
    [
        ("SELECT * FROM latest_score", "是否应为 latest_scores？"),
        ("SELECT * FROM district", "是否应为 districts？"),
        ("SELECT * FROM persons_of_interest", "latest_facts"),
        ("SELECT age FROM latest_scores", "age 在 latest_facts 中"),
    ],
)
def test_an_unknown_name_is_answered_with_those_like_it(
    world: World, query: str, meant: str
) -> None:
    with pytest.raises(JifenError) as caught:
        run_query(world.settings, query, "table")
    assert meant in str(caught.value)


@pytest.mark.parametrize("form", ["csv", "json", "table"])
def test_a_publishable_answer_shows_nothing_of_one_person(
    world: World, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    """Not even that there is one: a district without anybody is answered in the same words."""
    query = "SELECT district AS d, count(*) AS p, avg(total_points) FROM latest_scores WHERE {} GROUP BY 1"
    said = []
    for condition in ("district = '330203'", "district = '330205'"):
        run_query(world.settings, query.format(condition), form, publishable=True)
        said.append(capsys.readouterr())
    assert said[0] == said[1] and "330203" not in said[0].out
    assert "共 少于 10 行、少于 10 人" in said[0].err and "0 格不显示" in said[0].err


def test_what_cannot_be_judged_is_not_published(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = "SELECT district, count(*) FROM latest_scores GROUP BY 1; SELECT max(total_points) FROM scores"
    with pytest.raises(JifenError, match="max") as caught:
        run_query(world.settings, asked, "table", publishable=True)
    assert caught.value.code == ExitCode.USAGE and capsys.readouterr().out == ""
