"""The Prefect shell: steps in order, failures that stay failures, and a database that knows nothing about anybody.

Prefect reads its environment when it is imported, so the flows run in a process of their own, on a real server.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.programs import child

PLANTED = ("330203197707070777", "张三丰", "13857407777")

FLOWS = """
import json, sys
from contextlib import ExitStack
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from flows.orchestration.server import use_server
stack = ExitStack()
server = stack.enter_context(use_server(Path(sys.argv[1])))
server.wait_until_ready()
from expectations.month import Month
from expectations.errors import ExitCode, JifenError
from flows.orchestration import flow
from flows.pipeline.result import RunResult, failed

PLANTED = sys.argv[2:]

@dataclass
class Step:
    name: str
    function: Callable

    @property
    def retry_seconds(self):
        return (0.0, 0.0) if self.name == "pull" else ()

def fails(error, times=99):
    def work(run):
        run["tries"] = run.get("tries", 0) + 1
        if run["tries"] <= times:
            raise error
        return {"tries": run["tries"]}
    return work

def counted(name):
    def work(run):
        run["done"].append(name)
        return {"rows": len(run["done"])}
    return Step(name, work)

def caused(error, cause):
    error.__cause__ = cause
    return error

def attempt(month, *steps):
    run = {"people": PLANTED, "done": []}
    counts, ended = {}, []

    def work(month, attempt):
        try:
            counts.update({step.name: attempt(step, run) for step in steps})
        except Exception as error:
            return failed(month, error)
        return RunResult(month, "published", residents=12345)

    outcome = flow.run_with_prefect(work, Month.parse(month), ended.append)
    error = outcome.error
    return {
        "counts": counts, "done": run["done"], "tries": run.get("tries"), "ended": [one.to_values() for one in ended],
        "type": type(error).__name__, "code": getattr(error, "code", None), "text": str(error), "same": error in raised,
    }

blocked = JifenError(ExitCode.GATE, "数据未通过检查", where="volunteer", hint="请部门重新交付")
engine = caused(ValueError(f"Could not convert {PLANTED}"), KeyError(PLANTED[0]))
missing = JifenError(ExitCode.EXTRACT, "来源缺少数据")
dropped = caused(JifenError(ExitCode.EXTRACT, "连接中断"), ConnectionResetError())
held = JifenError(ExitCode.HELD, "2021-07 待核：与上月相差超出限度")
raised = [blocked, engine, missing, dropped, held]

json.dump({
    "passing": attempt("2021-01", counted("pull"), counted("stage"), counted("publish")),
    "blocked": attempt("2021-02", counted("pull"), Step("gate", fails(blocked)), counted("publish")),
    "engine": attempt("2021-03", counted("pull"), Step("clean", fails(engine)), counted("publish")),
    "dropped": attempt("2021-04", Step("pull", fails(dropped, 2)), counted("publish")),
    "missing": attempt("2021-05", Step("pull", fails(missing)), counted("publish")),
    "late": attempt("2021-06", counted("pull"), Step("publish", fails(dropped, 2))),
    "held": attempt("2021-07", counted("pull"), Step("publish", fails(held))),
}, sys.stdout)
stack.close()
"""


@dataclass
class FlowRuns:
    """The output of the process, and what Prefect's database holds afterwards."""

    outcomes: dict[str, Any]
    stderr: str
    home: Path

    def rows(self, query: str, *values: str) -> list[tuple[Any, ...]]:
        with contextlib.closing(sqlite3.connect(self.home / "prefect.db")) as database:
            return database.execute(query, values).fetchall()

    def flow(self, month: str) -> tuple[str, str]:
        (row,) = self.rows(
            "SELECT s.type, s.message FROM flow_run f JOIN flow_run_state s ON s.id = f.state_id WHERE f.name = ?",
            month,
        )
        return row[0], row[1]

    def tasks(self, month: str) -> list[tuple[str, str]]:
        return self.rows(
            """SELECT substr(t.name, 1, instr(t.name, '-') - 1), t.state_type
               FROM task_run t JOIN flow_run f ON f.id = t.flow_run_id WHERE f.name = ? ORDER BY t.start_time""",
            month,
        )


@pytest.fixture(scope="module")
def flow_runs(tmp_path_factory: pytest.TempPathFactory) -> FlowRuns:
    root = tmp_path_factory.mktemp("root")
    process = child(FLOWS, str(root), *PLANTED)
    stdout, stderr = process.communicate(timeout=200)
    assert process.returncode == 0, stderr
    return FlowRuns(json.loads(stdout), stderr, root / "prefect")


@pytest.mark.promise("outputs-57", "Steps give counts; no data frames")
def test_steps_run_in_order_and_their_counts_come_back(flow_runs: FlowRuns) -> None:
    passing = flow_runs.outcomes["passing"]
    assert passing["done"] == ["pull", "stage", "publish"]
    assert passing["counts"] == {"pull": {"rows": 1}, "stage": {"rows": 2}, "publish": {"rows": 3}}
    assert flow_runs.flow("2021-01")[0] == "COMPLETED"
    assert flow_runs.tasks("2021-01") == [
        (name, "COMPLETED") for name in ("pull", "stage", "publish")
    ]


@pytest.mark.proves("outputs-2")
def test_a_blocked_gate_is_a_failed_flow_run_with_its_reason_and_code(flow_runs: FlowRuns) -> None:
    blocked = flow_runs.outcomes["blocked"]
    assert (blocked["code"], blocked["same"], blocked["done"]) == (12, True, ["pull"])
    state, message = flow_runs.flow("2021-02")
    assert state == "FAILED"
    assert "数据未通过检查" in message and "退出码：12" in message
    assert flow_runs.tasks("2021-02") == [("pull", "COMPLETED"), ("gate", "FAILED")]


def test_other_errors_come_back_as_they_were_and_reach_prefect_by_type_only(
    flow_runs: FlowRuns,
) -> None:
    engine = flow_runs.outcomes["engine"]
    assert (engine["type"], engine["same"], engine["done"]) == ("ValueError", True, ["pull"])
    assert PLANTED[0] in engine["text"]
    state, message = flow_runs.flow("2021-03")
    assert state == "FAILED"
    assert "程序错误（ValueError）" in message
    assert flow_runs.tasks("2021-03") == [("pull", "COMPLETED"), ("clean", "FAILED")]


def test_pull_alone_is_tried_again_and_only_for_a_lost_connection(flow_runs: FlowRuns) -> None:
    assert flow_runs.outcomes["dropped"]["counts"]["pull"] == {"tries": 3}
    assert flow_runs.flow("2021-04")[0] == "COMPLETED"
    assert (flow_runs.outcomes["missing"]["tries"], flow_runs.outcomes["missing"]["code"]) == (
        1,
        11,
    )
    assert (flow_runs.outcomes["late"]["tries"], flow_runs.flow("2021-06")[0]) == (1, "FAILED")


def test_a_held_month_is_a_failed_flow_run_too(flow_runs: FlowRuns) -> None:
    state, message = flow_runs.flow("2021-07")
    assert state == "FAILED"
    assert "待核" in message and "退出码：14" in message


def test_the_end_of_every_run_is_reported_once_with_its_state(flow_runs: FlowRuns) -> None:
    ended = {
        name: [(one["state"], one["exit_code"]) for one in flow_runs.outcomes[name]["ended"]]
        for name in flow_runs.outcomes
    }
    assert ended == {
        "passing": [("published", 0)],
        "blocked": [("blocked", 12)],
        "engine": [("failed", 1)],
        "dropped": [("published", 0)],
        "missing": [("blocked", 11)],
        "late": [("blocked", 11)],
        "held": [("held", 14)],
    }
    said = json.dumps(
        [outcome["ended"] for outcome in flow_runs.outcomes.values()], ensure_ascii=False
    )
    assert not [planted for planted in PLANTED if planted in said]


def test_every_run_leaves_a_page_of_its_facts(flow_runs: FlowRuns) -> None:
    pages = {
        key: json.loads(data) for key, data in flow_runs.rows("SELECT key, data FROM artifact")
    }
    assert sorted(pages) == [f"month-2021-{month:02d}" for month in range(1, 8)]
    assert "12,345 人计分" in pages["month-2021-01"]
    assert "数据未通过检查" in pages["month-2021-02"]


@pytest.mark.promise("outputs-79", "`tmp/` spills, `prefect/` is Prefect's home")
def test_nothing_personal_reaches_prefect(flow_runs: FlowRuns) -> None:
    """Every file under Prefect's home, and what the process wrote, searched for what the run and the errors held."""
    files = [path for path in flow_runs.home.rglob("*") if path.is_file()]
    assert any(path.name == "prefect.db" for path in files)
    for planted in PLANTED:
        forms = (planted.encode(), json.dumps(planted)[1:-1].encode())
        assert not [path for path in files for form in forms if form in path.read_bytes()]
        assert planted not in flow_runs.stderr
    assert flow_runs.rows("SELECT DISTINCT parameters FROM flow_run") == [("{}",)]
    assert not list(flow_runs.home.rglob("storage/*")), "no results are kept"


@pytest.mark.proves("outputs-3")
def test_the_operator_sees_no_log_and_no_stack_trace(flow_runs: FlowRuns) -> None:
    assert flow_runs.stderr == ""
