"""What every peer knows of the city: where the clean rows lie, the ladders, and the points of the version of 2022-04-01."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

from expectations.month import Month

REFERENCE = Path(__file__).parents[3] / "data" / "reference"
INCREMENTS = (
    "social_security", "volunteer", "credit", "patents", "local_awards", "corrections", "objections", "reminder_outcomes",
)  # fmt: skip

DEGREES = (
    "primary",
    "junior_middle",
    "senior_middle",
    "junior_college",
    "bachelor",
    "master",
    "doctor",
)
SKILLS = ("level_5", "level_4", "level_3", "level_2", "level_1")
TITLES = {
    "junior": "level_3",
    "intermediate": "level_2",
    "senior": "level_1",
}  # on the ladder of skills
TENURES = ("none", "dormitory", "rented", "public_rental", "owned")
HONOURS = ("district", "city", "provincial", "national")
RENTALS = ("rented", "public_rental")

DEGREE_POINTS = dict.fromkeys(DEGREES, 5) | {
    "junior_college": 8,
    "bachelor": 10,
    "master": 10,
    "doctor": 10,
}
SKILL_POINTS = {"level_5": 3, "level_4": 5, "level_3": 8, "level_2": 10, "level_1": 10}
TENURE_POINTS = {"none": 0, "dormitory": 10, "rented": 10, "public_rental": 10, "owned": 20}
HONOUR_POINTS = {"district": 5, "city": 10, "provincial": 20, "national": 30}

PROVINCE = ("age", "education", "skill", "social_insurance", "residence")
CITY = (
    "employment", "housing", "shortage_post", "job_creation", "inventions", "honours", "volunteering", "blood", "donation",
)  # fmt: skip
DEDUCTIONS = ("dishonesty", "penalties", "detentions", "crimes")


def arguments() -> tuple[Path, Month, Path]:
    """What a peer is called with: the root of the data, the month, and the folder for its Parquet."""
    root, month, target = sys.argv[1:]
    return Path(root), Month.parse(month), Path(target)


def clean_folders(root: Path, source: str, month: Month) -> list[Path]:
    """The deliveries that count for a month, oldest first: of each month received the newest; of a snapshot one."""
    received = sorted(
        p for p in (root / "clean" / source).glob("*") if p.name <= f"received={month}"
    )
    newest = [max(path.iterdir(), key=lambda delivery: int(delivery.name[1:])) for path in received]
    return newest if source in INCREMENTS else newest[-1:]


def clean_files(root: Path, source: str, month: Month) -> list[Path]:
    """The files of the deliveries that count for a month, oldest first."""
    folders = clean_folders(root, source, month)
    return [file for folder in folders for file in sorted(folder.glob("*.parquet"))]


def shortage_occupations(year: int) -> list[str]:
    """The occupations listed as short in a year."""
    with (REFERENCE / "shortage_occupations.csv").open(encoding="utf-8") as file:
        return [row["occupation"] for row in csv.DictReader(file) if int(row["year"]) == year]


def school_birthdays(month: Month, age: int) -> tuple[int, int]:
    """First and last birth date (YYYYMMDD) of the children who reach an age by the next 31 August."""
    year = (month + 4).first_day.year - age
    return (year - 1) * 10000 + 901, year * 10000 + 831


def last_years(month: Month) -> range:
    """The five calendar years up to the scoring date's."""
    return range(month.first_day.year - 4, month.first_day.year + 1)
