"""The city's reference tables: small CSV files with fixed columns, checked as strictly as YAML."""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from expectations.errors import DeclarationError, Diagnostic
from expectations.month import Month


def _matching(pattern: str, meant: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(meant)
        return text

    return read


def _day(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(_matching(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", "")(text))
    except ValueError:
        raise ValueError("应为存在的日期 YYYY-MM-DD") from None


def _month(text: str) -> int:
    try:
        return Month.parse(text).ordinal
    except ValueError:
        raise ValueError("应为月份 YYYY-MM") from None


def _amount(text: str) -> Decimal:
    if not re.fullmatch(r"[0-9]{1,10}(\.[0-9]{1,2})?", text):
        raise ValueError("应为不多于两位小数的数")
    return Decimal(text)


def _year(text: str) -> int:
    return int(_matching(r"[0-9]{4}", "应为四位年份")(text))


def _recipient(text: str) -> str:
    if "SECRET-KEY" in text.upper():
        raise ValueError("这是私钥，不是公钥：请换一对密钥，只交公钥（以 age1 开头）")
    return _matching(r"(age1[0-9a-z]+)?", "应为 age 公钥或留空")(text)


# What a column holds: (reader, SQL type).
_Column = tuple[Callable[[str], Any], str]
_CODE: _Column = (_matching(r"[0-9]{6}", "应为六位区划代码"), "VARCHAR")
_TEXT: _Column = (_matching(r"(?s).+", "不能为空"), "VARCHAR")
_LEVEL: _Column = (_matching(r"primary|junior_middle", "应为 primary 或 junior_middle"), "VARCHAR")
_RECIPIENT: _Column = (_recipient, "VARCHAR")
_MONTH: _Column = (_month, "INTEGER")
_PEOPLE: _Column = (lambda text: int(_matching(r"[0-9]{1,9}", "应为人数（整数）")(text)), "INTEGER")
_AMOUNT: _Column = (_amount, "DECIMAL(12,2)")
_YEAR: _Column = (_year, "INTEGER")
_DAY: _Column = (_day, "DATE")

# Each table: how many of its first columns are the key, and its columns.
TABLES: dict[str, tuple[int, dict[str, _Column]]] = {
    "districts": (1, {"code": _CODE, "name": _TEXT, "name_en": _TEXT, "recipient": _RECIPIENT}),
    "community_rents": (
        3,
        {"district": _CODE, "community": _TEXT, "from_month": _MONTH, "average_rent": _AMOUNT},
    ),
    "shortage_occupations": (2, {"year": _YEAR, "occupation": _TEXT, "title": _TEXT}),
    "school_calendar": (
        3,
        {"district": _CODE, "year": _YEAR, "level": _LEVEL, "opens_on": _DAY, "closes_on": _DAY},
    ),
    "award_quotas": (2, {"grantor_id": _TEXT, "year": _YEAR, "points": _AMOUNT}),
    "grantor_people": (2, {"grantor_id": _TEXT, "year": _YEAR, "people": _PEOPLE}),
}
OPTIONAL_TABLES = {"grantor_people"}
"""Tables that a city need not have: without the file they are empty."""


@dataclass(frozen=True)
class Reference:
    """All reference tables: rows (typed tuples in file order) and content hash of each file."""

    rows: Mapping[str, list[tuple[Any, ...]]]
    hashes: Mapping[str, str]
    folder: Path

    @property
    def districts(self) -> dict[str, str]:
        """District code to Chinese name, in the order of the file."""
        return {row[0]: row[1] for row in self.rows["districts"]}


def load_reference(folder: Path) -> Reference:
    """Read every reference table of a folder.

    Raises:
        DeclarationError: All mistakes of all tables.
    """
    problems: list[Diagnostic] = []
    there = [
        name for name in TABLES if name not in OPTIONAL_TABLES or (folder / f"{name}.csv").exists()
    ]
    rows: dict[str, list[tuple[Any, ...]]] = {name: [] for name in TABLES}
    rows |= {name: _read(folder / f"{name}.csv", name, problems) for name in there}
    problems += _find_equal_names(folder / "districts.csv", rows["districts"])
    if problems:
        raise DeclarationError(problems)
    hashes = {
        name: hashlib.sha256((folder / f"{name}.csv").read_bytes()).hexdigest() for name in there
    }
    return Reference(rows, hashes, folder)


def _find_equal_names(path: Path, districts: Iterable[tuple[Any, ...]]) -> Iterator[Diagnostic]:
    """Yield districts that have another one's name: workbooks go by it."""
    names: set[str] = set()
    for line, (_, name, *_) in enumerate(districts, 2):
        if name in names:
            yield Diagnostic(path, line, "name", name, "与另一个区县同名，请写全名")
        names.add(name)


def _read(path: Path, name: str, problems: list[Diagnostic]) -> list[tuple[Any, ...]]:
    keys, columns = TABLES[name]
    try:
        with path.open(encoding="utf-8-sig", newline="") as text:
            lines = csv.reader(text, strict=True)
            header = next(lines, [])
            if header != list(columns):
                problems.append(
                    Diagnostic(path, 1, "表头", ",".join(header), f"应为 {','.join(columns)}")
                )
                return []
            rows: dict[tuple[Any, ...], tuple[Any, ...]] = {}
            for values in lines:
                row = _row(path, lines.line_num, columns, values, problems)
                if row and row[:keys] in rows:
                    problems.append(
                        Diagnostic(
                            path,
                            lines.line_num,
                            ",".join(values[:keys]),
                            "重复",
                            "同一键只能有一行",
                        )
                    )
                if row:
                    rows[row[:keys]] = row
            return list(rows.values())
    except FileNotFoundError:
        problems.append(Diagnostic(path, 1, "(文件)", "不存在", "请补上参考表"))
    except (UnicodeDecodeError, csv.Error):
        problems.append(Diagnostic(path, 1, "(文件)", "不是 UTF-8 编码的 CSV", "请以 UTF-8 另存"))
    return []


def _row(
    path: Path,
    line: int,
    columns: Mapping[str, _Column],
    values: list[str],
    problems: list[Diagnostic],
) -> tuple[Any, ...] | None:
    if len(values) != len(columns):
        problems.append(
            Diagnostic(path, line, "(行)", f"{len(values)} 列", f"应为 {len(columns)} 列")
        )
        return None
    row: list[Any] = []
    for (name, (read, _)), text in zip(columns.items(), values, strict=True):
        try:
            row.append(read(text.strip()))
        except ValueError as error:
            problems.append(Diagnostic(path, line, name, text, str(error)))
    return tuple(row) if len(row) == len(columns) else None
