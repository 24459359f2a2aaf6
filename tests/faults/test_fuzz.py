"""A share of the fuzz: corrupted files are refused, or read as a second reader reads them.

All of it: tests.faults.long.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from expectations.yaml_document import YamlDocument
from tests.faults.fuzz import WHOLE, corrupt, fuzz


@pytest.mark.parametrize("kind", WHOLE)
def test_corrupted_files_are_refused_or_read_right(kind: str, tmp_path: Path) -> None:
    tally = fuzz(kind, range(300), tmp_path)
    assert tally.wrong == []
    assert tally.read > 50 and tally.refused > 50 and tally.alone < 15


def test_a_page_that_unpacks_to_less_than_it_should_is_refused(tmp_path: Path) -> None:
    """Found by the long run: the engine filled it up with what it had read before."""
    assert fuzz("parquet", range(10_616, 10_617), tmp_path).refused == 1


def test_the_same_number_is_the_same_input(tmp_path: Path) -> None:
    whole = list(WHOLE["csv"](tmp_path))
    assert [corrupt("csv", number, whole) for number in range(50)] == [
        corrupt("csv", n, whole) for n in range(50)
    ]
    assert len({corrupt("csv", number, whole) for number in range(50)}) > 40


def test_references_that_unfold_without_end_are_refused_at_once(tmp_path: Path) -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [
        f"{one}: &{one} [{', '.join([f'*{before}'] * 9)}]"
        for before, one in zip("abcdefgh", "bcdefghi", strict=True)
    ]
    path = tmp_path / "bomb.yaml"
    path.write_text("\n".join(lines), encoding="utf-8")
    file = YamlDocument(path)
    assert len(file.lines) < 200
    assert [problem.line for problem in file.problems][:9] == [1] * 9
    path.write_text("a: &a [*a]", encoding="utf-8")
    assert [problem.found for problem in YamlDocument(path).problems] == [
        "引用了别处的值（& 和 *）"
    ]
