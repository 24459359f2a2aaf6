"""What is on offer is received once, whole, byte for byte as it came, or refused."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from expectations.errors import ExitCode, JifenError
from expectations.month import Month
from flows.extract.inbox import list_inbox_months
from flows.extract.pull import PullFailedError, pull_up_to
from flows.settings import SourceSettings
from flows.storage.deliveries import Delivery, list_deliveries, record_row_count
from flows.storage.root import Root
from tests.support.pulling import names, settings_of

SEPTEMBER, OCTOBER, NOVEMBER = (
    Month.parse("2021-09"),
    Month.parse("2021-10"),
    Month.parse("2021-11"),
)


def offer(root: Root, name: str, content: bytes = b"a,b\n1,2\n", month: Month = OCTOBER) -> Path:
    file = root.inbox / str(month) / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file


def pull(root: Root, *sources: str, month: Month = OCTOBER, **origins: str) -> list[Delivery]:
    given = {name: SourceSettings(origin=origin) for name, origin in origins.items()}
    return pull_up_to(root, settings_of(root, **given), sources or ("registry",), month)


def refused(root: Root, *sources: str, **origins: str) -> JifenError:
    with pytest.raises(JifenError) as caught:
        pull(root, *sources, **origins)
    assert caught.value.code == ExitCode.EXTRACT
    assert list(root.raw.rglob("d*")) == []
    return caught.value


# --- what comes in ---


@pytest.mark.promise("sources-27", "received byte for byte, with a receipt")
@pytest.mark.promise("outputs-21", "Raw extracts byte for byte, with a receipt")
@pytest.mark.promise("outputs-73", "Inbox folders by month are where departments drop extracts")
def test_a_file_is_kept_byte_for_byte_with_its_receipt(root: Root) -> None:
    content = "身份\r\n1\x00\n".encode("gb18030")
    file = offer(root, "registry.csv", content)
    [delivery] = pull(root)
    folder = root.raw / "2021-10" / "registry" / "d1"
    assert (delivery.source, delivery.month, delivery.number, delivery.folder) == (
        "registry",
        OCTOBER,
        1,
        folder,
    )
    assert (
        delivery.parts == (folder / "registry.csv",) and delivery.parts[0].read_bytes() == content
    )
    receipt = json.loads((folder / "receipt.json").read_text())
    [part] = receipt["parts"]
    assert part["sha256"] == hashlib.sha256(content).hexdigest() and part["bytes"] == len(content)
    assert receipt["origin"] == str(file) and receipt["received_at"]
    assert delivery.receipt.to_values() == receipt and delivery.content == receipt["content"]
    assert list_deliveries(root, "registry") == [delivery]
    assert list((root.tmp / "pull").iterdir()) == []


@pytest.mark.promise("sources-10", "inbox/month/source.csv, .parquet, .xlsx, or a folder of parts")
def test_parts_are_taken_in_byte_order_without_hidden_files(root: Root) -> None:
    for name in ("b.csv", "a/z.csv", "a-1.csv", "B.csv", "é.csv", ".b.csv.swp", ".tmp/c.csv"):
        offer(root, f"postings/{name}", name.encode())
    [delivery] = pull(root, "postings")
    assert names(delivery) == ["B.csv", "a-1.csv", "a/z.csv", "b.csv", "é.csv"]
    hashes = [hashlib.sha256(name.encode()).hexdigest() for name in names(delivery)]
    assert [part.sha256 for part in delivery.receipt.parts] == hashes
    assert (
        delivery.content
        == hashlib.sha256("".join(f"{item}\n" for item in hashes).encode()).hexdigest()
    )


@pytest.mark.proves("sources-10")
def test_only_the_sources_asked_for_are_taken(root: Root) -> None:
    offer(root, "registry.csv")
    offer(root, "education.xlsx", b"x")
    offer(root, "notes.csv")
    offer(root, ".education.csv")
    assert [delivery.source for delivery in pull(root, "education", "patents", "registry")] == [
        "education",
        "registry",
    ]
    assert sorted(item.name for item in (root.raw / "2021-10").iterdir()) == [
        "education",
        "registry",
    ]


def test_without_files_there_is_no_delivery(root: Root) -> None:
    (root.inbox / "2021-10" / "registry").mkdir(parents=True)
    assert pull(root) == [] and pull(root, month=NOVEMBER) == []
    assert list_deliveries(root, "registry") == []


@pytest.mark.promise("sources-28", "a changed delivery becomes d2 beside d1 and replaces it")
@pytest.mark.promise("outputs-74", "Every delivery kept as d1, d2 ... with origin, hashes, time")
def test_only_changed_content_makes_a_new_delivery(root: Root) -> None:
    offer(root, "registry.csv", b"one")
    pull(root)
    assert pull(root) == []
    offer(root, "registry.csv", b"one")  # written again, the times are new
    assert pull(root) == []
    offer(root, "registry.csv", b"two")
    [second] = pull(root)
    assert second.number == 2
    assert (root.raw / "2021-10/registry/d1/registry.csv").read_bytes() == b"one"
    offer(root, "registry.csv", b"one")
    assert [delivery.number for delivery in pull(root)] == [3]  # going back is a change, too
    assert [delivery.number for delivery in list_deliveries(root, "registry")] == [3]


@pytest.mark.proves("outputs-74")
def test_the_tenth_delivery_is_newer_than_the_ninth(root: Root) -> None:
    for number in range(1, 12):
        offer(root, "registry.csv", b"%d" % number)
        pull(root)
    assert [delivery.number for delivery in list_deliveries(root, "registry")] == [11]


def test_an_unchanged_older_month_is_not_read_again(root: Root) -> None:
    offer(root, "registry.csv", b"one")
    pull(root)
    receipt = root.raw / "2021-10/registry/d1/receipt.json"
    known = json.loads(receipt.read_text())
    known["content"] = "not what a hash would give"
    receipt.write_text(json.dumps(known))
    assert (
        pull(root, month=NOVEMBER) == []
    )  # by its times it is unchanged: its content was not looked at
    assert [delivery.number for delivery in pull(root)] == [2]
    offer(root, "registry.csv", b"two")
    assert [delivery.number for delivery in pull(root, month=NOVEMBER)] == [3]


def test_deliveries_are_given_by_ascending_month(root: Root) -> None:
    for month in (NOVEMBER, SEPTEMBER, OCTOBER):
        offer(root, "registry.csv", str(month).encode(), month)
        pull(root, month=month)
    (root.inbox / "2021-13").mkdir()
    (root.inbox / "lost+found").mkdir()
    assert [delivery.month for delivery in list_deliveries(root, "registry")] == [
        SEPTEMBER,
        OCTOBER,
        NOVEMBER,
    ]
    assert list_inbox_months(root.inbox) == [SEPTEMBER, OCTOBER, NOVEMBER]


@pytest.mark.promise("outputs-22", "The receipt gets its rows")
def test_the_number_of_rows_is_added_to_the_receipt(root: Root) -> None:
    offer(root, "registry.csv")
    [delivery] = pull(root)
    assert record_row_count(delivery, 7).receipt == delivery.receipt.model_copy(update={"rows": 7})
    assert list_deliveries(root, "registry")[0].receipt.rows == 7


# --- what is refused ---


def test_what_is_wrong_with_one_source_keeps_no_other_from_being_received(root: Root) -> None:
    for name in ("a.csv", "a.xlsx", "b.csv", "c/p1.csv", "c/p2.xls"):
        offer(root, name)
    offer(root, "a.csv", month=SEPTEMBER)
    with pytest.raises(PullFailedError) as caught:
        pull(root, "a", "b", "c")
    assert [(one.source, one.month) for one in caught.value.failures] == [
        ("a", OCTOBER),
        ("c", OCTOBER),
    ]
    assert [(one.source, one.month) for one in caught.value.new] == [
        ("a", SEPTEMBER),
        ("b", OCTOBER),
    ]


def test_by_products_in_a_folder_of_parts_are_passed_over(root: Root) -> None:
    for name in ("p1.csv.gz", "Thumbs.db", "_SUCCESS", "~$p1.xlsx", "p2.csv.part", "desktop.ini"):
        offer(root, f"registry/{name}")
    [delivery] = pull(root)
    assert names(delivery) == ["p1.csv.gz"]


@pytest.mark.promise("sources-11", "several offers of one source, or mixed formats, are refused")
def test_a_file_beside_a_folder_or_two_formats_are_ambiguous(root: Root) -> None:
    offer(root, "registry.csv")
    offer(root, "registry.parquet")
    assert "2021-10/registry.csv、2021-10/registry.parquet" in refused(root).message
    (root.inbox / "2021-10/registry.parquet").unlink()
    offer(root, "registry/p1.csv")
    assert "多份" in refused(root).message
    (root.inbox / "2021-10/registry.csv").unlink()
    offer(root, "registry/p2.parquet")
    assert "格式不一" in refused(root).message


def test_a_part_in_an_unsupported_format_is_refused(root: Root) -> None:
    offer(root, "registry/p1.csv")
    offer(root, "registry/p2.xls")
    assert "p2.xls" in refused(root).where


def test_a_part_name_that_is_not_utf8_is_refused(root: Root) -> None:
    """As a zip made on an older Windows leaves it: bytes that are not UTF-8."""
    offer(root, f"registry/{os.fsdecode('社保.csv'.encode('gbk'))}")
    error = refused(root)
    assert "不是 UTF-8" in error.message and str(error).encode()


@pytest.mark.proves("sources-155")
def test_a_link_does_not_bring_in_a_file_from_elsewhere(root: Root, tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("secret")
    month = root.inbox / "2021-10"
    month.mkdir()
    (month / "registry.csv").symlink_to(tmp_path / "secret.csv")
    assert "registry.csv" in refused(root).where
    (month / "registry.csv").unlink()
    (month / "registry").symlink_to(tmp_path)
    refused(root)
    (month / "registry").unlink()
    (month / "registry").mkdir()
    (month / "registry" / "more").symlink_to(tmp_path)
    refused(root)


def test_a_pipe_is_refused_instead_of_waited_for(root: Root) -> None:
    (root.inbox / "2021-10").mkdir()
    os.mkfifo(root.inbox / "2021-10" / "registry.csv")
    refused(root)


def test_a_file_that_is_still_being_written_is_refused(root: Root) -> None:
    file = offer(root, "registry.csv", b"x" * (48 << 20))
    script = "import sys\nwith open(sys.argv[1], 'ab', 0) as f:\n print(flush=True)\n while True: f.write(b'x')"
    writer = subprocess.Popen([sys.executable, "-c", script, str(file)], stdout=subprocess.PIPE)
    assert writer.stdout and writer.stdout.readline()
    try:
        assert "仍有变化" in refused(root).message
    finally:
        writer.kill()
        writer.wait()
        writer.stdout.close()
    assert len(pull(root)) == 1


def test_a_corrupted_receipt_is_damage_and_names_the_file(root: Root) -> None:
    offer(root, "registry.csv")
    [delivery] = pull(root)
    (delivery.folder / "receipt.json").write_text("{")
    with pytest.raises(JifenError) as caught:
        list_deliveries(root, "registry")
    assert caught.value.code == ExitCode.DAMAGE and "receipt.json" in caught.value.where


@pytest.mark.slow
def test_a_killed_pull_leaves_whole_deliveries_and_can_be_repeated(
    root: Root, kill_at: Callable[[int, Callable[[], object]], bool]
) -> None:
    for name in ("p1.csv", "p2.csv", "deep/p3.csv"):
        offer(root, f"registry/{name}", name.encode() * 1000)
    kills = 0
    for step in range(1, 100):
        if not kill_at(step, lambda: pull(root)):
            break
        kills += 1
        for delivery in list_deliveries(root, "registry"):
            assert [part.stat().st_size for part in delivery.parts] == [11000, 6000, 6000]
        pull(root)
        [whole] = list_deliveries(root, "registry")
        assert names(whole) == ["deep/p3.csv", "p1.csv", "p2.csv"]
        subprocess.run(["rm", "-r", str(root.raw / "2021-10")], check=True)
    assert kills >= 8


# --- configured origins ---


@pytest.mark.promise("sources-12", "an origin may be a file, a folder, a glob with `{month}`")
def test_an_origin_may_be_file_folder_or_glob(root: Root, tmp_path: Path) -> None:
    """Its folder may be called like a pattern: what is there is none."""
    share = tmp_path / "share [1]" / "2021-10"
    share.mkdir(parents=True)
    for name in ("ss_b.csv", "ss_a.csv", "other.csv", ".ss_c.csv"):
        (share / name).write_text(name)
    base = str(tmp_path / "share [1]" / "{month}")
    found = pull(root, "a", "b", "c", a=f"{base}/ss_a.csv", b=base, c=f"{base}/ss_*.csv")
    assert [names(delivery) for delivery in found] == [
        ["ss_a.csv"],
        ["other.csv", "ss_a.csv", "ss_b.csv"],
        ["ss_a.csv", "ss_b.csv"],
    ]
    assert found[2].receipt.origin == str(share)
    assert pull(root, "a", "c", month=NOVEMBER, a=f"{base}/ss_a.csv", c=f"{base}/ss_*.csv") == []
