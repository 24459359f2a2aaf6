"""Write synthetic extracts for a range of months, as the `synthetic:` blocks of the sources say."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from data.synthetic.extract_sql import BOOKKEEPING, Extract
from data.synthetic.faults import Fault, Row, plan_faults
from data.synthetic.hash_random import HashRandom
from data.synthetic.population import City
from expectations.month import Month
from expectations.source_model import Column, Source
from transforms.engine.session import EngineSettings, Session, open_engine
from transforms.engine.sql import sql_literal

CSV_RESIDENTS = 100_000  # a larger city delivers Parquet where the block leaves the format open
# Divided by the residents: how many months of history share a part.
PART_RESIDENT_MONTHS = 11_000_000
SAMPLE = 4_000  # rows from which faults are made
PLANTED_COLUMNS = ("month", "source", "file", "record", "column", "planted", "kind", "reason")
ORDER = ", ".join(BOOKKEEPING)


@dataclass(frozen=True)
class ExtractPlan:
    """Which extracts to generate; equal plans give equal bytes.

    Attributes:
        residents: How many people live in the city in the first month.
        months: Consecutive months to deliver, ascending.
        sources: Declarations by name; those without `synthetic:` deliver nothing.
        reference: The folder of reference tables: districts and their communities.
        seed: What all random draws depend on.
        faults: Plant bad rows, and list them in `planted.csv` without anybody's ID.
    """

    residents: int
    months: list[Month]
    sources: dict[str, Source]
    reference: Path
    seed: int = 0
    faults: bool = False


def generate_extracts(
    plan: ExtractPlan,
    out: Path,
    *,
    settings: EngineSettings,
    spill: Path,
    progress: Callable[[str], None],
) -> None:
    """Write `<out>/<YYYY-MM>/<source>.csv`, `.parquet` or a folder of parts for every source of a
    plan.

    An increment's first extract carries all of its history, each later one a month; a snapshot is
    full every month. A month's files do not depend on the months after it. The model of the city is
    kept in `spill` while the work lasts.
    """
    planted: list[dict[str, object]] = []
    database = spill / "city.duckdb"
    database.unlink(missing_ok=True)
    try:
        with open_engine(settings, spill, database) as session:
            city = City.read(
                session, plan.reference, HashRandom(plan.seed), plan.residents, plan.months
            )
            city.populate(session)
            progress(f"居民模型：{plan.residents} 人")
            for month in plan.months:
                for name, source in sorted(plan.sources.items()):
                    if source.synthetic:
                        extract = Extract(source, source.synthetic, city)
                        writer = _Writer(session, extract, month, out, plan.faults)
                        rows = writer.write()
                        planted += writer.planted
                        progress(f"{month} {name}：{rows} 行")
    finally:
        database.unlink(missing_ok=True)
        database.with_suffix(".duckdb.wal").unlink(missing_ok=True)
    if plan.faults:
        with (out / "planted.csv").open("w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, PLANTED_COLUMNS, lineterminator="\n")
            table.writeheader()
            table.writerows(planted)


@dataclass
class _Writer:
    """One extract of one month on its way to disk."""

    session: Session
    extract: Extract
    month: Month
    out: Path
    faults: bool

    def __post_init__(self) -> None:
        extract = self.extract
        self.source, self.block, self.city = extract.source, extract.block, extract.city
        self.planted: list[dict[str, object]] = []

    def write(self) -> int:
        """Write the extract's file or parts over whatever was there; return the number of rows."""
        folder, name = self.out / str(self.month), self.source.source
        shutil.rmtree(folder / name, ignore_errors=True)
        for old in folder.glob(f"{name}.*"):
            old.unlink()
        parts = self._parts()
        if self.block.format == "folder":
            targets = [
                folder / name / f"part-{number:04d}.parquet" for number in range(1, len(parts) + 1)
            ]
        else:
            targets = [folder / f"{name}.{self._suffix()}"]
        targets[0].parent.mkdir(parents=True, exist_ok=True)
        written = (
            self._write_part(*part, target) for part, target in zip(parts, targets, strict=True)
        )
        return sum(written)

    def _suffix(self) -> str:
        small = self.city.residents <= CSV_RESIDENTS
        return (
            "csv"
            if self.block.format == "csv" or (self.block.format == "auto" and small)
            else "parquet"
        )

    def _parts(self) -> list[tuple[int, int]]:
        """Return the ranges of months, both ends included, in which each part's rows fell due."""
        month = self.month.ordinal
        history = self.source.delivery == "snapshot" or self.month == self.city.first
        if not history or self.block.format != "folder":
            return [(0 if history else month, month)]
        months_per_part = max(1, PART_RESIDENT_MONTHS // self.city.residents)
        starts = range(month - 12 * self.block.rows.years, month + 1, months_per_part)
        return list(
            zip([0, *starts[1:]], [*(start - 1 for start in starts[1:]), month], strict=True)
        )

    def _write_part(self, first_due: int, last_due: int, target: Path) -> int:
        rows = self.extract.rows(self.month, first_due, last_due)
        if self.faults and not self.planted:
            rows = self._with_faults(rows, target)
        delivered = ", ".join(
            self._delivered(name, column) for name, column in self.source.columns.items()
        )
        options = "FORMAT csv, HEADER" if target.suffix == ".csv" else "FORMAT parquet"
        done = self.session.execute(
            f"COPY (SELECT {delivered} FROM ({rows}) ORDER BY {ORDER})"
            f" TO {sql_literal(target)} ({options})"
        ).fetchone()
        return int(done[0]) if done else 0

    def _delivered(self, name: str, column: Column) -> str:
        """Return a column as its department writes it: canonical, or in Chinese."""
        if not self.block.chinese:
            return name
        texts = {value: names[0] for value, names in column.values.items() if names}
        if column.type == "yes_no":
            texts = {"true": "是", "false": "否"}
        cases = " ".join(
            f"WHEN {sql_literal(value)} THEN {sql_literal(text)}" for value, text in texts.items()
        )
        shown = f"CASE {name} {cases} ELSE {name} END" if cases else name
        return f'{shown} AS "{column.title}"'

    def _with_faults(self, rows: str, target: Path) -> str:
        """Put the planted rows first, in list order, without the rows that they replace."""
        columns = list(self.source.columns)
        found = self.session.execute(
            f"SELECT {', '.join(columns)}, number FROM ({rows}) ORDER BY {ORDER} LIMIT {SAMPLE}"
        ).fetchall()
        sample: list[Row] = [
            dict(zip([*columns, "number"], map(_text, row), strict=True)) for row in found
        ]
        faults = plan_faults(self.source, self.month, sample)
        self.planted = [
            self._listed(record, fault, target) for record, fault in enumerate(faults, start=1)
        ]
        if not faults:
            return rows
        lines = " UNION ALL ".join(_fault_sql(*fault, columns) for fault in enumerate(faults))
        replaced = ", ".join(str(fault.row["number"]) for fault in faults if fault.in_place) or "-1"
        return f"SELECT * FROM ({rows}) WHERE number NOT IN ({replaced}) UNION ALL ({lines})"

    def _listed(self, record: int, fault: Fault, target: Path) -> dict[str, object]:
        file = target.relative_to(self.out / str(self.month)).as_posix()
        place = (str(self.month), self.source.source, file, record)
        return dict(
            zip(
                PLANTED_COLUMNS,
                (*place, fault.column, fault.planted, fault.kind, fault.reason),
                strict=True,
            )
        )


def _fault_sql(record: int, fault: Fault, columns: list[str]) -> str:
    values = ", ".join(f"{_literal(fault.row[name])} AS {name}" for name in columns)
    return f"SELECT {values}, 0 AS place, {record} AS number, 0 AS version"


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _literal(value: str | None) -> str:
    return "NULL::VARCHAR" if value is None else sql_literal(value)
