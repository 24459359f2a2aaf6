from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from expectations.month import Month
from expectations.problems import ExitCode, JifenError
from flows.pull import Delivery, deliveries, inbox_months, note_rows, pull_month
from flows.root import Root
from flows.serving import Serving, serving, stale_increment
from flows.settings import Paths, Settings, SourceSettings

SEPTEMBER, OCTOBER, NOVEMBER = Month.parse("2021-09"), Month.parse("2021-10"), Month.parse("2021-11")


def offer(root: Root, name: str, content: bytes = b"a,b\n1,2\n", month: Month = OCTOBER) -> Path:
    file = root.inbox / str(month) / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file


def settings(root: Root, **origins: str) -> Settings:
    sources = {name: SourceSettings(origin=origin) for name, origin in origins.items()}
    return Settings(paths=Paths(root=root.path, inbox=root.inbox), sources=sources)


def pull(root: Root, *names: str, month: Month = OCTOBER, rehash: bool = True, **origins: str) -> list[Delivery]:
    return pull_month(root, settings(root, **origins), names or ("registry",), month, rehash=rehash)


def refused(root: Root, *names: str, **origins: str) -> JifenError:
    with pytest.raises(JifenError) as caught:
        pull(root, *names, **origins)
    assert caught.value.code == ExitCode.EXTRACT
    assert list(root.raw.rglob("d*")) == []
    return caught.value


def names(delivery: Delivery) -> list[str]:
    return [part.relative_to(delivery.folder).as_posix() for part in delivery.parts]


# --- what comes in ---


def test_a_file_is_kept_byte_for_byte_with_its_receipt(root: Root) -> None:
    content = "身份\r\n1\x00\n".encode("gb18030")
    file = offer(root, "registry.csv", content)
    [delivery] = pull(root)
    folder = root.raw / "2021-10" / "registry" / "d1"
    assert (delivery.source, delivery.month, delivery.number, delivery.folder) == ("registry", OCTOBER, 1, folder)
    assert delivery.parts == (folder / "registry.csv",) and delivery.parts[0].read_bytes() == content
    receipt = json.loads((folder / "receipt.json").read_text())
    [part] = receipt["parts"]
    assert part["sha256"] == hashlib.sha256(content).hexdigest() and part["bytes"] == len(content)
    assert receipt["origin"] == str(file) and receipt["received_at"]
    assert delivery.receipt == receipt and delivery.content == receipt["content"]
    assert deliveries(root, "registry") == [delivery]
    assert list((root.tmp / "pull").iterdir()) == []


def test_parts_are_taken_in_the_byte_order_of_their_paths_and_hidden_ones_are_not(root: Root) -> None:
    for name in ("b.csv", "a/z.csv", "a-1.csv", "B.csv", "é.csv", ".b.csv.swp", ".tmp/c.csv"):
        offer(root, f"postings/{name}", name.encode())
    [delivery] = pull(root, "postings")
    assert names(delivery) == ["B.csv", "a-1.csv", "a/z.csv", "b.csv", "é.csv"]
    hashes = [hashlib.sha256(name.encode()).hexdigest() for name in names(delivery)]
    assert [part["sha256"] for part in delivery.receipt["parts"]] == hashes
    assert delivery.content == hashlib.sha256("".join(f"{item}\n" for item in hashes).encode()).hexdigest()


def test_only_the_sources_asked_for_are_taken(root: Root) -> None:
    offer(root, "registry.csv")
    offer(root, "education.xlsx", b"x")
    offer(root, "notes.csv")
    offer(root, ".education.csv")
    assert [delivery.source for delivery in pull(root, "education", "patents", "registry")] == ["education", "registry"]
    assert sorted(item.name for item in (root.raw / "2021-10").iterdir()) == ["education", "registry"]


def test_nothing_on_offer_is_no_delivery(root: Root) -> None:
    (root.inbox / "2021-10" / "registry").mkdir(parents=True)
    assert pull(root) == [] and pull(root, month=NOVEMBER) == []
    assert deliveries(root, "registry") == []


def test_the_same_content_again_is_no_new_delivery_and_changed_content_is_the_next(root: Root) -> None:
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
    assert [delivery.number for delivery in deliveries(root, "registry")] == [3]


def test_the_tenth_delivery_is_newer_than_the_ninth(root: Root) -> None:
    for number in range(1, 12):
        offer(root, "registry.csv", b"%d" % number)
        pull(root)
    assert [delivery.number for delivery in deliveries(root, "registry")] == [11]


def test_an_older_month_is_not_read_again_while_sizes_and_times_are_the_same(root: Root) -> None:
    offer(root, "registry.csv", b"one")
    pull(root)
    receipt = root.raw / "2021-10/registry/d1/receipt.json"
    known = json.loads(receipt.read_text())
    known["content"] = "not what a hash would give"
    receipt.write_text(json.dumps(known))
    assert pull(root, rehash=False) == []  # by its times it is unchanged: its content was not looked at
    assert [delivery.number for delivery in pull(root, rehash=True)] == [2]
    offer(root, "registry.csv", b"two")
    assert [delivery.number for delivery in pull(root, rehash=False)] == [3]


def test_deliveries_are_given_by_ascending_month(root: Root) -> None:
    for month in (NOVEMBER, SEPTEMBER, OCTOBER):
        offer(root, "registry.csv", str(month).encode(), month)
        pull(root, month=month)
    (root.inbox / "2021-13").mkdir()
    (root.inbox / "lost+found").mkdir()
    assert [delivery.month for delivery in deliveries(root, "registry")] == [SEPTEMBER, OCTOBER, NOVEMBER]
    assert inbox_months(root) == [SEPTEMBER, OCTOBER, NOVEMBER]


def test_the_number_of_rows_is_added_to_the_receipt(root: Root) -> None:
    offer(root, "registry.csv")
    [delivery] = pull(root)
    assert note_rows(delivery, 7).receipt == {**delivery.receipt, "rows": 7}
    assert deliveries(root, "registry")[0].receipt["rows"] == 7


# --- what is refused ---


def test_a_file_beside_a_folder_or_two_formats_are_ambiguous(root: Root) -> None:
    offer(root, "registry.csv")
    offer(root, "registry.parquet")
    assert "registry.csv、registry.parquet" in refused(root).what
    (root.inbox / "2021-10/registry.parquet").unlink()
    offer(root, "registry/p1.csv")
    assert "多份" in refused(root).what
    (root.inbox / "2021-10/registry.csv").unlink()
    offer(root, "registry/p2.parquet")
    assert "格式不一" in refused(root).what


def test_a_part_that_nobody_would_read_is_not_passed_over(root: Root) -> None:
    offer(root, "registry/p1.csv")
    offer(root, "registry/p2.csv.gz")
    assert "p2.csv.gz" in refused(root).where


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
        assert "仍有变化" in refused(root).what
    finally:
        writer.kill()
        writer.wait()
        writer.stdout.close()
    assert len(pull(root)) == 1


def test_a_receipt_that_was_spoilt_is_damage_and_names_the_file(root: Root) -> None:
    offer(root, "registry.csv")
    [delivery] = pull(root)
    (delivery.folder / "receipt.json").write_text("{")
    with pytest.raises(JifenError) as caught:
        deliveries(root, "registry")
    assert caught.value.code == ExitCode.DAMAGE and "receipt.json" in caught.value.where


def test_a_kill_at_any_step_leaves_a_whole_delivery_or_none_and_the_next_pull_finishes(
    root: Root, kill_at: Callable[[int, Callable[[], object]], bool]
) -> None:
    for name in ("p1.csv", "p2.csv", "deep/p3.csv"):
        offer(root, f"registry/{name}", name.encode() * 1000)
    kills = 0
    for step in range(1, 100):
        if not kill_at(step, lambda: pull(root)):
            break
        kills += 1
        for delivery in deliveries(root, "registry"):
            assert [part.stat().st_size for part in delivery.parts] == [11000, 6000, 6000]
        pull(root)
        [whole] = deliveries(root, "registry")
        assert names(whole) == ["deep/p3.csv", "p1.csv", "p2.csv"]
        subprocess.run(["rm", "-r", str(root.raw / "2021-10")], check=True)
    assert kills >= 8


# --- configured origins ---


def test_an_origin_may_be_a_file_a_folder_or_a_glob(root: Root, tmp_path: Path) -> None:
    share = tmp_path / "share" / "2021-10"
    share.mkdir(parents=True)
    for name in ("ss_b.csv", "ss_a.csv", "other.csv", ".ss_c.csv"):
        (share / name).write_text(name)
    base = str(tmp_path / "share" / "{month}")
    found = pull(root, "a", "b", "c", a=f"{base}/ss_a.csv", b=base, c=f"{base}/ss_*.csv")
    assert [names(delivery) for delivery in found] == [
        ["ss_a.csv"],
        ["other.csv", "ss_a.csv", "ss_b.csv"],
        ["ss_a.csv", "ss_b.csv"],
    ]
    assert found[2].receipt["origin"] == str(share)
    assert pull(root, "a", "c", month=NOVEMBER, a=f"{base}/ss_a.csv", c=f"{base}/ss_*.csv") == []


# --- which delivery serves ---


def received(*months: str, source: str = "housing", content: str = "") -> list[Delivery]:
    parsed = [Month.parse(month) for month in months]
    return [Delivery(source, month, 1, Path(), content or str(month), (), {}) for month in parsed]


def served(kind: str, carry: int, had: list[Delivery], month: str, source: str = "housing", **allowed: str) -> Serving:
    return serving(source, "住房", kind, carry, had, Month.parse(month), allowed)


def months(serves: Serving) -> list[str]:
    return [str(delivery.month) for delivery in serves.deliveries]


def missing(kind: str, carry: int, had: list[Delivery], month: str, source: str = "housing", **allowed: str) -> str:
    with pytest.raises(JifenError) as caught:
        served(kind, carry, had, month, source, **allowed)
    assert caught.value.code == ExitCode.EXTRACT
    return str(caught.value)


def test_of_a_snapshot_the_month_itself_serves_of_an_increment_all_up_to_it() -> None:
    had = received("2021-08", "2021-09", "2021-10", "2021-11")
    assert months(served("snapshot", 0, had, "2021-10")) == ["2021-10"]
    assert months(served("increment", 0, had, "2021-10")) == ["2021-08", "2021-09", "2021-10"]


def test_a_missing_month_names_source_months_and_the_way_out() -> None:
    had = received("2021-07", "2021-09")
    message = missing("increment", 0, had, "2021-10")
    assert "住房（housing）缺少 2021-08、2021-10 的数据" in message and "--allow-missing housing=" in message
    assert "2021-10" not in missing("increment", 0, had, "2021-09")
    assert months(served("increment", 0, had, "2021-07")) == ["2021-07"]


def test_an_allowed_gap_is_recorded_with_its_reason() -> None:
    serves = served("increment", 0, received("2021-07", "2021-09"), "2021-10", housing="停机")
    assert months(serves) == ["2021-07", "2021-09"]
    assert [str(month) for month in serves.missing] == ["2021-08", "2021-10"] and serves.reason == "停机"
    whole = served("increment", 0, received("2021-10"), "2021-10", housing="停机")
    assert (whole.missing, whole.reason) == ((), None)


def test_a_snapshot_is_carried_forward_as_far_as_declared_and_no_further() -> None:
    had = received("2021-06", "2021-07")
    serves = served("snapshot", 3, had, "2021-10")
    assert months(serves) == ["2021-07"] and serves.carried_from == Month.parse("2021-07")
    assert serves.missing == ()
    assert "2021-11" in missing("snapshot", 3, had, "2021-11")
    assert served("snapshot", 3, received("2021-10"), "2021-10").carried_from is None
    assert "2021-08" in missing("increment", 3, had, "2021-08")


def test_an_old_snapshot_beyond_its_reach_does_not_serve_even_when_the_gap_is_allowed() -> None:
    serves = served("snapshot", 1, received("2021-07"), "2021-10", housing="停机")
    assert serves.deliveries == () and [str(month) for month in serves.missing] == ["2021-09", "2021-10"]


def test_a_past_gap_counts_even_though_the_snapshot_of_the_month_is_there() -> None:
    had = received("2021-07", "2021-10")
    assert "2021-08、2021-09" in missing("snapshot", 0, had, "2021-10")
    assert months(served("snapshot", 2, had, "2021-10")) == ["2021-10"]


def test_a_source_that_never_came_is_missing_and_may_be_allowed() -> None:
    assert "patents" in missing("increment", 0, [], "2021-10", "patents")
    assert "patents" in missing("increment", 0, received("2021-11"), "2021-10", "patents")
    serves = served("increment", 0, [], "2021-10", "patents", patents="尚未接入")
    assert serves == Serving((), None, (OCTOBER,), "尚未接入")


def test_the_registry_is_never_carried_nor_missing_in_the_month_itself() -> None:
    had = received("2021-08", "2021-10", source="registry")
    assert "--allow-missing" not in missing("snapshot", 3, had, "2021-09", "registry", registry="停机")
    assert "registry" in missing("snapshot", 3, [], "2021-09", "registry", registry="停机")
    assert months(served("snapshot", 0, had, "2021-10", "registry", registry="停机")) == ["2021-10"]


def test_an_increment_equal_to_an_earlier_month_is_last_months_file() -> None:
    [old] = received("2021-09", content="same")
    [new] = received("2021-10", content="same")
    with pytest.raises(JifenError, match=r"2021-09.*以前月份的文件") as caught:
        stale_increment([old, new], new, rows=3)
    assert caught.value.code == ExitCode.GATE
    stale_increment([old, new], new, rows=0)  # nothing happened twice
    stale_increment([old, new], old, rows=3)  # the earlier one is the original
    stale_increment([old, *received("2021-10")], received("2021-10")[0], rows=3)
