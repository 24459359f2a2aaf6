"""The drift check: a month's figures against the month before's, and which differ too much.

Months are given as their manifests, of which it reads residents, figures, accounts, eligible,
services and policy. The month before is the one published.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from transforms.comparison.metrics import compute_mean
from transforms.points.models import CITY

Kind = Literal["rows", "residents", "mean", "district_mean", "indicator_mean", "eligible"]
Manifest = Mapping[str, Any]
EVERYWHERE = ""  # the name of a figure of the whole city


@dataclass(frozen=True)
class Limit:
    """A change is too large when it is over both: the share of what was before, and the number."""

    relative: float
    absolute: float

    def exceeded(self, before: Decimal, after: Decimal) -> bool:
        distance = abs(after - before)
        return distance > Decimal(str(self.absolute)) and distance > Decimal(
            str(self.relative)
        ) * abs(before)


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
            yield _change("rows", source, Decimal(then), Decimal(today), limit.exceeded)


def _residents(before: Manifest, now: Manifest, limit: Limit) -> Iterator[DriftChange]:
    yield _change(
        "residents",
        EVERYWHERE,
        Decimal(before["residents"]),
        Decimal(now["residents"]),
        limit.exceeded,
    )
    then, today = (month["figures"]["districts"] for month in (before, now))
    for district in sorted({*then, *today}):
        people = [
            Decimal(side[district]["residents"] if district in side else 0)
            for side in (then, today)
        ]
        yield _change("residents", district, people[0], people[1], limit.exceeded)


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
        # Few people move their mean by moving project.
        enough = min(then["residents"], today["residents"]) >= limits.residents.absolute
        exceeded = limits.mean_points.exceeded if enough else _never
        yield _change(
            kind,
            name,
            earlier,
            later,
            exceeded,
            bool(renewed & _rests_on(kind, name, indicators, renewed)),
        )


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
        yield _change("eligible", service, people[0], people[1], limit.exceeded, explained)


def _never(before: Decimal, after: Decimal) -> bool:
    return False


def _change(
    kind: Kind,
    name: str,
    before: Decimal,
    after: Decimal,
    exceeded: Callable[[Decimal, Decimal], bool],
    renewed: bool = False,
) -> DriftChange:
    return DriftChange(kind, name, before, after, exceeded(before, after), renewed)


def find_blocking(found: Sequence[DriftChange]) -> list[DriftChange]:
    """Those that keep the month back."""
    return [change for change in found if change.holds]
