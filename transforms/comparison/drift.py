"""The drift check: a month's figures against the month before's, and which differ too much.

Months are given as their manifests, of which it reads residents, figures, accounts, eligible,
services and policy. The month before is the one published.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Literal

from transforms.comparison.metrics import compute_mean
from transforms.points.models import CITY

Kind = Literal["rows", "residents", "mean", "district_mean", "indicator_mean", "eligible"]
Manifest = Mapping[str, Any]
EVERYWHERE = ""  # the name of a figure of the whole city


@dataclass(frozen=True)
class Limit:
    """A change is too large when it is over all: a share of what was before, a number, and noise.

    Attributes:
        relative: The share.
        absolute: The number.
        errors: How many standard errors of an ordinary month's movement are noise: so the limits
            fit a county as well as a province.
    """

    relative: float
    absolute: float
    errors: float = 0

    def exceeded(self, before: Decimal, after: Decimal, error: Decimal = Decimal(0)) -> bool:
        """Return whether a change is too large; `error`: its standard error in a month."""
        distance = abs(after - before)
        floors = (
            Decimal(str(self.absolute)),
            Decimal(str(self.relative)) * abs(before),
            Decimal(str(self.errors)) * error,
        )
        return distance > max(floors)


@dataclass(frozen=True)
class Limits:
    """The limits of each kind of figure.

    Means over fewer people than `residents.absolute` never hold a month.
    """

    residents: Limit
    rows: Limit
    mean_points: Limit
    eligible: Limit


@dataclass(frozen=True)
class DriftChange:
    """One figure of two months.

    `over`: beyond its limits; `renewed`: under a new version, which explains it. `name`: the
    source, district, indicator (points column without `_points`) or service; "" for the whole city.
    """

    kind: Kind
    name: str
    before: Decimal
    after: Decimal
    over: bool
    renewed: bool = False

    @property
    def holds(self) -> bool:
        """Whether it keeps the month back."""
        return self.over and not self.renewed


@dataclass(frozen=True)
class ComparedItems:
    """What is compared: kind of delivery by source; authority (`city` or a code) by indicator."""

    sources: Mapping[str, str]
    indicators: Mapping[str, str]


def find_changes(
    before: Manifest, now: Manifest, compared: ComparedItems, limits: Limits
) -> list[DriftChange]:
    """Return every figure that both months have, rows first; `before` is the one published."""
    renewed = find_new_versions(before["policy"], now["policy"])
    return [
        *_rows(before, now, compared.sources, limits.rows),
        *_residents(before, now, limits.residents),
        *_means(before, now, compared.indicators, limits, renewed),
        *_eligible(before, now, limits.eligible, renewed),
    ]


def find_new_versions(before: Mapping[str, Manifest], now: Mapping[str, Manifest]) -> set[str]:
    """Tables or services whose version in force begins on another date than the month before's."""
    return {
        name for name, version in now.items() if before.get(name, {}).get("from") != version["from"]
    }


def find_amended_versions(before: Mapping[str, Manifest], now: Mapping[str, Manifest]) -> set[str]:
    """Return the tables or services whose version has the same date, but another content."""
    kept = now.keys() - find_new_versions(before, now)
    return {name for name in kept if before[name]["hash"] != now[name]["hash"]}


def count_delivered_rows(manifest: Manifest, source: str, kind: str) -> int | None:
    """Return the rows of the snapshot in force, or of the month's own increment; None if none.

    The first increment of a source holds its whole history: no measure of a month.
    """
    accounts = [account for account in manifest["accounts"] if account["source"] == source]
    if kind == "increment":
        accounts = [one for one in accounts[1:] if one["month"] == manifest["month"]]
    return int(accounts[-1]["received"]) if accounts else None


def _rows(
    before: Manifest, now: Manifest, sources: Mapping[str, str], limit: Limit
) -> Iterator[DriftChange]:
    for source, kind in sources.items():
        then, today = (count_delivered_rows(month, source, kind) for month in (before, now))
        if then is not None and today is not None:
            sides = (Decimal(then), Decimal(today))
            yield _change("rows", source, *sides, limit, _count_error(*sides))


def _residents(before: Manifest, now: Manifest, limit: Limit) -> Iterator[DriftChange]:
    sides = (Decimal(before["residents"]), Decimal(now["residents"]))
    yield _change("residents", EVERYWHERE, *sides, limit, _moved_people(now, EVERYWHERE).sqrt())
    then, today = (month["figures"]["districts"] for month in (before, now))
    for district in sorted({*then, *today}):
        people = [
            Decimal(side[district]["residents"] if district in side else 0)
            for side in (then, today)
        ]
        error = _moved_people(now, district).sqrt()
        yield _change("residents", district, people[0], people[1], limit, error)


def _count_error(before: Decimal, after: Decimal) -> Decimal:
    """Return the standard error of the difference of two counts of independent events."""
    return (before + after).sqrt()


def _moved_people(now: Manifest, district: str) -> Decimal:
    """Return how many people came, left or moved, in a district or in the whole city."""
    moved = sum(
        people
        for old, new, people in now["moved"]
        if old != new and (district == EVERYWHERE or district in (old, new))
    )
    return Decimal(moved)


def _mean_error(now: Manifest, kind: Kind, name: str, mean: Decimal, people: int) -> Decimal:
    """Return the standard error of a mean of points in a month: those who moved weigh as they may.

    The spread of points is taken to be as large as their mean.
    """
    movers = _moved_people(now, name if kind == "district_mean" else EVERYWHERE)
    item = now["figures"]["moved"].get("total" if kind == "mean" else name)
    if item and kind != "district_mean":
        movers += item["up"] + item["down"]
    return abs(mean) * max(movers, Decimal(1)).sqrt() / people


def _means(
    before: Manifest,
    now: Manifest,
    indicators: Mapping[str, str],
    limits: Limits,
    renewed: set[str],
) -> Iterator[DriftChange]:
    sides = [month["figures"] for month in (before, now)]
    lines: list[tuple[Kind, str, str, list[Manifest | None]]] = [
        ("mean", EVERYWHERE, "points", [side["items"].get("total") for side in sides])
    ]
    lines += [
        ("indicator_mean", name, "points", [side["items"].get(name) for side in sides])
        for name in indicators
    ]
    lines += [
        ("district_mean", district, "total", [side["districts"].get(district) for side in sides])
        for district in sides[1]["districts"]
    ]
    for kind, name, points, (then, today) in lines:
        if then is None or today is None:
            continue
        earlier, later = compute_mean(then, points), compute_mean(today, points)
        if earlier is None or later is None:
            continue
        people = min(then["residents"], today["residents"])
        # Few people move their mean by moving away.
        enough = people >= limits.residents.absolute
        change = _change(
            kind,
            name,
            earlier,
            later,
            limits.mean_points,
            _mean_error(now, kind, name, earlier, people),
        )
        explained = bool(renewed & _rests_on(kind, name, indicators, renewed))
        yield replace(change, over=change.over and enough, renewed=explained)


def _rests_on(
    kind: Kind, name: str, indicators: Mapping[str, str], everything: set[str]
) -> set[str]:
    """The tables that decide a mean."""
    if kind == "mean":
        return everything
    return {CITY, name} if kind == "district_mean" else {indicators[name]}


def _eligible(
    before: Manifest, now: Manifest, limit: Limit, renewed: set[str]
) -> Iterator[DriftChange]:
    services = find_new_versions(before["services"], now["services"])
    for service in sorted(before["services"].keys() & now["services"].keys()):
        people = [Decimal(month["eligible"].get(service, 0)) for month in (before, now)]
        explained = bool(renewed) or service in services
        before_count, count = people
        error = _count_error(before_count, count)
        change = _change("eligible", service, before_count, count, limit, error)
        yield replace(change, renewed=explained)


def _change(
    kind: Kind, name: str, before: Decimal, after: Decimal, limit: Limit, error: Decimal
) -> DriftChange:
    return DriftChange(kind, name, before, after, limit.exceeded(before, after, error))


def find_blocking(found: Sequence[DriftChange]) -> list[DriftChange]:
    """Those that keep the month back."""
    return [change for change in found if change.holds]
