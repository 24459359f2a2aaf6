"""One run of one month: what its steps share, and what the month's files depend on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from expectations.errors import JifenError
from expectations.month import Month
from flows.city_time import city_now
from flows.pipeline.inputs import InputSet
from flows.project import Project
from flows.storage.build import Build
from flows.storage.files import write_atomically
from flows.storage.held_months import HeldMonth
from flows.storage.revisions import Revision
from flows.storage.root import Root
from transforms.clean.delivery import RowCounts
from transforms.comparison.drift import DriftChange
from transforms.engine.session import Session, open_engine

ProgressSink = Callable[[str], None]


@dataclass(frozen=True)
class RejectedDelivery:
    """A delivery that could not be read, or that the gate turned down; `counts`: of its rows, as far as it was read."""

    source: str
    error: JifenError
    counts: dict[str, Any] | None


@dataclass
class RunContext:
    """One run of one month: what it works on, and what its steps have found so far.

    `send`: tell reminders whatever month it is; `last`: the month is the last, or the only one, of its run.
    `accept`: why the operator lets a month through that the drift check would hold; `held`: the month as it was held
    before, `outdated`: what has changed since; `changes`, `reasons`: what the drift check found, and what holds it.
    """

    project: Project
    root: Root
    key: bytes
    month: Month
    allowed: Mapping[str, str] = field(default_factory=dict)
    send: bool = False
    last: bool = True
    accept: str | None = None
    report_progress: ProgressSink = lambda line: None
    started: str = field(default_factory=city_now)
    served: dict[str, InputSet] = field(default_factory=dict)
    accounts: dict[str, list[RowCounts]] = field(default_factory=dict)
    refused: list[RejectedDelivery] = field(default_factory=list)
    build: Build | None = None
    published: Revision | None = None
    unchanged: bool = False
    held: HeldMonth | None = None
    outdated: list[str] = field(default_factory=list)
    changes: list[DriftChange] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    timings: dict[str, float] = field(default_factory=dict)

    @property
    def making(self) -> Build:
        assert self.build is not None
        return self.build

    def engine(self) -> AbstractContextManager[Session]:
        return open_engine(self.project.settings.engine_settings, self.root.tmp / "spill")

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
        self.report_progress(f"报告：{target}")
        return target
