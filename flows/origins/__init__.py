"""Where extracts come from: the inbox, files, other machines, databases. One `Origin` each, opened for one pull."""

from __future__ import annotations

from pathlib import Path

from flows.origins.files import Files, Inbox
from flows.origins.offer import Origin
from flows.root import Root
from flows.settings import SourceSettings


def open_origin(root: Root, source: str, given: SourceSettings | None) -> Origin:
    """The origin of a source: that of `jifen.toml`, else the inbox. Libraries that only some origins need come late."""
    if given is None or given.origin is None:
        return Inbox(root.inbox, source)
    if given.origin.startswith("postgresql://"):
        from flows.origins.database import Database

        return Database(source, given, root.tmp / "sort" / source)
    if "://" in given.origin:
        from flows.origins.remote import Remote

        return Remote(source, given)
    return Files(Path(given.origin))
