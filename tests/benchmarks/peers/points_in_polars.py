"""The city's points table of 2022-04-01 in Polars."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from expectations.month import Month
from tests.benchmarks.peers import city


def each(fact: str, unit: float, points: float, cap: float | None = None) -> pl.Expr:
    """Points for every full unit."""
    return (pl.col(fact) // unit * points).clip(upper_bound=cap)


def levels(fact: str, points: Mapping[str, int]) -> pl.Expr:
    return pl.col(fact).replace_strict(points, default=0, return_dtype=pl.Float64)


def indicators(month: Month) -> dict[str, pl.Expr]:
    count, age = pl.col, pl.col("age")
    yearly = [each(f"hours_{year}", 10, 1, 5) for year in city.last_years(month)]
    return {
        "age": pl.when(age.is_between(18, 60))
        .then((5 + (55 - age).clip(0)).clip(upper_bound=20))
        .otherwise(0),
        "education": levels("degree", city.DEGREE_POINTS),
        "skill": levels("skill", city.SKILL_POINTS),
        "social_insurance": each("pension_months", 1, 0.5, 30),
        "residence": each("residence_months", 1, 0.25, 30),
        "employment": pl.when(count("employed_months") >= 12).then(10).otherwise(0),
        "housing": levels("tenure", city.TENURE_POINTS),
        "shortage_post": pl.when("shortage_job").then(10).otherwise(0),
        "job_creation": each("jobs_created", 5, 1, 20),
        "inventions": (
            count("patents_invention") * 10
            + count("patents_utility_model") * 3
            + count("patents_design")
        ).clip(upper_bound=30),
        "honours": levels("honour_level", city.HONOUR_POINTS),
        "volunteering": pl.sum_horizontal(yearly).clip(upper_bound=15),
        "blood": each("blood_ml", 200, 1, 10),
        "donation": each("donations", 1, 20, 40),
        "dishonesty": count("dishonesty_general") * 10 + count("dishonesty_serious") * 30,
        "penalties": each("penalties_24m", 1, 5),
        "detentions": each("detentions_60m", 1, 20),
        "crimes": each("crimes_120m", 1, 50),
    }


def points(known: pl.LazyFrame, month: Month) -> pl.LazyFrame:
    """One row per resident: indicators, sections, the common points."""

    def total(names: tuple[str, ...], cap: float | None = None) -> pl.Expr:
        return pl.sum_horizontal(f"{name}_points" for name in names).clip(upper_bound=cap)

    scored = known.select(
        "person", **{f"{name}_points": value for name, value in indicators(month).items()}
    )
    summed = scored.with_columns(
        province_points=total(city.PROVINCE, 100),
        city_points=total(city.CITY, 150),
        deduction_points=total(city.DEDUCTIONS),
    )
    return summed.with_columns(
        common_points=pl.col("province_points") + pl.col("city_points") - pl.col("deduction_points")
    )
