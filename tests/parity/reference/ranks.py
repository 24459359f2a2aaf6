"""Ranks and services of children in plain Python: everybody is compared with everybody."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_FLOOR, Decimal
from typing import Any

from tests.parity.reference.expressions import TOKEN, evaluate_expression, is_condition_met
from tests.parity.reference.services import (
    Row,
    ScoredResident,
    compare_with_threshold,
    compute_amount,
    compute_score,
    decide_services,
    find_version,
    may_have,
)
from transforms.services.models import RankKey, Service, ServiceVersion

Part = tuple[str, str, Decimal, bool]
"""A guardian's ID, a part, its points, and whether it counts."""


@dataclass(frozen=True)
class Candidate:
    """Somebody, or a child, who is ranked: the row of eligibility, the class, what decides."""

    person: str
    district: str
    row: Row
    number: int | None = None
    keys: tuple[Any, ...] = ()
    parts: Sequence[Part] = field(default_factory=list)


def list_ranked(
    residents: Sequence[ScoredResident], services: Iterable[Service], as_of: dt.date
) -> dict[tuple[str, str], Row]:
    """Every row of eligibility with class, rank and the parts of a child, by ID and service."""
    found: dict[tuple[str, str], Row] = {}
    for service in services:
        version = find_version(service, as_of)
        if version is None:
            continue
        if version.subject == "child":
            candidates = _list_children(residents, version, as_of)
        else:
            candidates = [
                _read_candidate(one, version, row, as_of)
                for one in residents
                for row in decide_services(one, [service], as_of)
            ]
        for one in candidates:
            rivals = [
                other
                for other in candidates
                if version.rank and (version.rank.per == "city" or other.district == one.district)
            ]
            found[one.person, service.service] = {
                **{name: value for name, value in one.row.items() if name != "service"},
                "district": one.district,
                "rank_class": None
                if version.rank is None or one.number is None
                else version.rank.classes[one.number].title,
                "rank": 1 + sum(_place(other) < _place(one) for other in rivals)
                if version.rank
                else None,
                "parts": sorted(one.parts),
            }
    return found


def _place(one: Candidate) -> tuple[Any, ...]:
    """What is compared: the less, the earlier."""
    number = 10**6 if one.number is None else one.number
    return (not one.row["eligible"], number, *one.keys)


def _read_candidate(
    resident: ScoredResident, version: ServiceVersion, row: Row, as_of: dt.date
) -> Candidate:
    if version.rank is None:
        return Candidate(resident.resident_id, resident.district, row)
    zeros = {name: Decimal(0) for name, given in resident.points.items() if given is None}
    known = resident.known(as_of)
    keys = tuple(
        _order(_value(key, known | zeros | {"score": row["score"]}), key) for key in version.rank.by
    )
    number = _class(version, known)
    return Candidate(resident.resident_id, resident.district, row, number, keys)


def _class(version: ServiceVersion, known: Mapping[str, Any]) -> int | None:
    assert version.rank
    classes = enumerate(version.rank.classes)
    return next((number for number, one in classes if is_condition_met(one.when, known)), None)


def _value(key: RankKey, known: Mapping[str, Any]) -> Any:
    value = evaluate_expression(key.text, known)
    return value.toordinal() if isinstance(value, dt.date) else value


def _order(value: Any, key: RankKey) -> tuple[bool, Any]:
    if value is None:
        return True, 0
    return False, value if key.asc else -value


def _list_children(
    residents: Sequence[ScoredResident], version: ServiceVersion, as_of: dt.date
) -> list[Candidate]:
    guardians = version.guardians
    assert guardians
    families: dict[str, list[tuple[ScoredResident, str]]] = {}
    for one in residents:
        for child in one.facts[guardians.children]:
            fits = not guardians.levels or child["level"] in guardians.levels
            if fits and may_have(one, version, as_of):
                families.setdefault(child["child"], []).append((one, child["level"]))
    found = (_decide_child(child, family, version, as_of) for child, family in families.items())
    return [one for one in found if one is not None]


def _decide_child(
    child: str,
    family: Sequence[tuple[ScoredResident, str]],
    version: ServiceVersion,
    as_of: dt.date,
) -> Candidate | None:
    guardians = version.guardians
    assert guardians
    born = dt.date(int(child[6:10]), int(child[10:12]), int(child[12:14]))
    known = {
        one.resident_id: one.known(as_of) | {"child_born_on": born, "child_level": level}
        for one, level in family
    }
    people = [one for one, _ in family]
    own = {one.resident_id: compute_score(one, version, as_of) for one in people}
    chosen = [
        one
        for one in people
        if guardians.chosen is None or is_condition_met(guardians.chosen, known[one.resident_id])
    ]
    if not chosen:
        return None
    best = max(own[one.resident_id] for one in chosen)
    first = [one for one in chosen if own[one.resident_id] == best]
    counting = first if guardians.points in ("highest", "chosen") else people
    combined = {
        name: _combine(name, [one.points[name] or Decimal(0) for one in counting], version)
        for name in people[0].points
    }
    score = best
    if counting is not first:
        score = Decimal(evaluate_expression(version.points.score, combined) or 0)
    district = min(one.district for one in first)
    amounts = [compute_amount(version, known[one.resident_id]) for one in counting]
    row = {
        **compare_with_threshold(score, version, district),
        "monthly_amount": max((one for one in amounts if one is not None), default=None),
    }
    number, keys = None, ()
    if version.rank:
        classes = [_class(version, known[one.resident_id]) for one in counting]
        number = min((one for one in classes if one is not None), default=None)
        keys = tuple(
            _child_key(
                key,
                combined | {"score": row["score"]},
                [known[one.resident_id] for one in counting],
            )
            for key in version.rank.by
        )
    return Candidate(
        child, district, row, number, keys, list(_parts(people, own, counting, version))
    )


def _combine(name: str, points: Sequence[Decimal], version: ServiceVersion) -> Decimal:
    guardians = version.guardians
    assert guardians
    if guardians.points in ("highest", "chosen"):
        return max(points)
    highest = isinstance(guardians.points, dict) and guardians.points.get(name) == "highest"
    found = max(points) if highest else sum(points, Decimal(0))
    return min(found, guardians.caps[name]) if name in guardians.caps else found


def _child_key(
    key: RankKey, combined: Mapping[str, Any], counting: Sequence[Mapping[str, Any]]
) -> tuple[bool, Any]:
    """The child's own points, or the best of what the guardians who count have."""
    named = {found.group().strip() for found in TOKEN.finditer(key.text) if found["name"]}
    if named <= combined.keys():
        return _order(_value(key, combined), key)
    return min(_order(_value(key, known), key) for known in counting)


def _parts(
    people: Sequence[ScoredResident],
    own: Mapping[str, Decimal],
    counting: Sequence[ScoredResident],
    version: ServiceVersion,
) -> Iterable[Part]:
    guardians = version.guardians
    assert guardians
    for one in people:
        if not isinstance(guardians.points, dict):
            shown = own[one.resident_id].quantize(Decimal("0.01"), ROUND_FLOOR)
            yield one.resident_id, "score", shown, one in counting
            continue
        for name, mode in guardians.points.items():
            most = max(other.points[name] or Decimal(0) for other in people)
            points = one.points[name] or Decimal(0)
            yield one.resident_id, name, points, mode == "sum" or points == most
