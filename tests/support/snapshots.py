"""Snapshots as plain files, one each, that a reviewer reads in a diff.

`pytest --snapshot-update` writes them anew; files that no test names any more are removed by it, too.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser

from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode

BLOCKS = {"h1", "h2", "h3", "p", "li", "tr", "summary", "section", "table", "figure", "title", "dt"}


class TextSnapshot(SingleFileSnapshotExtension):
    """One `.txt` file per snapshot."""

    _write_mode = WriteMode.TEXT
    file_extension = "txt"


class SqlSnapshot(TextSnapshot):
    """One `.sql` file per snapshot."""

    file_extension = "sql"


class _Text(HTMLParser):
    """The visible text of a page: a line per block, cells parted by bars."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self.hidden = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.hidden += tag in ("style", "script", "svg")
        if tag in BLOCKS:
            self.text += "\n"
        elif tag in ("td", "th"):
            self.text += " | "

    def handle_endtag(self, tag: str) -> None:
        self.hidden -= tag in ("style", "script", "svg")

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.text += re.sub(r"\s+", " ", data)


def page_text(html: str) -> str:
    """Return the visible text of a page, without charts, a line per paragraph, entry or row."""
    reader = _Text()
    reader.feed(html)
    lines = [line.strip(" |") for line in reader.text.splitlines()]
    return "\n".join(line for line in lines if line) + "\n"
