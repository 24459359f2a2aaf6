"""Ask the analysts' questions of many months, of both layers: `python -m tests.benchmarks.questions --revisions ... --folder ...`.

The months are a few published revisions in turn, many times over: the catalogue gives each its own date, so a copy is a
month to every question. They are copied, not linked: each month has pages of its own to be read. Every question is
asked in a new process, with DuckDB's own defaults, the way an analyst does; the median of `--times` counts.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from expectations.month import Month
from reports.catalogue.build import EXACT_CATALOGUE, OPEN_CATALOGUE, build_catalogue
from tests.support.queries import OPEN_QUERIES, QUERIES
from transforms.outputs import VIEWS

ASK = """
import duckdb, sys, time
catalogue = duckdb.connect(sys.argv[1], read_only=True)
started = time.perf_counter()
for statement in catalogue.extract_statements(sys.argv[2]):
    rows = len(catalogue.execute(statement).fetchall())
print(time.perf_counter() - started, rows)
"""


def months_of(revisions: Sequence[Path], folder: Path, number: int) -> list[tuple[str, Path]]:
    """The revisions as so many months, the last one as itself; those that stand already are used again."""
    last = Month.parse(
        json.loads((revisions[-1] / "manifest.json").read_text(encoding="utf-8"))["month"]
    )
    made = []
    for back in reversed(range(number)):
        month = str(last - back)
        target = folder / "months" / month / "r1"
        if not target.exists():
            aside = target.with_name("copying")
            for name in (output.folder for output in VIEWS.values()):
                shutil.copytree(
                    revisions[-1 - back % len(revisions)] / name, aside / name, dirs_exist_ok=True
                )
            aside.rename(target)
        made.append((month, target))
    return made


def ask(catalogue: Path, sql: str) -> tuple[float, int]:
    """Seconds and rows of one question in a process of its own; start-up and opening are not counted."""
    command = [sys.executable, "-c", ASK, str(catalogue), sql]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    seconds, rows = said.split()[-2:]  # before them a progress bar, when it took long
    return float(seconds), int(rows)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument(
        "--revisions",
        type=Path,
        nargs="+",
        required=True,
        help="e.g. .../2024-03/r1 .../2024-04/r1",
    )
    options.add_argument(
        "--folder", type=Path, required=True, help="where the months are put; left there afterwards"
    )
    options.add_argument("--months", type=int, default=24)
    options.add_argument("--times", type=int, default=3)
    options.add_argument("--only", nargs="*", help="these questions only")
    given = options.parse_args()
    folder = given.folder.resolve()
    months = months_of(given.revisions, folder, given.months)
    for one in (EXACT_CATALOGUE, OPEN_CATALOGUE):
        build_catalogue(folder, months, [], catalogue=one)
    table = Table("question", "seconds", "from", "to", "rows")
    questions = [(name, "catalogue-exact.duckdb", sql) for name, sql in QUERIES.items()]
    questions += [(f"open/{name}", "catalogue.duckdb", sql) for name, sql in OPEN_QUERIES.items()]
    for name, catalogue, sql in questions:
        if given.only and name not in given.only:
            continue
        asked = [ask(folder / catalogue, sql) for _ in range(given.times)]
        seconds = [took for took, _ in asked]
        figures = [
            f"{value:.2f}" for value in (statistics.median(seconds), min(seconds), max(seconds))
        ]
        table.add_row(name, *figures, f"{asked[0][1]:,}")
    Console().print(table)


if __name__ == "__main__":
    main()
