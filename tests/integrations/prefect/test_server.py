"""The run's own Prefect server: nobody else can use it, it ends with the run, and an operator's server is left alone."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.orchestration.server import GRACE_SECONDS
from tests.support.programs import child


def listening(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("root")


@pytest.fixture
def running(home: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process with its server up, and the server's port."""
    program = """
import os, sys
from pathlib import Path
from flows.orchestration.server import await_server, start_server_early
start_server_early(Path(sys.argv[1]))
await_server()
print(os.environ["PREFECT_API_URL"], flush=True)
sys.stdin.read()
"""
    with child(program, str(home), stdin=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield process, int(process.stdout.readline().split(":")[2].split("/")[0])
        process.kill()


def test_the_server_dies_with_a_killed_run(running: tuple[subprocess.Popen[str], int]) -> None:
    process, port = running
    assert listening(port)
    process.send_signal(signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 20
    while listening(port) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not listening(port)


def test_strangers_on_the_machine_cannot_use_the_server(
    running: tuple[subprocess.Popen[str], int],
) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
            urllib.request.Request(
                f"http://127.0.0.1:{running[1]}/api/flow_runs/filter",
                b"{}",
                {"content-type": "application/json"},
            )
        )
    assert refused.value.code == 401


def test_a_server_that_cannot_start_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "prefect" / "prefect.db").mkdir(parents=True)
    program = """
import sys
from pathlib import Path
from expectations.errors import JifenError
from flows.orchestration.server import await_server, start_server_early
start_server_early(Path(sys.argv[1]))
try:
    await_server()
except JifenError as error:
    print(error)
"""
    stdout, stderr = child(program, str(tmp_path)).communicate(timeout=120)
    assert "Prefect 临时服务未能启动" in stdout and "server.log" in stdout
    assert stderr == ""


def test_the_operators_own_server_is_left_alone(tmp_path: Path) -> None:
    program = """
import os, sys
from pathlib import Path
from flows.orchestration import server
server.start_server_early(Path(sys.argv[1]))
server.await_server()
print(os.environ["PREFECT_API_URL"], server._server)
"""
    ended = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        env={**os.environ, "PREFECT_API_URL": "http://prefect.internal/api"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout.split() == ["http://prefect.internal/api", "None"]


def test_the_server_waits_only_for_tasks_that_it_has_not_recorded(tmp_path: Path) -> None:
    program = """
import sys, time, uuid
from pathlib import Path
from flows.orchestration import server
for tasks in (0, 1):
    server.start_server_early(Path(sys.argv[1]))
    server.await_server()
    for _ in range(tasks):
        server.count_task(str(uuid.uuid4()))
    process, asked = server._server, time.monotonic()
    server.stop_server()
    print(process.returncode, time.monotonic() - asked)
"""
    with child(program, str(tmp_path)) as process:
        assert process.stdout is not None
        lines = [line.split() for line in process.stdout.read().splitlines()]
    (_, at_once), (_, waited) = lines
    assert float(waited) >= GRACE_SECONDS and float(at_once) < float(waited)
