"""The manual for policy writers, made from the chapters: `python -m tests.spec.manual` writes docs/guides/policy-writers.md.

What it shows is what the tests run, so it cannot say anything that does not hold.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb

from tests.spec.chapters import CORRECT, FACTS, HERE, POINTS, Case, Chapter, list_chapters
from tests.spec.extracts import SOURCES
from tests.spec.forms import OUTSIDE, read_forms
from tests.spec.mistakes import ValidDeclaration
from transforms.engine.session import EngineSettings, open_engine
from transforms.expressions.fact_values import AWARD

PAGE = HERE.parents[1] / "docs" / "guides" / "policy-writers.md"
SUMS = {
    "common": "共性分",
    "district": "个性分",
    "total": "总分",
    "base": "基础分",
    "bonus": "加分",
}
SUMS |= {"province": "省级指标", "city": "市级指标"}
GIVEN = {
    "as_of": "计分日", "district": "居住区县", "lives_in": "居住区县", "who": "人", "name": "姓名", "run": "运行",
    "received": "收到月份", "born": "子女出生日期", "child": "子女",
}  # fmt: skip
DECIDED = {
    "eligible": "已达标", "points_short": "还差分数", "monthly_amount": "每月金额", "reminders": "提醒几条", "due_on": "到期日",
    "added_in": "所在版本", "text": "文字", "rank_class": "类别", "rank": "名次",
    "score": "子女的积分", "counted": "计入",
}  # fmt: skip
PARTS = {"start": "积分表", "service": "服务和提醒"}  # by the subject of their first chapter
HEAD = """# 积分表、服务和提醒怎样写

由 `tests/spec/` 的试验生成（`make docs`），请勿手改。
"""


def render_manual(connection: duckdb.DuckDBPyConnection) -> str:
    """The whole page."""
    found = list_chapters()
    parts = [HEAD, _contents(found)]
    for number, chapter in enumerate(found):
        parts.append(chapter.text.replace("# ", f"## {number}. ", 1))
        parts += _forms(chapter.folder / "forms.yaml")
        parts += (
            _cases(chapter)
            if not chapter.of_mistakes
            else _mistakes(ValidDeclaration(chapter.folder), connection)
        )
    return "\n".join(parts)


def _forms(path: Path) -> Iterator[str]:
    """The forms seen in cities' tables, each with the shortest way to write it."""
    if path.exists():
        yield "| 写法 | 写在 | 最短的写法 |\n| --- | --- | --- |"
        for form in read_forms(path):
            lines = form.text.splitlines()
            said = form.text if form.place == OUTSIDE else "<br>".join(f"`{one}`" for one in lines)
            yield f"| {form.title} | {'不属于计分' if form.place == OUTSIDE else form.place} | {said} |"
        yield ""


def _contents(found: Sequence[Chapter]) -> str:
    lines = []
    for number, chapter in enumerate(found):
        if chapter.subject in PARTS:
            lines.append(f"\n**{PARTS[chapter.subject]}**\n")
        lines.append(f"{number}. {chapter.text.splitlines()[0].removeprefix('# ')}")
    return "\n".join(lines).strip() + "\n"


def _cases(chapter: Chapter) -> Iterator[str]:
    for path in chapter.own_tables:
        yield f"`reference/{path.name}`：\n\n```text\n{path.read_text(encoding='utf-8')}```\n"
    for case in chapter.cases:
        yield f"```yaml\n{case.fragment.read_text(encoding='utf-8')}```\n"
        yield _table(case)


def _table(case: Case) -> str:
    rows = case.rows
    headings = [_heading(case, name) for name in rows[0]]
    lines = [f"| {' | '.join(headings)} |", f"| {' | '.join('---' for _ in headings)} |"]
    return "\n".join([*lines, *(f"| {' | '.join(row.values())} |" for row in rows)]) + "\n"


def _heading(case: Case, name: str) -> str:
    """A column in words; what the case expects stands out."""
    columns = SOURCES[case.data["source"]].columns if case.kind == "extracts" else {}
    if name in columns:
        return f"{name} {columns[name].title}"
    if name in GIVEN:
        return GIVEN[name]
    if name.startswith(CORRECT):
        return f"更正 {name.removeprefix(CORRECT)}"
    if name.startswith(AWARD):
        return f"{name} 赋分"
    if name in DECIDED:
        return f"**{DECIDED[name]}**"
    if name.endswith(POINTS):
        code = name.removesuffix(POINTS)
        words = SUMS.get(code, f"{code} 得分")
        return (
            f"{name} {words}"
            if case.kind in ("services", "ranks", "families")
            else words
            if case.kind == "reminders"
            else f"**{words}**"
        )
    words = f"{name} {FACTS[name].title}"
    return f"**{words}**" if case.kind == "extracts" else words


def _mistakes(valid: ValidDeclaration, connection: duckdb.DuckDBPyConnection) -> Iterator[str]:
    listing = "\n".join(
        f"{number:3} {line}" for number, line in enumerate(valid.text.splitlines(), 1)
    )
    yield f"```text\n{listing}\n```\n"
    with tempfile.TemporaryDirectory() as folder:
        for mistake in valid.mistakes:
            problem = valid.refused(mistake.text, Path(folder), connection)[0]
            message = str(problem).replace(str(problem.file), problem.file.name, 1)
            changes = "\n".join(mistake.changes)
            yield f"**{mistake.title}**\n\n```diff\n{changes}\n```\n\n> {message}\n"


def write_manual() -> None:
    """Write the page."""
    with (
        tempfile.TemporaryDirectory() as folder,
        open_engine(EngineSettings("500MB", 1), Path(folder)) as connection,
    ):
        PAGE.write_text(render_manual(connection), encoding="utf-8")


if __name__ == "__main__":
    write_manual()
