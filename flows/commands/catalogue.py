"""`jifen catalogue`: make the analysts' catalogue again."""

from __future__ import annotations

from pathlib import Path

from flows.pipeline.release import renew_catalogue
from flows.project import load_project
from flows.settings import Settings
from flows.storage.root import open_root


def rebuild_catalogue(settings: Settings, as_seen_from: Path | None) -> Path:
    """Make the catalogue again, and return its path.

    Args:
        settings: Where the root is.
        as_seen_from: The path of the root as the analysts see it, where it is another.
    """
    root = open_root(settings)
    with root.lock():
        renew_catalogue(load_project(settings), root, as_seen_from)
    return root.catalogue
