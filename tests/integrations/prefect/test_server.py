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
from flows.orchestration.server import use_server
with use_server(Path(sys.argv[1])) as server:
    server.wait_until_ready()
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
from flows.orchestration.server import use_server
try:
    with use_server(Path(sys.argv[1])) as server:
        server.wait_until_ready()
except JifenError as error:
    print(error)
"""
    stdout, stderr = child(program, str(tmp_path)).communicate(timeout=120)
    assert "Prefect 临时服务未能启动" in stdout and "server.log" in stdout
    assert stderr == ""


def test_the_operators_own_server_is_left_alone(tmp_path: Path) -> None:
    """No child process is started where the environment names a server; it is only asked."""
    program = """
import os, sys
from pathlib import Path
import flows.orchestration.server
flows.orchestration.server.require_server = lambda root: None
with flows.orchestration.server.use_server(Path(sys.argv[1])) as server:
    print(os.environ["PREFECT_API_URL"], server)
"""
    ended = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        env={**os.environ, "PREFECT_API_URL": "http://prefect.internal/api"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout.split() == ["http://prefect.internal/api", "None"]


def test_the_environment_is_put_back_as_it_was(tmp_path: Path) -> None:
    program = """
import os, sys
from pathlib import Path
from flows.orchestration.environment import prefect_environment
before = dict(os.environ), os.getcwd()
with prefect_environment(Path(sys.argv[1])) as home:
    assert os.getcwd() == str(home) and os.environ["PREFECT_HOME"] == str(home)
print((dict(os.environ), os.getcwd()) == before)
"""
    ended = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert ended.stdout.split() == ["True"]
