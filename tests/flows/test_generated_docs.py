"""Generated pages say what the code says today."""

from __future__ import annotations

from flows.generated_docs import pages


def test_the_committed_pages_are_those_that_the_code_makes() -> None:
    assert {path.name: path.read_text(encoding="utf-8") for path in pages()} == {
        path.name: text for path, text in pages().items()
    }, "run `make docs`"
