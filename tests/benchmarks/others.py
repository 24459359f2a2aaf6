"""What is measured beside a month: one person, a draft policy, the analysts' questions, the framework alone."""

from __future__ import annotations

import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb

from flows.settings import OWN_DECLARATIONS
from tests.benchmarks.questions import ask
from tests.support.queries import QUERIES

JIFEN = str(Path(sys.executable).parent / "jifen")
SMALL = 1_000  # residents: so few that only the framework takes time
Line = tuple[str, float]
"""What was measured, in seconds: the median."""


def others(settings: Path, root: Path, folder: Path, times: int) -> Iterator[Line]:
    """Everything else that people wait for, on the newest month of a root; `folder` is for what is made meanwhile."""
    yield "explain, the whole command", _median(times, one_person(settings, root))
    yield "simulate", _median(1, draft(settings, folder))
    yield (
        f"slowest of {len(QUERIES)} questions",
        max(
            statistics.median(ask(root / "catalogue-exact.duckdb", sql)[0] for _ in range(times))
            for sql in QUERIES.values()
        ),
    )
    cold, second = framework(folder / "small")
    yield f"{SMALL:,} residents, cold: the whole command", cold
    yield f"{SMALL:,} residents, the second month of a process", second


def _median(times: int, work: Callable[[], object]) -> float:
    took = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        took.append(time.perf_counter() - started)
    return statistics.median(took)


def _run(*command: str, given: str = "") -> str:
    return subprocess.run(
        [JIFEN, *command], input=given, check=True, capture_output=True, text=True
    ).stdout


def one_person(settings: Path, root: Path) -> Callable[[], object]:
    """Explain somebody from the middle of the newest month."""
    newest = max((root / "published").iterdir())
    table = f"read_parquet('{newest}/restricted/identities/*.parquet')"
    with duckdb.connect() as connection:
        middle = (
            f"SELECT resident_id FROM {table} LIMIT 1 OFFSET (SELECT count(*) // 2 FROM {table})"
        )
        ((resident_id,),) = connection.execute(middle).fetchall()
    return lambda: _run("--config", str(settings), "explain", "--resident", "-", given=resident_id)


def draft(settings: Path, folder: Path) -> Callable[[], object]:
    """Simulate the project's own tables with every section capped low, over everyone."""
    policy, out = folder / "draft", folder / "simulated"
    shutil.rmtree(policy, ignore_errors=True)
    for part in ("points", "services"):
        shutil.copytree(OWN_DECLARATIONS / part, policy / part)
    city = policy / "points" / "city.yaml"
    text, changed = re.subn(
        r"(?m)^(      \w+: \{title: \w+, cap: )\d+", r"\g<1>20", city.read_text(encoding="utf-8")
    )
    assert changed
    city.write_text(text, encoding="utf-8")

    def work() -> None:
        shutil.rmtree(out, ignore_errors=True)
        _run("--config", str(settings), "simulate", "--policy", str(policy), "--out", str(out))

    return work


def framework(folder: Path) -> tuple[float, float]:
    """Seconds of a first month alone, and of the second of two in a process; each in a new root."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "cold").mkdir(parents=True)
    settings, inbox = folder / "jifen.toml", folder / "inbox"
    settings.write_text(f'[paths]\ninbox = "{inbox}"\n[policy]\nallow_illustrative = true\n')
    of = ["--config", str(settings), "--root"]
    _run("synth", "--residents", str(SMALL), "--months", "2024-03:2024-04", "--out", str(inbox))
    cold = _median(1, lambda: _run(*of, str(folder / "cold"), "run", "--month", "2024-03"))
    printed = _run(*of, str(folder / "both"), "backfill", "--months", "2024-03:2024-04")
    shutil.rmtree(folder)
    return cold, float(re.findall(r"([0-9.]+) 秒$", printed, re.MULTILINE)[1])
