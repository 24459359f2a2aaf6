"""After a power cut in the middle of a scheduled run the next due run starts within a minute."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

from tests.support.scheduler import (
    BIN,
    ENDED,
    OCTOBER,
    PASSWORD,
    RESIDENT,
    Scheduler,
    answers,
    deployed,
    until,
)
from tests.support.servers import free_port
from tests.support.world import World

SECONDS = 60


def start(folder: Path, port: int) -> tuple[subprocess.Popen[bytes], Scheduler]:
    """Start the server and `jifen serve`, as the service manager does after a boot."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PREFECT_", "JIFEN_"))
    } | {
        "PREFECT_HOME": str(folder / "root" / "prefect"),
        "DO_NOT_TRACK": "1",
        "PREFECT_UI_ENABLED": "false",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_API_AUTH_STRING": PASSWORD,
        "PREFECT_API_AUTH_STRING": PASSWORD,
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_RUNNER_POLL_FREQUENCY": "1",
        "NO_PROXY": "127.0.0.1",
    }
    with (folder / "server.log").open("ab") as log:
        server = subprocess.Popen(
            [BIN / "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)],
            env=environment, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    until(lambda: answers(port))
    with (folder / "serve.log").open("ab") as log:
        command = [BIN / "jifen", "serve", "--day", "7", "--time", "03:30"]
        serve = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    found = Scheduler(folder, port, environment, serve)
    until(lambda: deployed(found))
    return server, found


def test_the_next_due_run_starts_within_a_minute(tmp_path: Path) -> None:
    (tmp_path / "notify.sh").write_text(f'#!/bin/sh\n(cat; echo) >> "{tmp_path}/notifications"\n')
    (tmp_path / "notify.sh").chmod(0o700)
    (tmp_path / "jifen.toml").write_text(
        '[paths]\nroot = "root"\ninbox = "inbox"\n[policy]\nallow_illustrative = true\n'
        f'[notify]\ncommand = ["{tmp_path}/notify.sh"]\n',
        encoding="utf-8",
    )
    World(tmp_path).deliver("2021-10", registry=[RESIDENT])
    port = free_port()
    server, scheduler = start(tmp_path, port)
    try:
        lost = scheduler.due(OCTOBER)
        scheduler.await_state(lost, "RUNNING")
        for process in (scheduler.process, server):
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        server, scheduler = start(tmp_path, port)
        begun = time.monotonic()
        following = scheduler.due(OCTOBER)
        scheduler.await_state(following, "RUNNING", *ENDED)
        assert time.monotonic() - begun < SECONDS
        assert scheduler.await_state(following, *ENDED)["state_type"] == "COMPLETED"
        assert scheduler.ask(f"/flow_runs/{lost}")["state_type"] == "CRASHED"
        sent = until(lambda: len(ends := scheduler.commanded()) > 1 and ends)
        ends = [(one["month"], one["state"]) for one in sent]
        assert ends == [("2021-10", "failed"), ("2021-10", "published")]
    finally:
        scheduler.process.terminate()
        scheduler.process.wait(60)
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(60)
