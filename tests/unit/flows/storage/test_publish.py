from __future__ import annotations

import grp
import hashlib
import hmac
import json
import os
import stat
import subprocess
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from expectations.errors import ExitCode, JifenError
from expectations.month import Month
from flows.extract.pull import pull_up_to
from flows.pipeline.staleness import find_stale_months
from flows.storage.deliveries import delivery_key, list_deliveries
from flows.storage.keys import fingerprint_key
from flows.storage.publish import finish_interrupted, publish_revision
from flows.storage.records import MonthFacts
from flows.storage.revisions import find_published, list_published_months, list_revisions
from flows.storage.root import Root
from flows.storage.verify import verify_root
from tests.support.pulling import settings_of

OCTOBER, NOVEMBER = Month.parse("2021-10"), Month.parse("2021-11")
Build = Callable[..., Path]
KillAt = Callable[[int, Callable[[], object]], bool]


@pytest.mark.promise("outputs-76", "`published/` links to the revision in force")
def test_a_build_becomes_a_revision_seen_through_the_link(
    root: Root, build: Build, facts: MonthFacts
) -> None:
    key, made = root.key(), build("a")
    revision = publish_revision(root, key, made, facts)
    assert revision.path == root.months / "2021-10" / "r1" and not made.exists()
    assert str((root.published / "2021-10").readlink()) == "../months/2021-10/r1"
    assert (root.published / "2021-10" / "report" / "index.html").read_text() == "<p>积分</p>"
    assert find_published(root, OCTOBER) == revision and list_revisions(root, OCTOBER) == [revision]
    assert list_published_months(root) == [OCTOBER] and find_published(root, NOVEMBER) is None


@pytest.mark.promise(
    "outputs-91", "Manifest: hash of every file; .mac is an HMAC with the root's key"
)
def test_the_manifest_says_what_was_given_and_what_was_published(
    root: Root, build: Build, facts: MonthFacts
) -> None:
    key = root.key()
    revision = publish_revision(root, key, build("a"), facts)
    written = (revision.path / "manifest.json").read_bytes()
    manifest = json.loads(written)
    assert manifest == revision.manifest.to_values()
    assert (manifest["as_of"], manifest["month"], manifest["revision"]) == (
        "2021-10-31",
        "2021-10",
        1,
    )
    assert (manifest["sequence"], manifest["previous"]) == (1, None)
    assert manifest["key_fingerprint"] == fingerprint_key(key) and manifest["published_at"]
    on_disk = {
        path.relative_to(revision.path).as_posix(): path
        for path in revision.path.rglob("*")
        if path.is_file()
    }
    assert set(manifest["files"]) == set(on_disk) - {"manifest.json", ".mac"}
    for name, recorded in manifest["files"].items():
        content = on_disk[name].read_bytes()
        assert recorded == {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    assert (revision.path / ".mac").read_text() == hmac.new(key, written, "sha256").hexdigest()
    assert key.hex() not in written.decode()


@pytest.mark.promise("outputs-49", "A re-run makes a new revision beside the untouched old one")
def test_a_rerun_makes_a_new_revision_beside_the_old(
    root: Root, build: Build, facts: MonthFacts
) -> None:
    key = root.key()
    first = publish_revision(root, key, build("a"), facts)
    before = {path: path.read_bytes() for path in first.path.rglob("*") if path.is_file()}
    second = publish_revision(root, key, build("b", shift=1), facts)
    assert [one.number for one in list_revisions(root, OCTOBER)] == [1, 2] and find_published(
        root, OCTOBER
    ) == second
    assert {path: path.read_bytes() for path in first.path.rglob("*") if path.is_file()} == before


@pytest.mark.promise("outputs-92", "Manifests are a chain")
def test_manifests_are_chained_in_the_order_of_publication(
    root: Root, build: Build, facts: MonthFacts
) -> None:
    key = root.key()
    order = [
        publish_revision(root, key, build(str(n)), facts.model_copy(update={"month": str(month)}))
        for n, month in enumerate((NOVEMBER, OCTOBER, NOVEMBER))
    ]
    assert [one.manifest.sequence for one in order] == [1, 2, 3]
    for earlier, later in pairwise(order):
        digest = hashlib.sha256((earlier.path / "manifest.json").read_bytes()).hexdigest()
        assert later.manifest.previous == digest


@pytest.mark.parametrize("exact", [None, "exact"], ids=["no exact group", "both groups"])
def test_analysts_may_read_their_folders_and_nothing_of_people(
    root: Root, build: Build, facts: MonthFacts, exact: str | None
) -> None:
    own = grp.getgrgid(os.getgid()).gr_name
    shared = replace(root, analysts_group=own, exact_group=exact and own)
    shared.prepare()
    made = build("a")
    (made / "restricted").chmod(0o777)
    revision = publish_revision(shared, root.key(), made, facts)
    modes = {
        path.relative_to(revision.path).as_posix(): stat.S_IMODE(path.stat().st_mode)
        for path in revision.path.rglob("*")
    }
    for name, mode in modes.items():
        folder = (revision.path / name).is_dir()
        readable = ("open", "sql", *(("scores", "facts") if exact else ()))
        open_to_group = name.split("/")[0] in readable
        assert mode == (0o700 if folder else 0o600) | (
            (0o050 if folder else 0o040) if open_to_group else 0
        ), name
    assert (
        stat.S_IMODE(revision.path.stat().st_mode)
        == stat.S_IMODE(revision.path.parent.stat().st_mode)
        == 0o750
    )


def test_without_a_group_nothing_is_open_to_others(
    root: Root, build: Build, facts: MonthFacts
) -> None:
    made = build("a")
    subprocess.run(["chmod", "-R", "a+rwX", str(made)], check=True)
    revision = publish_revision(root, root.key(), made, facts)
    for path in (revision.path, *revision.path.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


@pytest.mark.slow
@pytest.mark.proves("sources-118", "outputs-1")
def test_a_killed_publication_is_finished_by_the_next_run(
    root: Root, build: Build, facts: MonthFacts, kill_at: KillAt
) -> None:
    key = root.key()
    first = publish_revision(root, key, build("first"), facts)
    kills = finished = 0
    for step in range(1, 200):
        made = build(f"step-{step}", shift=step)
        before = find_published(root, OCTOBER)
        if not kill_at(step, lambda made=made: publish_revision(root, key, made, facts)):
            break
        kills += 1
        seen = find_published(root, OCTOBER)
        assert seen and before and seen.number in (before.number, before.number + 1)
        finished += len(finish_interrupted(root, key))
        if made.exists():  # not yet a revision: the next run takes the same folder up again
            publish_revision(root, key, made, facts)
        now_there = find_published(root, OCTOBER)
        assert now_there and now_there.number == before.number + 1
        assert finish_interrupted(root, key) == []
    assert kills >= 20 and finished >= 2
    assert verify_root(root, key) == []
    assert list_revisions(root, OCTOBER)[0] == first


def test_a_first_month_killed_before_linking_is_finished_later(
    root: Root, build: Build, facts: MonthFacts, kill_at: KillAt
) -> None:
    key, made = root.key(), build("a")

    def die_before_the_switch() -> None:
        import flows.storage.publish

        flows.storage.publish._switch_link = lambda *_: os.kill(os.getpid(), 9)  # type: ignore[assignment]
        publish_revision(root, key, made, facts)

    assert kill_at(0, die_before_the_switch)
    assert list_published_months(root) == [] and find_published(root, OCTOBER) is None
    [revision] = finish_interrupted(root, key)
    assert find_published(root, OCTOBER) == revision and revision.number == 1
    assert verify_root(root, key) == []


def test_a_corrupted_interrupted_revision_is_not_published(
    root: Root, build: Build, facts: MonthFacts
) -> None:
    key = root.key()
    revision = publish_revision(root, key, build("a"), facts)
    (root.published / "2021-10").unlink()
    (revision.path / "sql" / "points.sql").write_text("SELECT 2")
    with pytest.raises(JifenError) as caught:
        finish_interrupted(root, key)
    assert caught.value.code == ExitCode.DAMAGE and list_published_months(root) == []


def test_a_dangling_link_is_damage(root: Root) -> None:
    (root.published / "2021-10").symlink_to("../months/2021-10/r7")
    with pytest.raises(JifenError) as caught:
        find_published(root, OCTOBER)
    assert caught.value.code == ExitCode.DAMAGE


SOURCES = ["registry", "housing", "credit"]


def deliver(root: Root, month: str, source: str, content: str) -> None:
    file = root.inbox / month / f"{source}.csv"
    file.parent.mkdir(exist_ok=True)
    file.write_text(content)
    pull_up_to(root, settings_of(root), [source], Month.parse(month))


def publish_with(root: Root, made: Path, month: Month, facts: MonthFacts) -> None:
    received = [
        delivery_key(delivery)
        for source in SOURCES
        for delivery in list_deliveries(root, source)
        if delivery.month <= month
    ]
    before = find_published(root, month - 1)
    known = {"compared_with": before.name if before else None, "received": received}
    given = facts.model_copy(update={"month": str(month), **known})
    publish_revision(root, root.key(), made, given)


@pytest.fixture
def two_months(root: Root, build: Build, facts: MonthFacts) -> Root:
    """October and November; housing came in October only and was carried; credit came in both."""
    for month in ("2021-10", "2021-11"):
        deliver(root, month, "registry", f"r {month}")
        deliver(root, month, "credit", f"c {month}")
    deliver(root, "2021-10", "housing", "h")
    publish_with(root, build("a"), OCTOBER, facts)
    publish_with(root, build("b"), NOVEMBER, facts)
    return root


def test_months_made_from_current_deliveries_are_not_stale(two_months: Root) -> None:
    assert find_stale_months(two_months, SOURCES) == []


@pytest.mark.proves("sources-29")
@pytest.mark.parametrize(
    ("month", "source", "stale"),
    [
        ("2021-10", "credit", [OCTOBER, NOVEMBER]),
        ("2021-10", "registry", [OCTOBER, NOVEMBER]),  # a snapshot too: from there on
        ("2021-10", "housing", [OCTOBER, NOVEMBER]),
        ("2021-11", "housing", [NOVEMBER]),  # the month's own has come after all
        ("2021-09", "credit", [OCTOBER, NOVEMBER]),  # an older month came late
        ("2021-09", "registry", [OCTOBER, NOVEMBER]),
        ("2021-12", "credit", []),
    ],
)
def test_a_changed_or_late_delivery_makes_later_months_stale(
    two_months: Root, month: str, source: str, stale: list[Month]
) -> None:
    deliver(two_months, month, source, "changed")
    assert find_stale_months(two_months, SOURCES) == stale


def test_a_first_delivery_of_a_source_makes_months_stale(two_months: Root) -> None:
    sources = [*SOURCES, "patents"]
    assert find_stale_months(two_months, sources) == []
    deliver(two_months, "2021-11", "patents", "p")
    assert find_stale_months(two_months, sources) == [NOVEMBER]
