"""A made-up city for tests: its extracts, and what the real cleaning makes of them."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import duckdb

from data.synthetic.write import ExtractPlan, generate_extracts
from expectations.month import Month
from expectations.source_loader import load_sources
from expectations.source_model import Source
from tests.support.world import no_key_twice
from transforms.clean.delivery import CleaningJob, RowCounts, clean_delivery
from transforms.engine.session import EngineSettings

SOURCES = {name: source for name, source in load_sources().items() if source.synthetic}
REFERENCE = Path(__file__).parents[2] / "data" / "reference"
FIRST, SECOND = Month.parse("2021-10"), Month.parse("2021-11")
RESIDENTS = 20_000


def make(
    out: Path,
    residents: int,
    months: list[Month],
    sources: dict[str, Source] = SOURCES,
    **options: Any,
) -> Path:
    """The extracts of a city of so many residents, as an inbox."""
    threads = options.pop("threads", 2)
    generate_extracts(
        ExtractPlan(residents, months, sources=sources, reference=REFERENCE, **options),
        out,
        settings=EngineSettings(memory="1GB", threads=threads),
        spill=out.parent / f"spill-{out.name}",
        progress=lambda line: None,
    )
    return out


class Cleaned:
    """Extracts taken through the real cleaning, source by source and month by month."""

    def __init__(self, engine: duckdb.DuckDBPyConnection, inbox: Path) -> None:
        self.engine, self.inbox, self.root = engine, inbox, inbox.parent
        self.accounts: dict[tuple[str, Month], RowCounts] = {}
        districts = frozenset(row["code"] for row in table(REFERENCE / "districts.csv"))
        for month in (FIRST, SECOND):
            for name, source in SOURCES.items():
                job = CleaningJob(
                    source, month, 1, tuple(parts(inbox, month, name)), "utf-8", districts, "synth"
                )
                work = self.root / "work"
                self.accounts[name, month] = clean_delivery(
                    engine, job, self.root, work, no_key_twice(engine, source)
                )

    def rows(self, kind: str, name: str, month: Month) -> str:
        return f"'{self.root}/{kind}/{name}/received={month}/d1/*.parquet'"

    def one(self, sql: str) -> Any:
        return self.engine.execute(sql).fetchall()[0][0]

    def refused(self) -> dict[tuple[str, str, str, int], set[str]]:
        return self._listed("quarantine", "reasons")

    def find_nulled_values(self) -> dict[tuple[str, str, str, int], set[str]]:
        return self._listed("defects", "defects")

    def _listed(self, kind: str, column: str) -> dict[tuple[str, str, str, int], set[str]]:
        found: dict[tuple[str, str, str, int], set[str]] = {}
        for name, month in self.accounts:
            for file, record, listed in self.engine.execute(
                f"SELECT file, record, {column} FROM {self.rows(kind, name, month)}"
            ).fetchall():
                found[str(month), name, file, record] = set(listed)
        return found


def parts(inbox: Path, month: Month, name: str) -> list[Path]:
    folder = inbox / str(month)
    return (
        sorted((folder / name).iterdir())
        if (folder / name).is_dir()
        else list(folder.glob(f"{name}.*"))
    )


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
