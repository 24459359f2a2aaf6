"""A real browser for tests: headless Chromium, cut off from the network, driven over its debugging pipe."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

CUT_OFF = (
    "--proxy-server=127.0.0.1:9",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--disable-background-networking",
)
QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--no-first-run",
)


def chromium() -> str:
    """The browser's command. In CI a missing one fails the test; elsewhere `make test` needs nothing but Python."""
    found = (
        shutil.which("chromium")
        or shutil.which("chromium-browser")
        or shutil.which("google-chrome")
    )
    if not found and not os.environ.get("CI"):
        pytest.skip("no Chromium: apt-get install chromium")
    assert found, "no Chromium: apt-get install chromium"
    return found


@dataclass
class Browser:
    """One page of a browser: what it requested, what it complained about."""

    write: int
    read: int
    session: str = ""
    number: int = 0
    rest: bytes = b""
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command, and its answer; events that come before it are noted."""
        self.number += 1
        message: dict[str, Any] = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self.number:
                assert "error" not in answer, answer
                return dict(answer["result"])

    def attach(self) -> None:
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)[
            "sessionId"
        ]
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.call(f"{domain}.enable")

    def open(self, page: Path, width: int, height: int = 900) -> None:
        """Load a file in a window of this width, and wait until it is there."""
        self.requests.clear()
        self.complaints.clear()
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        self.call("Page.navigate", url=page.as_uri())
        ready = "new Promise(done => document.readyState === 'complete' ? done(1) : addEventListener('load', () => done(1)))"
        self.evaluate(ready)

    def evaluate(self, expression: str) -> Any:
        found = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def press(self, key: str, code: int) -> None:
        for kind in ("keyDown", "keyUp"):
            text = "\r" if kind == "keyDown" and key == "Enter" else ""
            self.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=key,
                windowsVirtualKeyCode=code,
                text=text,
            )

    def screenshot(self, target: Path, height: int | None = None) -> None:
        """The page from its top, as PNG: whole, or so many pixels of it."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {
            "x": 0,
            "y": 0,
            "width": size["width"],
            "height": height or size["height"],
            "scale": 1,
        }
        shot = self.call(
            "Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True
        )
        target.write_bytes(base64.b64decode(shot["data"]))

    def printed(self, target: Path) -> None:
        pdf = self.call("Page.printToPDF", printBackground=False, preferCSSPageSize=True)
        target.write_bytes(base64.b64decode(pdf["data"]))

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self.rest:
            chunk = os.read(self.read, 1 << 16)
            assert chunk, "the browser is gone"
            self.rest += chunk
        message, _, self.rest = self.rest.partition(b"\0")
        event: dict[str, Any] = json.loads(message)
        given = event.get("params", {})
        match event.get("method"):
            case "Network.requestWillBeSent":
                self.requests.append(given["request"]["url"])
            case "Log.entryAdded":
                self.complaints.append(given["entry"]["text"])
            case "Runtime.exceptionThrown":
                self.complaints.append(given["exceptionDetails"]["text"])
            case "Runtime.consoleAPICalled":
                self.complaints.append(str(given["args"]))
        return event


@contextmanager
def open_browser(profile: Path) -> Iterator[Browser]:
    """A browser with a profile of its own; it ends with the block."""
    to_browser, commands = os.pipe()
    answers, from_browser = os.pipe()

    def pipes() -> None:  # Chromium reads commands from descriptor 3 and answers on 4
        spare = [os.dup2(end, place) for end, place in ((to_browser, 103), (from_browser, 104))]
        for end, place in zip(spare, (3, 4), strict=True):
            os.dup2(end, place)

    process = subprocess.Popen(
        [chromium(), *QUIET, *CUT_OFF, f"--user-data-dir={profile}", "--remote-debugging-pipe"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=pipes,
        pass_fds=(3, 4),
    )
    os.close(to_browser)
    os.close(from_browser)
    browser = Browser(commands, answers)
    try:
        browser.attach()
        yield browser
    finally:
        with suppress(OSError):
            os.close(commands)
        os.close(answers)
        process.terminate()
        process.wait(timeout=20)
