"""Canada's Comprehensive Ranking System for one person alone, worked out by hand from the published grid."""

from __future__ import annotations

import datetime as dt

from tests.acceptance.policies.policy import Given, People, Steps

FIRST = {
    "clb_3": 0,
    "clb_4": 6,
    "clb_5": 6,
    "clb_6": 9,
    "clb_7": 17,
    "clb_8": 23,
    "clb_9": 31,
    "clb_10": 34,
}
SECOND = {"clb_4": 0, "clb_5": 1, "clb_6": 1, "clb_7": 3, "clb_8": 3, "clb_9": 6, "clb_10": 6}
ABILITIES = ("reading", "writing", "listening", "speaking")
AGES = {
    17: 0, 18: 99, 19: 105, 20: 110, 29: 110, 30: 105, 31: 99, 32: 94, 33: 88, 34: 83, 35: 77, 36: 72, 37: 66, 38: 61,
    39: 55, 40: 50, 41: 39, 42: 28, 43: 17, 44: 6, 45: 0,
}  # fmt: skip
DEGREES = {
    "none": 0, "secondary": 30, "one_year": 90, "two_year": 98,
    "bachelor": 120, "two_or_more": 128, "master": 135, "doctor": 150,
}  # fmt: skip
WORK = {
    11: 0,
    12: 40,
    13: 40,
    23: 40,
    24: 53,
    35: 53,
    36: 64,
    47: 64,
    48: 72,
    59: 72,
    60: 80,
    72: 80,
}
STEPS: Steps = {
    "age": {"age": AGES},
    "education": {"education": DEGREES},
    **{f"first_{ability}": {f"first_{ability}": FIRST} for ability in ABILITIES},
    **{f"second_{ability}": {f"second_{ability}": SECOND} for ability in ABILITIES},
    "canadian_work": {"canadian_months": WORK},
    "canadian_study": {"canadian_study": {"none": 0, "short": 15, "long": 30}},
    "nomination": {"nomination": {"true": 600, "false": 0}},
    "sibling": {"sibling": {"true": 15, "false": 0}},
}

# the two halves of a pair: points at its first and at its second step
EDUCATION = {
    "none": (0, 0), "secondary": (0, 0), "one_year": (13, 25), "two_year": (13, 25), "bachelor": (13, 25),
    "two_or_more": (25, 50), "master": (25, 50), "doctor": (25, 50),
}  # fmt: skip
ABROAD = {11: (0, 0), 12: (13, 25), 35: (13, 25), 36: (25, 50), 120: (25, 50)}


def pairs(
    fact: str, steps: dict[str, tuple[int, int]] | dict[int, tuple[int, int]], column: str
) -> People:
    """One half of a pair with every language level and every length of Canadian work around the steps."""
    by_language = [
        ({fact: value, "weakest_first": f"clb_{clb}"}, {f"{column}_language_points": points})
        for value, (first, second) in steps.items()
        for clb, points in ((6, 0), (7, first), (8, first), (9, second), (10, second))
    ]
    by_work = [
        ({fact: value, "canadian_months": months}, {f"{column}_work_points": points})
        for value, (first, second) in steps.items()
        for months, points in ((11, 0), (12, first), (23, first), (24, second), (36, second))
    ]
    return [*by_language, *by_work]


def english(first: int, french: int = 3) -> Given:
    """Every ability at one level: English as the first language, French as the second."""
    known = {f"first_{ability}": f"clb_{first}" for ability in ABILITIES}
    known |= {f"second_{ability}": f"clb_{french}" for ability in ABILITIES}
    weakest = {
        "weakest_first": f"clb_{first}",
        "weakest_english": f"clb_{first}",
        "weakest_french": f"clb_{french}",
    }
    return {**known, **weakest}


PEOPLE: People = [
    # 30 years, master, CLB 9, three years abroad: 105 + 135 + 4 x 31, and 50 + 50
    (
        {"age": 30, "education": "master", "foreign_months": 36, **english(9)},
        {"core_points": 364, "transfer_points": 100, "total_points": 464},
    ),
    # 110 + 120 + 4 x 17 + 40; education 13 + 13, foreign work 13 + 13
    (
        {"age": 25, "education": "bachelor", "canadian_months": 12, "foreign_months": 12, **english(7)},
        {"core_points": 338, "transfer_points": 52, "total_points": 390},
    ),
    # one ability below CLB 7 closes the language pairs: education 25 and foreign work 25, by Canadian work alone
    (
        {"education": "bachelor", "canadian_months": 24, "foreign_months": 35, **english(9), "weakest_first": "clb_6"},
        {"transfer_points": 50},
    ),
    # three levels: 25 + 50 stop at 50 in each pair; with the certificate's 50 it would be 150, the section stops at 100
    (
        {"education": "master", "canadian_months": 24, **english(7)},
        {"education_language_points": 25, "education_work_points": 50, "transfer_points": 50},
    ),
    (
        {"education": "master", "canadian_months": 24, "foreign_months": 36, "certificate": "true", **english(7)},
        {"foreign_language_points": 25, "foreign_work_points": 50, "certificate_points": 50, "transfer_points": 100},
    ),
    *(
        ({"certificate": "true", "weakest_first": f"clb_{clb}"}, {"certificate_points": points})
        for clb, points in ((4, 0), (5, 25), (6, 25), (7, 50), (10, 50))
    ),
    ({"certificate": "false", "weakest_first": "clb_7"}, {"certificate_points": 0}),
    # the best possible: 110 + 150 + 136 + 24 + 80, 100, and 600 of 695
    (
        {
            "age": 25, "education": "doctor", "canadian_months": 60, "foreign_months": 36, "certificate": "true",
            "nomination": "true", "sibling": "true", "canadian_study": "long", **english(10, french=10),
        },
        {"core_points": 500, "transfer_points": 100, "additional_points": 600, "total_points": 1200},
    ),
    # French: NCLC 7 in all four, with English up to CLB 4 (or no test) 25, from CLB 5 on 50
    *(
        ({"weakest_french": f"clb_{french}", "weakest_english": english}, {"french_points": points})
        for french, english, points in (
            (6, "clb_9", 0), (7, "none", 25), (7, "clb_3", 25), (7, "clb_4", 25), (7, "clb_5", 50), (10, "clb_10", 50),
        )
    ),
    # job offers counted until 25 March 2025
    ({"as_of": dt.date(2025, 2, 28), "job_offer": "senior"}, {"job_offer_points": 200, "total_points": 200}),
    ({"as_of": dt.date(2025, 2, 28), "job_offer": "other"}, {"job_offer_points": 50, "total_points": 50}),
    ({"as_of": dt.date(2025, 2, 28), "job_offer": "none"}, {"job_offer_points": 0, "total_points": 0}),
    ({"as_of": dt.date(2025, 3, 31), "job_offer": "senior"}, {"total_points": 0}),
    *pairs("education", EDUCATION, "education"),
    *pairs("foreign_months", ABROAD, "foreign"),
]  # fmt: skip
