"""What the commands have in common: options, how they are read, how lines are printed."""

from __future__ import annotations

import functools
import inspect
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from expectations.errors import ExitCode, JifenError
from expectations.month import Month
from flows.settings import Settings, load_settings

# readable=False: a path that is closed to this user is refused by us, in Chinese
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", readable=False, help="设置文件，默认是工作目录中的 jifen.toml"),
]
RootOption = Annotated[
    Path | None,
    typer.Option("--root", readable=False, help="数据根目录，默认 var/，也可用 JIFEN_ROOT 指定"),
]
DebugOption = Annotated[bool, typer.Option("--debug", help="出错时显示完整的调用过程")]
InboxOption = Annotated[
    Path | None, typer.Option("--inbox", readable=False, help="收件目录，默认是根目录下的 inbox/")
]
MonthOption = Annotated[str, typer.Option("--month", metavar="YYYY-MM", help="计分月份")]
SpanOption = Annotated[
    str, typer.Option("--months", metavar="A:B", help="月份范围，如 2021-10:2021-12")
]
AllowOption = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-missing", metavar="SOURCE=REASON", help="准许某来源缺报，须写明原因；可重复"
    ),
]

SameOption = Annotated[
    list[str] | None,
    typer.Option(
        "--same",
        metavar="SOURCE=REASON",
        help="准许内容与以前月份相同；可重复",
    ),
]
ResidentOption = Annotated[
    str | None,
    typer.Option(
        "--resident",
        metavar="ID",
        help="公民身份号码；不写则提示输入，写 - 或用管道则读标准输入",
    ),
]
PurposeOption = Annotated[
    str | None,
    typer.Option("--purpose", metavar="TEXT", help="为什么查询，记入访问记录"),
]
CaseOption = Annotated[
    str | None,
    typer.Option("--case", metavar="NUMBER", help="办件编号，记入访问记录"),
]


@dataclass
class CommandOptions:
    """The options of one call of `jifen`, whether they stand before the command or after it."""

    config: Path | None = None
    root: Path | None = None
    inbox: Path | None = None
    debug: bool = False
    purpose: str | None = None
    case: str | None = None
    allow_missing: list[str] | None = None
    same: list[str] | None = None

    def add(self, given: dict[str, Any]) -> None:
        """Take up what was given; what is given later goes before what was given earlier."""
        for name, value in given.items():
            if value:
                setattr(self, name, value)

    def load_settings(self) -> Settings:
        """Return the settings that these options name.

        Raises:
            JifenError: Exit 2 or 10, there are none, or they are not in order.
        """
        settings = load_settings(self.config, self.root, self.inbox)
        refuse_file(settings.paths.root)
        return settings


COMMON = {"root": RootOption, "config": ConfigOption, "debug": DebugOption}


def with_options(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options `--root`, `--config`, `--debug`, and further ones that it names.

    Its first parameter is the `CommandOptions` of the call; the options come after its own.

    Args:
        names: `run`, for commands that run months; `purpose`, for commands that look a person up.
    """
    more: dict[str, Any] = {}
    if "run" in names:
        more |= {"allow_missing": AllowOption, "same": SameOption, "inbox": InboxOption}
    if "purpose" in names:
        more |= {"purpose": PurposeOption, "case": CaseOption}
    added = {**more, **COMMON}

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        hints = get_type_hints(command, include_extras=True)
        own = list(inspect.signature(command).parameters.values())[1:]
        declared = [one.replace(annotation=hints[one.name]) for one in own]
        declared += [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=False if name == "debug" else None,
                annotation=kind,
            )
            for name, kind in added.items()
        ]
        context = inspect.Parameter(
            "context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context
        )
        keyword = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in declared]

        @functools.wraps(command)
        def call(context: typer.Context, **given: Any) -> None:
            options = context.ensure_object(CommandOptions)
            options.add({name: given.pop(name) for name in added})
            command(options, **given)

        call.__signature__ = inspect.Signature([context, *keyword])  # type: ignore[attr-defined]
        call.__annotations__ = {one.name: one.annotation for one in [context, *keyword]}
        return call

    return decorate


def parse_month(text: str) -> Month:
    """Return the month that is written `YYYY-MM`.

    Raises:
        JifenError: Exit 2, it is none.
    """
    try:
        return Month.parse(text)
    except ValueError:
        hint = "写成 YYYY-MM，如 2021-10"
        raise JifenError(ExitCode.USAGE, f"{text!r} 不是月份", hint=hint) from None


def parse_span(text: str) -> list[Month]:
    """Return the months of a span written `A:B`, or of the one month.

    Raises:
        JifenError: Exit 2, it is none, or is empty.
    """
    first, _, last = text.partition(":")
    months = Month.span(parse_month(first), parse_month(last or first))
    if not months:
        hint = "写成 起始:结束，如 2021-10:2021-12"
        raise JifenError(ExitCode.USAGE, f"{text!r} 中没有月份", hint=hint)
    return months


def parse_reason(option: str, given: str, form: str) -> str:
    """Return an operator's reason as it goes on record.

    Raises:
        JifenError: Exit 2, there is none, or one with a number like an ID or a phone.
    """
    if not given.strip():
        raise JifenError(ExitCode.USAGE, f"{option}：缺少原因", hint=f"写成 {form}")
    if re.search(r"[0-9]{11}", given):
        what = f"{option}：原因会公开记录，不可写身份号码或电话"
        raise JifenError(ExitCode.USAGE, what, hint="换一种说法")
    return given.strip()


def parse_reasons(option: str, given: list[str] | None) -> dict[str, str]:
    """Return source -> reason of an option that is given as `SOURCE=REASON`, maybe repeatedly."""
    found = {}
    for text in given or []:
        source, _, reason = text.partition("=")
        found[source] = parse_reason(f"{option} {source}", reason, "SOURCE=REASON")
    return found


def parse_purpose(given: str | None) -> str:
    """Return why a person is looked up; empty where nobody says.

    Raises:
        JifenError: Exit 2, it is blank, or has a number like an ID or a phone.
    """
    return "" if given is None else parse_reason("--purpose", given, "--purpose 用途")


def parse_case(given: str | None) -> str:
    """Return the number of a case; empty without one.

    Raises:
        JifenError: Exit 2, it is blank, or looks like an ID or a phone.
    """
    number = (given or "").strip()
    person = r"(?<![0-9])(1[3-9][0-9]{9}|[0-9]{15}|[0-9]{17}[0-9Xx])(?![0-9])"
    if given is not None and (not number or re.search(person, number)):
        what = "--case：应为办件编号，不可写身份号码或电话"
        raise JifenError(ExitCode.USAGE, what, hint="写成 --case 编号")
    return number


def parse_accept_reason(given: str | None) -> str | None:
    """Return why an operator accepts a held month; None where they do not."""
    return None if given is None else parse_reason("--accept", given, "--accept 原因")


def parse_rekey_reason(given: str) -> str:
    """Return why the key is changed."""
    return parse_reason("--reason", given, "--reason 原因")


def refuse_file(root: Path) -> None:
    """Refuse a root that is, or would lie in, a file.

    Raises:
        JifenError: Exit 2, it is.
    """
    for place in (root, *root.parents):
        if place.exists() and not place.is_dir():
            what = "根目录不可用：这里是一个文件，不是文件夹"
            hint = (
                "核对 --root、JIFEN_ROOT 或 jifen.toml 的 [paths] root，"
                "指定一个文件夹（没有的会自动建立）"
            )
            raise JifenError(ExitCode.USAGE, what, where=str(place), hint=hint)


def print_line(line: str) -> None:
    """Print one line at once; when the reader of a pipe has left, the work goes on without."""
    try:
        print(line, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
