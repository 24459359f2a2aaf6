"""The questions that analysts ask, as they stand in `reports/queries/`: name -> SQL that any DuckDB client runs."""

from __future__ import annotations

from tests.support.packages import PROJECT

QUERIES = {
    path.stem: path.read_text(encoding="utf-8")
    for path in sorted((PROJECT / "reports/queries").glob("*.sql"))
}
