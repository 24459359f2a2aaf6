"""Whoever may write to a root, but has no key, changes working files: found by `verify`, and before use."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from expectations.errors import ExitCode, JifenError
from expectations.findings import FindingKind, read_findings
from flows.pipeline.release import renew_catalogue
from flows.storage.files import hash_file
from flows.storage.seals import Seal
from flows.storage.verify import verify_root
from tests.support.postings import NOVEMBER, OCTOBER, RESIDENT
from tests.support.world import World
from transforms.clean.accounts import ACCOUNT

OTHER_KEY = b"not the root's key".ljust(32)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """October is published, and November delivered."""
    world = World(tmp_path, only=("registry", "social_security"))
    world.deliver("2021-10", registry=[RESIDENT], social_security=OCTOBER)
    world.run("2021-10")
    assert verify_root(world.root, world.root.key()) == []
    world.deliver("2021-11", registry=[RESIDENT], social_security=NOVEMBER)
    return world


def verify(world: World) -> str:
    return "\n".join(verify_root(world.root, world.root.key()))


def clean_postings(world: World) -> Path:
    (folder,) = (world.root.clean / "social_security").glob("received=2021-10/d*")
    return folder


def state(world: World) -> Path:
    (folder,) = (world.root.tmp / "incremental_state").iterdir()
    return folder


def rewrite(file: Path, query: str) -> None:
    """Put the rows of a query over a Parquet file in its place."""
    with duckdb.connect() as engine:
        engine.execute(
            f"COPY ({query.format(rows=repr(str(file)))}) TO '{file}.new' (FORMAT parquet)"
        )
    Path(f"{file}.new").replace(file)


def forge_seal(world: World, folder: Path) -> None:
    """Seal again what was altered, as well as one can without the key."""
    seal = Seal(folder, folder.relative_to(world.root.path).as_posix())
    seal.write(OTHER_KEY)


def double_months(world: World) -> None:
    (bitmaps,) = state(world).rglob("month_bitmaps_*/*.parquet")
    rewrite(bitmaps, "SELECT * REPLACE (postings + 1 AS postings) FROM {rows}")
    forge_seal(world, state(world))


def keep_the_mac(world: World) -> None:
    """Only the hash of the altered file is made to fit."""
    (bitmaps,) = state(world).rglob("month_bitmaps_*/*.parquet")
    rewrite(bitmaps, "SELECT * REPLACE (postings + 1 AS postings) FROM {rows}")
    file = state(world) / "seal.json"
    seal = json.loads(file.read_text(encoding="utf-8"))
    seal["files"][bitmaps.relative_to(state(world)).as_posix()] = hash_file(bitmaps)
    file.write_text(json.dumps(seal), encoding="utf-8")


def take_another_months_seal(world: World) -> None:
    """A seal made with the key, for another place."""
    folder = state(world)
    Seal(folder, "tmp/incremental_state/2021-09-0123456789abcdef").write(world.root.key())


@pytest.mark.parametrize("alter", [double_months, keep_the_mac, take_another_months_seal])
def test_an_altered_state_is_found_and_not_taken(
    world: World, alter: Callable[[World], None]
) -> None:
    alter(world)
    name = state(world).name
    assert f"tmp/incremental_state/{name}：" in verify(world)
    world.run("2021-11")
    (facts,) = world.table("2021-11", "facts")
    assert facts["pension_months"] == 11
    found = read_findings(world.revision("2021-11").manifest.findings or ())
    (finding,) = [one for one in found if one.kind == FindingKind.WORKING_FILES]
    assert name in finding.detail
    assert verify(world) == ""


@pytest.mark.parametrize("sealed_again", [True, False], ids=["account altered", "seal as well"])
def test_an_altered_account_is_cleaned_anew_and_named(world: World, sealed_again: bool) -> None:
    folder = clean_postings(world)
    (rows,) = folder.glob("*.parquet")
    rewrite(rows, "SELECT * FROM {rows} LIMIT 3")
    account = json.loads((folder / ACCOUNT).read_text(encoding="utf-8"))
    account |= {"clean": 3, "received": 3}
    (folder / ACCOUNT).write_text(json.dumps(account), encoding="utf-8")
    if sealed_again:
        forge_seal(world, folder)
    assert "clean/social_security/received=2021-10/d1：" in verify(world)
    world.run("2021-11")
    (facts,) = world.table("2021-11", "facts")
    assert facts["pension_months"] == 11
    found = read_findings(world.revision("2021-11").manifest.findings or ())
    assert [one.source for one in found if one.kind == FindingKind.WORKING_FILES] == [
        "social_security"
    ]
    assert verify(world) == ""


def test_altered_rows_are_found_before_facts_are_made_of_them(world: World) -> None:
    folder = clean_postings(world)
    (rows,) = folder.glob("*.parquet")
    rewrite(rows, "SELECT * FROM {rows} LIMIT 3")
    shutil.rmtree(world.root.tmp / "incremental_state")  # else October is not read again
    with pytest.raises(JifenError) as caught:
        world.run("2021-11")
    assert caught.value.code == ExitCode.DAMAGE
    assert caught.value.where == "clean/social_security/received=2021-10/d1"
    shutil.rmtree(folder)  # the way out that the error names
    world.run("2021-11")
    (facts,) = world.table("2021-11", "facts")
    assert facts["pension_months"] == 11


@pytest.mark.parametrize(
    "place", ["clean", "clean/social_security", "clean/social_security/received=2021-10"]
)
def test_a_link_in_the_place_of_clean_rows_is_refused(
    world: World, tmp_path: Path, place: str
) -> None:
    folder = world.root.path / place
    elsewhere = tmp_path / "elsewhere"
    folder.rename(elsewhere)
    folder.symlink_to(elsewhere)
    assert "是链接" in verify(world)
    with pytest.raises(JifenError) as caught:
        world.run("2021-11")
    assert caught.value.code == ExitCode.DAMAGE and "是链接" in caught.value.message


def test_a_forged_catalogue_is_found(world: World) -> None:
    with duckdb.connect(str(world.root.catalogue)) as engine:
        engine.execute("CREATE OR REPLACE VIEW latest_scores AS SELECT 1 AS forged")
    assert "catalogue" in verify(world)
    with world.root.lock():
        renew_catalogue(world.project, world.root)
    assert verify(world) == ""
    (world.root.path / f"{world.root.catalogue.name}.wal").write_bytes(b"applied on opening")
    assert "catalogue.duckdb.wal" in verify(world)


@pytest.mark.parametrize("replaced", [1, 2, 3, 4])
def test_a_catalogue_half_replaced_is_not_taken_for_a_forged_one(
    world: World, monkeypatch: pytest.MonkeyPatch, replaced: int
) -> None:
    """Whichever of the four files was the last before a kill."""
    replace, done = Path.replace, 0

    def kill(self: Path, target: Path) -> Path:
        nonlocal done
        moved = replace(self, target)
        done += target.stem in ("catalogue", "catalogue-exact")
        if done == replaced:
            raise KeyboardInterrupt
        return moved

    world.run("2021-11")
    monkeypatch.setattr(Path, "replace", kill)
    with pytest.raises(KeyboardInterrupt):
        renew_catalogue(world.project, world.root)
    monkeypatch.undo()
    found = verify(world)
    assert found.startswith("catalogue") and found.endswith("；若是更新时中断，再运行一次即可")
    renew_catalogue(world.project, world.root)
    assert not verify(world)
