"""Cases on services and reminders: part of a declaration, and a table of people for both engines.

A table with a column `eligible` shows who qualifies; one with a column `run` runs months in
sequence and shows who is reminded. Consecutive rows with the same `run` are one run: `2021-10`,
`2021-10 重新运行`, `2021-10 补充运行` (a backfill that continues), `2021-10 --send`. The same letter
under `who` is the same person. Keys that a fragment leaves out are filled in.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import Any

import duckdb

from expectations.fact_model import find_value_without_records
from expectations.reference_tables import Reference
from tests.parity.reference.ranks import list_ranked
from tests.parity.reference.services import ScoredResident, decide_services
from tests.parity.reference.town import PlainTown
from tests.spec.chapters import AS_OF, FACTS, LETTERS, POINTS, Case, Row
from tests.support.ranked_town import write_families, write_ranked
from tests.support.services_town import (
    KEY,
    REFERENCE,
    TABLES,
    Town,
    child,
    eligibility,
    resident,
    resident_key,
)
from transforms.engine.statements import Statement
from transforms.expressions.fact_values import parse_fact_value
from transforms.reminders.models import StandingReminder
from transforms.services.load import load_reminders, load_services
from transforms.services.models import Service

GIVEN = ("run", "who", "child", "name", "as_of", "district")
OUTCOMES = ("eligible", "points_short", "monthly_amount")
RANK_OUTCOMES = ("rank_class", "rank")
FAMILY_OUTCOMES = ("score", "eligible", "points_short", "counted")
BRANCHES = "子丑寅卯"  # children, in the columns `child`
REMINDER_OUTCOMES = ("reminders", "due_on", "added_in", "text")
PAPERS = {"title": "示例", "department": "示例", "purpose": "示例", "legal_basis": "示例"}
VERSION: dict[str, Any] = {
    "from": "2021-09-08", "basis": "示例", "districts": "all", "conditions": [], "points": {"threshold": "0"},
    "window": "all_year", "examples": [{"district": "330203", "eligible": "false"}],
}  # fmt: skip
Declared = tuple[list[Service], list[StandingReminder]]


def load_declared(case: Case, folder: Path) -> Declared:
    """The service or the standing reminder of a case, as the real loader reads it from a file written to the folder."""
    typed_in = case.data
    files = {True: folder / "reminders", False: folder / "services"}
    for path in files.values():
        path.mkdir(exist_ok=True)
    standing = "who" in typed_in
    filled = _standing(typed_in) if standing else _service(typed_in)
    path = files[standing] / f"{filled['kind' if standing else 'service']}.yaml"
    path.write_text(json.dumps(filled, ensure_ascii=False), encoding="utf-8")
    services = load_services(files[False], FACTS, TABLES, REFERENCE.districts)
    return services, load_reminders(files[True], FACTS, REFERENCE.districts, services)


def _standing(given: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **PAPERS,
        "text": "{name}。",
        "examples": [{"as_of": str(AS_OF), "reminded": "false"}],
        **given,
    }


def _service(given: Mapping[str, Any]) -> dict[str, Any]:
    own = {name: value for name, value in given.items() if name in Service.model_fields}
    if "versions" not in own:
        own["versions"] = [{name: value for name, value in given.items() if name not in own}]
    own["versions"] = [one if "as_in" in one else _version(one) for one in own["versions"]]
    if "reminder" in own:
        own["reminder"] = {"title": "示例", "text": "{name}。", **own["reminder"]}
    return {"service": "example", **PAPERS, **own}


def _version(given: Mapping[str, Any]) -> dict[str, Any]:
    parts = ["districts", "conditions", "points", *(["amount"] if "amount" in given else [])]
    filled = {**VERSION, "values": dict.fromkeys(parts, "illustrative"), **given}
    if given.get("subject") == "child" and "examples" not in given:
        filled["examples"] = [{**VERSION["examples"][0], "guardians": [{}]}]
    return filled


def is_service_column(name: str) -> bool:
    """Whether a column of a table means something."""
    return (
        name in FACTS
        or name.endswith(POINTS)
        or name in (*GIVEN, *OUTCOMES, *RANK_OUTCOMES, *FAMILY_OUTCOMES, *REMINDER_OUTCOMES)
    )


def _person(row: Row, number: int) -> ScoredResident:
    """Return the resident of a row; what a cell leaves empty a person without records has."""
    given = {name: cell for name, cell in row.items() if cell}
    facts: dict[str, Any] = {
        name: False if fact.derive and fact.unit == "yes_no" else find_value_without_records(fact)
        for name, fact in FACTS.items()
    }
    facts |= {
        n: parse_fact_value(FACTS[n], cell)
        for n, cell in given.items()
        if n in FACTS and n != "children_due"
    }
    number = LETTERS.index(given["who"]) if "who" in given else number + len(LETTERS)
    due = [entry.split(":") for entry in given.get("children_due", "").split()]
    facts["children_due"] = [
        child(number * 10 + place, level, int(year)) for place, (level, year) in enumerate(due)
    ]
    for level in ("primary", "junior_middle"):
        facts[f"children_due_{level}"] = sum(one == level for one, _ in due)
    name = row["name"] or None if "name" in row else "张三"
    known = resident(number, given.get("district", "330203"), name=name, **facts)
    points = {name: Decimal(cell) for name, cell in given.items() if name.endswith(POINTS)}
    return ScoredResident(**{**vars(known), "points": {"total_points": Decimal(0), **points}})


def decide_outcomes(
    engine: duckdb.DuckDBPyConnection, services: Sequence[Service], rows: Sequence[Row]
) -> Iterator[Any]:
    """Of each row what the statement, and what the reference, says of the service; none: no row of eligibility."""
    for number, row in enumerate(rows):
        who, as_of = _person(row, number), dt.date.fromisoformat(row.get("as_of") or str(AS_OF))
        statement = eligibility(engine, [who], services, as_of)
        days = {"month": as_of.replace(day=1), "as_of": as_of}
        engine.create_table(Statement("decided", statement, ("scored",)), days)
        found = engine.fetch_dicts(f"SELECT {', '.join(OUTCOMES)} FROM decided")
        engine.execute("DROP TABLE temp.scored")
        yield (
            found,
            [
                {name: one[name] for name in OUTCOMES}
                for one in decide_services(who, services, as_of)
            ],
        )


def rank_outcomes(
    engine: duckdb.DuckDBPyConnection, services: Sequence[Service], rows: Sequence[Row]
) -> Iterator[Any]:
    """Of each row what both engines say, and what place it has among all rows of the table."""
    people = [_person(row, number) for number, row in enumerate(rows)]
    found = {one["resident_key"]: one for one in write_ranked(engine, people, services, AS_OF)}
    plain = {person: row for (person, _), row in list_ranked(people, services, AS_OF).items()}
    names = (*OUTCOMES, *RANK_OUTCOMES)
    for who in people:
        both = found[resident_key(who.resident_id)], plain[who.resident_id]
        yield tuple({name: row[name] for name in names} for row in both)


def decide_families(
    engine: duckdb.DuckDBPyConnection, services: Sequence[Service], rows: Sequence[Row]
) -> Iterator[Any]:
    """Of each row, a child and a guardian, what both engines say of them."""
    people, children = {}, {}
    for number, row in enumerate(rows):
        one = child(BRANCHES.index(row["child"]), "primary", AS_OF.year + 1)
        person = people.setdefault(row["who"], _person(row, number))
        due = [*person.facts["children_due"], one]
        people[row["who"]] = replace(person, facts={**person.facts, "children_due": due})
        children[row["child"]] = one["child"]
    found, families = write_families(engine, list(people.values()), services, AS_OF)
    listed = {one["resident_key"]: one for one in found}
    plain = {
        child_id: row
        for (child_id, _), row in list_ranked(list(people.values()), services, AS_OF).items()
    }
    for row in rows:
        child_id, person_id = children[row["child"]], people[row["who"]].resident_id
        mine = [
            (one["part"], one["counted"])
            for one in families
            if (one["child_id"], one["guardian_key"]) == (child_id, resident_key(person_id))
        ]
        decided = plain.get(child_id)
        yield (
            summarise_family(listed.get(resident_key(child_id)), mine),
            summarise_family(
                decided,
                [(part, counts) for one, part, _, counts in decided["parts"] if one == person_id]
                if decided
                else [],
            ),
        )


def summarise_family(
    row: Mapping[str, Any] | None, mine: Sequence[tuple[str, bool]]
) -> dict[str, str]:
    """What is said of a child, and in what a guardian counts, as a table shows it."""
    if row is None:
        return dict.fromkeys(FAMILY_OUTCOMES, "")
    short = row["points_short"]
    parts = " ".join(sorted(part for part, counts in mine if counts))
    whole = {("score", True): "是", ("score", False): "否"}
    return {
        "score": f"{row['score'].normalize():f}",
        "eligible": "true" if row["eligible"] else "false",
        "points_short": f"{short.normalize():f}" if short else "",
        "counted": "" if not mine else whole.get(mine[0], parts),
    }


def parse_expected_rank(row: Row) -> dict[str, Any]:
    """What a table says of a row, in the shape of `rank_outcomes`."""
    (outcome,) = parse_expected_outcome(row)
    return outcome | {"rank_class": row["rank_class"] or None, "rank": int(row["rank"])}


def parse_expected_outcome(row: Row) -> list[dict[str, Any]]:
    """What a table says of a row, in the shape of `outcomes`; no `eligible`: nothing."""
    if not row["eligible"]:
        return []
    amounts = {name: Decimal(row[name]) if row.get(name) else None for name in OUTCOMES[1:]}
    return [
        {
            "eligible": row["eligible"] == "true",
            **amounts,
            "points_short": amounts["points_short"] or Decimal(0),
        }
    ]


def _runs(rows: Sequence[Row]) -> list[tuple[str, list[tuple[Row, ScoredResident]]]]:
    """The runs of a table in their order, each with its rows and residents."""
    people = [(row, _person(row, number)) for number, row in enumerate(rows)]
    return [(run, list(group)) for run, group in groupby(people, key=lambda one: one[0]["run"])]


def build_lists(case: Case, reference: Reference, folder: Path) -> Iterator[Any]:
    """Of each run its rows with residents, the list that the statements make, and the list of the reference."""
    services, standing = load_declared(case, folder)
    calendar = {tuple(line[:3]): tuple(line[3:]) for line in reference.rows["school_calendar"]}
    town = Town(folder / "town", services, standing, reference)
    plain = PlainTown(services, standing, KEY, FACTS, reference.districts, calendar)
    for run, rows in _runs(case.rows):
        month, how = run[:7], {"last": "补充运行" not in run, "send": "--send" in run}
        people = [who for _, who in rows]
        yield rows, town.publish(month, *people, **how), plain.publish(month, *people, **how)


def summarise_list(
    row: Row, who: ScoredResident, listed: Sequence[Mapping[str, Any]]
) -> dict[str, str]:
    """What a list says to a resident, in the shape of the table's own columns."""
    mine = [one for one in listed if one["resident_id"] == who.resident_id]
    said = {
        "reminders": str(len(mine) or ""),
        "due_on": " ".join(sorted(str(one["due_on"]) for one in mine if one["due_on"])),
        "added_in": " ".join(f"r{one['added_in']}" for one in mine),
        "text": " ".join(one["text"] for one in mine),
    }
    return {name: said[name] for name in row if name in REMINDER_OUTCOMES}
