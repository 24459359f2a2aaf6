"""`jifen overview`: the city at a glance, made on demand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from expectations.month import Month
from flows.pipeline.overview import write_overview
from flows.project import load_project
from flows.settings import Settings
from flows.storage.root import open_root


def make_overview(settings: Settings, months: Sequence[Month] | None, out: Path | None) -> Path:
    """Write the page, and return where it is.

    Args:
        settings: Where the root is.
        months: Those to show; by default all that are published.
        out: The file to write; by default the root's own page, for which the root is held.

    Raises:
        JifenError: Exit 2, none of these months is published; exit 13, a run holds the root.
    """
    root = open_root(settings)
    project = load_project(settings)
    if out is not None:
        return write_overview(project, root, months, out)
    with root.lock():
        return write_overview(project, root, months)
