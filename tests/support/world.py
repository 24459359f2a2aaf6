"""A small city for tests: extracts written by hand, months run without Prefect, results read back as plain values."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq

from expectations.errors import JifenError
from expectations.month import Month
from expectations.source_loader import load_sources
from expectations.source_model import Source
from flows.pipeline.context import RunContext, RunOptions
from flows.pipeline.report import write_blocked_report
from flows.pipeline.stages import StagesFailedError, run_stages
from flows.project import Project, load_project
from flows.settings import Engine, Paths, Policy, Settings
from flows.storage.files import hash_file
from flows.storage.publish import finish_interrupted
from flows.storage.revisions import Revision, find_published
from flows.storage.root import open_root
from transforms.clean.returns import RETURNS

SOURCES = load_sources()
GENERATED = {name: source for name, source in SOURCES.items() if source.synthetic}
"""The sources that the synthetic city delivers every month: not those that may be left out."""
WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def national_id(seventeen: str) -> str:
    """A synthetic ID: 17 digits and their check character."""
    return (
        seventeen
        + "10X98765432"[sum(int(a) * b for a, b in zip(seventeen, WEIGHTS, strict=True)) % 11]
    )


def no_key_twice(
    connection: duckdb.DuckDBPyConnection, source: Source
) -> Callable[[str], list[str]]:
    """Return a gate that only checks that no key occurs twice among the valid rows in force."""

    def judge(staged: str) -> list[str]:
        standing = (
            f"SELECT {', '.join(source.key)} FROM {staged} WHERE reasons IS NULL AND NOT superseded"
        )
        twice = (
            source.key
            and connection.execute(f"{standing} GROUP BY ALL HAVING count(*) > 1").fetchall()
        )
        return ["a key stands twice"] * bool(twice)

    return judge


STRANGER = national_id(
    "33020319500101001"
)  # nobody in the registry: makes a snapshot that is not empty
FILLERS: dict[str, dict[str, str]] = {
    "education": {
        "certificate_no": "0",
        "resident_id": STRANGER,
        "kind": "degree",
        "level": "primary",
        "awarded_on": "1990-01-01",
    },
    "housing": {
        "record_id": "0",
        "resident_id": STRANGER,
        "tenure": "rented",
        "district": "330203",
        "registered": "否",
        "from_on": "1990-01-01",
    },
    "employment": {
        "contract_id": "0",
        "resident_id": STRANGER,
        "employer_id": "0",
        "occupation": "0",
        "started_on": "1990-01-01",
    },
    "children": {"child_id": STRANGER, "guardian_id": STRANGER, "enrolled": "none"},
}

Rows = Sequence[Mapping[str, str]]


class World:
    """A root with an inbox of its own. `only`: the extracts it is about; the operator allows the others to be missing.

    Fewer extracts make a quicker month: each costs more than a tenth of a CPU second, however empty it is.
    """

    def __init__(
        self,
        folder: Path,
        *,
        threads: int = 1,
        memory: str = "1GB",
        only: Sequence[str] = (),
        **paths: Path,
    ) -> None:
        self.sources = only or tuple(SOURCES)
        self.allowed = {name: "本市没有" for name in SOURCES if name not in self.sources}
        self.settings = Settings(
            paths=Paths(root=folder / "root", inbox=folder / "inbox", **paths),
            policy=Policy(allow_illustrative=True),
            engine=Engine(threads=threads, memory=memory),
        )
        self.inbox = folder / "inbox"
        self.root = open_root(self.settings)

    @property
    def project(self) -> Project:
        return load_project(self.settings)

    def deliver(self, month: str, **extracts: Rows) -> None:
        """Write a month's extracts as CSV: those given, the others without anything about anybody."""
        assert extracts.keys() <= set(self.sources)
        for name in self.sources:
            rows = extracts.get(name, [FILLERS[name]] if name in FILLERS else [])
            write_csv(self.inbox / month / f"{name}.csv", list(SOURCES[name].columns), rows)

    def run(self, month: str, **options: Any) -> RunContext:
        """Run a month stage by stage, without Prefect.

        `allowed`, `same`: source -> reason; `send`, `last`, `accept`: as the run's options.
        """
        given = RunOptions(
            allowed_missing={**self.allowed, **options.get("allowed", {})},
            allowed_same=options.get("same", {}),
            send_reminders=options.get("send", False),
            is_last_of_run=options.get("last", True),
            accept=options.get("accept"),
        )
        sink = options.get("report_progress", lambda line: None)
        run = RunContext(self.project, self.root, self.root.key(), Month.parse(month), given, sink)
        with self.root.lock():
            finish_interrupted(self.root, run.key)
            try:
                return run_stages(run)
            except StagesFailedError as failure:
                stopped = failure
            if isinstance(stopped.error, JifenError):
                write_blocked_report(stopped.run, stopped.error)
            raise stopped.error

    def revision(self, month: str) -> Revision:
        found = find_published(self.root, Month.parse(month))
        assert found is not None
        return found

    def table(self, month: str, name: str) -> list[dict[str, Any]]:
        """All rows of a published table, e.g. `scores`, `restricted/identities`."""
        return read_rows(self.revision(month).path / name, "*.parquet")

    def score(self, month: str, resident_id: str) -> dict[str, Any]:
        """One person's scores, found through the identities."""
        people = {
            row["resident_id"]: row["resident_key"]
            for row in self.table(month, "restricted/identities")
        }
        return next(
            row for row in self.table(month, "scores") if row["resident_key"] == people[resident_id]
        )

    def hashes(self, month: str, *parts: str) -> dict[str, str]:
        """The hash of every file in these parts of a published month, e.g. `scores`, `exports`."""
        base = self.revision(month).path
        files = [path for part in parts for path in (base / part).rglob("*") if path.is_file()]
        return {str(path.relative_to(base)): hash_file(path) for path in files}

    def kept(self, kind: str, source: str) -> list[dict[str, Any]]:
        """The quarantined rows, or the defects, of a source, all months."""
        return read_rows(self.root.path / kind / source)

    def returns(self, source: str) -> list[dict[str, Any]]:
        """What the department has to mend, row by row, all months."""
        return read_rows(self.root.path / "quarantine" / source, returns=True)


def read_rows(
    folder: Path, files_named: str = "**/*.parquet", *, returns: bool = False
) -> list[dict[str, Any]]:
    """All rows of the Parquet files in a folder; of returns only those, otherwise none of them."""
    found = (
        path for path in folder.glob(files_named) if path.as_posix().endswith(RETURNS) == returns
    )
    files = sorted(map(str, found))
    if not files:
        return []
    with duckdb.connect() as connection:
        result = connection.execute(
            "SELECT * FROM read_parquet(?, hive_partitioning = false)", [files]
        )
        names = [column[0] for column in result.description or []]
        rows = [dict(zip(names, row, strict=True)) for row in result.fetchall()]
    # clean rows of a delivery are in several files: those of an unusual spelling have their own
    return (
        sorted(rows, key=lambda row: (row["part"], row["record"]))
        if {"part", "record"} <= {*names}
        else rows
    )


def needless_words(path: Path, column: str) -> set[str]:
    """What the dictionaries of a text column's row groups hold and the row groups do not: which it is may change from run to run."""
    file = pq.ParquetFile(path, read_dictionary=[column])
    groups = [
        file.read_row_group(n, [column]).column(0).combine_chunks()
        for n in range(file.num_row_groups)
    ]
    return {
        word for group in groups for word in {*group.dictionary.to_pylist()} - {*group.to_pylist()}
    }


def write_csv(path: Path, columns: Sequence[str], rows: Rows) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, columns, restval="")
        table.writeheader()
        table.writerows(rows)
