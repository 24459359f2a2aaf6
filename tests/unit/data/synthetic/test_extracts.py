"""Synthetic extracts: the same for the same arguments, and made from nothing but the declarations."""

from __future__ import annotations

import filecmp
from pathlib import Path
from typing import Any

import pytest

from expectations.month import Month
from expectations.source_model import Source
from expectations.synthetic_model import Synthetic
from expectations.yaml_document import YamlDocument
from tests.support.generated_city import FIRST, SECOND, SOURCES, make, table


def files(folder: Path) -> list[Path]:
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())


@pytest.mark.slow
@pytest.mark.proves("outputs-159")
def test_the_same_arguments_give_the_same_bytes_whatever_the_threads(tmp_path: Path) -> None:
    once = make(tmp_path / "a", 2000, [FIRST, SECOND], faults=True, threads=1)
    again = make(tmp_path / "b", 2000, [FIRST, SECOND], faults=True, threads=2)
    assert len(files(once)) == 2 * len(SOURCES) + 1
    assert filecmp.cmpfiles(once, again, files(once), shallow=False)[1:] == ([], [])


def test_a_month_does_not_depend_on_the_months_after_it(tmp_path: Path) -> None:
    short = make(tmp_path / "a", 2000, [FIRST])
    long = make(tmp_path / "b", 2000, Month.span(FIRST, FIRST + 3))
    assert filecmp.cmpfiles(short, long, files(short), shallow=False)[1:] == ([], [])


def test_another_seed_gives_other_people(tmp_path: Path) -> None:
    one, two = (make(tmp_path / str(seed), 500, [FIRST], seed=seed) for seed in (1, 2))
    ids = [
        {row["公民身份号码"] for row in table(out / "2021-10" / "registry.csv")}
        for out in (one, two)
    ]
    assert len(ids[0] & ids[1]) < 5


@pytest.mark.promise("sources-1", "every source is one YAML file; a new one needs nothing else")
@pytest.mark.promise("outputs-37", "... and its synthetic data")
def test_a_new_source_needs_only_its_declaration(tmp_path: Path) -> None:
    declared = tmp_path / "sources"
    declared.mkdir()
    (declared / "tax.yaml").write_text(
        """
source: tax
title: 纳税
department: 税务
delivery: increment
person: resident_id
key: [receipt_no]
columns:
  receipt_no: {title: 税单号, type: text, required: true}
  resident_id: {title: 公民身份号码, type: id, required: true}
  kind: {title: 税种, type: set, required: true, values: {income: 个人所得税, business: 经营税}}
  band: {title: 档次, type: set, required: true, values: {low: 低, high: 高}, by: kind,
         checks: {income: {one_of: low}, business: {one_of: [low, high]}}}
  paid: {title: 金额, type: amount, required: true, check: {above: 0, max: 900}}
  paid_on: {title: 日期, type: date, required: true}
  period: {title: 所属月份, type: month, required: true}
  persons: {title: 人数, type: integer}
  online: {title: 网上办理, type: yes_no, required: true}
  office: {title: 区县, type: district, required: true}
  remark: {title: 备注, type: text}
synthetic:
  rows: {each: person, share: 0.5, monthly: 0.2, years: 1}
""",
        encoding="utf-8",
    )
    source = Source.model_validate(YamlDocument(declared / "tax.yaml").data)
    out = make(tmp_path / "inbox", 1000, [FIRST, SECOND], {"tax": source})
    first, second = (table(out / str(month) / "tax.csv") for month in (FIRST, SECOND))
    assert len(first) > 8 * len(second) > 0
    assert list(first[0]) == list(source.columns)
    assert {(row["kind"], row["band"]) for row in first} == {
        ("income", "low"),
        ("business", "low"),
        ("business", "high"),
    }
    assert all(
        0 < float(row["paid"]) <= 900 and row["paid_on"][:7] == row["period"] for row in first
    )
    assert {row["paid_on"][:7] for row in second} == {"2021-11"}


@pytest.mark.parametrize(
    "columns",
    [
        {"a": {"of": "wage"}},
        {"a": {"of": "id", "text": "x"}},
        {"a": {}},
        {"a": {"weights": {"x": 0}}},
        {"a": {"weights": {"x": 1}, "by": "b"}},
    ],
)
def test_an_invalid_block_is_refused(columns: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        Synthetic.model_validate({"rows": {"each": "person"}, "columns": columns})
