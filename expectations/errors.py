"""Errors that say what is wrong, where, and what to do; and the exit codes of `jifen`."""

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

# What the operating system says, through Python or through the engine, and the way out.
_REFUSALS = {
    errno.ENOSPC: ("磁盘已满", "腾出空间"),
    errno.EDQUOT: ("磁盘配额已用完", "腾出空间"),
    errno.EROFS: ("磁盘只读", "改为可写"),
    errno.EACCES: ("没有权限", "检查文件夹的属主和权限"),
    errno.EPERM: ("没有权限", "换用根目录的属主账号"),
    errno.ENOTDIR: ("应是文件夹，却是文件", "改正路径"),
    errno.EIO: ("磁盘读写出错", "检查磁盘，用 jifen verify 核对"),
}
_SECRET_KEY = re.compile(
    "AGE-(?:SECRET-KEY|PLUGIN)-[0-9A-Z-]*"
    "|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)",
    re.IGNORECASE | re.DOTALL,
)
_STATEMENT = "jifen statement: "  # begins the note of `attach_statement`


class ExitCode(IntEnum):
    """The exit codes of a process; operators' scripts depend on the numbers."""

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
    """An error for people: what happened, where, and the way out.

    It never holds an ID, a name or a phone.
    """

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
    """One mistake of a writer: the file, line and key, what was found and what was expected."""

    file: Path
    line: int
    key: str
    found: str
    expected: str

    def __str__(self) -> str:
        text = f"{self.file}:{self.line}: {self.key}：{self.found}；{self.expected}"
        return _SECRET_KEY.sub("（私钥，不在此重复）", text)


class DeclarationError(JifenError):
    """All mistakes found in the declarations, together; nothing runs until they are mended."""

    def __init__(self, problems: list[Diagnostic]) -> None:
        self.problems = sorted(problems, key=lambda p: (str(p.file), p.line, p.key))
        listing = "\n".join(f"  {problem}" for problem in self.problems)
        super().__init__(
            ExitCode.DECLARATIONS,
            f"声明文件有 {len(problems)} 处错误：\n{listing}",
            hint="逐条改正后运行 jifen check",
        )


# What pydantic has against a value, in the words of writers and operators.
MEANT = {
    "literal_error": "可用的值：{expected}",
    "string_type": "应为文本",
    "bool_type": "应为 true 或 false",
    "int_parsing": "应为整数",
    "int_type": "应为整数",
    "greater_than_equal": "不可小于 {ge}",
    "less_than_equal": "不可大于 {le}",
    "value_error": "{error}",
}


_ALIKE = 0.7  # below that a name is not a typing mistake, and a guess would mislead


def find_similar(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that another one is a mistake of; None if none is like it."""
    close = difflib.get_close_matches(name, list(known), 1, _ALIKE)
    return close[0] if close else None


def did_you_mean(name: str, known: Iterable[str], what: str = "") -> str:
    """Return what a writer may have meant by an unknown name.

    It is the name most like it, else a list of all of them; `what` says what they are.
    """
    names = list(known)
    close = find_similar(name, names)
    return f"是否应为 {close}？" if close else f"可用{what}：{'、'.join(names) or '无'}"


def expected_text(item: Mapping[str, Any], texts: Mapping[str, str] = MEANT, **more: str) -> str:
    """Return what should have been written in place of a value.

    Args:
        item: One error of pydantic.
        texts: Kind of mistake -> sentence; where there is none, pydantic's own is taken.
        more: Further values for the sentence.
    """
    context = {**item.get("ctx", {}), **more}
    if item["type"] == "literal_error":  # it lists the choices as 'a', 'b' or 'c'
        context["expected"] = "、".join(re.findall("'(.*?)'", context["expected"]))
    return texts[item["type"]].format(**context) if item["type"] in texts else str(item["msg"])


@contextmanager
def attach_statement(statement: str) -> Iterator[None]:
    """Name one of our SQL statements in errors from within the block, never its values."""
    try:
        yield
    except Exception as error:
        error.add_note(_STATEMENT + statement)
        raise


def to_user_error(error: Exception) -> JifenError:
    """Return any error as one for people.

    Messages of libraries may quote people's data, so only their kind is passed on.
    """
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


def may_pass(error: BaseException | None) -> bool:
    """Return whether trying again may help: a connection was lost, or took too long."""
    while error is not None:
        if isinstance(error, (ConnectionError, TimeoutError)):
            return True
        error = error.__cause__
    return False
