"""Drawn rankings over generated people: class and rank are what the plain reference says."""

from __future__ import annotations

import datetime as dt
import random
import tempfile
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import sqlglot
from hypothesis import given

from tests.parity.reference.ranks import list_ranked
from tests.parity.reference.services import ScoredResident
from tests.parity.reference.strategies import SEEDS, with_examples
from tests.support.ranked_town import write_families, write_ranked
from tests.support.services_town import (
    FACTS,
    REFERENCE,
    SERVICES,
    TABLES,
    child,
    resident,
    resident_key,
)
from tests.support.somebody import somebody
from transforms.engine.session import EngineSettings, open_engine
from transforms.engine.statements import Statement
from transforms.services.eligibility_sql import candidates_sql, count_rank_keys, select_services_of
from transforms.services.families import (
    children_statement,
    families_statement,
    guardians_statement,
)
from transforms.services.models import Ranking, Service, ServiceVersion
from transforms.services.namespace import build_service_names, list_points_columns_on
from transforms.services.ranks import ranked_eligibility_statement, ranks_statement

AS_OF = dt.date(2021, 10, 31)
SMALL = EngineSettings("500MB", 2)
CLASSES = [
    "owns_home", "tenure = 'rented'", "pension_gap_months is null", "district = '330212'", "age < 60",
    "permit_valid_to >= as_of + 45 or insured_now", "total_points >= 45",
]  # fmt: skip
KEYS: list[Any] = [
    "score", "total_points", "common_points", "pension_months", "permit_valid_to", "insured_now", "market_rent",
    "d330212_local_volunteer_points", "pension_months + age * 2", "market_rent / 3", "pension_last_month",
    {"asc": "permit_issued_on"}, {"asc": "age"}, {"asc": "pension_gap_months"}, {"asc": "score"}, {"asc": "frozen"},
]  # fmt: skip
COMBINED = ["total_points", "common_points"]
COMBINED_SCORES = ["total_points", "common_points + total_points / 3"]
CHILD_KEYS: list[Any] = ["child_born_on", {"asc": "child_born_on"}]
LEFT_OUT = ["d330212_local_volunteer_points"]
SCORES = ["total_points", "common_points + total_points / 3", "pension_months"]


def draw_service(code: str, generator: random.Random) -> Service:
    """A service without conditions, mostly ranked, now and then with multipliers."""
    base = next(service for service in SERVICES if service.service == "health_check")
    rank: dict[str, Any] = {
        "per": generator.choice(["district", "city"]),
        "classes": [
            {"title": f"第{number}类", "when": when}
            for number, when in enumerate(generator.sample(CLASSES, generator.randint(0, 3)))
        ],
        "by": generator.sample(KEYS, generator.randint(1, 4)),
    }
    multipliers = [
        {"when": when, "times": generator.choice(["1.3", "0.5"])}
        for when in generator.sample(CLASSES, generator.randint(0, 2))
    ]
    if generator.random() < 0.3:
        multipliers.append({"times": "1.1"})
    version = base.versions[0].model_copy(
        update={
            "conditions": [],
            "rank": Ranking.model_validate(rank) if generator.random() < 0.8 else None,
            "points": type(base.versions[0].points).model_validate(
                {
                    "score": generator.choice(SCORES),
                    "threshold": generator.choice(["0", "45", "60"]),
                    "multipliers": multipliers,
                }
            ),
        }
    )
    return base.model_copy(update={"service": code, "versions": [version]})


def draw_child_service(code: str, generator: random.Random) -> Service:
    """A service of children, whose guardians' points are picked or combined in any way."""
    base = draw_service(code, generator)
    version = base.versions[0]
    picked = generator.random() < 0.5
    columns = {name: generator.choice(["highest", "sum"]) for name in COMBINED}
    guardians: dict[str, Any] = {"points": generator.choice(["highest", "chosen"])}
    if not picked:
        guardians["points"] = generator.choice(["sum", columns])
        guardians["caps"] = {
            name: generator.choice(["60", "12.5"]) for name in COMBINED if generator.random() < 0.4
        }
    if guardians["points"] == "chosen":
        guardians["chosen"] = generator.choice(CLASSES)
    guardians["levels"] = generator.choice([[], ["primary"]])
    keys = generator.sample([*CHILD_KEYS, *KEYS], generator.randint(1, 4))
    points: dict[str, Any] = {
        "score": generator.choice(SCORES if picked else COMBINED_SCORES),
        "threshold": {"default": generator.choice(["0", "60"]), "330212": "45"},
        "multipliers": [one.model_dump() for one in version.points.multipliers] if picked else [],
    }
    conditions = [{"when": generator.choice(["permit_held", "age >= 18"]), "lacking": "缺"}]
    described = {
        **version.model_dump(by_alias=True),
        "subject": "child",
        "guardians": guardians,
        "points": points,
        "conditions": conditions if generator.random() < 0.5 else [],
        "rank": {"by": [key for key in keys if key not in LEFT_OUT]}
        if version.rank and any(key not in LEFT_OUT for key in keys)
        else None,
        "amount": {"monthly": "market_rent * 0.4", "rounding": "fen"},
        "examples": [{"district": "330212", "eligible": "false"}],
    }
    if described["rank"]:
        described["rank"] |= {
            "per": version.rank.per if version.rank else "city",
            "classes": [one.model_dump() for one in version.rank.classes] if version.rank else [],
        }
    described["values"]["amount"] = "illustrative"
    read = ServiceVersion.model_validate(described)
    return base.model_copy(update={"versions": [read]})


def draw_families(number: int, seed: int) -> list[ScoredResident]:
    """People in families of three, whose children each have one to three of them as guardians."""
    generator = random.Random(seed)
    people = draw_people(number, seed)
    for first in range(0, number, 3):
        family = people[first : first + 3]
        due: list[list[Any]] = [[] for _ in family]
        for place in range(generator.choice([0, 1, 2])):
            level = generator.choice(["primary", "junior_middle"])
            for own in generator.sample(due, generator.randint(1, len(family))):
                own.append(child(first * 3 + place, level, 2022))
        for place, own in enumerate(due):
            facts = {**family[place].facts, "children_due": own}
            people[first + place] = replace(family[place], facts=facts)
    return people


@with_examples(16)
@given(SEEDS)
def test_children_have_the_points_class_and_rank_that_the_reference_says(seed: int) -> None:
    generator = random.Random(seed)
    services = [draw_child_service(code, generator) for code in ("first", "second")]
    services.append(draw_service("third", generator))
    people = draw_families(36, seed)
    with tempfile.TemporaryDirectory() as spill, open_engine(SMALL, Path(spill)) as engine:
        found, families = write_families(engine, people, services, AS_OF)
    expected = list_ranked(people, services, AS_OF)
    assert {(row["resident_key"], row["service"]): row for row in found} == {
        (resident_key(person), service): {
            "month": AS_OF.replace(day=1),
            "resident_key": resident_key(person),
            "service": service,
            **{name: value for name, value in row.items() if name != "parts"},
        }
        for (person, service), row in expected.items()
    }
    assert sorted(
        (
            row["service"],
            row["child_id"],
            row["guardian_key"],
            row["part"],
            row["points"],
            row["counted"],
        )
        for row in families
    ) == sorted(
        (service, person, resident_key(guardian), part, points, counted)
        for (person, service), row in expected.items()
        for guardian, part, points, counted in row["parts"]
    )
    assert all(row["child_key"] == resident_key(row["child_id"]) for row in families)


def draw_people(number: int, seed: int) -> list[ScoredResident]:
    """People close to the limits, some with points of a district."""
    own = [Decimal(5), None, None]
    return [
        replace(one, points={**one.points, "d330212_local_volunteer_points": own[place % 3]})
        for place, one in enumerate(somebody(place, seed, AS_OF) for place in range(number))
    ]


@with_examples(12)
@given(SEEDS)
def test_class_and_rank_are_what_the_reference_says(seed: int) -> None:
    generator = random.Random(seed)
    services = [draw_service(code, generator) for code in ("first", "second", "third")]
    people = draw_people(40, seed)
    expected = {
        (resident_key(person), service): decided
        for (person, service), decided in list_ranked(people, services, AS_OF).items()
    }
    with tempfile.TemporaryDirectory() as spill, open_engine(SMALL, Path(spill)) as engine:
        found = write_ranked(engine, people, services, AS_OF)
    assert {(row["resident_key"], row["service"]): row for row in found} == {
        (person, service): {
            "month": AS_OF.replace(day=1),
            "resident_key": person,
            "service": service,
            **{name: value for name, value in row.items() if name != "parts"},
        }
        for (person, service), row in expected.items()
    }


def test_the_statements_can_be_carried_to_spark() -> None:
    generator = random.Random(11)
    services = [draw_child_service(code, generator) for code in ("first", "second", "third")]
    services += [draw_service(code, generator) for code in ("fourth", "fifth")]
    declared = {service.service: service.versions[0] for service in services}
    children = select_services_of(declared, "child")
    names = build_service_names(FACTS, list_points_columns_on(TABLES, AS_OF), REFERENCE.districts)
    for statement in (
        Statement("candidates", candidates_sql(declared, names)),
        guardians_statement(children, names, count_rank_keys(declared.values())),
        children_statement(children, names, count_rank_keys(declared.values())),
        families_statement(children),
        ranks_statement(declared),
        ranked_eligibility_statement(),
    ):
        level = sqlglot.ErrorLevel.RAISE
        bound = statement.sql.replace("$outer", "'o'").replace("$inner", "'i'")
        (spark,) = sqlglot.transpile(bound, read="duckdb", write="spark", unsupported_level=level)
        assert sqlglot.parse_one(spark, read="spark")
        for word in ("QUALIFY", "EXCLUDE", "REPLACE (", "GROUP BY ALL", "LIST("):
            assert word not in statement.sql, statement.name


def test_ranks_do_not_depend_on_the_order_of_people_or_services(tmp_path: Path) -> None:
    generator = random.Random(7)
    services = [draw_service(code, generator) for code in ("first", "second")]
    people = draw_people(30, 3)
    with open_engine(SMALL, tmp_path) as engine:
        assert write_ranked(engine, people, services, AS_OF) == write_ranked(
            engine, people[::-1], services[::-1], AS_OF
        )


def test_equals_share_a_rank_and_the_next_one_counts_them_all(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    service = draw_service("first", random.Random(1))
    rank = Ranking.model_validate({"by": ["score"], "per": "city"})
    points = service.versions[0].points.model_copy(
        update={"score": "total_points", "multipliers": [], "threshold": {"default": Decimal(50)}}
    )
    version = service.versions[0].model_copy(update={"rank": rank, "points": points})
    service = service.model_copy(update={"versions": [version]})
    people = [
        resident(number, district, total)
        for number, (district, total) in enumerate(
            [
                ("330203", "60"),
                ("330212", "60"),
                ("330212", "70"),
                ("330203", "50"),
                ("330203", "49.99"),
            ]
        )
    ]
    found = {row["resident_key"]: row for row in write_ranked(connection, people, [service], AS_OF)}
    ranks = [found[resident_key(one.resident_id)]["rank"] for one in people]
    assert ranks == [2, 2, 1, 4, 5]
