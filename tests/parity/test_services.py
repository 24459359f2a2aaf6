"""Generated populations: eligibility, amounts and reminder lists are what the plain reference says."""

from __future__ import annotations

import datetime as dt
import random
import tempfile
from collections.abc import Sequence
from decimal import Decimal
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
    child,
    resident,
    resident_key,
)
from transforms.reminders.models import StandingReminder
from transforms.services.models import Service

PEOPLE = 25
STARTS = [
    Month.parse(text) for text in ("2021-10", "2021-12", "2022-02", "2022-03", "2024-01", "2024-02")
]
NAMES = ["张三", "欧阳修", "欧阳", "司马相如", "诸葛亮", "王", "麦麦提·艾力", None, ""]
CALENDAR = {tuple(row[:3]): tuple(row[3:]) for row in REFERENCE.rows["school_calendar"]}
# Values around the marks that the declarations set; None is unknown, which a month's facts have more rarely.
NEAR: dict[str, list[Any]] = {
    "age": [17, 18, 60, 61],
    "residence_months": [5, 6, 60],
    "permit_months": [0, 11, 12, 59, 60],
    "pension_months": [59, 60, 61],
    "pension_run_months": [0, 5, 6, 7],
    "pension_gap_months": [None, 0, 1, 2, 3, 4],
    "employed_months": [5, 6],
    "market_rent": [None, Decimal("1010"), Decimal("1001.25"), Decimal("0.99"), Decimal("3333.33")],
    "tenure": ["rented", "rented", "none", "owned"],
    "rental_district": ["330212", "330212", "330203", None],
    "dishonesty_general": [0, 0, 0, 1],
    "dishonesty_serious": [0, 0, 0, 1],
}
YES_NO = {
    "permit_held": 0.8,
    "insured_now": 0.8,
    "rental_registered": 0.8,
    "owns_home": 0.2,
    "frozen": 0.1,
}
TOTALS = [
    Decimal(text)
    for text in (
        "-3",
        "34.99",
        "35",
        "40",
        "44.5",
        "45",
        "50",
        "60",
        "65",
        "70",
        "80",
        "120",
        "150",
    )
]


def somebody(number: int, seed: int, as_of: dt.date) -> ScoredResident:
    """A resident drawn from one seed, with most values close to a limit."""
    generator = random.Random(f"{seed} {as_of}")
    facts = {name: generator.choice(values) for name, values in NEAR.items()}
    facts |= {
        name: None if generator.random() < 0.05 else generator.random() < share
        for name, share in YES_NO.items()
    }
    facts["permit_valid_to"] = generator.choice(
        [None, *(as_of + dt.timedelta(days) for days in (-1, 0, 1, 44, 45, 46, 400))]
    )
    facts["permit_issued_on"] = generator.choice([None, dt.date(2020, 2, 29)])
    facts["pension_last_month"] = generator.choice([None, dt.date(2021, 8, 1), dt.date(2021, 9, 1)])
    year = as_of.year + (as_of.month > 8)
    due = [
        child(number * 3 + n, generator.choice(["primary", "junior_middle"]), year)
        for n in range(generator.choice([0, 0, 1, 2]))
    ]
    facts["children_due"] = due
    facts["children_due_primary"] = sum(one["level"] == "primary" for one in due)
    facts["children_due_junior_middle"] = sum(one["level"] == "junior_middle" for one in due)
    person = resident(number, generator.choice(["330212", "330212", "330203", "330282"]), **facts)
    points = {"total_points": generator.choice(TOTALS), "common_points": Decimal("12.50")}
    return ScoredResident(
        **{
            **vars(person),
            "points": points,
            "name": generator.choice(NAMES),
            "phone": generator.choice(["13900000000", None]),
        }
    )


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
    """The month's eligibility by the reference, in the contract's order."""
    wanted = [
        {"month": month.first_day, "resident_key": resident_key(who.resident_id), **row}
        for who in people
        for row in decide_services(who, services, month.last_day)
    ]
    return sorted(wanted, key=lambda row: (row["district"], row["resident_key"], row["service"]))
