"""Real rankings and families: scores, classes and ranks by hand, on both engines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import duckdb

from tests.acceptance.policies.catalogue import POLICIES
from tests.acceptance.policies.hong_kong.by_hand import FAMILIES
from tests.acceptance.policies.policy import AcceptancePolicy, Given
from tests.acceptance.policies.welwyn_hatfield.by_hand import RANKED
from tests.parity.reference.national_id import compute_check_character
from tests.parity.reference.ranks import list_ranked
from tests.parity.reference.services import ScoredResident
from tests.support.both_engines import ExampleResident, read_fact_values, score_by_reference
from tests.support.ranked_town import Declared, write_families
from tests.support.services_town import resident_key
from transforms.points.models import CITY
from transforms.services.examples import check_service_examples
from transforms.services.load import read_services
from transforms.services.validate import ValidationScope

BY_NAME = {policy.name: policy for policy in POLICIES}
DISTRICTS = {"hong_kong": {"810000": "香港"}, "welwyn_hatfield": {"260001": "韦林"}}


def declare(policy: AcceptancePolicy) -> Declared:
    return Declared(policy.facts, {CITY: policy.tables[0]}, DISTRICTS[policy.name])


def make_id(digits: str) -> str:
    return digits + compute_check_character(digits)


def make_resident(
    policy: AcceptancePolicy, number: int, given: Given, **more: Any
) -> ScoredResident:
    """Somebody of whom this is known, scored by the plain reference."""
    (district,) = DISTRICTS[policy.name]
    known = ExampleResident(given, policy.as_of, district)
    (points,) = score_by_reference(policy.tables, policy.facts, [known])
    facts = {**read_fact_values(known, policy.facts), **more}
    own = {name: value for name, value in points.items() if value is not None}
    return ScoredResident(make_id(f"36040219800101{number:03d}"), district, None, None, facts, own)


def rank(
    policy: AcceptancePolicy, people: list[ScoredResident], engine: duckdb.DuckDBPyConnection
) -> Mapping[str, Mapping[str, Any]]:
    """The rows of eligibility by ID, when both engines agree on them."""
    declared = declare(policy)
    folder = policy.points.parent / "services"
    services = read_services(folder, policy.facts, declared.tables, declared.districts)
    assert services.warnings == []
    scope = ValidationScope(policy.facts, declared.tables, declared.districts)
    assert check_service_examples(engine, folder, services.items, scope) == []
    found, _ = write_families(engine, people, services.items, policy.as_of, declared)
    listed = {row["resident_key"]: row for row in found}
    plain = {
        who: row for (who, _), row in list_ranked(people, services.items, policy.as_of).items()
    }
    assert len(listed) == len(plain)
    for who, row in plain.items():
        names = ("district", "eligible", "points_short", "score", "rank_class", "rank")
        assert {name: listed[resident_key(who)][name] for name in names} == {
            name: row[name] for name in names
        }
    return plain


def test_children_of_two_parents_are_ranked_as_worked_out_by_hand(
    engine: duckdb.DuckDBPyConnection,
) -> None:
    policy, people, children = BY_NAME["hong_kong"], [], {}
    for number, (name, (parents, _)) in enumerate(FAMILIES.items()):
        child = {
            "child": make_id(f"33020320170504{number:03d}"),
            "level": "primary",
            "enrolment_year": 2023,
        }
        children[child["child"]] = name
        for place, parent in enumerate(parents):
            people.append(make_resident(policy, number * 10 + place, parent, children_due=[child]))
    found = rank(policy, people, engine)
    assert {
        children[child]: (int(row["score"]), row["rank_class"], row["rank"])
        for child, row in found.items()
    } == {name: outcome for name, (_, outcome) in FAMILIES.items()}


def test_people_are_ranked_by_class_and_date_as_worked_out_by_hand(
    engine: duckdb.DuckDBPyConnection,
) -> None:
    policy = BY_NAME["welwyn_hatfield"]
    people = [make_resident(policy, number, given) for number, (given, _) in enumerate(RANKED)]
    found = rank(policy, people, engine)
    assert [
        (found[one.resident_id]["rank_class"], found[one.resident_id]["rank"]) for one in people
    ] == [outcome for _, outcome in RANKED]
