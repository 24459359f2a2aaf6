from __future__ import annotations

import grp
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from expectations.errors import ExitCode, JifenError
from flows.storage.files import to_canonical_json, write_atomically
from flows.storage.keys import fingerprint_key
from flows.storage.root import Root


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def with_published_month(root: Root, key: bytes, month: str = "2021-10") -> None:
    revision = root.months / month / "r1"
    revision.mkdir(parents=True)
    (revision / "manifest.json").write_bytes(
        to_canonical_json({"key_fingerprint": fingerprint_key(key)})
    )


def error_of(work: Callable[[], object]) -> JifenError:
    with pytest.raises(JifenError) as caught:
        work()
    return caught.value


@pytest.mark.promise("sources-143", "umask 077, core dumps off, folders closed")
@pytest.mark.promise("outputs-95", "umask 077, closed folders 0700, no core dumps")
def test_prepare_closes_folders_process_and_core_dumps(tmp_path: Path) -> None:
    root = Root(tmp_path / "var", tmp_path / "var" / "inbox")
    (tmp_path / "var" / "inbox").mkdir(parents=True, mode=0o777)
    script = (
        "import os, resource, sys; from pathlib import Path; from flows.storage.root import Root\n"
        "Root(Path(sys.argv[1]), Path(sys.argv[1], 'inbox')).prepare()\n"
        "print(os.umask(0), resource.getrlimit(resource.RLIMIT_CORE))"
    )
    said = subprocess.run(
        [sys.executable, "-c", script, str(root.path)], capture_output=True, text=True, check=True
    )
    assert said.stdout.split() == [str(0o077), "(0,", "0)"]
    for name in (
        "",
        "inbox",
        "raw",
        "clean",
        "quarantine",
        "defects",
        "tmp",
        "runs",
        "prefect",
        "months",
        "published",
    ):
        assert mode(root.path / name) == 0o700, name


def test_an_inbox_elsewhere_keeps_its_modes(tmp_path: Path) -> None:
    share = tmp_path / "share"
    share.mkdir()
    share.chmod(0o775)
    Root(tmp_path / "var", share).prepare()
    assert mode(share) == 0o775


def test_analysts_may_read_only_what_is_shared(tmp_path: Path) -> None:
    group = grp.getgrgid(os.getgid()).gr_name
    root = Root(tmp_path / "var", tmp_path / "var" / "inbox", group)
    root.prepare()
    folder = root.path / "scores"
    folder.mkdir()
    (folder / "a.parquet").touch()
    root.share(folder)
    assert (mode(root.path), mode(root.months), mode(folder)) == (0o750, 0o750, 0o750)
    assert mode(folder / "a.parquet") == 0o640
    assert mode(root.raw) == 0o700


def test_an_unknown_group_is_a_mistake_in_the_settings(tmp_path: Path) -> None:
    error = error_of(lambda: Root(tmp_path, tmp_path, "no-such-group").share(tmp_path))
    assert error.code == ExitCode.DECLARATIONS and "analysts_group" in error.where


def test_a_root_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    error = error_of(Root(tmp_path / "file" / "var", tmp_path / "inbox").prepare)
    assert error.code == ExitCode.OTHER and "file" in error.where


@pytest.mark.proves("sources-124")
def test_a_second_run_is_refused_and_names_the_lock_holder(root: Root) -> None:
    script = (
        "import sys; from pathlib import Path; from flows.storage.root import Root\n"
        "with Root(Path(sys.argv[1]), Path(sys.argv[1])).lock():\n"
        "    print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", script, str(root.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdin and holder.stdout and holder.stdout.readline() == "held\n"
    error = error_of(root.lock().__enter__)
    assert error.code == ExitCode.LOCKED and str(holder.pid) in error.message
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    holder.stdin.close()
    holder.stdout.close()
    with root.lock():  # a killed holder holds nothing
        assert error_of(root.lock().__enter__).code == ExitCode.LOCKED
    with root.lock():
        pass


@pytest.mark.promise("outputs-114", "The root's key is made once, or lies in `JIFEN_KEY_FILE`")
def test_the_key_is_made_once_and_stays(root: Root) -> None:
    key = root.key()
    assert len(key) == 32 and root.key() == key
    assert (root.path / "secret.key").read_text() == key.hex()
    assert mode(root.path / "secret.key") == 0o600
    assert [item.name for item in root.path.iterdir() if "secret" in item.name] == ["secret.key"]


@pytest.mark.promise("outputs-115", "A missing or other key after publication is exit 15")
def test_a_missing_key_is_not_replaced_once_something_is_published(root: Root) -> None:
    with_published_month(root, root.key())
    root.key_file.unlink()
    error = error_of(root.key)
    assert error.code == ExitCode.DAMAGE and "secret.key" in error.where
    assert not root.key_file.exists()


@pytest.mark.proves("outputs-115")
def test_another_key_than_the_published_months_is_damage(root: Root) -> None:
    with_published_month(root, root.key())
    root.key_file.write_text("00" * 32)
    assert error_of(root.key).code == ExitCode.DAMAGE


@pytest.mark.parametrize("damaged", [None, "{", "[]", "{}"])
def test_the_key_is_checked_against_the_newest_readable_manifest(
    root: Root, damaged: str | None
) -> None:
    """What is damaged `verify` lists, and cannot if the key is refused for it."""
    key = root.key()
    for month in ("2021-10", "2021-11"):
        with_published_month(root, key, month)
    manifest = root.months / "2021-11" / "r1" / "manifest.json"
    manifest.unlink() if damaged is None else manifest.write_text(damaged)
    assert root.key() == key
    root.key_file.write_text("00" * 32)
    error = error_of(root.key)
    assert error.code == ExitCode.DAMAGE and "months/2021-10/r1/manifest.json" in error.message
    root.key_file.unlink()
    assert error_of(root.key).code == ExitCode.DAMAGE and not root.key_file.exists()


@pytest.mark.parametrize("content", [b"", b"ab" * 31, b"zz" * 32, "密".encode() * 32])
def test_an_invalid_key_file_is_damage_and_not_shown(root: Root, content: bytes) -> None:
    root.key_file.write_bytes(content)
    error = error_of(root.key)
    assert error.code == ExitCode.DAMAGE
    assert not content or content.decode() not in str(error)


@pytest.mark.proves("outputs-114")
def test_the_key_may_lie_elsewhere(
    root: Root, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JIFEN_KEY_FILE", str(tmp_path / "vault.key"))
    key = root.key()
    assert (tmp_path / "vault.key").read_text() == key.hex()
    assert not (root.path / "secret.key").exists()


def test_a_kill_during_key_creation_leaves_no_partial_key(
    root: Root, kill_at: Callable[[int, Callable[[], object]], bool]
) -> None:
    kills = 0
    while kill_at(kills + 1, root.key):
        kills += 1
        assert not root.key_file.exists() or len(root.key_file.read_text()) == 64
        made = root.key()
        assert root.key() == made
        root.key_file.unlink()
    assert kills >= 3


def test_a_fingerprint_distinguishes_keys_without_revealing_them() -> None:
    one, other = bytes(32), bytes(31) + b"\x01"
    assert fingerprint_key(one) != fingerprint_key(other)
    assert fingerprint_key(one) == fingerprint_key(bytes(32)) and one.hex()[
        :8
    ] not in fingerprint_key(one)


@pytest.mark.promise("outputs-78", "`runs/` keeps the access log")
def test_each_use_adds_one_readable_line_to_the_access_log(root: Root) -> None:
    root.access_log("explain", resident_key="ab" * 16, month="2021-10")
    root.access_log("accept", month="2021-10", reason="已与部门核对")
    lines = [json.loads(line) for line in (root.runs / "access.log").read_text().splitlines()]
    assert [line["action"] for line in lines] == ["explain", "accept"]
    assert lines[1]["reason"] == "已与部门核对" and lines[0]["uid"] == os.getuid()
    assert mode(root.runs / "access.log") == 0o600


def test_a_killed_replacement_leaves_the_old_or_new_file(
    tmp_path: Path, kill_at: Callable[[int, Callable[[], object]], bool]
) -> None:
    file, kills = tmp_path / "a", 0
    write_atomically(file, b"old" * 1000)
    while kill_at(kills + 1, lambda: write_atomically(file, b"new" * 1000)):
        kills += 1
        assert file.read_bytes() in (b"old" * 1000, b"new" * 1000)
    assert kills >= 3 and file.read_bytes() == b"new" * 1000


def test_equal_records_are_written_as_equal_bytes() -> None:
    assert to_canonical_json({"b": 1, "a": "张"}) == to_canonical_json({"a": "张", "b": 1})
    assert "张".encode() in to_canonical_json(["张"])
