"""A test policy: a folder with its own sources and points tables, and what was worked out by hand about it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from expectations.errors import Diagnostic
from expectations.source_loader import collect_facts, load_sources
from expectations.source_model import Fact, Source
from expectations.yaml_document import Loaded
from tests.support.both_engines import ExampleResident
from transforms.points.load import read_tables
from transforms.points.models import PointsTable

HERE = Path(__file__).parent
Given = Mapping[str, Any]
"""What is known of a person: facts by name, and where it matters `as_of` and `district`."""
Steps = Mapping[str, Mapping[str, Mapping[Any, Any]]]
"""Indicator -> fact -> value: points."""
People = Sequence[tuple[Given, Mapping[str, Any]]]
"""What is known of a person, and some columns of the points."""
Outcome = tuple[int, str | None, int]
Families = Mapping[str, tuple[Sequence[Given], Outcome]]
"""A child: what is known of its parents, and the child's score, class and rank."""
Ranked = Sequence[tuple[Given, tuple[str | None, int]]]
"""What is known of a person, and their class and rank."""


@dataclass(frozen=True)
class AcceptancePolicy:
    """A folder with `sources/` and `points/`, loaded as the project loads its own."""

    name: str
    as_of: dt.date
    steps: Steps
    people: People
    districts: tuple[str, ...] = ()

    @property
    def points(self) -> Path:
        return HERE / self.name / "points"

    @cached_property
    def sources(self) -> dict[str, Source]:
        return load_sources(HERE / self.name / "sources")

    @cached_property
    def facts(self) -> dict[str, Fact]:
        return collect_facts(self.sources)

    @cached_property
    def loaded(self) -> Loaded[PointsTable]:
        return read_tables(self.points, self.facts, self.districts)

    @property
    def tables(self) -> list[PointsTable]:
        return self.loaded.items

    @property
    def warnings(self) -> list[Diagnostic]:
        return self.loaded.warnings

    @property
    def cases(self) -> list[tuple[Given, Mapping[str, Any]]]:
        """The steps of single indicators, then whole people."""
        steps = [
            ({fact: value}, {f"{indicator}_points": points})
            for indicator, by_fact in self.steps.items()
            for fact, values in by_fact.items()
            for value, points in values.items()
        ]
        return [*steps, *self.people]

    @property
    def residents(self) -> list[ExampleResident]:
        """The people of the cases, in their order."""
        return [
            ExampleResident(
                {name: value for name, value in given.items() if name not in ("as_of", "district")},
                given.get("as_of", self.as_of),
                given.get("district", "none"),
            )
            for given, _ in self.cases
        ]
