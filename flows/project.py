"""Everything declared, loaded and checked together; and the code's own hash."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from expectations.errors import DeclarationError, Diagnostic, ExitCode, JifenError
from expectations.month import Month
from expectations.reference_tables import Reference, load_reference
from expectations.source_loader import (
    BUILTIN_SOURCES,
    add_aliases,
    collect_facts,
    load_sources,
    read_sources,
)
from expectations.source_model import Fact, Source
from expectations.yaml_document import Loaded, YamlDocument
from flows.settings import Settings
from transforms.expressions.kinds import Kind
from transforms.facts.derived import validate_derived_facts
from transforms.points.load import read_tables
from transforms.points.models import CITY, PointsTable, PointsVersion
from transforms.points.validate import describe_unknown
from transforms.reminders.models import StandingReminder
from transforms.services.load import read_reminders, read_services, select_services_in_force
from transforms.services.models import Service, ServiceVersion
from transforms.services.namespace import build_service_names, list_points_columns_on

T = TypeVar("T")
PROJECT_FOLDER = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Project:
    """The declarations in force for a run."""

    settings: Settings
    sources: Mapping[str, Source]
    reference: Reference
    tables: Mapping[str, PointsTable]
    services: Sequence[Service]
    reminders: Sequence[StandingReminder]
    warnings: Sequence[Diagnostic] = ()

    @cached_property
    def facts(self) -> dict[str, Fact]:
        return collect_facts(self.sources)

    @cached_property
    def declarations_hash(self) -> str:
        """The hash of sources (with the settings' aliases), reference rows and points tables."""
        parts = [source.model_dump_json(exclude={"synthetic"}) for source in self.sources.values()]
        parts += [f"{name} {digest}" for name, digest in sorted(self.reference.hashes.items())]
        declared = [*self.tables.values(), *self.services, *self.reminders]
        parts += [item.model_dump_json() for item in declared]
        return _digest(parts)

    def in_force(self, month: Month) -> dict[str, PointsVersion]:
        """Return the version of every points table that scores a month, by authority.

        Raises:
            JifenError: The month is before a table's first version.
        """
        return {
            authority: table.in_force(month.last_day) for authority, table in self.tables.items()
        }

    def services_in_force(self, month: Month) -> dict[str, ServiceVersion]:
        """The version of every service that is open on a month's scoring date, by code."""
        return select_services_in_force(self.services, month.last_day)

    def names(self, month: Month) -> dict[str, Kind]:
        """What the services' expressions may name on a month's scoring date."""
        points = sorted(list_points_columns_on(self.tables, month.last_day))
        return build_service_names(self.facts, points, list(self.reference.districts))

    def district_indicators(self) -> set[str]:
        """Every `district:indicator` that any version of a district's table has."""
        own = [table for authority, table in self.tables.items() if authority != CITY]
        return {
            f"{table.authority}:{code}"
            for table in own
            for version in table.versions
            for code in version.indicators
        }

    def reminder_titles(self) -> dict[str, str]:
        """The title of every kind of reminder, standing or of a service."""
        of_services = {s.reminder.kind: s.reminder.title for s in self.services if s.reminder}
        return {**of_services, **{reminder.kind: reminder.title for reminder in self.reminders}}

    def policy_files(self) -> dict[str, list[Path]]:
        """The declared files that decide points, services and reminders, by folder."""
        folder = self.settings.paths.policy
        return {
            name: sorted((folder / name).glob("*.yaml"))
            for name in ("points", "services", "reminders")
        }


def load_project(settings: Settings) -> Project:
    """Load all declarations. DeclarationError with every mistake of every file."""
    problems: list[Diagnostic] = []
    warnings: list[Diagnostic] = []

    def collect_problems(load: Callable[[], Loaded[T]]) -> list[T] | None:
        try:
            loaded = load()
        except DeclarationError as error:
            problems.extend(error.problems)
            return None
        warnings.extend(loaded.warnings)
        return loaded.items

    paths, policy = settings.paths, settings.paths.policy
    folder = find_sources_folder(settings)
    declared = collect_problems(lambda: read_sources(folder))
    sources = {source.source: source for source in declared or ()}
    problems += validate_derived_facts(sources, folder)
    references = collect_problems(lambda: Loaded([load_reference(paths.reference)], []))
    if problems or not references:  # everything else names facts and districts
        raise DeclarationError(problems)
    (reference,) = references
    settings.refuse_unknown_sources(sources)
    sources = {name: _apply_aliases(source, settings) for name, source in sources.items()}
    facts, districts = collect_facts(sources), reference.districts
    listed = collect_problems(lambda: read_tables(policy / "points", facts, districts))
    tables = None if listed is None else {table.authority: table for table in listed}
    services = collect_problems(
        lambda: read_services(policy / "services", facts, tables, districts)
    )
    reminders = collect_problems(
        lambda: read_reminders(policy / "reminders", facts, districts, services or ())
    )
    if tables and services is not None:
        problems += _unknown_effects(
            policy / "points", tables.values(), [service.service for service in services]
        )
    if problems or tables is None or services is None or reminders is None:
        raise DeclarationError(problems)
    return Project(settings, sources, reference, tables, services, reminders, warnings)


def _unknown_effects(
    folder: Path, tables: Iterable[PointsTable], services: Collection[str]
) -> Iterator[Diagnostic]:
    """Where a points table says that a service reads it which nobody declares."""
    for table in tables:
        if any(code not in services for code in table.effect):
            file = YamlDocument(folder / f"{table.authority}.yaml")
            for index, code in enumerate(table.effect):
                if code not in services:
                    file.add_error(("effect", index), *describe_unknown("服务", code, services))
            yield from file.problems


def _apply_aliases(source: Source, settings: Settings) -> Source:
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
                hint=f"{column} 的取值：{'、'.join(known) or '该列没有取值列表'}",
            )
    return add_aliases(source, given.aliases)


def split_city(
    versions: Mapping[str, PointsVersion],
) -> tuple[PointsVersion, dict[str, PointsVersion]]:
    """The city's version and those of the districts by code."""
    return versions[CITY], {code: version for code, version in versions.items() if code != CITY}


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def load_declared_sources(settings: Settings) -> dict[str, Source]:
    """The sources' declarations: facts and what they are called."""
    return load_sources(find_sources_folder(settings))


def find_sources_folder(settings: Settings) -> Path:
    """Return where the sources are declared: the policy's own folder, or the project's."""
    own = settings.paths.policy / "sources"
    return own if own.is_dir() else BUILTIN_SOURCES
