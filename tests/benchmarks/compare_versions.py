"""Run the same months with the programs of two checkouts and compare all published tables.

    python -m tests.benchmarks.compare_versions --a CHECKOUT --b CHECKOUT --work FOLDER
        [--months 2022-03:2022-05] [--residents 60000] [--seed 1] [--inbox FOLDER]
        [--rename OLD=NEW] [--allow PATTERN]

Each checkout has a virtual environment of its own (`.venv`); only its command `jifen` and the files
it writes are used, so that any two commits can be compared. Both get the same extracts, with
planted faults (made with A's `jifen synth`, or those of `--inbox`), and the same secret key; a month
that is held is accepted. Results are kept under FOLDER/a and FOLDER/b and used again for the same
commit and the same arguments. Without `--b`, A's results are made and nothing is compared.

What is compared, in the order of rows: every Parquet and CSV file cell by cell, every XLSX file by
values and number formats of its cells, the views of the catalogue by columns and types, manifests
by their keys; and which files exist. Rows of `clean` have no order of their own: two runs of one
version may write them in different orders. Other files (reports, SQL, policy) are listed if they
differ.
`--rename` says that a file's path has changed (a part of the path in A, and the same in B).
`--allow` names differences that are meant: `PATH` or `PATH:COLUMN` with the wildcards of `fnmatch`.
The exit code is 1 if any other difference was found. No value of a table with identities is shown.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from hashlib import sha256
from pathlib import Path

from tests.benchmarks.table_files import (
    Difference,
    compare_tables,
    count_cells,
    find_key_paths,
    is_same_workbook,
    is_table,
    read_catalogue,
    read_tables,
)

HELD = 14  # exit code: the month differs too much from the one before
REASON = "两个版本的比较，原样发布"
SETTINGS = """
[paths]
root = "root"
inbox = "{inbox}"
[policy]
allow_illustrative = true
"""
COMPARED = ("months", "clean", "quarantine", "defects")  # folders of a root
PUBLIC = ("scores", "facts", "eligibility", "changes")  # folders of a revision without identities
UNORDERED = "clean/"
SHOWN = 20


@dataclass(frozen=True)
class Case:
    """What both programs are given."""

    months: tuple[str, ...]
    residents: int
    seed: int
    inbox: Path

    @property
    def key(self) -> str:
        """Return the secret key of both roots, hexadecimal."""
        return sha256(f"compare versions {self.seed}".encode()).hexdigest()


@dataclass
class Side:
    """One checkout and the folder of its results."""

    checkout: Path
    folder: Path

    @property
    def root(self) -> Path:
        """Return the root that the program writes."""
        return self.folder / "root"

    def run_jifen(self, *arguments: str) -> int:
        """Run the checkout's `jifen` in the folder of results; return its exit code."""
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("JIFEN_", "PREFECT_"))
        }
        environment["JIFEN_KEY_FILE"] = str(self.folder.resolve() / "secret.key")
        command = [str(self.checkout.resolve() / ".venv" / "bin" / "jifen"), *arguments]
        with (self.folder / "log.txt").open("ab") as log:
            log.write(f"\n$ jifen {' '.join(arguments)}\n".encode())
            log.flush()
            return subprocess.run(
                command, cwd=self.folder, env=environment, stdout=log, stderr=log, check=False
            ).returncode


@dataclass
class Account:
    """What a comparison found."""

    tables: int = 0
    cells: int = 0
    differences: list[Difference] = field(default_factory=list)
    allowed: list[Difference] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def find_commit(checkout: Path) -> str:
    """Return the checkout's commit, marked if its files differ from it."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(checkout), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    return git("rev-parse", "HEAD") + (" with changes" if git("status", "--porcelain") else "")


def make_inbox(side: Side, case: Case) -> None:
    """Write the extracts of all months with planted faults, unless the same ones are there.

    What they were made with is kept beside them in `inbox.json`.
    """
    mark, record = side.folder / "inbox.json", _describe_case(case)
    with suppress(OSError, ValueError):
        if json.loads(mark.read_bytes()) == record:
            return
    mark.unlink(missing_ok=True)
    shutil.rmtree(case.inbox, ignore_errors=True)
    side.folder.mkdir(parents=True, exist_ok=True)
    span = f"{case.months[0]}:{case.months[-1]}"
    residents, seed = str(case.residents), str(case.seed)
    options = ["--residents", residents, "--months", span, "--seed", seed, "--faults"]
    if code := side.run_jifen("synth", *options, "--out", str(case.inbox.resolve())):
        raise SystemExit(f"jifen synth: exit code {code}, see {side.folder / 'log.txt'}")
    mark.write_text(json.dumps(record), encoding="utf-8")


def _describe_case(case: Case) -> dict[str, str]:
    return {name: str(value) for name, value in asdict(case).items() if name != "inbox"}


def run_months(side: Side, case: Case) -> list[str]:
    """Run all months in order, in a new root; return those that were held and then accepted."""
    shutil.rmtree(side.folder, ignore_errors=True)
    side.folder.mkdir(parents=True)
    inbox = case.inbox.resolve()
    (side.folder / "jifen.toml").write_text(SETTINGS.format(inbox=inbox), encoding="utf-8")
    (side.folder / "secret.key").write_text(case.key, encoding="ascii")
    (side.folder / "secret.key").chmod(0o600)
    held = []
    for month in case.months:
        code = side.run_jifen("run", "--month", month)
        if code == HELD:
            held.append(month)
            code = side.run_jifen("run", "--month", month, "--accept", REASON)
        if code:
            raise SystemExit(f"jifen run {month}: exit code {code}, see {side.folder / 'log.txt'}")
    return held


def ensure_results(side: Side, case: Case) -> None:
    """Make a side's results, unless those of the same commit and case are there."""
    commit = find_commit(side.checkout)
    record = {"commit": commit, **_describe_case(case)}
    mark = side.folder / "finished.json"
    with suppress(OSError, ValueError):
        known = json.loads(mark.read_bytes())
        held = known.pop("held")
        if known == record and "with changes" not in commit:
            print(f"{side.folder}: results of {commit[:7]} used again; held: {held or 'none'}")
            return
    held = run_months(side, case)
    mark.write_text(json.dumps({**record, "held": held}), encoding="utf-8")
    print(f"{side.folder}: results of {commit[:7]} made; held: {held or 'none'}")


def find_files(root: Path) -> dict[str, Path]:
    """Return the files to compare by their paths in the root."""
    return {
        str(path.relative_to(root)): path
        for folder in COMPARED
        for path in sorted((root / folder).rglob("*"))
        if path.is_file() and path.name != ".mac"
    }


def rename_path(path: str, renamed: Sequence[tuple[str, str]]) -> str:
    """Return the path that a file of A has in B."""
    for old, new in renamed:
        path = path.replace(old, new)
    return path


def find_differences(
    a: Path, b: Path, account: Account, renamed: Sequence[tuple[str, str]] = ()
) -> Iterator[Difference]:
    """Compare two roots; count tables and cells in the account, and yield every difference."""
    files_a = {rename_path(name, renamed): path for name, path in find_files(a).items()}
    files_b = find_files(b)
    for name in sorted(files_a.keys() | files_b.keys()):
        if name not in files_b:
            yield Difference(name, "", "file only in A")
        elif name not in files_a:
            yield Difference(name, "", "file only in B")
        elif is_table(files_a[name]):
            account.tables += 1
            yield from _compare_table_files(name, files_a[name], files_b[name], account)
        elif files_a[name].name == "manifest.json":
            yield from _compare_keys(name, files_a[name], files_b[name])
        elif files_a[name].read_bytes() != files_b[name].read_bytes():
            account.notes.append(name)
    links_a, links_b = (_published(root) for root in (a, b))
    if links_a != links_b:
        yield Difference("published", "", f"{links_a} in A, {links_b} in B")
    for catalogue in ("catalogue.duckdb", "catalogue-exact.duckdb"):
        if (a / catalogue).exists() and (b / catalogue).exists():
            account.tables += 1
            yield from compare_tables(
                catalogue, read_catalogue(a / catalogue), read_catalogue(b / catalogue)
            )


def _published(root: Path) -> dict[str, str]:
    return {link.name: str(link.readlink()) for link in sorted((root / "published").iterdir())}


def _compare_table_files(name: str, a: Path, b: Path, account: Account) -> Iterator[Difference]:
    is_public = any(f"/{folder}/" in name for folder in PUBLIC) and "/restricted/" not in name
    if is_same_workbook(a, b):
        account.cells += count_cells(a)
        return
    tables_a, tables_b = read_tables(a), read_tables(b)
    for part in sorted(tables_a.keys() ^ tables_b.keys()):
        yield Difference(name, part, "sheet only in A" if part in tables_a else "sheet only in B")
    found = []
    for part in sorted(tables_a.keys() & tables_b.keys()):
        table_a, table_b = tables_a[part], tables_b[part]
        account.cells += table_a.num_rows * table_a.num_columns
        found += compare_tables(name, table_a, table_b, show_values=is_public)
    if name.startswith(UNORDERED):
        found = [difference for difference in found if not difference.is_order]
    if not found and a.suffix == ".csv" and a.read_bytes() != b.read_bytes():
        found.append(Difference(name, "", "same cells, other bytes (quotes, line ends, BOM)"))
    yield from found


def _compare_keys(name: str, a: Path, b: Path) -> Iterator[Difference]:
    keys_a, keys_b = (find_key_paths(json.loads(path.read_bytes())) for path in (a, b))
    for key in sorted(keys_a ^ keys_b):
        yield Difference(name, key, "key only in A" if key in keys_a else "key only in B")


def is_allowed(difference: Difference, patterns: Sequence[str]) -> bool:
    """Return True if a pattern of `--allow` names the difference's file, or file and column."""
    places = (difference.table, f"{difference.table}:{difference.column}")
    return any(fnmatchcase(place, pattern) for place in places for pattern in patterns)


def compare_roots(
    a: Path, b: Path, allow: Sequence[str] = (), renamed: Sequence[tuple[str, str]] = ()
) -> Account:
    """Compare two roots and sort the differences into allowed and other ones."""
    account = Account()
    for difference in find_differences(a, b, account, renamed):
        found = account.allowed if is_allowed(difference, allow) else account.differences
        found.append(difference)
    return account


def print_account(account: Account) -> None:
    """Print what was compared and the first of the differences."""
    print(f"{account.tables:,} tables, {account.cells:,} cells compared")
    kinds = {"differences": account.differences, "allowed": account.allowed}
    for title, differences in kinds.items():
        print(f"{title}: {len(differences)}")
        for difference in differences[:SHOWN]:
            column = f" [{difference.column}]" if difference.column else ""
            print(f"  {difference.table}{column}: {difference.text}")
        if len(differences) > SHOWN:
            print(f"  ... and {len(differences) - SHOWN} more")
    if account.notes:
        folders = sorted({str(Path(name).parent) for name in account.notes})
        print(f"other files whose content differs: {len(account.notes)}, in")
        for folder in folders[:SHOWN]:
            print(f"  {folder}")


def parse_months(span: str) -> tuple[str, ...]:
    """Return the months of `YYYY-MM:YYYY-MM`, both ends included."""
    first, last = (int(text[:4]) * 12 + int(text[5:7]) - 1 for text in span.split(":"))
    return tuple(f"{month // 12:04}-{month % 12 + 1:02}" for month in range(first, last + 1))


def main() -> int:
    """Run both programs where results are missing, compare, and return the exit code."""
    parser = argparse.ArgumentParser(description="Compare the tables that two versions publish.")
    parser.add_argument("--a", type=Path, required=True, help="checkout with .venv")
    parser.add_argument("--b", type=Path, help="checkout with .venv")
    parser.add_argument("--work", type=Path, required=True, help="folder of results")
    parser.add_argument("--results-a", type=Path, help="instead of WORK/a")
    parser.add_argument("--results-b", type=Path, help="instead of WORK/b")
    parser.add_argument("--inbox", type=Path, help="extracts made before; instead of WORK/inbox")
    parser.add_argument("--months", type=parse_months, default="2022-03:2022-05")
    parser.add_argument("--residents", type=int, default=60_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--allow", action="append", default=[], help="PATH or PATH:COLUMN")
    parser.add_argument("--rename", action="append", default=[], help="OLD=NEW, parts of paths")
    options = parser.parse_args()
    inbox = options.inbox or options.work / "inbox"
    case = Case(options.months, options.residents, options.seed, inbox)
    side_a = Side(options.a, options.results_a or options.work / "a")
    if options.inbox is None:
        make_inbox(Side(options.a, options.work), case)
    ensure_results(side_a, case)
    if options.b is None:
        return 0
    side_b = Side(options.b, options.results_b or options.work / "b")
    ensure_results(side_b, case)
    renamed = [(old, new) for old, _, new in (text.partition("=") for text in options.rename)]
    account = compare_roots(side_a.root, side_b.root, options.allow, renamed)
    print_account(account)
    return 1 if account.differences else 0


if __name__ == "__main__":
    sys.exit(main())
