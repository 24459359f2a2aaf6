"""`jifen sql`: queries of the catalogues, which read pseudonymous files only."""

from __future__ import annotations

import csv
import os
import re
import sys
import tempfile
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from rich.table import Column

from expectations.errors import ExitCode, JifenError, did_you_mean
from flows.city_time import city_now
from flows.commands.answer_text import (
    deduplicate_names,
    format_json,
    format_value,
    print_table,
)
from flows.commands.lookup import Reason, require_purpose
from flows.settings import Settings
from flows.storage.operators import Operator
from flows.storage.query_notes import leave_query_note
from flows.storage.root import Root
from reports.disclosure import FEW, ROUNDED_TO, format_people
from reports.publishable import PublishableQuery, UnjudgeableQueryError, judge_query
from transforms.engine.session import (
    EngineError,
    EngineSettings,
    FileAccessError,
    Result,
    Session,
    open_engine,
)
from transforms.outputs import OPEN_VIEWS, VIEWS, Output

_RELATIONS = "SELECT view_name FROM duckdb_views() WHERE NOT internal ORDER BY ALL"
_COLUMNS = """
SELECT table_name, column_name FROM duckdb_columns()
WHERE NOT internal AND starts_with(table_name, 'latest_') ORDER BY ALL"""
ONE_PER_PERSON = ("latest_scores", "latest_facts", "latest_open_residents")
WITHOUT_PEOPLE = tuple(
    f"{prefix}{view}"
    for prefix in ("", "latest_")
    for view in ("districts", "services", "thresholds")
)
PERSONAL_NUMBER = re.compile(r"(?<![0-9A-Za-z])[0-9]{11,17}[0-9Xx]?(?![0-9A-Za-z])")
BOM = "\ufeff"  # or Excel takes the file for one in the encoding of the country
SHOWN = 1000  # rows of a table: more is for a file, and for another program to read
BATCH = 10_000
EXPLAIN = re.compile(r"^\s*EXPLAIN\s+(ANALYZE\s+)?", re.IGNORECASE)
NO_REASON = Reason()
NUMBERS = ("DECIMAL", "DOUBLE", "FLOAT", "HUGEINT", "BIGINT", "INTEGER", "SMALLINT", "TINYINT")


@dataclass(frozen=True)
class AnswerForm:
    """How answers are given: `table`, `csv` or `json`; publishable ones are judged and suppressed."""

    name: str = "table"
    publishable: bool = False


def read_query(text: str) -> str:
    """Return what was asked: the text itself, of a file `*.sql`, or of standard input (`-`).

    Raises:
        JifenError: Exit 2, the file cannot be read.
    """
    if text == "-":
        return sys.stdin.read()
    if not re.fullmatch(r"\S(.*\S)?\.sql", text, re.IGNORECASE) or re.match(
        r"(?i)(select|from)\s", text
    ):
        return text
    try:
        return Path(text).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeError) as error:
        said = "不是 UTF-8 文本" if isinstance(error, UnicodeError) else "没有这个文件，或没有权限"
        hint = '写对文件的路径；要直接写查询，放在引号里：jifen sql "SELECT …"'
        raise JifenError(ExitCode.USAGE, f"不能读取查询：{said}", where=text, hint=hint) from None


def run_query(
    settings: Settings,
    query: str,
    form: str,
    *,
    publishable: bool = False,
    reason: Reason = NO_REASON,
) -> None:
    """Answer each query of a text as a table, or one as `csv` or `json` lines, on standard output.

    Who may read the exact catalogue asks that one, and every query that reaches its views is in the
    access log; others ask the open one. What spills goes to a folder of the caller's own (under
    TMPDIR).

    Args:
        settings: Where the root is.
        query: The statements.
        form: `table`, `csv` or `json`.
        publishable: Rows and cells of fewer than 10 people are not shown, numbers are rounded.
        reason: Why, for the access log.

    Raises:
        JifenError: Exit 2, it is no query, cannot be judged, or who asks may not.
    """
    root = Root(
        settings.paths.root,
        settings.paths.inbox,
        operator=Operator(names=settings.access.operators),
    )
    is_exact = _may_read(root.exact_catalogue)
    if not is_exact:
        _require_readable(root.catalogue)
    file = root.exact_catalogue if is_exact else root.catalogue
    folders = _list_folders(root, VIEWS if is_exact else OPEN_VIEWS)
    counted = Counter[str]()
    with (
        tempfile.TemporaryDirectory(prefix="jifen-") as spill,
        open_engine(settings.engine_settings, Path(spill), file, read_only=True) as session,
    ):
        views = [name for (name,) in session.fetch_rows(_RELATIONS)]
        columns = session.fetch_rows(_COLUMNS)
        session.restrict_file_access(folders)
        is_logged = False
        try:
            statements = session.split_statements(query)
            if is_exact and _reaches_exact(root, statements, Path(spill)):
                require_purpose(settings, root, reason)
                _require_log(root)
                is_logged = True
            _answer(session, query, AnswerForm(form, publishable), views, counted)
        except FileAccessError:
            raise JifenError(
                ExitCode.USAGE, "这里只能查询已发布的匿名数据，不能读写其他文件"
            ) from None
        except (
            EngineError
        ) as error:  # in its own words: they can quote nothing but the query and pseudonymous data
            own = re.sub(
                r"^(LINE 1: )DESCRIBE (.*\n) {9}", r"\1\2", str(error), flags=re.MULTILINE
            )  # not the asker's
            said = "\n    ".join(filter(None, own.splitlines()))
            hint = _suggest(own, views, columns)
            raise JifenError(ExitCode.USAGE, f"查询有误：{said}", hint=hint) from None
        finally:
            if is_logged:
                log_query(root, reason, query, counted["rows"])


def _may_read(catalogue: Path) -> bool:
    return os.access(catalogue, os.R_OK)


def _list_folders(root: Root, views: Mapping[str, Output]) -> list[Path]:
    """Return the folders of all revisions that hold what the views read."""
    folders = [folder for _, _, folder in root.revision_folders()]
    return [folder / output.folder for folder in folders for output in views.values()]


def _reaches_exact(root: Root, statements: Sequence[tuple[str, str]], spill: Path) -> bool:
    """Return whether a query is more than the open catalogue can answer.

    It is asked, without running the query: no reading of the text sees through every way of naming
    a view. Variables are set as the query sets them, for they may hold what a view holds.
    """
    if not _may_read(root.catalogue):
        return True
    settings = EngineSettings()
    with open_engine(settings, spill / "open", root.catalogue, read_only=True) as session:
        session.restrict_file_access(_list_folders(root, OPEN_VIEWS))
        try:
            for kind, statement in statements:
                explained = "" if kind == "SET" else "DESCRIBE "
                session.execute(explained + EXPLAIN.sub("", statement))
        except EngineError:
            return True
    return False


def _require_log(root: Root) -> None:
    """Raise JifenError (exit 2) if what is asked cannot be noted anywhere."""
    if not os.access(root.runs, os.W_OK) and not os.access(root.queries, os.W_OK):
        hint = "请操作员把您的账号加入 [paths] exact_group 写的用户组，或代为查询"
        raise JifenError(ExitCode.USAGE, "明细数据的查询须记入访问记录，这里不能记入", hint=hint)


def log_query(root: Root, reason: Reason, query: str, rows: int) -> None:
    """Write a query of the exact layer to the access log: why, its text without numbers, rows.

    Who cannot write the log leaves a note, which the operator's next command takes into it.
    """
    text = PERSONAL_NUMBER.sub("***", query)
    try:
        root.access_log("sql", query=text, rows=rows, **reason.list_given())
    except PermissionError:
        noted: dict[str, str | int] = {**reason.list_given(), "query": text, "rows": rows}
        noted["asked_at"] = city_now()
        leave_query_note(root.queries, noted)


def _suggest(error: str, views: Sequence[str], columns: Sequence[tuple[str, str]]) -> str:
    """Return what may have been meant by an unknown view or column; else where the names are."""
    view = re.search(r"Table with name (\S+) does not exist", error)
    if view and view[1].removeprefix("latest_") in VIEWS.keys() - OPEN_VIEWS.keys():
        return (
            f"{view[1]} 是明细数据，只有 jifen.toml 中 [paths] exact_group 写的用户组可查，请找操作员；"
            "分档的数据见 open_residents、open_eligibility，统计见 metrics（SHOW TABLES 列出全部）"
        )
    if view:
        return f"{did_you_mean(view[1], views, '的视图')}（SHOW TABLES 列出全部）"
    column = re.search(r'column "([^"]+)" not found', error)
    places = [place for place, name in columns if column and name == column[1]]
    if column and places:
        return f"{column[1]} 在 {'、'.join(places)} 中；人的各表用 JOIN … USING (resident_key) 连接"
    return "有哪些表：SHOW TABLES；有哪些列：DESCRIBE scores；各列的含义：SELECT * FROM dictionary"


def _require_readable(catalogue: Path) -> None:
    try:
        catalogue.open("rb").close()
    except FileNotFoundError:
        hint = "用 --root 指出数据根目录（demo 的是 var/demo）；还没有发布过月份的，先用 jifen run 发布"
        raise JifenError(
            ExitCode.USAGE, "这里没有分析目录", where=str(catalogue), hint=hint
        ) from None
    except PermissionError:
        hint = (
            "请操作员把您的账号加入 jifen.toml 中 [paths] analysts_group 写的用户组，然后重新登录"
        )
        raise JifenError(
            ExitCode.USAGE, "没有读取分析目录的权限", where=str(catalogue), hint=hint
        ) from None


def _answer(
    session: Session,
    query: str,
    form: AnswerForm,
    views: Sequence[str],
    counted: Counter[str],
) -> None:
    """Print the result of every statement, if all are queries or set variables for them.

    `counted["rows"]`: the rows that were printed.

    DuckDB describes only what may stand within a query, so nothing that writes: not even a COPY in
    a WITH, which counts as a SELECT by itself. Where PIVOT has to find its columns first, it would
    run one all the same: they must be named.
    """
    statements = session.split_statements(query)
    for kind, _ in statements:
        if kind not in ("SELECT", "EXPLAIN", "SET"):
            hint = "用 SELECT 查询 scores、facts 等视图；PIVOT 须写明取值：ON … IN (…)；要存下结果，写 --csv > 文件名"
            raise JifenError(ExitCode.USAGE, "这里只能查询，不能写入", hint=hint)
    asked = [statement for kind, statement in statements if kind != "SET"]
    if not asked:
        raise JifenError(
            ExitCode.USAGE,
            "没有查询",
            hint="写在引号里，或给出文件：jifen sql 查询.sql，或从标准输入给出：jifen sql -",
        )
    if form.name != "table" and len(asked) > 1:
        raise JifenError(
            ExitCode.USAGE,
            f"--{form.name} 一次只写一个结果，这里有 {len(asked)} 条查询",
            where=f"第 2 条：{_first_line(asked[1])}",
            hint="分几次运行；不写 --csv、--json 时逐条显示",
        )
    judged = {text: _judge(text, views) for text in asked} if form.publishable else {}
    number = 0
    for kind, statement in statements:
        if kind != "SET":
            session.execute("DESCRIBE " + EXPLAIN.sub("", statement))
        publishable = judged.get(statement)
        result = session.execute(publishable.sql if publishable else statement)
        if kind == "SET":
            continue
        number += 1
        if len(asked) > 1:
            print(f"—— 第 {number} 条：{_first_line(statement)} ——")
        _print_result(result, form.name, counted, publishable)


def _first_line(statement: str) -> str:
    """Return the first line of a statement that is no comment, at most 60 letters of it."""
    lines = [line.strip() for line in statement.strip().splitlines()]
    line = next((line for line in lines if line and not line.startswith("--")), "")
    return line if len(line) <= 60 else f"{line[:60]}…"


def _judge(statement: str, views: Sequence[str]) -> PublishableQuery:
    try:
        if EXPLAIN.match(statement):
            raise UnjudgeableQueryError("EXPLAIN 不是汇总", "去掉 --publishable")
        return judge_query(statement, views, ONE_PER_PERSON, WITHOUT_PEOPLE)
    except UnjudgeableQueryError as error:
        raise JifenError(
            ExitCode.USAGE,
            f"无法判断能否公开：{error.found}",
            where=_first_line(statement),
            hint=error.expected,
        ) from None


def _print_result(
    answer: Result, form: str, counted: Counter[str], judged: PublishableQuery | None = None
) -> None:
    columns = [
        (name, str(kind).partition("(")[0] in NUMBERS)
        for name, kind, *_ in answer.description or []
    ][: len(judged.columns) if judged else None]
    names = [name for name, _ in columns]
    tally = Counter[str]()
    found = judged.suppress(_rows(answer), tally) if judged else _rows(answer)
    rows = _count_rows(iter(found), counted)
    if form == "csv":
        sys.stdout.write(BOM)
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(names)
        writer.writerows(map(format_value, row) for row in rows)
    elif form == "json":
        keys = deduplicate_names(names)
        for row in rows:
            print(format_json(dict(zip(keys, row, strict=True))))
    else:
        listed = [[format_value(value) for value in row] for row in islice(rows, SHOWN + 1)]
        print_table(
            [Column(name, justify="right" if number else "left") for name, number in columns],
            listed[:SHOWN],
        )
        if len(listed) > SHOWN:
            print(f"只显示了前 {SHOWN:,} 行；要全部，写 --csv > 文件名", file=sys.stderr)
    if judged:
        deque(found, maxlen=0)  # those not shown are counted, too
        print(_describe_suppressed(tally), file=sys.stderr)


def _describe_suppressed(tally: Counter[str]) -> str:
    """Return what a publishable answer does not show, so rounded that it names nobody either."""
    rows, people = format_people(tally["rows"]), format_people(tally["people"])
    return (
        f"人数取整到 {ROUNDED_TO} 的倍数，平均数取整，总和是取整后的平均数乘人数；\n"
        f"少于 {FEW} 人的行整行不列出：共 {rows} 行、{people} 人；\n"
        f"列出的行中 {tally['cells']:,} 格不显示：不足 {FEW} 人，或与全行、其他 FILTER 相差不足 {FEW} 人"
    )


def _count_rows(rows: Iterator[Any], counted: Counter[str]) -> Iterator[Any]:
    for row in rows:
        counted["rows"] += 1
        yield row


def _rows(answer: Result) -> Iterator[tuple[Any, ...]]:
    """Row by row: five million of them as Python objects would fill the memory."""
    while batch := answer.fetchmany(BATCH):
        yield from batch
