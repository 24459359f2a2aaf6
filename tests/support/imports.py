"""What the project's modules import."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PROJECT = Path(__file__).parents[2]
TOP_FOLDERS = ("flows", "reports", "transforms", "expectations", "data")


def list_modules(*folders: str) -> Iterator[Path]:
    """Yield the Python files below these folders of the project, sorted; without any, of all."""
    for folder in folders or TOP_FOLDERS:
        yield from sorted((PROJECT / folder).rglob("*.py"))


def module_name(file: Path) -> str:
    """Return the dotted name of a module of the project."""
    return ".".join(file.relative_to(PROJECT).with_suffix("").parts).removesuffix(".__init__")


@cache
def find_imports(file: Path) -> frozenset[str]:
    """Return the modules that a file imports; of `from a import b`, `a.b` where that is a module."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            folder = PROJECT / node.module.replace(".", "/")
            names |= {
                f"{node.module}.{alias.name}"
                if (folder / f"{alias.name}.py").is_file() or (folder / alias.name).is_dir()
                else node.module
                for alias in node.names
            }
    return frozenset(names)
