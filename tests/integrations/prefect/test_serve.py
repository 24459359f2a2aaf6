"""The schedule on a real Prefect server: `jifen serve` as operators start it, its deployment, and what its runs leave.

One server and one `jifen serve` for all of this file. Runs are asked for through Prefect's API, for a moment of the past.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.support.scheduler import (
    BIN,
    ENDED,
    NOVEMBER,
    OCTOBER,
    PASSWORD,
    PERSON,
    RESIDENT,
    Scheduler,
    answers,
    deployed,
    until,
)
from tests.support.servers import free_port
from tests.support.world import World


@pytest.fixture(scope="module")
def webhook() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """An address that takes every message down."""
    posted: list[dict[str, Any]] = []

    class TakeDown(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), TakeDown)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/jifen", posted
    server.shutdown()


@pytest.fixture(scope="module")
def scheduler(
    tmp_path_factory: pytest.TempPathFactory, webhook: tuple[str, list[dict[str, Any]]]
) -> Iterator[Scheduler]:
    folder, port = tmp_path_factory.mktemp("serve"), free_port()
    (folder / "notify.sh").write_text(
        f'#!/bin/sh\n(cat; echo) >> "{folder}/notifications"\n[ "$JIFEN_STATE" != failed ]\n'
    )
    (folder / "notify.sh").chmod(0o700)
    (folder / "jifen.toml").write_text(
        '[paths]\nroot = "root"\ninbox = "inbox"\n[policy]\nallow_illustrative = true\n'
        f'[notify]\nwebhook = "{webhook[0]}"\ncommand = ["{folder}/notify.sh"]\n',
        encoding="utf-8",
    )
    world = World(folder)
    world.deliver("2021-10", registry=[RESIDENT])
    world.deliver("2021-11", registry=[RESIDENT] + [{**RESIDENT, "resident_id": PERSON[:17]}] * 30)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "JIFEN_"))} | {
        "PREFECT_HOME": str(folder / "root" / "prefect"), "DO_NOT_TRACK": "1", "PREFECT_UI_ENABLED": "false",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "PREFECT_SERVER_API_AUTH_STRING": PASSWORD,
        "PREFECT_API_AUTH_STRING": PASSWORD, "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_RUNNER_POLL_FREQUENCY": "1", "NO_PROXY": "127.0.0.1",
    }  # fmt: skip
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [BIN / "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)],
            env=environment, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        until(lambda: answers(port))
        with (folder / "serve.log").open("wb") as log:
            command = [BIN / "jifen", "serve", "--day", "7", "--time", "03:30"]
            process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
        found = Scheduler(folder, port, environment, process, webhook[1])
        until(lambda: (folder / "root" / "prefect" / "serve.log").exists() and deployed(found))
        yield found
        process.terminate()
        assert process.wait(60) == 0
        assert "Traceback" not in (folder / "serve.log").read_text(encoding="utf-8")
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(60)


@pytest.mark.promise("outputs-165", "`serve`: cron in Asia/Shanghai, the month before")
def test_the_deployment_has_the_day_and_the_hour_of_the_city_and_runs_one_at_a_time(
    scheduler: Scheduler,
) -> None:
    deployment = scheduler.deployment
    (schedule,) = deployment["schedules"]
    assert schedule["active"] and not deployment["paused"]
    assert (schedule["schedule"]["cron"], schedule["schedule"]["timezone"]) == (
        "30 3 7 * *",
        "Asia/Shanghai",
    )
    assert deployment["global_concurrency_limit"]["limit"] == 1
    assert deployment["concurrency_options"]["collision_strategy"] == "ENQUEUE"
    assert deployment["parameters"] == {}


def test_the_server_plans_the_coming_runs_by_itself(scheduler: Scheduler) -> None:
    """Prefect's scheduler is one of the first things to break when a library below it changes."""
    planned = {
        "deployments": {"id": {"any_": [scheduler.deployment["id"]]}},
        "sort": "EXPECTED_START_TIME_ASC",
    }
    runs = until(
        lambda: [
            run for run in scheduler.ask("/flow_runs/filter", planned) if run["auto_scheduled"]
        ]
    )
    starts = [dt.datetime.fromisoformat(run["expected_start_time"]) for run in runs]
    assert len(starts) >= 3 and all(start > dt.datetime.now(dt.UTC) for start in starts)
    assert {(start.day, start.hour, start.minute) for start in starts} == {
        (6, 19, 30)
    }  # the 7th, 03:30 in Ningbo


@pytest.mark.proves("outputs-165")
def test_a_due_run_publishes_the_month_before_and_notifies(scheduler: Scheduler) -> None:
    run = scheduler.run(OCTOBER)
    assert (run["state_type"], run["name"], run["parameters"]) == ("COMPLETED", "2021-10", {})
    report = scheduler.root / "months" / "2021-10" / "r1" / "report" / "index.html"
    assert report.is_file()
    notification = {
        "month": "2021-10", "state": "published", "exit_code": 0, "reason": "", "todo": "", "report": str(report),
        "revision": 1,
    }  # fmt: skip
    posted = until(lambda: scheduler.posted and scheduler.posted[-1])
    assert posted.items() >= notification.items() and posted["actions"]
    assert until(scheduler.commanded)[-1] == posted
    (page,) = scheduler.ask(
        "/artifacts/filter", {"artifacts": {"key": {"any_": ["month-2021-10"]}}}
    )
    assert page["type"] == "markdown" and page["flow_run_id"] == run["id"]
    for fact in (
        "2021-10 ✔ 已发布",
        "1 人计分",
        "| 流动人口登记 | 1 | 1 | 0 | 0 |",
        report.as_uri(),
        "| publish |",
    ):
        assert fact in page["data"]


@pytest.mark.proves("outputs-51")
def test_a_failed_gate_leaves_a_failed_run_with_its_reason(scheduler: Scheduler) -> None:
    run = scheduler.run(NOVEMBER)
    message = run["state"]["message"]
    assert run["state_type"] == "FAILED"
    assert "未通过检查" in message and "31 行中有 30 行" in message and "退出码：12" in message
    notification = until(
        lambda: scheduler.posted[-1]["month"] == "2021-11" and scheduler.posted[-1]
    )
    assert (notification["state"], notification["exit_code"]) == ("blocked", 12)
    assert Path(notification["report"]).is_file()
    assert not (scheduler.root / "published" / "2021-11").exists()


def test_a_locked_root_refuses_a_run_and_failing_commands_are_logged(
    scheduler: Scheduler,
) -> None:
    with World(scheduler.folder).root.lock():
        run = scheduler.run(OCTOBER)
    assert run["state_type"] == "FAILED"
    assert "另一个运行正占用" in run["state"]["message"] and "退出码：13" in run["state"]["message"]
    notification = until(
        lambda: scheduler.posted[-1]["month"] == "2021-10" and scheduler.posted[-1]
    )
    assert (notification["state"], notification["exit_code"]) == ("failed", 13)
    until(
        lambda: (
            "通知未送达（command：exit 1）"
            in (scheduler.folder / "serve.log").read_text(encoding="utf-8")
        )
    )
    logged = [
        json.loads(line)
        for line in (scheduler.root / "runs" / "notify.log").read_text().splitlines()
    ]
    assert (logged[-1]["webhook"], logged[-1]["command"]) == ("ok", "exit 1")


def test_the_serve_process_reports_a_killed_run(scheduler: Scheduler) -> None:
    before = len(scheduler.posted)
    run = scheduler.due(OCTOBER)
    scheduler.await_state(run, "RUNNING")
    children = (
        Path(f"/proc/{scheduler.process.pid}/task/{scheduler.process.pid}/children")
        .read_text()
        .split()
    )
    killed = [pid for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    os.kill(int(killed[0]), signal.SIGKILL)
    assert scheduler.await_state(run, *ENDED)["state_type"] == "CRASHED"
    notification = until(lambda: len(scheduler.posted) > before and scheduler.posted[-1])
    assert (notification["month"], notification["state"], notification["reason"]) == (
        "2021-10",
        "failed",
        "运行中断，没有完成",
    )


def test_nothing_personal_reaches_prefect_the_log_or_a_message(scheduler: Scheduler) -> None:
    """After the runs above: Prefect's home, the logs of both processes, and all notifications."""
    home = scheduler.root / "prefect"
    kept = [path for path in home.rglob("*") if path.is_file()] + list(
        scheduler.folder.glob("*.log")
    )
    assert home / "prefect.db" in kept and scheduler.posted
    said = json.dumps([scheduler.posted, scheduler.commanded()], ensure_ascii=False)
    for planted in (PERSON, PERSON[:17], RESIDENT["name"], RESIDENT["phone"]):
        forms = (planted.encode(), json.dumps(planted)[1:-1].encode())
        assert not [path for path in kept for form in forms if form in path.read_bytes()]
        assert planted not in said


@pytest.mark.promise("outputs-166", "`serve` says how to start a server")
@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"PREFECT_API_URL": ""}, "PREFECT_API_URL 没有设置"),
        ({"PREFECT_API_URL": "http://127.0.0.1:9/api"}, "没有应答"),
        ({"PREFECT_API_AUTH_STRING": "jifen:wrong"}, "拒绝了口令"),
    ],
    ids=["no server", "no answer", "wrong password"],
)
def test_without_a_server_the_error_says_how_to_come_by_one(
    scheduler: Scheduler, changed: dict[str, str], reason: str
) -> None:
    given = scheduler.environment | changed
    done = subprocess.run(
        [BIN / "jifen", "serve"],
        cwd=scheduler.folder,
        env=given,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1 and reason in done.stderr
    assert "Traceback" not in done.stderr
    if "PREFECT_API_URL" in changed:
        assert (
            f"PREFECT_HOME={scheduler.root}/prefect" in done.stderr
            and "server start" in done.stderr
        )
