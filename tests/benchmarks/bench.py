"""Measure a steady-state month against the floor, and what else people wait for: `make bench RESIDENTS=...`."""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.benchmarks.others import JIFEN, others

FIRST, SECOND = "2024-03", "2024-04"


@dataclass
class Measured:
    """One command: wall seconds, and the peak of resident memory over all of its processes (MiB)."""

    seconds: float
    memory: float


def children(pid: int) -> list[int]:
    """A process and all that it started."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += children(int(child))
    return found


def resident(pid: int) -> float:
    """MiB of memory that a process holds (what it shares with another counts in both)."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def measure(command: list[str]) -> Measured:
    """Run a command; its failure is ours."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    peak = 0.0

    def watch() -> None:
        nonlocal peak
        while process.poll() is None:
            total = 0.0
            try:
                total = sum(resident(pid) for pid in children(process.pid))
            except (FileNotFoundError, ProcessLookupError):
                continue
            peak = max(peak, total)
            time.sleep(0.1)

    watcher = threading.Thread(target=watch)
    watcher.start()
    code = process.wait()
    seconds = time.perf_counter() - started
    watcher.join()
    if code:
        raise SystemExit(f"{' '.join(command)}: exit {code}")
    return Measured(seconds, peak)


def forget(root: Path, month: str) -> None:
    """Take a published month back, so that it can be run again as if for the first time."""
    (root / "published" / month).unlink(missing_ok=True)
    for folder in (root / "months" / month, root / "raw" / month, root / "tmp" / "build"):
        shutil.rmtree(folder, ignore_errors=True)
    for kind in ("clean", "quarantine", "defects"):
        for folder in (root / kind).glob(f"*/received={month}"):
            shutil.rmtree(folder)


def bench(folder: Path, residents: int, times: int) -> None:
    root, inbox = folder / "root", folder / "inbox"
    folder.mkdir(parents=True, exist_ok=True)
    settings = folder / "jifen.toml"
    settings.write_text(
        f'[paths]\nroot = "{root}"\ninbox = "{inbox}"\n[policy]\nallow_illustrative = true\n'
    )
    run = [JIFEN, "--config", str(settings), "run", "--month"]
    if not (inbox / SECOND).is_dir():
        synth = [
            "synth",
            "--residents",
            str(residents),
            "--months",
            f"{FIRST}:{SECOND}",
            "--out",
            str(inbox),
        ]
        subprocess.run([JIFEN, "--config", str(settings), *synth], check=True)
    if not (root / "published" / FIRST).exists():
        first = measure([*run, FIRST])
        print(f"first month, all history: {first.seconds:.1f} s, {first.memory:.0f} MiB")
    months, floors, parts = [], [], {}
    for _ in range(times):
        forget(root, SECOND)
        months.append(measure([*run, SECOND]))
        script = [sys.executable, str(Path(__file__).parent / "floor.py")]
        revision = root / "months" / SECOND / "r1"
        started = time.perf_counter()
        printed = subprocess.run(
            [*script, str(inbox), SECOND, str(revision), str(folder / "floor")],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        floors.append(time.perf_counter() - started)
        parts = dict(line.split("\t") for line in printed.splitlines())
        shutil.rmtree(folder / "floor")
    records = sorted((root / "runs").glob(f"*-{SECOND}.json"))[-times:]
    steps = [json.loads(path.read_text())["seconds"] for path in records]
    month, floor = statistics.median(m.seconds for m in months), statistics.median(floors)
    table = Table("measured", "ratio to floor", "seconds (median)", "peak MiB")
    table.add_row(
        "month", f"{month / floor:.2f}", f"{month:.1f}", f"{max(m.memory for m in months):.0f}"
    )
    table.add_row("floor", "1.00", f"{floor:.1f}", "")
    for name, seconds in parts.items():
        table.add_row(f"  floor: {name}", f"{float(seconds) / floor:.2f}", seconds, "")
    for name in steps[-1]:
        seconds = statistics.median(step[name] for step in steps)
        table.add_row(f"  month: {name}", f"{seconds / floor:.2f}", f"{seconds:.1f}", "")
    for name, seconds in others(settings, root, folder, times):
        table.add_row(name, "", f"{seconds:.2f}", "")
    Console(width=100).print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--residents", type=int, default=20_000)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path("var/bench"))
    given = parser.parse_args()
    bench(given.folder.resolve(), given.residents, given.times)
