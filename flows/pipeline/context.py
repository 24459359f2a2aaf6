"""What the stages of a run share: what it works on, and the results of the stages before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from expectations.errors import ExitCode, JifenError
from expectations.findings import Finding, sort_findings
from expectations.month import Month
from flows.city_time import city_now
from flows.pipeline.inputs import InputSet
from flows.pipeline.progress import ProgressSink
from flows.project import Project
from flows.storage.build import Build
from flows.storage.files import write_atomically
from flows.storage.records import HeldMonth
from flows.storage.revisions import Revision
from flows.storage.root import Root
from transforms.clean.accounts import RowCounts
from transforms.comparison.drift import DriftChange
from transforms.engine.session import Session, open_engine

DELIVERY_CODES = (ExitCode.EXTRACT, ExitCode.GATE)  # the month is blocked by what came in


@dataclass(frozen=True)
class RunOptions:
    """What the operator says to a run.

    Attributes:
        allowed_missing: Source -> why a month of it may be missing.
        allowed_same: Source -> why its delivery may equal an earlier month's.
        send_reminders: Add new reminders whatever month it is.
        is_last_of_run: The month is the last, or the only, one of its run.
        accept: Why a month is published that the drift check would hold.
    """

    allowed_missing: Mapping[str, str] = field(default_factory=dict)
    allowed_same: Mapping[str, str] = field(default_factory=dict)
    send_reminders: bool = False
    is_last_of_run: bool = True
    accept: str | None = None


@dataclass(frozen=True)
class RejectedDelivery:
    """A delivery that is missing, could not be read, or that the gate turned down.

    Attributes:
        source: The source's code.
        error: Why, and the way out.
        counts: Of its rows, as far as it was read; None when nothing was counted.
        month: The month delivered for; None where it is about no single delivery.
    """

    source: str
    error: JifenError
    counts: Mapping[str, Any] | None
    month: Month | None = None


@dataclass(frozen=True)
class StageResult:
    """What a stage leaves: counts, as Prefect sees them, and findings."""

    counts: Mapping[str, Any] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class PullResult(StageResult):
    """What came in.

    Attributes:
        options: The operator's, with what they said when the month was published or held before.
        held: The month as it was held before.
        inputs: By source, the deliveries that serve the month.
        rejected: What is missing or could not be received.
    """

    options: RunOptions = RunOptions()
    held: HeldMonth | None = None
    inputs: Mapping[str, InputSet] = field(default_factory=dict)
    rejected: tuple[RejectedDelivery, ...] = ()


@dataclass(frozen=True)
class CleanResult(StageResult):
    """What is clean.

    Attributes:
        accounts: By source, the row accounts of the deliveries that serve the month.
        rejected: Deliveries that could not be read or did not pass.
        allowed_repeats: Source -> months whose delivery holds an earlier one's rows, and why.
        build: Where the month is built; None while deliveries are rejected.
    """

    accounts: Mapping[str, Sequence[RowCounts]] = field(default_factory=dict)
    rejected: tuple[RejectedDelivery, ...] = ()
    allowed_repeats: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    build: Build | None = None


@dataclass(frozen=True)
class CompareResult(StageResult):
    """Whether anything is left to do.

    Attributes:
        published: The revision in force.
        unchanged: It was made from these very inputs.
        changed_inputs: What has changed since the month was held.
        accepted_by: The accounts that have accepted this very build before, in their order.
    """

    published: Revision | None = None
    unchanged: bool = False
    changed_inputs: tuple[str, ...] = ()
    accepted_by: tuple[str, ...] = ()


@dataclass(frozen=True)
class DriftResult(StageResult):
    """What the drift check found, and a sentence for each change that holds the month."""

    drift: tuple[DriftChange, ...] = ()
    hold_reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class PublishResult(StageResult):
    """The revision that was published."""

    revision: Revision | None = None


class StageStoppedError(JifenError):
    """A stage that stopped at deliveries, with what it found out all the same."""

    def __init__(self, error: JifenError, result: StageResult) -> None:
        super().__init__(error.code, error.message, where=error.where, hint=error.hint)
        self.result = result


Result = TypeVar("Result", bound=StageResult)


@dataclass(frozen=True)
class RunContext:
    """One run of one month. Stages read it and return a result; none changes it.

    Attributes:
        project: The declarations.
        root: The root, held for this run.
        key: The root's key.
        month: The month that is run.
        given: The operator's options.
        report_progress: Takes a line for the operator.
        started: When the run began.
        results: Those of the stages that are done, in order.
        timings: Seconds by stage.
    """

    project: Project
    root: Root
    key: bytes
    month: Month
    given: RunOptions = RunOptions()
    report_progress: ProgressSink = lambda line: None
    started: str = field(default_factory=city_now)
    results: tuple[StageResult, ...] = ()
    timings: Mapping[str, float] = field(default_factory=dict)

    @property
    def former_keys(self) -> tuple[bytes, ...]:
        """The root's keys before the one in use, the oldest first."""
        return self.root.keys()[:-1]

    def with_result(self, result: StageResult) -> RunContext:
        """Return the run after a stage."""
        return replace(self, results=(*self.results, result))

    def _result(self, kind: type[Result]) -> Result:
        """Return the result of a stage by its type; an empty one before the stage is done."""
        return next((one for one in reversed(self.results) if isinstance(one, kind)), kind())

    @property
    def options(self) -> RunOptions:
        """The options in force: those given, and what was said before of the same month."""
        found = [one.options for one in self.results if isinstance(one, PullResult)]
        return found[-1] if found else self.given

    @property
    def held(self) -> HeldMonth | None:
        """The month as it was held before."""
        return self._result(PullResult).held

    @property
    def inputs(self) -> Mapping[str, InputSet]:
        """By source, the deliveries that serve the month."""
        return self._result(PullResult).inputs

    @property
    def accounts(self) -> Mapping[str, Sequence[RowCounts]]:
        """By source, the row accounts of those deliveries."""
        return self._result(CleanResult).accounts

    @property
    def allowed_repeats(self) -> dict[str, Any]:
        """Source -> months whose delivery holds an earlier one's rows, and why it may."""
        return dict(self._result(CleanResult).allowed_repeats)

    @property
    def findings(self) -> list[Finding]:
        """Everything that the stages done so far found, the heaviest first."""
        return sort_findings(finding for one in self.results for finding in one.findings)

    @property
    def rejected(self) -> tuple[RejectedDelivery, ...]:
        """What is missing, could not be read, or did not pass."""
        return self._result(PullResult).rejected + self._result(CleanResult).rejected

    @property
    def build(self) -> Build:
        """Where the month is built; only once all deliveries are clean."""
        build = self._result(CleanResult).build
        assert build is not None
        return build

    @property
    def has_build(self) -> bool:
        """Whether the month is being built already."""
        return self._result(CleanResult).build is not None

    @property
    def published(self) -> Revision | None:
        """The revision in force: the one found, or the one that this run published."""
        return self._result(PublishResult).revision or self._result(CompareResult).published

    @property
    def unchanged(self) -> bool:
        """Whether the published revision was made from these very inputs."""
        return self._result(CompareResult).unchanged

    @property
    def changed_inputs(self) -> tuple[str, ...]:
        """What has changed since the month was held."""
        return self._result(CompareResult).changed_inputs

    @property
    def drift(self) -> tuple[DriftChange, ...]:
        """What the drift check compared."""
        return self._result(DriftResult).drift

    @property
    def hold_reasons(self) -> tuple[str, ...]:
        """Why the drift check would hold the month."""
        return self._result(DriftResult).hold_reasons

    @property
    def accepted_by(self) -> tuple[str, ...]:
        """The accounts that accept what is built now: nobody if it has changed since the hold."""
        if self.options.accept is None or self.changed_inputs:
            return ()
        before = self._result(CompareResult).accepted_by
        return tuple(dict.fromkeys([*before, self.root.operator.account]))

    @property
    def is_accepted(self) -> bool:
        """Whether as many operators as are needed accept what is built now."""
        return len(self.accepted_by) >= (2 if self.project.settings.access.four_eyes else 1)

    def engine(self) -> AbstractContextManager[Session]:
        """Open a session of the engine."""
        return open_engine(self.project.settings.engine_settings, self.root.tmp / "spill")

    def record_path(self, suffix: str) -> Path:
        """Return where a record of this run is kept."""
        return self.root.runs / f"{self.started.replace(':', '')}-{self.month}{suffix}"

    def write_report(self, page: str) -> Path:
        """Keep the report of a month that is not published, and say where."""
        target = self.record_path(".html")
        write_atomically(target, page.encode())
        self.report_progress(f"报告：{target}")
        return target
