"""The command `jifen` in a process of its own, in a working folder as an operator sets one up."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.world import World, national_id

PERSON = national_id("33020319850101101")
RESIDENT = {
    "resident_id": PERSON,
    "name": "例甲某人",
    "phone": "05748888888",
    "residence_district": "330203",
    "registered_on": "2019-01-15",
    "status": "resident",
}
SETTINGS = '[paths]\nroot = "root"\ninbox = "inbox"\n[policy]\nallow_illustrative = true\n'


def jifen(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "jifen"), *arguments]
    given = {**os.environ, **environment}
    done = subprocess.run(
        command, cwd=folder, env=given, capture_output=True, text=True, timeout=240, check=False
    )
    assert "Traceback" not in done.stdout + done.stderr
    for secret in (PERSON, PERSON[:17], RESIDENT["name"], RESIDENT["phone"]):
        assert secret not in done.stdout + done.stderr
    return done


def delivered(folder: Path) -> World:
    """A working folder as an operator sets one up, with one month in its inbox."""
    (folder / "jifen.toml").write_text(SETTINGS, encoding="utf-8")
    world = World(folder)
    world.deliver("2021-10", registry=[RESIDENT])
    return world
