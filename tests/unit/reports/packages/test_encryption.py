"""Packages for districts with a key: opened with that key only, and never on disk as plain text."""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace
from pathlib import Path

import openpyxl
import pyrage
import pytest

from expectations.errors import ExitCode, JifenError
from reports.packages import build
from reports.packages.encryption import open_for_delivery
from tests.support.lists import read_csv
from tests.support.packages import (
    HAISHU,
    YINZHOU,
    export,
    files,
    manifest,
    many,
    new_key,
    write_revision,
)

LISTS = [
    "eligibility.csv",
    "reminders.csv",
    "reminders.xlsx",
    "scores.csv",
    "scores.parquet",
    "summary.html",
    "contents.json",
]


@pytest.fixture
def revision(tmp_path: Path) -> Path:
    people = [*many(30, "330212"), *many(20, "330203", begin=31)]
    reminders = [
        {"resident_id": p.resident_id, "district": p.district, "name": p.name, "text": "请办理"}
        for p in people
    ]
    return write_revision(
        tmp_path / "r1",
        people,
        [(people[0].key, "rent_subsidy", "330212", True, 0, 404)],
        reminders,
    )


@pytest.mark.promise("sources-158", "a package opens with its district's key only")
def test_a_package_opens_with_its_districts_key_only(revision: Path) -> None:
    identity, recipient = new_key()
    other, others = new_key()
    export(revision, [replace(YINZHOU, recipient=recipient), replace(HAISHU, recipient=others)])
    for path in sorted((revision / "exports" / "330212").glob("*.age")):
        assert pyrage.decrypt(path.read_bytes(), [identity])
        with pytest.raises(pyrage.DecryptError):
            pyrage.decrypt(path.read_bytes(), [other])


def test_decrypted_files_equal_unencrypted_files(revision: Path, tmp_path: Path) -> None:
    identity, recipient = new_key()
    export(revision, [YINZHOU])
    plain = {path.name: path.read_bytes() for path in files(revision / "exports" / "330212")}
    export(revision, [replace(YINZHOU, recipient=recipient)])
    folder = revision / "exports" / "330212"
    opened = {
        name: pyrage.decrypt((folder / f"{name}.age").read_bytes(), [identity]) for name in LISTS
    }
    assert all(name in opened["contents.json"].decode() for name in LISTS[:-1])
    same = [name for name in LISTS if name not in ("reminders.xlsx", "contents.json")]
    assert {name: opened[name] for name in same} == {name: plain[name] for name in same}
    sheets = [
        openpyxl.load_workbook(io.BytesIO(book)).worksheets[0]
        for book in (opened["reminders.xlsx"], plain["reminders.xlsx"])
    ]
    first, second = (
        [[cell.value for cell in row] for row in sheet.iter_rows()] for sheet in sheets
    )
    assert first == second and len(first) == 31
    (tmp_path / "back.csv").write_bytes(opened["scores.csv"])
    assert len(list(read_csv(tmp_path / "back.csv"))) == 30


@pytest.mark.promise(
    "outputs-135", "With a key all but the manifest is encrypted while it is written"
)
def test_nothing_but_the_manifest_is_readable_and_its_hashes_hold(revision: Path) -> None:
    _, recipient = new_key()
    export(revision, [replace(YINZHOU, recipient=recipient), HAISHU])
    folder = revision / "exports" / "330212"
    assert {path.name for path in files(folder)} == {
        "manifest.json",
        *(f"{name}.age" for name in LISTS),
    }
    for path in files(folder):
        content = path.read_bytes()
        assert b"330206198" not in content and "李1".encode() not in content
        assert path.suffix == ".json" or content.startswith(b"age-encryption.org/v1")
    for name, facts in manifest(folder)["files"].items():
        content = (folder / name).read_bytes()
        assert facts == {"sha256": hashlib.sha256(content).hexdigest()}
    assert (
        revision / "exports" / "330203" / "scores.csv"
    ).exists()  # a district without a key is not encrypted


@pytest.mark.proves("outputs-135")
def test_no_file_of_the_package_is_ever_unencrypted(
    revision: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each write, before the file is closed, only encrypted files and the pipe exist."""
    _, recipient = new_key()
    seen: list[set[str]] = []
    write = build.Package.write

    def write_and_record(package: build.Package, name: str, rows: int, make: object) -> None:
        def make_and_record(target: Path) -> None:
            make(target)  # type: ignore[operator]
            assert target.is_relative_to("/dev/fd")
            seen.append({path.suffix for path in files(package.folder)})

        write(package, name, rows, make_and_record)

    monkeypatch.setattr(build.Package, "write", write_and_record)
    export(revision, [replace(YINZHOU, recipient=recipient)])
    assert len(seen) == len(LISTS) and set.union(*seen) == {".age"}


@pytest.mark.promise("outputs-136", "Keys required and one lacks: no export is written, exit 10")
def test_a_missing_required_key_is_refused_before_writing(revision: Path) -> None:
    _, recipient = new_key()
    kept = revision / "exports" / "330212" / "kept"
    kept.parent.mkdir(parents=True)
    kept.touch()
    with pytest.raises(JifenError, match="330203 海曙区") as caught:
        export(revision, [replace(YINZHOU, recipient=recipient), HAISHU], require_encryption=True)
    assert caught.value.code is ExitCode.DECLARATIONS
    assert list(files(revision / "exports")) == [kept]


@pytest.mark.promise("sources-102", "a recipient is an age key or empty")
def test_an_invalid_key_is_refused_before_writing(revision: Path) -> None:
    with pytest.raises(JifenError, match="海曙区的 recipient 不是有效的 age 公钥") as caught:
        export(revision, [YINZHOU, replace(HAISHU, recipient="age1qqqq")])
    assert caught.value.code is ExitCode.DECLARATIONS
    assert not (revision / "exports").exists()


def test_all_keys_present_satisfy_the_requirement(revision: Path) -> None:
    districts = [replace(YINZHOU, recipient=new_key()[1]), replace(HAISHU, recipient=new_key()[1])]
    assert export(revision, districts, require_encryption=True)["residents"] == 50


def test_a_full_disk_ends_the_writing_with_its_own_error(tmp_path: Path) -> None:
    """More than a pipe holds: the writer must not wait for ever for an encryption that has ended."""
    _, recipient = new_key()
    (tmp_path / "list.csv.age").symlink_to("/dev/full")
    with (
        pytest.raises(OSError, match="No space left"),
        open_for_delivery(tmp_path / "list.csv", recipient) as target,
    ):
        target.write_bytes(b"x" * 10_000_000)
