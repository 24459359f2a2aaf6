"""Notes of queries by people who may read the exact layer, but not write the access log.

They leave a file in `queries/`, where the exact group can add files and neither list nor read any;
whoever owns a file has asked. The operator's next command takes the notes into the access log.
"""

from __future__ import annotations

import json
import os
import pwd
import secrets
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

LARGEST = 100_000  # bytes of a note
_TEXTS = ("purpose", "case", "query", "asked_at")


def leave_query_note(folder: Path, values: dict[str, str | int]) -> None:
    """Leave a note, durably.

    Raises:
        OSError: There is no such folder, or who asks cannot add files to it.
    """
    name = folder / f"{secrets.token_hex(16)}.json"
    file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        os.fchmod(file, 0o644)  # in a folder that only its owner lists
        os.write(file, json.dumps(values, ensure_ascii=False).encode()[:LARGEST])
        os.fsync(file)
    finally:
        os.close(file)


def read_query_notes(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield every note: its file, and what it says, with the person that its owner is.

    What is no note says only whose it is.
    """
    for file in sorted(folder.glob("*")):
        status = file.lstat()
        who = str(status.st_uid)
        with suppress(KeyError):
            who = pwd.getpwuid(status.st_uid).pw_name
        said: Any = {}
        if stat.S_ISREG(status.st_mode) and status.st_size <= LARGEST:
            with suppress(OSError, ValueError):
                said = json.loads(file.read_bytes())
        noted = said if isinstance(said, dict) else {}
        rows = noted.get("rows")
        texts = {name: str(noted[name]) for name in _TEXTS if name in noted}
        about = {"account": who, "uid": status.st_uid}
        yield file, {**about, **texts, "rows": rows if isinstance(rows, int) else -1}
