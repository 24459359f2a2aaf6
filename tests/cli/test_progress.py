"""On a terminal one live line stands below the plain ones and goes when the command ends; elsewhere there is none."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from expectations.errors import ExitCode
from flows.pipeline.stages import STAGES
from tests.support.command import PERSON, RESIDENT, delivered, jifen

HIDDEN_CURSOR = "\x1b[?25l"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A good month in the inbox, and a spoilt one after it."""
    folder = tmp_path_factory.mktemp("terminal")
    delivered(folder).deliver(
        "2021-11", registry=[RESIDENT] + [{**RESIDENT, "resident_id": PERSON[:17]}] * 30
    )
    return folder


def on_terminal(
    folder: Path, *arguments: str, typed: str = "", killed_at: str = ""
) -> tuple[int, str]:
    """Run the command on a terminal of its own, 120 wide: exit code, and all that was written to it.

    `typed`: what is typed at the first prompt. `killed_at`: what is awaited before the process is killed.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 120, 0, 0))
    command = [str(Path(sys.executable).parent / "jifen"), *arguments]
    given = {
        name: value
        for name, value in os.environ.items()
        if name not in ("COLUMNS", "LINES", "NO_COLOR")
    }
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**given, "TERM": "xterm"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    written = b""
    try:
        while part := os.read(ours, 4096):
            written += part
            if typed and written.decode(errors="ignore").endswith(": "):
                os.write(ours, typed.encode())
                typed = ""
            if killed_at and killed_at in written.decode(errors="ignore"):
                process.send_signal(signal.SIGKILL)
                killed_at = ""
    except OSError:  # how the end of a terminal reads
        pass
    os.close(ours)
    return process.wait(), written.decode()


def seen(written: str) -> tuple[list[str], int]:
    """What stands on the terminal in the end, line by line, and the column of the cursor."""
    lines, row, column = [""], 0, 0
    for piece in re.findall(r"\x1b\[[0-9;?]*[a-zA-Z]|[\r\n]|[^\r\n\x1b]+", written):
        if piece == "\n":
            row += 1
            lines += [""] * (row == len(lines))
        elif piece == "\r":
            column = 0
        elif piece == "\x1b[2K":
            lines[row] = ""
        elif piece.endswith("A") and piece.startswith("\x1b"):
            row -= int(piece[2:-1] or 1)
        elif not piece.startswith("\x1b"):
            lines[row] = lines[row][:column] + piece
            column += len(piece)
    return lines, column


@pytest.mark.proves("outputs-185")
def test_the_live_line_counts_the_steps_and_leaves_only_the_plain_lines(folder: Path) -> None:
    code, written = on_terminal(folder, "backfill", "--months", "2021-10:2021-11")
    assert code == ExitCode.GATE
    shown = re.sub(r"\x1b\[[0-9;]*m", "", written)
    steps = [
        re.findall(rf"━ +(\d+)/{len(STAGES)} {month} (\S+) +\d:\d\d:\d\d", shown)
        for month in ("2021-10", "2021-11")
    ]
    places = {stage.title: str(place) for place, stage in enumerate(STAGES, 1)}
    expected = {(places[title], title) for title in ("指标数据", "区县导出", "发布")}
    assert expected <= set(steps[0])
    assert set(steps[1]) <= {("1", "接收数据"), ("2", "检查和清洗")} and steps[1]
    assert re.search(r"准备 .*\d:\d\d:\d\d", shown.split("2021-10 开始")[0])

    lines, column = seen(written)
    assert column == 0 and lines[-1] == "" and HIDDEN_CURSOR not in written
    assert not [line for line in lines if "━" in line or f"/{len(STAGES)} " in line]
    assert lines[0] == "2021-10 开始" and lines[-2].startswith("  处理：")
    published = next(number for number, line in enumerate(lines) if "修订版 r1 已发布" in line)
    assert lines[published - 1] == "  发布"
    between = lines[published + 1 : lines.index("2021-11 开始")]
    assert all(line.startswith(("须处理（", "供了解（", "  - ")) for line in between), between


def test_where_there_is_no_terminal_there_are_the_plain_lines_and_nothing_else(
    folder: Path,
) -> None:
    piped = jifen(folder, "run", "--month", "2021-11", FORCE_COLOR="1", TERM="xterm")
    assert piped.returncode == ExitCode.GATE
    lines = piped.stdout.splitlines(keepends=True)
    report = next(number for number, line in enumerate(lines) if line.startswith("  报告："))
    assert lines[0] == "2021-11 开始\n" and lines[report].endswith(".html\n")
    assert "  2021-11 registry 未通过\n" in lines[1:report]
    plain = re.compile(r"  (清洗 2021-1[01] [a-z_]+|2021-11 registry 未通过)\n")
    assert all(plain.fullmatch(line) for line in lines[1:report]), lines[1:report]
    assert lines[report + 1].startswith("须处理（")
    assert "\x1b" not in piped.stdout + piped.stderr


def test_a_killed_run_leaves_the_cursor_on_an_empty_line(folder: Path) -> None:
    code, written = on_terminal(folder, "run", "--month", "2021-10", killed_at="准备")
    lines, column = seen(written)
    assert (code, column, lines[-1]) == (-signal.SIGKILL, 0, "")
    assert "准备" in lines[-2] and HIDDEN_CURSOR not in written


@pytest.mark.promise("outputs-170", "`explain`: the ID from a prompt (unseen) or stdin")
def test_an_id_is_typed_unseen_on_a_terminal_and_read_in_silence_from_a_pipe(folder: Path) -> None:
    asked = folder / "root"
    if not (asked / "published" / "2021-10").exists():
        assert jifen(folder, "run", "--month", "2021-10").returncode == ExitCode.DONE
    code, written = on_terminal(folder, "explain", typed=f"{PERSON}\n")
    assert code == ExitCode.DONE and written.startswith("公民身份号码: ") and PERSON not in written
    command = [str(Path(sys.executable).parent / "jifen"), "explain"]
    for given in (command, [*command, "--resident", "-"]):
        done = subprocess.run(
            given, cwd=folder, input=f"{PERSON}\n", capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (ExitCode.DONE, "")
        assert done.stdout.splitlines() == seen(written)[0][1:-1]
