"""Troubles of the machine around a run: other runs beside it, other clocks and locales, memory that does not suffice."""

from __future__ import annotations

import datetime as dt
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from data.synthetic.write import ExtractPlan, generate_extracts
from expectations.month import Month
from flows.settings import Settings
from flows.storage.root import Root
from tests.faults.city import kept_files
from tests.support.killing import Ended, run_in_child
from tests.support.troubles import Clock
from tests.support.world import SOURCES, World


def run_beside(settings: Settings, month: str, times: int) -> list[Ended]:
    """The same month run so many times at the same time."""
    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(lambda _: run_in_child(settings, month), range(times)))


def clocks() -> dict[str, Clock]:
    """Other times of day, also one whose midnight comes while the month is running."""
    now = dt.datetime.now(dt.UTC)
    ahead = (now.hour * 60 + now.minute) * 60 + now.second + 2
    midnight = f"X{ahead // 3600:02d}:{ahead // 60 % 60:02d}:{ahead % 60:02d}"
    return {
        "across the date line": Clock({"TZ": "Pacific/Kiritimati", "LC_ALL": "C"}),
        "half an hour off": Clock({"TZ": "America/St_Johns", "LC_ALL": "POSIX"}),
        "midnight passes": Clock({"TZ": midnight, "LC_ALL": "C.UTF-8"}),
    }


def _month(root: Root) -> dict[str, str]:
    """The published files: the rows in clean/ stand as the engine's threads wrote them, each with its number."""
    return {name: digest for name, digest in kept_files(root).items() if name.startswith("months/")}


@contextmanager
def spilt(spill: Path) -> Iterator[list[int]]:
    """The largest number of bytes seen in the engine's spill files so far."""
    seen, done = [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.002):
            sizes = (_size(file) for file in spill.glob("duckdb_temp*"))
            seen[0] = max(seen[0], sum(sizes))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        done.set()
        watcher.join()


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def low_memory(folder: Path, residents: int = 30_000) -> tuple[int, int]:
    """Run a month with less and less memory until it spills: MB for the engine, and the bytes spilt at the most.

    AssertionError: the files are not those made with plenty, or nothing was spilt.
    """
    month, plenty = Month.parse("2024-03"), World(folder / "plenty", memory="2GB")
    generate_extracts(
        ExtractPlan(residents, [month], sources=SOURCES, reference=plenty.settings.paths.reference),
        plenty.inbox,
        settings=plenty.settings.engine_settings,
        spill=folder / "spill",
        progress=lambda line: None,
    )
    plenty.run(str(month))
    for megabytes in range(120, 80, -5):
        little = World(folder / f"{megabytes}", memory=f"{megabytes}MB", threads=1)
        little.root.key_file.write_text(plenty.root.key().hex())
        shutil.copytree(plenty.inbox, little.inbox, dirs_exist_ok=True)
        with spilt(little.root.tmp / "spill") as seen:
            little.run(str(month))
        assert _month(little.root) == _month(plenty.root)
        if seen[0]:
            return megabytes, seen[0]
    raise AssertionError("nothing was spilt")
