"""The collection of questions that analysts ask, as SQL on the catalogue: one file of `queries/` each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "queries"


@dataclass(frozen=True)
class Query:
    """One question: its name (of the file), what it asks in both languages, and the statements that answer it.

    The last statement gives the answer; a SET VARIABLE may stand before it. `sql` runs in any DuckDB client that has
    the catalogue open.
    """

    name: str
    question_zh: str
    question_en: str
    sql: str


def load_queries(folder: Path = FOLDER) -> dict[str, Query]:
    """All questions by name. A file begins with two comment lines: the question in Chinese, then in English."""
    return {path.stem: _read(path) for path in sorted(folder.glob("*.sql"))}


def _read(path: Path) -> Query:
    sql = path.read_text(encoding="utf-8")
    chinese, english, _ = sql.split("\n", 2)
    return Query(path.stem, chinese.removeprefix("-- "), english.removeprefix("-- "), sql)
