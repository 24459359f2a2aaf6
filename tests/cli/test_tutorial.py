"""Follow the tutorial literally: its commands, one after the other, on a smaller city."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(600)  # a whole tutorial: 279 s beside other tests
PROJECT = Path(__file__).parents[2]
SMALLER = {"make demo": ".venv/bin/jifen demo --residents 1000"}


def read_commands(page: str) -> list[str]:
    """Return the shell blocks of a page."""
    text = (PROJECT / "docs" / page).read_text(encoding="utf-8")
    return re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Run all blocks in one shell, in a folder that looks like a checkout; return what each printed."""
    checkout = tmp_path_factory.mktemp("checkout")
    (checkout / ".venv").symlink_to(Path(sys.prefix))
    blocks = [SMALLER.get(block.strip(), block) for block in read_commands("tutorial.md")]
    script = "\necho =====\n".join(blocks)
    done = subprocess.run(
        ["bash", "-euc", script], cwd=checkout, capture_output=True, text=True, timeout=560
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split("=====\n")


def test_each_step_prints_what_the_tutorial_says(printed: list[str]) -> None:
    demo, look, ask, again, row, quarantined, file, corrected = printed
    assert "2024-04 修订版 r1 已发布" in demo
    assert "已发布" in look and "待运行" in look
    assert "330212" in ask and "总分" in ask
    assert "输入没有变化" in again
    assert "registry 第 2 次交付" in row and "2024-04 修订版 r2 已发布" in row
    assert "('registry.csv', 1, ['resident_id:bad_id'])" in quarantined
    assert "报告：" in file and "exit code 12" in file
    assert "2024-04 修订版 r3 已发布" in corrected
    assert "积分没有变化" in corrected and "核对无误" in corrected


def test_both_languages_have_the_same_commands() -> None:
    english, chinese = read_commands("tutorial.md"), read_commands("tutorial.zh-CN.md")
    assert [block.replace("退出码", "exit code") for block in chinese] == english
