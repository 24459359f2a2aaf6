"""Who may read what of a root: the modes that `outputs.md` gives, and what somebody of the analysts' group really sees."""

from __future__ import annotations

import contextlib
import grp
import io
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from expectations.errors import JifenError
from flows.commands import sql
from flows.commands.lookup import Reason
from flows.pipeline.release import renew_catalogue
from flows.storage.root import open_root
from tests.support.held_city import NOVEMBER, OCTOBER, PEOPLE, degrees, first_month, registry
from tests.support.modes import for_analysts, for_exact, wrong_modes
from tests.support.world import World
from transforms.outputs import OPEN_VIEWS

NOBODY = 65534


def real_group(number: int) -> grp.struct_group:
    """A real group: somebody else's for root, who may give files away; otherwise our own."""
    own = os.getgid()
    others = [group for group in grp.getgrall() if group.gr_gid not in (own, 0)]
    return others[number] if os.getuid() == 0 else grp.getgrgid(own)


def analysts() -> grp.struct_group:
    return real_group(0)


def exact() -> grp.struct_group:
    return real_group(1)


@pytest.fixture(scope="module", params=[0o000, 0o077], ids=["umask 000", "umask 077"])
def town(request: pytest.FixtureRequest) -> Iterator[World]:
    """October and November for the operators and a group of analysts, each begun under the caller's umask.

    In a folder that others could look into, were it not for the modes.
    """
    before = os.umask(request.param)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        town = first_month(
            Path(folder), analysts_group=analysts().gr_name, exact_group=exact().gr_name
        )
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
    group, named = analysts().gr_gid, exact().gr_gid
    assert wrong_modes(root, group, named) == []
    assert {path.name for path in root.iterdir()} >= {
        "raw",
        "clean",
        "tmp",
        "runs",
        "months",
        "overview",
        "catalogue.duckdb",
        "catalogue-exact.duckdb",
    }
    people = root / "months" / OCTOBER / "r1" / "restricted"
    people.chmod(0o750)
    assert wrong_modes(root, group, named) == [
        f"{people.relative_to(root)} 750 for 700"
    ]  # it would be seen
    people.chmod(0o700)


def as_somebody_of(group: int, work: Callable[[], Any], others: Sequence[int] = ()) -> Any:
    """The work done by a user who has nothing but this group, and perhaps others."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups(list(others))
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

    def ask() -> list[str]:
        with duckdb.connect(str(town.root.catalogue), read_only=True) as catalogue:
            for view in ("open_residents", "latest_open_eligibility", "districts"):
                catalogue.execute(f"FROM {view}").fetchall()
            return [row[0] for row in catalogue.execute("SHOW TABLES").fetchall()]

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
    views = as_somebody_of(group, ask)
    assert set(views) == {"dictionary", *OPEN_VIEWS, *(f"latest_{view}" for view in OPEN_VIEWS)}
    assert as_somebody_of(group, write) == []
    assert as_somebody_of(NOBODY, lambda: readable(root)) == []  # who is not of the group
    both = {Path(name) for name in as_somebody_of(group, lambda: readable(root), [exact().gr_gid])}
    assert both == {path for path in everything if for_analysts(path) or for_exact(path)}


def answer(town: World, query: str) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as said:
        try:
            sql.run_query(town.settings, query, "csv", reason=Reason("季度分析"))
        except JifenError as error:
            return str(error)
    return said.getvalue()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_an_analyst_asks_the_open_layer_with_our_command_too(town: World) -> None:
    group = analysts().gr_gid
    query = "SELECT count(*) FROM latest_districts"
    said = as_somebody_of(group, lambda: answer(town, query))
    assert said.split()[0] == "\ufeffcount_star()" and int(said.split()[1]) > 5
    for view in ("scores", "latest_facts", "latest_eligibility", "score_changes"):
        refused = as_somebody_of(group, lambda view=view: answer(town, f"FROM {view}"))
        assert "exact_group" in refused and "open_residents" in refused
    file = town.revision(NOVEMBER).path / "scores" / "scores.parquet"
    assert "不能读写" in as_somebody_of(group, lambda: answer(town, f"FROM '{file}'"))
    assert "analysts_group" in as_somebody_of(NOBODY, lambda: answer(town, query))


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_who_may_read_the_exact_layer_asks_it_and_every_query_is_logged(town: World) -> None:
    group, others = analysts().gr_gid, [exact().gr_gid]
    query = "SELECT count(*) FROM scores WHERE resident_key <> '330203198501011234'"

    def entries() -> list[dict[str, Any]]:
        open_root(town.settings)  # any command of the operator's
        lines = (town.root.runs / "access.log").read_text(encoding="utf-8").splitlines()
        return [one for one in map(json.loads, lines) if one["action"] == "sql"]

    before = len(entries())
    said = as_somebody_of(group, lambda: answer(town, query), others)
    assert said.split() == ["\ufeffcount_star()", str(2 * len(PEOPLE))]
    as_somebody_of(group, lambda: answer(town, "FROM query_table('fa' || 'cts') LIMIT 3"), others)
    variable = "SET VARIABLE k = (SELECT max(age) FROM facts); SELECT getvariable('k')"
    as_somebody_of(group, lambda: answer(town, variable), others)
    as_somebody_of(group, lambda: answer(town, "FROM latest_metrics"), others)
    answer(town, "SELECT district FROM latest_facts")  # the operator
    noted = entries()[before:]
    assert sorted(one["rows"] for one in noted) == sorted([1, 3, 1, len(PEOPLE)])
    assert {one["purpose"] for one in noted} == {"季度分析"}
    assert "FROM latest_metrics" not in {one["query"] for one in noted}
    assert not [one for one in noted if "330203198501011234" in one["query"]]
    assert [one["uid"] for one in noted].count(NOBODY) == 3
    assert list(town.root.queries.iterdir()) == []
    listed = as_somebody_of(group, lambda: os.access(town.root.queries, os.R_OK), others)
    assert listed is False


def test_months_published_before_a_group_was_named_open_to_it_and_close_again(town: World) -> None:
    for root, group, named in (
        (replace(town.root, analysts_group=None, exact_group=None), None, None),
        (replace(town.root, exact_group=None), analysts().gr_gid, None),
        (town.root, analysts().gr_gid, exact().gr_gid),
    ):
        root.prepare()
        renew_catalogue(town.project, root)
        assert wrong_modes(root.path, group, named) == []
