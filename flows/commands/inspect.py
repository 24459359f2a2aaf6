"""One file judged before it is delivered, on any machine: no root is needed, nothing is kept."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from expectations import gate
from expectations.causes import describe_refusal
from expectations.errors import ExitCode, JifenError, did_you_mean
from expectations.month import Month
from expectations.source_model import Source
from flows.city_time import CITY_TIME
from flows.extract.base import is_hidden
from flows.extract.inbox import (
    build_inbox_rules,
    find_named_month,
    find_named_source,
    parse_month_folder,
)
from flows.project import Project, load_project
from flows.settings import Settings
from transforms.clean.archives import ACCEPTED_SUFFIXES, parse_file_name
from transforms.clean.data_file import DataFile
from transforms.clean.delivery import CleaningJob, Inspection, inspect_delivery
from transforms.clean.recognise import recognise_source
from transforms.engine.session import open_engine


@dataclass(frozen=True)
class InspectionRequest:
    """What is inspected.

    Attributes:
        path: A file, or a folder of parts.
        source: The source that it is to be of; None to find it out.
        month: The month that it is for; None for the one of its folder or in its name, else the
            present one.
    """

    path: Path
    source: str | None = None
    month: Month | None = None


def inspect_file(settings: Settings, request: InspectionRequest) -> Iterator[str]:
    """Yield the judgement of one file, line by line.

    Raises:
        JifenError: Exit 11 if it cannot be read, 12 if the gate would turn it down; 2 if there is
            no such file or source.
    """
    project = load_project(settings)
    parts = _list_parts(request.path)
    name, found_by = _choose_source(project, settings, request, parts)
    source = project.sources[name]
    month, month_found_by = _choose_month(request)
    yield f"来源      {source.title}（{name}），{found_by}"
    yield f"月份      {month}，{month_found_by}"
    given = settings.sources.get(name)
    job = CleaningJob(
        source,
        month,
        1,
        tuple(parts),
        (given and given.encoding) or source.encoding,
        frozenset(project.reference.districts),
        "inspection",
    )

    def judge(staged: str) -> list[str]:
        return gate.validate_delivery(
            session, staged, source, month, settings.gate.quarantine_limit
        )

    with (
        TemporaryDirectory(prefix="jifen-inspect-") as folder,
        open_engine(settings.engine_settings, Path(folder) / "spill") as session,
    ):
        inspection = inspect_delivery(session, job, Path(folder) / "work", judge)
    yield from _describe_files(source, inspection.files)
    yield from _describe_rows(source, inspection)
    if inspection.failures:
        yield "入库检查  不通过"
        raise JifenError(
            ExitCode.GATE,
            f"{source.title}（{name}）交付后不会通过检查：{'；'.join(inspection.failures)}",
            where=str(request.path),
            hint="按上面各项改正后再交付",
        )
    yield "入库检查  通过"


def _list_parts(path: Path) -> list[Path]:
    """Return the files of a delivery, in the order in which a run would take them."""
    if not path.exists():
        raise JifenError(ExitCode.USAGE, "找不到这个文件", where=str(path), hint="检查路径")
    if not path.is_dir():
        parts = [path]
    else:
        files = (file for file in path.rglob("*") if file.is_file())
        named = [file for file in files if not is_hidden(file.relative_to(path).as_posix())]
        parts = sorted(named, key=lambda file: os.fsencode(file.relative_to(path)))
    for part in parts:
        if parse_file_name(part.name) is None:
            hint = f"应以 {'、'.join(ACCEPTED_SUFFIXES)} 结尾"
            raise JifenError(ExitCode.EXTRACT, "不认识的文件格式", where=str(part), hint=hint)
    if not parts:
        raise JifenError(ExitCode.EXTRACT, "文件夹是空的", where=str(path), hint="检查路径")
    return parts


def _choose_source(
    project: Project, settings: Settings, request: InspectionRequest, parts: list[Path]
) -> tuple[str, str]:
    """Return the source of a file, and how it was found."""
    sources = project.sources
    if request.source is not None:
        if request.source not in sources:
            hint = did_you_mean(request.source, sources, "的来源")
            raise JifenError(ExitCode.USAGE, f"没有来源 {request.source}", hint=hint)
        return request.source, "由 --source 指定"
    by_name = find_named_source(request.path, build_inbox_rules(sources, settings))
    if by_name:
        return by_name, "按文件名认出"
    by_columns = recognise_source(parts[0], sources)
    if by_columns:
        hint = f"按列认出；放入收件目录时请命名为 {by_columns}{''.join(parts[0].suffixes[-2:])}"
        return by_columns, hint
    raise JifenError(
        ExitCode.EXTRACT,
        "认不出这是哪个来源的文件",
        where=str(request.path),
        hint=f"用 --source 指定，会列出缺少的列；来源：{'、'.join(sources)}",
    )


def _choose_month(request: InspectionRequest) -> tuple[Month, str]:
    """Return the month that a file is for, and how it was found."""
    if request.month is not None:
        return request.month, "由 --month 指定"
    for folder in request.path.absolute().parents:
        if month := parse_month_folder(folder.name):
            return month, "按所在文件夹"
    if month := find_named_month(request.path):
        return month, "按文件名"
    return Month.of(dt.datetime.now(CITY_TIME).date()), "即当前月份；交付别的月份用 --month 指定"


def _describe_files(source: Source, files: Iterable[DataFile]) -> Iterator[str]:
    for file in files:
        encoding = f"，{file.encoding.upper()} 编码" if file.encoding else ""
        sheets = f"，{len(file.sheets)} 张工作表" if file.sheets else ""
        line = "" if file.sheets else f"，表头在第 {file.header.line + 1} 行"
        yield f"文件      {file.name}（{file.format}{encoding}{sheets}{line}）"
        absent = [c.title for name, c in source.columns.items() if name not in file.found]
        if absent:
            yield f"  没有的列（可以没有）：{'、'.join(absent)}"
        if file.undeclared:
            yield f"  没有声明过的列，不使用：{'、'.join(file.undeclared)}"
        if file.ignored_sheets:
            numbers = "、".join(str(number) for number in file.ignored_sheets)
            yield f"  没有表头的工作表，不使用：第 {numbers} 张"


def _describe_rows(source: Source, inspection: Inspection) -> Iterator[str]:
    counts = inspection.counts
    yield (
        f"行数      收到 {counts.received:,}：合格 {counts.clean:,}，"
        f"退回 {counts.quarantined:,}，被取代 {counts.superseded:,}"
    )
    for title, noted in (
        ("退回的行，按原因", counts.reasons),
        ("留下的行中舍去、更改的值", counts.defects),
    ):
        if noted:
            yield f"{title}："
            by_weight = sorted(noted.items(), key=lambda pair: -pair[1])
            yield from (
                f"  {describe_refusal(source, note, count, counts.examples.get(note, ''))}"
                for note, count in by_weight
            )
