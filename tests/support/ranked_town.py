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
    points = sorted(list_points_columns_on(declared.tables, as_of))
    make_scored(session, residents, points, declared.facts)
    session.execute("CREATE OR REPLACE TABLE town AS FROM scored")  # cursors see no temporary one
    session.execute("DROP TABLE temp.scored")
    rules = ServiceRules(
        select_services_in_force(services, as_of),
        build_service_names(declared.facts, points, declared.districts),
    )
    with tempfile.TemporaryDirectory() as folder:
        work, target = Path(folder) / "work", Path(folder) / "eligibility"
        inputs = EligibilityInputs(
            lambda district: f"(FROM town WHERE district = {sql_literal(district)})",
            sorted(declared.districts),
            {"month": as_of.replace(day=1), "as_of": as_of, **hmac_params(KEY)},
            work,
            Path(folder) / "families.parquet",
        )
        write_eligibility(session, rules, inputs, target)
        made = inputs.families.exists()
        families = session.fetch_dicts(f"FROM {read_parquet_sql(inputs.families)}") if made else []
        return session.fetch_dicts(f"FROM {read_folder_sql(target)}"), families
