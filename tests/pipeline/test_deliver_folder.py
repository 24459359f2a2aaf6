"""A month delivered to folders: each gets its own, whole or not at all, resumed, replaced, receipted."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import pyrage
import pytest

from expectations.errors import ExitCode, JifenError
from flows.commands.verify import verify_months
from flows.destinations import places
from flows.destinations.contents import list_destinations
from flows.storage.files import hash_file
from tests.support.delivering import (
    OCTOBER,
    arrived,
    deliver,
    in_folder,
    list_files,
    open_all,
    read_summary,
    receipts,
    with_destinations,
)
from tests.support.disks import NAMESPACE
from tests.support.held_city import HAISHU, JIANGBEI, PEOPLE, copied, degrees, registry
from tests.support.packages import new_key
from tests.support.world import World

MONTH = str(OCTOBER)
STATEMENTS = {f"{HAISHU}.parquet", f"{JIANGBEI}.parquet", "texts.json", "examples.jsonl"}
BAD = {**degrees()[0], "certificate_no": "BAD", "level": "无此学历", "resident_id": PEOPLE[30]}


@pytest.fixture
def town(october_twice: World, tmp_path: Path) -> World:
    """The town, with a portal, two districts and a department in folders."""
    town = copied(october_twice, tmp_path / "town")
    out = tmp_path / "out"
    town.settings = with_destinations(
        town.settings,
        portal=in_folder(out, "portal"),
        d330203=in_folder(out, "haishu"),
        d330205=in_folder(out, "jiangbei"),
        education=in_folder(out, "education"),
    )
    return town


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def test_each_destination_gets_its_own_files_as_published(town: World, out: Path) -> None:
    assert arrived(deliver(town))
    revision = town.root.months / MONTH / "r1"
    folder = out / "portal" / MONTH
    published = {path.name for path in (revision / "restricted" / "statements").iterdir()}
    assert published >= STATEMENTS
    assert list_files(folder) == {
        "delivery.json",
        *(f"r1/{name}" for name in published | {"statement.schema.json"}),
    }
    schema = Path(__file__).parents[2] / "docs" / "reference" / "statement.schema.json"
    assert (folder / "r1" / "statement.schema.json").read_bytes() == schema.read_bytes()
    for name, code in (("haishu", HAISHU), ("jiangbei", JIANGBEI)):
        package = {path.name: path.read_bytes() for path in (revision / "exports" / code).iterdir()}
        there = {path.name: path.read_bytes() for path in (out / name / MONTH / "r1").iterdir()}
        assert there == package
    assert list_files(out / "education" / MONTH) == {"delivery.json", "r1/education.parquet"}


def test_the_summary_names_revision_and_every_file_with_its_hash(town: World, out: Path) -> None:
    assert arrived(deliver(town))
    folder = out / "haishu" / MONTH
    summary = read_summary(folder)
    assert (summary["destination"], summary["month"], summary["revision"]) == (HAISHU, MONTH, 1)
    assert (summary["folder"], summary["replaces"]) == ("r1", "")
    assert summary["files"] == {
        name: {"bytes": (folder / name).stat().st_size, "sha256": hash_file(folder / name)}
        for name in list_files(folder) - {"delivery.json"}
    }


def test_nobody_gets_another_districts_people(town: World, out: Path) -> None:
    assert arrived(deliver(town))
    own = {"haishu": PEOPLE[:24], "jiangbei": PEOPLE[24:]}
    for name, people in own.items():
        content = b"".join(path.read_bytes() for path in _plain_files(out / name))
        with duckdb.connect() as connection:
            rows = connection.execute(
                f"SELECT resident_id FROM '{out / name / MONTH / 'r1' / 'scores.parquet'}'"
            ).fetchall()
        assert sorted(str(row[0]) for row in rows) == sorted(people)
        assert all(person.encode() in content for person in people)
        assert not any(person.encode() in content for person in set(PEOPLE) - set(people))
    for path in (out / "education").rglob("*"):
        assert path.is_dir() or path.name in ("education.parquet", "delivery.json")


def _plain_files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.suffix in (".csv", ".json", ".html")]


def test_a_department_gets_what_it_has_to_mend(town: World, out: Path, tmp_path: Path) -> None:
    town.deliver(MONTH, registry=registry(), education=[*degrees(), BAD])
    town.run(MONTH)
    assert arrived(deliver(town, 3))
    with duckdb.connect() as connection:
        rows = connection.execute(
            f"SELECT kind, reason FROM '{out / 'education' / MONTH / 'r3' / 'education.parquet'}'"
        ).fetchall()
    assert [kind for kind, _ in rows] == ["refused"]


def test_files_are_as_open_as_the_folder_that_they_are_put_into(town: World, out: Path) -> None:
    (out / "haishu").chmod(0o2750)
    (out / "jiangbei").chmod(0o700)
    assert arrived(deliver(town))
    modes = {
        name: {
            stat.S_IMODE(path.stat().st_mode)
            for path in (out / name / MONTH).rglob("*")
            if path.is_file()
        }
        for name in ("haishu", "jiangbei")
    }
    assert modes == {"haishu": {0o640}, "jiangbei": {0o600}}


def test_several_keys_open_what_is_encrypted_and_no_other_does(town: World, out: Path) -> None:
    (first_key, first), (second_key, second), (other, _) = new_key(), new_key(), new_key()
    portal = in_folder(out, "portal", first, second)
    town.settings = with_destinations(town.settings, portal=portal)
    assert arrived(deliver(town))
    folder = out / "portal" / MONTH / "r1"
    there = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert all(name.endswith(".age") for name in there)
    statements = (town.root.months / MONTH / "r1") / "restricted" / "statements"
    for key in (first_key, second_key):
        contents = dict(zip(there, open_all(there, key), strict=True))
        assert contents[f"{HAISHU}.parquet.age"] == (statements / f"{HAISHU}.parquet").read_bytes()
    with pytest.raises(pyrage.DecryptError):
        list(open_all(there, other))
    again = deliver(town)["portal"]
    assert (again.sent, again.kept) == (0, len(there))  # encrypted anew it would have other bytes


def test_other_keys_replace_what_was_encrypted_for_the_old_ones(town: World, out: Path) -> None:
    (_, old), (new_secret, new) = new_key(), new_key()
    for recipient in (old, new):
        portal = in_folder(out, "portal", recipient)
        town.settings = with_destinations(town.settings, portal=portal)
        assert arrived(deliver(town))
    folder = out / "portal" / MONTH / "r1"
    there = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert list(open_all(there, new_secret))
    town.settings = with_destinations(town.settings, portal=in_folder(out, "portal"))
    assert arrived(deliver(town))
    assert not any(name.endswith(".age") for name in list_files(folder))


def test_what_is_there_is_not_sent_again_and_what_is_damaged_or_gone_is(
    town: World, out: Path
) -> None:
    assert arrived(deliver(town))
    folder = out / "haishu" / MONTH
    before = {name: (folder / name).stat().st_ino for name in list_files(folder)}
    again = deliver(town)[HAISHU]
    assert (again.sent, again.kept) == (0, len(before) - 1)
    assert {name: (folder / name).stat().st_ino for name in list_files(folder)} == before
    (folder / "r1" / "scores.csv").unlink()
    summary = folder / "r1" / "summary.html"
    summary.write_bytes(bytes(summary.stat().st_size))
    (folder / "delivery.json").write_bytes(b"{")
    mended = deliver(town)[HAISHU]
    assert (mended.sent, mended.kept) == (2, len(before) - 3)
    assert read_summary(folder)["files"].keys() == before.keys() - {"delivery.json"}
    package = (town.root.months / MONTH / "r1") / "exports" / HAISHU
    assert (folder / "r1" / "scores.csv").read_bytes() == (package / "scores.csv").read_bytes()
    assert summary.read_bytes() == (package / "summary.html").read_bytes()


def test_a_newer_revision_replaces_the_older_one_and_says_so(town: World, out: Path) -> None:
    assert arrived(deliver(town))
    outcome = deliver(town, 2)[HAISHU]
    assert outcome.replaces == "r1"
    folder = out / "haishu" / MONTH
    assert read_summary(folder)["replaces"] == "r1"
    assert {name.split("/")[0] for name in list_files(folder)} == {"delivery.json", "r2"}
    assert not (folder / "r1").exists()
    assert [(one.revision, one.state) for one in receipts(town, HAISHU)] == [
        (1, "replaced"),
        (2, "delivered"),
    ]


def find_complete(folder: Path) -> str:
    """The revision's folder that the summary names, once every file is found as it says."""
    summary = read_summary(folder)
    for name, record in summary["files"].items():
        content = (folder / name).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == tuple(record.values())
    return str(summary["folder"])


KillAt = Callable[[int, Callable[[], object]], bool]


def test_killed_anywhere_the_old_delivery_is_readable_and_the_next_try_finishes(
    town: World, out: Path, kill_at: KillAt
) -> None:
    town.settings = with_destinations(town.settings, d330203=in_folder(out, "haishu"))
    assert arrived(deliver(town))
    root, there = town.root.path, out / "haishu"
    aside = out / "aside"
    for folder, name in ((root / "delivered", "delivered"), (there, "haishu")):
        shutil.copytree(folder, aside / name)
    seen, project = set(), town.project
    for event in range(1, 1000):
        for folder, name in ((root / "delivered", "delivered"), (there, "haishu")):
            shutil.rmtree(folder)
            shutil.copytree(aside / name, folder)
        is_dead = kill_at(event, lambda: arrived(deliver(town, 2, project=project)))
        seen.add(find_complete(there / MONTH))
        assert arrived(deliver(town, 2, project=project))
        assert find_complete(there / MONTH) == "r2"
        assert {name.split("/")[0] for name in list_files(there / MONTH)} == {"delivery.json", "r2"}
        if not is_dead:
            break
    assert seen == {"r1", "r2"} and event > 30


def test_yesterdays_half_file_is_no_obstacle_and_does_not_stay(town: World, out: Path) -> None:
    folder = out / "haishu" / MONTH / "r1"
    folder.mkdir(parents=True)
    (folder / "scores.csv").write_bytes(b"half")
    (folder / ".scores.csv.0a1b2c3d.part").write_bytes(b"half")
    assert arrived(deliver(town))
    package = (town.root.months / MONTH / "r1") / "exports" / HAISHU
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        path.name: path.read_bytes() for path in package.iterdir()
    }


def test_a_share_that_is_not_mounted_is_not_made(town: World, out: Path) -> None:
    shutil.rmtree(out / "haishu")
    outcomes = deliver(town)
    error = outcomes[HAISHU].error
    assert isinstance(error, JifenError) and "haishu" in error.message
    assert not (out / "haishu").exists()
    assert outcomes[JIANGBEI].has_arrived and outcomes["portal"].has_arrived
    [receipt] = receipts(town, HAISHU)
    assert receipt.state == "partial" and receipt.reason == error.message


def test_a_share_that_hangs_is_given_up(
    town: World, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(out / "haishu")
    (out / "haishu" / MONTH / "r1").mkdir(parents=True)
    os.mkfifo(out / "hanging")
    monkeypatch.setattr(places.filesystems, "PATIENCE_SECONDS", 1.0)
    monkeypatch.setattr(places, "_name_draft", lambda path: str(out / "hanging"))
    error = deliver(town)[HAISHU].error
    assert isinstance(error, JifenError) and isinstance(error.__cause__, TimeoutError)


def test_a_disk_that_fills_up_is_reported_and_the_next_try_finishes(
    town: World, tmp_path: Path
) -> None:
    """On a real disk of 16 KiB, in a mount namespace of its own."""
    folder = town.inbox.parent
    program = [sys.executable, "-m", "tests.support.delivering", str(folder), str(tmp_path)]
    done = subprocess.run(
        [*NAMESPACE, *program], capture_output=True, text=True, cwd=Path(__file__).parents[2]
    )
    assert done.returncode == 0, done.stderr
    full, finished = map(json.loads, done.stdout.splitlines())
    assert "磁盘已满" in full["error"] and "Traceback" not in done.stderr
    assert not any(name.endswith((".part", "delivery.json")) for name in full["files"])
    assert finished["error"] == ""
    package = (town.root.months / MONTH / "r1") / "exports" / HAISHU
    wanted = {f"{MONTH}/delivery.json", *(f"{MONTH}/r1/{path.name}" for path in package.iterdir())}
    assert set(finished["files"]) == wanted


def test_a_file_changed_since_publication_is_not_delivered(town: World, out: Path) -> None:
    package = (town.root.months / MONTH / "r1") / "exports" / HAISHU
    (package / "summary.html").write_text("other")
    error = deliver(town)[HAISHU].error
    assert isinstance(error, JifenError) and error.code == ExitCode.DAMAGE
    assert not (out / "haishu" / MONTH).exists()


def test_a_revision_without_statements_is_refused(town: World, out: Path) -> None:
    for path in (town.root.months / MONTH / "r1").glob("manifest.json"):
        manifest = json.loads(path.read_bytes())
        manifest["files"] = {
            name: record
            for name, record in manifest["files"].items()
            if not name.startswith("restricted/statements")
        }
        path.write_text(json.dumps(manifest))
    error = deliver(town)["portal"].error
    assert isinstance(error, JifenError) and error.code == ExitCode.USAGE


def test_receipts_have_a_mac_and_verify_finds_one_that_was_changed(town: World) -> None:
    assert arrived(deliver(town))
    assert verify_months(town.settings, None).revisions
    [receipt] = receipts(town, HAISHU)
    assert receipt.files.keys() == {f"r1/{name}" for name in _package_names(town)}
    file = town.root.delivered / MONTH / HAISHU / "r1.json"
    file.write_bytes(file.read_bytes().replace(b'"delivered"', b'"partial"'))
    with pytest.raises(JifenError) as caught:
        verify_months(town.settings, None)
    assert caught.value.code == ExitCode.DAMAGE and "r1.json" in caught.value.message


def _package_names(town: World) -> set[str]:
    return {
        path.name for path in ((town.root.months / MONTH / "r1") / "exports" / HAISHU).iterdir()
    }


def test_required_encryption_holds_for_folders_too(town: World, out: Path) -> None:
    exports = town.settings.exports.model_copy(update={"require_encryption": True})
    town.settings = town.settings.model_copy(update={"exports": exports})
    with pytest.raises(JifenError) as caught:
        list_destinations(town.project)
    assert caught.value.code == ExitCode.DECLARATIONS


@pytest.mark.parametrize("name", ["portals", "330299", "registri"])
def test_a_destination_of_nobody_is_refused(town: World, out: Path, name: str) -> None:
    given = {name: in_folder(out, name)}
    town.settings = town.settings.model_copy(update={"deliver": given})
    with pytest.raises(JifenError) as caught:
        list_destinations(town.project)
    assert caught.value.code == ExitCode.DECLARATIONS and name in str(caught.value)
