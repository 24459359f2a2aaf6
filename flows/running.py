"""Run months: the lock, the server in the background, the steps, and the record of the run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial

from expectations import gate
from expectations.month import Month
from expectations.problems import ExitCode, JifenError
from flows import prefect_home, publish
from flows.checking import refuse_changed_versions, refuse_illustrative, refuse_missing_keys
from flows.house import House, load_house
from flows.month import STEPS, Step, renew_catalogue
from flows.notify import notify
from flows.outcome import Outcome, failed, finished
from flows.progress import Doing, live_line, nowhere
from flows.root import Root, canonical_json, open_root, write_atomically
from flows.run import Run, Tell
from flows.settings import Settings

Attempt = Callable[[Step, Run], object]


def run_months(
    settings: Settings,
    months: Sequence[Month],
    allowed: Mapping[str, str],
    tell: Tell,
    *,
    send: bool = False,
    accept: str | None = None,
) -> list[Run]:
    """Run these months one after the other, each as a Prefect flow. JifenError ends it; months done stay published.

    `accept`: why a month that has drifted too far is published all the same.
    """
    with live_line("准备") as doing, _opened_or_told(settings, months, tell) as (house, root, key):
        _refuse_unknown_sources(house, allowed)
        return [
            _run_with_prefect(Run(house, root, key, month, allowed, send, month == months[-1], accept), tell, doing)
            for month in months
        ]


@contextmanager
def _opened_or_told(settings: Settings, months: Sequence[Month], tell: Tell) -> Iterator[tuple[House, Root, bytes]]:
    """As `_opened`; what stops the first month before it has begun is notified like what stops it later."""
    with ExitStack() as stack:
        try:
            opened = stack.enter_context(_opened(settings, months, tell))
        except Exception as error:
            notify(settings, tell, failed(months[0], error))
            raise
        yield opened


def _refuse_unknown_sources(house: House, allowed: Mapping[str, str]) -> None:
    """A source that may be missing, but that nobody declared, is a slip of the pen: exit 2."""
    unknown = [name for name in allowed if name not in house.sources]
    if unknown:
        todo = f"来源有：{'、'.join(house.sources)}"
        raise JifenError(ExitCode.USAGE, f"--allow-missing：没有来源 {'、'.join(unknown)}", todo=todo)


def run_scheduled(settings: Settings, tell: Tell, month: Month, attempt: Attempt) -> Outcome:
    """The month within a flow run that the schedule has started: what goes wrong beforehand is its outcome too."""
    try:
        with _opened(settings, [month], tell) as (house, root, key):
            outcome = _run_steps(tell, Run(house, root, key, month), attempt)
    except Exception as error:
        outcome = failed(month, error)
    if outcome.error:
        tell(f"{month} 未发布：{outcome.reason}")
    return outcome


@contextmanager
def _opened(settings: Settings, months: Sequence[Month], tell: Tell) -> Iterator[tuple[House, Root, bytes]]:
    """The root, held for these months, once everything declared and published is found in order."""
    root = open_root(settings)
    with root.lock():
        if prefect_home.start_server_early(root.path):
            prefect_home.require_server(root.path)
        gate.warm_up()
        house = load_house(settings)
        for month in months:
            refuse_illustrative(house, month)
        refuse_changed_versions(house, root)
        refuse_missing_keys(house)
        key = root.key()
        for revision in publish.finish_interrupted(root, key):
            tell(f"{revision.month} 第 {revision.number} 版：上次中断的发布已完成")
        renew_catalogue(house, root)
        yield house, root, key


def _run_with_prefect(run: Run, tell: Tell, doing: Doing) -> Run:
    from flows.monthly import run_with_prefect

    def work(month: Month, attempt: Attempt) -> Outcome:
        return _run_steps(tell, run, attempt, doing)

    outcome = run_with_prefect(work, run.month, partial(notify, run.house.settings, tell))
    if outcome.error:
        raise outcome.error from None
    return run


def _run_steps(tell: Tell, run: Run, attempt: Attempt, doing: Doing = nowhere) -> Outcome:
    """Every step of the month, and the record of it."""
    month, begun = run.month, time.perf_counter()
    run.tell = lambda line: tell(f"  {line}")
    try:
        tell(f"{month} 开始")
        for number, step in enumerate(STEPS, 1):
            doing(f"{month} {step.title}", number, len(STEPS))
            attempt(step, run)
        outcome = finished(run)
    except Exception as error:
        outcome = failed(month, error, run)
    record = outcome.facts() | {"started_at": run.started, "seconds": run.timings}
    with suppress(OSError):  # on a full disk the outcome itself says so
        write_atomically(run.record(".json"), canonical_json(record))
    if outcome.state == "unchanged":
        tell(f"{month} 第 {outcome.revision} 版仍然有效：输入没有变化，未发布新版本")
    elif outcome.state == "published":
        seconds = time.perf_counter() - begun
        tell(f"{month} 第 {outcome.revision} 版已发布：{outcome.residents:,} 人，{seconds:.1f} 秒")
    return outcome
