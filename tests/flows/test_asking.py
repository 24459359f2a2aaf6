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
    assert json.loads(capsys.readouterr().out) == {"district": "330203", "total_points": "8.00"}
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


def test_without_a_published_month_there_is_nothing_to_ask(tmp_path: Path) -> None:
    with pytest.raises(JifenError) as caught:
        ask(World(tmp_path).settings, "SELECT 1", "csv")
    assert caught.value.code == ExitCode.USAGE
