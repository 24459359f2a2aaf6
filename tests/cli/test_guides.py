"""Follow the contributors' guides literally, one after the other, in a copy of the project.

A guide's steps are its shell blocks, `Write x in y/:` with the file, and `In x, after y:` (or
`before y:`) with the lines to insert.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(
    600
)  # three demonstrations, two simulations and a part of the suite
PROJECT = Path(__file__).parents[2]
GUIDES = ("source", "fact", "measure", "service", "indicator")
STEP = re.compile(
    r"(?:^|\s)(?:Write `(?P<file>[^`]+)` in `(?P<folder>[^`]+)`"
    r"|In `(?P<path>[^`]+)`(?: in `(?P<at>[^`]+)`)?, (?P<side>after|before) (?P<last>the last )?(?P<mark>``.+?``|`[^`]+`))"
    r":\n\n```\w+\n(?P<text>.*?)^```"
    r"|^```sh\n(?P<commands>.*?)^```",
    re.MULTILINE | re.DOTALL,
)
MAKE_DOCS = "make --assume-old=.venv/installed docs"  # the environment is that of this test
AS_TESTED = {"make docs\n": "", "--residents 1000": "--residents 200"}
"""The pages are made once, after all guides: they are made of what is declared then."""
SUITE = (  # what declarations and measures are held by
    "tests/unit/expectations",
    "tests/parity/test_facts.py",
    "tests/architecture/test_docs.py",
    "tests/architecture/test_layers.py",
)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the project with a demo's root in which the guides were followed."""
    copy = tmp_path_factory.mktemp("guides") / "project"
    listed = run(PROJECT, "git ls-files --cached --others --exclude-standard").splitlines()
    for name in listed:
        if (PROJECT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, copy / name)
    (copy / ".venv").symlink_to(Path(sys.prefix))
    run(copy, "git init --quiet && git add --all")
    run(copy, ".venv/bin/jifen demo --residents 200 --root var/demo")
    for guide in GUIDES:
        (page,) = (PROJECT / "docs" / "guides").glob(f"add-a*-{guide}.md")
        for step in list_steps(page):
            follow(copy, step)
    run(copy, MAKE_DOCS)
    return copy


def list_steps(page: Path) -> Iterator[re.Match[str]]:
    """Yield the steps of a guide; every block of it is one, or shows what there is."""
    return STEP.finditer(page.read_text(encoding="utf-8"))


def follow(copy: Path, step: re.Match[str]) -> None:
    """Do one step in the copy."""
    if step["commands"]:
        commands = step["commands"]
        for written, tested in AS_TESTED.items():
            commands = commands.replace(written, tested)
        run(copy, commands)
    elif step["file"]:
        (copy / step["folder"] / step["file"]).write_text(step["text"], encoding="utf-8")
    else:
        insert(copy / (step["at"] or "") / step["path"], step)


def insert(file: Path, step: re.Match[str]) -> None:
    """Insert the lines of a step after, or before, the line that it names by its beginning."""
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    found = [n for n, line in enumerate(lines) if line.startswith(step["mark"].strip("`"))]
    assert found and (step["last"] or len(found) == 1), f"{file}: {step['mark']} {found}"
    place = found[-1] + (step["side"] == "after")
    file.write_text("".join([*lines[:place], step["text"], *lines[place:]]), encoding="utf-8")


def run(folder: Path, commands: str) -> str:
    """Run commands as a contributor types them, with the folder's own code; return what is printed."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=folder,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(folder)},
    )
    assert done.returncode == 0, f"{commands}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def test_every_guide_has_steps_that_a_program_can_follow() -> None:
    for guide in GUIDES:
        (page,) = (PROJECT / "docs" / "guides").glob(f"add-a*-{guide}.md")
        steps = list(list_steps(page))
        assert len(steps) == page.read_text(encoding="utf-8").count("\n```") // 2


def test_the_examples_of_the_guides_are_in_the_demo_and_the_dictionary(checkout: Path) -> None:
    asked = ".venv/bin/jifen sql --root var/try 'SELECT max(contest_entries), max(contest_wins) FROM latest_facts'"
    assert re.search(r"[1-9]", run(checkout, asked))
    dictionary = (checkout / "docs" / "reference" / "dictionary.md").read_text(encoding="utf-8")
    for name in ("contest_wins", "contest_entries", "medical_points", "d330298_mentoring_points"):
        assert f"`{name}`" in dictionary or f"| {name} |" in dictionary, name


def test_the_suite_is_green_with_the_examples(checkout: Path) -> None:
    chosen = " ".join(SUITE)
    run(checkout, f".venv/bin/python -m pytest -q -x -p no:cacheprovider {chosen}")
