"""One month, step by step: plain functions on a `Run`, in the order of `STEPS`. Prefect and tests call the same ones."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import duckdb


from expectations import gate
from expectations.month import Month
from expectations.problems import ExitCode, JifenError
from flows import publish as publishing
from flows.build import Build, open_build
from flows.house import ALL_CODE, CLEANING_CODE, House, city_version, code_hash
from flows.pull import Delivery, deliveries, inbox_months, note_rows, pull_month
from flows.root import Root
from flows.serving import Serving, serving, stale_increment
from reports.catalogue import build_catalogue
from transforms import month_tables
from transforms.clean.cleaning import Account, Job, clean_delivery, read_account
from transforms.engine import open_engine, quoted
from transforms.make_facts import make_facts
from transforms.policy.columns import points_column, score_lines
from transforms.policy.compile import points_sql
from transforms.policy.tables import CITY

Tell = Callable[[str], None]


@dataclass
class Run:
    """One run of one month: what it works on, and what its steps have found so far."""

    house: House
    root: Root
    key: bytes
    month: Month
    allowed: Mapping[str, str] = field(default_factory=dict)
    tell: Tell = lambda line: None
    served: dict[str, Serving] = field(default_factory=dict)
    accounts: dict[str, list[Account]] = field(default_factory=dict)
    build: Build | None = None
    published: publishing.Revision | None = None
    unchanged: bool = False
    timings: dict[str, float] = field(default_factory=dict)

    @property
    def making(self) -> Build:
        assert self.build is not None
        return self.build

    def engine(self) -> Any:
        return open_engine(self.house.settings.engine_settings, self.root.tmp / "spill")


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
    run.build = open_build(run.root, str(run.month), inputs_hash(run))
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


def received(run: Run) -> list[dict[str, Any]]:
    """Every delivery in force up to the month, used or not: the month is a function of these."""
    return [
        publishing.delivery_facts(delivery)
        for name in run.house.sources
        for delivery in deliveries(run.root, name)
        if delivery.month <= run.month
    ]


def inputs_hash(run: Run) -> str:
    """What the month's files depend on: deliveries, what bridges missing ones, declarations, code, key."""
    parts = [
        str(run.month),
        *(str(sorted(item.items())) for item in received(run)),
        *(f"{name} {served.carried_from} {served.missing}" for name, served in run.served.items()),
        run.house.declarations_hash,
        code_hash(*ALL_CODE),
        hashlib.sha256(run.key).hexdigest(),
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def compare(run: Run) -> dict[str, Any]:
    """See whether the published revision was made from these very inputs: then nothing is left to do."""
    run.published = publishing.published(run.root, run.month)
    run.unchanged = run.published is not None and run.published.manifest.get("inputs") == inputs_hash(run)
    return {"unchanged": run.unchanged}


def facts(run: Run) -> dict[str, Any]:
    """The fact table, and what is published of it."""
    return run.making.step("facts", lambda: _facts(run))


def _facts(run: Run) -> dict[str, Any]:
    revision, house = run.making.revision, run.house
    folders = {
        name: [cleaning_job(house, delivery).folder(run.root.path, "clean") for delivery in served.deliveries]
        for name, served in run.served.items()
    }
    city, districts = city_version(house.in_force(run.month))
    targets = {line.target for line in score_lines(city, districts)}
    with run.engine() as connection:
        made = make_facts(
            connection, house.sources, folders, house.reference, targets, run.month, run.key,
            run.making.wide, revision / "restricted" / "over_quota", run.tell,
        )  # fmt: skip
        connection.execute(f"CREATE TEMP VIEW facts AS FROM read_parquet({quoted(run.making.wide)})")
        month = {"month": run.month.first_day}
        write = month_tables.write_table
        write(connection, month_tables.facts_statement(house.facts), revision / "facts" / "facts.parquet", month)
        write(
            connection,
            month_tables.identities_statement(),
            revision / "restricted" / "identities" / "identities.parquet",
        )
        write(
            connection,
            month_tables.restricted_statement(house.facts),
            revision / "restricted" / "facts" / "facts.parquet",
        )
    write_sql(revision, "facts", [(step.name, step.sql) for step in made.statements])
    return {
        "residents": made.residents,
        "unmatched": made.unmatched,
        "over_quota": made.over_quota,
        "corrected": sorted(made.corrected.indicators),
        "corrections_without_target": made.corrected.without_target,
    }


def points(run: Run) -> dict[str, Any]:
    """Points of everyone: one statement over the fact table."""
    return run.making.step("points", lambda: _points(run))


def _points(run: Run) -> dict[str, Any]:
    city, districts = city_version(run.house.in_force(run.month))
    corrected = run.making.done()["facts"]["corrected"]
    statement = points_sql(city, districts, run.house.facts, corrected=corrected)
    target = run.making.revision / "scores" / "scores.parquet"
    with run.engine() as connection:
        connection.execute(f"CREATE TEMP VIEW facts AS FROM read_parquet({quoted(run.making.wide)})")
        rows = month_tables.write_table(
            connection, statement, target, {"month": run.month.first_day, "as_of": run.month.last_day}
        )
    write_sql(run.making.revision, "points", [("points", statement)])
    return {"scored": rows}


def changes(run: Run) -> dict[str, Any]:
    """What changed against the month before as published."""
    return run.making.step("changes", lambda: _changes(run))


def _changes(run: Run) -> dict[str, Any]:
    before = publishing.published(run.root, run.month - 1)
    target = run.making.revision / "changes" / "changes.parquet"
    with run.engine() as connection:
        now = run.making.revision / "scores" / "scores.parquet"
        connection.execute(f"CREATE TEMP VIEW scores AS FROM read_parquet({quoted(now)})")
        earlier = sorted((before.path / "scores").glob("*.parquet")) if before else []
        rows = month_tables.write_table(
            connection, month_tables.changes_statement(connection, earlier, run.month), target
        )
    return {"changes": rows, "compared_with": f"{before.month}/r{before.number}" if before else None}


def publish(run: Run) -> dict[str, Any]:
    """Make the finished folder the month's next revision, switch to it, renew the catalogue."""
    revision = run.making.revision
    copy_policy(run.house, revision / "policy")
    run.published = publishing.publish(run.root, run.key, revision, run.month, manifest_facts(run))
    run.making.clear()
    renew_catalogue(run.house, run.root)
    return {"revision": run.published.number}


def manifest_facts(run: Run) -> dict[str, Any]:
    """What the manifest says of how the month came about."""
    done = run.making.done()
    city, _ = city_version(run.house.in_force(run.month))
    sections = {
        kind: [points_column(CITY, code) for code, section in city.sections.items() if section.subtract == subtracted]
        for kind, subtracted in (("positive", False), ("subtracted", True))
    }
    return {
        "as_of": str(run.month.last_day),
        "inputs": inputs_hash(run),
        "policy": {code: {"from": str(v.begins), "hash": v.hash} for code, v in run.house.in_force(run.month).items()},
        "received": received(run),
        "deliveries": [publishing.delivery_facts(d) for served in run.served.values() for d in served.deliveries],
        "carried": {n: str(served.carried_from) for n, served in run.served.items() if served.carried_from},
        "missing": {
            n: {"months": [str(m) for m in served.missing], "reason": served.reason}
            for n, served in run.served.items()
            if served.missing
        },
        "accounts": [account_facts(account) for accounts in run.accounts.values() for account in accounts],
        **{name: value for step in ("facts", "points", "changes") for name, value in done[step].items()},
        "sections": sections,
        "code": {"version": metadata.version("jifen"), "hash": code_hash(*ALL_CODE)},
    }


def account_facts(account: Account) -> dict[str, Any]:
    """The row account of a delivery, as manifests and reports show it."""
    return {name: value for name, value in vars(account).items() if name != "inputs"}


def write_sql(revision: Path, group: str, statements: Sequence[tuple[str, str]]) -> None:
    """Keep the statements that made the month beside it, one file each, numbered in the order they ran."""
    folder = revision / "sql" / group
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for number, (name, sql) in enumerate(statements, 1):
        (folder / f"{number:02d}_{name}.sql").write_text(sql.strip() + ";\n", encoding="utf-8")


def copy_policy(house: House, target: Path) -> None:
    """Keep the tables that scored the month beside it."""
    shutil.rmtree(target, ignore_errors=True)
    (target / "points").mkdir(parents=True)
    (target / "reference").mkdir()
    for path in house.policy_files():
        shutil.copyfile(path, target / "points" / path.name)
    for name in house.reference.hashes:
        shutil.copyfile(house.reference.folder / f"{name}.csv", target / "reference" / f"{name}.csv")


def renew_catalogue(house: House, root: Root, as_seen_from: Path | None = None) -> None:
    """Make the analysts' catalogue of the revisions in force."""
    in_force = [publishing.published(root, month) for month in publishing.published_months(root)]
    listed = [(str(revision.month), revision.path) for revision in in_force if revision]
    build_catalogue(root.path, listed, [], as_seen_from, root.share)


@dataclass(frozen=True)
class Step:
    """A step of the month, by name."""

    name: str
    function: Callable[[Run], Mapping[str, Any]]


RECEIVING = (Step("pull", pull), Step("clean", clean), Step("compare", compare))
MAKING = (Step("facts", facts), Step("points", points), Step("changes", changes), Step("publish", publish))


def timed(step: Step) -> Step:
    """The step, noting how many seconds it took."""

    def call(run: Run) -> Mapping[str, Any]:
        started = time.perf_counter()
        try:
            return step.function(run)
        finally:
            run.timings[step.name] = round(time.perf_counter() - started, 3)

    return Step(step.name, call)


def unless_unchanged(step: Step) -> Step:
    """The step, left out when the published revision was made from the same inputs."""
    return Step(step.name, lambda run: {"skipped": True} if run.unchanged else step.function(run))


STEPS = tuple(timed(step) for step in (*RECEIVING, *map(unless_unchanged, MAKING)))


def run_steps(run: Run) -> None:
    """The month without Prefect."""
    for step in STEPS:
        step.function(run)


def refuse_illustrative(house: House, month: Month) -> None:
    """JifenError 10 when a version in force has values that the bureau has yet to set."""
    found = [
        f"{code}:{name}"
        for code, version in house.in_force(month).items()
        for name, indicator in version.indicators.items()
        if indicator.values == "illustrative"
    ]
    if found and not house.settings.policy.allow_illustrative:
        raise JifenError(
            ExitCode.DECLARATIONS,
            f"{month} 的积分表中有 {len(found)} 项分值仅为示例：{'、'.join(found[:6])}{' 等' if len(found) > 6 else ''}",
            where="points/*.yaml（values: illustrative）",
            todo="由主管部门核定分值后改为 published；演示和测试可在 jifen.toml 的 [policy] 写 allow_illustrative = true",
        )
