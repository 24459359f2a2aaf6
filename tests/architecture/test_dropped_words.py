"""Dropped words are found wherever they stand, and only there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.architecture.dropped_words import find_dropped_words, find_files


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("# a house of its own", ["house"]),
        ("was_told = House()", ["told", "house"]),
        ("AHouseOfCards = 1", ["house"]),
        ("HOUSE_SOURCES = 1", ["house"]),
        ("household = threshold", []),
        ('SQL = "SELECT * FROM handed_on"', ["handed on"]),
        ("# written side-by-side", ["side by side"]),
        ("served = 1  # what was served", ["served"]),
        ('"""What was served, and says who."""', []),
    ],
)
def test_words_are_found_in_code(tmp_path: Path, line: str, words: list[str]) -> None:
    path = tmp_path / "module.py"
    path.write_text(f"\n{line}\n", encoding="utf-8")
    found = find_dropped_words(path)
    assert [finding.word for finding in found] == words
    assert all(finding.line == 2 for finding in found)


def test_words_are_found_in_pages(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("A month is served.\nNobody was told.\n", encoding="utf-8")
    assert [(finding.line, finding.word) for finding in find_dropped_words(path)] == [(2, "told")]


def test_hidden_and_run_time_folders_are_left_out(tmp_path: Path) -> None:
    for folder in ("docs", ".venv", "var"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "page.md").touch()
    assert list(find_files(tmp_path)) == [tmp_path / "docs" / "page.md"]
