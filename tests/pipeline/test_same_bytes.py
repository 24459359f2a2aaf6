"""The same inputs give the same bytes, and the same answers, whatever the machine is like and wherever the root lies."""

from __future__ import annotations

import locale
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.cli.app import app
from tests.support.synthetic_city import MONTHS, deliver_synthetic
from tests.support.world import World

COMPARED = (
    "scores",
    "facts",
    "eligibility",
    "changes",
    *("districts", "services", "thresholds", "metrics"),
    "restricted",
    "reminders",
    "exports",
    "policy",
    "sql",
)


@pytest.mark.promise("sources-132", "another TZ, another locale")
@pytest.mark.promise("outputs-34", "Same inputs, same bytes")
@pytest.mark.promise(
    "outputs-102", "Same bytes whatever folder, threads, memory, time zone, locale"
)
def test_the_same_inputs_give_the_same_bytes_whatever_the_machine_is_like(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = World(tmp_path / "one", threads=1, memory="400MB")
    deliver_synthetic(one, tmp_path / "spill")
    for month in MONTHS:
        one.run(month)
    two = World(
        tmp_path / "district=330299" / "received=2020-01 [a]" / "城 *'r", threads=4, memory="2GB"
    )
    one.inbox.rename(two.inbox)
    two.root.key_file.write_text(one.root.key_file.read_text())
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    monkeypatch.setenv("LC_ALL", "C")
    time.tzset()
    usual = locale.setlocale(locale.LC_ALL)
    locale.setlocale(locale.LC_ALL, "C")
    try:
        for month in MONTHS:
            two.run(month)
    finally:
        monkeypatch.undo()
        time.tzset()
        locale.setlocale(locale.LC_ALL, usual)
    for month in MONTHS:
        assert one.hashes(month, *COMPARED) == two.hashes(month, *COMPARED)
        kinds = [Path(name).suffix for name in one.hashes(month, *COMPARED)]
        assert min(kinds.count(kind) for kind in (".parquet", ".csv", ".xlsx", ".sql")) >= 10
    said = [_said(world) for world in (one, two)]
    assert said[0] == said[1]


def _said(world: World) -> list[str]:
    """What the reading commands say of the last month's highest score, and of the change since the month before."""
    question = "SELECT * FROM latest_scores ORDER BY total_points DESC, resident_key LIMIT 1"
    first, last = MONTHS
    scored = {row["resident_key"]: row for row in world.table(last, "restricted/identities")}
    person = scored[min(scored)]["resident_id"]
    commands = (
        ["sql", question],
        ["diff", first, last],
        ["verify"],
        ["explain", "--resident", person, "--records"],
    )
    root = ["--root", str(world.root.path)]
    done = [CliRunner().invoke(app, [*command, *root]) for command in commands]
    assert [one.exit_code for one in done] == [0] * len(commands), [one.output for one in done]
    return [one.stdout for one in done]
