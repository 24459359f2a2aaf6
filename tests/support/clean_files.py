"""Clean Parquet files and reference tables, written as the cleaning and the city would leave them."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from expectations.month import Month
from expectations.reference_tables import TABLES, Reference, load_reference
from expectations.source_loader import load_sources
from expectations.source_model import Source
from tests.parity.reference.values import Row
from tests.parity.reference.worlds import DISTRICTS

SOURCES = load_sources()
ARROW_TYPES = {
    "id": pa.int64(),
    "date": pa.date32(),
    "month": pa.int32(),
    "amount": pa.decimal128(12, 2),
    "integer": pa.int32(),
    "yes_no": pa.bool_(),
}
Clean = Mapping[str, Sequence[tuple[Month, Row]]]


def stored(value: Any, kind: str) -> Any:
    """A typed value as clean Parquet holds it."""
    if value is None:
        return None
    return int(value[:17]) if kind == "id" else value.ordinal if kind == "month" else value


def write_clean(
    root: Path, clean: Clean, sources: Mapping[str, Source] = SOURCES
) -> dict[str, list[Path]]:
    """The rows as the cleaning leaves them: a folder per source and received month."""
    folders: dict[str, list[Path]] = {}
    for name, received in clean.items():
        columns = sources[name].columns
        for month in sorted({month for month, _ in received}):
            rows = [row for other, row in received if other == month]
            arrays = {
                column: pa.array(
                    [stored(row[column], declared.type) for row in rows],
                    ARROW_TYPES.get(declared.type, pa.string()),
                )
                for column, declared in columns.items()
            }
            arrays |= {
                "part": pa.array([0] * len(rows)),
                "record": pa.array(range(1, len(rows) + 1)),
            }
            folder = root / name / f"received={month}" / "d1"
            folder.mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.table(arrays), folder / "rows.parquet")
            folders.setdefault(name, []).append(folder)
    return folders


def write_reference(folder: Path, tables: Mapping[str, list[dict[str, str]]]) -> Reference:
    folder.mkdir(parents=True, exist_ok=True)
    known = {
        **tables,
        "districts": [{"code": code, "name": code, "name_en": code} for code in DISTRICTS],
    }
    for name, (_, columns) in TABLES.items():
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as text:
            writer = csv.DictWriter(text, list(columns), restval="")
            writer.writeheader()
            writer.writerows(known.get(name, []))
    return load_reference(folder)
