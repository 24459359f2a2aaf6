"""Messages about an unknown name suggest the most similar name, or list all names."""

from __future__ import annotations

from pathlib import Path

import pytest

from expectations.errors import did_you_mean
from tests.support.declarations import find_source_problems


def test_the_most_similar_name_or_all_names_are_suggested() -> None:
    assert did_you_mean("tenur", ["tenure", "kind"]) == "是否应为 tenure？"
    assert did_you_mean("xyz", ["tenure", "kind"], "的键") == "可用的键：tenure、kind"
    assert did_you_mean("xyz", []) == "可用：无"


@pytest.mark.parametrize(
    ("source", "was", "becomes", "meant"),
    [
        ("patents", "key: [patent_no]", "key: [patent_number]", "没有这一列；是否应为 patent_no？"),
        (
            "volunteer",
            "platelets: {one_of",
            "platelet: {one_of",
            "不是 kind 的取值；是否应为 platelets？",
        ),
        (
            "credit",
            "{kind: dishonesty}",
            "{kind: dishonest}",
            "不是 kind 的取值；是否应为 dishonesty？",
        ),
    ],
)
def test_a_misspelt_name_in_a_source_gets_a_suggestion(
    tmp_path: Path, source: str, was: str, becomes: str, meant: str
) -> None:
    assert meant in [
        problem.expected for problem in find_source_problems(tmp_path, source, was, becomes)
    ]
