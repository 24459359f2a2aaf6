"""Eligibility written for a month: a file per district, with ranks where services have them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from transforms.engine.parquet import (
    INTERMEDIATE_PARQUET,
    read_folder_sql,
    read_parquet_sql,
)
from transforms.engine.session import Session, map_concurrently
from transforms.engine.sql import sql_literal
from transforms.engine.statements import Statement
from transforms.expressions.kinds import Kind
from transforms.facts.pseudonyms import count_stages
from transforms.services.eligibility_sql import (
    candidates_sql,
    count_rank_keys,
    eligibility_sql,
    select_services_of,
)
from transforms.services.families import (
    children_statement,
    families_statement,
    guardians_statement,
)
from transforms.services.models import ServiceVersion
from transforms.services.ranks import (
    compares_people,
    ranked_eligibility_statement,
    ranks_statement,
)


@dataclass(frozen=True)
class ServiceRules:
    """What decides who qualifies: the services in force by code, and what they may name."""

    services: Mapping[str, ServiceVersion]
    names: Mapping[str, Kind]


@dataclass(frozen=True)
class EligibilityInputs:
    """What eligibility is made of.

    Attributes:
        scored_of: District -> its relation `scored` as SQL, in the order of its rows.
        districts: All districts.
        values: The parameters $month and $as_of, and those of pseudonyms (`hmac_params`).
        work: An empty folder for what lies between the steps.
        families: The file of whose points counted, written where a service is of children.
    """

    scored_of: Callable[[str], str]
    districts: Sequence[str]
    values: Mapping[str, Any]
    work: Path
    families: Path


def write_eligibility(
    session: Session, rules: ServiceRules, inputs: EligibilityInputs, folder: Path
) -> list[Statement]:
    """Write `<district>.parquet` of every district, sorted by resident_key and service; families.

    Returns:
        The statements by which, as they ran.
    """
    if compares_people(rules.services.values()):
        return _write_compared(session, rules, inputs, folder)
    statement = Statement(
        "eligibility", eligibility_sql(rules.services, rules.names), ("scored",), "file"
    )

    def write(own: Session, district: str) -> None:
        scored = {"scored": inputs.scored_of(district)}
        own.write(statement, folder / f"{district}.parquet", inputs.values, scored)

    map_concurrently(session, inputs.districts, write)
    return [statement]


def _write_compared(
    session: Session, rules: ServiceRules, inputs: EligibilityInputs, folder: Path
) -> list[Statement]:
    """Write the candidates of every district and the children, rank all, write what is published."""
    places = inputs.work / "candidates"
    candidates = Statement("candidates", candidates_sql(rules.services, rules.names), ("scored",))
    ranks, published = ranks_statement(rules.services), ranked_eligibility_statement()

    def write_candidates(own: Session, district: str) -> None:
        scored = {"scored": inputs.scored_of(district)}
        file = places / f"{district}.parquet"
        own.write(candidates, file, inputs.values, scored, options=INTERMEDIATE_PARQUET)

    map_concurrently(session, inputs.districts, write_candidates)
    of_children = _write_children(session, rules, inputs, places)
    ranked = inputs.work / "ranks.parquet"
    everyone = {"candidates": read_folder_sql(places)}
    session.write(ranks, ranked, None, everyone, options=INTERMEDIATE_PARQUET)

    def write(own: Session, district: str) -> None:
        here = f"WHERE district = {sql_literal(district)}"
        relations = {
            "candidates": f"(FROM {read_folder_sql(places)} {here})",
            "ranks": read_parquet_sql(ranked),
        }
        target = folder / f"{district}.parquet"
        own.write(published, target, inputs.values, relations, plain_columns=True)

    map_concurrently(session, inputs.districts, write)
    return [*_name_candidates(candidates, of_children), ranks, published]


def _name_candidates(candidates: Statement, of_children: list[Statement]) -> list[Statement]:
    """Return the statements of all candidates as they are published: residents, and children.

    Their files lie in one folder; in the statements `candidates` joins them.
    """
    if not of_children:
        return [candidates]
    both = "SELECT * FROM resident_candidates\nUNION ALL\nSELECT * FROM children"
    inputs = ("resident_candidates", "children")
    residents = replace(candidates, name="resident_candidates")
    return [residents, *of_children, Statement("candidates", both, inputs, "view")]


def _write_children(
    session: Session, rules: ServiceRules, inputs: EligibilityInputs, places: Path
) -> list[Statement]:
    """Write the children beside the candidates, and whose points counted; return the statements."""
    services = select_services_of(rules.services, "child")
    if not services:
        return []
    keys = count_rank_keys(rules.services.values())
    stages = count_stages(inputs.values)
    guardians = guardians_statement(services, rules.names, keys, stages)
    children = children_statement(services, rules.names, keys)
    families = families_statement(services)

    def write_guardians(own: Session, district: str) -> None:
        scored = {"scored": inputs.scored_of(district)}
        file = inputs.work / "guardians" / f"{district}.parquet"
        own.write(guardians, file, inputs.values, scored, options=INTERMEDIATE_PARQUET)

    map_concurrently(session, inputs.districts, write_guardians)
    everyone = {"guardians": read_folder_sql(inputs.work / "guardians")}
    file = places / "children.parquet"
    session.write(children, file, None, everyone, options=INTERMEDIATE_PARQUET)
    session.write(families, inputs.families, inputs.values, everyone, plain_columns=True)
    return [guardians, children, families]
