"""The last stage of a run: the month is handed over; what does not arrive unpublishes nothing and is reported everywhere."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from expectations.errors import ExitCode, JifenError
from expectations.month import Month
from flows.commands import deliver as deliver_command
from flows.commands.deliver import deliver_month
from flows.commands.status import format_month_states, list_month_states
from flows.pipeline.context import RunContext
from flows.pipeline.result import RunResult
from flows.pipeline.runner import run_month
from flows.pipeline.stages import DELIVER_STAGE, STAGES, call_stage, list_stages
from tests.support.delivering import in_folder, list_files, read_summary, with_destinations
from tests.support.held_city import HAISHU, JIANGBEI, PEOPLE, copied, degrees, registry
from tests.support.world import World

NOVEMBER = Month.parse("2021-11")


@pytest.fixture
def town(october_town: World, tmp_path: Path) -> World:
    """The town with November to come, its portal and two districts in folders; one is not mounted."""
    town = copied(october_town, tmp_path / "town")
    out = tmp_path / "out"
    town.settings = with_destinations(
        town.settings,
        portal=in_folder(out, "portal"),
        d330203=in_folder(out, "haishu"),
        d330205=in_folder(out, "jiangbei"),
    )
    (out / "haishu").rmdir()
    town.deliver(str(NOVEMBER), registry=registry(), education=degrees())
    return town


def run(town: World, lines: list[str] | None = None) -> RunResult:
    context = RunContext(town.project, town.root, town.root.key(), NOVEMBER)
    with town.root.lock():
        return run_month(context, (lines or []).append, call_stage)


def test_what_has_not_arrived_is_reported_everywhere_and_the_month_stays_published(
    town: World, tmp_path: Path
) -> None:
    lines: list[str] = []
    context = RunContext(town.project, town.root, town.root.key(), NOVEMBER)
    with town.root.lock():
        result = run_month(context, lines.append, call_stage)
    assert (result.state, result.code) == ("undelivered", ExitCode.OTHER)
    assert town.revision(str(NOVEMBER)).number == 1
    assert "haishu" in result.reason and "jifen deliver --month 2021-11" in result.hint
    said = "\n".join(lines)
    assert "已发布：40 人" in said and f"{HAISHU}：未送达" in said and "portal：已送达" in said
    assert any("未送达接收方" in line and HAISHU in line for line in result.described.actions)
    assert result.report and result.report.parent == town.root.runs
    page = result.report.read_text()
    first = page.partition("<h2")[0]
    assert "未送达接收方" in first and "jifen deliver --month 2021-11 --to 330203" in first
    records = sorted(town.root.runs.glob("[0-9]*-2021-11.json"))
    record = json.loads(records[-1].read_bytes())
    assert record["state"] == "undelivered" and record["exit_code"] == 1
    kept = [said, page, json.dumps(record), str(result.error)]
    assert not any(person in text for text in kept for person in PEOPLE)
    shown = "\n".join(format_month_states(list_month_states(town.settings)))
    assert "2021-11  已发布" in shown and f"{HAISHU}：已发布，未送达接收方" in shown
    assert "2021-10" in shown and "2021-10：330203" not in shown  # nobody has tried October


def test_the_next_run_delivers_what_is_missing_and_publishes_nothing(
    town: World, tmp_path: Path
) -> None:
    assert run(town).state == "undelivered"
    there = tmp_path / "out" / "jiangbei" / str(NOVEMBER)
    before = {name: (there / name).stat().st_ino for name in list_files(there)}
    again = run(town)
    assert again.state == "undelivered" and any("330203" in one for one in again.described.actions)
    (tmp_path / "out" / "haishu").mkdir()
    result = run(town)
    assert (result.state, result.error) == ("unchanged", None)
    assert town.revision(str(NOVEMBER)).number == 1
    assert read_summary(tmp_path / "out" / "haishu" / str(NOVEMBER))["revision"] == 1
    assert {name: (there / name).stat().st_ino for name in list_files(there)} == before
    shown = "\n".join(format_month_states(list_month_states(town.settings)))
    assert "未送达" not in shown


def test_the_command_delivers_tries_again_and_ends_with_1_while_something_is_missing(
    town: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    town.settings, given = with_destinations(town.settings), town.settings
    assert run(town).state == "published"
    town.settings = given
    monkeypatch.setattr(deliver_command, "DELIVER_RETRY_SECONDS", (0.0, 0.0))
    lines: list[str] = []
    with pytest.raises(JifenError) as caught:
        deliver_month(town.settings, None, [], lines.append)
    assert caught.value.code == ExitCode.OTHER and HAISHU in caught.value.message
    assert len(lines) == 3
    deliver_month(town.settings, NOVEMBER, [JIANGBEI], lines.append)
    assert "都在，未再传" in lines[-1]
    with pytest.raises(JifenError) as caught:
        deliver_month(town.settings, NOVEMBER, ["330299"], lines.append)
    assert caught.value.code == ExitCode.USAGE
    with pytest.raises(JifenError) as caught:
        deliver_month(town.settings, Month.parse("2021-12"), [], lines.append)
    assert caught.value.code == ExitCode.USAGE


def test_a_month_that_is_held_goes_nowhere(town: World, tmp_path: Path) -> None:
    town.deliver(str(NOVEMBER), registry=registry(), education=degrees(PEOPLE[:4]))
    assert run(town).state == "held"
    assert list_files(tmp_path / "out") == set()


def test_without_destinations_there_is_no_such_stage(town: World) -> None:
    context = RunContext(town.project, town.root, town.root.key(), NOVEMBER)
    assert list_stages(context) == (*STAGES, DELIVER_STAGE)
    assert len(DELIVER_STAGE.retry_seconds) == 2
    town.settings = with_destinations(town.settings)
    assert list_stages(replace(context, project=town.project)) == STAGES
