"""Deliveries that went through a real spreadsheet: their rows are the same, or what differs is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from expectations.errors import JifenError
from expectations.month import Month
from tests.support.office import TO_CSV, converted
from tests.support.office_files import OfficeFile
from tests.support.world import SOURCES, national_id, no_key_twice, read_rows
from transforms.clean.delivery import CleaningJob, RowCounts, clean_delivery

SOURCE = SOURCES["housing"]
PEOPLE = [national_id(f"330203199{n % 10}0101{n:03d}") for n in range(1, 31)]
NUMERIC = sum(person.isdigit() for person in PEOPLE)
ROWS = [
    [
        f"FW{n:04d}", person, "rented", "330203", "北城小区", "是" if n % 2 else "否", f"2020-0{n % 9 + 1}-05",
        "2030-01-01" if n % 3 else "", f"{800 + n}.5",
    ]
    for n, person in enumerate(PEOPLE)
]  # fmt: skip


def make_file() -> OfficeFile:
    return OfficeFile(SOURCE, [*SOURCE.columns], [list(row) for row in ROWS], Path("none"))


Change = Callable[[OfficeFile], object]
Wanted = str | dict[str, int]
SAME = "the same rows"


def rent(file: OfficeFile) -> int:
    return file.place("monthly_rent")


WORKBOOKS: dict[str, tuple[Change, Wanted]] = {
    "saved again": (lambda file: None, SAME),
    "numbers as numbers": (
        lambda file: setattr(file.workbook, "numbers", True),
        {"resident_id:lost_digits": NUMERIC},
    ),
    "dates as dates": (lambda file: setattr(file.workbook, "dates", "yyyy/m/d"), SAME),
    "dates in Chinese": (
        lambda file: setattr(file.workbook, "dates", '[$-804]yyyy"年"m"月"d"日"'),
        SAME,
    ),
    "dates as shown by month names": (
        lambda file: setattr(file.workbook, "dates", "d-mmm-yy"),
        SAME,
    ),
    "dates as serial numbers": (
        lambda file: setattr(file.workbook, "dates", "0"),
        {"from_on:serial_number": 30, "to_on:serial_number": 20},
    ),
    "formulas": (lambda file: setattr(file.workbook, "formulas", (rent(file), "")), SAME),
    "merged cells": (lambda file: setattr(file.workbook, "merged", rent(file)), "合并单元格"),
    "error values": (lambda file: setattr(file.workbook, "errors", rent(file)), "错误值"),
    "a hidden sheet first": (lambda file: setattr(file.workbook, "hidden_first", True), SAME),
    "rows on two sheets": (lambda file: setattr(file.workbook, "split", 10), SAME),
    "a sheet with a note": (lambda file: setattr(file.workbook, "note", True), SAME),
    "title lines": (lambda file: setattr(file, "above", [["住房统计表"], [""]]), SAME),
    "a line with the sum": (
        lambda file: setattr(file, "below", [["合计", *[""] * 8]]),
        {"resident_id:missing": 1},
    ),
    "placeholders": (
        lambda file: [row.__setitem__(rent(file), "#N/A") for row in file.rows[:3]],
        {"monthly_rent:placeholder": 3},
    ),
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every workbook opened and saved by LibreOffice, and the CSV as xlsx and as CSV."""
    folder = tmp_path_factory.mktemp("written")
    names = {}
    for number, (name, (change, _)) in enumerate(WORKBOOKS.items()):
        file = make_file()
        change(file)
        file.suffix, file.stem, file.month = "xlsx", f"book{number}", "books"
        file.write(folder)
        names[name] = folder / "books" / f"book{number}.xlsx"
    again = converted(list(names.values()), "xlsx", tmp_path_factory.mktemp("again"))
    found = dict(zip(names, again, strict=True))
    file = make_file()
    file.encoding, file.month = "utf-8-sig", "texts"
    file.write(folder)
    text = folder / "texts" / "housing.csv"
    [found["CSV as a workbook"]] = converted([text], "xlsx", tmp_path_factory.mktemp("xlsx"))
    [found["CSV saved again"]] = converted([text], TO_CSV, tmp_path_factory.mktemp("csv"))
    return found


def clean(
    connection: duckdb.DuckDBPyConnection, folder: Path, path: Path
) -> tuple[RowCounts, list[dict[str, object]]]:
    job = CleaningJob(
        SOURCE, Month.parse("2024-04"), 1, (path,), None, frozenset({"330203"}), "inputs"
    )
    gate = no_key_twice(connection, SOURCE)
    account = clean_delivery(connection, job, folder / "root", folder / "work", gate)
    rows = read_rows(job.folder(folder / "root", "clean"))
    return account, [{name: row[name] for name in SOURCE.columns} for row in rows]


@pytest.fixture
def undisturbed(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> list[dict[str, object]]:
    make_file().write(tmp_path)
    return clean(connection, tmp_path / "undisturbed", tmp_path / "2024-04" / "housing.csv")[1]


@pytest.mark.parametrize("name", [*WORKBOOKS, "CSV as a workbook", "CSV saved again"])
def test_what_a_spreadsheet_saved_is_the_same_or_named(
    connection: duckdb.DuckDBPyConnection,
    tmp_path: Path,
    saved: dict[str, Path],
    undisturbed: list[dict[str, object]],
    name: str,
) -> None:
    wanted: Wanted = {"resident_id:lost_digits": NUMERIC}
    if name in WORKBOOKS:
        wanted = WORKBOOKS[name][1]
    if isinstance(wanted, str) and wanted != SAME:
        with pytest.raises(JifenError, match=wanted):
            clean(connection, tmp_path, saved[name])
        return
    account, rows = clean(connection, tmp_path, saved[name])
    key = lambda row: str(row["record_id"])  # noqa: E731
    if wanted == SAME:
        assert sorted(rows, key=key) == sorted(undisturbed, key=key)
        assert not account.reasons and not account.defects
    else:
        assert isinstance(wanted, dict)
        named = account.reasons | account.defects
        assert {note: named.get(note) for note in wanted} == wanted
        kept = [row for row in undisturbed if any(key(row) == key(other) for other in rows)]
        lost = ["monthly_rent"] if "placeholder" in next(iter(wanted)) else []
        for row, other in zip(sorted(kept, key=key), sorted(rows, key=key), strict=True):
            assert {n: v for n, v in row.items() if n not in lost} == {
                n: v for n, v in other.items() if n not in lost
            }
