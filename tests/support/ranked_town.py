"""Eligibility with ranks of the small town, as a month writes it."""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from expectations.source_model import Fact
from tests.parity.reference.services import ScoredResident
from tests.support.services_town import FACTS, KEY, REFERENCE, TABLES, make_scored
from transforms.engine.parquet import read_folder_sql, read_parquet_sql
from transforms.engine.session import Session
from transforms.engine.sql import sql_literal
from transforms.engine.statements import Statement
from transforms.facts.pseudonyms import hmac_params
from transforms.points.models import PointsTable
from transforms.services.load import select_services_in_force
from transforms.services.models import Service
from transforms.services.namespace import build_service_names, list_points_columns_on
from transforms.services.write import EligibilityInputs, ServiceRules, write_eligibility


@dataclass(frozen=True)
class Declared:
    """What a town declares: facts, points tables by authority, names of districts."""

    facts: Mapping[str, Fact]
    tables: Mapping[str, PointsTable]
    districts: Mapping[str, str]


OWN = Declared(FACTS, TABLES, REFERENCE.districts)


def write_ranked(
    session: Session,
    residents: Sequence[ScoredResident],
    services: Sequence[Service],
    as_of: dt.date,
) -> list[dict[str, Any]]:
    """Return the rows of eligibility of all districts, in the order of their files."""
    return write_families(session, residents, services, as_of)[0]


def write_families(
    session: Session,
    residents: Sequence[ScoredResident],
    services: Sequence[Service],
    as_of: dt.date,
    declared: Declared = OWN,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the rows of eligibility, and those of whose points counted."""
    with tempfile.TemporaryDirectory() as folder:
        written = write_town(session, residents, services, as_of, Path(folder), declared)
        found = {name: session.fetch_dicts(f"FROM {rows}") for name, rows in written.tables.items()}
        return found["eligibility"], found.get("families", [])


@dataclass(frozen=True)
class WrittenTown:
    """What was written of a town: the statements, their parameters, the tables as SQL.

    Who is scored is in the session's table `town`.
    """

    statements: list[Statement]
    values: Mapping[str, Any]
    tables: Mapping[str, str]


def write_town(
    session: Session,
    residents: Sequence[ScoredResident],
    services: Sequence[Service],
    as_of: dt.date,
    folder: Path,
    declared: Declared = OWN,
) -> WrittenTown:
    """Write eligibility, and whose points counted, below a folder."""
    points = sorted(list_points_columns_on(declared.tables, as_of))
    make_scored(session, residents, points, declared.facts)
    session.execute("CREATE OR REPLACE TABLE town AS FROM scored")  # cursors see no temporary one
    session.execute("DROP TABLE temp.scored")
    rules = ServiceRules(
        select_services_in_force(services, as_of),
        build_service_names(declared.facts, points, declared.districts),
    )
    values = {"month": as_of.replace(day=1), "as_of": as_of, **hmac_params(KEY)}
    target, families = folder / "eligibility", folder / "families.parquet"
    inputs = EligibilityInputs(
        lambda district: f"(FROM town WHERE district = {sql_literal(district)})",
        sorted(declared.districts),
        values,
        folder / "work",
        families,
    )
    statements = write_eligibility(session, rules, inputs, target)
    tables = {"eligibility": read_folder_sql(target)}
    if families.exists():
        tables["families"] = read_parquet_sql(families)
    return WrittenTown(statements, values, tables)
