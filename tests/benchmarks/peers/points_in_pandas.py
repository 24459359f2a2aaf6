"""The city's points table of 2022-04-01 in pandas."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from expectations.month import Month
from tests.benchmarks.peers import city


def points(known: pd.DataFrame, month: Month) -> pd.DataFrame:
    """One row per resident: indicators, sections, the common points."""

    def each(fact: str, unit: float, points: float, cap: float | None = None) -> pd.Series:
        return (known[fact] // unit * points).clip(upper=cap)

    def levels(fact: str, points: Mapping[str, int]) -> pd.Series:
        return known[fact].map(points).fillna(0)

    age, patents = known["age"], {"invention": 10, "utility_model": 3, "design": 1}
    scored = {
        "age": (5 + (55 - age).clip(lower=0)).clip(upper=20).where(age.between(18, 60), 0),
        "education": levels("degree", city.DEGREE_POINTS),
        "skill": levels("skill", city.SKILL_POINTS),
        "social_insurance": each("pension_months", 1, 0.5, 30),
        "residence": each("residence_months", 1, 0.25, 30),
        "employment": (known["employed_months"] >= 12).map({True: 10, False: 0}),
        "housing": levels("tenure", city.TENURE_POINTS),
        "shortage_post": known["shortage_job"].map({True: 10, False: 0}),
        "job_creation": each("jobs_created", 5, 1, 20),
        "inventions": sum(known[f"patents_{kind}"] * each for kind, each in patents.items()).clip(
            upper=30
        ),
        "honours": levels("honour_level", city.HONOUR_POINTS),
        "volunteering": sum(each(f"hours_{y}", 10, 1, 5) for y in city.last_years(month)).clip(
            upper=15
        ),
        "blood": each("blood_ml", 200, 1, 10),
        "donation": each("donations", 1, 20, 40),
        "dishonesty": known["dishonesty_general"] * 10 + known["dishonesty_serious"] * 30,
        "penalties": each("penalties_24m", 1, 5),
        "detentions": each("detentions_60m", 1, 20),
        "crimes": each("crimes_120m", 1, 50),
    }

    def total(names: tuple[str, ...], cap: float | None = None) -> pd.Series:
        return sum(scored[name] for name in names).clip(upper=cap)

    scored |= {
        "province": total(city.PROVINCE, 100),
        "city": total(city.CITY, 150),
        "deduction": total(city.DEDUCTIONS),
    }
    scored["common"] = scored["province"] + scored["city"] - scored["deduction"]
    return pd.DataFrame(scored).add_suffix("_points")
