"""Foshan's points for household registration, by hand from the published text; the revision of 2017 is made up."""

from __future__ import annotations

import datetime as dt

from tests.acceptance.policies.policy import People, Steps

KINDS = ("pension", "medical", "unemployment", "injury", "maternity")
STEPS: Steps = {
    "education": {
        "degree": {"junior_middle": 40, "senior_middle": 50, "junior_college": 60, "bachelor": 80}
    },
    "skill": {
        "skill": {"level_5": 20, "level_4": 40, "level_3": 70, "level_2": 90, "level_1": 110}
    },
    **{
        f"{kind}_province": {f"{kind}_months": {11: 0, 12: 1, 13: 1, 23: 1, 24: 2}}
        for kind in KINDS
    },
    **{
        f"{kind}_here": {f"{kind}_months_here": {11: 0, 12: 1, 13: 1, 23: 1, 24: 2}}
        for kind in KINDS
    },
    "housing": {"owns_home": {"true": 80, "false": 0}},
    "permit": {"permit_months": {11: 0, 12: 5, 13: 5, 23: 5, 24: 10}},
    "age": {"age": {18: 15, 39: 15, 40: 15, 41: 14, 48: 7, 49: 6, 50: 5, 51: 5, 65: 5}},
    "public_service": {
        "public_service_months": {11: 0, 12: 4, 13: 4, 59: 16, 60: 20, 61: 20, 72: 20}
    },
    "honours_county": {"honours_county": {0: 0, 1: 30, 2: 60, 3: 60}},
    "honours_city": {"honours_city": {1: 60, 2: 120, 3: 120}},
    "honours_county_here": {"honours_county_here": {1: 10, 2: 20, 3: 20}},
    "honours_city_here": {"honours_city_here": {1: 20, 2: 40, 3: 40}},
    "volunteering": {
        "service_hours_60m": {"49.99": 0, 50: 3, "99.99": 3, 100: 6, "499.99": 27, 500: 30, 550: 30}
    },
    "blood": {"blood_ml_60m": {199: 0, 200: 3, 399: 3, 400: 6, 1999: 27, 2000: 30, 2200: 30}},
    "business": {"business": {"individual": 3, "partnership": 6, "company": 10}},
    "income_tax": {"income_tax_60m": {"499.99": 0, 500: 1, "999.99": 1, 1000: 2}},
    "other_tax": {"other_tax_60m": {"9999.99": 0, 10000: 1, "19999.99": 1, 20000: 2}},
    "unmarried": {"unmarried": {"true": 10, "false": 0}},
    "marrow": {"marrow_donations": {0: 0, 1: 50, 2: 100}},
    "vaccination": {"vaccination": {"true": 3, "false": 0}},
    "premarital": {"premarital": {"true": 1, "false": 0}},
    "health_certificate": {"health_certificate": {"true": 1, "false": 0}},
    "fund_account": {"fund_account": {"true": 3, "false": 0}},
    "fund_months": {"fund_months": {0: 0, 1: "0.2", 59: "11.8", 60: 12, 61: 12}},
    "drugs": {"drugs_60m": {0: 0, 1: 50, 2: 100}},
    "negligence": {"negligence_60m": {"true": 100, "false": 0}},
    "detentions": {"detentions_36m": {0: 0, 1: 15, 2: 30, 3: 45}},
}

PEOPLE: People = [
    # five insurances of ten years: 50 in the province, and 50 more here
    (
        {f"{kind}_{place}": 120 for kind in KINDS for place in ("months", "months_here")},
        {"base_points": 100},
    ),
    # eleven years of pension 11, medical 10 x 4: the province's cap of 50 bites at 51
    (
        {"pension_months": 132, "medical_months": 120, "unemployment_months": 120, "injury_months": 120, "maternity_months": 120},
        {"pension_province_points": 11, "base_points": 50},
    ),
    # 80 + 90 + 80 + 25 and 15 + 10 + 20, less one detention and one treatment
    (
        {
            "degree": "bachelor", "skill": "level_2", "owns_home": "true", "permit_months": 71, "age": 30,
            "unmarried": "true", "public_service_months": 60, "detentions_36m": 1, "drugs_60m": 1,
        },
        {"base_points": 275, "bonus_points": 45, "deduction_points": 65, "total_points": 255},
    ),
    # contests add up: 65 + 2 x 150; own patents: 30 + 2 x 20 + 10
    ({"contest_district_2": 1, "contest_nation_1": 2}, {"contests_points": 365}),
    ({"patents_invention": 1, "patents_utility": 2, "patents_design": 1}, {"patents_points": 80}),
    # a marrow volunteer counts only after giving blood here
    ({"marrow_volunteer": "true", "blood_ml_60m": 0}, {"marrow_volunteer_points": 0, "bonus_points": 0}),
    ({"marrow_volunteer": "true", "blood_ml_60m": 200, "marrow_donations": 1}, {"bonus_points": 3 + 5 + 50}),
    # the district adds 5 per 100 hours to its own people, at most 40
    ({"service_hours_60m": 799, "district": "440604"}, {"district_points": 35, "total_points": 30 + 35}),
    ({"service_hours_60m": 900, "district": "440604"}, {"district_points": 40, "total_points": 70}),
    ({"service_hours_60m": 900}, {"district_points": 0, "total_points": 30}),
    # the revision of 2017: progressive deductions, at most 200 together
    *(
        ({"as_of": dt.date(2017, 1, 31), "detentions_36m": times}, {"deduction_points": points})
        for times, points in ((0, 0), (1, 15), (2, 40), (3, 80), (4, 80))
    ),
    *(
        ({"as_of": dt.date(2017, 1, 31), "drugs_60m": times}, {"deduction_points": points})
        for times, points in ((1, 50), (2, 130), (3, 200))
    ),
    # ... and three levels of caps: 30 + 5 + 50 within giving at most 50, with volunteering at most 60, and so on
    (
        {
            "as_of": dt.date(2017, 1, 31), "blood_ml_60m": 2000, "marrow_volunteer": "true",
            "marrow_donations": 1, "service_hours_60m": 100,
        },
        {"blood_points": 30, "bonus_points": 50 + 6},
    ),
    (
        {"as_of": dt.date(2017, 1, 31), "blood_ml_60m": 2000, "marrow_donations": 1, "service_hours_60m": 500},
        {"bonus_points": 60},
    ),
]  # fmt: skip
