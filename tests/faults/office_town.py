"""A town whose second month meets office accidents, and what must be true of that month then.

The month is published with the very same numbers, or stopped with its reason and a way out, or
published with other numbers and the accident among its findings: the source, the column where it is
one column's, and at least as many rows or values as have changed. Nothing else may happen.
"""

from __future__ import annotations

import csv
import os
import random
import shutil
import stat
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from data.synthetic.write import ExtractPlan, generate_extracts
from expectations.errors import ExitCode, JifenError
from expectations.findings import Finding, FindingKind, read_findings
from expectations.month import Month
from expectations.source_model import Source
from flows.pipeline.context import RunContext, StageResult
from flows.pipeline.hold import hold_if_drifted
from flows.pipeline.stages import Stage, StagesFailedError, call_stage, run_stages
from flows.project import Project
from flows.storage.files import hash_file
from flows.storage.stage_results import StageResults
from tests.faults.office import ACCIDENTS, FIRST, SECOND, Planned, plan_case
from tests.support.office_files import OfficeFile
from tests.support.world import GENERATED, World, write_csv
from transforms.clean.accounts import RowCounts
from transforms.engine.session import EngineSettings

RESIDENTS = 150
CODES = (ExitCode.EXTRACT, ExitCode.GATE, ExitCode.HELD)
NUMBERS = ("facts", "scores", "eligibility", "restricted/facts")
"""The published tables that hold numbers of people."""
OF_A_DELIVERY = {
    FindingKind.CARRIED,
    FindingKind.ALLOWED_MISSING,
    FindingKind.ALLOWED_SAME,
    FindingKind.IGNORED_SHEET,
    FindingKind.EMPTY_DELIVERY,
    FindingKind.UNENDED_FILE,
}
"""Findings that say of a whole delivery that it is not what it should be."""
WITHOUT_DECISION = {"statements", "exports"}
"""Stages that decide nothing: a case takes their counts from the month without accidents."""


@dataclass(frozen=True)
class Outcome:
    """What became of a case: `equal`, `stopped`, `named`, `idle` (nothing was changed), or `wrong`."""

    number: int
    kind: str
    accidents: tuple[str, ...] = ()
    why: str = ""

    def __str__(self) -> str:
        return f"office {self.number} [{'; '.join(self.accidents)}] {self.kind}: {self.why}"

    @property
    def names(self) -> list[str]:
        """The accidents' names, without what they did."""
        return sorted({one.partition(" ")[0] for one in self.accidents})


class _EqualRowsError(Exception):
    """All clean rows are those of the month without accidents: so is everything that is computed of them."""


@dataclass
class Undisturbed:
    """The second month without any accident."""

    accounts: dict[str, RowCounts]
    rows: dict[str, list[dict[str, Any]]]
    findings: set[Finding]
    numbers: dict[str, str]
    results: StageResults
    secrets: frozenset[str] = field(default_factory=frozenset)


class OfficeTown:
    """A town with one published month and an undisturbed second one; every case begins from there."""

    def __init__(self, folder: Path, residents: int = RESIDENTS) -> None:
        self.folder = folder
        self.world = World(folder)
        self.inbox_before = folder / "undisturbed"
        self._generate(residents)
        self.world.run(FIRST)
        self._first_root = folder / "first"
        shutil.copytree(self.world.root.path, self._first_root, symlinks=True)
        self.undisturbed = self._run_undisturbed()
        self._template = folder / "template"
        self._keep_template()

    @cached_property
    def _project(self) -> Project:
        return self.world.project

    def _generate(self, residents: int) -> None:
        """Write both months as CSV; a fifth of most increments' history comes in the second."""
        plan = ExtractPlan(
            residents,
            [Month.parse(FIRST), Month.parse(SECOND)],
            sources=GENERATED,
            reference=self.world.settings.paths.reference,
        )
        generate_extracts(
            plan,
            self.folder / "synthetic",
            settings=EngineSettings("1GB", 2),
            spill=self.folder / "spill",
            progress=lambda line: None,
        )
        for name, source in GENERATED.items():
            header = [*source.columns]
            months = {
                month: _read_texts(self.folder / "synthetic" / month / name, header)
                for month in (FIRST, SECOND)
            }
            if name == "corrections":
                people = [row["resident_id"] for row in _read_texts(
                    self.folder / "synthetic" / FIRST / "registry", [*GENERATED["registry"].columns]
                )]  # fmt: skip
                months[FIRST] = _corrections(people)
            if source.delivery == "increment" and not source.ledger:
                late = months[FIRST][1::5]
                months[FIRST] = [row for n, row in enumerate(months[FIRST]) if n % 5 != 1]
                months[SECOND] = [*late, *months[SECOND]]
            for month, rows in months.items():
                write_csv(self.inbox_before / month / f"{name}.csv", header, rows)
        shutil.copytree(self.inbox_before, self.world.inbox)

    def _run_undisturbed(self) -> Undisturbed:
        kept: dict[str, StageResults] = {}

        def call(stage: Stage, run: RunContext) -> StageResult:
            if stage.name == "publish":
                kept["results"] = run.build.results()
            return call_stage(stage, run)

        run = self._run(call)
        revision = self.world.revision(SECOND)
        rows = {name: self._clean_rows(name) for name in GENERATED}
        people = [row for name in ("registry", "children") for row in _read_texts(
            self.inbox_before / SECOND / name, [*GENERATED[name].columns])]  # fmt: skip
        secrets = {
            row[key]
            for row in people
            for key in ("resident_id", "child_id", "phone")
            if row.get(key)
        }
        return Undisturbed(
            {name: run.accounts[name][-1] for name in GENERATED},
            rows,
            set(read_findings(revision.manifest.findings or ())),
            _hash_tables(revision.path),
            kept["results"],
            frozenset(one for one in secrets if len(one) > 8),
        )

    def _keep_template(self) -> None:
        """Keep the root of before the second month, with what was received and cleaned for it."""
        shutil.copytree(self._first_root, self._template, symlinks=True)
        for kind in ("raw", "clean", "quarantine", "defects"):
            shutil.rmtree(self._template / kind)
            shutil.copytree(self.world.root.path / kind, self._template / kind)
        for name in ("prefect", "runs", "tmp"):
            shutil.rmtree(self._template / name, ignore_errors=True)
            (self._template / name).mkdir()

    def _restore(self, touched: Collection[str]) -> None:
        """Bring back the root; of the sources touched the second month is not there yet."""
        gone = {f"raw/{SECOND}/{name}" for name in touched} | {
            f"{kind}/{name}/received={SECOND}"
            for name in touched
            for kind in ("clean", "quarantine", "defects")
        }
        restore_folder(self._template, self.world.root.path, gone)

    def attempt(self, number: int, *, only: str = "", whole: bool = False) -> Outcome:
        """Let a case happen, and judge what becomes of the month.

        Args:
            number: The case.
            only: Leave out the accidents of all other sources.
            whole: Compute and publish all, also where the clean rows are those of the month without accidents.
        """
        planned = [one for one in plan_case(number) if only in ("", one.source)]
        done = self._deliver(planned)
        if not done:
            return Outcome(number, "idle")
        self._restore({one.source for one in planned})
        caught: list[RunContext] = []

        def call(stage: Stage, run: RunContext) -> StageResult:
            caught.append(run)
            if not whole:
                if stage.name == "facts" and self._is_equal(run):
                    raise _EqualRowsError
                if stage.name in WITHOUT_DECISION:
                    self._take_undisturbed_counts(stage.name, run)
                    return StageResult()
                if stage.name == "report":
                    return StageResult()
                if stage.name == "publish":
                    (run.build.revision / "report").mkdir(exist_ok=True)
                    (run.build.revision / "report" / "index.html").touch()
                    hold_if_drifted(run)
                    raise _FinishedError(run)
            return call_stage(stage, run)

        kind, why = self._judge(number, call, only)
        return Outcome(number, kind, tuple(done), why)

    def _judge(
        self, number: int, call: Callable[[Stage, RunContext], StageResult], only: str
    ) -> tuple[str, str]:
        try:
            run = self._run(call)
            revision = self.world.revision(SECOND).path
        except _EqualRowsError:
            return "equal", ""
        except _FinishedError as finished:
            run, revision = finished.run, finished.run.build.revision
        except JifenError as error:
            return self._judge_error(error)
        except Exception as error:
            return "wrong", f"{type(error).__name__} {error}"
        if _hash_tables(revision) == self.undisturbed.numbers:
            return "equal", ""
        unnamed = list(self._find_unnamed(run))
        if not unnamed:
            return "named", ""
        for source, what in unnamed:
            # Another source's accident may be what changed the numbers.
            if only or self.attempt(number, only=source).kind == "wrong":
                return "wrong", f"{source}: {what}"
        return "named", ""

    def _judge_error(self, error: JifenError) -> tuple[str, str]:
        text = str(error)
        if error.code not in CODES:
            return "wrong", f"exit {int(error.code)} {text}"
        if not error.hint:
            return "wrong", f"no way out: {text}"
        names = [*GENERATED, *(source.title for source in GENERATED.values()), "收件目录"]
        if error.code != ExitCode.HELD and not any(name in text for name in names):
            return "wrong", f"no source and no file: {text}"
        if any(secret in text for secret in self.undisturbed.secrets):
            return "wrong", "the message names a person"
        if (self.world.root.path / "published" / SECOND).exists():
            return "wrong", "stopped, and published"
        return "stopped", text.splitlines()[0]

    def _run(self, call: Callable[[Stage, RunContext], StageResult]) -> RunContext:
        root = self.world.root
        run = RunContext(self._project, root, root.key(), Month.parse(SECOND))
        with root.lock():
            try:
                return run_stages(run, call)
            except StagesFailedError as failure:
                raise failure.error from None

    def _is_equal(self, run: RunContext) -> bool:
        return all(
            [one.fingerprint for one in run.accounts[name] if one.month == SECOND]
            == [account.fingerprint]
            for name, account in self.undisturbed.accounts.items()
        )

    def _take_undisturbed_counts(self, stage: str, run: RunContext) -> None:
        result = getattr(self.undisturbed.results, stage)
        run.build.run_once(stage, type(result), lambda: result)

    def _clean_rows(self, source: str) -> list[dict[str, Any]]:
        folder = self.world.root.clean / source / f"received={SECOND}"
        return [
            {name: row[name] for name in GENERATED[source].columns}
            for path in sorted(folder.glob("d*/*.parquet"))
            for row in pq.read_table(path).to_pylist()
        ]

    def _find_unnamed(self, run: RunContext) -> Iterable[tuple[str, str]]:
        """Yield by source what has changed in its rows without a finding that says so."""
        new = [one for one in run.findings if one not in self.undisturbed.findings]
        lookups = [one for one in new if one.kind == FindingKind.AMOUNT_UNKNOWN]
        for name, source in GENERATED.items():
            own = [one for one in new if one.source == name]
            if any(one.kind in OF_A_DELIVERY for one in own):
                continue
            changes = compare_rows(self.undisturbed.rows[name], self._clean_rows(name), source.key)
            rows = sum(one.count for one in own if not one.column)
            if changes.missing > rows:
                yield name, f"{changes.missing} rows are missing, {rows} are named"
            if changes.added and not own:
                yield name, f"{changes.added} rows more, and nothing named"
            for column, count in changes.columns.items():
                named = sum(one.count for one in own if one.column == column)
                if column == "community" and lookups:  # named by the service that pays by it
                    continue
                if is_used(source, column) and count > named + rows:
                    yield name, f"{count} values of {column} differ, {named} are named"

    def _deliver(self, planned: Sequence[Planned]) -> list[str]:
        """Write the second month's files with these accidents; return what was done."""
        shutil.rmtree(self.world.inbox)
        shutil.copytree(self.inbox_before, self.world.inbox)
        files: dict[str, OfficeFile] = {}
        done = []
        for one in planned:
            file = files.setdefault(one.source, self._read_file(one.source))
            what = ACCIDENTS[one.name](file, random.Random(one.seed))
            if what is not None:
                done.append(f"{one.name} {one.source} {what}".strip())
        for name, file in files.items():
            (self.world.inbox / SECOND / f"{name}.csv").unlink()
            file.write(self.world.inbox)
        return done

    def _read_file(self, source: str) -> OfficeFile:
        path = self.inbox_before / SECOND / f"{source}.csv"
        with path.open(encoding="utf-8", newline="") as text:
            header, *rows = list(csv.reader(text))
        return OfficeFile(GENERATED[source], header, rows, self.inbox_before / FIRST / path.name)


def is_used(source: Source, column: str) -> bool:
    """Return whether anything but the columns' own declaration names a column of a source."""
    rest = source.model_dump(exclude={"columns", "synthetic", "spine"})
    spine = [*source.spine.where, source.spine.district] if source.spine else []
    return column in spine or f"'{column}'" in str(rest)


class _FinishedError(Exception):
    """All that decides the month is done: it would be published now."""

    def __init__(self, run: RunContext) -> None:
        super().__init__("published")
        self.run = run


@dataclass(frozen=True)
class RowChanges:
    """How rows differ: how many are missing, how many more there are, values that differ by column."""

    missing: int
    added: int
    columns: Mapping[str, int]


def compare_rows(
    before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]], key: Sequence[str]
) -> RowChanges:
    """Compare clean rows of a source by its key; without a key every differing row is another."""
    if not key:
        then, now = (Counter(tuple(row.values()) for row in rows) for rows in (before, after))
        return RowChanges((then - now).total(), (now - then).total(), {})
    first, second = ({tuple(row[k] for k in key): row for row in rows} for rows in (before, after))
    columns = Counter(
        name
        for number, row in first.items()
        if number in second
        for name, value in row.items()
        if second[number][name] != value
    )
    missing, added = (
        Counter(
            tuple(value for name, value in rows[number].items() if name not in key or len(key) > 1)
            for number in rows.keys() - others.keys()
        )
        for rows, others in ((first, second), (second, first))
    )
    # A row under another number is the same row, unless the number says whose it is.
    return RowChanges((missing - added).total(), (added - missing).total(), columns)


def restore_folder(template: Path, folder: Path, gone: Collection[str]) -> None:
    """Make a folder equal to its template again, without some of its folders.

    Only what differs in size or time is touched: all of it takes most of a case's time.
    """
    wanted, present = _list_entries(template), _list_entries(folder)
    outside = tuple(f"{name}/" for name in gone)
    wanted = {
        name: is_as for name, is_as in wanted.items() if not f"{name}/".startswith(outside or "\0")
    }
    for name in sorted(present.keys() - wanted.keys(), reverse=True):
        path = folder / name
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    for name, is_as in sorted(wanted.items()):
        if present.get(name) == is_as:
            continue
        source, target = template / name, folder / name
        if source.is_dir() and not source.is_symlink():
            target.mkdir(exist_ok=True)
            shutil.copystat(source, target)
        else:
            target.unlink(missing_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)


def _list_entries(folder: Path) -> dict[str, tuple[int, int] | str]:
    """Return every entry below a folder: of a file its size and time, of a link where it leads."""
    found: dict[str, tuple[int, int] | str] = {}
    for place, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            path = Path(place) / name
            state = path.lstat()
            is_folder, is_link = stat.S_ISDIR(state.st_mode), stat.S_ISLNK(state.st_mode)
            found[str(path.relative_to(folder))] = (
                "folder"
                if is_folder
                else str(path.readlink())
                if is_link
                else (state.st_size, state.st_mtime_ns)
            )
    return found


def _read_texts(path: Path, header: Sequence[str]) -> list[dict[str, str]]:
    """Return the rows of an extract as texts: of a CSV, or of a folder of Parquet files."""
    if path.is_dir():
        tables = [pq.read_table(part).to_pylist() for part in sorted(path.iterdir())]
        rows = [row for table in tables for row in table]
    else:
        with path.with_suffix(".csv").open(encoding="utf-8-sig", newline="") as text:
            rows = list(csv.DictReader(text))
    titles = {column.title: name for name, column in GENERATED[path.name].columns.items()}
    named = [{titles.get(title, title): value for title, value in row.items()} for row in rows]
    return [
        {name: "" if row.get(name) is None else str(row[name]) for name in header} for row in named
    ]


def _corrections(people: Sequence[str]) -> list[dict[str, str]]:
    """Return a correction for every tenth person: so few people have none of their own."""
    targets = [("education", "18"), ("housing", "3.5"), ("fact:residence_months", "120")]
    return [
        {
            "case_id": f"YY{n}", "resident_id": person, "target": targets[n % 3][0], "value": targets[n % 3][1],
            "decision": "upheld", "valid_from": "2024-01-01", "valid_to": "", "decided_on": "2024-01-05", "note": "",
        }
        for n, person in enumerate(people[::10])
    ]  # fmt: skip


def _hash_tables(revision: Path) -> dict[str, str]:
    """Return the hash of every file of the tables that hold numbers."""
    return {
        path.relative_to(revision).as_posix(): hash_file(path)
        for name in NUMBERS
        for path in sorted((revision / name).rglob("*.parquet"))
    }
