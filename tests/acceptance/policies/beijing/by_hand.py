"""Beijing's points by hand, as remembered: around every limit, and on cut-off days."""

from __future__ import annotations

import datetime as dt

from tests.acceptance.policies.policy import People, Steps

STEPS: Steps = {
    "employment": {"insured_months": {11: 0, 12: 3, 23: 3, 24: 6, 120: 30}},
    "education": {"degree": {"junior_college": "10.5", "bachelor": 15, "master": 26, "doctor": 37}},
    "age": {"age": {17: 0, 18: 20, 45: 20, 46: 16, 47: 12, 48: 8, 49: 4, 50: 0}},
    "honour": {"honour": {"true": 20, "false": 0}},
    "tax_offences": {"tax_offences_5y": {0: 0, 1: 12, 2: 24}},
    "detentions": {"detentions_5y": {0: 0, 1: 30, 2: 60}},
}
PEOPLE: People = [
    # homes count as far as insured; rented ones only what own ones leave
    ({"insured_months": 60, "owned_months": 72}, {"own_home_points": 5, "rented_home_points": 0}),
    (
        {"insured_months": 60, "owned_months": 24, "rented_months": 48},
        {"own_home_points": 2, "rented_home_points": "1.5"},
    ),
    # three calendar years up to last year: of 2023 to 2025 in 2026; this year's and older ones do not count
    *(
        (
            {"tax_years": {year: 100000}, "as_of": dt.date(2026, 5, 31)},
            {"taxes_points": points},
        )
        for year, points in ((2022, 0), (2023, 2), (2025, 2), (2026, 0))
    ),
    ({"tax_years": {2025: "99999.99"}, "as_of": dt.date(2026, 5, 31)}, {"taxes_points": 0}),
    (
        {"tax_years": {2023: 100000, 2024: 250000, 2025: 100000}, "as_of": dt.date(2026, 5, 31)},
        {"taxes_points": 6},
    ),
    # 30 + 15 + 20 + 20 - 30
    (
        {"insured_months": 120, "degree": "bachelor", "age": 40, "honour": "true", "detentions_5y": 1},
        {"base_points": 85, "deduction_points": 30, "total_points": 55},
    ),
]  # fmt: skip
