"""Points tables read from their folder, with every mistake in all files at once."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from expectations.errors import DeclarationError, Diagnostic
from expectations.fact_model import Fact
from expectations.yaml_document import Loaded
from transforms.points.city_and_district import check_against_city
from transforms.points.models import CITY, PointsTable
from transforms.points.proofread import ProofreadingScope
from transforms.points.table_reader import TableReader


def load_tables(
    folder: Path, facts: Mapping[str, Fact], districts: Collection[str]
) -> list[PointsTable]:
    """Return the points tables of a folder (see `read_tables`)."""
    return read_tables(folder, facts, districts).items


def read_tables(
    folder: Path, facts: Mapping[str, Fact], districts: Collection[str]
) -> Loaded[PointsTable]:
    """Return the city's table, then those of districts by code, from `<authority>.yaml`.

    Districts without a file have no points of their own.

    Args:
        folder: Where the files are.
        facts: All facts that the sources declare, by name.
        districts: The codes of districts.csv.

    Raises:
        DeclarationError: With every mistake found in any of the files.
    """
    problems = list(_check_files(folder, districts))
    scope = ProofreadingScope(facts, districts)
    readers = [
        TableReader(folder / f"{authority}.yaml", scope)
        for authority in [CITY, *sorted(districts)]
        if (folder / f"{authority}.yaml").exists()
    ]
    tables = {reader.authority: reader.read() for reader in readers}
    city = tables.get(CITY)
    for reader in readers:
        table = tables[reader.authority]
        if city is not None and table is not None and reader.authority != CITY:
            check_against_city(reader, table, city)
        problems += reader.problems
    if problems:
        raise DeclarationError(problems)
    found = [table for table in tables.values() if table is not None]
    warnings = [*_warn_of_missing(folder, found, districts)]
    for reader in readers:
        warnings += dict.fromkeys(reader.file.warnings)
    return Loaded(found, warnings)


def _check_files(folder: Path, districts: Collection[str]) -> Iterator[Diagnostic]:
    if not (folder / f"{CITY}.yaml").exists():
        yield Diagnostic(
            folder / f"{CITY}.yaml", 1, "(文件)", "没有这个文件", f"请为 {CITY} 写一份积分表"
        )
    for path in sorted(folder.glob("*.y*ml")):
        if path.suffix != ".yaml":
            yield Diagnostic(path, 1, "(文件)", path.name, "文件名应以 .yaml 结尾")
        elif path.stem not in (CITY, *districts):
            found = f"没有代码为 {path.stem} 的区县"
            yield Diagnostic(path, 1, "(文件)", found, "文件名应为 city 或区县代码")


def _warn_of_missing(
    folder: Path, tables: list[PointsTable], districts: Collection[str]
) -> Iterator[Diagnostic]:
    """Yield the districts without a table, where others have one."""
    present = {table.authority for table in tables}
    missing = [code for code in sorted(districts) if code not in present]
    if missing and len(present) > 1:
        yield Diagnostic(
            folder,
            1,
            "(文件)",
            f"{'、'.join(missing)} 没有积分表，其居民没有个性分",
            "请为它们写积分表；本来就没有的不必改",
        )
