"""Run a peer on a published month and compare: `make peers ROOT=... MONTH=...`. Prints seconds, memory, differences."""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from expectations.month import Month
from tests.benchmarks.peers.agree import compare

LIMIT = 16 * 2**30
TABLES: dict[
    str, tuple[str, ...]
] = {  # peer -> what is compared of it, each written as <table>.parquet
    "jifen": (),
    "polars": ("facts", "awards", "scores"),
    "duckdb": ("facts", "awards", "scores"),
    "sail": ("facts", "scores"),  # make spark
    "openfisca": ("scores",),
    "pandas": ("facts", "awards", "scores"),
}


def limited() -> None:
    """No peer may hold more than the limit: the machine has other work. Mapped files are not counted."""
    resource.setrlimit(resource.RLIMIT_DATA, (LIMIT, LIMIT))


def run(peer: str, root: Path, month: Month, target: Path) -> tuple[int, float, float, float]:
    """Exit code, seconds, CPU seconds and peak resident memory (MiB) of a peer in a process of its own."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    module = f"tests.benchmarks.peers.in_{peer}"
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", module, str(root), str(month), str(target)], preexec_fn=limited
    )
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    return (
        os.waitstatus_to_exitcode(status),
        seconds,
        used.ru_utime + used.ru_stime,
        used.ru_maxrss / 1024,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "peers", nargs="*", default=list(TABLES), metavar="peer", help=", ".join(TABLES)
    )
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--month", type=Month.parse, required=True)
    parser.add_argument("--work", type=Path, default=Path("var/peers"))
    given = parser.parse_args()
    shown = Table("peer", "seconds", "CPU seconds", "peak MiB", "result")
    os.umask(0o077)
    for peer in given.peers:
        target = (given.work / peer).resolve()
        code, seconds, cpu, memory = run(peer, given.root.resolve(), given.month, target)
        lines = [f"exit {code}"] if code else []
        for table in () if code else TABLES[peer]:
            found = compare(given.root, given.month, target, table)
            lines.append(
                f"{table} ({found.width} columns): {found.differing:,} of {found.compared:,} differ"
                f" {found.columns or ''}"
            )
        shutil.rmtree(target)  # it names people
        shown.add_row(peer, f"{seconds:.1f}", f"{cpu:.1f}", f"{memory:.0f}", "\n".join(lines))
    Console(width=140).print(shown)


if __name__ == "__main__":
    main()
