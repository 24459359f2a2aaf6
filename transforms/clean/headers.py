"""The header of a delivered table: which line it is, and which declared column stands where."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from expectations.errors import ExitCode, JifenError
from expectations.naming import normalise_name, strip_remarks
from expectations.source_model import Source

HEADER_LINES = 10  # the header is one of the first so many lines
_SHOWN = 30  # column names that a message lists
_OTHER_DELIMITERS = {";": "分号", "\t": "制表符", "|": "竖线", "，": "全角逗号", "\x01": "\\x01"}
_DIGITS = re.compile("[0-9]{6,}")

Cells = Sequence[str | None]


class HeaderError(Exception):
    """Why a table's columns are not those of its source: `message` and, where known, a `hint`."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


@dataclass(frozen=True)
class Header:
    """Where the columns of a table are.

    Attributes:
        line: Which of the first lines it is, from 0; the data begin after it.
        width: How many columns there are.
        columns: Declared name -> place, from 0.
        undeclared: Names of the columns that nobody declared, as they are written.
    """

    line: int
    width: int
    columns: Mapping[str, int]
    undeclared: list[str]


def unreadable_error(
    source: Source, name: str, why: str, hint: str = "请部门重新导出该文件"
) -> JifenError:
    """Return the error of a file that cannot be read: exit 11."""
    message = f"{source.title}（{source.source}）的文件无法读取：{why}"
    return JifenError(ExitCode.EXTRACT, message, where=name, hint=hint)


def rejected_error(source: Source, name: str, error: HeaderError) -> JifenError:
    """Return the error of a file whose columns are not the declared ones: exit 12."""
    message = f"{source.title}（{source.source}）未通过检查：{error.message}"
    hint = error.hint or "请部门按约定的列重新导出"
    return JifenError(ExitCode.GATE, message, where=name, hint=hint)


def collect_names(source: Source) -> dict[str, str]:
    """Return every normalised name that a column of the source may have -> the column."""
    names = {
        normalise_name(text): name
        for name, column in source.columns.items()
        for text in (name, column.title, *column.headers)
    }
    return {strip_remarks(text): name for text, name in names.items()} | names


def find_header(source: Source, lines: Sequence[Cells]) -> Header:
    """Find the header among the first lines of a table: the one that has all required columns.

    Of two in direct succession that name the same columns (codes, then titles) the last counts.

    Raises:
        HeaderError: There is none, or a name stands in it twice.
    """
    names = collect_names(source)
    required = {name for name, column in source.columns.items() if column.required}
    found: list[tuple[int, dict[str, list[int]]]] = []
    for number, cells in enumerate(lines[:HEADER_LINES]):
        places = _match(names, cells)
        if required <= places.keys():
            found.append((number, places))
    if not found:
        raise _explain_missing(source, names, required, lines[:HEADER_LINES])
    number, places = found[0]
    for later, others in found[1:]:
        if later != number + 1 or others != places:
            raise HeaderError(
                f"前 {HEADER_LINES} 行里有两行表头（第 {number + 1}、{later + 1} 行）"
            )
        number = later
    for name, at in places.items():
        if len(at) > 1:
            title = source.columns[name].title
            raise HeaderError(f"表头 {name}（{title}）出现两次")
    cells = lines[number]
    columns = {name: at[0] for name, at in places.items()}
    shown = {normalise_name(text) for text in (source.form.shown if source.form else ())}
    undeclared = [
        (cell or "").strip() or f"（第 {place + 1} 列，没有列名）"
        for place, cell in enumerate(cells)
        if place not in columns.values() and normalise_name(cell or "") not in shown
    ]
    return Header(number, len(cells), columns, undeclared)


def count_known_columns(source: Source, lines: Sequence[Cells]) -> int:
    """Return how many declared columns the best of the first lines has."""
    names = collect_names(source)
    return max((len(_match(names, cells)) for cells in lines[:HEADER_LINES]), default=0)


def _match(names: Mapping[str, str], cells: Cells) -> dict[str, list[int]]:
    """Return the declared columns that a line names -> their places."""
    places: dict[str, list[int]] = {}
    for place, cell in enumerate(cells):
        text = normalise_name(cell or "")
        name = names.get(text) or names.get(strip_remarks(text))
        if name is not None:
            places.setdefault(name, []).append(place)
    return places


def _explain_missing(
    source: Source, names: Mapping[str, str], required: Collection[str], lines: Sequence[Cells]
) -> HeaderError:
    """Return what is missing, the columns that there are, and the names nearest to the missing."""
    matches = [_match(names, cells) for cells in lines]
    best = max(range(len(lines)), key=lambda n: len(matches[n]), default=None)
    missing = [f"{name}（{source.columns[name].title}）" for name in required]
    if best is None or not matches[best]:
        wanted = "、".join(sorted(missing))
        hint = _guess_cause(names, lines) or "请部门保留列名这一行，再导出"
        first = f"前 {min(len(lines), HEADER_LINES)} 行里没有表头" if lines else "没有表头"
        return HeaderError(f"{first}；应有的列：{wanted}", hint)
    given = [cell for cell in lines[best] if (cell or "").strip()]
    lacking = [name for name in source.columns if name in required and name not in matches[best]]
    unknown = [
        str(cell)
        for place, cell in enumerate(lines[best])
        if (cell or "").strip() and not any(place in at for at in matches[best].values())
    ]
    shown = [_DIGITS.sub("******", " ".join(str(cell).split())) for cell in given[:_SHOWN]]
    listing = "、".join(shown) + (f" 等 {len(given)} 列" if len(given) > _SHOWN else "")
    missing = [f"{name}（{source.columns[name].title}）" for name in lacking]
    hints = list(_suggest(source, lacking, unknown))
    return HeaderError(
        f"缺少必需的列：{'、'.join(missing)}；读到的列：{listing}",
        "；".join(hints) or "请部门按约定的列重新导出",
    )


def _suggest(source: Source, lacking: Sequence[str], unknown: Sequence[str]) -> Iterator[str]:
    """Yield for missing columns the unknown name most like theirs."""
    normal = {strip_remarks(normalise_name(text)): text for text in unknown}
    for name in lacking:
        column = source.columns[name]
        for text in (column.title, name, *column.headers):
            close = difflib.get_close_matches(normalise_name(text), normal, 1, 0.5)
            if close:
                given = _DIGITS.sub("******", " ".join(normal[close[0]].split()))
                yield (
                    f"“{given}”是否就是 {column.title}？是的话请改列名，"
                    f"或在来源声明 {source.source}.yaml 的 {name} 加 headers: [{given}]"
                )
                break


def _guess_cause(names: Mapping[str, str], lines: Sequence[Cells]) -> str:
    """Return why no known column was found, where that can be seen; else an empty text."""
    for cells in lines:
        text = ",".join(cell or "" for cell in cells)
        for delimiter, title in _OTHER_DELIMITERS.items():
            if delimiter in text and _match(names, text.split(delimiter)):
                return f"列之间用的是{title}，应为逗号（.csv）或制表符（.tsv）"
        for wrong, right in (("gb18030", "utf-8"), ("latin-1", "gb18030"), ("cp1252", "utf-8")):
            repaired = [_repair(cell or "", wrong, right) for cell in cells]
            if _match(names, repaired):
                return "列名是乱码：文件按错误的编码打开后又保存过，请部门从系统重新导出"
    return ""


def _repair(text: str, wrong: str, right: str) -> str:
    """Return a text that was decoded as `wrong` and is in truth in `right`."""
    return text.encode(wrong, "replace").decode(right, "ignore")
