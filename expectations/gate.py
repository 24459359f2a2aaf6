"""The gate: a delivery passes into the clean extracts, or blocks the run.

Great Expectations judges it inside DuckDB. Importing that takes seconds, so it is imported on the
first judgement; `preload` does it in the background, while other work goes on.
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
    """Import Great Expectations in the background.

    The first judgement waits for it, and raises what is wrong with it. A process that ends without
    a judgement ends in the middle of the import, and says nothing of that.
    """

    def work() -> None:
        gc.disable()  # importing makes little garbage to look for: a second of the start-up
        with contextlib.suppress(Exception):
            _source()
        gc.freeze()  # what was imported stays: later collections need not look through it
        atexit.register(gc.unfreeze)  # the engine calls what is left at the very end a leak
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
    """Hold one delivery's staged rows against its source's declaration.

    Thread-safe, one at a time. A check that cannot be evaluated is a failure.

    Args:
        session: Where the rows are; they are read on a cursor of it.
        staged: A table or view that cursors see (not a temporary one).
        source: The declaration.
        received: The month of the delivery.
        quarantine_limit: The share of refused rows (0 to 1) over which the delivery is blocked.

    Returns:
        One Chinese sentence per broken expectation, with counts and no value of any row; none: the
        delivery passes.
    """
    results = _validate(session, staged, source, received, quarantine_limit)
    # The exceptions of failed results are not passed on: they quote values.
    failed = [result for result in results if not result.success]
    failures = [_sentence(result) for result in failed if _evaluated(result)]
    # One scan answers all: what breaks it leaves them all without an answer.
    if len(failures) < len(failed):
        failures.append(f"{len(failed) - len(failures)} 项检查无法执行")
    return failures


def _validate(
    session: EngineSession,
    staged: str,
    source: Source,
    received: Month,
    limit: Decimal | float,
) -> list[Any]:
    data_source = _source()
    suite = importlib.import_module("expectations.suite").build_suite(source, received, limit)
    with _judging, data_source.reading_through(session):
        batch = data_source.whole(staged).get_batch()
        return list(batch.validate(suite, result_format="BASIC").results)


def _evaluated(result: Any) -> bool:
    return "observed_value" in result.result


def _sentence(result: Any) -> str:
    what, observed = result.expectation_config.meta["what"], result.result
    if isinstance(observed["observed_value"], list):
        missing = sorted(
            set(result.expectation_config.kwargs["column_set"]) - set(observed["observed_value"])
        )
        return f"{what}：缺少 {'、'.join(missing)}"
    counted, among = observed["observed_value"], observed.get("details", {}).get("among")
    return (
        f"{what}：共 {counted:,} 行"
        if among is None
        else f"{what}：{among:,} 行中有 {counted:,} 行"
    )


@cache
def _create_source() -> DuckDBSource:
    importlib.import_module("expectations.suite")
    source: DuckDBSource = importlib.import_module("expectations.gx_adapter").create_data_source()
    return source


def _source() -> DuckDBSource:
    """Return the process's data source, made once, whichever thread comes first."""
    with _judging:
        return _create_source()
