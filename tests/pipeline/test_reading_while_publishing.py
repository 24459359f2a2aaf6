"""An analyst in a process of their own, asking while months are published and revisions switched: always a whole month.

A town where everybody is alike, and where each revision makes everybody different at once: one person of one revision
among those of another, or facts of one revision beside scores of another, are seen at a glance.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

from expectations.month import Month
from flows.pipeline.release import renew_catalogue
from flows.project import Project
from flows.storage.publish import _switch_link
from tests.support.command import SETTINGS
from tests.support.held_city import NOVEMBER, OCTOBER, PEOPLE, copied, registry
from tests.support.world import World

Rows = list[dict[str, str]]
MANY = 1000
LEVELS = ("bachelor", "doctor")  # everybody's degree: of October as published first, and as revised

QUESTION = """
WITH lacking AS (SELECT month, resident_key, max(points_short) AS short FROM {eligibility} GROUP BY ALL)
SELECT CAST(month AS VARCHAR), count(*), string_agg(DISTINCT degree), string_agg(DISTINCT education_points),
    string_agg(DISTINCT total_points), string_agg(DISTINCT short), string_agg(DISTINCT age)
FROM {scores} JOIN {facts} USING (month, resident_key) LEFT JOIN lacking USING (month, resident_key)
GROUP BY month ORDER BY month
"""
CATALOGUE = QUESTION.format(scores="scores", facts="facts", eligibility="eligibility")

# Asks until the file `stop` is there and it has asked often enough; a session is used for a few questions.
READER = """
import collections, duckdb, json, sys
from pathlib import Path
database, question, stop, often = sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])
answers, asked = collections.Counter(), 0
while asked < often or not stop.exists():
    with duckdb.connect(database, read_only=database != ":memory:") as session:
        for _ in range(3):
            try:
                answers[json.dumps(session.execute(question).fetchall())] += 1
            except duckdb.Error as error:
                answers[type(error).__name__] += 1
            asked += 1
            if asked == 1:
                print("asking", flush=True)
print(json.dumps(answers))
"""


def degrees(level: str) -> Rows:
    given = {"kind": "degree", "level": level, "awarded_on": "2010-06-30"}
    return [
        {"certificate_no": f"D{n}", "resident_id": person, **given}
        for n, person in enumerate(PEOPLE)
    ]


def insured() -> Rows:
    """Paid in October: health checks are then a matter of points only."""
    posting = {
        "insurance": "pension",
        "month": OCTOBER,
        "employer_id": "E",
        "base": "4000",
        "kind": "paid",
    }
    return [
        {**posting, "resident_id": p, "district": "330203", "posted_on": f"{OCTOBER}-20"}
        for p in PEOPLE
    ]


def deliver(town: World, month: str, level: str) -> None:
    postings = insured() if month == OCTOBER else []
    town.deliver(month, registry=registry(), education=degrees(level), social_security=postings)


@cache
def _october() -> tuple[World, tempfile.TemporaryDirectory[str]]:
    folder = tempfile.TemporaryDirectory()
    town = World(Path(folder.name) / "town")
    for level in LEVELS:
        deliver(town, OCTOBER, level)
        town.run(OCTOBER)
    return town, folder


@cache
def _load_project() -> Project:
    return _october()[0].project


@pytest.fixture
def town(tmp_path: Path) -> World:
    """October in two revisions, the second in force, and the catalogue of it."""
    town = copied(_october()[0], tmp_path / "town")
    (tmp_path / "town" / "jifen.toml").write_text(SETTINGS, encoding="utf-8")
    switch(town, 2)
    return town


def answer(town: World) -> str:
    """What the question is answered now, when nobody publishes."""
    reading = [
        sys.executable,
        "-c",
        READER,
        str(town.root.exact_catalogue),
        CATALOGUE,
        "/dev/null",
        "1",
    ]
    said = subprocess.run(reading, check=True, capture_output=True, text=True).stdout
    (only,) = json.loads(said.splitlines()[-1])
    return str(only)


@contextmanager
def asking(
    database: str | Path, question: str, stop: Path, answers: dict[str, int], often: int = 1
) -> Iterator[None]:
    """Another process asks during the block, and until it has asked often enough; what it was answered, how often."""
    command = [sys.executable, "-c", READER, str(database), question, str(stop), str(often)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "asking\n"
        try:
            yield
        finally:
            stop.touch()
            answers.update(json.loads(reader.stdout.readlines()[-1]))


def switch(town: World, revision: int) -> None:
    """What publication does last, after it has made a revision: the link, then the catalogue."""
    _switch_link(town.root, Month.parse(OCTOBER), revision)
    renew_catalogue(_load_project(), town.root)


@pytest.mark.promise("sources-125", "an analyst reads through a publish")
@pytest.mark.promise("outputs-32", "Publish: seen whole or not; the catalogue renewed")
def test_every_query_sees_whole_months_while_they_are_published(
    town: World, tmp_path: Path
) -> None:
    """`jifen run` publishes November; then October is revised again and again."""
    whole, answers = [answer(town)], dict[str, int]()
    with asking(town.root.exact_catalogue, CATALOGUE, tmp_path / "stop", answers, MANY):
        deliver(town, NOVEMBER, "doctor")
        command = [str(Path(sys.executable).parent / "jifen"), "run", "--month", NOVEMBER]
        subprocess.run(command, cwd=town.inbox.parent, check=True, capture_output=True)
        whole.append(answer(town))
        for level in (*LEVELS, *LEVELS):
            deliver(town, OCTOBER, level)
            town.run(OCTOBER)
            whole.append(answer(town))
    assert sum(answers.values()) >= MANY
    assert answers.keys() == set(whole) and len(set(whole)) == 3  # it was asked all along
    assert town.revision(OCTOBER).number == 6


def both(town: World) -> set[str]:
    """The answers of October's two revisions; the second stays in force."""
    found = set()
    for revision in (1, 2):
        switch(town, revision)
        found.add(answer(town))
    assert len(found) == 2
    return found


@pytest.mark.promise("outputs-48", "Built aside, one atomic step, seen whole")
def test_a_switch_is_never_seen_half(town: World, tmp_path: Path) -> None:
    """The same, with nothing but switches, as fast as they can be made."""
    whole, answers = both(town), dict[str, int]()
    with asking(town.root.exact_catalogue, CATALOGUE, tmp_path / "stop", answers):
        for times in range(15):
            switch(town, 1 + times % 2)
    assert answers.keys() == whole


@pytest.mark.promise("outputs-122", "Globs through the link do see halves")
def test_globs_through_the_link_do_see_halves(town: World, tmp_path: Path) -> None:
    """Why the catalogue names revisions, and whether this reader would notice: it does."""
    whole, answers = both(town), dict[str, int]()
    tables = {
        name: f"(FROM read_parquet('{town.root.published}/*/{name}/*.parquet'))"
        for name in ("scores", "facts", "eligibility")
    }
    until = time.monotonic() + 5
    with asking(":memory:", QUESTION.format(**tables), tmp_path / "stop", answers):
        while time.monotonic() < until:
            for revision in (1, 2):
                _switch_link(town.root, Month.parse(OCTOBER), revision)
    assert answers.keys() & whole and answers.keys() - whole


@pytest.mark.promise("outputs-123", "Made again after a move, or for another mount")
@pytest.mark.promise("outputs-184", "`catalogue` makes it again")
def test_a_moved_root_has_its_catalogue_again_by_one_command(town: World, tmp_path: Path) -> None:
    before = answer(town)
    moved = town.inbox.parent.rename(tmp_path / "elsewhere")
    there = World(moved)
    assert answer(there) == "IOException"
    command = [str(Path(sys.executable).parent / "jifen"), "catalogue"]
    subprocess.run(command, cwd=moved, check=True, capture_output=True)
    assert answer(there) == before and json.loads(before)[0][1] == len(PEOPLE)
