"""One declaration, everything else derived: what a new source and a new indicator bring about by themselves."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import pytest

from expectations.source_loader import BUILTIN_SOURCES
from flows.settings import OWN_DECLARATIONS
from tests.support.world import World, national_id, write_csv

PERSON = national_id("51010219850101101")
SOURCE = """
source: library
title: 图书借阅
department: 文旅
delivery: increment
person: resident_id
key: [loan_no]

columns:
  loan_no: {title: 借阅号, type: text, required: true}
  resident_id: {title: 公民身份号码, type: id, required: true}
  on_date: {title: 日期, type: date, required: true}

facts:
  loans:
    title: 借阅次数
    unit: count
    meaning: 借阅图书的次数
    meaning_en: Books borrowed
    measure: count
"""
INDICATOR = """
      reading: {title: 阅读, section: bonus, fact: loans, rule: {each: {unit: 1, points: 2}}, cap: 4, basis: 试验,
        values: published, evidence: "借阅 {loans} 次", examples: {1: 2, 3: 4}}
"""


@pytest.mark.promise("outputs-18", "Developer: a source is one file, an indicator one entry")
@pytest.mark.promise(
    "outputs-36", "A source's declaration makes its checks, cleaning, facts, dictionary entry"
)
def test_a_new_source_and_a_new_indicator_are_a_file_and_an_entry(tmp_path: Path) -> None:
    policy = tmp_path / "policy"
    for name in ("points", "services", "reminders"):
        shutil.copytree(OWN_DECLARATIONS / name, policy / name)
    shutil.copytree(BUILTIN_SOURCES, policy / "sources")
    (policy / "sources" / "library.yaml").write_text(SOURCE, encoding="utf-8")
    city = policy / "points" / "city.yaml"
    text = city.read_text(encoding="utf-8")
    city.write_text(
        text.replace("    indicators:\n", f"    indicators:\n{INDICATOR}", 1), encoding="utf-8"
    )

    world = World(tmp_path, policy=policy)
    world.deliver(
        "2021-10",
        registry=[{"resident_id": PERSON, "residence_district": "330203", "status": "resident"}],
    )
    loans = [{"loan_no": str(n), "resident_id": PERSON, "on_date": "2021-09-01"} for n in range(3)]
    wrong = {"loan_no": "4", "resident_id": PERSON, "on_date": "2021-02-30"}
    write_csv(
        world.inbox / "2021-10" / "library.csv",
        ["loan_no", "resident_id", "on_date"],
        [*loans, loans[0], wrong],
    )
    world.run("2021-10")

    (refused,) = world.kept("quarantine", "library")  # its checks
    assert refused["reasons"] == ["on_date:bad_value"]
    assert len(world.kept("clean", "library")) == 3  # its cleaning: the copy is superseded
    assert world.table("2021-10", "facts")[0]["loans"] == 3  # its facts
    assert world.score("2021-10", PERSON)["reading_points"] == 4
    with duckdb.connect(
        str(world.root.exact_catalogue), read_only=True
    ) as catalogue:  # its entries in the dictionary
        described = "SELECT column_name, title_zh FROM dictionary WHERE column_name IN ('loans', 'reading_points')"
        assert sorted(catalogue.execute(described).fetchall()) == [
            ("loans", "借阅次数"),
            ("reading_points", "阅读"),
        ]
    report = (world.revision("2021-10").path / "report" / "index.html").read_text(encoding="utf-8")
    assert "图书借阅（文旅）" in report
