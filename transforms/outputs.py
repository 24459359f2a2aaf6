"""The tables of a revision, declared once: what a row is, its key, its order, who may read it.

Folders, permissions, the analysts' views, the data dictionary, the schema hashes of the manifest
and the empty tables that stand for missing ones all follow from `OUTPUTS`.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from transforms.engine.parquet import empty_relation_sql, read_parquet_sql
from transforms.engine.session import Session

COLUMNS_FILE = Path(__file__).with_name("output_columns.csv")
RETURNED_ROWS = "restricted/returns/rows"
"""Where the stages of a revision leave what departments have to mend, a file per reason."""
RESIDENT_ORDER = ("district", "resident_key")


class Readers(Enum):
    """Who may read a table of a revision: `analysts_group`, `exact_group`, or nobody else."""

    ANALYSTS = "analysts"
    EXACT = "exact group"
    OPERATORS = "operators"


@dataclass(frozen=True)
class Output:
    """A table of a revision: a folder of Parquet files.

    Attributes:
        folder: Its folder in a revision.
        row: What one row is, in Chinese and in English.
        key: The columns that identify a row within a month; none where rows may be equal.
        order: The columns by which the rows of a file are sorted; none: as the one aligned with.
        readers: Who may read it.
        view: The name of its view in the catalogue; empty when it has none.
        by_district: Whether there is a file per district (else one file).
        aligned_with: The output whose row n is about the resident of this one's row n.
        columns: Names and SQL types of its columns, where no declaration adds any.
    """

    folder: str
    row: tuple[str, str]
    key: tuple[str, ...]
    order: tuple[str, ...]
    readers: Readers = Readers.OPERATORS
    view: str = ""
    by_district: bool = False
    aligned_with: str = ""
    columns: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ColumnMeaning:
    """What analysts read of a column that every month has; `*` stands for the declared ones."""

    table_name: str
    column_name: str
    title_zh: str
    type: str
    unit: str
    meaning_zh: str
    meaning_en: str
    source: str


def read_column_meanings(view: str) -> list[ColumnMeaning]:
    """Return the columns of a view that are in `output_columns.csv`, in the order of its files."""
    with COLUMNS_FILE.open(encoding="utf-8", newline="") as text:
        meanings = [ColumnMeaning(**row) for row in csv.DictReader(text)]
    return [column for column in meanings if column.table_name == view]


def _column_types(view: str) -> dict[str, str]:
    return {column.column_name: column.type for column in read_column_meanings(view)}


REMINDER_COLUMNS = {
    "reminder_id": "VARCHAR",
    "added_in": "INTEGER",
    "month": "DATE",
    "kind": "VARCHAR",
    "service": "VARCHAR",
    "resident_id": "VARCHAR",
    "name": "VARCHAR",
    "phone": "VARCHAR",
    "district": "VARCHAR",
    "due_on": "DATE",
    "text": "VARCHAR",
    "attempt": "INTEGER",
    "last_outcome": "VARCHAR",
}
SCORES = Output(
    "scores",
    ("积分：每位新居民每月一行", "Points: one row per resident and month"),
    key=("resident_key",),
    order=RESIDENT_ORDER,
    readers=Readers.EXACT,
    view="scores",
)
FACTS = Output(
    "facts",
    ("指标数据：每位新居民每月一行", "Facts: one row per resident and month"),
    key=("resident_key",),
    order=RESIDENT_ORDER,
    readers=Readers.EXACT,
    view="facts",
    aligned_with="scores",
)
ELIGIBILITY = Output(
    "eligibility",
    (
        "服务资格：每人每项已达标或只差积分的服务每月一行",
        "Eligibility: one row per resident, service and month, where they qualify or lack points "
        "only",
    ),
    key=("resident_key", "service"),
    order=("district", "resident_key", "service"),
    readers=Readers.EXACT,
    view="eligibility",
    by_district=True,
    columns=_column_types("eligibility"),
)
CHANGES = Output(
    "changes",
    (
        "与上月相比的变化：每人每个变化的指标或分项一行",
        "Changes against the month before: one row per resident and indicator or sum that changed",
    ),
    key=("resident_key", "item"),
    order=("district", "resident_key", "item"),
    readers=Readers.EXACT,
    view="score_changes",
    by_district=True,
    columns=_column_types("score_changes"),
)
DISTRICTS = Output(
    "districts",
    ("区县：每个区县每月一行", "Districts: one row per district and month"),
    key=("district",),
    order=("district",),
    readers=Readers.ANALYSTS,
    view="districts",
    columns=_column_types("districts"),
)
SERVICES = Output(
    "services",
    (
        "服务：当月生效的每项服务一行",
        "Services: one row per service in force and month",
    ),
    key=("service",),
    order=("service",),
    readers=Readers.ANALYSTS,
    view="services",
    columns=_column_types("services"),
)
THRESHOLDS = Output(
    "thresholds",
    (
        "分数线：每项服务、每个受理区县每月一行",
        "Thresholds: one row per service, district it is open in, and month",
    ),
    key=("service", "district"),
    order=("service", "district"),
    readers=Readers.ANALYSTS,
    view="thresholds",
    columns=_column_types("thresholds"),
)
OPEN_RESIDENTS = Output(
    "open/residents",
    (
        "分档的居民数据：每位新居民每月一行，没有标识，相同的行至少 10 人",
        "Residents in bands: one row per resident and month, without a key; at least ten people "
        "share each row",
    ),
    key=(),
    order=("district",),
    readers=Readers.ANALYSTS,
    view="open_residents",
)
OPEN_ELIGIBILITY = Output(
    "open/eligibility",
    (
        "分档的服务资格：每人每项已达标或只差积分的服务每月一行，没有标识，相同的行至少 10 人",
        "Eligibility in bands: one row per resident, service and month, where they qualify or lack "
        "points only, without a key; at least ten people share each row",
    ),
    key=(),
    order=("service", "district"),
    readers=Readers.ANALYSTS,
    view="open_eligibility",
    columns=_column_types("open_eligibility"),
)
METRICS = Output(
    "metrics",
    (
        "统计：每个统计项、每个区县（或全市）、每个分项每月一行",
        "Metrics: one row per metric, district (or the city), item and month",
    ),
    key=("metric", "district", "item"),
    order=("metric", "district", "item"),
    readers=Readers.ANALYSTS,
    view="metrics",
    columns=_column_types("metrics"),
)
DistrictCount = tuple[str, str, int, int]
"""What an earlier stage counted for METRICS: district, item, number and people."""
RESTRICTED_FACTS = Output(
    "restricted/facts",
    (
        "可识别个人的指标数据和更正：每位新居民一行",
        "Facts that identify people, and corrections: one row per resident",
    ),
    key=("resident_key",),
    order=(),
    aligned_with="scores",
)
IDENTITIES = Output(
    "restricted/identities",
    ("身份：每位新居民一行", "Who is behind a resident_key: one row per resident"),
    key=("resident_key",),
    order=RESIDENT_ORDER,
    aligned_with="scores",
)
STATEMENTS = Output(
    "restricted/statements",
    (
        "个人积分单：每位新居民一行",
        "What every resident sees: one row per resident, in the order of scores; words beside",
    ),
    key=("resident_id",),
    order=("district",),
    by_district=True,
)
FAMILIES = Output(
    "restricted/families",
    (
        "子女按谁的积分计：每名子女、每项服务、每位监护人、每一部分积分一行",
        "Whose points counted: one row per child, service, guardian and part of the points",
    ),
    key=("service", "child_key", "guardian_key", "part"),
    order=("service", "child_key", "guardian_key", "part"),
    columns={
        "month": "DATE",
        "service": "VARCHAR",
        "child_key": "VARCHAR",
        "guardian_key": "VARCHAR",
        "part": "VARCHAR",
        "points": "DECIMAL(9,2)",
        "counted": "BOOLEAN",
        "district": "VARCHAR",
        "child_id": "VARCHAR",
        "child_born_on": "DATE",
        "child_level": "VARCHAR",
    },
)
REMINDERS = Output(
    "reminders",
    ("提醒：每条提醒一行", "Reminders: one row per reminder"),
    key=("reminder_id",),
    order=("district", "kind", "service", "resident_id", "reminder_id"),
    columns=REMINDER_COLUMNS,
)
OUTPUTS = (
    SCORES,
    FACTS,
    ELIGIBILITY,
    CHANGES,
    DISTRICTS,
    SERVICES,
    THRESHOLDS,
    OPEN_RESIDENTS,
    OPEN_ELIGIBILITY,
    METRICS,
    RESTRICTED_FACTS,
    IDENTITIES,
    STATEMENTS,
    FAMILIES,
    REMINDERS,
)
VIEWS = {output.view: output for output in OUTPUTS if output.view}
"""The outputs that people query, by the name of their view."""
OPEN_VIEWS = {view: one for view, one in VIEWS.items() if one.readers is Readers.ANALYSTS}
"""Those of the open layer: metrics, tables about districts and services, rows that ten share."""


def find_table_file(revision: Path, output: Output) -> Path:
    """Return the one file of an output of a revision."""
    return revision / output.folder / f"{Path(output.folder).name}.parquet"


def read_with_row_number(revision: Path, output: Output) -> str:
    """Return SQL of an output of a revision with `file_row_number`.

    Outputs that are aligned hold the same residents in one order.
    """
    return read_parquet_sql(find_table_file(revision, output), file_row_number="true")


def create_output_view(session: Session, name: str, output: Output, files: Sequence[Path]) -> None:
    """Create a view of some files of an output; of an empty table when there are none.

    A step that had nothing to do has written no file. Cursors see the view, too: it is no TEMP one.
    """
    rows = read_parquet_sql(*files) if files else empty_relation_sql(output.columns)
    session.execute(f"CREATE OR REPLACE VIEW {name} AS FROM {rows}")
