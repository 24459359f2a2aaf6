"""Promises about the commands, and about when they make what, that nothing else holds."""

from __future__ import annotations

import csv
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import typer
from typer.testing import CliRunner

from expectations.errors import ExitCode, JifenError
from flows.cli.app import app, main
from flows.pipeline.preflight import refuse_missing_keys
from flows.project import load_project
from flows.settings import OWN_DECLARATIONS, Exports, load_settings
from flows.storage.files import hash_file
from tests.support.world import World, national_id
from transforms.engine.parquet import PARQUET
from transforms.engine.session import EngineSettings, open_engine
from transforms.engine.sql import sql_literal

PERSON = national_id("33020319850101101")
RESIDENT = {"resident_id": PERSON, "residence_district": "330203", "status": "resident"}


@pytest.mark.promise("outputs-64", "Run-time data outside the repo: `var/`, ignored by git")
def test_run_time_data_has_a_place_of_its_own_that_git_does_not_see(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JIFEN_ROOT", raising=False)
    assert load_settings(None).paths.root == tmp_path / "var"
    assert (
        "var/" in (OWN_DECLARATIONS.parent / ".gitignore").read_text(encoding="utf-8").splitlines()
    )


@pytest.mark.promise("outputs-99", "Row groups of 100,000 to 500,000 rows")
def test_row_groups_are_neither_small_nor_large(tmp_path: Path) -> None:
    with open_engine(EngineSettings("200MB", 2), tmp_path / "spill") as connection:
        connection.execute(
            f"COPY (FROM range(700000)) TO {sql_literal(tmp_path / 'a.parquet')} ({PARQUET})"
        )
    metadata = pq.read_metadata(tmp_path / "a.parquet")
    *full, rest = [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)]
    assert (
        all(100_000 <= rows <= 500_000 for rows in full)
        and sum(full) + rest == 700_000
        and rest <= 500_000
    )


@pytest.mark.promise("outputs-106", "Another reference table or other code makes another revision")
def test_another_reference_table_or_other_code_makes_another_revision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(OWN_DECLARATIONS / "reference", tmp_path / "reference")
    world = World(tmp_path, only=("registry",), reference=tmp_path / "reference")
    world.deliver("2021-10", registry=[RESIDENT])
    world.run("2021-10")
    with (tmp_path / "reference" / "shortage_occupations.csv").open("a", encoding="utf-8") as rows:
        rows.write("2021,9-99-99-99,试验工\n")
    world.run("2021-10")
    assert world.revision("2021-10").number == 2
    monkeypatch.setattr("flows.pipeline.fingerprints.code_fingerprint", lambda *places: "another")
    world.run("2021-10")
    assert world.revision("2021-10").number == 3


@pytest.mark.promise("outputs-137", "... before the first step, and by `jifen check`")
@pytest.mark.proves("outputs-136")
def test_a_district_without_a_key_ends_the_run_when_keys_are_required(tmp_path: Path) -> None:
    world = World(tmp_path, only=("registry",))
    world.settings = world.settings.model_copy(update={"exports": Exports(require_encryption=True)})
    world.deliver("2021-10", registry=[RESIDENT])
    with pytest.raises(
        JifenError, match="330203 海曙区"
    ):  # `jifen run` asks the same before its first step
        refuse_missing_keys(load_project(world.settings))
    with pytest.raises(JifenError, match="330203 海曙区") as refused:
        world.run("2021-10")
    assert refused.value.code == ExitCode.DECLARATIONS
    assert not list(world.root.path.rglob("exports")) and not list(world.root.published.iterdir())


def commands() -> dict[str, Any]:
    return dict(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


@pytest.mark.promise("outputs-63", "One package set, one command")
@pytest.mark.promise("outputs-156", "Every command is explained and shows an example")
def test_every_command_explains_itself_and_shows_an_example() -> None:
    assert commands().keys() == {
        *(
            "demo",
            "synth",
            "run",
            "backfill",
            "deliver",
            "serve",
            "status",
            "explain",
            "statement",
            "inspect",
            "simulate",
            "diff",
            "sql",
            "check",
        ),
        *("verify", "catalogue", "overview", "access", "prune", "project", "rekey"),
    }
    overview = CliRunner().invoke(app, ["--help"]).stdout
    for name in commands():
        assert re.search(rf"\b{name} +\S*[\u4e00-\u9fff]", overview), name
        helped = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "200"}).stdout
        assert f"例：jifen {name}" in helped


@pytest.mark.promise("outputs-162", "`--accept`, `--allow-missing` need a reason")
@pytest.mark.parametrize(
    "given", [["--allow-missing", "patents"], ["--allow-missing", "patents= "], ["--accept", " "]]
)
def test_a_reason_cannot_be_left_out(given: list[str], tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["run", "--month", "2021-10", "--root", str(tmp_path), *given])
    assert isinstance(done.exception, JifenError) and done.exception.code == ExitCode.USAGE
    assert "缺少原因" in done.exception.message


@pytest.mark.promise("outputs-186", "Errors: what, where, what to do; a trace only with `--debug`")
def test_an_error_is_printed_in_three_lines_and_traced_only_for_debug(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["--root", str(tmp_path), "sql", "SELECT 1"]
    monkeypatch.setattr(sys, "argv", ["jifen", *command])
    with pytest.raises(SystemExit) as ended:
        main()
    what, where, hint = capsys.readouterr().err.splitlines()
    assert ended.value.code == ExitCode.USAGE and "没有分析目录" in what
    assert (
        where.startswith(f"  位置：{tmp_path}")
        and hint.startswith("  处理：")
        and "jifen run" in hint
    )
    monkeypatch.setattr(sys, "argv", ["jifen", "--debug", *command])
    with pytest.raises(JifenError):
        main()


@pytest.mark.promise("outputs-39", "Reference tables too")
@pytest.mark.promise("outputs-181", "`check`: reference tables")
def test_all_mistakes_in_reference_tables_are_reported_with_their_place(
    tmp_path: Path,
) -> None:
    shutil.copytree(OWN_DECLARATIONS / "reference", tmp_path / "reference")
    wrong = {
        "districts": ("330299,新设区,Xinshe,age2", "recipient", "应为 age 公钥或留空"),
        "community_rents": ("330203,甲小区,2021-13,900", "from_month", "应为月份 YYYY-MM"),
        "shortage_occupations": ("21,9-99-99-99,试验工", "year", "应为四位年份"),
        "school_calendar": (
            "330203,2030,primary,2030-02-30,2030-07-01",
            "opens_on",
            "应为存在的日期 YYYY-MM-DD",
        ),
        "award_quotas": ("甲村,2021", "(行)", "应为 3 列"),
    }
    for name, (row, _, _) in wrong.items():
        with (tmp_path / "reference" / f"{name}.csv").open("a", encoding="utf-8") as rows:
            rows.write(f"{row}\n")
    (tmp_path / "jifen.toml").write_text('[paths]\nreference = "reference"\n', encoding="utf-8")
    done = CliRunner().invoke(app, ["check", "--config", str(tmp_path / "jifen.toml")])
    assert isinstance(done.exception, JifenError) and done.exception.code == ExitCode.DECLARATIONS
    lines = str(done.exception).splitlines()
    for name, (_, key, meant) in wrong.items():
        (line,) = (line for line in lines if f"{name}.csv:" in line)
        assert f": {key}：" in line and line.endswith(meant)


@pytest.mark.promise("outputs-157", "`demo`: two months in `var/demo`, its inbox inside, exit 0")
@pytest.mark.timeout(900)
def test_the_demonstration_runs_two_months_by_itself_in_a_root_of_its_own(tmp_path: Path) -> None:
    command = [str(Path(sys.executable).parent / "jifen"), "demo", "--residents", "30"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=880, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "积分最高的一位" in done.stdout and "结果位置" in done.stdout
    root = tmp_path / "var" / "demo"
    assert len(list((root / "published").iterdir())) == len(list((root / "inbox").glob("20*"))) == 2


@pytest.mark.promise("outputs-159", "`synth`: deterministic; planted faults listed beside them")
def test_synthetic_extracts_are_the_same_again_and_planted_faults_are_listed_beside_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = []
    for out in ("a", "b"):
        options = [
            "--residents",
            "10",
            "--months",
            "2024-03:2024-03",
            "--out",
            out,
            "--seed",
            "3",
            "--faults",
        ]
        assert CliRunner().invoke(app, ["synth", *options]).exit_code == 0
        files = sorted(path for path in Path(out).rglob("*") if path.is_file())
        made.append({str(path.relative_to(out)): hash_file(path) for path in files})
    assert made[0] == made[1] and len(made[0]) > 10
    with next(Path("a").rglob("planted.csv")).open(encoding="utf-8-sig", newline="") as planted:
        assert len(list(csv.DictReader(planted))) > 10
