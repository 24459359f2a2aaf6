"""The pages of `docs/` that are made from the code: `make docs` writes them, a test holds them against it."""

from __future__ import annotations

import inspect
from pathlib import Path

import typer

from flows.cli.app import app
from flows.project import PROJECT_FOLDER, load_project
from flows.settings import load_settings
from reports.catalogue.dictionary import build_dictionary_rows, render_dictionary_markdown


def build_pages() -> dict[Path, str]:
    """Every generated page: its place and its text."""
    house = load_project(load_settings(None))
    reference = PROJECT_FOLDER / "docs" / "reference"
    return {
        reference / "dictionary.md": render_dictionary_markdown(
            build_dictionary_rows(house.sources, house.tables)
        ),
        reference / "cli.md": render_commands_markdown(app),
    }


def render_commands_markdown(app: typer.Typer) -> str:
    """Every command with its options, what each means, and what stands where it is not given."""
    parts = ["# 命令\n\n本页由 `make docs` 从程序生成。\n"]
    for name, command in sorted(typer.main.get_command(app).commands.items()):  # type: ignore[attr-defined]
        parts.append(
            f"## jifen {name}\n\n{_explained(name, inspect.cleandoc(command.help or ''))}\n"
        )
        parts.append("| 选项 | 说明 | 默认 |\n| --- | --- | --- |")
        for option in command.params:
            shown = " ".join(
                [*(option.opts if option.param_type_name == "option" else ()), option.metavar or ""]
            )
            default = (
                "必填"
                if option.required
                else f"`{option.default}`"
                if option.default not in (None, False)
                else ""
            )
            parts.append(
                f"| `{shown.strip()}` | {_explained(f'{name} {option.name}', option.help)} | {default} |"
            )
        parts.append("")
    return "\n".join(parts)


def _explained(what: str, text: str | None) -> str:
    """A help text; ValueError without one: what nobody explains is not offered."""
    if not text:
        raise ValueError(f"jifen {what}: no help text")
    return text


def main() -> None:
    for path, text in build_pages().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
