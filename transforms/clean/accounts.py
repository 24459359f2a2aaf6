"""Row accounts: where the rows of a delivery went, kept beside its clean rows."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

ACCOUNT = "account.json"


@dataclass(frozen=True)
class RowCounts:
    """Where a delivery's rows went: received = clean + quarantined + superseded.

    Attributes:
        reasons: How often each `column:code` refused a row.
        defects: How often each `column:code` was noted of a value in a row that was kept.
        undeclared: Columns that nobody declared, as they are written.
        missing_columns: Declared columns that a file, or a sheet of it, does not have.
        filled: How many values each column that may be empty has in the clean rows.
        unended: Text files whose last line has no line end: they may have been cut off.
        inputs: The fingerprint of what the cleaning depended on.
        unanswered: Rows of a form that nobody filled in: left out, and none of those received.
        ignored_sheets: How many visible sheets with content were no data.
        encodings: Of the parts in order; empty for what is no text file.
        examples: `column:code` -> a refused or emptied value that is no person's.
        values: How many values each column has that some were emptied in, those included.
        other_person: Superseded rows whose key the row that counts has for another person.
        replaced_earlier: Rows with the key of another person's row of an earlier delivery; not kept
            in the account's file, since earlier deliveries may come anew.
        refused_cases: The refused rows by number and reason, where the source wants them named.
        fingerprint: What the clean rows hold (`fingerprint_rows`).
    """

    source: str
    month: str
    number: int
    received: int
    clean: int
    quarantined: int
    superseded: int
    reasons: dict[str, int]
    defects: dict[str, int]
    undeclared: list[str]
    inputs: str
    missing_columns: list[str] = field(default_factory=list)
    filled: dict[str, int] = field(default_factory=dict)
    unended: int = 0
    unanswered: int = 0
    ignored_sheets: int = 0
    encodings: list[str] = field(default_factory=list)
    examples: dict[str, str] = field(default_factory=dict)
    values: dict[str, int] = field(default_factory=dict)
    other_person: int = 0
    replaced_earlier: int = 0
    refused_cases: list[str] = field(default_factory=list)
    fingerprint: str = ""


def read_last_account(folder: Path) -> RowCounts | None:
    """Return the account in a folder of clean rows, whatever they were cleaned from."""
    try:
        return RowCounts(**json.loads((folder / ACCOUNT).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None
