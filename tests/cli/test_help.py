"""What `jifen --help` shows; each command's own help stands in docs/reference/cli.md."""

from __future__ import annotations

from syrupy.assertion import SnapshotAssertion
from typer.testing import CliRunner

from flows.cli.app import app
from tests.support.snapshots import TextSnapshot


def test_help(snapshot: SnapshotAssertion) -> None:
    width = {"COLUMNS": "100", "TERMINAL_WIDTH": "100", "NO_COLOR": "1"}
    shown = CliRunner().invoke(app, ["--help"], prog_name="jifen", env=width).output
    lines = [line.rstrip() for line in shown.splitlines()]
    assert "\n".join(lines) + "\n" == snapshot(extension_class=TextSnapshot)
