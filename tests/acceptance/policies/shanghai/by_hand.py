"""Shanghai's residence-permit points, worked out by hand from the rules as points/city.yaml cites them."""

from __future__ import annotations

from tests.acceptance.policies.policy import People, Steps

STEPS: Steps = {
    "age": {
        "age": {
            16: 30,
            42: 30,
            43: 30,
            44: 29,
            45: 27,
            50: 17,
            54: 9,
            55: 7,
            56: 5,
            57: 5,
            60: 5,
            61: 0,
        }
    },
    "education": {
        "degree": {
            "junior_college": 50,
            "undergraduate": 60,
            "bachelor": 90,
            "master": 100,
            "doctor": 110,
        }
    },
    "skill": {"skill": {"level_5": 15, "level_4": 30, "level_3": 60}},
    "social_insurance": {"insured_months": {0: 0, 11: 0, 12: 3, 13: 3, 23: 3, 24: 6, 240: 60}},
    "tax": {"tax_per_year": {"99999.99": 0, 100000: 10, "199999.99": 10, 200000: 20, 1200000: 120}},
    "local_staff": {"local_staff": {9: 0, 10: 10, 11: 10, 19: 10, 20: 20}},
    "base_80": {"paid_80_48m": {35: 0, 36: 25, 37: 25, 48: 25}},
    "base_100": {"paid_100_48m": {35: 0, 36: 50, 37: 50}},
    "base_200": {"paid_200_48m": {35: 0, 36: 100, 37: 100}},
    "base_300": {"paid_300_36m": {23: 0, 24: 120, 25: 120}},
    "public_service": {
        "public_service_months": {48: 0, 59: 0, 60: 20, 61: 20, 71: 20, 72: 24, 120: 40}
    },
    "suburb": {"suburb_months": {59: 0, 60: 10, 61: 10, 119: 18, 120: 20, 132: 20}},
    "spouse": {"marriage_months": {11: 0, 12: 4, 13: 4, 119: 36, 120: 40, 121: 40, 132: 40}},
    "startup": {"startup_talent": {"true": 120, "false": 0}},
    "agency": {"agency_talent": {"true": 120, "false": 0}},
    "shortage_major": {"shortage_major": {"true": 30, "false": 0}},
    "graduate": {"fresh_graduate": {"true": 10, "false": 0}},
    "honours": {"honour_level": {"special": 30, "general": 60, "provincial": 110}},
    "false_materials": {"false_materials_36m": {0: 0, 1: 150, 2: 300}},
    "detentions": {"detentions_60m": {0: 0, 1: 50, 2: 100}},
    "crimes": {"crimes_60m": {0: 0, 1: 150, 2: 300}},
}

PEOPLE: People = [
    # 30 for age, 90 for the degree (the skill gives less), 7 years insured: 21; together 141
    (
        {"age": 32, "degree": "bachelor", "skill": "level_3", "insured_months": 84},
        {"base_points": 141, "bonus_points": 0, "total_points": 141},
    ),
    # level 2 counts only with six months paid on the average wage: then 100, else the degree's 90 stands
    ({"degree": "bachelor", "skill": "level_2", "paid_100_12m": 6}, {"skill_points": 100, "base_points": 100}),
    ({"degree": "bachelor", "skill": "level_2", "paid_100_12m": 5}, {"skill_points": 0, "base_points": 90}),
    ({"skill": "level_1", "paid_100_12m": 5}, {"base_points": 0}),
    # of the wage bands the highest counts; taxes or staff, not both, at most 120
    (
        {"paid_80_48m": 48, "paid_100_48m": 40, "paid_200_48m": 35, "tax_per_year": 1500000, "local_staff": 90},
        {"bonus_points": 50 + 120},
    ),
    ({"tax_per_year": 1190000, "local_staff": 119}, {"bonus_points": 110}),
    # 120 + 30 + 10 + 24 (six years) + 20 - 150 - 50
    (
        {
            "startup_talent": "true", "shortage_major": "true", "fresh_graduate": "true",
            "public_service_months": 72, "suburb_months": 120, "false_materials_36m": 1, "detentions_60m": 1,
        },
        {"bonus_points": 204, "deduction_points": 200, "total_points": 4},
    ),
    ({"crimes_60m": 1}, {"total_points": -150}),
]  # fmt: skip
