"""Returns: for every department a workbook of what it has to mend, with the rows as delivered."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from expectations.month import Month
from expectations.source_model import Source
from reports.packages.csv_cells import ListColumn
from reports.packages.xlsx import (
    ROW_NUMBER,
    XLSX_ROWS,
    Sheet,
    data_column,
    list_parts,
    write_workbook,
)
from transforms.engine.parquet import empty_relation_sql, read_parquet_sql
from transforms.engine.session import Session
from transforms.engine.sql import sql_literal

FOLDER = "restricted/returns"
"""Where a revision keeps the workbooks, `<department>.xlsx`."""
KINDS = {
    "whole": "整份退回",
    "refused": "整行退回",
    "emptied": "舍去的值",
    "replaced": "被取代的行",
    "wrong_number": "电话号码有误",
    "unknown_reminder": "提醒编号不对",
    "ineffective": "更正未生效",
}
"""What became of a row or value -> what departments read of it."""
_COLUMNS = [
    ListColumn("source", "数据来源", "text", width=16),
    ListColumn("month", "交付月份", width=10),
    ListColumn("file", "文件", "text", width=16),
    ListColumn("record", "行号", width=8),
    ListColumn("kind", "处理", width=12),
    ListColumn("item", "栏目", "text", width=16),
    ListColumn("reason", "原因", "text", width=32),
    ListColumn("wanted", "应有的写法", "text", width=32),
    ListColumn("delivered", "交付的内容", "text", width=64),
]
_TYPES = {
    "source": "VARCHAR", "file": "VARCHAR", "record": "BIGINT", "kind": "VARCHAR",
    "column": "VARCHAR", "reason": "VARCHAR", "wanted": "VARCHAR", "delivered": "VARCHAR",
}  # fmt: skip


@dataclass(frozen=True)
class ReturnedFile:
    """A file of returned rows, and the month of the delivery that they are of."""

    path: Path
    month: str


@dataclass(frozen=True)
class ReturnedDelivery:
    """A delivery that was refused whole, or did not come: why, and what to do."""

    source: str
    month: str
    reason: str
    wanted: str


def write_return_workbooks(
    session: Session,
    sources: Mapping[str, Source],
    files: Sequence[ReturnedFile],
    whole: Sequence[ReturnedDelivery],
    month: Month,
    folder: Path,
) -> dict[str, int]:
    """Write `<department>.xlsx` for every department that has something to mend.

    Workbooks that lie there are replaced. A department with more rows than a workbook takes gets
    several, numbered. Sources of one department are in one workbook.

    Returns:
        Rows by department.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.xlsx"):
        old.unlink()
    rows = "\nUNION ALL BY NAME\n".join(_list_relations(files, whole))
    session.execute(f"CREATE OR REPLACE TEMP VIEW returned AS {rows}")
    counts: dict[str, int] = {}
    for department in dict.fromkeys(source.department for source in sources.values()):
        own = [source for source in sources.values() if source.department == department]
        session.execute(f"CREATE OR REPLACE TEMP TABLE return_rows AS {_rows_sql(own)}")
        count = int(session.scalar("SELECT count(*) FROM return_rows"))
        if not count:
            continue
        counts[department] = count
        title = f"{department} {month.first_day.year}年{month.first_day.month}月 退回清单"
        sheet = Sheet("退回清单", title, [ROW_NUMBER, *map(data_column, _COLUMNS)])
        write = partial(write_workbook, session, "return_rows", sheet)
        for name, span in list_parts(department, ".xlsx", count, XLSX_ROWS):
            write(span, folder / name)
    session.drop("return_rows")
    return counts


def drop_return_workbooks(folder: Path) -> None:
    """Remove the workbooks of a month that was blocked, once it is not."""
    shutil.rmtree(folder, ignore_errors=True)


def _list_relations(
    files: Sequence[ReturnedFile], whole: Sequence[ReturnedDelivery]
) -> Iterator[str]:
    """Yield a SELECT of every file and delivery; without any an empty one."""
    yield f"FROM {empty_relation_sql(_quoted({**_TYPES, 'month': 'VARCHAR'}))}"
    for one in files:
        yield f"SELECT *, {sql_literal(one.month)} AS month FROM {read_parquet_sql(one.path)}"
    for delivery in whole:
        values = {
            "source": delivery.source, "month": delivery.month, "kind": "whole",
            "reason": delivery.reason, "wanted": delivery.wanted,
        }  # fmt: skip
        yield "SELECT " + ", ".join(f"{sql_literal(v)} AS {name}" for name, v in values.items())


def _quoted(types: Mapping[str, str]) -> dict[str, str]:
    return {f'"{name}"': kind for name, kind in types.items()}


def _rows_sql(sources: Sequence[Source]) -> str:
    """Return the rows of some sources in the words of people, a whole delivery first."""
    kinds = " ".join(f"WHEN {sql_literal(k)} THEN {sql_literal(t)}" for k, t in KINDS.items())
    codes = " ".join(f"WHEN {sql_literal(kind)} THEN {n}" for n, kind in enumerate(KINDS))
    names = ", ".join(sql_literal(source.source) for source in sources)
    titles = _by_source({source.source: sql_literal(source.title) for source in sources})
    said = _by_source({source.source: _delivered_sql(source) for source in sources})
    return f"""
SELECT {titles} AS source, month, file, record, CASE kind {kinds} ELSE kind END AS kind,
    "column" AS item, reason, wanted, {said} AS delivered
FROM returned WHERE source IN ({names})
ORDER BY CASE kind {codes} END, source, month, file, record, reason"""


def _by_source(values: Mapping[str, str]) -> str:
    whens = " ".join(f"WHEN {sql_literal(name)} THEN {sql}" for name, sql in values.items())
    return f"CASE source {whens} END"


def _delivered_sql(source: Source) -> str:
    """Return SQL of a row as delivered, each value with the title of its column."""
    values = ", ".join(
        f"{sql_literal(column.title + '：')} || json_extract_string(delivered, '$.{name}')"
        for name, column in source.columns.items()
    )
    return f"nullif(concat_ws('；', {values}), '')"
