"""The Prefect server of a run: the operator's, or one that lives exactly as long as the run.

Without PREFECT_API_URL a run brings its own server: a child process on a socket that this process
opened, so that nobody can take its port, and requests simply wait until it is up. It asks for a
password that only the two know, and ends with this process, even if that is killed. Prefect's own
temporary server has neither: it is open to every local user, and outlives a killed run.
"""

from __future__ import annotations

import base64
import http.client
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from expectations.errors import ExitCode, JifenError
from flows.orchestration.environment import LOCAL, OFFLINE, prefect_environment

STARTUP_SECONDS = 600.0  # on a busy machine it takes minutes; one that has died is noticed at once
ANSWER_SECONDS = 10.0
GRACE_SECONDS = 1.0  # after a killed run: its last states may be on their way to the database
MINIMAL = {  # one flow of a few tasks: the task run recorder is all it needs
    "PREFECT_UI_ENABLED": "false",
    "PREFECT_SERVER_REGISTER_BLOCKS_ON_START": "false",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "false",
}


@dataclass(frozen=True)
class TemporaryServer:
    """The run's own server: the child process, its port, and its log."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def wait_until_ready(self) -> None:
        """Wait until it answers.

        Raises:
            JifenError: Exit 1, it could not start.
        """
        asking = http.client.HTTPConnection(LOCAL, self.port, timeout=STARTUP_SECONDS)
        try:
            asking.request("GET", "/api/health")
            if asking.getresponse().status == http.client.OK:
                return
        except OSError:
            pass
        finally:
            asking.close()
        hint = (
            "查看日志；机器太忙时稍后再次运行；磁盘已满、内存不足时先腾出空间；"
            "仍不能启动时移走它所在的文件夹（只有运行记录）"
        )
        what = "Prefect 临时服务未能启动"
        raise JifenError(ExitCode.OTHER, what, where=str(self.log), hint=hint)

    def stop(self) -> None:
        """End it; whoever ran a flow has seen to it that the flow is recorded."""
        self.process.kill()
        self.process.wait()


@contextmanager
def use_server(root: Path) -> Iterator[TemporaryServer | None]:
    """Set Prefect's environment, and have a server for the block.

    Yields:
        The run's own server, starting; None where the operator's answers.

    Raises:
        JifenError: Exit 1, the operator's server does not answer.
    """
    with prefect_environment(root) as home:
        if os.environ.get("PREFECT_API_URL"):
            require_server(root)
            yield None
            return
        server = _start_server(home)
        try:
            yield server
        finally:
            server.stop()


def _start_server(home: Path) -> TemporaryServer:
    """Start the run's own server in the background, and point Prefect at it."""
    password = f"jifen:{secrets.token_urlsafe(24)}"  # the port is open to local users
    with socket.create_server((LOCAL, 0)) as listening, (home / "server.log").open("wb") as log:
        port = listening.getsockname()[1]
        os.environ["PREFECT_API_AUTH_STRING"] = password
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "flows.orchestration.server", str(listening.fileno())],
            env={**os.environ, **MINIMAL, "PREFECT_SERVER_API_AUTH_STRING": password},
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            pass_fds=[listening.fileno()],
            start_new_session=True,  # Ctrl-C is for the run, which still has to reach the server
        )
    os.environ["PREFECT_API_URL"] = f"http://{LOCAL}:{port}/api"
    return TemporaryServer(process, port, home / "server.log")


def require_server(root: Path) -> None:
    """See that the operator's Prefect server answers.

    Raises:
        JifenError: Exit 1, it does not; how to start it.
    """
    address = os.environ.get("PREFECT_API_URL", "")
    if not address:
        raise _no_server(root, "没有可用的 Prefect 服务", "环境变量 PREFECT_API_URL 没有设置")
    asked = urllib.request.Request(f"{address.rstrip('/')}/admin/version")
    asked.headers.update(_credentials())
    try:
        with urllib.request.urlopen(asked, timeout=ANSWER_SECONDS):
            return
    except urllib.error.HTTPError as error:
        if error.code == http.client.UNAUTHORIZED:
            hint = (
                "环境变量 PREFECT_API_AUTH_STRING 应与服务一侧的"
                " PREFECT_SERVER_API_AUTH_STRING 相同"
            )
            what = "Prefect 服务拒绝了口令"
            raise JifenError(ExitCode.OTHER, what, where=address, hint=hint) from None
        why = f"HTTP {error.code}"
    except (OSError, ValueError, http.client.HTTPException) as error:
        why = type(error).__name__
    raise _no_server(root, f"Prefect 服务没有应答（{why}）", f"PREFECT_API_URL={address}")


def _credentials() -> dict[str, str]:
    known = os.environ.get("PREFECT_API_AUTH_STRING", "")
    return {"Authorization": f"Basic {base64.b64encode(known.encode()).decode()}"} if known else {}


def _no_server(root: Path, what: str, where: str) -> JifenError:
    settings = " ".join(f"{name}={value}" for name, value in OFFLINE.items())
    command = f"{Path(sys.executable).parent / 'prefect'} server start --host {LOCAL} --port 4200"
    hint = f"""在本机另一个终端启动（长期运行用 systemd，见操作员手册）：
    PREFECT_HOME={root / "prefect"} {settings} {command}
  再运行：
    PREFECT_API_URL=http://{LOCAL}:4200/api jifen serve
  （jifen run 在没有 PREFECT_API_URL 时自带临时服务）"""
    return JifenError(ExitCode.OTHER, what, where=where, hint=hint)


def _end_with_parent() -> None:
    """End this process when the one that started it has gone."""
    sys.stdin.buffer.read()
    time.sleep(GRACE_SECONDS)
    os._exit(0)


def _serve(listening: int) -> None:
    """The child process: Prefect's API on an open socket, until standard input ends."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    import uvicorn
    from prefect.server.api.server import create_app

    app = create_app(ephemeral=True, final=True)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False, lifespan="on"))
    server.run(sockets=[socket.socket(fileno=listening)])


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
