"""The comparer of versions finds what it must find, and nothing in equal results."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import duckdb
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.benchmarks.compare_versions import Account, compare_roots, parse_months

REVISION = Path("months/2022-03/r1")
SCORES = REVISION / "scores/scores.parquet"
IDENTITIES = REVISION / "restricted/identities/identities.parquet"
LIST_CSV = REVISION / "exports/330212/scores.csv"
LIST_XLSX = REVISION / "exports/330212/scores.xlsx"
CLEAN = Path("clean/registry/received=2022-03/d1/00000.parquet")
ROWS = {
    "resident_key": ["k1", "k2", "k3"],
    "total_points": [1.5, None, float("nan")],
    "awards": [[{"key": "a", "points": 1}], [], None],
}


def write_workbook(path: Path, first: object) -> None:
    workbook = openpyxl.Workbook()
    assert workbook.active is not None
    workbook.active.append(["姓名", "总分"])
    workbook.active.append([first, 26])
    workbook.save(path)


@pytest.fixture
def roots(tmp_path: Path) -> tuple[Path, Path]:
    """Two equal roots."""
    a, b = tmp_path / "a", tmp_path / "b"
    for path in (SCORES, IDENTITIES, LIST_CSV):
        (a / path).parent.mkdir(parents=True)
    pq.write_table(pa.table(ROWS), a / SCORES)
    pq.write_table(pa.table({"resident_key": ["k1"], "name": ["secret"]}), a / IDENTITIES)
    (a / LIST_CSV).write_text("姓名,总分\n甲,26.00\n", encoding="utf-8")
    write_workbook(a / LIST_XLSX, "甲")
    (a / REVISION / "manifest.json").write_text(json.dumps({"month": "2022-03", "files": {"x": 1}}))
    (a / "published").mkdir()
    (a / "published/2022-03").symlink_to("../months/2022-03/r1")
    with duckdb.connect(a / "catalogue.duckdb") as connection:
        connection.execute("CREATE TABLE scores (month DATE)")
    shutil.copytree(a, b, symlinks=True)
    return a, b


def show(account: Account) -> list[str]:
    return [f"{item.table} {item.column}: {item.text}" for item in account.differences]


def test_equal_roots_have_no_difference(roots: tuple[Path, Path]) -> None:
    account = compare_roots(*roots)
    assert show(account) == []
    assert account.tables == 5
    assert account.cells == 9 + 2 + 2 + 4


def test_a_changed_cell_is_found_by_its_pseudonym(roots: tuple[Path, Path]) -> None:
    changed = ROWS | {"total_points": [1.5, 2.0, float("nan")]}
    pq.write_table(pa.table(changed), roots[1] / SCORES)
    text = f"{SCORES} total_points: 1 cells differ, first in row 2 (k2): None, 2.0"
    assert show(compare_roots(*roots)) == [text]


def test_a_changed_item_of_a_list_is_found(roots: tuple[Path, Path]) -> None:
    changed = ROWS | {"awards": [[{"key": "a", "points": 2}], [], None]}
    pq.write_table(pa.table(changed), roots[1] / SCORES)
    assert [item.column for item in compare_roots(*roots).differences] == ["awards"]


def test_no_value_of_an_identity_is_shown(roots: tuple[Path, Path]) -> None:
    pq.write_table(pa.table({"resident_key": ["k1"], "name": ["other"]}), roots[1] / IDENTITIES)
    assert show(compare_roots(*roots)) == [
        f"{IDENTITIES} name: 1 cells differ, first in row 1 (k1)"
    ]


def test_another_order_is_found(roots: tuple[Path, Path]) -> None:
    pq.write_table(pa.table(ROWS).take([1, 0, 2]), roots[1] / SCORES)
    text = f"{SCORES} : same rows in another order (3 columns differ)"
    assert show(compare_roots(*roots)) == [text]


def test_the_order_of_clean_rows_is_free(roots: tuple[Path, Path]) -> None:
    tables = [pa.table(ROWS), pa.table(ROWS).take([1, 0, 2])]
    for root, table in zip(roots, tables, strict=True):
        (root / CLEAN).parent.mkdir(parents=True)
        pq.write_table(table, root / CLEAN)
    assert show(compare_roots(*roots)) == []
    pq.write_table(pa.table(ROWS).take([1, 1, 2]), roots[1] / CLEAN)
    assert {item.table for item in compare_roots(*roots).differences} == {str(CLEAN)}


def test_another_type_and_a_missing_column_are_found(roots: tuple[Path, Path]) -> None:
    table = pa.table(ROWS).drop_columns("awards")
    points = table["total_points"].cast(pa.float32())
    pq.write_table(table.set_column(1, "total_points", points), roots[1] / SCORES)
    found = {item.column: item.text for item in compare_roots(*roots).differences}
    assert found == {"total_points": "double in A, float in B", "awards": "column only in A"}


def test_a_missing_row_is_found(roots: tuple[Path, Path]) -> None:
    pq.write_table(pa.table(ROWS).slice(0, 2), roots[1] / SCORES)
    assert show(compare_roots(*roots)) == [f"{SCORES} : 3 rows in A, 2 in B"]


@pytest.mark.parametrize(("removed_from", "text"), [(0, "file only in B"), (1, "file only in A")])
def test_a_missing_file_is_found(roots: tuple[Path, Path], removed_from: int, text: str) -> None:
    (roots[removed_from] / SCORES).unlink()
    assert show(compare_roots(*roots)) == [f"{SCORES} : {text}"]


def test_csv_is_compared_by_cells_and_by_bytes(roots: tuple[Path, Path]) -> None:
    (roots[1] / LIST_CSV).write_text("姓名,总分\n甲,27.00\n", encoding="utf-8")
    assert show(compare_roots(*roots)) == [f"{LIST_CSV} 总分: 1 cells differ, first in row 1"]
    (roots[1] / LIST_CSV).write_text('"姓名",总分\n甲,26.00\n', encoding="utf-8")
    text = f"{LIST_CSV} : same cells, other bytes (quotes, line ends, BOM)"
    assert show(compare_roots(*roots)) == [text]


def test_a_workbook_is_compared_by_cells(roots: tuple[Path, Path]) -> None:
    write_workbook(roots[1] / LIST_XLSX, "乙")
    text = f"{LIST_XLSX} column 1: 1 cells differ, first in row 2"
    assert show(compare_roots(*roots)) == [text]


def test_keys_of_manifests_and_columns_of_the_catalogue_are_compared(
    roots: tuple[Path, Path],
) -> None:
    manifest = {"month": "2022-04", "metrics": [{"x": 1}], "files": {"y": 1}}
    (roots[1] / REVISION / "manifest.json").write_text(json.dumps(manifest))
    with duckdb.connect(roots[1] / "catalogue.duckdb") as connection:
        connection.execute("ALTER TABLE scores ADD COLUMN district VARCHAR")
    assert show(compare_roots(*roots)) == [
        f"{REVISION}/manifest.json metrics: key only in B",
        f"{REVISION}/manifest.json metrics[].x: key only in B",
        "catalogue.duckdb : 1 rows in A, 2 in B",
    ]


def test_another_revision_in_force_is_found(roots: tuple[Path, Path]) -> None:
    (roots[1] / "published/2022-03").unlink()
    (roots[1] / "published/2022-03").symlink_to("../months/2022-03/r2")
    assert [item.table for item in compare_roots(*roots).differences] == ["published"]


def test_what_is_allowed_or_renamed_is_no_difference(roots: tuple[Path, Path]) -> None:
    pq.write_table(pa.table(ROWS | {"resident_key": ["k1", "k2", "k4"]}), roots[1] / SCORES)
    (roots[1] / SCORES).rename(roots[1] / REVISION / "scores/all.parquet")
    renamed = [("scores/scores.parquet", "scores/all.parquet")]
    assert len(compare_roots(*roots, renamed=renamed).differences) == 1
    account = compare_roots(*roots, ["*/scores/*:resident_key"], renamed)
    assert (len(account.differences), len(account.allowed)) == (0, 1)


def test_months_of_a_span() -> None:
    assert parse_months("2022-11:2023-01") == ("2022-11", "2022-12", "2023-01")
