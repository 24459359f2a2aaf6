"""The gate: a delivery passes into the clean extracts, or blocks the run. Judged by Great Expectations inside DuckDB.

Importing Great Expectations takes seconds, so it is imported on the first judgement; `warm_up` does it aside, while
other work goes on.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import threading
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any

from expectations.month import Month
from expectations.source_model import Source

if TYPE_CHECKING:
    from expectations.gx_adapter import DuckDBSource, EngineSession

_judging = threading.Lock()


def preload() -> threading.Thread:
    """Import Great Expectations in the background; the first judgement waits for it, and tells what is wrong with it.

    A process that ends without a judgement ends in the middle of it, and says nothing of that.
    """

    def work() -> None:
        gc.disable()  # importing makes little garbage to look for: a second of the start-up
        with contextlib.suppress(Exception):
            _source()
        gc.freeze()  # what was imported stays: later collections need not look through it
        atexit.register(
            gc.unfreeze
        )  # but the very last one: the engine calls what is left by then a leak
        gc.enable()

    thread = threading.Thread(target=work, name="gate-warm-up", daemon=True)
    thread.start()
    return thread


def validate_delivery(
    session: EngineSession,
    staged: str,
    source: Source,
    received: Month,
    quarantine_limit: Decimal | float,
) -> list[str]:
    """Hold one delivery's staged rows against its source's declaration, on a cursor of this session.

    One Chinese sentence per broken expectation, with counts and no value of any row; none: the delivery passes.
    `staged` names a table or view that cursors see (not a temporary one). `quarantine_limit` is a share, 0 to 1.
    A check that cannot be evaluated is a failure. Thread-safe, one at a time.
    """
    results = _validate(session, staged, source, received, quarantine_limit)
    failed = [
        result for result in results if not result.success
    ]  # their exceptions are not told: they quote values
    failures = [_sentence(result) for result in failed if _evaluated(result)]
    if len(failures) < len(
        failed
    ):  # one scan answers all: what breaks it leaves them all without an answer
        failures.append(f"{len(failed) - len(failures)} 项检查无法执行")
    return failures


def _validate(
    session: EngineSession,
    staged: str,
    source: Source,
    received: Month,
    limit: Decimal | float,
) -> list[Any]:
    kept = _source()
    suite = importlib.import_module("expectations.suite").build_suite(source, received, limit)
    with _judging, kept.reading_through(session):
        batch = kept.whole(staged).get_batch()
        return list(batch.validate(suite, result_format="BASIC").results)


def _evaluated(result: Any) -> bool:
    return "observed_value" in result.result


def _sentence(result: Any) -> str:
    what, seen = result.expectation_config.meta["what"], result.result
    if isinstance(seen["observed_value"], list):
        missing = sorted(
            set(result.expectation_config.kwargs["column_set"]) - set(seen["observed_value"])
        )
        return f"{what}：缺少 {'、'.join(missing)}"
    counted, among = seen["observed_value"], seen.get("details", {}).get("among")
    return (
        f"{what}：共 {counted:,} 行"
        if among is None
        else f"{what}：{among:,} 行中有 {counted:,} 行"
    )


@cache
def _create_source() -> DuckDBSource:
    importlib.import_module("expectations.suite")
    made: DuckDBSource = importlib.import_module("expectations.gx_adapter").create_data_source()
    return made


def _source() -> DuckDBSource:
    """The process's data source, made once, whichever thread comes first."""
    with _judging:
        return _create_source()
