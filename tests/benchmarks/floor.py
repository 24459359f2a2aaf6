"""The floor: what the month's bytes cost when nothing is understood. One DuckDB process that knows none of our formats.

Reads every column of the month's extracts as delivered and writes them once as Parquet; reads once the six columns of
all postings as delivered; writes once the rows of the published tables. No join, no group, no sort.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import duckdb

POSTINGS = "resident_id, insurance, month, employer_id, kind, posted_on"
TABLES = ("scores", "facts", "eligibility", "reminders", "restricted/identities")


def floor(inbox: Path, month: str, revision: Path, work: Path) -> dict[str, float]:
    """Seconds of each part of the floor."""
    work.mkdir(parents=True, exist_ok=True)
    seconds: dict[str, float] = {}
    with duckdb.connect(
        config={"threads": 2, "memory_limit": "2.5GB", "temp_directory": str(work)}
    ) as connection:

        def timed(name: str, statement: str) -> None:
            started = time.perf_counter()
            connection.execute(statement).fetchall()
            seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - started

        for extract in sorted((inbox / month).iterdir()):
            parts = f"{extract}/*" if extract.is_dir() else str(extract)
            read = (
                f"read_csv('{parts}', all_varchar = true)"
                if extract.suffix == ".csv"
                else f"read_parquet('{parts}')"
            )
            target = work / f"{extract.stem}.parquet"
            timed(
                "extracts",
                f"COPY (SELECT * FROM {read}) TO '{target}' (FORMAT parquet, COMPRESSION zstd)",
            )
        columns = ", ".join(f"max({column})" for column in POSTINGS.split(", "))
        timed(
            "postings", f"SELECT {columns} FROM read_parquet('{inbox}/*/social_security/*.parquet')"
        )
        for name in TABLES:
            if (revision / name).is_dir():
                target = work / f"{name.replace('/', '_')}.parquet"
                read = f"read_parquet('{revision / name}/*.parquet')"
                timed(
                    "tables",
                    f"COPY (SELECT * FROM {read}) TO '{target}' (FORMAT parquet, COMPRESSION zstd)",
                )
    return seconds


if __name__ == "__main__":
    found = floor(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
    for name, taken in found.items():
        print(f"{name}\t{taken:.2f}")
