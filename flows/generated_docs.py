"""The pages of `docs/` that are made from the code: `make docs` writes them, a test holds them against it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path

import typer

from flows.cli import app
from flows.house import PROJECT, load_house
from flows.settings import load_settings
from reports.dictionary import dictionary_markdown, dictionary_rows


def pages() -> dict[Path, str]:
    """Every generated page: its place and its text."""
    house = load_house(load_settings(None))
    docs = PROJECT / "docs"
    return {
        docs / "dictionary.md": dictionary_markdown(dictionary_rows(house.sources, house.tables)),
        docs / "commands.md": "\n".join(_commands()),
    }


def _commands() -> Iterator[str]:
    yield "# 命令\n\n本页由 `make docs` 从程序生成。\n"
    for name, command in sorted(typer.main.get_command(app).commands.items()):  # type: ignore[attr-defined]
        yield f"## jifen {name}\n\n{inspect.cleandoc(command.help or '')}\n"
        yield "| 选项 | 说明 |\n| --- | --- |"
        for option in command.params:
            shown = " ".join(option.opts) if option.param_type_name == "option" else option.metavar or option.name
            yield f"| `{shown}` | {getattr(option, 'help', None) or ''} |"
        yield ""


def main() -> None:
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
