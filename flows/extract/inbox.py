"""The inbox, in which nothing is invisible: every file is a source's, known to be none, or named."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from expectations.errors import JifenError
from expectations.findings import Finding, FindingKind
from expectations.month import Month
from expectations.naming import normalise_name
from expectations.source_model import Source
from flows.extract.base import extract_error, is_hidden
from flows.settings import Settings
from transforms.clean.archives import ACCEPTED_SUFFIXES, is_dropping, parse_file_name
from transforms.clean.recognise import recognise_source

_SHOWN = 10
OWN_FILES = frozenset({"planted.csv"})  # what `jifen synth --faults` lists, beside the months
_MONTH_FOLDER = re.compile(r"([12][0-9]{3})(?:-|年)?(0[1-9]|1[0-2]|[1-9](?=月))月?份?")
_DATED = re.compile(
    r"(?<![0-9])(20[0-9]{2})[-_.年]?(?:(0[1-9]|1[0-2])|([1-9])(?=[-.月]))"
    r"(?:([-_.月]?(?:[0-2][0-9]|3[01])日?)|月?份?)(?![0-9])"
)
_MONTH_ALONE = re.compile(r"(?<![0-9])(1[0-2]|0?[1-9])月份?")
_COPY = re.compile(r"(?:[-_]*(?:副本|copy))?(?:\([0-9]{1,3}\))?$")
_SEPARATORS = re.compile(r"[-_.+—–、,()\[\]【】]+")
_TABLE_WORDS = re.compile(r"^(?:数据|信息|明细|记录|登记|汇总|统计|报送|清|名)*(?:表|单|册|文件)?")
"""What offices write after a title: 数据表, 明细, 信息汇总表, 名单; it says nothing more."""
_OFFICE = "[厅局委办处科部院会省市区县镇]|街道|中心|部门"


@dataclass(frozen=True)
class InboxRules:
    """What files of the inbox may be called.

    Attributes:
        names: Source -> the names that its files may have, its code among them.
        departments: Words that may stand around such a name.
        ignore: Patterns of names that are no deliveries.
        fetched: Sources that come from elsewhere: nothing of theirs belongs here.
    """

    names: Mapping[str, Collection[str]]
    departments: Collection[str] = ()
    ignore: Sequence[str] = ()
    fetched: Collection[str] = ()


@dataclass(frozen=True)
class UnknownEntry:
    """A file or folder of the inbox that is no delivery, and why; `month` of the folder it is in."""

    path: Path
    why: str
    month: Month | None = None
    source: str = ""


@dataclass(frozen=True)
class InboxContents:
    """What lies in the inbox.

    Attributes:
        offers: What each source has for a month: one file, or one folder of parts, if all is well.
        unknown: What is nobody's.
        ignored: What the patterns of `[inbox] ignore` leave aside.
        months: The months that have a folder, ascending.
    """

    offers: Mapping[tuple[str, Month], Sequence[Path]] = field(default_factory=dict)
    unknown: Sequence[UnknownEntry] = ()
    ignored: Sequence[Path] = ()
    months: Sequence[Month] = ()

    def has_offer(self, source: str) -> bool:
        """Return whether a source has anything, in whatever month."""
        return any(name == source for name, _ in self.offers)

    def list_unknown(self, month: Month) -> list[UnknownEntry]:
        """Return what is nobody's in the folders up to a month, and outside of them."""
        return [entry for entry in self.unknown if entry.month is None or entry.month <= month]


def build_inbox_rules(sources: Mapping[str, Source], settings: Settings) -> InboxRules:
    """Return the rules of a project: codes, titles, declared names; departments; settings."""
    words = {
        word
        for source in sources.values()
        for word in _SEPARATORS.split(normalise_name(source.department))
        if word
    }
    return InboxRules(
        {name: [name, source.title, *source.file_names] for name, source in sources.items()},
        words,
        settings.inbox.ignore,
        [name for name, given in settings.sources.items() if given.origin is not None],
    )


def parse_month_folder(name: str) -> Month | None:
    """Return the month that a folder is called by: `2021-12`, `202112`, `2021年12月`; else None."""
    found = _MONTH_FOLDER.fullmatch(normalise_name(name))
    return Month.parse(f"{found[1]}-{int(found[2]):02d}") if found else None


def list_inbox_months(inbox: Path) -> list[Month]:
    """Return the months that have a folder in the inbox, ascending."""
    folders = (item for item in inbox.iterdir() if item.is_dir()) if inbox.is_dir() else ()
    return sorted({month for folder in folders if (month := parse_month_folder(folder.name))})


def scan_inbox(inbox: Path, rules: InboxRules) -> InboxContents:
    """Return what lies in the inbox, by source and month; no file is read.

    Raises:
        JifenError: Exit 11, a folder of it cannot be read.
    """
    try:
        return _scan(inbox, rules)
    except OSError as error:
        what = f"收件目录无法读取（{error.strerror}）"
        where = str(error.filename or inbox)
        raise extract_error(where, what, "检查权限与存储后再运行") from None


def _scan(inbox: Path, rules: InboxRules) -> InboxContents:
    offers: dict[tuple[str, Month], list[Path]] = {}
    unknown: list[UnknownEntry] = []
    ignored: list[Path] = []
    matcher = _Matcher(rules)
    for item, month in _list_entries(inbox):
        if _is_ignored(item, inbox, rules.ignore):
            ignored.append(item)
        elif month is None:
            why = "不在月份文件夹（如 2021-12）里"
            unknown.append(UnknownEntry(item, why, None, matcher.guess(item)))
        else:
            source, why = matcher.match(item, month)
            if why:
                unknown.append(UnknownEntry(item, why, month, source or matcher.guess(item)))
            elif not item.is_dir() or _has_files(item):  # an empty folder: the source is missing
                offers.setdefault((source, month), []).append(item)
    return InboxContents(offers, unknown, ignored, list_inbox_months(inbox))


def find_named_source(path: Path, rules: InboxRules) -> str:
    """Return the source that a file or folder is called by, in whatever month; empty if by none."""
    source, why = _Matcher(rules).match(path, None)
    return "" if why else source


def find_named_month(path: Path) -> Month | None:
    """Return the month, with its year, that a file is named with; None of none or of several."""
    months = set(_find_months(normalise_name(path.name), None))
    return months.pop() if len(months) == 1 else None


def explain_unknown(
    entries: Sequence[UnknownEntry], inbox: Path, sources: Mapping[str, Source]
) -> Iterator[tuple[Finding, JifenError]]:
    """Yield for each entry that is nobody's its finding and error; readable files are looked into."""
    for entry in entries:
        looks_like = recognise_source(entry.path, sources) if entry.path.is_file() else ""
        likely = looks_like or entry.source
        name = printable_name(entry.path.relative_to(inbox))
        what = f"收件目录中有不认识的{'文件夹' if entry.path.is_dir() else '文件'}：{name}（{entry.why}）"
        hint = "不属于交付的请移走，或写入 jifen.toml 的 [inbox] ignore"
        if likely:
            source = sources[likely]
            what += f"；像是{source.title}（{likely}），{'列' if looks_like else '名字'}相近"
            place = f"{entry.month or 'YYYY-MM'}/{likely}{''.join(_suffixes(entry.path))}"
            hint = f"如是{source.title}，请命名为 {place}；{hint}"
        error = extract_error(printable_name(entry.path), what, hint)
        month = str(entry.month or "")
        yield (
            Finding(FindingKind.UNKNOWN_FILE, likely, month, count=1, detail=name, hint=hint),
            error,
        )


def list_ignored_findings(contents: InboxContents, inbox: Path) -> list[Finding]:
    """Return the findings of files that the patterns leave aside."""
    names = [printable_name(path.relative_to(inbox)) for path in contents.ignored]
    listed = "、".join(names[:_SHOWN]) + (" 等" if len(names) > _SHOWN else "")
    return [Finding(FindingKind.IGNORED_FILE, count=len(names), detail=listed)] if names else []


def printable_name(path: Path) -> str:
    """Return a path for messages: bytes that are no UTF-8 are shown as GB18030 where they are."""
    raw = os.fsencode(path)
    for encoding in ("utf-8", "gb18030"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return raw.decode("utf-8", "backslashreplace")


def _suffixes(path: Path) -> list[str]:
    return [suffix for suffix in path.suffixes[-2:] if suffix.lower() in ACCEPTED_SUFFIXES]


def _list_entries(inbox: Path) -> Iterator[tuple[Path, Month | None]]:
    """Yield every entry with the month of its folder, without what programs leave behind."""
    for item in sorted(inbox.iterdir()) if inbox.is_dir() else ():
        month = parse_month_folder(item.name) if item.is_dir() else None
        if month is not None:
            inner = sorted(one for one in item.iterdir() if not is_dropping(one.name))
            yield from ((one, month) for one in inner)
        elif not is_dropping(item.name) and item.name not in OWN_FILES:
            yield item, None


def _is_ignored(item: Path, inbox: Path, patterns: Sequence[str]) -> bool:
    names = (item.name, item.relative_to(inbox).as_posix())
    return any(fnmatch.fnmatch(name, pattern) for name in names for pattern in patterns)


class _Matcher:
    """Finds the source whose name is in a file's name, with nothing unknown around it."""

    def __init__(self, rules: InboxRules) -> None:
        names = [
            (normalise_name(name), source) for source, own in rules.names.items() for name in own
        ]
        self._names = sorted(names, key=lambda pair: -len(pair[0]))
        self._fetched = rules.fetched
        words = "|".join(map(re.escape, sorted(rules.departments, key=len, reverse=True)))
        self._department = re.compile(
            rf"[\u4e00-\u9fff]{{1,12}}(?:{_OFFICE})"
            + (f"|.{{0,6}}(?:{words})+(?:{_OFFICE})?" if words else "")
        )

    def match(self, item: Path, month: Month | None) -> tuple[str, str]:
        """Return the source of an entry of a month's folder, and why it is no delivery."""
        is_folder = item.is_dir() and not item.is_symlink()
        parsed = parse_file_name(item.name)
        stem = item.name if is_folder or parsed is None else parsed[0]
        source, months = self._find(stem, month)
        is_link = item.is_symlink() and item.name == source  # refused as what it is
        if not is_folder and parsed is None and not is_link:
            return source, _explain_format(item)
        if not source:
            return "", f"文件{'夹' if is_folder else ''}名不是来源的代码、中文名或声明的名字"
        if month is not None and any(other != month for other in months):
            return source, f"名字里的月份与所在文件夹的 {month} 不同"
        if source in self._fetched:
            return source, "这个来源不从收件目录取（见 jifen.toml 的 origin）"
        return source, ""

    def guess(self, item: Path) -> str:
        """Return the source whose name is somewhere in a name; empty when there is none."""
        text = normalise_name(item.name)
        return next((source for name, source in self._names if name in text), "")

    def _find(self, stem: str, month: Month | None) -> tuple[str, list[Month]]:
        """Return the source that a stem names, and the months around the name."""
        text = normalise_name(stem)
        for name, source in self._names:
            for found in re.finditer(rf"(?<![a-z]){re.escape(name)}(?![a-z])", text):
                after = _TABLE_WORDS.sub("", text[found.end() :])
                around = (text[: found.start()], after)
                if all(map(self._is_known, around)):
                    return source, [m for part in around for m in _find_months(part, month)]
        return "", []

    def _is_known(self, text: str) -> bool:
        """Return whether a part of a name is but dates, departments and the mark of a copy."""
        rest = _MONTH_ALONE.sub("_", _DATED.sub("_", _COPY.sub("", text)))
        return all(self._department.fullmatch(word) for word in _SEPARATORS.split(rest) if word)


def _find_months(text: str, month: Month | None) -> Iterator[Month]:
    """Yield the months that a part of a name names; one without a year is of the folder's year.

    A day is when a file was written, which may be in the month after.
    """
    for found in _DATED.finditer(text):
        if not found[4]:
            yield Month.parse(f"{found[1]}-{int(found[2] or found[3]):02d}")
    for found in _MONTH_ALONE.finditer(_DATED.sub("_", text)) if month else ():
        yield Month.parse(f"{str(month)[:4]}-{int(found[1]):02d}")


def _has_files(folder: Path) -> bool:
    """Return whether a folder has a file that is no by-product, at whatever depth."""
    files = (item for item in folder.rglob("*") if item.is_symlink() or not item.is_dir())
    return any(not is_hidden(item.relative_to(folder).as_posix()) for item in files)


def _explain_format(item: Path) -> str:
    suffix = item.suffix.lower()
    if suffix in (".xls", ".et", ".ods"):
        return f"不认识的文件格式（{suffix}），请另存为 .xlsx"
    accepted = "、".join(ACCEPTED_SUFFIXES)
    return f"不认识的文件格式（{suffix or '没有扩展名'}），应以 {accepted} 结尾"
