"""Who may read what of a root: the modes that `outputs.md` gives, and what somebody of the analysts' group really sees."""

from __future__ import annotations

import contextlib
import grp
import io
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from expectations.errors import JifenError
from flows.commands import sql
from flows.pipeline.release import renew_catalogue
from flows.storage.root import open_root
from tests.support.held_city import NOVEMBER, OCTOBER, PEOPLE, degrees, first_month, registry
from tests.support.modes import for_analysts, wrong_modes
from tests.support.world import World

NOBODY = 65534


def analysts() -> grp.struct_group:
    """A real group: somebody else's for root, who may give files away; otherwise our own."""
    own = os.getgid()
    others = (group for group in grp.getgrall() if group.gr_gid not in (own, 0))
    return next(others) if os.getuid() == 0 else grp.getgrgid(own)


@pytest.fixture(scope="module", params=[0o000, 0o077], ids=["umask 000", "umask 077"])
def town(request: pytest.FixtureRequest) -> Iterator[World]:
    """October and November for the operators and a group of analysts, each begun under the caller's umask.

    In a folder that others could look into, were it not for the modes.
    """
    before = os.umask(request.param)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        town = first_month(Path(folder), analysts_group=analysts().gr_name)
        town.deliver(NOVEMBER, registry=registry(), education=degrees())
        os.umask(request.param)
        town.root = open_root(town.settings)
        town.run(NOVEMBER)
        yield town
    os.umask(before)


@pytest.mark.promise("sources-144", "modes for the analysts' group")
@pytest.mark.promise(
    "outputs-97", "The analysts' group reads its folders and the catalogue, nothing else"
)
def test_the_group_may_enter_and_read_what_is_written_and_nothing_else(town: World) -> None:
    root = town.root.path
    group = analysts().gr_gid
    assert wrong_modes(root, group) == []
    assert {path.name for path in root.iterdir()} >= {
        "raw",
        "clean",
        "tmp",
        "runs",
        "months",
        "overview",
        "catalogue.duckdb",
    }
    people = root / "months" / OCTOBER / "r1" / "restricted"
    people.chmod(0o750)
    assert wrong_modes(root, group) == [
        f"{people.relative_to(root)} 750 for 700"
    ]  # it would be seen
    people.chmod(0o700)


def as_somebody_of(group: int, work: Callable[[], Any]) -> Any:
    """The work done by a user who has nothing but this group."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(group)
            os.setuid(NOBODY)
            os.write(writing, json.dumps(work()).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        said = answer.read()
    os.waitpid(child, 0)
    return json.loads(said)


def readable(root: Path) -> list[str]:
    """Every file below the root that this user can find and read."""
    found = []
    for folder, _, files in os.walk(root):
        for name in files:
            path = Path(folder, name)
            try:
                path.read_bytes()
            except PermissionError:
                continue
            found.append(str(path.relative_to(root)))
    return found


@pytest.mark.proves("outputs-97")
@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_an_analyst_reads_the_catalogue_and_finds_no_way_to_people(town: World) -> None:
    root, group = town.root.path, analysts().gr_gid

    def ask() -> list[int]:
        with duckdb.connect(str(town.root.catalogue), read_only=True) as catalogue:
            return [
                len(catalogue.execute(f"FROM {view}").fetchall())
                for view in ("scores", "latest_facts")
            ]

    def write() -> list[str]:
        return [
            str(path)
            for path in (root, root / "published", root / "months")
            if os.access(path, os.W_OK)
        ]

    everything = {
        path.relative_to(root)
        for path in root.rglob("*")
        if path.is_file() and not path.is_symlink()
    }
    seen = {Path(name) for name in as_somebody_of(group, lambda: readable(root))}
    assert seen == {path for path in everything if for_analysts(path)} and len(seen) > 20
    assert as_somebody_of(group, ask) == [2 * len(PEOPLE), len(PEOPLE)]
    assert as_somebody_of(group, write) == []
    assert as_somebody_of(NOBODY, lambda: readable(root)) == []  # who is not of the group


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_an_analyst_asks_with_our_command_too(town: World) -> None:
    def answer() -> str:
        with contextlib.redirect_stdout(io.StringIO()) as said:
            try:
                sql.run_query(town.settings, "SELECT count(*) FROM scores", "csv")
            except JifenError as error:
                return str(error)
        return said.getvalue()

    assert as_somebody_of(analysts().gr_gid, answer).split() == [
        "\ufeffcount_star()",
        str(2 * len(PEOPLE)),
    ]
    assert "analysts_group" in as_somebody_of(NOBODY, answer)  # who is not of the group


def test_months_published_before_a_group_was_named_open_to_it_and_close_again(town: World) -> None:
    for root, group in (
        (replace(town.root, analysts_group=None), None),
        (town.root, analysts().gr_gid),
    ):
        root.prepare()
        renew_catalogue(town.project, root)
        assert wrong_modes(root.path, group) == []
