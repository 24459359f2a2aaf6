"""The long run: every fault many times over, and the tables of docs/assurance/reliability.md from what happened.

python -m tests.faults.long [--kills 10] [--inputs 100000] [--offices 2000] [--write]
python -m tests.faults.long --only-offices [--offices 2000] [--write]
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import platform
import random
import re
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import duckdb

from tests.faults.city import SECOND, City
from tests.faults.disk import in_namespace
from tests.faults.flips import findings, flip, is_seal, named, published_files, received_files
from tests.faults.fuzz import fuzz
from tests.faults.kills import deaths, kill_and_finish, kill_the_command
from tests.faults.machine import clocks, low_memory, run_beside
from tests.faults.office_town import OfficeTown, Outcome
from tests.support.killing import run_in_child
from tests.support.troubles import Death

PAGE = Path(__file__).parents[2] / "docs" / "assurance" / "reliability.md"
BEGIN, END = "<!-- made by tests.faults.long -->", "<!-- end -->"
OFFICES = "<!-- office accidents, made by tests.faults.long -->"
FINISHED = "published months whole, next run finishes, same hashes"
Row = tuple[str, str, str, str]


class Long:
    """One long run: what is tried, and what failed."""

    def __init__(self, folder: Path, kills: int, inputs: int) -> None:
        self.folder, self.kills, self.inputs = folder, kills, inputs
        self.city = City(folder / "city")
        self.rng = random.Random(2024)
        self.failures: list[str] = []
        self.reached: Counter[tuple[str, str]] = Counter()

    def attempt(self, what: str, work: Callable[[], object]) -> object:
        """Try one thing; a failure is noted and the run goes on."""
        try:
            return work()
        except Exception as error:
            self.failures.append(f"{what}: {type(error).__name__} {error}")
            print("FAILED", what, flush=True)
            traceback.print_exc()
            return None

    def rows(self) -> Iterator[Row]:
        for part in (
            self.kills_by_step, self.kills_at_random, self.kills_in_a_row, self.kills_of_the_command, self.disks,
            self.memory, self.at_once, self.other_clocks, self.flips, self.fuzzes,
        ):  # fmt: skip
            begun, failed = time.perf_counter(), len(self.failures)
            for fault, how, tried, outcome in part():
                row = fault, how, tried, "**failed**" if len(self.failures) > failed else outcome
                print(" | ".join(row), flush=True)
                yield row
            print(f"{part.__name__}: {time.perf_counter() - begun:.0f} s", flush=True)

    def kills_by_step(self) -> Iterator[Row]:
        for step in self.city.undisturbed.steps:
            for death in deaths(self.city, step, 3 * self.kills, self.rng):
                if (
                    sum(count for (name, _), count in self.reached.items() if name == step)
                    >= self.kills
                ):
                    break
                self._kill(
                    [death], "inside a write" if death.byte is not None else "before an event"
                )
        total = Counter[str]()
        for (_, way), count in self.reached.items():
            total[way] += count
        how = "the process kills itself before a counted event (open for writing, rename, remove, fsync, ...)"
        yield "SIGKILL at every step", how, f"{total['before an event']:,}", FINISHED
        how = "the kernel kills it in the first write beyond a byte of any file (RLIMIT_FSIZE), also below the engine"
        yield "killed within a write", how, f"{total['inside a write']:,}", FINISHED

    def _kill(self, chosen: Sequence[Death | float], way: str) -> None:
        reached = self.attempt(f"kill {chosen}", lambda: kill_and_finish(self.city, chosen))
        assert isinstance(reached, list | None)
        self.reached.update((step, way) for step in reached or [])

    def kills_at_random(self) -> Iterator[Row]:
        lasts = _seconds(lambda: run_in_child(self.city.settings, SECOND), self.city)
        before = self.reached.total()
        for _ in range(4 * self.kills):
            self._kill([self.rng.uniform(0, lasts)], "at random")
        yield (
            "SIGKILL at random",
            "from outside, at a moment by a seed",
            f"{self.reached.total() - before}",
            FINISHED,
        )

    def kills_in_a_row(self) -> Iterator[Row]:
        steps, before = list(self.city.undisturbed.steps), self.reached.total()
        for _ in range(self.kills):
            night = sorted(self.rng.sample(steps, 3), key=steps.index)
            chosen = [self.rng.choice(list(deaths(self.city, step, 6, self.rng))) for step in night]
            self._kill(chosen, "in a row")
        yield (
            "killed three times in a row",
            "the next run is killed too",
            f"{self.reached.total() - before}",
            FINISHED,
        )

    def kills_of_the_command(self) -> Iterator[Row]:
        killed = 0
        for number in range(self.kills):
            after = 1 + number * 25 / self.kills
            killed += (
                self.attempt(
                    f"command {after}", lambda after=after: kill_the_command(self.city, after)
                )
                is True
            )
        yield (
            "`jifen run` killed",
            "the command with Prefect, at moments spread over it",
            f"{killed}",
            FINISHED,
        )

    def disks(self) -> Iterator[Row]:
        steps = [step for step in self.city.undisturbed.steps if step not in ("compare", "record")]
        full = [f"{step}:{free_kib}" for step in steps for free_kib in (0, 8, 40)]
        command = [f"command:{how}" for how in ("0", "500", "900", "1400", "2000", "read-only")]
        outcomes = self.attempt("disks", lambda: in_namespace(self.city, [*full, *command])) or []
        assert isinstance(outcomes, list)
        for one in outcomes:
            if (
                one.code not in (0, 1)
                or (one.code and "磁盘" not in one.message)
                or "Traceback" in one.message
            ):
                self.failures.append(f"disk {one}")
        failed = Counter(one.step for one in outcomes if one.code and one.step)
        where = ", ".join(f"{step} {count}" for step, count in failed.items())
        how = (
            "a tmpfs that fills up when a step begins, but for 0, 8 or 40 KiB; it failed in: "
            + where
        )
        yield "disk full", how, f"{len(full)}", f"“磁盘已满”, exit 1, no trace; {FINISHED}"
        how = "`jifen run` on a tmpfs with 0 to 2,000 KiB left"
        yield (
            "disk full, the command",
            how,
            f"{len(command) - 1}",
            f"“磁盘已满”, exit 1, no trace; {FINISHED}",
        )
        yield (
            "read-only root",
            "`jifen run` on a tmpfs mounted ro",
            "1",
            f"“磁盘只读”, exit 1, no trace; {FINISHED}",
        )

    def memory(self) -> Iterator[Row]:
        found = self.attempt("memory", lambda: low_memory(self.folder / "memory")) or (0, 0)
        assert isinstance(found, tuple)
        how = (
            f"30,000 people with {found[0]} MB for the engine: {found[1]:,} bytes spilt at the most"
        )
        yield "memory low enough to spill", how, "1", "same hashes as with 2 GB"

    def at_once(self) -> Iterator[Row]:
        for _ in range(5):
            self.attempt("at once", self._run_concurrently)
        yield (
            "three runs at once",
            "on one root, five times",
            "15",
            "one publishes, the others exit 13; same hashes",
        )

    def _run_concurrently(self) -> None:
        self.city.restore()
        assert sorted(ended.code for ended in run_beside(self.city.settings, SECOND, 3)) == [
            0,
            13,
            13,
        ]
        self.city.assert_finished()

    def other_clocks(self) -> Iterator[Row]:
        for name in clocks():
            self.attempt(name, lambda name=name: self._at(name))
        yield "other time zones and locales", ", ".join(clocks()), f"{len(clocks())}", "same hashes"

    def _at(self, name: str) -> None:
        self.city.restore()
        assert run_in_child(self.city.settings, SECOND, clocks()[name]).code == 0
        self.city.assert_finished()

    def flips(self) -> Iterator[Row]:
        root, flipped = self.city.root, 0
        intact = {
            file: file.read_bytes() for file in [*published_files(root), *received_files(root)]
        }
        seals = [file for file in intact if is_seal(root, file)]
        rounds = [*[[file] for file in intact], *[[seal] for seal in seals * 50]]
        rounds += [[file for file in intact if file not in seals]] * 50
        for files in rounds:
            for file in files:
                flip(file, self.rng)
            found = findings(root)
            flipped += len(files)
            missed = [str(file) for file in files if not named(root, file, found)]
            self.failures += [f"not found: {file}" for file in missed]
            for file in files:
                file.write_bytes(intact[file])
        how = f"in each of {len(intact)} published and received files, alone and in all at once"
        yield (
            "one byte flipped",
            how,
            f"{flipped:,}",
            "`jifen verify` exits 15 and names the file, every time",
        )

    def fuzzes(self) -> Iterator[Row]:
        for kind, share in (("csv", 0.4), ("parquet", 0.3), ("yaml", 0.3)):
            folder = self.folder / kind
            folder.mkdir()
            tally = fuzz(kind, range(round(self.inputs * share)), folder)
            self.failures += tally.wrong
            how = f"{tally.refused:,} refused, {tally.read:,} read as a second reader reads them"
            how += f", {tally.alone:,} read right that it does not take" if tally.alone else ""
            outcome = (
                "no trace, no wrong acceptance" if not tally.wrong else f"{len(tally.wrong)} wrong"
            )
            yield f"spoilt {kind} files", how, f"{tally.tried:,}", outcome


def _seconds(work: Callable[[], object], city: City) -> float:
    city.restore()
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def page(long: Long, rows: Sequence[Row], seconds: float) -> str:
    """The part of docs/assurance/reliability.md that a run writes."""
    machine = (
        f"{os.cpu_count()} cores, Python {platform.python_version()}, DuckDB {duckdb.__version__}"
    )
    lines = [
        BEGIN, "",
        f"Run on {dt.date.today()}: {machine}, {seconds / 60:.0f} minutes, {len(long.failures)} failures.",
        "", "| fault | how it is made | times | outcome |", "| --- | --- | --- | --- |",
        *(f"| {' | '.join(row)} |" for row in rows),
        "", "Kills by the step they reached:", "",
    ]  # fmt: skip
    ways = sorted({way for _, way in long.reached})
    lines += [f"| step | {' | '.join(ways)} | all |", f"| --- {'| --- ' * (len(ways) + 1)}|"]
    for step in long.city.undisturbed.steps:
        counts = [long.reached[step, way] for way in ways]
        lines.append(f"| {step} | {' | '.join(map(str, counts))} | {sum(counts)} |")
    return "\n".join([*lines, "", END])


def try_offices(folder: Path, cases: int) -> list[Outcome]:
    """Let so many cases of office accidents happen; each is printed with its number."""
    town = OfficeTown(folder)
    outcomes = []
    for number in range(cases):
        outcomes.append(town.attempt(number))
        print(outcomes[-1], flush=True)
    return outcomes


def describe_offices(outcomes: Sequence[Outcome], seconds: float) -> str:
    """Return the part of docs/assurance/reliability.md that the office accidents write."""
    kinds = Counter(one.kind for one in outcomes)
    tried = kinds.total() - kinds["idle"]
    how = (("equal", "published with the very same numbers"), ("stopped", "stopped, with a way out"),
           ("named", "published, the accident named"), ("wrong", "**anything else**"))  # fmt: skip
    lines = [
        OFFICES, "",
        f"Run on {dt.date.today()}: {len(outcomes):,} cases, {tried:,} with an accident that could happen, "
        f"{seconds / 60:.0f} minutes, {kinds['wrong']} failures.",
        "", "| outcome | cases |", "| --- | --- |", *(f"| {text} | {kinds[kind]:,} |" for kind, text in how),
        "", f"By accident (alone or with up to two others): {', '.join(title for _, title in how[:3])}.",
        "", "| accident | same numbers | stopped | named |", "| --- | --- | --- | --- |",
    ]  # fmt: skip
    by_name = Counter((name, one.kind) for one in outcomes for name in one.names)
    for name in sorted({name for name, _ in by_name}):
        counts = (by_name[name, kind] for kind in ("equal", "stopped", "named"))
        lines.append(f"| {name.replace('_', ' ')} | {' | '.join(map(str, counts))} |")
    return "\n".join([*lines, "", OFFICES])


def write_part(made: str, begin: str, end: str) -> None:
    """Write a part of the page, between its two marks."""
    text = PAGE.read_text(encoding="utf-8")
    found = f"{re.escape(begin)}.*{re.escape(end)}"
    PAGE.write_text(re.sub(found, lambda _: made, text, flags=re.DOTALL), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=10, help="how often each step is killed")
    parser.add_argument("--inputs", type=int, default=100_000, help="how many spoilt files")
    parser.add_argument("--offices", type=int, default=2000, help="cases of office accidents")
    parser.add_argument("--only-offices", action="store_true", help="nothing but these")
    parser.add_argument("--write", action="store_true", help="write docs/assurance/reliability.md")
    given = parser.parse_args()
    failures: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        if not given.only_offices:
            begun = time.perf_counter()
            long = Long(Path(folder), given.kills, given.inputs)
            made = page(long, list(long.rows()), time.perf_counter() - begun)
            failures += long.failures
            print(made)
            if given.write:
                write_part(made, BEGIN, END)
        begun = time.perf_counter()
        outcomes = try_offices(Path(folder) / "office", given.offices)
        made = describe_offices(outcomes, time.perf_counter() - begun)
        failures += [str(one) for one in outcomes if one.kind == "wrong"]
        print(made)
        if given.write:
            write_part(made, OFFICES, OFFICES)
    sys.exit(bool(failures) and f"{len(failures)} failures:\n" + "\n".join(failures))


if __name__ == "__main__":
    main()
