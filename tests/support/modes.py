"""Who may read what of a root, as `outputs.md` writes it."""

from __future__ import annotations

import stat
from pathlib import Path

FOR_ANALYSTS = ("open", "districts", "services", "thresholds", "metrics", "sql", "policy")
FOR_EXACT = ("scores", "facts", "eligibility", "changes")
OF_REVISION = (*FOR_ANALYSTS, *FOR_EXACT, "report")


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


def for_exact(path: Path) -> bool:
    """Whether a place of the root (relative to it) is for the exact group as well."""
    match path.parts:
        case ("catalogue-exact.duckdb" | "catalogue-exact.sql",):
            return True
        case ("months", _, _, part, *_):
            return part in FOR_EXACT
    return False


def wrong_modes(root: Path, group: int | None, exact: int | None = None) -> list[str]:
    """Every file and folder whose mode or group is not as written. What others put into the inbox is theirs."""
    found = []
    for path in (root, *root.rglob("*")):
        relative = path.relative_to(root)
        if path.is_symlink() or (relative.parts[:1] == ("inbox",) and len(relative.parts) > 1):
            continue
        mode = 0o700 if path.is_dir() else 0o600
        own = group if for_analysts(relative) else exact if for_exact(relative) else None
        wanted = mode | ((mode >> 3) & 0o050 if own is not None else 0)
        if relative.parts == ("queries",) and exact is not None:  # notes are added, not listed
            own, wanted = exact, 0o1730
        status = path.stat()
        if stat.S_IMODE(status.st_mode) != wanted or (own is not None and status.st_gid != own):
            found.append(f"{relative} {stat.S_IMODE(status.st_mode):o} for {wanted:o}")
    return found
