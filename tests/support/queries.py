"""The questions that analysts ask, as they stand in `reports/queries/`: name -> SQL that any DuckDB client runs."""

from __future__ import annotations

from tests.support.packages import PROJECT


def _read_folder(folder: str) -> dict[str, str]:
    return {
        path.stem: path.read_text(encoding="utf-8")
        for path in sorted((PROJECT / folder).glob("*.sql"))
    }


QUERIES = _read_folder("reports/queries")
OPEN_QUERIES = _read_folder("reports/queries/open")
"""Those that the open layer answers; the names are the same."""
