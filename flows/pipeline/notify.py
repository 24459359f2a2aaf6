"""Notify the operator how a month ended, as `jifen.toml` [notify] asks: a webhook, a command, both.

A message that cannot be delivered never changes how the month ended: it is reported, and logged in
`runs/notify.log`.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable

from flows.city_time import city_now
from flows.pipeline.result import RunResult
from flows.settings import Settings

WAIT_SECONDS = 15.0
WEBHOOK = "JIFEN_NOTIFY_WEBHOOK"
PASSED_ON = ("PATH", "HOME", "LANG")  # a command gets the facts, not our secrets


def notify(settings: Settings, report_progress: Callable[[str], None], outcome: RunResult) -> None:
    """Send the outcome's facts; never raises."""
    facts = outcome.to_values()
    body = json.dumps(facts, ensure_ascii=False).encode()
    webhook, command = os.environ.get(WEBHOOK) or settings.notify.webhook, settings.notify.command
    sent: dict[str, str] = {}
    if webhook:
        sent["webhook"] = _post(webhook, body)
    if command:
        sent["command"] = _execute(
            command,
            body,
            {
                f"JIFEN_{name.upper()}": "\n".join(fact) if isinstance(fact, list) else str(fact)
                for name, fact in facts.items()
                if fact is not None
            },
        )
    for way, result in sent.items():
        if result != "ok":
            report_progress(f"通知未送达（{way}：{result}）；不影响该月的结果")
    if sent:
        _log(settings, {"at": city_now(), "month": facts["month"], "state": facts["state"], **sent})


def _post(address: str, body: bytes) -> str:
    """Return what came of an HTTP POST; the address may hold a secret and is never shown."""
    try:
        asked = urllib.request.Request(
            address, body, {"content-type": "application/json; charset=utf-8"}
        )
        with urllib.request.urlopen(asked, timeout=WAIT_SECONDS):
            return "ok"
    except urllib.error.HTTPError as error:
        return f"HTTP {error.code}"
    except (OSError, ValueError, http.client.HTTPException) as error:
        return type(error).__name__


def _execute(command: list[str], body: bytes, facts: dict[str, str]) -> str:
    """What came of a command; never through a shell."""
    given = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    try:
        done = subprocess.run(
            command,
            input=body,
            env=given | facts,
            capture_output=True,
            timeout=WAIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return type(error).__name__
    return "ok" if done.returncode == 0 else f"exit {done.returncode}"


def _log(settings: Settings, entry: dict[str, str]) -> None:
    line = (json.dumps(entry, ensure_ascii=False) + "\n").encode()
    try:
        file = os.open(
            settings.paths.root / "runs" / "notify.log",
            os.O_WRONLY | os.O_APPEND | os.O_CREAT,
            0o600,
        )
    except OSError:
        return  # a full or lost disk has been reported already
    with os.fdopen(file, "ab") as log:
        log.write(line)
