"""Findings as operators read them: one sentence each, the same in report, run, status and notice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from expectations.findings import KIND_TEXTS, Finding, is_action_needed, sort_findings
from expectations.source_model import Source

NOTHING_TO_DO = "没有必须处理的事"


def describe_findings(findings: Iterable[Finding], sources: Mapping[str, Source]) -> list[str]:
    """Return one sentence per finding, the heaviest first."""
    return [describe_finding(finding, sources) for finding in sort_findings(findings)]


def describe_finding(finding: Finding, sources: Mapping[str, Source]) -> str:
    """Return what happened, to what, how many, what share of them, and what to do."""
    text = KIND_TEXTS[finding.kind]
    subject = " ".join(filter(None, [_source_title(finding, sources), finding.month]))
    column = _column_title(finding, sources)
    number = f" {finding.count:,} {text.unit}" if finding.count else ""
    share = f"（{finding.share:.1%}）" if finding.share is not None else ""
    what = f"{text.title}{number}{share}"
    sentence = "：".join(filter(None, [subject, column, what, finding.detail]))
    return f"{sentence}。{finding.way_out}。" if finding.way_out else f"{sentence}。"


def state_duty(findings: Iterable[Finding]) -> str:
    """Return whether there is anything to do, in one phrase."""
    return "须处理的事见下" if is_action_needed(findings) else NOTHING_TO_DO


def _source_title(finding: Finding, sources: Mapping[str, Source]) -> str:
    source = sources.get(finding.source)
    return f"{source.title}（{source.department}）" if source else finding.source


def _column_title(finding: Finding, sources: Mapping[str, Source]) -> str:
    source = sources.get(finding.source)
    column = source.columns.get(finding.column) if source else None
    return column.title if column else finding.column
