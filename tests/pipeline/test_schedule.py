"""Due months, `jifen status` and the notification after a run, without a Prefect server."""

from __future__ import annotations

import datetime as dt
import json
import socket
import stat
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest

from expectations.errors import ExitCode, JifenError
from expectations.month import Month
from flows.city_time import CITY_TIME
from flows.commands.run import run_months
from flows.commands.status import list_month_states
from flows.orchestration.schedule import Schedule, find_due_month, load_schedule, parse_schedule
from flows.pipeline.context import RunOptions
from flows.pipeline.notify import WEBHOOK, notify
from flows.pipeline.result import RunResult, failed
from flows.pipeline.runner import run_scheduled
from flows.settings import Notify, Settings, load_settings
from flows.storage.files import to_canonical_json
from flows.storage.root import Root
from tests.support.held_city import (
    DECEMBER,
    NAME,
    NOVEMBER,
    OCTOBER,
    PEOPLE,
    PHONE,
    copied,
    degrees,
    registry,
)
from tests.support.world import SOURCES, World

BLOCKED = failed(
    Month.parse(OCTOBER),
    JifenError(ExitCode.GATE, "学历未通过检查", where="raw/d1", hint="请重新交付"),
)


@pytest.fixture
def town(october_town: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr("flows.commands.run.use_server", lambda root: nullcontext())
    return copied(october_town, tmp_path / "town")


def scheduled(town: World, month: str, settings: Settings | None = None) -> RunResult:
    """The month as the schedule runs it, its steps called plainly."""
    return run_scheduled(
        settings or town.settings,
        lambda line: None,
        Month.parse(month),
        lambda step, run: step.function(run),
    )


@pytest.mark.parametrize(
    ("moment", "month"),
    [
        ("2024-05-05T02:00+08:00", "2024-04"),
        ("2024-04-30T17:00+00:00", "2024-04"),
        ("2024-01-01T00:00+08:00", "2023-12"),
    ],
)
def test_the_month_before_is_found_by_the_citys_own_clock(moment: str, month: str) -> None:
    assert str(find_due_month(dt.datetime.fromisoformat(moment))) == month


def test_a_schedule_knows_when_a_month_is_due() -> None:
    schedule = parse_schedule(28, "23:05")
    assert schedule.cron == "5 23 28 * *"
    assert schedule.due(Month.parse("2023-12")) == dt.datetime(2024, 1, 28, 23, 5, tzinfo=CITY_TIME)
    assert [str(schedule.newest_due(dt.date(2024, 3, day))) for day in (27, 28)] == [
        "2024-01",
        "2024-02",
    ]


@pytest.mark.parametrize(
    ("day", "time"), [(0, "02:00"), (29, "02:00"), (5, "24:00"), (5, "2:00"), (5, "02:00:00")]
)
def test_a_day_or_time_that_cannot_be_is_a_usage_error(day: int, time: str) -> None:
    with pytest.raises(JifenError) as caught:
        parse_schedule(day, time)
    assert caught.value.code == ExitCode.USAGE


def test_the_default_is_the_fifth_until_serve_sets_another_day(root: Root) -> None:
    assert load_schedule(root) == Schedule(day=5, time="02:00")
    (root.runs / "schedule.json").write_bytes(to_canonical_json({"day": 9, "time": "06:30"}))
    assert load_schedule(root) == Schedule(day=9, time="06:30")
    (root.runs / "schedule.json").write_bytes(b"{")
    with pytest.raises(JifenError) as refused:
        load_schedule(root)
    assert refused.value.code == ExitCode.DAMAGE and "jifen serve" in refused.value.hint


# --- the outcome of a scheduled run ---


def test_a_held_month_is_an_outcome_with_its_reasons_and_its_report(town: World) -> None:
    town.deliver(NOVEMBER, registry=registry(), education=degrees(PEOPLE[:4]))
    outcome = scheduled(town, NOVEMBER)
    assert (outcome.state, outcome.code, outcome.revision) == ("held", ExitCode.HELD, None)
    assert outcome.report and outcome.report.is_file() and outcome.residents == len(PEOPLE)
    page = outcome.to_markdown()
    assert "‖ 待核，未发布" in page and f"{len(PEOPLE)} 人计分" in page and "| drift |" in page
    assert outcome.drift and all(reason in page for reason in outcome.drift)
    assert all(f"- {one}" in page for one in outcome.described.actions)
    said = page + json.dumps(outcome.to_values(), ensure_ascii=False)
    assert not [secret for secret in (NAME, PHONE, *PEOPLE) if secret in said]


def test_a_published_month_is_left_alone_and_says_so(town: World) -> None:
    outcome = scheduled(town, OCTOBER)
    assert (outcome.state, outcome.revision, outcome.error) == ("unchanged", 1, None)
    assert "没有变化" in outcome.to_markdown()


@pytest.mark.proves("outputs-41")
def test_what_goes_wrong_before_the_first_step_is_an_outcome_too(
    town: World, tmp_path: Path
) -> None:
    with town.root.lock():
        outcome = scheduled(town, OCTOBER)
    assert (outcome.state, outcome.code, outcome.report) == ("failed", ExitCode.LOCKED, None)
    wrong = town.settings.model_copy(
        update={"paths": town.settings.paths.model_copy(update={"policy": tmp_path / "none"})}
    )
    assert scheduled(town, OCTOBER, wrong).state == "failed"


@pytest.mark.proves("sources-150")
def test_errors_of_libraries_are_reported_by_their_kind_only() -> None:
    outcome = failed(Month.parse(OCTOBER), ValueError(f"could not convert {PEOPLE[0]}"))
    assert (outcome.state, outcome.code) == ("failed", ExitCode.OTHER)
    assert PEOPLE[0] not in outcome.to_markdown() + str(outcome.to_values())


def test_titles_and_reasons_are_no_markup_in_prefects_pages() -> None:
    title = "住建|<script>alert(1)</script> [x](javascript:1) `*"
    outcome = failed(Month.parse(OCTOBER), JifenError(ExitCode.GATE, title, hint=title))
    page = outcome.to_markdown()
    assert "<script" not in page and "[x](" not in page.replace("\\[x\\](", "")
    assert "住建\\|&lt;script&gt;" in page


# --- notifications ---


def send_notification(root: Root, way: Notify, outcome: RunResult = BLOCKED) -> list[str]:
    lines: list[str] = []
    settings = Settings.model_validate({"paths": {"root": root.path, "inbox": root.inbox}})
    notify(settings.model_copy(update={"notify": way}), lines.append, outcome)
    return lines


def test_a_command_gets_the_facts_twice_and_none_of_our_secrets(
    root: Root, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JIFEN_CREDIT_PASSWORD", "hunter2")
    script = tmp_path / "script"
    script.write_text(
        f'#!/bin/sh\ncat > "{tmp_path}/body"\nenv > "{tmp_path}/environment"\necho "$1" > "{tmp_path}/first"\n'
    )
    script.chmod(0o700)
    assert send_notification(root, Notify(command=[str(script), "$(id); `id`"])) == []
    facts = json.loads((tmp_path / "body").read_text(encoding="utf-8"))
    assert facts == BLOCKED.to_values()
    assert (facts["state"], facts["exit_code"], facts["reason"]) == (
        "blocked",
        12,
        "学历未通过检查（raw/d1）",
    )
    environment = (tmp_path / "environment").read_text(encoding="utf-8")
    assert "JIFEN_MONTH=2021-10\n" in environment and "JIFEN_STATE=blocked\n" in environment
    assert "hunter2" not in environment and "JIFEN_REVISION" not in environment
    assert (tmp_path / "first").read_text() == "$(id); `id`\n", "no shell reads the arguments"


def test_no_notification_is_sent_when_none_is_set(root: Root) -> None:
    assert send_notification(root, Notify()) == []
    assert not (root.runs / "notify.log").exists()


def test_an_undelivered_message_is_reported_and_logged_without_its_address(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setenv(WEBHOOK, f"http://127.0.0.1:{port}/send?key=hunter2")
    lines = send_notification(
        root, Notify(webhook="http://never.used", command=["/no/such/program"])
    )
    assert lines == [
        "通知未送达（webhook：URLError）；不影响该月的结果",
        "通知未送达（command：FileNotFoundError）；不影响该月的结果",
    ]
    log = root.runs / "notify.log"
    (logged,) = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert (logged["webhook"], logged["command"], logged["month"]) == (
        "URLError",
        "FileNotFoundError",
        OCTOBER,
    )
    assert "hunter2" not in log.read_text() and stat.S_IMODE(log.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "line",
    [
        'webhook = "ftp://host/hunter2"',
        'webhook = "https://me:hunter2@host/"',
        "command = []",
        'command = "hunter2"',
    ],
)
def test_unusable_notification_settings_are_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "jifen.toml").write_text(f"[notify]\n{line}\n", encoding="utf-8")
    with pytest.raises(JifenError, match="notify") as caught:
        load_settings(tmp_path / "jifen.toml")
    assert caught.value.code == ExitCode.DECLARATIONS
    assert line.startswith("command") or "hunter2" not in str(caught.value)


def test_a_run_that_cannot_even_begin_is_notified_too(town: World, tmp_path: Path) -> None:
    body = tmp_path / "body.json"
    command = ["/bin/sh", "-c", f"cat > {body}"]
    settings = town.settings.model_copy(update={"notify": Notify(command=command)})
    with town.root.lock(), pytest.raises(JifenError) as caught:
        run_months(settings, [Month.parse(NOVEMBER)], RunOptions(), lambda line: None)
    assert caught.value.code == ExitCode.LOCKED
    facts = json.loads(body.read_bytes())
    assert (facts["month"], facts["state"], facts["exit_code"]) == (
        NOVEMBER,
        "failed",
        ExitCode.LOCKED,
    )


def test_a_server_that_does_not_answer_is_reported_with_the_way_out(
    town: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    with pytest.raises(JifenError) as caught:
        run_months(town.settings, [Month.parse(NOVEMBER)], RunOptions(), lambda line: None)
    assert "Prefect 服务没有应答" in caught.value.message and "server start" in caught.value.hint


# --- status ---


Lines = Callable[..., dict[str, str]]


def status(town: World, today: str = "2021-12-04") -> dict[str, str]:
    states = list_month_states(town.settings, dt.date.fromisoformat(today))
    return {str(one.month): f"{one.state}|{one.revision}|{'；'.join(one.notes)}" for one in states}


def test_what_a_run_would_not_take_is_missing(town: World) -> None:
    """A file that is still being copied under another name, a format nobody reads, a folder without parts."""
    waiting = town.inbox / NOVEMBER
    (waiting / "children").mkdir(parents=True)
    for name in ("registry.csv_part", "credit.txt", "patents.csv"):
        (waiting / name).write_text("a\n")
    detail = status(town)[NOVEMBER]
    assert all(SOURCES[name].title in detail for name in ("registry", "credit", "children")), detail
    assert SOURCES["patents"].title not in detail


@pytest.mark.promise("outputs-167", "`status`: months, revisions, states, due, missing")
def test_status_shows_what_is_due_missing_and_late_by_the_schedule(town: World) -> None:
    assert status(town)[OCTOBER] == "已发布|r1|各来源齐全"
    assert "应于 2021-12-05 02:00 前交齐，缺少：" in status(town)[NOVEMBER]
    (town.root.runs / "schedule.json").write_bytes(to_canonical_json({"day": 3, "time": "06:30"}))
    assert "逾期 1 天，缺少：" in status(town)[NOVEMBER]
    assert "到期" not in status(town)[NOVEMBER] and DECEMBER not in status(town)
    assert "此后到 2022-01 各月也已到期" in status(town, "2022-02-03")[NOVEMBER]
    town.deliver(NOVEMBER, registry=registry(), education=degrees())
    assert status(town)[NOVEMBER] == "待运行||各来源齐全"


def test_status_does_not_miss_in_the_inbox_what_is_fetched_elsewhere(town: World) -> None:
    town.deliver(NOVEMBER, registry=registry(), education=degrees())
    (town.inbox / NOVEMBER / "credit.csv").unlink()
    origin = {"credit": {"origin": "sftp://host/out/{month}/credit.csv"}}
    sources = Settings.model_validate({"paths": town.settings.paths, "sources": origin}).sources
    town.settings = town.settings.model_copy(update={"sources": sources})
    assert status(town)[NOVEMBER] == "待运行||运行时自行取数：荣誉与失信"


@pytest.mark.promise("outputs-77", "`runs/` keeps run records")
def test_status_shows_a_blocked_month_until_it_is_published(town: World) -> None:
    town.deliver(NOVEMBER, registry=registry(), education=degrees())
    (town.inbox / NOVEMBER / "credit.csv").unlink()
    assert scheduled(town, NOVEMBER).state == "blocked"
    assert status(town)[NOVEMBER].startswith(
        "数据未通过||荣誉与失信（credit）缺少 2021-11 的数据（退出码 11），请部门补交"
    )
    town.deliver(NOVEMBER, registry=registry(), education=degrees())
    assert scheduled(town, NOVEMBER).state == "published"
    assert status(town)[NOVEMBER].startswith("已发布|r1|")
