"""The city's reference tables: small CSV files with fixed columns, checked as strictly as the declarations."""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from expectations.month import Month
from expectations.problems import DeclarationError, Problem


def _matching(pattern: str, meant: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(meant)
        return text

    return read


def _day(text: str) -> dt.date:
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        raise ValueError("应为日期 YYYY-MM-DD")
    return dt.date.fromisoformat(text)


def _month(text: str) -> int:
    return Month.parse(text).ordinal


def _amount(text: str) -> Decimal:
    if not re.fullmatch(r"[0-9]{1,10}(\.[0-9]{1,2})?", text):
        raise ValueError("应为不多于两位小数的数")
    return Decimal(text)


def _year(text: str) -> int:
    return int(_matching(r"[0-9]{4}", "应为四位年份")(text))


_CODE = _matching(r"[0-9]{6}", "应为六位区划代码")
_TEXT = _matching(r"(?s).+", "不能为空")
_LEVEL = _matching(r"primary|junior_middle", "应为 primary 或 junior_middle")
_RECIPIENT = _matching(r"(age1[0-9a-z]+)?", "应为 age 公钥或留空")

# One line per table: key columns first; (reader, SQL type) of each column.
_Column = tuple[Callable[[str], Any], str]
TABLES: dict[str, tuple[int, dict[str, _Column]]] = {
    "districts": (1, {"code": (_CODE, "VARCHAR"), "name": (_TEXT, "VARCHAR"), "name_en": (_TEXT, "VARCHAR"), "recipient": (_RECIPIENT, "VARCHAR")}),
    "community_rents": (3, {"district": (_CODE, "VARCHAR"), "community": (_TEXT, "VARCHAR"), "from_month": (_month, "INTEGER"), "average_rent": (_amount, "DECIMAL(12,2)")}),
    "shortage_occupations": (2, {"year": (_year, "INTEGER"), "occupation": (_TEXT, "VARCHAR"), "title": (_TEXT, "VARCHAR")}),
    "school_calendar": (3, {"district": (_CODE, "VARCHAR"), "year": (_year, "INTEGER"), "level": (_LEVEL, "VARCHAR"), "opens_on": (_day, "DATE"), "closes_on": (_day, "DATE")}),
    "award_quotas": (2, {"grantor_id": (_TEXT, "VARCHAR"), "year": (_year, "INTEGER"), "points": (_amount, "DECIMAL(12,2)")}),
}  # fmt: skip


@dataclass(frozen=True)
class Reference:
    """All reference tables: rows (typed tuples, in file order) and the content hash of each file."""

    rows: Mapping[str, list[tuple[Any, ...]]]
    hashes: Mapping[str, str]
    folder: Path

    @property
    def districts(self) -> dict[str, str]:
        """District code to Chinese name, in the order of the file."""
        return {row[0]: row[1] for row in self.rows["districts"]}


def load_reference(folder: Path) -> Reference:
    """Read every reference table of a folder. DeclarationError with all mistakes."""
    problems: list[Problem] = []
    rows = {name: _read(folder / f"{name}.csv", name, problems) for name in TABLES}
    if problems:
        raise DeclarationError(problems)
    hashes = {name: hashlib.sha256((folder / f"{name}.csv").read_bytes()).hexdigest() for name in TABLES}
    return Reference(rows, hashes, folder)


def _read(path: Path, name: str, problems: list[Problem]) -> list[tuple[Any, ...]]:
    keys, columns = TABLES[name]
    try:
        with path.open(encoding="utf-8-sig", newline="") as text:
            lines = csv.reader(text, strict=True)
            header = next(lines, [])
            if header != list(columns):
                problems.append(Problem(path, 1, "表头", ",".join(header), f"应为 {','.join(columns)}"))
                return []
            rows: dict[tuple[Any, ...], tuple[Any, ...]] = {}
            for values in lines:
                row = _row(path, lines.line_num, columns, values, problems)
                if row and row[:keys] in rows:
                    problems.append(Problem(path, lines.line_num, ",".join(values[:keys]), "重复", "同一键只能有一行"))
                if row:
                    rows[row[:keys]] = row
            return list(rows.values())
    except FileNotFoundError:
        problems.append(Problem(path, 1, "(文件)", "不存在", "请补上参考表"))
    except (UnicodeDecodeError, csv.Error):
        problems.append(Problem(path, 1, "(文件)", "不是 UTF-8 编码的 CSV", "请以 UTF-8 另存"))
    return []


def _row(
    path: Path, line: int, columns: Mapping[str, _Column], values: list[str], problems: list[Problem]
) -> tuple[Any, ...] | None:
    if len(values) != len(columns):
        problems.append(Problem(path, line, "(行)", f"{len(values)} 列", f"应为 {len(columns)} 列"))
        return None
    row: list[Any] = []
    for (name, (read, _)), text in zip(columns.items(), values, strict=True):
        try:
            row.append(read(text.strip()))
        except ValueError as error:
            problems.append(Problem(path, line, name, text, str(error)))
    return tuple(row) if len(row) == len(columns) else None
