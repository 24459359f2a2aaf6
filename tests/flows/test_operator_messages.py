"""What the operator reads in the terminal when something is wrong: whole, without noise, with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from expectations.problems import ExitCode
from tests.flows.test_cli import RESIDENT, SETTINGS, jifen
from tests.world import World


def test_status_of_an_empty_root_says_which_root_it_looked_at(tmp_path: Path) -> None:
    assert f"（根目录 {tmp_path / 'elsewhere'}）" in jifen(tmp_path, "--root", "elsewhere", "status").stdout


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder whose only month has three deliveries that cannot be read, or lack a column."""
    folder = tmp_path_factory.mktemp("spoilt")
    (folder / "jifen.toml").write_text(SETTINGS, encoding="utf-8")
    world = World(folder)
    world.deliver("2021-10", registry=[RESIDENT])
    inbox = world.inbox / "2021-10"
    inbox.joinpath("education.csv").write_bytes("证书编号,公民身份号码\n".encode("gb18030"))
    inbox.joinpath("housing.csv").write_text("record_id\n", encoding="utf-8")
    inbox.joinpath("patents.csv").write_bytes(b"")
    return folder


def test_several_bad_deliveries_end_in_sentences_and_nothing_else(spoilt: Path) -> None:
    done = jifen(spoilt, "run", "--month", "2021-10")
    assert done.returncode == ExitCode.EXTRACT
    lines = done.stderr.splitlines()
    assert lines[0] == "3 份交付缺少或未通过："
    assert [line.strip() for line in lines if not line.startswith("  ")] == lines[:1], done.stderr
    assert len([line for line in lines if line.startswith("    处理：")]) == 3
    shown = jifen(spoilt, "status", COLUMNS="400").stdout
    assert "3 份交付缺少或未通过（退出码 11），逐项处理" in shown and "，报告 " in shown
    assert "各来源齐全" not in shown


def test_one_bad_delivery_tells_the_whole_setting_in_status(spoilt: Path) -> None:
    World(spoilt).deliver("2021-10", registry=[RESIDENT])
    (spoilt / "inbox" / "2021-10" / "education.csv").write_bytes("证书编号,公民身份号码\n".encode("gb18030"))
    done = jifen(spoilt, "run", "--month", "2021-10")
    assert "nanobind" not in done.stderr and "[sources.education]" in done.stderr
    assert "[sources.education]" in jifen(spoilt, "status", COLUMNS="400").stdout


def test_a_source_that_nobody_declared_cannot_be_allowed_to_be_missing(spoilt: Path) -> None:
    done = jifen(spoilt, "run", "--month", "2021-10", "--allow-missing", "patentss=本月无数据")
    assert done.returncode == ExitCode.USAGE
    assert "patentss" in done.stderr and "social_security" in done.stderr
    assert "2021-10 开始" not in done.stdout
