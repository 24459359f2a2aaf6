"""The first half of a month: deliveries received, judged and cleaned; nothing is computed when nothing has changed."""

from __future__ import annotations

import hashlib
import shutil
from typing import Any

import duckdb

from expectations import gate
from expectations.problems import JifenError
from flows import publish as publishing
from flows.build import open_build
from flows.house import CLEANING_CODE, House, code_hash
from flows.pull import Delivery, deliveries, inbox_months, note_rows, pull_month
from flows.run import Run, build_name, inputs_hash
from flows.serving import serving, stale_increment
from transforms.clean.cleaning import Account, Job, clean_delivery, read_account


def pull(run: Run) -> dict[str, Any]:
    """Receive every month up to this one that is in the inbox and not yet received, or has changed."""
    gate.warm_up()
    months = sorted({m for m in inbox_months(run.root) if m <= run.month} | {run.month})
    new = [
        delivery
        for month in months
        for delivery in pull_month(run.root, run.house.settings, run.house.sources, month, rehash=month == run.month)
    ]
    for delivery in new:
        run.tell(f"收到 {delivery.month} {delivery.source} 第 {delivery.number} 次交付")
    for name, source in run.house.sources.items():
        run.served[name] = serving(
            name, source.delivery, source.carry_forward, deliveries(run.root, name), run.month, run.allowed
        )
    return {"deliveries": len(new)}


def clean(run: Run) -> dict[str, Any]:
    """Stage, judge and split every delivery that serves the month and is not yet clean."""
    cleaned = 0
    with run.engine() as connection:
        for name, served in run.served.items():
            accounts = []
            for delivery in served.deliveries:
                job = cleaning_job(run.house, delivery)
                known = read_account(job, run.root.path)
                if known is None:
                    run.tell(f"清洗 {delivery.month} {name}")
                    known = _clean_one(run, connection, job, delivery)
                    cleaned += 1
                accounts.append(known)
            run.accounts[name] = accounts
    run.build = open_build(run.root, str(run.month), build_name(run))
    return {"cleaned": cleaned, "rows": sum(a.clean for accounts in run.accounts.values() for a in accounts)}


def _clean_one(run: Run, connection: duckdb.DuckDBPyConnection, job: Job, delivery: Delivery) -> Account:
    limit = run.house.settings.gate.quarantine_limit

    def judge(staged: str) -> list[str]:
        return gate.judge(connection, staged, job.source, job.received, limit).failures

    account = clean_delivery(connection, job, run.root.path, run.root.tmp / "clean", judge)
    if job.source.delivery == "increment":
        try:
            stale_increment(deliveries(run.root, job.source.source), delivery, account.received)
        except JifenError:
            shutil.rmtree(job.folder(run.root.path, "clean"))
            raise
    note_rows(delivery, account.received)
    return account


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
    """See whether the published revision was made from these very inputs: then nothing is left to do."""
    run.published = publishing.published(run.root, run.month)
    known = run.published.manifest if run.published else {}
    run.unchanged = known.get("inputs") == inputs_hash(run) and (known["told"] or not run.send)
    if run.unchanged:
        run.making.clear()
    return {"unchanged": run.unchanged}
