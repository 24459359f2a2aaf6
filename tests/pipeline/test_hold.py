"""A held month: what an operator does about it, and that accepting it publishes exactly what was built."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from expectations.errors import ExitCode, JifenError
from flows.access_settings import AccessSettings
from flows.cli.options import parse_accept_reason, parse_reasons
from flows.commands.status import list_month_states
from flows.storage.operators import Operator
from flows.storage.publish import list_files
from flows.storage.verify import verify_root
from tests.support.held_city import (
    DECEMBER,
    NOVEMBER,
    OCTOBER,
    PEOPLE,
    SMALL,
    a_tenth_of_education,
    amended,
    copied,
    degrees,
    held,
    registry,
    verdict,
    with_drift,
)
from tests.support.world import World

REASON = "已向教育局核实，学历库完成清理"


@pytest.fixture
def town(october_town: World, tmp_path: Path) -> World:
    """October is published."""
    return copied(october_town, tmp_path / "town")


@pytest.fixture(scope="module")
def november(october_town: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    made = copied(october_town, tmp_path_factory.mktemp("november") / "town")
    a_tenth_of_education(made)
    held(made)
    return made


@pytest.fixture
def waiting(november: World, tmp_path: Path) -> World:
    """October is published, November held."""
    return copied(november, tmp_path / "waiting")


def files(folder: Path) -> dict[str, dict[str, Any]]:
    """All files of a revision but the report, which says how the month came to be published."""
    return {
        name: facts
        for name, facts in list_files(folder).items()
        if not name.startswith(("report/", "policy/"))
    }


def built(town: World, month: str = NOVEMBER) -> Path:
    (folder,) = (town.root.tmp / "build").glob(f"{month}-*")
    return folder / "revision"


@pytest.mark.promises(
    {
        "sources-162": "access log: accepted",
        "outputs-4": "Operator decides on a held month",
        "outputs-93": "Manifest: the operator's reasons",
        "outputs-197": "`--accept` publishes exactly what was built",
    }
)
def test_accepting_publishes_exactly_what_was_built_and_says_why(waiting: World) -> None:
    revision = built(waiting)
    before = files(revision)
    inodes = {name: (revision / name).stat().st_ino for name in before}
    waiting.run(NOVEMBER, accept=REASON)
    published = waiting.revision(NOVEMBER)
    assert files(published.path) == before and len(before) > 20
    assert {
        name: (published.path / name).stat().st_ino for name in before
    } == inodes  # nothing was made again
    assert published.manifest.accepted == REASON and len(published.manifest.held) > 1
    assert "经核准发布，理由：" + REASON in verdict(
        (published.path / "report/index.html").read_text(encoding="utf-8")
    )
    noted = [
        json.loads(line)
        for line in (waiting.root.runs / "access.log").read_text(encoding="utf-8").splitlines()
    ]
    assert [(n["action"], n["month"], n.get("reason")) for n in noted] == [
        ("export", OCTOBER, None),
        ("accept", NOVEMBER, REASON),
        ("export", NOVEMBER, None),
    ]
    assert verify_root(waiting.root, waiting.root.key()) == []


@pytest.mark.promise("outputs-198", "`--accept` on the first run publishes in one go")
def test_accepting_on_the_first_run_publishes_in_one_go_and_the_next_report_says_so(
    town: World,
) -> None:
    a_tenth_of_education(town)
    town.run(NOVEMBER, accept=REASON)
    assert town.revision(NOVEMBER).manifest.accepted == REASON
    town.deliver(DECEMBER, registry=registry(), education=degrees(PEOPLE[:4]))
    town.run(DECEMBER)
    text = (town.revision(DECEMBER).path / "report" / "index.html").read_text(encoding="utf-8")
    assert "上月超出限度，经核准发布" in text and REASON in text


@pytest.mark.promise(
    "outputs-71", "A held month is finished, kept back, and accepted by an operator"
)
@pytest.mark.promise("outputs-107", "Finished steps are taken up when inputs are equal")
def test_a_held_month_stays_held_until_something_is_done(waiting: World) -> None:
    scores = built(waiting) / "scores" / "scores.parquet"
    inode = scores.stat().st_ino
    held(waiting)
    assert scores.stat().st_ino == inode


@pytest.mark.proves("outputs-153")
def test_wider_limits_let_a_held_month_through(waiting: World) -> None:
    waiting.settings = with_drift(
        waiting.settings,
        SMALL.model_copy(update={"rows": 0.95, "mean_points": 1.0, "eligible": 1.0}),
    )
    waiting.run(NOVEMBER)
    assert waiting.revision(NOVEMBER).manifest.held == []


@pytest.mark.promise("outputs-108", "... and made again when they are not")
def test_a_corrected_delivery_is_scored_anew_and_passes(waiting: World) -> None:
    waiting.deliver(NOVEMBER, registry=registry(), education=degrees())
    waiting.run(NOVEMBER)
    assert waiting.revision(NOVEMBER).manifest.accepted is None
    assert not (waiting.root.runs / f"held-{NOVEMBER}.json").exists()


@pytest.mark.promise("outputs-199", "Inputs changed since: says what, builds again")
def test_accepting_what_has_changed_since_says_so_and_holds_what_is_new(
    waiting: World, tmp_path: Path
) -> None:
    waiting.deliver(NOVEMBER, registry=registry(), education=degrees(PEOPLE[:5]))
    progress: list[str] = []
    error = held(waiting, accept=REASON, report_progress=progress.append)
    assert any("待核以后有变化，重新计算：交付（education 2021-11）" in line for line in progress)
    assert "交付（education 2021-11）" in error.message and "40 行 → 5 行" in error.message
    waiting.run(NOVEMBER, accept=REASON)
    assert waiting.revision(NOVEMBER).manifest.accepted == REASON


def test_a_changed_table_and_changed_code_are_named(
    waiting: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = waiting.settings.paths.model_copy(update={"policy": amended(tmp_path / "policy", 20)})
    waiting.settings = waiting.settings.model_copy(update={"paths": paths})
    for module in ("flows.pipeline.hold", "flows.pipeline.fingerprints"):
        monkeypatch.setattr(f"{module}.code_fingerprint", lambda *places: "another")
    what = held(waiting, accept=REASON).message
    assert "积分表（city）" in what and "程序（jifen）" in what and "交付（" not in what


def test_a_month_held_in_a_backfill_is_accepted_as_it_was_built(town: World) -> None:
    a_tenth_of_education(town)
    held(town, last=False)
    before = files(built(town))
    town.run(NOVEMBER, accept=REASON, last=True)
    assert files(town.revision(NOVEMBER).path) == before


def test_a_held_month_with_a_missing_source_is_accepted_without_saying_it_again(
    town: World,
) -> None:
    a_tenth_of_education(town)
    (town.inbox / NOVEMBER / "patents.csv").unlink()
    held(town, allowed={"patents": "本月无数据"})
    town.run(NOVEMBER, accept=REASON)
    assert town.revision(NOVEMBER).manifest.missing["patents"]["reason"] == "本月无数据"


def test_a_list_asked_for_with_the_acceptance_is_built_before_it_is_accepted(town: World) -> None:
    a_tenth_of_education(town)
    held(town, last=False)
    error = held(town, accept=REASON, send=True)
    assert "待核以后有变化，已重新计算：运行选项" in error.message
    town.run(NOVEMBER, accept=REASON)
    assert town.revision(NOVEMBER).manifest.reminders_allowed


def test_what_was_allowed_to_be_missing_need_not_be_said_again(town: World) -> None:
    town.deliver(NOVEMBER, registry=registry(), education=degrees())
    (town.inbox / NOVEMBER / "patents.csv").unlink()
    town.run(NOVEMBER, allowed={"patents": "本月无数据"})
    assert town.run(NOVEMBER).unchanged
    assert town.run(NOVEMBER, allowed={"patents": "改口"}).unchanged
    assert town.revision(NOVEMBER).manifest.missing["patents"]["reason"] == "本月无数据"


@pytest.mark.proves("outputs-196")
def test_accepting_a_good_month_is_not_recorded_and_its_second_revision_is_held_beside_it(
    town: World,
) -> None:
    town.deliver(NOVEMBER, registry=registry(), education=degrees())
    town.run(NOVEMBER, accept=REASON)
    assert town.revision(NOVEMBER).manifest.accepted is None
    a_tenth_of_education(town)
    held(town)
    assert town.revision(NOVEMBER).number == 1
    assert states(town)[NOVEMBER].startswith("待核（以前的修订版仍有效）")


def states(town: World, today: dt.date = dt.date(2021, 12, 5)) -> dict[str, str]:
    return {
        str(one.month): f"{one.state} {'；'.join(one.notes)}"
        for one in list_month_states(town.settings, today)
    }


@pytest.mark.proves("outputs-167")
def test_status_shows_what_is_held_due_and_late(town: World) -> None:
    assert "逾期 5 天，缺少：随迁子女" in states(town, dt.date(2021, 12, 10))[NOVEMBER]
    assert "应于 2021-12-05 02:00 前交齐" in states(town)[NOVEMBER]
    a_tenth_of_education(town)
    report = held(town).where
    assert states(town)[NOVEMBER].startswith("待核 ") and report in states(town)[NOVEMBER]
    town.run(NOVEMBER, accept=REASON)
    assert states(town)[NOVEMBER].startswith("已发布")


@pytest.mark.parametrize("given", ["", "  ", f"{PEOPLE[0]} 无误", "请致电 13857407777"])
def test_a_reason_is_needed_and_holds_nobodys_number(given: str) -> None:
    for read in (
        parse_accept_reason,
        lambda reason: parse_reasons("--allow-missing", [f"patents={reason}"]),
    ):
        with pytest.raises(JifenError) as caught:
            read(given)
        assert caught.value.code == ExitCode.USAGE and PEOPLE[0] not in str(caught.value)


def with_four_eyes(town: World, account: str) -> World:
    """The same town with `[access] four_eyes`, at another operator's terminal."""
    access = AccessSettings(four_eyes=True, operators={"wangfang": "王芳", "liming": "李明"})
    town.settings = town.settings.model_copy(update={"access": access})
    town.root = replace(town.root, operator=Operator(account, access.operators))
    return town


def test_with_four_eyes_a_month_is_published_by_the_second_person(waiting: World) -> None:
    town = with_four_eyes(waiting, "wangfang")
    for _ in range(2):  # the same person twice is one
        error = held(town, accept=REASON)
        assert "已由王芳核准，还须另一人核准" in error.message
    (state,) = [one for one in list_month_states(town.settings) if one.month == NOVEMBER]
    assert state.state == "待核" and "已由王芳核准，还须另一人核准" in state.notes[0]
    assert "经核准发布" not in Path(error.where or "").read_text(encoding="utf-8")
    with_four_eyes(town, "liming").run(NOVEMBER, accept="已复核")
    manifest = town.revision(NOVEMBER).manifest
    assert (manifest.accepted, manifest.accepted_by) == ("已复核", ["王芳", "李明"])
    assert verify_root(town.root, town.root.key()) == []


def test_with_four_eyes_what_has_changed_is_accepted_by_two_again(waiting: World) -> None:
    held(with_four_eyes(waiting, "wangfang"), accept=REASON)
    waiting.deliver(NOVEMBER, registry=registry(), education=degrees(PEOPLE[:5]))
    error = held(with_four_eyes(waiting, "liming"), accept=REASON)
    assert "已由" not in error.message and "待核以后有变化" in error.message
    error = held(waiting, accept=REASON)
    assert "已由李明核准" in error.message
    with_four_eyes(waiting, "wangfang").run(NOVEMBER, accept=REASON)
    assert waiting.revision(NOVEMBER).manifest.accepted_by == ["李明", "王芳"]


def test_an_acceptance_that_was_forged_in_the_log_does_not_count(waiting: World) -> None:
    town = with_four_eyes(waiting, "wangfang")
    held(town, accept=REASON)
    log = town.root.runs / "access.log"
    log.write_bytes(log.read_bytes().replace(b'"account": "wangfang"', b'"account": "liming"'))
    error = held(town, accept=REASON)
    assert "还须另一人核准" in error.message


def test_without_four_eyes_the_manifest_names_the_one_who_accepted(waiting: World) -> None:
    waiting.run(NOVEMBER, accept=REASON)
    manifest = waiting.revision(NOVEMBER).manifest
    assert manifest.accepted_by == [waiting.root.operator.name]
