"""The command as an operator meets it: real processes, exit codes, messages without a trace."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from expectations.errors import ExitCode
from flows.settings import OWN_DECLARATIONS
from tests.support.command import PERSON, RESIDENT, SETTINGS, delivered, jifen
from tests.support.imports import PROJECT
from tests.support.world import World


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A working folder with a month delivered and run by the command itself, and the month after it spoilt."""
    folder = tmp_path_factory.mktemp("operator")
    delivered(folder).deliver(
        "2021-11", registry=[RESIDENT] + [{**RESIDENT, "resident_id": PERSON[:17]}] * 30
    )
    done = jifen(folder, "run", "--month", "2021-10")
    assert (done.returncode, "已发布" in done.stdout) == (ExitCode.DONE, True), done.stderr
    yield folder


@pytest.mark.promise("outputs-187", "0 done, 2 usage")
def test_the_month_is_there_for_people_and_for_analysts(folder: Path) -> None:
    assert (folder / "root" / "published" / "2021-10" / "manifest.json").is_file()
    done = jifen(folder, "sql", "--csv", "SELECT count(*) AS people FROM latest_scores")
    assert done.stdout == "\ufeffpeople\n1\n"
    assert jifen(folder, "verify").stdout == (
        "核对无误：1 个修订版，最新的是 2021-10 r1\n访问记录 2 条，链和校验码无误\n"
    )
    assert (
        jifen(folder, "verify", "--month", "2021-09").returncode == ExitCode.USAGE
    )  # nothing there: nothing to verify
    assert "2021-10" in jifen(folder, "status").stdout


@pytest.mark.promises(
    {
        "outputs-2": "Operator: bad data is never a green run",
        "outputs-51": "A failed gate is a failed run with its exit code",
        "outputs-164": "`backfill`: oldest first",
        "outputs-190": "12 gate blocked, 13 root held",
    }
)
@pytest.mark.proves("sources-117", "outputs-104")
def test_a_spoilt_month_exits_12_and_the_published_one_stays(folder: Path) -> None:
    done = jifen(folder, "backfill", "--months", "2021-10:2021-11")
    assert done.returncode == ExitCode.GATE
    assert "registry" in done.stderr
    assert "输入没有变化" in done.stdout
    assert sorted(path.name for path in (folder / "root" / "published").iterdir()) == ["2021-10"]


def test_a_month_does_not_need_somebody_who_reads_along(folder: Path) -> None:
    """The reader of a pipe has left: the run goes on.

    A full disk under the log is reported as such, and costs no month.
    """
    command = [str(Path(sys.executable).parent / "jifen"), "run", "--month", "2021-10"]
    running = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert running.stdout and running.stderr
    running.stdout.close()
    assert (running.stderr.read(), running.wait()) == ("", ExitCode.DONE)
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, cwd=folder, stdout=full, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr.splitlines()[0]) == (ExitCode.OTHER, "磁盘已满")
    closed = ["/bin/sh", "-c", 'exec "$@" >&- 2>&-', "sh", command[0], "verify"]
    assert subprocess.run(closed, cwd=folder).returncode == ExitCode.DONE
    assert "2021-10" in jifen(folder, "status").stdout


@pytest.mark.proves("outputs-190")
def test_a_second_run_on_the_same_root_is_refused(folder: Path) -> None:
    with World(folder).root.lock():
        done = jifen(folder, "run", "--month", "2021-10")
    assert done.returncode == ExitCode.LOCKED


@pytest.mark.promise("outputs-41", "Nothing runs until they are mended")
@pytest.mark.promise("outputs-151", "Illustrative values are refused (10) unless allowed")
@pytest.mark.promise(
    "outputs-180", "`check`: declarations, examples; lists illustrative values; `--strict`"
)
@pytest.mark.proves("points-16")
def test_illustrative_values_are_refused_unless_they_are_allowed(
    folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "jifen.toml").write_text(SETTINGS.split("[policy]")[0], encoding="utf-8")
    assert jifen(tmp_path, "run", "--month", "2021-10").returncode == ExitCode.DECLARATIONS
    checked = jifen(tmp_path, "check")
    assert checked.returncode == ExitCode.DONE
    assert "项取值仅为示例" in checked.stdout and "\n  city 2021-09-08 age 年龄\n" in checked.stdout
    assert jifen(tmp_path, "check", "--strict").returncode == ExitCode.DECLARATIONS


@pytest.mark.proves("outputs-187")
@pytest.mark.parametrize(
    ("line", "message"),
    {
        "run": "缺少 --month",
        "run --month 2021-13": "'2021-13' 不是月份",
        "backfill --months 2021-11:2021-10": "'2021-11:2021-10' 中没有月份",
        "nonsense": "没有命令 nonsense",
        "--debug": "缺少命令",
        "run --nonsense": "没有选项 --nonsense",
        "run --month": "--month 后面缺少值",
        f"explain {PERSON}": "有多余的参数",
        "run --send=1": "--send 后面不带值",
        "sql": "缺少 QUERY",
        "synth --residents many --months 2021-10 --out x": "--residents 应为整数",
        "synth --residents 0 --months 2021-10 --out x": "--residents 不可小于 1",
        "synth --residents 9 --months 2021-10 --out x --seed -1": "--seed 不可小于 0",
    }.items(),
)
def test_a_wrong_command_exits_2_with_a_sentence_and_the_way_out(
    tmp_path: Path, line: str, message: str
) -> None:
    done = jifen(tmp_path, *line.split())
    assert (done.returncode, done.stdout) == (ExitCode.USAGE, "")
    what, hint = done.stderr.splitlines()
    assert what == message and hint.startswith("  处理：")


@pytest.mark.parametrize(
    ("line", "meant"), [("statu", "status"), ("run --mont 2021-10", "--month")]
)
def test_a_mistyped_command_is_answered_with_what_was_meant(
    tmp_path: Path, line: str, meant: str
) -> None:
    assert f"是否应为 {meant}？" in jifen(tmp_path, *line.split()).stderr


@pytest.mark.parametrize(
    ("encoding", "expected_encoding"),
    [("ascii", "utf-8"), ("iso-8859-1", "utf-8"), ("utf-8", "utf-8"), ("gb18030", "gb18030")],
)
def test_a_terminal_that_cannot_write_chinese_gets_utf_8(
    tmp_path: Path, encoding: str, expected_encoding: str
) -> None:
    for line, stream in (("status", "stdout"), ("nonsense", "stderr")):
        command = [str(Path(sys.executable).parent / "jifen"), line]
        environment = {**os.environ, "PYTHONIOENCODING": encoding}
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, timeout=60
        )
        shown = getattr(done, stream).decode(expected_encoding)
        assert "还没有任何月份" in shown if line == "status" else "没有命令 nonsense" in shown


def test_what_gbk_has_not_is_written_as_its_nearest(tmp_path: Path) -> None:
    program = (
        "from flows.cli.app import _prepare_streams; _prepare_streams(); print('积分−2.5 ✔ 𠮷')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=PROJECT,
        env={**os.environ, "PYTHONIOENCODING": "gbk"},
        capture_output=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout.decode("gbk")) == (0, "积分-2.5 √ ?\n")


def test_a_chinese_path_is_found_under_a_locale_without_utf_8(tmp_path: Path) -> None:
    folder = tmp_path / "积分 数据"
    folder.mkdir()
    delivered(folder)
    locale = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    done = jifen(folder, "run", "--month", "2021-10", **locale)
    assert done.returncode == 0, done.stderr
    done = jifen(folder, "catalogue", **locale)
    assert done.returncode == 0, done.stderr


def test_the_version_is_shown(tmp_path: Path) -> None:
    assert jifen(tmp_path, "--version").stdout == f"jifen {importlib.metadata.version('jifen')}\n"


def test_debug_is_taken_after_the_command_too(tmp_path: Path) -> None:
    assert jifen(tmp_path, "status", "--debug").returncode == 0


@pytest.mark.promise(
    "outputs-38", "Declarations are closed: all mistakes at once, with their place"
)
@pytest.mark.promise("outputs-188", "10 declarations")
@pytest.mark.proves("sources-135")
def test_all_mistakes_are_reported_together_with_file_line_and_key(tmp_path: Path) -> None:
    for name in ("points", "services", "reminders"):
        shutil.copytree(OWN_DECLARATIONS / name, tmp_path / "policy" / name)
    (tmp_path / "jifen.toml").write_text(
        SETTINGS.replace("[paths]", '[paths]\npolicy = "policy"'), encoding="utf-8"
    )
    city = tmp_path / "policy" / "points" / "city.yaml"
    text = (
        city.read_text(encoding="utf-8")
        .replace("from: 18, to: 35", "from: 18, to: 36", 1)
        .replace("evidence: 年龄", "evidense: 年龄", 1)
    )
    city.write_text(text, encoding="utf-8")
    district = tmp_path / "policy" / "points" / "330203.yaml"
    district.write_text(
        district.read_text(encoding="utf-8").replace("award:mentoring", "no_such_fact", 1),
        encoding="utf-8",
    )
    done = jifen(tmp_path, "check")
    assert done.returncode == ExitCode.DECLARATIONS
    assert "city.yaml:" in done.stderr
    assert "330203.yaml:" in done.stderr
    assert "evidense" in done.stderr
    assert "no_such_fact" in done.stderr


@pytest.mark.promise("outputs-192", "15 damage, 1 anything else")
def test_damage_is_found_and_exits_15(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "copy", symlinks=True)
    scores = next(
        (tmp_path / "copy" / "root" / "months" / "2021-10" / "r1" / "scores").glob("*.parquet")
    )
    content = bytearray(scores.read_bytes())
    content[len(content) // 2] ^= 1
    scores.write_bytes(content)
    assert jifen(tmp_path / "copy", "verify").returncode == ExitCode.DAMAGE
    (scores.parent.parent / "manifest.json").unlink()
    listed = jifen(tmp_path / "copy", "verify")
    assert listed.returncode == ExitCode.DAMAGE and "处损坏：\n  2021-10 r1：清单" in listed.stderr
