"""Generated pages say what the code says today."""

from __future__ import annotations

from typing import Any, Literal

import pytest
import typer
from pydantic import BaseModel, Field

from flows.cli.model_docs import ENGLISH, render_models
from flows.cli.reference_docs import build_pages, render_commands_markdown


class Undescribed(BaseModel):
    """A thing."""

    colour: str


class Part(BaseModel):
    """A part without keys."""


class Described(BaseModel):
    """A thing with a part."""

    begins: int = Field(3, alias="from", ge=1)
    """Where it begins."""
    parts: dict[str, Part]
    """By name."""
    form: Literal["round", "square"] | None = None
    """Its form."""


class Base(BaseModel):
    """A record.

    Attributes:
        version: Of its form.
    """

    version: int


class Recorded(Base):
    """A record of a day.

    Attributes:
        day: The day, which may be
            explained on two lines.

    The others are explained elsewhere.
    """

    day: str
    colour: dict[str, Any]


class Colours(BaseModel):
    """Explains keys of others.

    Attributes:
        colour: By name.
    """


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


def test_a_key_without_a_docstring_has_no_page() -> None:
    with pytest.raises(ValueError, match=r"Undescribed\.colour"):
        render_models(Undescribed, ENGLISH)


def test_a_page_states_meaning_type_and_default_of_keys() -> None:
    lines = render_models(Described, ENGLISH).splitlines()
    assert lines[0:3] == ["## Described", "", "A thing with a part."]
    assert [line for line in lines if line.startswith("| `")] == [
        "| `from` | Where it begins. | whole number ≥ 1 | `3` |",
        "| `parts` | By name. | map to [Part](#part) | required |",
        "| `form` | Its form. | `round`, `square` |  |",
    ]


def test_docstrings_of_own_base_and_other_classes_explain_keys() -> None:
    lines = render_models(Recorded, ENGLISH, [Colours]).splitlines()
    assert "Attributes" not in "".join(lines)
    assert [line for line in lines if line.startswith("| `")] == [
        "| `version` | Of its form. | whole number | required |",
        "| `day` | The day, which may be explained on two lines. | text | required |",
        "| `colour` | By name. | map to anything | required |",
    ]
