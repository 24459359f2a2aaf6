"""Findings as data and as sentences."""

from __future__ import annotations

import json

import pytest

from expectations.findings import (
    KIND_TEXTS,
    Finding,
    FindingKind,
    FindingLevel,
    is_action_needed,
    read_findings,
    sort_findings,
)
from expectations.source_loader import load_sources
from reports.findings import describe_finding


@pytest.mark.parametrize("kind", FindingKind)
def test_every_kind_has_text_and_remedy_where_needed(kind: FindingKind) -> None:
    text = KIND_TEXTS[kind]
    assert text.title
    assert bool(text.hint) == (text.level != FindingLevel.NOTICE)


@pytest.mark.parametrize("kind", FindingKind)
def test_a_finding_survives_being_written_as_json(kind: FindingKind) -> None:
    finding = Finding(kind, "education", "2024-03", "awarded_on", 3, 1000, "例如 2024/3/5", "改")
    assert read_findings(json.loads(json.dumps([finding.to_record()]))) == [finding]


def test_an_unknown_kind_of_a_newer_program_is_kept() -> None:
    [finding] = read_findings([{"kind": "of_tomorrow", "detail": "新情况"}])
    assert finding.kind == FindingKind.OTHER
    assert finding.detail == "of_tomorrow 新情况"


def test_findings_are_listed_once_the_heaviest_first() -> None:
    notice = Finding(FindingKind.NEW_VERSION, column="city")
    few, many = (
        Finding(FindingKind.REFUSED_ROWS, name, count=n) for name, n in (("a", 1), ("b", 9))
    )
    blocking = Finding(FindingKind.MISSING, "education")
    assert sort_findings([notice, few, blocking, many, few]) == [blocking, many, few, notice]


def test_only_notices_require_no_action() -> None:
    notice = Finding(FindingKind.NEW_VERSION, column="city")
    assert not is_action_needed([])
    assert not is_action_needed([notice])
    assert is_action_needed([notice, Finding(FindingKind.CARRIED, "education")])


def test_a_finding_is_formatted_as_one_sentence() -> None:
    finding = Finding(
        FindingKind.EMPTIED_VALUES, "education", "2024-03", "awarded_on", 20, 1000, "例如 2024/3/5"
    )
    sources = load_sources()
    source = sources["education"]
    assert describe_finding(finding, sources) == (
        f"{source.title}（{source.department}） 2024-03：{source.columns['awarded_on'].title}："
        "舍去的值 20 个（2.0%）：例如 2024/3/5。请部门更正。"
    )
