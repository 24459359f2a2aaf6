"""What a published month was scored with: its points tables and services, and what everything is called."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property

from transforms.expressions.language import Kind
from transforms.expressions.namespace import build_service_names, list_points_columns_on
from transforms.points.compile import points_sql
from transforms.points.describe import Titles
from transforms.points.models import CITY, PointsTable, PointsVersion
from transforms.services.load import select_services_in_force
from transforms.services.models import Service, ServiceVersion
from transforms.services.requirements_sql import requirements_sql

NO_CAP = Decimal("99999.99")  # the most that a points column holds


@dataclass(frozen=True)
class PublishedRules:
    """The declarations of a revision by authority and code, on its scoring date. Statements are compiled once."""

    as_of: dt.date
    tables: Mapping[str, PointsTable]
    services: Sequence[Service]
    names: Titles
    districts: Mapping[str, str]

    def version(self, authority: str) -> PointsVersion:
        return self.tables[authority].in_force(self.as_of)

    @cached_property
    def services_in_force(self) -> dict[str, ServiceVersion]:
        return select_services_in_force(self.services, self.as_of)

    @cached_property
    def kinds(self) -> dict[str, Kind]:
        """What the expressions of services may name."""
        return build_service_names(
            self.names.facts, list_points_columns_on(self.tables, self.as_of), self.districts
        )

    @cached_property
    def lacking(self) -> str:
        """Every requirement of every service, for the relation `scored` (see `lacking_sql`)."""
        return requirements_sql(self.services_in_force, self.kinds)

    def rule_points(self, authorities: Iterable[str]) -> str:
        """What every rule of these tables gives alone, for the relation `facts`: the tables' own statement, without guards and caps."""
        bare = {authority: _bare(self.version(authority)) for authority in authorities}
        return points_sql(bare.pop(CITY), bare, self.names.facts)


def _bare(version: PointsVersion) -> PointsVersion:
    unbound = {"cap": NO_CAP, "when": None, "unless": None}
    indicators = {
        code: indicator.model_copy(update=unbound) for code, indicator in version.indicators.items()
    }
    return version.model_copy(update={"sections": {}, "groups": {}, "indicators": indicators})
