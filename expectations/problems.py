"""Errors that say what is wrong, where, and what to do; and the exit codes of the `jifen` command."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path


class ExitCode(IntEnum):
    """What a process ends with; operators' scripts depend on the numbers."""

    DONE = 0
    OTHER = 1
    USAGE = 2
    DECLARATIONS = 10
    EXTRACT = 11
    GATE = 12
    LOCKED = 13
    HELD = 14
    DAMAGE = 15


class JifenError(Exception):
    """An error for people: what happened, where, and the way out. Never holds an ID, a name or a phone."""

    def __init__(self, code: ExitCode, what: str, *, where: str = "", todo: str = "") -> None:
        super().__init__(what)
        self.code, self.what, self.where, self.todo = code, what, where, todo

    def __str__(self) -> str:
        lines = [self.what]
        if self.where:
            lines.append(f"  位置：{self.where}")
        if self.todo:
            lines.append(f"  处理：{self.todo}")
        return "\n".join(lines)


@dataclass(frozen=True)
class Problem:
    """One mistake of a writer: the file, the line, the key, what was found and what was meant."""

    file: Path
    line: int
    key: str
    found: str
    meant: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.key}：{self.found}；{self.meant}"


class DeclarationError(JifenError):
    """All mistakes found in the declarations, together. Nothing runs until they are mended."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = sorted(problems, key=lambda p: (str(p.file), p.line, p.key))
        listing = "\n".join(f"  {problem}" for problem in self.problems)
        super().__init__(
            ExitCode.DECLARATIONS,
            f"声明文件有 {len(problems)} 处错误：\n{listing}",
            todo="逐条改正后运行 jifen check",
        )
