"""The `jifen` command."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from expectations.month import Month
from expectations.problems import ExitCode, JifenError
from flows.settings import Settings, load_settings

app = typer.Typer(
    help="积分：按月为全市新居民计分。每条命令的用法见 jifen COMMAND --help。",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@dataclass
class Options:
    """Options that stand before the command."""

    config: Path | None = None
    root: Path | None = None
    debug: bool = False

    def settings(self, inbox: Path | None = None) -> Settings:
        return load_settings(self.config, self.root, inbox)


OPTIONS = Options()
ConfigOption = Annotated[Path | None, typer.Option("--config", help="设置文件，默认是工作目录中的 jifen.toml")]
RootOption = Annotated[Path | None, typer.Option("--root", help="数据根目录，默认 var/，也可用 JIFEN_ROOT 指定")]
DebugOption = Annotated[bool, typer.Option("--debug", help="出错时显示完整的调用过程")]
MonthOption = Annotated[str, typer.Option("--month", metavar="YYYY-MM", help="计分月份")]
SpanOption = Annotated[str, typer.Option("--months", metavar="A:B", help="月份范围，如 2021-10:2021-12")]
InboxOption = Annotated[Path | None, typer.Option("--inbox", help="收件目录，默认是根目录下的 inbox/")]
AllowOption = Annotated[
    list[str] | None,
    typer.Option("--allow-missing", metavar="SOURCE=REASON", help="允许某来源缺月，须写明原因；可重复"),
]


@app.callback()
def options(config: ConfigOption = None, root: RootOption = None, debug: DebugOption = False) -> None:
    OPTIONS.config, OPTIONS.root, OPTIONS.debug = config, root, debug


def month_of(text: str) -> Month:
    try:
        return Month.parse(text)
    except ValueError:
        raise JifenError(ExitCode.USAGE, f"{text!r} 不是月份", todo="写成 YYYY-MM，如 2021-10") from None


def span_of(text: str) -> list[Month]:
    first, _, last = text.partition(":")
    months = Month.span(month_of(first), month_of(last or first))
    if not months:
        raise JifenError(ExitCode.USAGE, f"{text!r} 中没有月份", todo="写成 起始:结束，如 2021-10:2021-12")
    return months


def reasons_of(given: list[str] | None) -> dict[str, str]:
    found = {}
    for text in given or []:
        source, _, reason = text.partition("=")
        if not reason.strip():
            raise JifenError(ExitCode.USAGE, f"--allow-missing {text}：缺少原因", todo="写成 SOURCE=REASON")
        found[source] = reason.strip()
    return found


@app.command()
def run(
    month: MonthOption,
    inbox: InboxOption = None,
    allow_missing: AllowOption = None,
    send: Annotated[bool, typer.Option("--send", help="不是最新月份也产生新的提醒")] = False,
    accept: Annotated[
        str | None,
        typer.Option("--accept", metavar="REASON", help="与上月相差超出限度也发布，须写明原因；待核的月份原样发布，不再重算"),
    ] = None,
    root: RootOption = None,
    config: ConfigOption = None,
) -> None:
    """计算并发布一个月。输入没有变化时什么也不做；中断的运行会接着完成；与上月相差过大的待核，不发布。

    例：jifen run --month 2021-10 --allow-missing patents=市场监管局本月无数据

    例：jifen run --month 2021-10 --accept 已向教育局核实，学历库完成清理
    """
    from flows.holding import accept_reason
    from flows.running import run_months

    _place(root, config)
    allowed, accepted = reasons_of(allow_missing), accept_reason(accept)
    run_months(OPTIONS.settings(inbox), [month_of(month)], allowed, tell, send=send, accept=accepted)


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
    from flows.running import run_months

    _place(root, config)
    run_months(OPTIONS.settings(inbox), span_of(months), reasons_of(allow_missing), tell)


@app.command()
def demo(
    residents: Annotated[int, typer.Option("--residents", help="合成多少人", min=1)] = 20_000,
    root: RootOption = None,
) -> None:
    """合成两个月的部门数据，计算并发布，然后说明结果在哪里。

    例：jifen demo --residents 1000
    """
    from flows.demo import run_demo

    run_demo(residents, root or Path("var/demo"), tell)


@app.command()
def synth(
    residents: Annotated[int, typer.Option("--residents", help="合成多少人", min=1)],
    months: SpanOption,
    out: Annotated[Path, typer.Option("--out", help="写到哪个收件目录")],
    seed: Annotated[int, typer.Option("--seed", help="随机种子：相同参数得到相同文件", min=0)] = 0,
    faults: Annotated[bool, typer.Option("--faults", help="掺入各类错误行，并在 planted.csv 中列出")] = False,
    config: ConfigOption = None,
) -> None:
    """合成各部门的数据（不是真人）。

    例：jifen synth --residents 20000 --months 2021-10:2021-11 --out var/inbox
    """
    from flows.demo import synthesise

    _place(None, config)
    synthesise(OPTIONS.settings(), residents, span_of(months), out, tell, seed=seed, faults=faults)


@app.command()
def check(
    strict: Annotated[bool, typer.Option("--strict", help="有示例分值时也算失败")] = False,
    root: RootOption = None,
    config: ConfigOption = None,
) -> None:
    """检查全部声明、示例和参考表；列出仅为示例的分值。

    例：jifen check --strict
    """
    from flows.checking import check_house

    _place(root, config)
    check_house(OPTIONS.settings(), tell, strict=strict)


@app.command()
def status(root: RootOption = None, config: ConfigOption = None) -> None:
    """各月份、版本和状态；收件目录里到了什么、还缺什么。

    例：jifen status
    """
    from flows.status import month_lines

    _place(root, config)
    table = Table("月份", "状态", "版本", "人数", "说明")
    for line in month_lines(OPTIONS.settings()):
        table.add_row(*line)
    Console().print(table if table.row_count else "还没有任何月份")


@app.command()
def verify(
    month: Annotated[str | None, typer.Option("--month", metavar="YYYY-MM", help="只查一个月")] = None,
    root: RootOption = None,
    config: ConfigOption = None,
) -> None:
    """核对已发布月份：文件哈希、清单链、行数账、积分合计。发现损坏时退出码为 15。

    例：jifen verify --month 2021-10
    """
    from flows.running import open_root
    from flows.verify import verify as verify_root

    _place(root, config)
    settings = OPTIONS.settings()
    place = open_root(settings)
    findings = verify_root(place, place.key(), month_of(month) if month else None, settings.engine_settings)
    if findings:
        listing = "\n".join(f"  {finding}" for finding in findings)
        raise JifenError(
            ExitCode.DAMAGE, f"发现 {len(findings)} 处损坏：\n{listing}", todo="从备份恢复所列文件后再核对"
        )
    tell("核对无误")


@app.command()
def sql(
    query: Annotated[
        str,
        typer.Argument(
            metavar="QUERY", help="对 scores、latest_scores、facts、eligibility 等视图的查询；- 表示从标准输入读"
        ),
    ],
    as_csv: Annotated[bool, typer.Option("--csv", help="输出 CSV")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="每行输出一个 JSON 对象")] = False,
    root: RootOption = None,
    config: ConfigOption = None,
) -> None:
    """在分析目录上查询（只读，只含匿名数据）。

    例：jifen sql "SELECT district, count(*) FROM latest_scores GROUP BY 1"；jifen sql - < question.sql
    """
    from flows.asking import ask

    _place(root, config)
    ask(
        OPTIONS.settings(),
        sys.stdin.read() if query == "-" else query,
        "csv" if as_csv else "json" if as_json else "table",
    )


@app.command()
def catalogue(
    as_seen_from: Annotated[Path | None, typer.Option("--as-seen-from", help="分析人员看到的根目录路径")] = None,
    root: RootOption = None,
    config: ConfigOption = None,
) -> None:
    """重新生成 catalogue.duckdb（搬动根目录之后用）。

    例：jifen catalogue --as-seen-from /mnt/jifen
    """
    from flows.house import load_house
    from flows.month import renew_catalogue
    from flows.running import open_root

    _place(root, config)
    settings = OPTIONS.settings()
    place = open_root(settings)
    with place.lock():
        renew_catalogue(load_house(settings), place, as_seen_from)
    tell(f"已生成 {place.catalogue}")


@app.command()
def explain(
    resident: Annotated[
        str,
        typer.Option(
            "--resident",
            metavar="ID",
            help="公民身份号码；不写则提示输入，写 - 则从标准输入读取",
            prompt="公民身份号码",
            hide_input=True,
        ),
    ],
    month: Annotated[str | None, typer.Option("--month", metavar="YYYY-MM", help="默认是最近发布的月份")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="输出 JSON")] = False,
    records: Annotated[
        bool, typer.Option("--records", help="列出每项数据背后的记录，以及被退回、超配额的记录")
    ] = False,
    root: RootOption = None,
    config: ConfigOption = None,
) -> None:
    """逐项说明一个人的积分：依据、规则、上限、条款、更正、与上月的变化，以及各项服务还缺什么。每次使用都记入访问记录。

    例：jifen explain --month 2021-10        （号码在提示后输入，不会留在命令历史中）
    """
    from flows.explaining import explain_person

    _place(root, config)
    given = sys.stdin.readline() if resident == "-" else resident
    explain_person(
        OPTIONS.settings(), given, month_of(month) if month else None, tell, as_json=as_json, records=records
    )


@app.command()
def simulate(
    policy: Annotated[Path, typer.Option("--policy", metavar="DIR", help="草案目录，其中有 points/，可有 services/")],
    month: Annotated[str | None, typer.Option("--month", metavar="YYYY-MM", help="默认是最近发布的月份")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="结果放在哪里，默认在根目录的 runs/ 下")] = None,
    root: RootOption = None,
    config: ConfigOption = None,
) -> None:
    """用积分表草案重算一个已发布的月份，看谁增谁减：一个网页和逐人差异（Parquet）。不会发布任何东西。

    例：jifen simulate --policy draft --month 2021-10 --out draft-result
    """
    from flows.simulating import simulate_policy

    _place(root, config)
    simulate_policy(OPTIONS.settings(), policy, month_of(month) if month else None, out, tell)


@app.command()
def diff(
    before: Annotated[str, typer.Argument(metavar="MONTH", help="月份 YYYY-MM，或其中一版 YYYY-MM/r1")],
    after: Annotated[str, typer.Argument(metavar="MONTH", help="同上")],
    as_json: Annotated[bool, typer.Option("--json", help="输出 JSON")] = False,
    root: RootOption = None,
    config: ConfigOption = None,
) -> None:
    """两个月份（或版本）之间变了什么：人员、积分、积分表版本、交付的数据。

    例：jifen diff 2021-10/r1 2021-10/r2
    """
    from flows.diffing import show_difference

    _place(root, config)
    show_difference(OPTIONS.settings(), before, after, tell, as_json=as_json)


def tell(line: str) -> None:
    """One line of progress, at once."""
    print(line, flush=True)


def _place(root: Path | None, config: Path | None) -> None:
    """Options may stand before or after the command."""
    OPTIONS.root, OPTIONS.config = root or OPTIONS.root, config or OPTIONS.config


def main() -> None:
    """Run the command; every error ends as a sentence and an exit code, never as a stack trace."""
    try:
        app()
    except Exception as error:
        if OPTIONS.debug:
            raise
        told = explained(error)
        print(told, file=sys.stderr, flush=True)
        sys.exit(told.code)


def explained(error: Exception) -> JifenError:
    """Any error as one for people. Messages of libraries may quote people's data: only their kind is told."""
    if isinstance(error, JifenError):
        return error
    if isinstance(error, OSError):
        why = os.strerror(error.errno) if error.errno else type(error).__name__
        where = str(error.filename or "")
        return JifenError(ExitCode.OTHER, f"系统错误：{why}", where=where, todo="检查磁盘空间和权限后再次运行")
    todo = "再次运行；仍然出错时加 --debug 取得细节"
    return JifenError(ExitCode.OTHER, f"程序错误（{type(error).__name__}）", todo=todo)
