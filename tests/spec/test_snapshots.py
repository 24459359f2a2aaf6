"""The compiled statement of every rule form, and every message of the manual, as files to read in a diff."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from syrupy.assertion import SnapshotAssertion

from tests.spec.chapters import AS_OF, FACTS, Case, list_chapters, load_case_tables, parse_residents
from tests.spec.mistakes import ValidDeclaration, list_valid_declarations
from tests.support.snapshots import SqlSnapshot, TextSnapshot
from transforms.points.compile import points_sql
from transforms.points.models import CITY

FIRST_CASES = [
    chapter.cases[0]
    for chapter in list_chapters()
    if chapter.cases and chapter.cases[0].kind == "points"
]


@pytest.mark.parametrize("case", FIRST_CASES, ids=lambda case: case.fragment.parent.name)
def test_statement(case: Case, snapshot: SnapshotAssertion, tmp_path: Path) -> None:
    versions = {
        table.authority: table.in_force(AS_OF) for table in load_case_tables(case, tmp_path)
    }
    city = versions.pop(CITY)
    targets = {one for resident in parse_residents(case.rows) for one in resident.corrections}
    assert points_sql(city, versions, FACTS, corrected=targets) == snapshot(
        extension_class=SqlSnapshot
    )


@pytest.mark.parametrize("valid", list_valid_declarations(), ids=lambda valid: valid.folder.name)
def test_messages(
    valid: ValidDeclaration,
    snapshot: SnapshotAssertion,
    engine: duckdb.DuckDBPyConnection,
    tmp_path: Path,
) -> None:
    lines = []
    for number, mistake in enumerate(valid.mistakes):
        folder = tmp_path / str(number)
        folder.mkdir()
        lines += [f"# {mistake.title}", *mistake.changes]
        for found in valid.refused(mistake.text, folder, engine):
            lines.append(f"=> {found.file.name}:{found.line} {found.key}: {found.found}")
            lines.append(f"   {found.expected}")
        lines.append("")
    assert "\n".join(lines) == snapshot(extension_class=TextSnapshot)
