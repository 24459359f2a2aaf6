"""Jinja2 as all pages and workbooks use it: values are escaped, a name that is missing is an error."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from reports.numbers import format_cell


@cache
def load_templates(folder: Path) -> Environment:
    """Return the templates of a folder; the filter `cell` writes numbers and text of tables."""
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["cell"] = format_cell
    return environment
