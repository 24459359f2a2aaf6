"""The header of an extract: which column stands where, under whatever name a department uses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from expectations.errors import ExitCode, JifenError
from expectations.source_model import Source
from transforms.clean.national_id import WHITE_SPACE

HEADER_LINES = 10  # among these the header stands, below title lines


def unreadable_error(
    source: Source, path: Path, why: str, hint: str = "请部门重新导出该文件"
) -> JifenError:
    return JifenError(
        ExitCode.EXTRACT,
        f"{source.title}（{source.source}）的文件无法读取：{why}",
        where=path.name,
        hint=hint,
    )


def find_header(
    source: Source, path: Path, lines: Iterable[tuple[int, Sequence[str | None]]]
) -> tuple[int, dict[str, int], list[str]]:
    """Find the header: the first line that has all required columns; title lines may stand above.

    Args:
        lines: Row number and texts of the first lines that are not empty.

    Returns:
        The header's row number, the place of each declared column, and the undeclared titles.

    Raises:
        JifenError: Exit 12, no line is the header; the message names what the likeliest one lacks.
    """
    best: tuple[int, JifenError] | None = None
    for number, texts in lines:
        width = max((place for place, text in enumerate(texts, start=1) if text), default=0)
        headers = [text or "" for text in texts[:width]]
        try:
            return number, *match_headers(source, path, headers)
        except JifenError as error:
            matched = sum(header.strip(WHITE_SPACE) in _aliases(source) for header in headers)
            if best is None or matched > best[0]:
                best = matched, error
    raise best[1] if best else unreadable_error(source, path, "空文件，没有表头")


def _aliases(source: Source) -> dict[str, str]:
    """Return every spelling of a header that is accepted -> the column's name."""
    return {
        alias: name
        for name, column in source.columns.items()
        for alias in (name, column.title, *column.headers)
    }


def match_headers(
    source: Source, path: Path, headers: list[str]
) -> tuple[dict[str, int], list[str]]:
    """Return which column stands where, and which columns nobody declared.

    Raises:
        JifenError: Exit 12, a header is missing or there twice.
    """
    known = _aliases(source)
    found: dict[str, int] = {}
    undeclared: list[str] = []
    for index, header in enumerate(headers):
        name = known.get(header.strip(WHITE_SPACE))
        if name is None:
            undeclared.append(header.strip(WHITE_SPACE))
        elif name in found:
            raise _blocked(source, path, f"表头 {name}（{source.columns[name].title}）出现两次")
        else:
            found[name] = index
    missing = [
        f"{name}（{column.title}）"
        for name, column in source.columns.items()
        if column.required and name not in found
    ]
    if missing:
        raise _blocked(source, path, f"缺少必需的列：{'、'.join(missing)}")
    return found, undeclared


def _blocked(source: Source, path: Path, why: str) -> JifenError:
    return JifenError(
        ExitCode.GATE,
        f"{source.title}（{source.source}）未通过检查：{why}",
        where=path.name,
        hint="请部门按约定的列重新导出",
    )
