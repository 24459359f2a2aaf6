"""Generated pages say what the code says today."""

from __future__ import annotations

import pytest
import typer

from flows.cli.reference_docs import build_pages, render_commands_markdown


def test_the_committed_pages_are_those_that_the_code_makes() -> None:
    assert {path.name: path.read_text(encoding="utf-8") for path in build_pages()} == {
        path.name: text for path, text in build_pages().items()
    }, "run `make docs`"


def test_an_option_that_nobody_explains_has_no_page() -> None:
    app = typer.Typer(callback=lambda: None)

    @app.command()
    def count(times: int = 3) -> None:
        """数一数。"""

    with pytest.raises(ValueError, match="count times"):
        render_commands_markdown(app)
