"""The access log: a signed chain that writers share, that survives kills, and shows what was done to it."""

from __future__ import annotations

import errno
import hashlib
import json
import multiprocessing
import os
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from flows.storage.access_log import AccessLog, AccessLogHead
from flows.storage.root import Root

KEY = b"k" * 32
OLD = b'{"at": "2021-10-01T00:00:00+08:00", "uid": 999, "action": "explain"}\n'
forks = multiprocessing.get_context("fork")
KillAt = Callable[[int, Callable[[], object]], bool]


@pytest.fixture
def log(tmp_path: Path) -> AccessLog:
    return AccessLog(tmp_path / "access.log", KEY)


def fill(log: AccessLog, count: int = 5) -> list[bytes]:
    """Add so many entries; the lines of the log, with their newlines."""
    for number in range(count):
        log.append({"action": "explain", "resident_key": f"{number:032x}"})
    return log.file.read_bytes().splitlines(keepends=True)


def damage(log: AccessLog) -> tuple[str, ...]:
    return log.check().damage


def head_as_before(log: AccessLog, intact: bytes) -> bool:
    """Whether the head still says what it said."""
    try:
        now = AccessLogHead.from_json(log.head_file.read_bytes())
    except ValueError:
        return False
    return now == AccessLogHead.from_json(intact)


def test_every_line_is_numbered_and_holds_the_hash_of_the_line_before(log: AccessLog) -> None:
    lines = fill(log)
    entries = [json.loads(line) for line in lines]
    assert [entry["number"] for entry in entries] == [1, 2, 3, 4, 5]
    hashes = [hashlib.sha256(line.rstrip(b"\n")).hexdigest() for line in lines]
    assert [entry["previous"] for entry in entries[1:]] == hashes[:-1]
    assert all(entry["mac"] for entry in entries)
    assert damage(log) == () and log.check().chained == 5
    assert oct(log.file.stat().st_mode & 0o777) == "0o600"


def test_entries_of_before_stay_readable_and_are_counted_beside_the_chain(
    log: AccessLog,
) -> None:
    log.file.write_bytes(OLD * 3)
    fill(log, 2)
    assert log.file.read_bytes().startswith(OLD * 3)
    check = log.check()
    assert (check.chained, check.unchained, check.damage) == (2, 3, ())
    assert [entry.is_chained for entry in log.read_entries()] == [False] * 3 + [True] * 2
    assert log.read_entries()[0].who == "uid 999"
    log.file.write_bytes(log.file.read_bytes().replace(b'"uid": 999', b'"uid": 998', 1))
    assert damage(log)


@pytest.mark.slow
def test_a_bit_flipped_anywhere_is_found(log: AccessLog) -> None:
    log.file.write_bytes(OLD)
    fill(log, 4)
    rng = random.Random(0)
    for file in (log.file, log.head_file):
        intact = file.read_bytes()
        for place in range(len(intact)):
            content = bytearray(intact)
            content[place] ^= 1 << rng.randrange(8)
            file.write_bytes(content)
            if file == log.head_file and head_as_before(log, intact):  # the version of its form
                continue
            assert damage(log), (file.name, place)
        file.write_bytes(intact)
    assert damage(log) == ()


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: lines[1:],
        lambda lines: lines[:2] + lines[3:],
        lambda lines: lines[:-1],
        lambda lines: lines[:-3],
        lambda lines: [],
        lambda lines: [lines[1], lines[0], *lines[2:]],
        lambda lines: [*lines, lines[-1]],
        lambda lines: [*lines[:3], OLD, *lines[3:]],
        lambda lines: [*lines, OLD],
        lambda lines: [*lines[:-1], lines[-1][:40] + b"\n"],
    ],
    ids=[
        "first",
        "middle",
        "last",
        "three",
        "all",
        "swapped",
        "twice",
        "inserted",
        "appended",
        "cut",
    ],
)
@pytest.mark.parametrize("continued", [False, True], ids=["left", "continued"])
@pytest.mark.parametrize("headless", [False, True], ids=["head", "no head"])
def test_lines_taken_out_put_in_or_exchanged_are_found(
    log: AccessLog,
    change: Callable[[list[bytes]], list[bytes]],
    continued: bool,
    headless: bool,
) -> None:
    """Even where the head is removed with them, and the log is written on."""
    changed = change(fill(log))
    log.file.write_bytes(b"".join(changed))
    if headless:
        log.head_file.unlink()
    if continued:
        fill(log, 2)
    assert damage(log) or (headless and not changed)  # nothing is left to find it by


def test_a_forged_line_is_found(log: AccessLog) -> None:
    fill(log)
    AccessLog(log.file, b"other".ljust(32)).append({"action": "explain"})
    assert damage(log)


@pytest.mark.slow
@pytest.mark.parametrize("times", [1, 2])
def test_a_line_torn_at_any_byte_is_no_damage_and_the_next_goes_on(
    log: AccessLog, times: int
) -> None:
    log.file.write_bytes(OLD)
    lines = fill(log, 3)
    head = log.head_file.read_bytes()
    fill(log, 1)
    torn = log.file.read_bytes().splitlines()[-1]
    whole = b"".join(lines)
    for cut in range(1, len(torn) + 1):
        fragments = b"\n".join([torn[:cut]] * times) if cut < len(torn) else torn
        log.file.write_bytes(whole + fragments)
        log.head_file.write_bytes(head)
        assert damage(log) == (), cut
        log.append({"action": "statement"})
        assert damage(log) == (), cut
        entries = log.read_entries()
        assert [entry.values["action"] for entry in entries[-2:]] == ["explain", "statement"]
        assert len(entries) == 5 + (cut == len(torn))


def test_a_torn_line_cannot_be_exchanged_afterwards(log: AccessLog) -> None:
    fill(log, 2)
    with log.file.open("ab") as file:
        file.write(b'{"at": "20')
    log.append({"action": "statement"})
    assert damage(log) == ()
    log.file.write_bytes(log.file.read_bytes().replace(b'{"at": "20\n', b"removed\n"))
    assert damage(log)


def test_writers_at_the_same_time_make_one_chain(log: AccessLog) -> None:
    def write(name: int) -> None:
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda n: log.append({"action": f"{name} {n}"}), range(12)))

    writers = [forks.Process(target=write, args=(name,)) for name in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    entries = log.read_entries()
    assert [entry.values["number"] for entry in entries] == list(range(1, 49))
    assert len({entry.values["action"] for entry in entries}) == 48
    assert damage(log) == ()


def test_killed_anywhere_the_log_is_whole_and_the_next_line_follows(
    log: AccessLog, kill_at: KillAt
) -> None:
    kills = 0
    while kill_at(kills + 1, lambda: log.append({"action": "explain"})):
        kills += 1
        assert damage(log) == ()
        log.append({"action": "after"})
        assert damage(log) == ()
    assert kills >= 4


def test_on_a_full_disk_nothing_of_the_line_stays(
    log: AccessLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(log)
    before, write = log.file.read_bytes(), os.write

    def write_part(handle: int, content: bytes) -> int:
        if len(content) < 50:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(handle, content[:-40])

    monkeypatch.setattr(os, "write", write_part)
    with pytest.raises(OSError, match="No space"):
        log.append({"action": "explain"})
    monkeypatch.undo()
    assert log.file.read_bytes() == before and damage(log) == ()


def test_who_may_not_read_the_key_adds_lines_that_the_next_signed_one_covers(
    log: AccessLog,
) -> None:
    fill(log, 2)
    AccessLog(log.file, None).append({"action": "sql"})
    assert damage(log) == ()
    fill(log, 1)
    assert damage(log) == () and log.check().chained == 4
    log.file.write_bytes(log.file.read_bytes().replace(b'"sql"', b'"xyz"'))
    assert damage(log)


def test_every_entry_of_a_root_says_who(root: Root) -> None:
    root.access_log("explain", resident_key="ab" * 16)
    (entry,) = root.open_access_log().read_entries()
    assert entry.who == root.operator.name == entry.values["account"]
    assert entry.values["uid"] == os.getuid()
