"""`jifen sql`: one question to the analysts' catalogue, which reads pseudonymous files only and writes nothing."""

from __future__ import annotations

import csv
import json
import sys
from typing import Any

import duckdb
from rich.console import Console
from rich.table import Table

from expectations.problems import ExitCode, JifenError
from flows.publish import published, published_months
from flows.root import Root
from flows.settings import Settings
from reports.catalogue import VIEWS
from transforms.engine import confine, open_engine


def ask(settings: Settings, query: str, form: str) -> None:
    """Answer a query as a table, or as `csv` or `json` lines, on standard output. JifenError 2 when it is no query."""
    root = Root(settings.paths.root, settings.paths.inbox)
    if not root.catalogue.exists():
        raise JifenError(ExitCode.USAGE, "还没有分析目录", where=str(root.catalogue), todo="先用 jifen run 发布一个月")
    revisions = [published(root, month) for month in published_months(root)]
    folders = [revision.path / name for revision in revisions if revision for name, _ in VIEWS.values()]
    with open_engine(settings.engine_settings, root.tmp / "spill", root.catalogue, read_only=True) as connection:
        confine(connection, folders)
        try:
            columns, rows = _answer(connection, query)
        except (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException) as error:
            raise JifenError(
                ExitCode.USAGE, f"查询有误：{str(error).splitlines()[0]}", todo="表和列见 dictionary"
            ) from None
        except duckdb.PermissionException:
            raise JifenError(ExitCode.USAGE, "这里只能查询已发布的匿名数据，不能读写其他文件") from None
        except duckdb.Error as error:
            raise JifenError(ExitCode.USAGE, f"查询无法执行（{type(error).__name__}）", todo="请检查查询") from None
    _show(columns, rows, form)


def _answer(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Columns and rows of the last statement. Only questions, and variables for them, are let through."""
    columns: list[str] = []
    rows: list[tuple[Any, ...]] = []
    for statement in connection.extract_statements(query):
        if statement.type not in (duckdb.StatementType.SELECT, duckdb.StatementType.SET):
            raise JifenError(ExitCode.USAGE, "这里只能查询，不能写入", todo="用 SELECT 查询 scores、facts 等视图")
        result = connection.execute(statement)
        columns, rows = [column[0] for column in result.description or []], result.fetchall()
    return columns, rows


def _show(columns: list[str], rows: list[tuple[Any, ...]], form: str) -> None:
    if form == "csv":
        csv.writer(sys.stdout, lineterminator="\n").writerows([columns, *rows])
    elif form == "json":
        for row in rows:
            print(json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False, default=str))
    else:
        table = Table(*columns)
        for row in rows:
            table.add_row(*("" if value is None else str(value) for value in row))
        Console().print(table)
