"""Residents drawn from a seed, with most values close to a limit of the city's services."""

from __future__ import annotations

import datetime as dt
import random
from decimal import Decimal
from typing import Any

from tests.parity.reference.services import ScoredResident
from tests.support.services_town import child, resident

NAMES = ["张三", "欧阳修", "欧阳", "司马相如", "诸葛亮", "王", "麦麦提·艾力", None, ""]
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
