"""The rule manual for policy writers, made from the chapters: `python -m tests.spec.manual` writes docs/policy-writers.md.

What it shows is what the tests run, so it cannot say anything that does not hold.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import duckdb

from tests.spec.chapters import CORRECT, FACTS, HERE, POINTS, Case, Chapter, chapters
from tests.spec.mistakes import SOUND, mistakes, refused
from transforms.engine import EngineSettings, open_engine
from transforms.policy.tables import AWARD

PAGE = HERE.parents[1] / "docs" / "policy-writers.md"
SUMS = {"common": "共性分", "district": "个性分", "total": "总分"}
HEAD = """# 积分表怎样写

由 `tests/spec/` 的试验生成（`make docs`），请勿手改。
"""


def manual(connection: duckdb.DuckDBPyConnection) -> str:
    """The whole page."""
    found = chapters()
    contents = "\n".join(
        f"{number}. {chapter.text.splitlines()[0].removeprefix('# ')}" for number, chapter in enumerate(found)
    )
    parts = [HEAD, contents + "\n"]
    for number, chapter in enumerate(found):
        parts.append(chapter.text.replace("# ", f"## {number}. ", 1))
        parts += _mistakes(connection) if chapter.subject == "mistakes" else _cases(chapter)
    return "\n".join(parts)


def _cases(chapter: Chapter) -> Iterator[str]:
    for case in chapter.cases:
        yield f"```yaml\n{case.fragment.read_text(encoding='utf-8')}```\n"
        yield _table(case)


def _table(case: Case) -> str:
    rows = case.rows
    lines = [f"| {' | '.join(map(_heading, rows[0]))} |", f"| {' | '.join('---' for _ in rows[0])} |"]
    return "\n".join([*lines, *(f"| {' | '.join(row.values())} |" for row in rows)]) + "\n"


def _heading(name: str) -> str:
    """A column in words."""
    if name.endswith(POINTS):
        code = name.removesuffix(POINTS)
        return f"**{SUMS[code]}**" if code in SUMS else f"**{code} 得分**"
    if name.startswith(CORRECT):
        return f"更正 {name.removeprefix(CORRECT)}"
    if name.startswith(AWARD):
        return f"{name} 赋分"
    return {"as_of": "计分日", "district": "居住区县"}.get(name) or f"{name} {FACTS[name].title}"


def _mistakes(connection: duckdb.DuckDBPyConnection) -> Iterator[str]:
    numbered = "\n".join(f"{number:3} {line}" for number, line in enumerate(SOUND.splitlines(), 1))
    yield f"```text\n{numbered}\n```\n"
    with tempfile.TemporaryDirectory() as folder:
        for mistake in mistakes():
            problem = refused(mistake.text, Path(folder), connection)[0]
            told = str(problem).replace(str(problem.file), problem.file.name, 1)
            changes = "\n".join(mistake.changes)
            yield f"**{mistake.title}**\n\n```diff\n{changes}\n```\n\n> {told}\n"


def main() -> None:
    """Write the page."""
    with tempfile.TemporaryDirectory() as folder, open_engine(EngineSettings("500MB", 1), Path(folder)) as connection:
        PAGE.write_text(manual(connection), encoding="utf-8")


if __name__ == "__main__":
    main()
