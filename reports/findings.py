"""Findings as operators read them: one sentence each, the same in report, run, status and notice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from expectations.findings import KIND_TEXTS, Finding, is_action_needed, sort_findings
from expectations.source_model import Source

NOTHING_TO_DO = "没有必须处理的事"
ACTIONS, NOTICES = "须处理", "供了解"


@dataclass(frozen=True)
class Findings:
    """The findings of a run in words: what somebody has to do, and what is only to be known."""

    actions: Sequence[str]
    notices: Sequence[str]

    @property
    def lines(self) -> list[str]:
        """Return everything as lines, with a heading over each group."""
        lines = []
        for title, group in ((ACTIONS, self.actions), (NOTICES, self.notices)):
            if group:
                lines += [f"{title}（{len(group)} 项）：", *(f"  - {one}" for one in group)]
        return lines if self.actions else [f"{NOTHING_TO_DO}。", *lines]


NO_FINDINGS = Findings((), ())


def split_findings(findings: Iterable[Finding], sources: Mapping[str, Source]) -> Findings:
    """Return the sentences of all findings, the heaviest first."""
    ordered = sort_findings(findings)
    actions = [one for one in ordered if is_action_needed([one])]
    notices = [one for one in ordered if not is_action_needed([one])]
    return Findings(
        [describe_finding(one, sources) for one in actions],
        [describe_finding(one, sources) for one in notices],
    )


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


def _source_title(finding: Finding, sources: Mapping[str, Source]) -> str:
    source = sources.get(finding.source)
    return f"{source.title}（{source.department}）" if source else finding.source


def _column_title(finding: Finding, sources: Mapping[str, Source]) -> str:
    source = sources.get(finding.source)
    column = source.columns.get(finding.column) if source else None
    return column.title if column else finding.column
