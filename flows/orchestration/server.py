"""Prefect's home under the root, and its throw-away server, started early because it takes seconds.

Without PREFECT_API_URL a run brings its own server: a child process that lives exactly as long as this one. It listens
on a socket that this process opened, so that requests simply wait until it is up, and ends when its standard input
does, even if this process is killed.
"""

from __future__ import annotations

import atexit
import base64
import contextlib
import gc
import http.client
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path

from expectations.errors import ExitCode, JifenError

STARTUP_SECONDS = 600.0  # on a busy machine it takes minutes; one that has died is noticed at once
STOP_SECONDS = 10.0
ANSWER_SECONDS = 10.0
GRACE_SECONDS = (
    1.0  # the last task states may still be on their way from the server's queue to its database
)
ENDED = ["COMPLETED", "FAILED", "CRASHED", "CANCELLED"]
LOCAL = "127.0.0.1"

OFFLINE = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_TELEMETRY_ENABLE_RESOURCE_METRICS": "false",
}
QUIET = {
    **OFFLINE,
    "PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED": "false",
    "PREFECT_LOGGING_LEVEL": "CRITICAL",  # its error logs are stack traces, and quote what they were given
    "PREFECT_LOGGING_ROOT_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_TO_API_ENABLED": "false",
    "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "false",
}
SERVER = {  # one flow of a few tasks: the task run recorder is all it needs
    "PREFECT_UI_ENABLED": "false",
    "PREFECT_SERVER_REGISTER_BLOCKS_ON_START": "false",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "false",
}

_server: subprocess.Popen[bytes] | None = None
_port = 0
_tasks: Counter[str] = Counter()  # how many each flow run has had


def configure_environment(root: Path) -> None:
    """Set Prefect's environment, before anything imports Prefect: its home in the root, no telemetry, no logs."""
    home = root / "prefect"
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.environ.update(QUIET, PREFECT_HOME=str(home))
    for name in (
        "ALL_PROXY",
        "all_proxy",
    ):  # for SOCKS Prefect's client wants a library that is not there
        os.environ.pop(name, None)
    for name in (
        "NO_PROXY",
        "no_proxy",
    ):  # a proxy is for the world outside, never for our own server
        os.environ[name] = ",".join(filter(None, [os.environ.get(name), LOCAL]))


def require_server(root: Path) -> None:
    """Settle, and see that the operator's Prefect server answers. JifenError 1: it does not; how to start it."""
    configure_environment(root)
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
            hint = "环境变量 PREFECT_API_AUTH_STRING 应与服务一侧的 PREFECT_SERVER_API_AUTH_STRING 相同"
            raise JifenError(
                ExitCode.OTHER, "Prefect 服务拒绝了口令", where=address, hint=hint
            ) from None
        why = f"HTTP {error.code}"
    except (OSError, ValueError, http.client.HTTPException) as error:
        why = type(error).__name__
    raise _no_server(root, f"Prefect 服务没有应答（{why}）", f"PREFECT_API_URL={address}")


def _credentials() -> dict[str, str]:
    known = os.environ.get("PREFECT_API_AUTH_STRING", "")
    return {"Authorization": f"Basic {base64.b64encode(known.encode()).decode()}"} if known else {}


def _no_server(root: Path, what: str, where: str) -> JifenError:
    settings = " ".join(f"{name}={value}" for name, value in OFFLINE.items())
    hint = f"""在本机另一个终端启动（长期运行用 systemd，见操作员手册）：
    PREFECT_HOME={root / "prefect"} {settings} {Path(sys.executable).parent / "prefect"} server start --host {LOCAL} --port 4200
  再运行：
    PREFECT_API_URL=http://{LOCAL}:4200/api jifen serve
  （jifen run 在没有 PREFECT_API_URL 时自带临时服务）"""
    return JifenError(ExitCode.OTHER, what, where=where, hint=hint)


def start_server_early(root: Path) -> bool:
    """Settle, and start the throw-away server in the background; not if the operator's PREFECT_API_URL names one: true."""
    global _server, _port
    if _server is not None:
        return False
    if os.environ.get("PREFECT_API_URL"):
        configure_environment(root)
        return True
    for name in [
        name for name in os.environ if name.startswith("PREFECT_")
    ]:  # meant for another server
        del os.environ[name]
    configure_environment(root)
    os.environ["PREFECT_API_AUTH_STRING"] = (
        f"jifen:{secrets.token_urlsafe(24)}"  # the port is open to local users
    )
    with (
        socket.create_server((LOCAL, 0)) as listening,
        (root / "prefect" / "server.log").open("wb") as log,
    ):
        _port = listening.getsockname()[1]
        _server = subprocess.Popen(
            [sys.executable, "-m", "flows.orchestration.server", str(listening.fileno())],
            env={
                **os.environ,
                **SERVER,
                "PREFECT_SERVER_API_AUTH_STRING": os.environ["PREFECT_API_AUTH_STRING"],
            },
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            pass_fds=[listening.fileno()],
            start_new_session=True,  # Ctrl-C is for the run, which still has to tell the server
        )
    os.environ["PREFECT_API_URL"] = f"http://{LOCAL}:{_port}/api"
    atexit.register(stop_server)
    return False


def await_server() -> None:
    """Wait until the throw-away server answers; JifenError when it cannot start. Returns at once without one."""
    if _server is None:
        return
    asking = http.client.HTTPConnection(LOCAL, _port, timeout=STARTUP_SECONDS)
    try:
        asking.request("GET", "/api/health")
        if asking.getresponse().status == http.client.OK:
            return
    except OSError:
        pass
    finally:
        asking.close()
    log = Path(os.environ["PREFECT_HOME"]) / "server.log"
    stop_server()
    raise JifenError(
        ExitCode.OTHER,
        "Prefect 临时服务未能启动",
        where=str(log),
        hint="查看日志；机器太忙时稍后再次运行；磁盘已满、内存不足时先腾出空间；仍不能启动时移走它所在的文件夹（只有运行记录）",
    )


def count_task(flow_run: str) -> None:
    """Note a task of a flow run: before it ends, the server is to have recorded how the task ended."""
    _tasks[flow_run] += 1


def _all_tasks_recorded() -> bool:
    """Whether the throw-away server has written down the end of every task."""
    runs = {
        "flow_runs": {"id": {"any_": list(_tasks)}},
        "task_runs": {"state": {"type": {"any_": ENDED}}},
    }
    asking = http.client.HTTPConnection(LOCAL, _port, timeout=ANSWER_SECONDS)
    try:
        asking.request(
            "POST",
            "/api/task_runs/count",
            json.dumps(runs),
            {"Content-Type": "application/json", **_credentials()},
        )
        return bool(json.loads(asking.getresponse().read()) == _tasks.total())
    except (OSError, ValueError, http.client.HTTPException):
        return False
    finally:
        asking.close()


def stop_server() -> None:
    """End the throw-away server, if there is one, and wait for it; killed, if nothing is on its way to its database."""
    global _server
    if _server is None:
        return
    server, _server = _server, None
    if _all_tasks_recorded():
        server.kill()
    _tasks.clear()
    for name in ("PREFECT_API_URL", "PREFECT_API_AUTH_STRING"):
        os.environ.pop(name, None)
    assert server.stdin is not None
    with contextlib.suppress(OSError):  # it has died by itself
        server.stdin.close()
    try:
        server.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    time.sleep(GRACE_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)


def _serve(listening: int) -> None:
    """The child process: Prefect's API on an open socket, until standard input ends."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    gc.disable()  # importing and migrating make little garbage: a seventh of the start-up
    import uvicorn
    from prefect.server.api.server import create_app

    app = create_app(ephemeral=True, final=True)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False, lifespan="on"))
    gc.enable()
    server.run(sockets=[socket.socket(fileno=listening)])


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
