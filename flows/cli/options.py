"""What the commands have in common: options, how they are read, and how a line of progress is told."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from expectations.errors import ExitCode, JifenError
from expectations.month import Month
from flows.settings import Settings, load_settings


@dataclass
class Options:
    """Options that stand before the command."""

    config: Path | None = None
    root: Path | None = None
    debug: bool = False

    def settings(self, inbox: Path | None = None) -> Settings:
        settings = load_settings(self.config, self.root, inbox)
        refuse_file(settings.paths.root)
        return settings


OPTIONS = Options()
# readable=False: a path that is closed to this user is told by us, in Chinese
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", readable=False, help="设置文件，默认是工作目录中的 jifen.toml"),
]
RootOption = Annotated[
    Path | None,
    typer.Option("--root", readable=False, help="数据根目录，默认 var/，也可用 JIFEN_ROOT 指定"),
]
DebugOption = Annotated[bool, typer.Option("--debug", help="出错时显示完整的调用过程")]
MonthOption = Annotated[str, typer.Option("--month", metavar="YYYY-MM", help="计分月份")]
SpanOption = Annotated[
    str, typer.Option("--months", metavar="A:B", help="月份范围，如 2021-10:2021-12")
]
InboxOption = Annotated[
    Path | None, typer.Option("--inbox", readable=False, help="收件目录，默认是根目录下的 inbox/")
]
AllowOption = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-missing", metavar="SOURCE=REASON", help="准许某来源缺报，须写明原因；可重复"
    ),
]


def parse_month(text: str) -> Month:
    try:
        return Month.parse(text)
    except ValueError:
        raise JifenError(
            ExitCode.USAGE, f"{text!r} 不是月份", hint="写成 YYYY-MM，如 2021-10"
        ) from None


def parse_span(text: str) -> list[Month]:
    first, _, last = text.partition(":")
    months = Month.span(parse_month(first), parse_month(last or first))
    if not months:
        raise JifenError(
            ExitCode.USAGE, f"{text!r} 中没有月份", hint="写成 起始:结束，如 2021-10:2021-12"
        )
    return months


def parse_reason(option: str, given: str, form: str) -> str:
    """An operator's reason as it goes on record. JifenError 2: none, or one with a number like an ID or a phone."""
    if not given.strip():
        raise JifenError(ExitCode.USAGE, f"{option}：缺少原因", hint=f"写成 {form}")
    if re.search(r"[0-9]{11}", given):
        raise JifenError(
            ExitCode.USAGE, f"{option}：原因会公开记录，不可写身份号码或电话", hint="换一种说法"
        )
    return given.strip()


def parse_reasons(given: list[str] | None) -> dict[str, str]:
    found = {}
    for text in given or []:
        source, _, reason = text.partition("=")
        found[source] = parse_reason(f"--allow-missing {source}", reason, "SOURCE=REASON")
    return found


def refuse_file(root: Path) -> None:
    """JifenError 2 when the root, or what it should lie in, is a file."""
    for place in (root, *root.parents):
        if place.exists() and not place.is_dir():
            hint = "核对 --root、JIFEN_ROOT 或 jifen.toml 的 [paths] root，指定一个文件夹（没有的会自动建立）"
            raise JifenError(
                ExitCode.USAGE,
                "根目录不可用：这里是一个文件，不是文件夹",
                where=str(place),
                hint=hint,
            )


def print_line(line: str) -> None:
    """One line, at once. When the reader at the other end of a pipe has left, the work goes on for nobody."""
    try:
        print(line, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def set_place(root: Path | None, config: Path | None) -> None:
    """Options may stand before or after the command."""
    OPTIONS.root, OPTIONS.config = root or OPTIONS.root, config or OPTIONS.config


def parse_accept_reason(given: str | None) -> str | None:
    """Why an operator accepts a held month. JifenError 2: none, or one with a number like an ID or a phone."""
    return None if given is None else parse_reason("--accept", given, "--accept 原因")
