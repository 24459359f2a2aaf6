"""YAML is read as it was written, and what readers of YAML do not agree on is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from pydantic import BaseModel

from expectations.yaml_document import YamlDocument


def read(folder: Path, text: str) -> YamlDocument:
    path = folder / "one.yaml"
    path.write_text(text, encoding="utf-8")
    return YamlDocument(path)


def test_a_folded_text_is_one_line_and_nothing_else(tmp_path: Path) -> None:
    file = read(tmp_path, "note: >\n  two\n  lines\n\n  more\n")
    assert (file.problems, file.data) == ([], {"note": "two lines\nmore\n"})


@pytest.mark.parametrize(
    ("text", "found", "line"),
    [
        ("a: 1\nb: {c:, d: 1}\n", "不是合法的 YAML（冒号后面没有空格；属于文字的，加上引号）", 2),
        ("a: 1\n\nb: [c:, d]\n", "不是合法的 YAML（冒号后面没有空格；属于文字的，加上引号）", 3),
        ("a: 1\nb: {[c, d], e: 1}\n", "键不是文本", 2),
        ("? {a: 1}\n: b\n", "键不是文本", 1),
        ("a: " + "[" * 100_000, "嵌套过深", 1),
        ("a: 1\nb: c: d\n", "不是合法的 YAML（这里不能再有冒号；属于文字的，加上引号）", 2),
        ("a:\n  b: 1\n c: 2\n", "不是合法的 YAML（缩进不齐）", 3),
        ("a: 1\nb: 2\na: 3\n", "重复的键（第 1 行已有 a）", 3),
        ("36: 1\n36.0: 2\n", "重复的键（第 1 行已有 36）", 2),
        ("2: 1\n\n02: 2\n", "重复的键（第 1 行已有 2）", 3),
        ("'330211': 1\n330211: 2\n", "重复的键（第 1 行已有 330211）", 2),
    ],
)
def test_invalid_or_ambiguous_yaml_is_refused_at_its_line(
    tmp_path: Path, text: str, found: str, line: int
) -> None:
    assert [(one.found, one.line) for one in read(tmp_path, text).problems] == [(found, line)]


def test_keys_that_only_look_like_numbers_stay_texts(tmp_path: Path) -> None:
    file = read(tmp_path, "nan: 1\n1e2: 2\n100: 3\nNaN: 4\n1.: 5\n1: 6\n")
    assert (file.problems, list(file.data)) == ([], ["nan", "1e2", "100", "NaN", "1.", "1"])


def test_a_quoted_colon_belongs_to_the_text(tmp_path: Path) -> None:
    file = read(tmp_path, "a: 'b:'\n\"c:\": 1\n")
    assert (file.problems, file.data) == ([], {"a": "b:", "c:": "1"})


class Chosen(BaseModel):
    each: Literal["resident", "child", "home"]


def test_known_values_are_listed_in_chinese(tmp_path: Path) -> None:
    file = read(tmp_path, "each: nobody\n")
    file.parse(Chosen)
    assert [(one.found, one.expected) for one in file.problems] == [
        ("'nobody'", "可用的值：resident、child、home")
    ]
