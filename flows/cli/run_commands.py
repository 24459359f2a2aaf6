"""The commands that make and run months."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.options import (
    CommandOptions,
    DebugOption,
    MonthOption,
    SpanOption,
    parse_accept_reason,
    parse_month,
    parse_reasons,
    parse_rekey_reason,
    parse_span,
    print_line,
    refuse_file,
    with_options,
)
from flows.cli.progress import show_progress

run_app = typer.Typer()


@run_app.command()
@with_options("run")
def run(
    options: CommandOptions,
    month: MonthOption,
    send: Annotated[bool, typer.Option("--send", help="不是最新月份也产生新的提醒")] = False,
    accept: Annotated[
        str | None,
        typer.Option("--accept", metavar="REASON", help="相差超出限度也发布，须写明原因"),
    ] = None,
) -> None:
    """计算并发布一个月。

    输入没有变化时什么也不做；中断的运行会接着完成；与上月相差过大的待核，不发布；--accept 把待核的原样发布。

    例：jifen run --month 2021-10 --allow-missing patents=市场监管局本月无数据

    例：jifen run --month 2021-10 --accept 已向教育局核实，学历库完成清理
    """
    from flows.commands.run import run_months
    from flows.pipeline.context import RunOptions

    given = RunOptions(
        allowed_missing=parse_reasons("--allow-missing", options.allow_missing),
        allowed_same=parse_reasons("--same", options.same),
        send_reminders=send,
        accept=parse_accept_reason(accept),
    )
    months = [parse_month(month)]
    with show_progress("准备") as advance:
        run_months(options.load_settings(), months, given, print_line, advance)


@run_app.command()
@with_options("run")
def backfill(options: CommandOptions, months: SpanOption) -> None:
    """依次计算多个月，最早的在先。

    例：jifen backfill --months 2021-01:2021-12
    """
    from flows.commands.run import run_months
    from flows.pipeline.context import RunOptions

    given = RunOptions(
        allowed_missing=parse_reasons("--allow-missing", options.allow_missing),
        allowed_same=parse_reasons("--same", options.same),
    )
    span = parse_span(months)
    with show_progress("准备") as advance:
        run_months(options.load_settings(), span, given, print_line, advance)


@run_app.command()
@with_options()
def deliver(
    options: CommandOptions,
    month: Annotated[
        str | None,
        typer.Option("--month", metavar="YYYY-MM", help="月份，默认是最近发布的月份"),
    ] = None,
    to: Annotated[
        list[str] | None,
        typer.Option("--to", metavar="NAME", help="只送交给这个接收方；可重复"),
    ] = None,
) -> None:
    """把已发布的月份送交给各接收方（设置文件的 deliver 表）。

    已在对方的文件不再重传；中断的接着送；有接收方未送达的退出码为 1。

    例：jifen deliver --month 2021-10 --to portal
    """
    from flows.commands.deliver import deliver_month

    chosen = parse_month(month) if month else None
    with show_progress("送交"):
        deliver_month(options.load_settings(), chosen, to or [], print_line)


@run_app.command()
@with_options()
def prune(
    options: CommandOptions,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="只列出会清理什么，不清理")] = False,
) -> None:
    """清理已满保存期限的个人信息（设置文件的 retention 表）。

    清理前先写下签名的记录；匿名的积分和指标数据保留，已发布的数字不变。中断的再运行即可完成。

    例：jifen prune --dry-run
    """
    from flows.commands.prune import prune_root

    with show_progress("清理"):
        prune_root(options.load_settings(), print_line, dry_run=dry_run)


@run_app.command()
@with_options()
def rekey(
    options: CommandOptions,
    reason: Annotated[
        str, typer.Option("--reason", metavar="REASON", help="为什么更换，记入访问记录")
    ],
) -> None:
    """更换密钥：各月的匿名标识全部更换，积分不变。

    密钥泄露、保管人离任、分析表流出时使用。旧密钥的匿名数据随后清理；中断的再运行即可完成。完成后请备份新的密钥文件。

    例：jifen rekey --reason 密钥保管人离任
    """
    from flows.commands.rekey import rekey_root

    given = parse_rekey_reason(reason)
    with show_progress("更换密钥"):
        rekey_root(options.load_settings(), given, print_line)


@run_app.command()
@with_options()
def serve(
    options: CommandOptions,
    day: Annotated[int, typer.Option("--day", help="每月几日，1 到 28")] = 5,
    time: Annotated[
        str, typer.Option("--time", metavar="HH:MM", help="几点几分，按北京时间")
    ] = "02:00",
) -> None:
    """每月到时自动计算上一个月，直到停止。

    需要一个 Prefect 服务（PREFECT_API_URL）；没有时说明怎样启动。

    例：jifen serve --day 5 --time 02:00
    """
    from flows.commands.serve import serve_schedule

    serve_schedule(options.load_settings(), day, time, print_line)


@run_app.command()
def demo(
    context: typer.Context,
    residents: Annotated[int, typer.Option("--residents", help="合成多少人", min=1)] = 20_000,
    root: Annotated[
        Path | None, typer.Option("--root", readable=False, help="演示用的根目录，默认 var/demo")
    ] = None,
    debug: DebugOption = False,
) -> None:
    """合成两个月的部门数据，计算并发布，然后说明结果在哪里。

    例：jifen demo --residents 1000
    """
    from flows.commands.demo import run_demo

    options = context.ensure_object(CommandOptions)
    options.add({"root": root, "debug": debug})
    folder = (options.root or Path("var/demo")).resolve()
    refuse_file(folder)
    with show_progress("合成部门数据") as advance:
        run_demo(residents, folder, print_line, advance)


@run_app.command()
@with_options()
def synth(
    options: CommandOptions,
    residents: Annotated[int, typer.Option("--residents", help="合成多少人", min=1)],
    months: SpanOption,
    out: Annotated[Path, typer.Option("--out", readable=False, help="写到哪个收件目录")],
    seed: Annotated[int, typer.Option("--seed", help="随机种子：相同参数得到相同文件", min=0)] = 0,
    faults: Annotated[
        bool, typer.Option("--faults", help="掺入各类错误行，并在 planted.csv 中列出")
    ] = False,
) -> None:
    """合成各部门的数据（不是真人）。

    例：jifen synth --residents 20000 --months 2021-10:2021-11 --out var/inbox
    """
    from flows.commands.synth import SynthPlan, write_extracts

    plan = SynthPlan(residents, tuple(parse_span(months)), seed, faults)
    settings = options.load_settings()
    with show_progress("合成部门数据"):
        write_extracts(settings, plan, out, print_line)
