"""The measures of legibility count what they say they count."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.architecture.measure_legibility import (
    build_offenders,
    build_table,
    measure_folder,
    starts_with_verb,
)

SAMPLE = """
def load_rows(a, b, c, d, e, f, *, g): ...


def rows(): ...


def run(): ...


def _hidden(): ...


class Reader:
    def read(self, a, b, c, d, e, f): ...

    def many(self, a, b, c, d, e, f, g): ...


SQL = f"SELECT {', '.join(f'{x}' for x in y)} {z:{width}}"
CHINESE = "积分"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "setup.py").write_text("def left_out(): ...\n")
    for folder in ("package", "package/tests", ".venv"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "module.py").write_text(SAMPLE, encoding="utf-8")
    return tmp_path


def test_every_measure_counts_what_it_says(project: Path) -> None:
    measures = measure_folder(project)
    assert measures.modules == [len(SAMPLE.splitlines())]
    assert len(measures.functions) == 6
    assert measures.names == 3
    assert [place.text for place in measures.without_verb] == ["rows"]
    assert [place.text for place in measures.one_word] == ["rows", "run"]
    assert [place.text for place in measures.many_parameters] == [
        "load_rows: 7 parameters",
        "many: 7 parameters",
    ]
    assert [place.line for place in measures.nested_fstrings] == [20]


@pytest.mark.parametrize(("characters", "is_long"), [(100, False), (101, True)])
def test_a_line_is_long_by_its_characters(tmp_path: Path, characters: int, is_long: bool) -> None:
    (tmp_path / "module.py").write_text(f"#{'积' * (characters - 1)}\n", encoding="utf-8")
    assert bool(measure_folder(tmp_path).long_lines) is is_long


@pytest.mark.parametrize(
    ("name", "expected"),
    [("find_rows", True), ("is_stale", True), ("found_rows", False), ("with_rows", False)],
)
def test_a_verb_is_known_in_its_base_form(name: str, expected: bool) -> None:
    assert starts_with_verb(name) is expected


def test_newer_syntax_is_reported_not_ignored(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text("def def\n")
    assert "sample: 1 module(s)" in build_table({"sample": measure_folder(tmp_path)})


def test_offenders_name_their_place(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    assert "package/module.py:5: rows" in build_offenders(measure_folder(project)).splitlines()
