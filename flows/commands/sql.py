"""`jifen sql`: one query of the analysts' catalogue, which reads pseudonymous files only."""

from __future__ import annotations

import csv
import json
import math
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import count, islice
from pathlib import Path
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.table import Column, Table

from expectations.errors import ExitCode, JifenError
from flows.settings import Settings
from flows.storage.root import Root
from transforms.engine.session import EngineError, FileAccessError, Result, Session, open_engine
from transforms.outputs import VIEWS

SHOWN = 1000  # rows of a table: more is for a file, and for another program to read
BATCH = 10_000
WIDEST = 100_000
EXPLAIN = re.compile(r"^\s*EXPLAIN\s+(ANALYZE\s+)?", re.IGNORECASE)
NUMBERS = ("DECIMAL", "DOUBLE", "FLOAT", "HUGEINT", "BIGINT", "INTEGER", "SMALLINT", "TINYINT")


def run_query(settings: Settings, query: str, form: str) -> None:
    """Answer a query as a table, or as `csv` or `json` lines, on standard output.

    Works for whoever may read the catalogue: nothing is written to the root, what spills goes to a
    folder of the caller's own (under TMPDIR).

    Raises:
        JifenError: Exit 2, it is no query.
    """
    root = Root(settings.paths.root, settings.paths.inbox)
    _require_readable(root.catalogue)
    folders = [
        folder / output.folder
        for _, _, folder in root.revision_folders()
        for output in VIEWS.values()
    ]
    with (
        tempfile.TemporaryDirectory(prefix="jifen-") as spill,
        open_engine(
            settings.engine_settings, Path(spill), root.catalogue, read_only=True
        ) as session,
    ):
        session.restrict_file_access(folders)
        try:
            _print_result(_execute_read_only(session, query), form)
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
            hint = "有哪些表：SHOW TABLES；有哪些列：DESCRIBE scores；各列的含义：SELECT * FROM dictionary"
            raise JifenError(ExitCode.USAGE, f"查询有误：{said}", hint=hint) from None


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
            "请操作员把您的帐号加入 jifen.toml 中 [paths] analysts_group 写的用户组，然后重新登录"
        )
        raise JifenError(
            ExitCode.USAGE, "没有读取分析目录的权限", where=str(catalogue), hint=hint
        ) from None


def _execute_read_only(session: Session, query: str) -> Result:
    """Return the result of the last statement, if all are queries or set variables for them.

    DuckDB describes only what may stand within a query, so nothing that writes: not even a COPY in
    a WITH, which counts as a SELECT by itself. Where PIVOT has to find its columns first, it would
    run one all the same: they must be named.
    """
    statements = session.split_statements(query)
    if not statements:
        raise JifenError(
            ExitCode.USAGE, "没有查询", hint="写在引号里，或从标准输入给出：jifen sql - < 查询.sql"
        )
    for kind, statement in statements:
        if kind not in ("SELECT", "EXPLAIN", "SET"):
            hint = "用 SELECT 查询 scores、facts 等视图；PIVOT 须写明取值：ON … IN (…)；要存下结果，写 --csv > 文件名"
            raise JifenError(ExitCode.USAGE, "这里只能查询，不能写入", hint=hint)
        if kind != "SET":
            session.execute("DESCRIBE " + EXPLAIN.sub("", statement))
        result = session.execute(statement)
    return result


def _print_result(answer: Result, form: str) -> None:
    columns = [
        (name, str(kind).partition("(")[0] in NUMBERS)
        for name, kind, *_ in answer.description or []
    ]
    names = [name for name, _ in columns]
    if form == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(names)
        writer.writerows(map(_text, row) for row in _rows(answer))
    elif form == "json":
        keys = _deduplicate_names(names)
        for row in _rows(answer):
            print(_json(dict(zip(keys, row, strict=True))))
    else:
        rows = [[_text(value) for value in row] for row in islice(_rows(answer), SHOWN + 1)]
        _print_table(
            [Column(name, justify="right" if number else "left") for name, number in columns],
            rows[:SHOWN],
        )
        if len(rows) > SHOWN:
            print(f"只显示了前 {SHOWN:,} 行；要全部，写 --csv > 文件名", file=sys.stderr)


def _rows(answer: Result) -> Iterator[tuple[Any, ...]]:
    """Row by row: five million of them as Python objects would fill the memory."""
    while batch := answer.fetchmany(BATCH):
        yield from batch


def _print_table(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    """Print columns next to each other, or below each other on a narrow terminal: all is shown."""
    console, table = Console(markup=False, emoji=False, highlight=False), Table(*columns)
    for row in rows:
        table.add_row(*row)
    if (
        Measurement.get(console, console.options.update(max_width=WIDEST), table).maximum
        <= console.width
    ):
        console.print(table)
        return
    names = [str(column.header) for column in columns]
    widest = max(map(cell_len, names))
    for number, row in enumerate(rows, 1):
        print(f"—— {number} ——")
        for name, text in zip(names, row, strict=True):
            print(f"{name}{' ' * (widest - cell_len(name))}  {text}".rstrip())


def _deduplicate_names(names: Sequence[str]) -> list[str]:
    """Number the repeated names as DuckDB does in a table: a, a_1. Names that were given stay."""
    found: list[str] = []
    for name in names:
        candidates = (f"{name}_{number}" for number in count(1))
        found.append(
            name
            if name not in found
            else next(new for new in candidates if new not in {*names, *found})
        )
    return found


def _text(value: Any) -> str:
    """A value as other tools read it: yes and no as DuckDB writes them, lists as JSON."""
    if value is None:
        return ""
    return _json(value) if isinstance(value, bool | list | tuple | dict) else str(value)


def _json(value: Any) -> str:
    return json.dumps(_plain(value), ensure_ascii=False)


def _plain(value: Any) -> Any:
    """A value as JSON has it: keys of maps as text, null for what is no number."""
    match value:
        case dict():
            return {_text(key): _plain(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_plain(inner) for inner in value]
        case float():
            return value if math.isfinite(value) else None
        case Decimal():
            return float(value)
        case None | bool() | int() | str():
            return value
    return str(value)
