"""Disks that are really full or read-only: a tmpfs over the city's folder, in a mount namespace of its own.

`python -m tests.faults.disk TROUBLE... < pickled city` in such a namespace runs the city's second month once for each
trouble and prints what happened as JSON lines. Troubles: `STEP:KIB`, when the step begins the disk is filled up but for so many
KiB; `command:KIB`, the real command on a disk with so many KiB left; `command:read-only`, on a read-only one.
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.faults.city import FIRST, SECOND, City
from tests.faults.kills import jifen
from tests.support.disks import NAMESPACE
from tests.support.killing import run_in_child
from tests.support.troubles import Full, filler

LARGE = 1 << 30


@dataclass(frozen=True)
class Outcome:
    """One try: what was wrong with the disk, how the run ended, and its message.

    The next run has finished: otherwise there is no outcome.
    """

    trouble: str
    code: int
    step: str
    message: str


def allowed() -> bool:
    """Whether this machine lets us mount a file system of our own."""
    return subprocess.run([*NAMESPACE, "true"], capture_output=True).returncode == 0


def in_namespace(city: City, troubles: Sequence[str]) -> list[Outcome]:
    """The outcomes of all troubles, from a process in a namespace of its own; the city itself is not touched."""
    program = [sys.executable, "-m", "tests.faults.disk", *troubles]
    project = Path(__file__).parents[2]
    done = subprocess.run(
        [*NAMESPACE, *program], input=pickle.dumps(city), capture_output=True, cwd=project
    )
    assert done.returncode == 0, done.stderr.decode()
    return [Outcome(**json.loads(line)) for line in done.stdout.splitlines()]


def _outcomes(troubles: Sequence[str]) -> Iterator[Outcome]:
    city: City = pickle.loads(sys.stdin.buffer.read())
    folder = city.folder
    with tempfile.TemporaryDirectory() as aside:
        shutil.copytree(folder, aside, symlinks=True, dirs_exist_ok=True)
        _mount("-t", "tmpfs", "-o", f"size={LARGE}", "tmpfs", str(folder))
        shutil.copytree(aside, folder, symlinks=True, dirs_exist_ok=True)
    for trouble in troubles:
        step, how = trouble.split(":")
        city.restore()
        code, reached, message = (
            _by_command(city, how) if step == "command" else _by_steps(city, Full(step, int(how)))
        )
        _mount("-o", f"remount,rw,size={LARGE}", str(folder))
        filler(city.root.path).unlink(missing_ok=True)
        city.assert_whole()
        ended = run_in_child(city.settings, SECOND)
        assert ended.code == 0, ended
        city.assert_finished()
        yield Outcome(trouble, code, reached, message)


def _by_steps(city: City, full: Full) -> tuple[int, str, str]:
    ended = run_in_child(city.settings, SECOND, full)
    return ended.code, ended.step, ended.error


def _by_command(city: City, how: str) -> tuple[int, str, str]:
    if (
        how != "read-only"
    ):  # Prefect's database is made on the first run: megabytes that would hide all other troubles
        jifen(city, "run", "--month", FIRST).communicate()
        space = os.statvfs(city.root.path)
        used = (space.f_blocks - space.f_bfree) * space.f_frsize
    change = "remount,ro" if how == "read-only" else f"remount,size={used + int(how) * 1024}"
    _mount("-o", change, str(city.root.path.parent))
    process = jifen(city, "run", "--month", SECOND)
    output = "".join(process.communicate())
    return process.returncode, "", output


def _mount(*options: str) -> None:
    subprocess.run(["mount", *options], check=True)


if __name__ == "__main__":
    for outcome in _outcomes(sys.argv[1:]):
        print(json.dumps(asdict(outcome), ensure_ascii=False), flush=True)
