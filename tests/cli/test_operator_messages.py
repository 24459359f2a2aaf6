"""What the operator reads in the terminal when something is wrong: whole, without noise, with its place."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from expectations.errors import ExitCode
from flows.cli.app import app
from tests.support.command import delivered, jifen


def test_status_of_an_empty_root_says_which_root_it_looked_at(tmp_path: Path) -> None:
    assert (
        f"（根目录 {tmp_path / 'elsewhere'}）"
        in jifen(tmp_path, "--root", "elsewhere", "status").stdout
    )


@pytest.fixture(scope="module")
def invalid_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder whose only month has three deliveries that cannot be read, or lack a column."""
    folder = tmp_path_factory.mktemp("invalid")
    inbox = delivered(folder).inbox / "2021-10"
    inbox.joinpath("education.csv").write_bytes("证书编号,公民身份号码\n".encode("gb18030"))
    inbox.joinpath("housing.csv").write_text("record_id\n", encoding="utf-8")
    inbox.joinpath("patents.csv").write_bytes(b"")
    return folder


def test_several_bad_deliveries_end_in_sentences_and_nothing_else(invalid_folder: Path) -> None:
    done = jifen(invalid_folder, "run", "--month", "2021-10")
    assert done.returncode == ExitCode.EXTRACT
    lines = done.stderr.splitlines()
    assert lines[0] == "3 份交付缺少或未通过："
    assert [line.strip() for line in lines if not line.startswith("  ")] == lines[:1], done.stderr
    assert len([line for line in lines if line.startswith("    处理：")]) == 3
    shown = jifen(invalid_folder, "status", COLUMNS="400").stdout
    assert "3 份交付缺少或未通过（退出码 11），逐项处理" in shown and "，报告 " in shown
    assert "各来源齐全" not in shown


def test_status_shows_the_whole_setting_for_one_bad_delivery(invalid_folder: Path) -> None:
    delivered(invalid_folder)
    settings = invalid_folder / "jifen.toml"
    text = settings.read_text(encoding="utf-8") + '[sources.education]\nencoding = "utf-8"\n'
    settings.write_text(text, encoding="utf-8")
    (invalid_folder / "inbox" / "2021-10" / "education.csv").write_bytes(
        "证书编号,公民身份号码\n".encode("gb18030")
    )
    done = jifen(invalid_folder, "run", "--month", "2021-10")
    assert "nanobind" not in done.stderr and "[sources.education]" in done.stderr
    assert "[sources.education]" in jifen(invalid_folder, "status", COLUMNS="400").stdout


def test_a_source_that_nobody_declared_cannot_be_allowed_to_be_missing(
    invalid_folder: Path,
) -> None:
    done = jifen(
        invalid_folder, "run", "--month", "2021-10", "--allow-missing", "patentss=本月无数据"
    )
    assert done.returncode == ExitCode.USAGE
    assert "patentss" in done.stderr and "social_security" in done.stderr
    assert "2021-10 开始" not in done.stdout


@pytest.mark.parametrize("command", [("status",), ("check",), ("demo", "--residents", "1")])
def test_a_file_where_the_root_should_be_is_reported(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    (tmp_path / "file").touch()
    for root in ("file", "file/var"):
        done = jifen(tmp_path, *command, "--root", root)
        assert (done.returncode, done.stdout) == (ExitCode.USAGE, "")
        assert done.stderr.splitlines()[:2] == [
            "根目录不可用：这里是一个文件，不是文件夹",
            f"  位置：{tmp_path / 'file'}",
        ]
        assert "--root" in done.stderr.splitlines()[2]


def test_a_root_that_is_closed_to_this_user_is_reported(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    mortal = (
        ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if os.getuid() == 0 else []
    )
    for root in (closed, closed / "var"):
        command = [
            *mortal,
            str(Path(sys.executable).parent / "jifen"),
            "status",
            "--root",
            str(root),
        ]
        done = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False
        )
        assert (done.returncode, done.stdout) == (ExitCode.OTHER, "")
        what, where, hint = done.stderr.splitlines()
        assert (
            "没有权限" in what and f"位置：{closed}" in where and "检查文件夹的属主和权限" in hint
        )


def test_no_help_is_cut_off_at_eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    for name in ("", *commands):
        shown = CliRunner().invoke(app, [*name.split(), "--help"]).stdout
        assert "用" in shown or "例" in shown, name
        assert "…" not in shown, shown
