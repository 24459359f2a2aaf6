"""A Prefect server with `jifen serve`, as tests start and ask them."""

from __future__ import annotations

import base64
import datetime as dt
import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.world import national_id

BIN = Path(sys.executable).parent
PASSWORD = "jifen:only-for-tests"
PERSON = national_id("33020319850101101")
RESIDENT = {
    "resident_id": PERSON, "name": "例甲某人", "phone": "05748888888", "residence_district": "330203",
    "registered_on": "2019-01-15", "status": "resident",
}  # fmt: skip
OCTOBER = dt.datetime(
    2021, 10, 31, 19, 30, tzinfo=dt.UTC
)  # in Ningbo it is November: October is the month before
NOVEMBER = dt.datetime(2021, 12, 6, 19, 30, tzinfo=dt.UTC)
ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


@dataclass
class Scheduler:
    """A root with its server and `jifen serve` process, and the notifications sent so far."""

    folder: Path
    port: int
    environment: dict[str, str]
    process: subprocess.Popen[bytes]
    posted: list[dict[str, Any]] = field(default_factory=list)

    @property
    def root(self) -> Path:
        return self.folder / "root"

    def ask(self, path: str, body: object = None) -> Any:
        secret = base64.b64encode(PASSWORD.encode()).decode()
        headers = {"content-type": "application/json", "authorization": f"Basic {secret}"}
        content = None if body is None else json.dumps(body).encode()
        asked = urllib.request.Request(f"http://127.0.0.1:{self.port}/api{path}", content, headers)
        with until(lambda: unless_busy(asked)) as answer:
            return json.load(answer)

    @property
    def deployment(self) -> Any:
        return self.ask("/deployments/name/monthly/jifen")

    def due(self, moment: dt.datetime) -> str:
        """Have a run become due at a moment; its id."""
        state = {"type": "SCHEDULED", "state_details": {"scheduled_time": moment.isoformat()}}
        return str(
            self.ask(f"/deployments/{self.deployment['id']}/create_flow_run", {"state": state})[
                "id"
            ]
        )

    def run(self, moment: dt.datetime) -> Any:
        """Have a run become due, and wait for its end."""
        return self.await_state(self.due(moment), *ENDED)

    def await_state(self, run: str, *wanted: str) -> Any:
        return until(
            lambda: (seen := self.ask(f"/flow_runs/{run}"))["state_type"] in wanted and seen
        )

    def commanded(self) -> list[dict[str, Any]]:
        """What the command was given on standard input, in its order; it comes after the state."""
        file = self.folder / "notifications"
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        return [json.loads(line) for line in lines]


def until(look: Callable[[], Any]) -> Any:
    """What `look` finds, once it finds something."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.1)
    raise AssertionError("it did not come")


def unless_busy(asked: urllib.request.Request) -> Any:
    """The answer; None when the server's database is busy with another writer."""
    try:
        return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(asked, timeout=30)
    except urllib.error.HTTPError as error:
        if error.code != 503:
            raise
        return None


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def deployed(scheduler: Scheduler) -> bool:
    try:
        return bool(scheduler.deployment)
    except OSError:
        return False
