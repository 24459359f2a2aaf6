"""What a district's points table says of the city's, in the versions that hold together."""

from __future__ import annotations

from collections.abc import Iterator

from transforms.points.models import PointsTable, PointsVersion
from transforms.points.table_reader import TableReader
from transforms.points.validate import describe_unknown
from transforms.points.version_draft import VersionDraft


def check_against_city(reader: TableReader, table: PointsTable, city: PointsTable) -> None:
    """Note the mistakes of a district's table beside the city's in the file that was read.

    An indicator that the city requires of every district is there; what it replaces there is, once.
    """
    drafts = list(reader.drafts.values())
    for index, version in enumerate(table.versions):
        for common in _versions_beside(table, index, city):
            _check_required(reader, drafts[index], version, common)
            _check_replaced(reader, drafts[index], version, common)


def _versions_beside(table: PointsTable, index: int, city: PointsTable) -> Iterator[PointsVersion]:
    """Yield the city's versions that are in force while a version of a district's table is."""
    begins = table.versions[index].begins
    later = table.versions[index + 1 :]
    for number, version in enumerate(city.versions):
        following = city.versions[number + 1 :]
        ends_before = bool(following) and following[0].begins <= begins
        begins_after = bool(later) and version.begins >= later[0].begins
        if not ends_before and not begins_after:
            yield version


def _check_required(
    reader: TableReader, draft: VersionDraft, version: PointsVersion, common: PointsVersion
) -> None:
    for code in common.required_of_districts:
        if code not in version.indicators:
            reader.file.add_error(
                (*draft.place, "indicators"),
                f"缺少 {code}：市级积分表 {common.begins} 版要求每个区县都有",
                "请写上这个指标",
            )


def _check_replaced(
    reader: TableReader, draft: VersionDraft, version: PointsVersion, common: PointsVersion
) -> None:
    replaced: dict[str, str] = {}
    for code, indicator in version.indicators.items():
        place = draft.locate(("indicators", code))
        if indicator.replaces is None:
            if code in common.indicators:
                reader.file.add_warning(
                    place,
                    f"{code} 与市级指标同名，两项都计分",
                    "要代替市级指标请写 replaces；不代替的请换一个代码",
                )
        elif indicator.replaces not in common.indicators:
            reader.file.add_error(
                draft.locate(("indicators", code, "replaces")),
                *describe_unknown(
                    f"市级指标（{common.begins} 版）", indicator.replaces, common.indicators
                ),
            )
        elif indicator.replaces in replaced:
            reader.file.add_error(
                draft.locate(("indicators", code, "replaces")),
                f"{indicator.replaces} 已由 {replaced[indicator.replaces]} 代替",
                "一个市级指标只代替一次",
            )
        else:
            replaced[indicator.replaces] = code
