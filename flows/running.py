"""Run months: the lock, the server in the background, the steps as a Prefect flow, and the record of the run."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from expectations import gate
from expectations.month import Month
from expectations.problems import JifenError
from flows import prefect_home, publish
from flows.checking import refuse_changed_versions, refuse_illustrative
from flows.house import load_house
from flows.month import STEPS, renew_catalogue
from flows.root import canonical_json, open_root, write_atomically
from flows.run import Run
from flows.settings import Settings


def run_months(
    settings: Settings,
    months: Sequence[Month],
    allowed: Mapping[str, str],
    tell: Callable[[str], None],
    *,
    send: bool = False,
    accept: str | None = None,
) -> list[Run]:
    """Run these months one after the other, each as a Prefect flow. JifenError ends it; months done stay published.

    `accept`: why a month that has drifted too far is published all the same.
    """
    root = open_root(settings)
    with root.lock():
        prefect_home.start_server_early(root.path)
        gate.warm_up()
        house = load_house(settings)
        for month in months:
            refuse_illustrative(house, month)
        refuse_changed_versions(house, root)
        key = root.key()
        for revision in publish.finish_interrupted(root, key):
            tell(f"{revision.month} 第 {revision.number} 版：上次中断的发布已完成")
        renew_catalogue(house, root)
        return [
            _run_month(Run(house, root, key, month, allowed, send, month == months[-1], accept), tell)
            for month in months
        ]


def _run_month(run: Run, tell: Callable[[str], None]) -> Run:
    from flows.monthly import run_month_with_prefect

    month, begun = run.month, time.perf_counter()
    run.tell = lambda line: tell(f"  {line}")
    tell(f"{month} 开始")
    outcome = "failed"
    try:
        run_month_with_prefect(run, STEPS, month)
        outcome = "unchanged" if run.unchanged else "published"
    except JifenError as error:
        outcome = f"exit {int(error.code)}: {error.what}"
        raise
    finally:
        record = {"month": str(month), "started_at": run.started, "outcome": outcome, "seconds": run.timings}
        write_atomically(run.record(".json"), canonical_json(record))
    assert run.published
    seconds = time.perf_counter() - begun
    if run.unchanged:
        tell(f"{month} 第 {run.published.number} 版仍然有效：输入没有变化，未发布新版本")
    else:
        residents = run.published.manifest["residents"]
        tell(f"{month} 第 {run.published.number} 版已发布：{residents:,} 人，{seconds:.1f} 秒")
    return run
