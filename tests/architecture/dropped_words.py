"""Find words that this project no longer uses, in code and in pages; say what to write instead.

    python -m tests.architecture.dropped_words [PATH ...]

The glossary (docs/concepts/glossary.md) has one term per thing. The words here are what the same
things were called before, or English that a reader has to translate. `WORDS` are looked for in the
whole text of a file: identifiers (their parts too, `told` in `was_told`), comments, docstrings, SQL,
pages. `NAMES` are looked for among the identifiers of Python code only, as a whole: in prose they
are ordinary words. An entry of `ALLOWED` names the one place where a word is meant otherwise.
"""

from __future__ import annotations

import io
import os
import re
import signal
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

PROJECT = Path(__file__).parents[2]
SUFFIXES = (".py", ".md", ".sql", ".toml", ".html", ".css", ".csv")
WORDS = {
    "adds up": "append-only",
    "apart": "moved (of residents), separate",
    "as it stands": "exact",
    "asked once": "immutable",
    "believed": "trusts_metadata",
    "dice": "hash random",
    "faulty": "invalid",
    "handed on": "incremental state",
    "handing on": "incremental state",
    "hands on": "incremental state",
    "house": "project",
    "houses": "projects",
    "misfit": "violation",
    "misfits": "violations",
    "onward": "incremental state",
    "outrun": "stale",
    "overtaken": "superseded",
    "patiently": "with a timeout",
    "put down": "spill, write",
    "room": "package",
    "rooms": "packages",
    "seam": "interface",
    "seams": "interfaces",
    "side by side": "aligned",
    "slip": "nulled value, mistake",
    "slipped": "nulled",
    "slipping": "nulled",
    "slips": "nulled values, mistakes",
    "sound": "valid",
    "stretch": "district batch, range",
    "stretches": "district batches, ranges",
    "tell": "report, print, state",
    "telling": "reporting",
    "tells": "reports, states",
    "told": "reported, given, stated",
    "tongue": "dialect",
    "two at once": "map_concurrently",
}
NAMES = {
    "beside": "context, progress",
    "doing": "advance",
    "doubts": "discrepancies",
    "making": "build",
    "nowhere": "NULL_PROGRESS",
    "numbered": "list_versions, enum_type, with_row_number",
    "says": "manifest",
    "served": "inputs",
    "serving": "input set",
    "spoilt": "truncated, corrupted",
    "worded": "text_columns",
}
ALLOWED: dict[tuple[str, str], str] = {
    ("tests/architecture/dropped_words.py", "*"): "the list itself",
    ("tests/architecture/test_dropped_words.py", "*"): "its test",
    ("flows/storage/records.py", "told"): "a published key of manifests",
    ("flows/storage/stage_results.py", "told"): "a published key of manifests",
    ("reports/run_report/sections.py", "told"): "a published key of manifests",
    ("tests/support/records.py", "told"): "a published key of manifests",
    ("docs/reference/records.md", "told"): "a published key of manifests",
}
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_WORDS = re.compile(
    rf"(?<![A-Za-z])({'|'.join(word.replace(' ', '[_ -]') for word in WORDS)})(?![A-Za-z])",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Finding:
    """A dropped word, its place, and the term to write instead."""

    path: Path
    line: int
    word: str
    term: str


def find_files(project: Path = PROJECT) -> Iterator[Path]:
    """Yield the files whose words are checked, sorted by path."""
    for path in sorted(project.rglob("*")):
        parts = path.relative_to(project).parts
        is_left_out = any(part.startswith(".") or part in ("var", "build") for part in parts)
        if not is_left_out and path.suffix in SUFFIXES and path.is_file():
            yield path


def find_dropped_words(path: Path) -> list[Finding]:
    """Return the dropped words in a file, in the order of its lines."""
    text = path.read_text(encoding="utf-8")
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        for match in _WORDS.finditer(_HUMP.sub("_", line)):
            word = re.sub("[_-]", " ", match[0].lower())
            found.append(Finding(path, number, word, WORDS[word]))
    if path.suffix == ".py":
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.NAME and token.string.lower().strip("_") in NAMES:
                word = token.string.lower().strip("_")
                found.append(Finding(path, token.start[0], word, NAMES[word]))
    return sorted(found, key=lambda finding: finding.line)


def is_allowed(finding: Finding, project: Path = PROJECT) -> bool:
    """Return True if an entry of `ALLOWED` names the finding's file and word."""
    path = finding.path.resolve().relative_to(project).as_posix()
    return any(
        fnmatchcase(path, place) and fnmatchcase(finding.word, word) for place, word in ALLOWED
    )


def main() -> None:
    """Print the dropped words in the files under the paths given, or in the whole project."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # the list may be cut short by `head`
    paths = [Path(path).resolve() for path in sys.argv[1:]] or [PROJECT]
    files = [file for path in paths for file in ([path] if path.is_file() else find_files(path))]
    found = [finding for file in files for finding in find_dropped_words(file)]
    found = [finding for finding in found if not is_allowed(finding)]
    for finding in found:
        place = f"{os.path.relpath(finding.path)}:{finding.line}"
        print(f"{place}: {finding.word} -> {finding.term}")
    print(f"{len(found)} in {len({finding.path for finding in found})} files")


if __name__ == "__main__":
    main()
