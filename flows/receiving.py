"""The first half of a month: deliveries received, judged and cleaned; nothing is computed when nothing has changed."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from functools import partial
from typing import Any

import duckdb

from expectations import gate
from expectations.problems import JifenError
from flows import publish as publishing
from flows.build import open_build
from flows.house import CLEANING_CODE, House, code_hash
from flows.pull import Delivery, deliveries, note_rows, pull_up_to
from flows.reporting import BLOCKING
from flows.run import Refused, Run, build_name, inputs_hash
from flows.serving import serving, stale_increment
from transforms.clean.cleaning import Account, Job, clean_delivery, read_account, staged_rows
from transforms.engine import two_at_once
from transforms.figures import refused_so_far


def pull(run: Run) -> dict[str, Any]:
    """Receive every month up to this one that is on offer and not yet received, or has changed.

    JifenError 11 names every source that lacks a month, so that the operator can call all departments at once.
    """
    gate.warm_up()
    new = pull_up_to(run.root, run.house.settings, run.house.sources, run.month)
    for delivery in new:
        run.tell(f"收到 {delivery.month} {delivery.source} 第 {delivery.number} 次交付")
    lacking = []
    for name, source in run.house.sources.items():
        had = deliveries(run.root, name)
        try:
            run.served[name] = serving(source, had, run.month, run.allowed)
        except JifenError as error:
            lacking.append(Refused(name, error, None))
    run.refused = lacking
    if lacking:
        raise _together([refused.error for refused in lacking])
    return {"deliveries": len(new)}


def clean(run: Run) -> dict[str, Any]:
    """Stage, judge and split every delivery that serves the month and is not yet clean.

    All are judged before the first one that is no good ends the run (JifenError 11 or 12), so that the operator can
    call every department at once; what is clean stays clean.
    """
    shutil.rmtree(run.root.tmp / "clean", ignore_errors=True)  # of a run that died
    waiting = [delivery for served in run.served.values() for delivery in served.deliveries]
    with run.engine() as connection:
        outcomes = two_at_once(connection, waiting, partial(_clean_one, run))
    for name, served in run.served.items():
        accounts = [found for found, _ in outcomes if isinstance(found, Account) and found.source == name]
        if len(accounts) == len(served.deliveries):
            run.accounts[name] = accounts
    run.refused += [found for found, _ in outcomes if isinstance(found, Refused)]
    if run.refused:
        raise _together([refused.error for refused in run.refused])
    run.build = open_build(run.root, str(run.month), build_name(run))
    rows = sum(account.clean for accounts in run.accounts.values() for account in accounts)
    return {"cleaned": sum(new for _, new in outcomes), "rows": rows}


def _clean_one(run: Run, connection: duckdb.DuckDBPyConnection, delivery: Delivery) -> tuple[Account | Refused, bool]:
    """The account of a delivery, or why it is no good; and whether it had not been cleaned before."""
    job, work = cleaning_job(run.house, delivery), run.root.tmp / "clean" / f"{delivery.source}-{delivery.month}"
    known = read_account(job, run.root.path)
    if known is None:
        run.tell(f"清洗 {delivery.month} {delivery.source}")
    try:
        account = known or clean_delivery(connection, job, run.root.path, work, partial(_judge, run, connection, job))
        if job.source.delivery == "increment":  # asked each time: an earlier month may have been delivered anew since
            stale_increment(run.served[delivery.source].deliveries, delivery, account.received)
    except JifenError as error:
        if error.code not in BLOCKING:
            raise
        run.tell(f"{delivery.month} {delivery.source} 未通过")
        rows = None if known else staged_rows(work)
        counts = refused_so_far(connection, rows) if rows else None
        error.__context__ = None  # the frames of both hold the engine's connections, which would be let go too late
        return Refused(delivery.source, error.with_traceback(None), counts), known is None
    if "rows" not in delivery.receipt:
        note_rows(delivery, account.received)
    return account, known is None


def _judge(run: Run, connection: duckdb.DuckDBPyConnection, job: Job, staged: str) -> list[str]:
    return gate.judge(connection, staged, job.source, job.received, run.house.settings.gate.quarantine_limit)


def _together(errors: Sequence[JifenError]) -> JifenError:
    """One error for all. What cannot be read comes first (11): of that nobody knows yet whether it would pass."""
    if len(errors) == 1:
        return errors[0]
    listed = "\n".join(f"  {error}".replace("\n", "\n  ") for error in errors)  # each with its own way out
    what = f"{len(errors)} 份交付缺少或未通过：\n{listed}"
    return JifenError(min(error.code for error in errors), what, todo="逐项处理（报告中也都列出）后再运行")


def cleaning_job(house: House, delivery: Delivery) -> Job:
    """What cleaning a delivery depends on: its content, the source's declaration, the districts, encoding, limit, code."""
    source = house.sources[delivery.source]
    given = house.settings.sources.get(delivery.source)
    encoding = (given and given.encoding) or source.encoding
    inputs = [
        delivery.content,
        source.model_dump_json(exclude={"synthetic", "facts"}),
        ",".join(house.reference.districts),
        encoding,
        str(house.settings.gate.quarantine_limit),
        code_hash(*CLEANING_CODE),
    ]
    digest = hashlib.sha256("\n".join(inputs).encode()).hexdigest()
    return Job(
        source, delivery.month, delivery.number, delivery.parts, encoding, frozenset(house.reference.districts), digest
    )


def compare(run: Run) -> dict[str, Any]:
    """See whether the published revision was made from these very inputs, and compared with the month before as it is
    published now: then nothing is left to do."""
    run.published = publishing.published(run.root, run.month)
    if run.published and run.published.manifest.get("inputs") == inputs_hash(run):
        told = run.published.manifest["told"] or not run.send
        run.unchanged = told and not publishing.outrun(run.root, run.published)
    if run.unchanged:
        run.making.clear()
    return {"unchanged": run.unchanged}
