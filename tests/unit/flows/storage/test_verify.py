from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from expectations.errors import ExitCode, JifenError
from expectations.month import Month
from flows.extract.pull import pull_up_to
from flows.storage.deliveries import Delivery, delivery_key
from flows.storage.files import to_canonical_json
from flows.storage.keys import compute_mac
from flows.storage.publish import finish_interrupted, publish_revision
from flows.storage.records import MonthFacts
from flows.storage.revisions import Revision, find_published
from flows.storage.root import Root
from flows.storage.verify import verify_root
from tests.support.pulling import settings_of
from transforms.engine.session import EngineSettings, open_engine

OCTOBER, NOVEMBER = Month.parse("2021-10"), Month.parse("2021-11")
Build = Callable[..., Path]


@pytest.fixture
def delivery(root: Root) -> Delivery:
    (root.inbox / "2021-10" / "registry").mkdir(parents=True)
    for name in ("a.csv", "b.csv"):
        (root.inbox / "2021-10" / "registry" / name).write_text(name * 10)
    [received] = pull_up_to(root, settings_of(root), ["registry"], OCTOBER)
    return received


@pytest.fixture
def revision(root: Root, build: Build, facts: MonthFacts, delivery: Delivery) -> Revision:
    """October, published twice, and November; the revision in force of October."""
    facts = facts.model_copy(update={"deliveries": [delivery_key(delivery)]})
    for name, month in (("a", OCTOBER), ("b", OCTOBER), ("c", NOVEMBER)):
        publish_revision(
            root,
            root.key(),
            build(name, shift=len(name)),
            facts.model_copy(update={"month": str(month)}),
        )
    in_force = find_published(root, OCTOBER)
    assert in_force and in_force.number == 2
    return in_force


def flip(file: Path, place: int) -> None:
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)


def resealed(root: Root, revision: Revision, **changes: Any) -> None:
    """A manifest that somebody with the key wrote anew: the .mac holds, what it says does not."""
    manifest = to_canonical_json({**revision.manifest.to_values(), **changes})
    (revision.path / "manifest.json").write_bytes(manifest)
    (revision.path / ".mac").write_bytes(compute_mac(root.key(), manifest))


def test_intact_months_have_no_findings(root: Root, revision: Revision) -> None:
    assert verify_root(root, root.key()) == []
    assert verify_root(root, root.key(), OCTOBER) == []


@pytest.mark.slow
@pytest.mark.promise("outputs-182", "`verify`: hashes, chain, accounts, sums")
def test_a_single_flipped_byte_is_found_in_every_file(root: Root, revision: Revision) -> None:
    files = [path for path in revision.path.rglob("*") if path.is_file()]
    assert len(files) == len(revision.manifest.files) + 2 >= 9
    for file in files:
        size = file.stat().st_size
        for place in {0, size // 3, size // 2, size - 1}:
            flip(file, place)
            findings = verify_root(root, root.key(), OCTOBER)
            assert any("2021-10 r2" in text for text in findings), (file, place)
            flip(file, place)
    assert verify_root(root, root.key()) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["manifest.json", ".mac"])
def test_the_seal_holds_at_every_byte(root: Root, revision: Revision, name: str) -> None:
    size = (revision.path / name).stat().st_size
    for place in range(0, size, 1 if name == ".mac" else 37):
        flip(revision.path / name, place)
        assert any(
            "2021-10 r2" in text and ".mac" in text
            for text in verify_root(root, root.key(), NOVEMBER)
        ), place
        flip(revision.path / name, place)


def test_a_replaced_revision_is_verified_too(root: Root, revision: Revision) -> None:
    flip(revision.path.parent / "r1" / "facts" / "a.parquet", 0)
    assert verify_root(root, root.key()) == ["2021-10 r1：文件 facts/a.parquet 的内容与发布时不同"]
    assert verify_root(root, root.key(), NOVEMBER) == []


def test_missing_and_added_files_are_found(root: Root, revision: Revision) -> None:
    (revision.path / "sql" / "points.sql").rename(revision.path / "sql" / "more.sql")
    assert verify_root(root, root.key()) == [
        "2021-10 r2：缺少文件 sql/points.sql",
        "2021-10 r2：多出文件 sql/more.sql",
    ]


@pytest.mark.proves("outputs-182")
def test_a_removed_or_exchanged_manifest_is_found(root: Root, revision: Revision) -> None:
    resealed(root, revision, published_at="2021-11-01T00:00:00+00:00")
    assert verify_root(root, root.key()) == ["发布记录的链在 2021-11 r1 处断开：它前面的清单被换过"]
    (revision.path.parent / "r1").rename(root.path / "gone")
    assert any("缺少第 1 号" in text for text in verify_root(root, root.key()))


def test_a_revision_in_anothers_place_is_found(root: Root, revision: Revision) -> None:
    revision.path.rename(revision.path.parent / "r3")
    findings = verify_root(root, root.key())
    assert "2021-10：发布链接没有指向最新的修订版 r3" in findings
    assert "2021-10 r3：清单属于 2021-10 r2，放错了文件夹" in findings


def test_links_are_checked(root: Root, revision: Revision) -> None:
    link = root.published / "2021-10"
    link.unlink()
    assert verify_root(root, root.key()) == ["2021-10：发布链接没有指向最新的修订版 r2"]
    link.symlink_to("../months/2021-10/r1")
    assert verify_root(root, root.key()) == ["2021-10：发布链接没有指向最新的修订版 r2"]
    link.rename(root.published / "2021-12")
    assert "2021-12：有发布链接，但没有任何修订版" in verify_root(root, root.key())


def test_another_key_verifies_nothing(root: Root, revision: Revision) -> None:
    assert len([text for text in verify_root(root, bytes(32)) if ".mac" in text]) == 3


@pytest.mark.promise("outputs-183", "`verify`: rows and sums")
@pytest.mark.proves("sources-67")
def test_rows_that_disappeared_are_found(root: Root, revision: Revision, facts: MonthFacts) -> None:
    resealed(root, revision, accounts=[{**facts.accounts[0], "clean": 5}])
    assert "2021-10 r2：来源 registry 2021-10 收到 9 行，有去向的只有 8 行" in verify_root(
        root, root.key()
    )


@pytest.mark.proves("outputs-183")
@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"residents": 3}, "scores 有 2 人，清单记录 3 人"),
        (
            {"sections": {"positive": ["base_points"], "subtracted": ["deduction_points"]}},
            "1 人的共性分不等于各分项之和",
        ),
        (
            {"sections": {"positive": ["base_points", "bonus_points"], "subtracted": []}},
            "2 人的共性分不等于各分项之和",
        ),
    ],
)
def test_sums_that_do_not_add_up_are_found(
    root: Root, revision: Revision, changes: Any, finding: str
) -> None:
    resealed(root, revision, **changes)
    assert f"2021-10 r2：{finding}" in verify_root(root, root.key())


def test_a_total_that_does_not_add_up_is_found(root: Root, build: Build, facts: MonthFacts) -> None:
    made = build("a")
    scores = made / "scores" / "part-0.parquet"
    other = made / "scores" / "other.parquet"
    with open_engine(EngineSettings(), root.tmp / "spill") as connection:
        connection.execute(
            f"COPY (SELECT * REPLACE (total_points + 0.01 AS total_points) FROM '{scores}') TO '{other}'"
        )
    other.replace(scores)
    publish_revision(root, root.key(), made, facts)
    assert verify_root(root, root.key()) == ["2021-10 r1：2 人的总分不等于共性分加个性分"]


def test_received_data_is_checked_against_its_receipt(
    root: Root, revision: Revision, delivery: Delivery
) -> None:
    flip(delivery.parts[1], 3)
    for month in (None, OCTOBER):
        assert verify_root(root, root.key(), month) == [
            "raw/2021-10/registry/d1：文件 b.csv 的内容与收到时不同"
        ]
    delivery.parts[1].unlink()
    assert verify_root(root, root.key()) == ["raw/2021-10/registry/d1：缺少文件 b.csv"]


def test_a_receipt_that_was_rewritten_does_not_match_the_month(
    root: Root, revision: Revision, delivery: Delivery
) -> None:
    receipt = json.loads((delivery.folder / "receipt.json").read_text())
    receipt["content"] = "0" * 64
    (delivery.folder / "receipt.json").write_text(json.dumps(receipt))
    findings = verify_root(root, root.key(), OCTOBER)
    assert findings == [
        "raw/2021-10/registry/d1：收件回执自相矛盾",
        "raw/2021-10/registry/d1：内容与发布时所用的不同",
    ]


def test_a_delivery_that_was_used_and_is_gone_is_found(
    root: Root, revision: Revision, delivery: Delivery
) -> None:
    delivery.folder.rename(root.path / "gone")
    assert verify_root(root, root.key()) == ["raw/2021-10/registry/d1：收到的数据不见了"]


def test_findings_hold_no_content(root: Root, revision: Revision) -> None:
    (revision.path / "restricted" / "identities" / "a.parquet").write_text(
        "330211199001011234 张三"
    )
    assert not any("张三" in text or "3302111990" in text for text in verify_root(root, root.key()))


def test_two_swapped_revisions_are_both_found(root: Root, revision: Revision) -> None:
    folder = revision.path.parent
    (folder / "r1").rename(folder / "aside")
    (folder / "r2").rename(folder / "r1")
    (folder / "aside").rename(folder / "r2")
    findings = verify_root(root, root.key())
    assert "2021-10 r1：清单属于 2021-10 r2，放错了文件夹" in findings
    assert "2021-10 r2：清单属于 2021-10 r1，放错了文件夹" in findings


def test_the_manifest_of_another_month_is_found(root: Root, revision: Revision) -> None:
    for name in ("manifest.json", ".mac"):
        content = (root.months / "2021-11" / "r1" / name).read_bytes()
        (revision.path / name).write_bytes(content)
    findings = verify_root(root, root.key())
    assert "2021-10 r2：清单属于 2021-11 r1，放错了文件夹" in findings
    assert "发布记录不连续：2021-10 r2 之前缺少第 2 号" in findings


def test_a_chain_in_another_order_is_found(root: Root, revision: Revision) -> None:
    november = find_published(root, NOVEMBER)
    assert november
    resealed(root, revision, sequence=3)
    resealed(root, november, sequence=2)
    assert "发布记录的链在 2021-11 r1 处断开：它前面的清单被换过" in verify_root(root, root.key())


@pytest.mark.parametrize("kept", [0, 1, 100, -1])
def test_a_truncated_manifest_is_found(root: Root, revision: Revision, kept: int) -> None:
    key, manifest = root.key(), revision.path / "manifest.json"
    manifest.write_bytes(manifest.read_bytes()[:kept])
    assert "2021-10 r2：清单与校验码（.mac）不符，内容不可信" in verify_root(root, key)


def test_a_mismatch_of_key_and_newest_manifest_names_both(root: Root, revision: Revision) -> None:
    manifest = root.months / "2021-11" / "r1" / "manifest.json"
    known = json.loads(manifest.read_bytes())["key_fingerprint"]
    manifest.write_bytes(manifest.read_bytes().replace(known.encode(), known[::-1].encode()))
    with pytest.raises(JifenError) as caught:
        root.key()
    assert caught.value.code == ExitCode.DAMAGE
    assert (
        "months/2021-11/r1/manifest.json" in caught.value.message
        and "secret.key" in caught.value.where
    )


def test_a_link_in_place_of_a_file_is_found(root: Root, revision: Revision) -> None:
    file = revision.path / "facts" / "a.parquet"
    file.rename(root.path / "a.parquet")
    file.symlink_to(root.path / "a.parquet")
    assert verify_root(root, root.key()) == ["2021-10 r2：facts/a.parquet 不是普通文件"]
    (revision.path / "more").symlink_to(root.path)
    assert "2021-10 r2：多出文件 more" in verify_root(root, root.key())
    for name in ("manifest.json", ".mac"):
        (revision.path / name).rename(root.path / name)
        (revision.path / name).symlink_to(root.path / name)
        assert "2021-10 r2：清单与校验码（.mac）不符，内容不可信" in verify_root(root, root.key())
        (root.path / name).replace(revision.path / name)


@pytest.mark.parametrize(
    "name",
    [
        "months/2021-11",
        "months/2021-10/r2",
        "raw/2021-10",
        "raw/2021-10/registry",
        "raw/2021-10/registry/d1",
    ],
)
def test_a_link_in_the_place_of_a_folder_is_found(
    root: Root, revision: Revision, name: str
) -> None:
    (root.path / name).rename(root.path / "elsewhere")
    (root.path / name).symlink_to(root.path / "elsewhere")
    assert verify_root(root, root.key()) == [f"{name}：是链接，不是文件夹"]


@pytest.mark.parametrize(
    "name",
    [
        *(
            "months/notes",
            "months/2021-12",
            "months/2021-10/notes",
            "months/2021-10/r01",
            "published/latest",
        ),
        *(
            "raw/notes",
            "raw/2021-12",
            "raw/2021-10/notes",
            "raw/2021-10/registry/notes",
            "raw/2021-10/registry/d01",
        ),
    ],
)
def test_stray_files_beside_months_and_deliveries_are_found(
    root: Root, revision: Revision, name: str
) -> None:
    """But for what begins with a dot: a draft that a killed run has left."""
    (root.path / name).with_name(".draft").write_text("")
    if name.endswith("01"):
        shutil.copytree(root.path / name.replace("01", "1"), root.path / name)
    else:
        (root.path / name).write_text("")
    assert verify_root(root, root.key()) == [f"{name}：不属于这里"]


def test_a_pipe_in_place_of_a_file_is_found(root: Root, revision: Revision) -> None:
    (revision.path / "facts" / "a.parquet").unlink()
    os.mkfifo(revision.path / "facts" / "a.parquet")
    assert verify_root(root, root.key()) == ["2021-10 r2：facts/a.parquet 不是普通文件"]


def test_an_interrupted_publication_is_not_reported_as_damage(
    root: Root, revision: Revision
) -> None:
    (root.published / "2021-11").unlink()
    assert verify_root(root, root.key()) == [
        "2021-11：发布链接没有指向最新的修订版 r1；若是发布时中断，再运行一次即可"
    ]
    with root.lock():  # the run that publishes it lives
        assert verify_root(root, root.key()) == []
    assert finish_interrupted(root, root.key())
    assert verify_root(root, root.key()) == []


def test_files_added_to_a_delivery_are_found(
    root: Root, revision: Revision, delivery: Delivery
) -> None:
    (delivery.folder / ".receipt.json.4711").write_text("a draft that a killed run has left")
    assert verify_root(root, root.key()) == []
    (delivery.folder / "c.csv").write_text("c")
    assert verify_root(root, root.key()) == ["raw/2021-10/registry/d1：多出文件 c.csv"]


def test_a_receipt_from_elsewhere_is_found(
    root: Root, revision: Revision, delivery: Delivery
) -> None:
    receipt = json.loads((delivery.folder / "receipt.json").read_text())
    (delivery.folder / "receipt.json").write_text(json.dumps({**receipt, "source": "housing"}))
    assert verify_root(root, root.key()) == [
        "raw/2021-10/registry/d1：收件回执属于 2021-10 housing，放错了文件夹"
    ]
