"""`jifen project`: the exact tables with pseudonyms of a project's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from expectations.errors import ExitCode, JifenError
from expectations.month import Month
from flows.commands.lookup import Reason
from flows.commands.project import EXACT_OUTPUTS, ProjectCopy, copy_for_project
from tests.support.held_city import OCTOBER
from tests.support.world import World


def copy(town: World, name: str, folder: Path, *months: str) -> Path:
    chosen = [Month.parse(month) for month in months] or None
    given = ProjectCopy(name, chosen, folder, Reason("测试"))
    return copy_for_project(town.settings, given, lambda line: None)


def read(folder: Path, table: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(folder / table / f"{OCTOBER}.parquet").to_pylist()
    return rows


def without_key(rows: list[dict[str, Any]]) -> list[str]:
    return sorted(str({k: v for k, v in row.items() if k != "resident_key"}) for row in rows)


def test_two_projects_hold_the_same_rows_and_no_pseudonym_in_common(
    october_town: World, tmp_path: Path
) -> None:
    one = copy(october_town, "housing-2026", tmp_path / "a")
    other = copy(october_town, "schools-2026", tmp_path / "b")
    again = copy(october_town, "housing-2026", tmp_path / "c", OCTOBER)
    keys = {}
    for output in EXACT_OUTPUTS:
        table = output.folder
        own = october_town.table(OCTOBER, table)
        rows = [read(folder, table) for folder in (one, other, again)]
        assert rows[0] == rows[2] and len(rows[0]) == len(own)
        assert without_key(rows[0]) == without_key(rows[1]) == without_key(own)
        sets = [{row["resident_key"] for row in given} for given in (own, rows[0], rows[1])]
        assert not (sets[0] & sets[1] or sets[0] & sets[2] or sets[1] & sets[2])
        keys[table] = sets[1]
        order = [tuple(str(row[name]) for name in output.order) for row in rows[0]]
        assert order == sorted(order)
    assert keys["scores"] == keys["facts"] >= keys["eligibility"] and len(keys["scores"]) > 10
    log = (october_town.root.runs / "access.log").read_text(encoding="utf-8")
    assert "housing-2026" in log and "测试" in log


@pytest.mark.parametrize("name", ["../x", "A", "a", "name with spaces", ""])
def test_a_name_that_is_none_is_refused(october_town: World, tmp_path: Path, name: str) -> None:
    with pytest.raises(JifenError) as caught:
        copy(october_town, name, tmp_path)
    assert caught.value.code == ExitCode.USAGE


def test_without_published_months_there_is_nothing_to_copy(
    october_town: World, tmp_path: Path
) -> None:
    with pytest.raises(JifenError) as caught:
        copy(october_town, "housing-2026", tmp_path, "1999-01")
    assert caught.value.code == ExitCode.USAGE
