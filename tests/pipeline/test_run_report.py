"""The run report as text: a published, a held and a blocked month of a small town."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from expectations.errors import JifenError
from tests.support.held_city import NOVEMBER, PEOPLE, copied, degrees, held, registry
from tests.support.snapshots import TextSnapshot, page_text
from tests.support.world import World


@pytest.fixture
def snapshot(snapshot: SnapshotAssertion) -> SnapshotAssertion:
    return snapshot.use_extension(TextSnapshot)


def read_report(page: Path) -> str:
    """Return the text of a report; what differs from run to run is replaced."""
    text = page_text(page.read_text(encoding="utf-8"))
    text = re.sub(r"程序 [0-9.]+", "程序 V", text)
    text = re.sub(r"生成时间 [-0-9]+ [0-9:]+", "生成时间 T", text)
    head, title, timings = text.partition("\n用时\n各步骤")
    return head + title + re.sub(r"\d+\.\d", "N", timings)


def test_the_report_of_a_published_month(
    october_town: World, tmp_path: Path, snapshot: SnapshotAssertion
) -> None:
    town = copied(october_town, tmp_path / "town")
    unreadable = {**registry()[0], "resident_id": "330201"}
    doctor = {**degrees(PEOPLE[:1])[0], "certificate_no": "P", "level": "doctor"}
    town.deliver(
        NOVEMBER, registry=[*registry(), unreadable], education=[*degrees(PEOPLE[1:]), doctor]
    )
    town.run(NOVEMBER)
    page = town.revision(NOVEMBER).path / "report" / "index.html"
    assert read_report(page) == snapshot


def test_the_verdict_of_a_held_month(
    october_town: World, tmp_path: Path, snapshot: SnapshotAssertion
) -> None:
    town = copied(october_town, tmp_path / "town")
    town.deliver(NOVEMBER, registry=registry(), education=degrees(PEOPLE[:4]))
    verdict, _, _ = read_report(Path(held(town).where)).partition("收到的数据\n各来源")
    assert verdict == snapshot


def test_the_report_of_a_blocked_month(
    october_town: World, tmp_path: Path, snapshot: SnapshotAssertion
) -> None:
    town = copied(october_town, tmp_path / "town")
    wrong = [{**row, "level": "<b>本科</b>"} for row in degrees()]
    town.deliver(NOVEMBER, registry=registry(), education=wrong)
    with pytest.raises(JifenError):
        town.run(NOVEMBER)
    (page,) = town.root.runs.glob(f"*-{NOVEMBER}.html")
    text = read_report(page).replace(str(town.root.path), "ROOT")
    assert text.replace(str(town.inbox), "INBOX") == snapshot
