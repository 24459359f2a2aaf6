"""Who may read what of a root, as `outputs.md` writes it."""

from __future__ import annotations

import stat
from pathlib import Path

FOR_ANALYSTS = (
    *(
        "scores",
        "facts",
        "eligibility",
        "changes",
        "districts",
        "services",
        "thresholds",
        "metrics",
        "open",
    ),
    *("report", "sql", "policy"),
)


def for_analysts(path: Path) -> bool:
    """Whether a place of the root (relative to it) is for the analysts' group as well."""
    match path.parts:
        case (
            ()
            | ("months" | "published",)
            | ("catalogue.duckdb" | "catalogue.sql",)
            | ("overview", *_)
        ):
            return True
        case ("months", _) | ("months", _, _):
            return True
        case ("months", _, _, part, *_):
            return part in FOR_ANALYSTS
    return False


def wrong_modes(root: Path, group: int | None) -> list[str]:
    """Every file and folder whose mode or group is not as written. What others put into the inbox is theirs."""
    found = []
    for path in (root, *root.rglob("*")):
        relative = path.relative_to(root)
        if path.is_symlink() or (relative.parts[:1] == ("inbox",) and len(relative.parts) > 1):
            continue
        mode = 0o700 if path.is_dir() else 0o600
        shared = group is not None and for_analysts(relative)
        wanted = mode | ((mode >> 3) & 0o050 if shared else 0)
        status = path.stat()
        if stat.S_IMODE(status.st_mode) != wanted or (shared and status.st_gid != group):
            found.append(f"{relative} {stat.S_IMODE(status.st_mode):o} for {wanted:o}")
    return found
