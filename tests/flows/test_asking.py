"""`jifen sql` answers questions on published pseudonymous data, and does nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from expectations.problems import ExitCode, JifenError
from flows.asking import ask
from flows.house import load_house
from flows.month import renew_catalogue
from tests.world import World, national_id

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
    renew_catalogue(load_house(world.settings), world.root)
    return world


def test_a_question_is_answered_as_json_csv_or_table(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    query = "SET VARIABLE least = 1; SELECT district, total_points FROM latest_scores WHERE total_points >= getvariable('least')"
    ask(world.settings, query, "json")
    assert json.loads(capsys.readouterr().out) == {"district": "330203", "total_points": 8}
    ask(world.settings, query, "csv")
    assert capsys.readouterr().out == "district,total_points\n330203,8.00\n"
    ask(world.settings, query, "table")
    assert "8.00" in capsys.readouterr().out


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM read_parquet('{revision}/restricted/identities/identities.parquet')",
        "SELECT * FROM read_text('{root}/secret.key')",
        "SELECT * FROM glob('{root}/*')",
        "SELECT 1; COPY (SELECT 1) TO '{revision}/scores/more.parquet'",
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
        ask(world.settings, query.format(revision=revision, root=world.root.path), "csv")
    assert caught.value.code == ExitCode.USAGE
    assert PERSON not in str(caught.value)
    assert sorted(path for path in world.root.path.rglob("*") if "tmp" not in path.parts) == before


def test_a_mistake_is_told_with_what_was_perhaps_meant(world: World) -> None:
    with pytest.raises(JifenError) as caught:
        ask(world.settings, "SELECT distrct FROM scores", "table")
    assert '"district"' in str(caught.value) and "LINE 1: SELECT distrct" in str(caught.value)


def test_no_column_and_no_letter_is_cut_off_in_a_narrow_terminal(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    ask(world.settings, "SELECT month, resident_key, total_points, '[red]' AS note FROM latest_scores", "table")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["month", "resident_key", "total_points", "note"]
    assert len(lines[2].split()[1]) == 32 and lines[3:] == ["total_points  8.00", "note          [red]"]


def test_a_long_answer_is_a_short_table_that_says_so_and_a_whole_file(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    query = "SELECT unnest(range(20001)) AS number"
    ask(world.settings, query, "table")
    shown = capsys.readouterr()
    assert "│    999 │" in shown.out and "1000" not in shown.out and "1,000" in shown.err
    ask(world.settings, query, "csv")
    assert capsys.readouterr().out.split() == ["number", *map(str, range(20001))]


def test_a_file_says_what_other_tools_say(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    query = "SELECT true AS yes, [{'key': 'a', 'points': 1.50}] AS awards, NULL AS nothing"
    ask(world.settings, query, "csv")
    assert capsys.readouterr().out == 'yes,awards,nothing\ntrue,"[{""key"": ""a"", ""points"": 1.5}]",\n'
    ask(world.settings, query, "json")
    told = json.loads(capsys.readouterr().out)
    assert told == {"yes": True, "awards": [{"key": "a", "points": 1.5}], "nothing": None}


def test_nothing_is_left_behind(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = sorted(world.root.path.rglob("*"))
    ask(world.settings, "SELECT 1", "csv")
    assert sorted(world.root.path.rglob("*")) == before and list(tmp_path.iterdir()) == []


def test_without_a_published_month_there_is_nothing_to_ask(tmp_path: Path) -> None:
    with pytest.raises(JifenError) as caught:
        ask(World(tmp_path).settings, "SELECT 1", "csv")
    assert caught.value.code == ExitCode.USAGE
