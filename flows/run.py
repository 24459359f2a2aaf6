"""One run of one month: what its steps share, and what the month's files depend on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from expectations.month import Month
from expectations.problems import JifenError
from flows import publish as publishing
from flows.build import Build
from flows.house import ALL_CODE, House, code_hash
from flows.pull import deliveries
from flows.root import Root, now, write_atomically
from flows.serving import Serving
from transforms.clean.cleaning import Account
from transforms.drift import Change
from transforms.engine import open_engine

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Held:
    """A month that the drift check keeps back: the build, the options and inputs it was made with, and why.

    `inputs`: group -> thing -> its version or hash, in the operators' words. `report`: where its page is.
    """

    build: str
    allowed: dict[str, str]
    send: bool
    last: bool
    inputs: dict[str, dict[str, Any]]
    reasons: list[str]
    report: str
    at: str


@dataclass(frozen=True)
class Refused:
    """A delivery that could not be read, or that the gate turned down; `counts`: of its rows, as far as it was read."""

    source: str
    error: JifenError
    counts: dict[str, Any] | None


@dataclass
class Run:
    """One run of one month: what it works on, and what its steps have found so far.

    `send`: tell reminders whatever month it is; `last`: the month is the last, or the only one, of its run.
    `accept`: why the operator lets a month through that the drift check would hold; `held`: the month as it was held
    before, `outdated`: what has changed since; `changes`, `reasons`: what the drift check found, and what holds it.
    """

    house: House
    root: Root
    key: bytes
    month: Month
    allowed: Mapping[str, str] = field(default_factory=dict)
    send: bool = False
    last: bool = True
    accept: str | None = None
    tell: Tell = lambda line: None
    started: str = field(default_factory=now)
    served: dict[str, Serving] = field(default_factory=dict)
    accounts: dict[str, list[Account]] = field(default_factory=dict)
    refused: list[Refused] = field(default_factory=list)
    build: Build | None = None
    published: publishing.Revision | None = None
    unchanged: bool = False
    held: Held | None = None
    outdated: list[str] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    timings: dict[str, float] = field(default_factory=dict)

    @property
    def making(self) -> Build:
        assert self.build is not None
        return self.build

    def engine(self) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        return open_engine(self.house.settings.engine_settings, self.root.tmp / "spill")

    @property
    def accepted(self) -> bool:
        """Whether the operator accepts what is built now: not if it was held, and has changed since they saw it."""
        return self.accept is not None and not self.outdated

    def record(self, suffix: str) -> Path:
        """Where a record of this run is kept."""
        return self.root.runs / f"{self.started.replace(':', '')}-{self.month}{suffix}"

    def keep_page(self, page: str) -> Path:
        """Keep the report of a month that is not published, and say where."""
        target = self.record(".html")
        write_atomically(target, page.encode())
        self.tell(f"报告：{target}")
        return target


def build_name(run: Run) -> str:
    """What a half-made revision depends on: the inputs, what was published so far (changes, reminders), and the options."""
    sequence = len(run.root.revision_folders())
    return hashlib.sha256(f"{inputs_hash(run)} {sequence} {run.send} {run.last}".encode()).hexdigest()


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
