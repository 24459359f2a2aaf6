"""How the run of a month ended, in words and counts: what is told, shown in Prefect, and kept in `runs/`.

Free of personal data: it is made of counts, of titles, and of what errors for people say.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from expectations.errors import ExitCode, to_user_error
from expectations.month import Month
from flows.pipeline.context import RunContext
from flows.pipeline.report import BLOCKING
from transforms.clean.delivery import RowCounts

State = Literal["published", "unchanged", "held", "blocked", "failed"]
STATE_TITLES: dict[State, str] = {
    "published": "✔ 已发布",
    "unchanged": "✔ 没有变化，已发布的版本仍然有效",
    "held": "‖ 待核，未发布",
    "blocked": "✖ 数据未通过，未发布",
    "failed": "✖ 未完成，未发布",
}


@dataclass(frozen=True)
class RunResult:
    """The end of one run of one month.

    `reason`, `todo`: why nothing was published, and the way out; empty when all is well. `error`: what was raised.
    `report`: where the page is. `revision`: the one now in force, when all is well; `residents`: how many are scored.
    `accounts`: the month's own, by the source's title; `drift`: what is over the limits; `seconds`: by step.
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
    seconds: tuple[tuple[str, float], ...] = ()

    def facts(self) -> dict[str, Any]:
        """What is told of it, as plain values."""
        return {
            "month": str(self.month),
            "state": self.state,
            "exit_code": int(self.code),
            "reason": self.reason,
            "todo": self.hint,
            "report": str(self.report or ""),
            "revision": self.revision,
        }

    def markdown(self) -> str:
        """What the run report says first, for Prefect's pages."""
        return "\n".join(self._paragraphs())

    def _paragraphs(self) -> Iterator[str]:
        yield f"# {self.month} {STATE_TITLES[self.state]}\n"
        if self.reason:
            told = self.reason.splitlines()[0] if self.drift else self.reason
            yield f"{told}\n\n怎么办：{self.hint}（退出码 {self.code}）\n"
        version = f"第 {self.revision} 版，" if self.revision else ""
        if self.residents is not None:
            yield f"{version}{self.residents:,} 人计分。\n"
        if self.report:
            yield f"运行报告：[{self.report}]({self.report.as_uri()})\n"
        if self.drift:
            yield "\n".join(
                ["## 与上月相差超出限度\n", *(f"- {reason}" for reason in self.drift), ""]
            )
        if self.accounts:
            yield "## 收到的数据\n\n| 来源 | 收到（行） | 合格 | 退回 | 被取代 |\n| --- | ---: | ---: | ---: | ---: |"
            for title, a in self.accounts:
                yield f"| {title} | {a.received:,} | {a.clean:,} | {a.quarantined:,} | {a.superseded:,} |"
            yield ""
        if self.seconds:
            yield "## 用时\n\n| 步骤 | 秒 |\n| --- | ---: |"
            yield from (f"| {step} | {seconds:.1f} |" for step, seconds in self.seconds)


def succeeded(run: RunContext) -> RunResult:
    """The end of a run that did all its steps."""
    assert run.published
    revision, page = run.published.number, run.published.path / "report" / "index.html"
    residents = run.published.manifest["residents"]
    state: State = "unchanged" if run.unchanged else "published"
    return RunResult(
        run.month, state, report=page, revision=revision, residents=residents, **_summarise(run)
    )


def failed(month: Month, error: Exception, run: RunContext | None = None) -> RunResult:
    """The end of a run by an error; there is no `run` when the root could not be opened for it."""
    told = to_user_error(error)
    state: State = (
        "held" if told.code == ExitCode.HELD else "blocked" if told.code in BLOCKING else "failed"
    )
    where = (
        f"（{told.where}）" if told.where and state != "held" else ""
    )  # of a held month it is the report
    end = RunResult(month, state, told.code, told.message + where, told.hint, error)
    if run is None:
        return end
    page = run.record(".html")
    scored = run.build.done().get("facts", {}) if run.build else {}
    return replace(
        end,
        report=page if page.is_file() else None,
        residents=scored.get("residents"),
        **_summarise(run),
    )


def _summarise(run: RunContext) -> dict[str, Any]:
    own = {
        name: [a for a in accounts if a.month == str(run.month)]
        for name, accounts in run.accounts.items()
    }
    return {
        "accounts": tuple(
            (run.project.sources[name].title, found[-1]) for name, found in own.items() if found
        ),
        "drift": tuple(run.reasons),
        "seconds": tuple(run.timings.items()),
    }
