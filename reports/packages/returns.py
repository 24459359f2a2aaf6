"""Returns: for every department a workbook of what it has to mend, with the rows as delivered.

Of a source that districts deliver each district has a workbook of its own; rows of which nobody
knows the district are in the workbook of the source's department, which no district gets.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
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
"""Where a revision keeps the workbooks, `<department>.xlsx`, or of a district by its name."""
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
    "district": "VARCHAR",
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


@dataclass(frozen=True)
class ReturnInputs:
    """What the workbooks are made of.

    Attributes:
        sources: All sources by name.
        districts: The name of each district by its code.
        files: The files of returned rows.
        whole: The deliveries that were refused whole, or did not come.
    """

    sources: Mapping[str, Source]
    districts: Mapping[str, str]
    files: Sequence[ReturnedFile]
    whole: Sequence[ReturnedDelivery] = ()

    def list_recipients(self) -> list[str]:
        """Return who may have a workbook: departments as they are declared, then districts."""
        departments = (source.department for source in self.sources.values())
        return list(dict.fromkeys([*departments, *self.districts.values()]))


def write_return_workbooks(
    session: Session, inputs: ReturnInputs, month: Month, folder: Path
) -> dict[str, int]:
    """Write `<recipient>.xlsx` for every department and district that has something to mend.

    Workbooks that lie there are replaced. A recipient of more rows than a workbook takes gets
    several, numbered. Sources of one department are in one workbook.

    Returns:
        Rows by recipient.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.xlsx"):
        old.unlink()
    rows = "\nUNION ALL BY NAME\n".join(_list_relations(inputs))
    recipient = _recipient_sql(inputs)
    session.execute(
        f"CREATE OR REPLACE TEMP VIEW returned AS SELECT *, {recipient} AS recipient FROM ({rows})"
    )
    found = dict(session.fetch_rows("SELECT recipient, count(*) FROM returned GROUP BY recipient"))
    counts = {one: int(found[one]) for one in inputs.list_recipients() if one in found}
    for name, count in counts.items():
        query = _rows_sql(inputs.sources.values(), name)
        session.execute(f"CREATE OR REPLACE TEMP TABLE return_rows AS {query}")
        title = f"{name} {month.first_day.year}年{month.first_day.month}月 退回清单"
        sheet = Sheet("退回清单", title, [ROW_NUMBER, *map(data_column, _COLUMNS)])
        write = partial(write_workbook, session, "return_rows", sheet)
        for file, span in list_parts(name, ".xlsx", count, XLSX_ROWS):
            write(span, folder / file)
    session.drop("return_rows")
    return counts


def drop_return_workbooks(folder: Path) -> None:
    """Remove the workbooks of a month that was blocked, once it is not."""
    shutil.rmtree(folder, ignore_errors=True)


def _list_relations(inputs: ReturnInputs) -> Iterator[str]:
    """Yield a SELECT of every file and delivery; without any an empty one.

    A whole delivery that is the districts' concerns each of them.
    """
    yield f"FROM {empty_relation_sql(_quoted({**_TYPES, 'month': 'VARCHAR'}))}"
    for one in inputs.files:
        yield f"SELECT *, {sql_literal(one.month)} AS month FROM {read_parquet_sql(one.path)}"
    for delivery in inputs.whole:
        values = {
            "source": delivery.source, "month": delivery.month, "kind": "whole",
            "reason": delivery.reason, "wanted": delivery.wanted,
        }  # fmt: skip
        source = inputs.sources.get(delivery.source)
        for code in inputs.districts if source and source.from_districts else [""]:
            given = {**values, "district": code}
            yield "SELECT " + ", ".join(f"{sql_literal(v)} AS {name}" for name, v in given.items())


def _quoted(types: Mapping[str, str]) -> dict[str, str]:
    return {f'"{name}"': kind for name, kind in types.items()}


def _recipient_sql(inputs: ReturnInputs) -> str:
    """Return SQL of who gets a row; null of a source that is no longer declared."""
    districts = [
        f"WHEN {sql_literal(c)} THEN {sql_literal(n)}" for c, n in inputs.districts.items()
    ]
    recipients = {}
    for name, source in inputs.sources.items():
        department = sql_literal(source.department)
        of_district = f"CASE district {' '.join(districts)} ELSE {department} END"
        recipients[name] = of_district if source.from_districts else department
    return _by_source(recipients)


def _rows_sql(sources: Collection[Source], recipient: str) -> str:
    """Return the rows of a recipient in the words of people, a whole delivery first."""
    kinds = " ".join(f"WHEN {sql_literal(k)} THEN {sql_literal(t)}" for k, t in KINDS.items())
    codes = " ".join(f"WHEN {sql_literal(kind)} THEN {n}" for n, kind in enumerate(KINDS))
    titles = _by_source({source.source: sql_literal(source.title) for source in sources})
    said = _by_source({source.source: _delivered_sql(source) for source in sources})
    return f"""
SELECT {titles} AS source, month, file, record, CASE kind {kinds} ELSE kind END AS kind,
    "column" AS item, reason, wanted, {said} AS delivered
FROM returned WHERE recipient = {sql_literal(recipient)}
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
