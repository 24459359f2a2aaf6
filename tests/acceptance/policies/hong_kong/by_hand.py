"""Hong Kong's points system by hand: single items, then families of two parents."""

from __future__ import annotations

from tests.acceptance.policies.policy import Families, People, Steps

ITEMS = {
    "works_in_section": 20, "sibling_in_secondary": 20, "manager": 20, "alumni": 10, "first_born": 5,
    "same_faith": 5, "member": 5, "right_age": 10,
}  # fmt: skip
STEPS: Steps = {code: {code: {"true": points, "false": 0}} for code, points in ITEMS.items()}
PEOPLE: People = [
    # only one of the first five, and one of the next two
    (
        {"works_in_section": "true", "alumni": "true", "first_born": "true"},
        {"relation_points": 20, "total_points": 20},
    ),
    (
        {"alumni": "true", "first_born": "true", "same_faith": "true", "member": "true", "right_age": "true"},
        {"relation_points": 10, "affiliation_points": 5, "age_points": 10, "total_points": 25},
    ),
]  # fmt: skip
FAMILIES: Families = {
    # child: parents; then score, class and rank
    "both": ([{"alumni": "true", "right_age": "true"}, {"manager": "true", "same_faith": "true", "right_age": "true"}], (35, None, 2)),
    "one": ([{"works_in_section": "true", "same_faith": "true", "right_age": "true"}], (35, None, 2)),
    # the father's and the mother's relation do not add up
    "twice": ([{"alumni": "true"}, {"first_born": "true"}], (10, None, 4)),
    # whoever has a sibling or a parent in the school comes before all others
    "sibling": ([{"in_school": "true"}, {}], (0, "甲类", 1)),
    "none": ([{}], (0, None, 5)),
}  # fmt: skip
