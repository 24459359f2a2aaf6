"""Every test that a page calls as a witness exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[2]
NAMED = re.compile(r"`(tests/[a-z_/]+\.py)::(test_[a-z0-9_]+)`")


@pytest.mark.parametrize(
    "page", ["security", "reliability", "promises/outputs", "promises/points", "promises/sources"]
)
def test_every_test_that_a_page_names_exists(page: str) -> None:
    text = (HOUSE / "docs" / "assurance" / f"{page}.md").read_text(encoding="utf-8")
    named = NAMED.findall(text)
    assert len(named) >= 20 and len(named) == text.count("::test_")
    missing = [
        f"{file}::{name}"
        for file, name in named
        if not (HOUSE / file).is_file()
        or f"def {name}(" not in (HOUSE / file).read_text(encoding="utf-8")
    ]
    assert missing == []
