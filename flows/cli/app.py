"""The `jifen` command."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

import typer
from typer.exceptions import TyperException

from expectations.errors import ExitCode, JifenError, to_user_error
from flows.cli.errors import to_usage_error
from flows.cli.options import (
    OPTIONS,
    AllowOption,
    ConfigOption,
    DebugOption,
    InboxOption,
    MonthOption,
    RootOption,
    SpanOption,
    parse_month,
    parse_reasons,
    parse_span,
    print_line,
    refuse_file,
    set_place,
)
from flows.cli.query_commands import reading

app = typer.Typer(
    help="积分：按月为全市新居民计分。每条命令的用法见 jifen COMMAND --help。",
    add_completion=False,
    suggest_commands=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def set_options(
    config: ConfigOption = None, root: RootOption = None, debug: DebugOption = False
) -> None:
    OPTIONS.config, OPTIONS.root, OPTIONS.debug = config, root, debug


@app.command()
def run(
    month: MonthOption,
    inbox: InboxOption = None,
    allow_missing: AllowOption = None,
    send: Annotated[bool, typer.Option("--send", help="不是最新月份也产生新的提醒")] = False,
    accept: Annotated[
        str | None,
        typer.Option("--accept", metavar="REASON", help="相差超出限度也发布，须写明原因"),
    ] = None,
    root: RootOption = None,
    config: ConfigOption = None,
) -> None:
    """计算并发布一个月。

    输入没有变化时什么也不做；中断的运行会接着完成；与上月相差过大的待核，不发布；--accept 把待核的原样发布。

    例：jifen run --month 2021-10 --allow-missing patents=市场监管局本月无数据

    例：jifen run --month 2021-10 --accept 已向教育局核实，学历库完成清理
    """
    from flows.cli.options import parse_accept_reason
    from flows.commands.run import run_months

    set_place(root, config)
    allowed, accepted = parse_reasons(allow_missing), parse_accept_reason(accept)
    run_months(
        OPTIONS.settings(inbox),
        [parse_month(month)],
        allowed,
        print_line,
        send=send,
        accept=accepted,
    )


@app.command()
def backfill(
    months: SpanOption,
    inbox: InboxOption = None,
    allow_missing: AllowOption = None,
    root: RootOption = None,
    config: ConfigOption = None,
) -> None:
    """依次计算多个月，最早的在先。

    例：jifen backfill --months 2021-01:2021-12
    """
    from flows.commands.run import run_months

    set_place(root, config)
    run_months(
        OPTIONS.settings(inbox), parse_span(months), parse_reasons(allow_missing), print_line
    )


@app.command()
def serve(
    day: Annotated[int, typer.Option("--day", help="每月几日，1 到 28")] = 5,
    time: Annotated[
        str, typer.Option("--time", metavar="HH:MM", help="几点几分，按北京时间")
    ] = "02:00",
    root: RootOption = None,
    config: ConfigOption = None,
) -> None:
    """每月到时自动计算上一个月，直到停止。

    需要一个 Prefect 服务（PREFECT_API_URL）；没有时说明怎样启动。

    例：jifen serve --day 5 --time 02:00
    """
    from flows.commands.serve import serve_schedule as serve_months
    from flows.orchestration.schedule import parse_schedule

    set_place(root, config)
    serve_months(OPTIONS.settings(), parse_schedule(day, time), print_line)


@app.command()
def demo(
    residents: Annotated[int, typer.Option("--residents", help="合成多少人", min=1)] = 20_000,
    root: Annotated[
        Path | None, typer.Option("--root", readable=False, help="演示用的根目录，默认 var/demo")
    ] = None,
) -> None:
    """合成两个月的部门数据，计算并发布，然后说明结果在哪里。

    例：jifen demo --residents 1000
    """
    from flows.commands.demo import run_demo

    folder = (root or OPTIONS.root or Path("var/demo")).resolve()
    refuse_file(folder)
    run_demo(residents, folder, print_line)


@app.command()
def synth(
    residents: Annotated[int, typer.Option("--residents", help="合成多少人", min=1)],
    months: SpanOption,
    out: Annotated[Path, typer.Option("--out", readable=False, help="写到哪个收件目录")],
    seed: Annotated[int, typer.Option("--seed", help="随机种子：相同参数得到相同文件", min=0)] = 0,
    faults: Annotated[
        bool, typer.Option("--faults", help="掺入各类错误行，并在 planted.csv 中列出")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """合成各部门的数据（不是真人）。

    例：jifen synth --residents 20000 --months 2021-10:2021-11 --out var/inbox
    """
    from flows.commands.synth import write_extracts

    set_place(None, config)
    write_extracts(
        OPTIONS.settings(), residents, parse_span(months), out, print_line, seed=seed, faults=faults
    )


app.add_typer(reading)


def main() -> None:
    """Run the command; every error ends as a sentence and an exit code, never as a stack trace."""
    told: JifenError | None = None
    _prepare_streams()
    try:
        sys.exit(app(sys.argv[1:] or ["--help"], standalone_mode=False))
    except typer.Abort:  # at a prompt
        told = JifenError(ExitCode.OTHER, "已取消")
    except TyperException as error:
        told = to_usage_error(error)
    except Exception as error:
        if OPTIONS.debug:
            raise
        sys.unraisablehook = lambda _: (
            None
        )  # finalisers of half-written files would complain with a trace of their own
        told = to_user_error(error).with_traceback(None)
    # Outside the handler: the error's frames, and the engine's connections in them, are let go before the exit.
    if told is not None:
        print(told, file=sys.stderr, flush=True)
        sys.exit(told.code)


def _prepare_streams() -> None:
    """UTF-8 where standard output or error cannot take Chinese, nowhere where they are closed: neither ends a month."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(
                sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
            )  # in its place: no other file's number
        elif isinstance(stream, TextIOWrapper):
            try:
                "积分".encode(stream.encoding)
            except UnicodeEncodeError:
                stream.reconfigure(encoding="utf-8")


def run_command() -> None:
    """What `jifen` is: `main`, in a process that ends as `multiprocessing` ends its own, without taking itself apart.

    To take apart what Great Expectations and Prefect imported takes a second and more, and nobody waits for it.
    """
    try:
        main()
    except SystemExit as ended:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        with suppress(BrokenPipeError):
            sys.stdout.flush()
        os._exit(int(ended.code or 0))
