"""Settings of a connection also apply to its cursors."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys
from pathlib import Path
from transforms.engine.session import EngineSettings, map_concurrently, open_engine
zone = "SELECT current_setting('TimeZone')"
with open_engine(EngineSettings("500MB"), Path(sys.argv[1])) as connection:
    print([connection.execute(zone).fetchall(), *map_concurrently(connection, [1], lambda own, _: own.execute(zone).fetchall())])
"""


def test_no_connection_sees_the_time_zone_of_the_machine(tmp_path: Path) -> None:
    """In a separate process: the engine reads the time zone only once."""
    there = {**os.environ, "TZ": "Asia/Shanghai"}
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    printed = subprocess.run(command, env=there, capture_output=True, text=True, check=True).stdout
    assert printed == "[[('UTC',)], [('UTC',)]]\n"
