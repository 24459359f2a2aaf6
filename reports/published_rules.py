"""What a published month was scored with: its points tables and services, and what everything is called."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from expectations.reference_tables import load_reference
from expectations.source_model import Source
from transforms.expressions.kinds import Kind
from transforms.points.describe import Titles, collect_titles
from transforms.points.load import load_tables
from transforms.points.models import PointsTable, PointsVersion
from transforms.services.load import load_services, select_services_in_force
from transforms.services.models import Service, ServiceVersion
from transforms.services.namespace import build_service_names, list_points_columns_on


@dataclass(frozen=True)
class PublishedRules:
    """The declarations of a revision by authority and code, on its scoring date."""

    as_of: dt.date
    tables: Mapping[str, PointsTable]
    services: Sequence[Service]
    names: Titles
    districts: Mapping[str, str]

    def version(self, authority: str) -> PointsVersion:
        """Return the points table of an authority that was in force."""
        return self.tables[authority].in_force(self.as_of)

    @cached_property
    def services_in_force(self) -> dict[str, ServiceVersion]:
        """The services in force by code."""
        return select_services_in_force(self.services, self.as_of)

    @cached_property
    def kinds(self) -> dict[str, Kind]:
        """What the expressions of services may name."""
        return build_service_names(
            self.names.facts, list_points_columns_on(self.tables, self.as_of), self.districts
        )


def load_published_rules(
    policy: Path, as_of: dt.date, sources: Mapping[str, Source]
) -> PublishedRules:
    """Return the points tables and services that scored a revision, from the copies beside it.

    Args:
        policy: The revision's `policy` folder; without `services` before there were services.
        as_of: Its scoring date.
        sources: Facts, and what they are called.
    """
    districts = load_reference(policy / "reference").districts
    names = collect_titles(sources, districts)
    loaded = load_tables(policy / "points", names.facts, districts)
    tables = {table.authority: table for table in loaded}
    folder = policy / "services"
    services = load_services(folder, names.facts, tables, districts) if folder.is_dir() else []
    return PublishedRules(as_of, tables, services, names, districts)
