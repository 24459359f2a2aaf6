"""Write docs/assurance/traceability.md: every promise, and the tests that prove it.

    python -m tests.architecture.traceability

The markers on the tests are the source: `promise(id, sentence)` and `promises({id: sentence})` state
a promise, once; `proves(id, ...)` names further tests that prove it.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

PROJECT = Path(__file__).parents[2]
PAGE = PROJECT / "docs" / "assurance" / "traceability.md"

# page of promises -> its title
TITLES = {
    "sources": "Sources and deliveries",
    "points": "Facts, points, services and reminders",
    "outputs": "Runs and what they leave behind",
}
# first promise of a section -> its title
SECTIONS = {
    "sources-1": "Declared, not programmed",
    "sources-10": "Where an extract comes from",
    "sources-25": "Which delivery serves",
    "sources-38": "Values",
    "sources-49": "IDs",
    "sources-55": "Rows refused and superseded",
    "sources-68": "What ends a run",
    "sources-75": "The eleven sources, cell by cell",
    "sources-98": "Reference tables",
    "sources-103": "Speed, as far as it is behaviour",
    "sources-115": "Faults",
    "sources-139": "A second implementation",
    "sources-143": "Security",
    "points-1": "Tables and versions",
    "points-23": "Rule forms",
    "points-41": "Around the rule, sums",
    "points-54": "Facts: time",
    "points-62": "Facts: nobody, corrections",
    "points-65": "Facts: one by one",
    "points-92": "The city's tables, cell by cell",
    "points-106": "The districts' tables, cell by cell",
    "points-111": "Services as declarations",
    "points-126": "Who is eligible",
    "points-132": "The seven services, cell by cell",
    "points-142": "Money",
    "points-148": "Children due",
    "points-151": "Reminders",
    "outputs-1": "Who reads, and what they never meet",
    "outputs-19": "One month",
    "outputs-36": "Principles",
    "outputs-62": "Packages, names, places",
    "outputs-72": "The root and a revision",
    "outputs-95": "Who may read",
    "outputs-98": "Parquet, and the same bytes",
    "outputs-109": "Scores and keys",
    "outputs-116": "Analysts",
    "outputs-125": "Districts",
    "outputs-138": "The run report",
    "outputs-145": "Settings",
    "outputs-156": "Commands",
    "outputs-187": "Exit codes",
    "outputs-193": "Drift check",
}
# what no test of `make test-all` proves -> the promise, and what there is instead
UNPROVED = {
    "sources-54": (
        "python-stdnum is a test aid only",
        "declared for development only; imported by tests only",
    ),
    "sources-104": (
        "`make bench` makes or reuses extracts, sizes by option, default small",
        "run by hand (`tests/benchmarks/bench.py`)",
    ),
    "sources-105": (
        "one table, ratios first, from one run; medians of three",
        "run by hand; growth is one table per size, peers have a command of their own",
    ),
    "sources-106": (
        "the benchmarks page gives date, size, versions, how to repeat",
        "read by people",
    ),
    "sources-108": (
        "the floor knows nothing of our formats: no join, group, sort",
        "read in `tests/benchmarks/floor.py`",
    ),
    "sources-109": (
        "a month stays within its budget over the floor, within 4 GiB",
        "measured by hand, see [benchmarks](../developing/benchmarks.md)",
    ),
    "sources-111": (
        "peers on the same clean Parquet, equal results",
        "`make peers`",
    ),
    "sources-119": (
        "at least ten kills at each step",
        "`make faults`, its table in [reliability](reliability.md)",
    ),
    "sources-141": (
        "small in CI, for hours on request",
        "by hand, with `JIFEN_EXAMPLES`",
    ),
    "sources-147": (
        "Great Expectations' telemetry off",
        "the locked version has no telemetry module left that a test could ask",
    ),
    "sources-160": (
        "operators' own pages are exact",
        "the tests of the run report read exact figures; none for this sentence alone",
    ),
    "outputs-9": (
        "The same in Polars and Spark",
        "`make peers` reads a month in Polars; Parquet holds plain types only, which is tested",
    ),
    "outputs-31": (
        "Reminders, exports and report come from `reports/`",
        "reminder lists come from `transforms/reminders/`; `reports/` makes the districts' copies",
    ),
}


@dataclass
class Promise:
    """A sentence that the project promises, and the tests that prove it."""

    sentence: str = ""
    tests: list[str] = field(default_factory=list)


def find_markers(file: Path, root: Path) -> Iterator[tuple[str, str | None, str]]:
    """Yield the id, the sentence (None: further proof) and the test of every marker of a file."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.FunctionDef):
            continue
        test = f"{file.relative_to(root)}::{node.name}"
        for call in node.decorator_list:
            name = ast.unparse(call.func) if isinstance(call, ast.Call) else ""
            given = (
                [ast.literal_eval(one) for one in call.args] if "pytest.mark.pro" in name else []
            )
            if name == "pytest.mark.promise":
                yield given[0], given[1], test
            elif name == "pytest.mark.promises":
                yield from ((number, sentence, test) for number, sentence in given[0].items())
            elif name == "pytest.mark.proves":
                yield from ((number, None, test) for number in given)


def load_promises(root: Path = PROJECT) -> dict[str, Promise]:
    """Return all promises by id, in their order.

    Raises:
        ValueError: A promise is stated twice, or never.
    """
    found: dict[str, Promise] = defaultdict(Promise)
    for file in sorted(root.glob("tests/**/test_*.py")):
        for number, sentence, test in find_markers(file, root):
            promise = found[number]
            promise.tests.append(test)
            if sentence and promise.sentence:
                raise ValueError(f"{number} is stated twice: {', '.join(promise.tests)}")
            promise.sentence = promise.sentence or sentence or ""
    unstated = [number for number, promise in found.items() if not promise.sentence]
    if unstated:
        raise ValueError(f"no test states {', '.join(unstated)}")
    return dict(sorted(found.items(), key=lambda item: _order(item[0])))


def _order(number: str) -> tuple[int, int]:
    page, _, place = number.rpartition("-")
    return list(TITLES).index(page), int(place)


def render_page(promises: dict[str, Promise]) -> str:
    """Return the page as Markdown."""
    lines = [
        "# Traceability: each promise and the tests that prove it",
        "",
        "Generated from the markers on the tests by `make docs`; do not edit.",
    ]
    page = ""
    for number in sorted({*promises, *UNPROVED}, key=_order):
        if not number.startswith(f"{page}-"):
            page = number.rpartition("-")[0]
            lines += ["", f"## {TITLES[page]}"]
        if number in SECTIONS:
            lines += [
                "",
                f"### {SECTIONS[number]}",
                "",
                "| | promise | tests |",
                "| --- | --- | --- |",
            ]
        if number in promises:
            sentence = promises[number].sentence
            proof = "<br>".join(f"`{test}`" for test in promises[number].tests)
        else:
            sentence, instead = UNPROVED[number]
            proof = f"**no test**: {instead}"
        lines.append(f"| {number} | {sentence.replace('|', '/')} | {proof} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(render_page(load_promises()), encoding="utf-8")
