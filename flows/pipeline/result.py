"""How the run of a month ended: printed, shown in Prefect, notified, and kept in `runs/`.

Free of personal data: it is made of counts, of titles, and of what errors for people say.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from expectations.errors import ExitCode, to_user_error
from expectations.findings import Finding
from expectations.month import Month
from flows.pipeline.context import DELIVERY_CODES, RunContext
from flows.pipeline.report import list_findings
from flows.storage.records import RunRecord
from reports.findings import ACTIONS, NO_FINDINGS, NOTICES, Findings, split_findings
from transforms.clean.accounts import RowCounts

State = Literal["published", "unchanged", "undelivered", "held", "blocked", "failed", "due"]
STATE_TITLES: dict[State, str] = {
    "published": "✔ 已发布",
    "unchanged": "✔ 没有变化，已发布的修订版仍然有效",
    "undelivered": "✖ 已发布，但有接收方未送达",
    "held": "‖ 待核，未发布",
    "blocked": "✖ 数据未通过，未发布",
    "failed": "✖ 未完成，未发布",
    "due": "… 即将截止，还有来源未交",
}
_MARKUP = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;"} | {sign: f"\\{sign}" for sign in "\\`*[]|"}
)


@dataclass(frozen=True)
class RunResult:
    """The end of one run of one month.

    Attributes:
        month: The month.
        state: How it ended.
        code: The exit code.
        reason: Why nothing was published; empty when all is well.
        hint: The way out.
        error: What was raised.
        report: Where the page is.
        revision: The one now in force, when all is well.
        residents: How many people are scored.
        accounts: The month's own row accounts, by the source's title.
        drift: What is over the limits, a sentence each.
        findings: Everything that people must know of.
        described: The same in sentences.
        seconds: By stage.
    """

    month: Month
    state: State
    code: ExitCode = ExitCode.DONE
    reason: str = ""
    hint: str = ""
    error: Exception | None = None
    report: Path | None = None
    revision: int | None = None
    residents: int | None = None
    accounts: tuple[tuple[str, RowCounts], ...] = ()
    drift: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    described: Findings = NO_FINDINGS
    seconds: tuple[tuple[str, float], ...] = ()

    def to_values(self) -> dict[str, Any]:
        """Return what a notification says, as plain values."""
        return {
            "month": str(self.month),
            "state": self.state,
            "exit_code": int(self.code),
            "reason": self.reason,
            "todo": self.hint,
            "report": str(self.report or ""),
            "revision": self.revision,
            "actions": list(self.described.actions),
            "notices": list(self.described.notices),
        }

    def to_record(self, run: RunContext) -> RunRecord:
        """Return the record of the run."""
        findings = [finding.to_record() for finding in self.findings]
        more = {"started_at": run.started, "seconds": dict(run.timings), "findings": findings}
        return RunRecord.model_validate({**self.to_values(), **more})

    def to_markdown(self) -> str:
        """Return what the run report says first, for Prefect's pages."""
        return "\n".join(self._paragraphs())

    def _paragraphs(self) -> Iterator[str]:
        yield f"# {self.month} {STATE_TITLES[self.state]}\n"
        if self.reason:
            why = self.reason.splitlines()[0] if self.drift else self.reason
            yield f"{_escape(why)}\n\n怎么办：{_escape(self.hint)}（退出码 {self.code}）\n"
        version = f"修订版 r{self.revision}，" if self.revision else ""
        if self.residents is not None:
            yield f"{version}{self.residents:,} 人计分。\n"
        if self.report:
            yield f"运行报告：[{_escape(str(self.report))}]({self.report.as_uri()})\n"
        for title, group in ((ACTIONS, self.described.actions), (NOTICES, self.described.notices)):
            if group:
                yield "\n".join([f"## {title}\n", *(f"- {_escape(one)}" for one in group), ""])
        if self.accounts:
            yield "## 收到的数据\n"
            yield "| 来源 | 收到（行） | 合格 | 退回 | 被取代 |\n| --- | ---: | ---: | ---: | ---: |"
            for title, one in self.accounts:
                counts = (one.received, one.clean, one.quarantined, one.superseded)
                yield f"| {_escape(title)} | {' | '.join(format(count, ',') for count in counts)} |"
            yield ""
        if self.seconds:
            yield "## 用时\n\n| 步骤 | 秒 |\n| --- | ---: |"
            yield from (f"| {stage} | {seconds:.1f} |" for stage, seconds in self.seconds)


def _escape(text: str) -> str:
    """Return a text that a page of Markdown shows as it is: titles and paths are no markup."""
    return text.translate(_MARKUP)


def succeeded(run: RunContext) -> RunResult:
    """Return the end of a run that did all its stages."""
    assert run.published
    return RunResult(
        run.month,
        "unchanged" if run.unchanged else "published",
        report=run.published.path / "report" / "index.html",
        revision=run.published.number,
        residents=run.published.manifest.residents,
        **_summarise(run, None),
    )


def undelivered(run: RunContext, error: Exception, report: Path | None) -> RunResult:
    """Return the end of a run that published its month, of which not everything has arrived.

    Args:
        run: The run.
        error: What the last stage raised.
        report: The page that says so; None: that of the revision.
    """
    end, shown = succeeded(run), to_user_error(error)
    return replace(
        end,
        state="undelivered",
        code=shown.code,
        reason=shown.message,
        hint=shown.hint,
        error=error,
        report=report or end.report,
    )


def failed(month: Month, error: Exception, run: RunContext | None = None) -> RunResult:
    """Return the end of a run by an error; without `run` where the root could not be opened."""
    shown = to_user_error(error)
    state: State = "blocked" if shown.code in DELIVERY_CODES else "failed"
    if shown.code == ExitCode.HELD:
        state = "held"
    # Of a held month it is the report.
    where = f"（{shown.where}）" if shown.where and state != "held" else ""
    end = RunResult(month, state, shown.code, shown.message + where, shown.hint, error)
    if run is None:
        return end
    page = run.record_path(".html")
    scored = run.build.results().facts if run.has_build else None
    return replace(
        end,
        report=page if page.is_file() else None,
        residents=scored.residents if scored else None,
        **_summarise(run, error),
    )


def _summarise(run: RunContext, error: Exception | None) -> dict[str, Any]:
    findings = list_findings(run, error)
    own = {
        run.project.sources[name].title: [one for one in passed if one.month == str(run.month)]
        for name, passed in run.accounts.items()
    }
    return {
        "accounts": tuple((title, passed[-1]) for title, passed in own.items() if passed),
        "drift": run.hold_reasons,
        "findings": tuple(findings),
        "described": split_findings(findings, run.project.sources),
        "seconds": tuple(run.timings.items()),
    }
