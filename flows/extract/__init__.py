"""Where extracts come from: the inbox, files, other machines, databases.

Each has an `Origin`, opened for one pull.
"""

from __future__ import annotations

from pathlib import Path

from flows.extract.base import Connector
from flows.extract.inbox import InboxContents
from flows.extract.local import Files, Inbox
from flows.settings import SourceSettings
from flows.storage.root import Root


def open_connector(
    root: Root, source: str, given: SourceSettings | None, inbox: InboxContents
) -> Connector:
    """Open the origin of a source: that of `jifen.toml`, else the inbox with what lies in it.

    Libraries that only some origins need are imported here.
    """
    if given is None or given.origin is None:
        return Inbox(root.inbox, inbox, source)
    if given.origin.startswith("postgresql://"):
        from flows.extract.postgres import Database

        return Database(source, given, root.tmp / "sort" / source)
    if "://" in given.origin:
        from flows.extract.remote import Remote

        return Remote(source, given)
    return Files(Path(given.origin))
