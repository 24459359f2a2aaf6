"""Generated populations: eligibility, amounts and reminder lists are what the plain reference says."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expectations.month import Month
from tests.parity.reference.services import ScoredResident, decide_services
from tests.parity.reference.strategies import SEEDS, with_examples
from tests.parity.reference.town import PlainTown
from tests.support.services_town import (
    FACTS,
    KEY,
    REFERENCE,
    SERVICES,
    STANDING,
    Town,
    resident_key,
)
from tests.support.somebody import somebody
from transforms.reminders.models import StandingReminder
from transforms.services.models import Service

PEOPLE = 25
STARTS = [
    Month.parse(text) for text in ("2021-10", "2021-12", "2022-02", "2022-03", "2024-01", "2024-02")
]
UNRANKED = {"rank_class": None, "rank": None}
CALENDAR = {tuple(row[:3]): tuple(row[3:]) for row in REFERENCE.rows["school_calendar"]}


def varied(seed: int) -> tuple[Sequence[Service], Sequence[StandingReminder]]:
    """The city's declarations, some with `repeat`, so that its meaning is compared too."""
    generator = random.Random(seed)
    services = [
        s.model_copy(
            update={
                "reminder": s.reminder.model_copy(
                    update={"repeat": generator.choice([None, None, 1, 2])}
                )
            }
        )
        for s in SERVICES
        if s.reminder
    ]
    return services, [
        r.model_copy(update={"repeat": generator.choice([None, None, 1, 2])}) for r in STANDING
    ]


@pytest.mark.promise("sources-100", "school calendar by district, year, level")
@pytest.mark.promise("points-126", "A row where eligible or only points lack; nothing else")
@pytest.mark.promise("outputs-30", "Services: who qualifies, what is lacking, how much money")
@with_examples(4)
@given(st.sampled_from(STARTS), st.lists(SEEDS, min_size=PEOPLE, max_size=PEOPLE), SEEDS)
def test_four_months_in_a_row_are_what_the_reference_says(
    start: Month, seeds: list[int], variant: int
) -> None:
    services, standing = varied(variant)
    plain = PlainTown(services, standing, KEY, FACTS, REFERENCE.districts, CALENDAR)
    with tempfile.TemporaryDirectory() as folder:
        town = Town(Path(folder), services, standing)
        for month in Month.span(start, start + 3):
            for revision in (1, 2):  # the re-run comes to other facts
                people = [
                    somebody(number, seed + revision, month.last_day)
                    for number, seed in enumerate(seeds)
                ]
                assert town.publish(str(month), *people) == plain.publish(str(month), *people)
            assert published_eligibility(town, month) == eligibility(month, people, services)


def published_eligibility(town: Town, month: Month) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(town.path(month, 2, "eligibility")).to_pylist()
    return found


def eligibility(
    month: Month, people: Sequence[ScoredResident], services: Sequence[Service]
) -> list[dict[str, Any]]:
    """The month's eligibility by the reference, in the contract's order; nothing is ranked."""
    assert not any(version.rank for service in services for version in service.versions)
    first = month.first_day
    wanted = [
        {"month": first, "resident_key": resident_key(who.resident_id), **row, **UNRANKED}
        for who in people
        for row in decide_services(who, services, month.last_day)
    ]
    return sorted(wanted, key=lambda row: (row["district"], row["resident_key"], row["service"]))
