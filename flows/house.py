"""Everything declared, loaded and checked together: sources, reference tables, points tables; and the code's own hash."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from transforms.policy.load import load_tables

from expectations.declarations import HOUSE_SOURCES, all_facts, load_sources, with_aliases
from expectations.month import Month
from expectations.problems import DeclarationError, ExitCode, JifenError
from expectations.reference import Reference, load_reference
from expectations.source import Fact, Source
from flows.settings import Settings
from transforms.policy.tables import CITY, PointsTable, Version

PROJECT = Path(__file__).resolve().parent.parent
CLEANING_CODE = ("expectations", "transforms/clean", "transforms/engine.py")
ALL_CODE = ("expectations", "transforms", "reports", "flows")


@dataclass(frozen=True)
class House:
    """The declarations in force for a run."""

    settings: Settings
    sources: Mapping[str, Source]
    reference: Reference
    tables: Mapping[str, PointsTable]

    @cached_property
    def facts(self) -> dict[str, Fact]:
        return all_facts(self.sources)

    @cached_property
    def declarations_hash(self) -> str:
        """Sources as they are used (aliases of the settings included), reference rows, points tables."""
        parts = [source.model_dump_json(exclude={"synthetic"}) for source in self.sources.values()]
        parts += [f"{name} {digest}" for name, digest in sorted(self.reference.hashes.items())]
        parts += [table.model_dump_json() for table in self.tables.values()]
        return _digest(parts)

    def in_force(self, month: Month) -> dict[str, Version]:
        """The version of every points table that scores a month, by authority. JifenError before the first."""
        return {authority: table.in_force(month.last_day) for authority, table in self.tables.items()}

    def policy_files(self) -> list[Path]:
        return sorted((self.settings.paths.policy / "points").glob("*.yaml"))


def load_house(settings: Settings) -> House:
    """Load all declarations. DeclarationError with every mistake of every file."""
    problems = []
    paths = settings.paths
    try:
        sources = load_sources(paths.policy / "sources" if (paths.policy / "sources").is_dir() else HOUSE_SOURCES)
    except DeclarationError as error:
        problems += error.problems
    try:
        reference = load_reference(paths.reference)
    except DeclarationError as error:
        problems += error.problems
    if problems:
        raise DeclarationError(problems)
    settings.refuse_unknown_sources(sources)
    sources = {name: _as_set(source, settings) for name, source in sources.items()}
    tables = load_tables(paths.policy / "points", all_facts(sources), reference.districts)
    return House(settings, sources, reference, {table.authority: table for table in tables})


def _as_set(source: Source, settings: Settings) -> Source:
    """The source with the value aliases of jifen.toml."""
    given = settings.sources.get(source.source)
    if given is None or not given.aliases:
        return source
    for column, values in given.aliases.items():
        known = source.columns[column].values if column in source.columns else {}
        wrong = sorted(values.keys() - known.keys())
        if wrong:
            raise JifenError(
                ExitCode.DECLARATIONS,
                f"别名用于未声明的列或取值：{column} {'、'.join(wrong)}",
                where=f"jifen.toml [sources.{source.source}] aliases",
                todo=f"{column} 的取值：{'、'.join(known) or '该列没有取值列表'}",
            )
    return with_aliases(source, given.aliases)


def city_version(versions: Mapping[str, Version]) -> tuple[Version, dict[str, Version]]:
    """The city's version and those of the districts by code."""
    return versions[CITY], {code: version for code, version in versions.items() if code != CITY}


@cache
def code_hash(*places: str) -> str:
    """SHA-256 over the program's own files below these places: what has made a result."""
    files = [path for place in places for path in _code_files(PROJECT / place)]
    return _digest(f"{path.relative_to(PROJECT)} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in files)


def _code_files(place: Path) -> list[Path]:
    return [place] if place.is_file() else sorted(p for p in place.rglob("*") if p.suffix in (".py", ".sql"))


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
