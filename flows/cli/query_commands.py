"""The commands that look, ask and explain; none of them changes what is published."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from flows.cli.options import (
    CommandOptions,
    ResidentOption,
    parse_case,
    parse_month,
    parse_purpose,
    parse_span,
    print_line,
    with_options,
)
from flows.cli.progress import show_progress
from flows.settings import Settings

query_app = typer.Typer()


@query_app.command()
@with_options()
def check(
    options: CommandOptions,
    strict: Annotated[bool, typer.Option("--strict", help="有示例分值时也算失败")] = False,
) -> None:
    """检查全部声明、示例和参考表；列出仅为示例的分值。

    例：jifen check --strict
    """
    from flows.commands.check import check_project

    check_project(options.load_settings(), print_line, strict=strict)


@query_app.command()
@with_options()
def status(options: CommandOptions) -> None:
    """各月份的修订版和状态；收件目录里到了什么、还缺什么。

    例：jifen status
    """
    from flows.commands.status import format_month_states, list_month_states

    settings = options.load_settings()
    lines = list(format_month_states(list_month_states(settings)))
    for line in lines or [f"还没有任何月份（根目录 {settings.paths.root}）"]:
        print_line(line)


@query_app.command()
@with_options()
def inspect(
    options: CommandOptions,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="文件，或一份交付的文件夹")],
    source: Annotated[
        str | None, typer.Option("--source", metavar="NAME", help="来源代码；不写则自动识别")
    ] = None,
    month: Annotated[
        str | None,
        typer.Option("--month", metavar="YYYY-MM", help="交付哪个月的；不写则按所在文件夹或文件名"),
    ] = None,
) -> None:
    """交付以前检查一个文件：来源、编码、表头、各类问题。

    不需要根目录，不保留任何内容。不能读取的退出码为 11，不会通过入库检查的为 12。

    例：jifen inspect 学历与职业技能_202112.xlsx
    """
    from flows.commands.inspect import InspectionRequest, inspect_file

    chosen = parse_month(month) if month else None
    for line in inspect_file(options.load_settings(), InspectionRequest(file, source, chosen)):
        print_line(line)


@query_app.command()
@with_options()
def verify(
    options: CommandOptions,
    month: Annotated[
        str | None, typer.Option("--month", metavar="YYYY-MM", help="只查一个月")
    ] = None,
) -> None:
    """核对已发布月份（文件哈希、清单链、行数账、积分合计）和访问记录。

    发现损坏时逐个列出，退出码为 15。

    例：jifen verify --month 2021-10
    """
    from flows.commands.verify import verify_months

    chosen = parse_month(month) if month else None
    with show_progress("核对"):
        verified = verify_months(options.load_settings(), chosen)
    names = verified.revisions
    print_line(f"核对无误：{len(names)} 个修订版，最新的是 {names[-1]}")
    for note in verified.notes:
        print_line(note)


@query_app.command()
@with_options("purpose")
def sql(
    options: CommandOptions,
    query: Annotated[
        str,
        typer.Argument(
            metavar="QUERY",
            help="对 scores、latest_scores、facts、eligibility 等视图的查询，或 .sql 文件；- 表示从标准输入读",
        ),
    ],
    as_csv: Annotated[bool, typer.Option("--csv", help="输出 CSV（Excel 可直接打开）")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="每行输出一个 JSON 对象")] = False,
    publishable: Annotated[
        bool,
        typer.Option(
            "--publishable", help="用于对外：少于 10 人的行和格子不显示，数字取整；不能判断的拒绝"
        ),
    ] = False,
) -> None:
    """在分析目录上查询（只读，只含匿名数据）。

    有权查询明细数据的用明细目录，每次查询明细数据都记入访问记录；其他人用分档数据。
    可以一次写几条查询，结果逐条显示。

    例：jifen sql "SELECT district, count(*) FROM latest_scores GROUP BY 1"；jifen sql question.sql
    """
    from flows.commands.lookup import Reason
    from flows.commands.sql import read_query, run_query

    form = "csv" if as_csv else "json" if as_json else "table"
    settings, purpose, case = _load_lookup(options)
    asked = read_query(query)
    run_query(settings, asked, form, publishable=publishable, reason=Reason(purpose, case))


@query_app.command()
@with_options()
def catalogue(
    options: CommandOptions,
    as_seen_from: Annotated[
        Path | None, typer.Option("--as-seen-from", readable=False, help="分析人员看到的根目录路径")
    ] = None,
) -> None:
    """重新生成分析目录和明细目录（迁移、恢复根目录之后使用）。

    例：jifen catalogue --as-seen-from /mnt/jifen
    """
    from flows.commands.catalogue import rebuild_catalogue

    print_line(f"已生成 {rebuild_catalogue(options.load_settings(), as_seen_from)}")


@query_app.command()
@with_options("purpose")
def project(
    options: CommandOptions,
    name: Annotated[str, typer.Argument(metavar="NAME", help="项目名称，如 housing-2026")],
    months: Annotated[
        str | None,
        typer.Option("--months", metavar="A:B", help="月份范围；默认是全部已发布的月份"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", readable=False, help="写到哪个文件夹；默认是根目录下的 projects/NAME"
        ),
    ] = None,
) -> None:
    """为一个项目复制明细数据，换用该项目自己的匿名标识。

    不同项目的数据不能用匿名标识相互连接，也不能与明细目录连接。每次使用都记入访问记录。

    例：jifen project housing-2026 --months 2021-01:2021-12 --purpose 住房调查
    """
    from flows.commands.lookup import Reason
    from flows.commands.project import ProjectCopy, copy_for_project

    settings, purpose, case = _load_lookup(options)
    span = parse_span(months) if months else None
    copy = ProjectCopy(name, span, out, Reason(purpose, case))
    print_line(f"项目数据：{copy_for_project(settings, copy, print_line)}")


@query_app.command()
@with_options()
def overview(
    options: CommandOptions,
    months: Annotated[
        str | None,
        typer.Option(
            "--months", metavar="A:B", help="月份范围，如 2021-10:2021-12；默认是全部已发布的月份"
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", readable=False, help="网页写到哪个文件；默认是根目录下的 overview/index.html"
        ),
    ] = None,
) -> None:
    """数据驾驶舱：各月的人数、积分、服务、提醒和居民画像。

    一个网页，不需要网络，可打印；人数取整，不足 10 人的不列。每次发布后自动重新生成。

    例：jifen overview --months 2021-01:2021-12 --out overview.html
    """
    from flows.commands.overview import make_overview

    chosen = parse_span(months) if months else None
    print_line(f"数据驾驶舱：{make_overview(options.load_settings(), chosen, out)}")


@query_app.command()
@with_options("purpose")
def explain(
    options: CommandOptions,
    resident: ResidentOption = None,
    month: Annotated[
        str | None,
        typer.Option(
            "--month",
            metavar="YYYY-MM",
            help="月份，或其中一个修订版 2021-10/r1；默认是最近发布的月份",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="输出 JSON")] = False,
    records: Annotated[
        bool, typer.Option("--records", help="列出背后的记录，及被退回、超配额的")
    ] = False,
) -> None:
    """逐项说明一个人的积分，以及各项服务还缺什么。

    列出依据、规则、上限、条款、更正、与上月的变化。每次使用都记入访问记录。

    例：jifen explain --month 2021-10        （号码在提示后输入，不会留在命令历史中）
    """
    from flows.commands.explain import explain_person
    from flows.commands.lookup import PersonQuery

    settings, why, number = _load_lookup(options)
    query = PersonQuery(_read_id(resident), month, why, number)
    explain_person(settings, query, print_line, as_json=as_json, records=records)


@query_app.command()
@with_options("purpose")
def statement(
    options: CommandOptions,
    resident: ResidentOption = None,
    month: Annotated[
        str | None,
        typer.Option(
            "--month",
            metavar="YYYY-MM",
            help="月份，或其中一个修订版 2021-10/r1；默认是最近发布的月份",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", readable=False, help="网页写到哪个文件；不写则输出到终端"),
    ] = None,
) -> None:
    """一个人的积分单：一页 A4 网页，可打印，不需要网络。

    每次使用都记入访问记录。

    例：jifen statement --month 2021-10 --out statement.html
    """
    from flows.commands.lookup import PersonQuery
    from flows.commands.statement import write_statement_page

    settings, why, number = _load_lookup(options)
    query = PersonQuery(_read_id(resident), month, why, number)
    write_statement_page(settings, query, out, print_line)


@query_app.command()
@with_options("purpose")
def access(
    options: CommandOptions,
    resident: ResidentOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="输出 JSON")] = False,
) -> None:
    """谁、何时、为何查询过一个人，此人的数据随哪些文件送出。

    答复居民“谁看过我的信息”。访问记录只有匿名标识；这一次查询也记入访问记录。

    例：jifen access --purpose 答复本人查询 --case 2026-0012
    """
    from flows.commands.access import report_accesses
    from flows.commands.lookup import PersonQuery

    settings, why, number = _load_lookup(options)
    query = PersonQuery(_read_id(resident), None, why, number)
    report_accesses(settings, query, print_line, as_json=as_json)


def _load_lookup(options: CommandOptions) -> tuple[Settings, str, str]:
    """Return the settings, and for which purpose and in which case it is asked."""
    return options.load_settings(), parse_purpose(options.purpose), parse_case(options.case)


def _read_id(resident: str | None) -> str:
    """Return the ID, where it leaves no trace: typed unseen, else the line of standard input."""
    if resident == "-" or (resident is None and not sys.stdin.isatty()):
        return sys.stdin.readline()
    return str(typer.prompt("公民身份号码", hide_input=True)) if resident is None else resident


@query_app.command()
@with_options()
def simulate(
    options: CommandOptions,
    policy: Annotated[
        Path,
        typer.Option(
            "--policy",
            metavar="DIR",
            readable=False,
            help="草案目录，其中有 points/ 或 services/，可有 sources/",
        ),
    ],
    month: Annotated[
        str | None, typer.Option("--month", metavar="YYYY-MM", help="默认是最近发布的月份")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", readable=False, help="结果放在哪里，默认在根目录的 runs/ 下"),
    ] = None,
) -> None:
    """用积分表草案重算一个已发布的月份，看谁增谁减。

    结果是一个网页和逐人差异（Parquet），不会发布任何东西。

    例：jifen simulate --policy draft --month 2021-10 --out draft-result
    """
    from flows.commands.simulate import simulate_policy

    chosen = parse_month(month) if month else None
    with show_progress("模拟计算"):
        simulate_policy(options.load_settings(), policy, chosen, out, print_line)


@query_app.command()
@with_options()
def diff(
    options: CommandOptions,
    before: Annotated[
        str, typer.Argument(metavar="MONTH", help="月份 YYYY-MM，或其中一个修订版 YYYY-MM/r1")
    ],
    after: Annotated[str, typer.Argument(metavar="MONTH", help="同上")],
    as_json: Annotated[bool, typer.Option("--json", help="输出 JSON")] = False,
) -> None:
    """两个月份（或修订版）之间变了什么。

    比较人员、积分、积分表版本、交付的数据。

    例：jifen diff 2021-10/r1 2021-10/r2
    """
    from flows.commands.diff import show_difference

    show_difference(options.load_settings(), before, after, print_line, as_json=as_json)
