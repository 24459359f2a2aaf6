"""Errors that say what is wrong, where, and what to do; and the exit codes of the `jifen` command."""

from __future__ import annotations

import difflib
import errno
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

_REFUSALS = {  # what the machine says, be it through Python or through the engine, and the way out
    errno.ENOSPC: ("磁盘已满", "腾出空间"),
    errno.EDQUOT: ("磁盘配额已用完", "腾出空间"),
    errno.EROFS: ("磁盘只读", "改为可写"),
    errno.EACCES: ("没有权限", "检查文件夹的属主和权限"),
    errno.EPERM: ("没有权限", "换用根目录的属主帐号"),
    errno.ENOTDIR: ("应是文件夹，却是文件", "改正路径"),
    errno.EIO: ("磁盘读写出错", "检查磁盘，用 jifen verify 核对"),
}
_STATEMENT = "jifen statement: "  # begins the note that `naming` leaves on an error


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

    def __init__(self, code: ExitCode, what: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.code, self.message, self.where, self.hint = code, what, where, hint

    def __str__(self) -> str:
        lines = [self.message]
        if self.where:
            lines.append(f"  位置：{self.where}")
        if self.hint:
            lines.append(f"  处理：{self.hint}")
        return "\n".join(lines)


@dataclass(frozen=True)
class Diagnostic:
    """One mistake of a writer: the file, the line, the key, what was found and what was expected."""

    file: Path
    line: int
    key: str
    found: str
    expected: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.key}：{self.found}；{self.expected}"


class DeclarationError(JifenError):
    """All mistakes found in the declarations, together. Nothing runs until they are mended."""

    def __init__(self, problems: list[Diagnostic]) -> None:
        self.problems = sorted(problems, key=lambda p: (str(p.file), p.line, p.key))
        listing = "\n".join(f"  {problem}" for problem in self.problems)
        super().__init__(
            ExitCode.DECLARATIONS,
            f"声明文件有 {len(problems)} 处错误：\n{listing}",
            hint="逐条改正后运行 jifen check",
        )


MEANT = {  # what pydantic has against a value, in a writer's or an operator's words, wherever it was written
    "literal_error": "可用的值：{expected}",
    "string_type": "应为文本",
    "bool_type": "应为 true 或 false",
    "int_parsing": "应为整数",
    "int_type": "应为整数",
    "greater_than_equal": "不可小于 {ge}",
    "less_than_equal": "不可大于 {le}",
    "value_error": "{error}",
}


def did_you_mean(name: str, known: Iterable[str], what: str = "") -> str:
    """What a writer may have expected by a name that is not known: the one most like it, else all of them (`what` they are)."""
    names = list(known)
    close = difflib.get_close_matches(name, names, 1)
    return f"是否应为 {close[0]}？" if close else f"可用{what}：{'、'.join(names) or '无'}"


def expected_text(item: Mapping[str, Any], words: Mapping[str, str] = MEANT, **more: str) -> str:
    """What should have been written, from `words` (kind of mistake -> sentence); pydantic's own where they have none."""
    context = {**item.get("ctx", {}), **more}
    if item["type"] == "literal_error":  # it tells the choices as 'a', 'b' or 'c'
        context["expected"] = "、".join(re.findall("'(.*?)'", context["expected"]))
    return words[item["type"]].format(**context) if item["type"] in words else str(item["msg"])


@contextmanager
def attach_statement(statement: str) -> Iterator[None]:
    """Errors from within the block are about this statement of ours: `explained` tells its name, never its values."""
    try:
        yield
    except Exception as error:
        error.add_note(_STATEMENT + statement)
        raise


def to_user_error(error: Exception) -> JifenError:
    """Any error as one for people. Messages of libraries may quote people's data: only their kind is told."""
    if isinstance(error, JifenError):
        return error
    kind = type(error).__name__
    where = str(error.filename2 or error.filename or "") if isinstance(error, OSError) else ""
    notes = [note for note in getattr(error, "__notes__", ()) if note.startswith(_STATEMENT)]
    statement = f"语句 {notes[0].removeprefix(_STATEMENT)}" if notes else ""
    if kind in ("OutOfMemoryException", "MemoryError"):
        hint = "在 jifen.toml 的 [engine] 调大 memory 或调小 threads，并给根目录的 tmp/ 留出空间，然后再次运行"
        return JifenError(ExitCode.OTHER, "内存不足", where=statement, hint=hint)
    for number, (what, hint) in _REFUSALS.items():
        if (isinstance(error, OSError) and error.errno == number) or os.strerror(number) in str(
            error
        ):
            return JifenError(ExitCode.OTHER, what, where=where, hint=f"{hint}后再次运行")
    if isinstance(error, OSError):
        why = os.strerror(error.errno) if error.errno else kind
        return JifenError(
            ExitCode.OTHER, f"系统错误：{why}", where=where, hint="检查磁盘和权限后再次运行"
        )
    hint = "再次运行；仍然出错时加 --debug 取得细节"
    return JifenError(ExitCode.OTHER, f"程序错误（{kind}）", where=statement, hint=hint)
