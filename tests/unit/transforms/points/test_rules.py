"""Every rule form on tiny tables: at, just below and just above its edges, with decimals, and with nothing known."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

from tests.support.policy_writing import given, points


@pytest.mark.promise("points-23", "bands: both ends, or upper end excluded; outside 0")
@pytest.mark.promise("points-39", "A null or absent fact gives 0 with every rule")
def test_bands_hold_both_ends_or_exclude_the_upper_one() -> None:
    rule = {
        "bands": [
            {"from": "18", "to": "35", "points": "10"},
            {"from": "36", "below": "46", "points": "8.5"},
        ]
    }
    given(rule, "age", {17: "0", 18: "10", 35: "10", 36: "8.5", 45: "8.5", 46: "0", None: "0"})
    given(
        {"bands": [{"below": "5", "points": "1"}, {"from": "5", "points": "2"}]},
        "hours",
        {"4.99": "1", 5: "2", 900: "2"},
    )


@pytest.mark.promise(
    "points-25", "slope: named direction, full units, constant on the other side, 0 outside"
)
def test_slope_rises_below_its_start_and_is_constant_above() -> None:
    rule = {
        "slope": {
            "start": "55",
            "points": "5",
            "each": "1",
            "direction": "below",
            "from": "18",
            "to": "60",
        }
    }
    given(
        rule,
        "age",
        {17: "0", 18: "20", 40: "20", 41: "19", 54: "6", 55: "5", 60: "5", 61: "0", None: "0"},
        cap="20",
    )


@pytest.mark.proves("points-25")
def test_slope_counts_full_units_and_may_fall_below_zero() -> None:
    rule = {
        "slope": {"start": "30", "points": "1", "each": "-0.75", "direction": "above", "unit": "2"}
    }
    given(rule, "age", {0: "1", 31: "1", 32: "0.25", 33: "0.25", 34: "-0.5", None: "0"})
    given(rule, "hours", {"31.99": "1", "32.00": "0.25"})


@pytest.mark.promise("points-27", "levels: listed value to points, others 0")
def test_levels_give_nothing_to_a_level_not_listed() -> None:
    rule = {"levels": {"bachelor": "18", "master": "22"}}
    people = [{"degree": level} for level in ("none", "college", "bachelor", "master", None)]
    assert points(rule, people, fact="degree") == ["0.00", "0.00", "18.00", "22.00", "0.00"]


@pytest.mark.promise("points-28", "each: full units, or pro rata per 1")
def test_each_counts_full_units() -> None:
    given(
        {"each": {"unit": "12", "points": "2"}},
        "months",
        {0: "0", 11: "0", 12: "2", 35: "4", None: "0", -13: "0"},
    )


def test_each_floors_decimals_exactly() -> None:
    given(
        {"each": {"unit": "2", "points": "1"}},
        "hours",
        {"7.5": "3", "7.99": "3", "8": "4", "-0.5": "0"},
    )
    given({"each": {"unit": "0.1", "points": "1"}}, "hours", {"0.3": "3", "0.29": "2"})


@pytest.mark.promise("points-45", "Two decimals, half up, once, after the cap")
@pytest.mark.proves("points-28")
def test_each_pro_rata_rounds_halves_up_once_after_the_cap() -> None:
    rule = {"each": {"pro_rata": "true", "points": "0.25"}}
    given(rule, "hours", {"0.02": "0.01", "0.01": "0", "10.1": "2.53", "10.01": "2.5", None: "0"})
    given(rule, "hours", {"1000": "12.35"}, cap="12.345")


@pytest.mark.promise("points-29", "each from a start with its own first points")
def test_each_from_a_start_has_its_own_first_points() -> None:
    rule = {"each": {"unit": "100", "points": "0.5", "start": "200", "first": "1"}}
    given(
        rule,
        "hours",
        {"199.99": "0", "200": "1", "299.99": "1", "300": "1.5", "500": "2.5", None: "0"},
    )
    rule = {"each": {"pro_rata": "true", "points": "0.1", "start": "10", "first": "2"}}
    given(rule, "hours", {"9.99": "0", "10": "2", "15": "2.5"})


@pytest.mark.promise("points-30", "tiers: whole or marginal, the mode must be named")
def test_tiers_apply_the_rate_to_all_or_own_units() -> None:
    rates = [{"from": "1", "points": "4"}, {"from": "5", "points": "6"}]
    given(
        {"tiers": {"mode": "whole", "rates": rates}},
        "age",
        {0: "0", 1: "4", 4: "16", 5: "30", 6: "36", None: "0"},
    )
    given(
        {"tiers": {"mode": "marginal", "rates": rates}},
        "age",
        {0: "0", 1: "4", 4: "16", 5: "22", 6: "28", None: "0"},
    )


def test_tiers_begin_with_their_first_rate_and_count_full_units() -> None:
    rates = [{"from": "3", "points": "1"}, {"from": "4", "points": "0.5"}]
    given(
        {"tiers": {"mode": "whole", "unit": "12", "rates": rates}},
        "months",
        {35: "0", 36: "3", 48: "2"},
    )
    given(
        {"tiers": {"mode": "marginal", "unit": "12", "rates": rates}},
        "months",
        {35: "0", 36: "1", 47: "1", 60: "2"},
    )
    given(
        {"tiers": {"mode": "marginal", "unit": "2.5", "rates": rates}},
        "hours",
        {"7.49": "0", "7.5": "1", "10": "1.5"},
    )


@pytest.mark.promise("points-31", "steps: highest or sum, the mode must be named")
def test_steps_give_the_highest_mark_reached_or_all_of_them() -> None:
    marks = {"36": "5", "60": "8", "120": "16"}
    given(
        {"steps": {"mode": "highest", "marks": marks}},
        "months",
        {35: "0", 36: "5", 60: "8", 119: "8", 120: "16"},
    )
    given(
        {"steps": {"mode": "sum", "marks": marks}},
        "months",
        {35: "0", 36: "5", 60: "13", 120: "29", None: "0"},
    )


@pytest.mark.promise("points-32", "by_count: points by how often, the last for more")
def test_by_count_repeats_its_last_points_for_more() -> None:
    given(
        {"by_count": {"1": "10", "2": "30", "3": "50"}},
        "events",
        {0: "0", 1: "10", 2: "30", 3: "50", 9: "50", None: "0"},
    )


@pytest.mark.promise("points-33", "flat: when a yes/no fact holds")
def test_flat_needs_a_true_fact() -> None:
    assert points(
        {"flat": "10"}, [{"held": held} for held in (True, False, None)], fact="held"
    ) == [
        "10.00",
        "0.00",
        "0.00",
    ]


@pytest.mark.promise(
    "points-34", "per_year: a rule in every calendar year, yearly cap, years added"
)
def test_per_year_caps_each_calendar_year_and_forgets_older_ones() -> None:
    rule = {"per_year": {"cap": "5", "years": "3", "rule": {"each": {"unit": "10", "points": "1"}}}}

    def person(**hours: str) -> dict[str, object]:
        return {
            "by_year": [
                {"year": int(year[1:]), "hours": Decimal(amount)} for year, amount in hours.items()
            ]
        }

    people = [
        person(),
        person(y2021="9.99"),
        person(y2020="9.99", y2021="19.99"),
        person(y2019="80", y2020="80", y2021="12"),
        person(y2018="80"),
    ]
    assert points(rule, people, fact="by_year") == ["0.00", "0.00", "1.00", "11.00", "0.00"]
    assert points(rule, people, dt.date(2022, 4, 30), fact="by_year") == [
        "0.00",
        "0.00",
        "1.00",
        "6.00",
        "0.00",
    ]


@pytest.mark.promise("points-36", "counts: each occurrence over a family of counts")
def test_counts_add_up_over_their_family() -> None:
    people = [
        {"events": 2, "others": 1},
        {"events": None, "others": 1},
        {},
        {"events": -1, "others": 2},
    ]
    assert points({"counts": {"events": "10", "others": "30"}}, people) == [
        "50.00",
        "30.00",
        "0.00",
        "60.00",
    ]


@pytest.mark.promise("points-37", "table: two facts, by levels or bands")
def test_table_takes_levels_and_bands() -> None:
    table = {
        "down": {"fact": "degree"},
        "across": {"fact": "age", "bands": {"young": {"below": "30"}, "older": {"from": "30"}}},
        "points": {"bachelor": {"young": "5", "older": "3"}, "master": {"young": "8"}},
    }
    people = [
        {"degree": degree, "age": age}
        for degree, age in [
            ("bachelor", 29),
            ("bachelor", 30),
            ("master", 29),
            ("master", 30),
            ("college", 20),
            (None, 20),
            ("master", None),
        ]
    ]
    assert points({"table": table}, people) == [
        "5.00",
        "3.00",
        "8.00",
        "0.00",
        "0.00",
        "0.00",
        "0.00",
    ]


@pytest.mark.promise(
    "points-42", "`when` / `unless`: fact or comparison; only true counts; whole value then"
)
def test_guards_hold_only_when_they_are_true() -> None:
    people = [
        {"age": 20, "months": months, "held": held}
        for months, held in [(6, False), (5, False), (None, False), (6, True), (6, None)]
    ]
    ten = {"bands": [{"from": "18", "points": "10"}]}
    assert points(ten, people, fact="age", when="months >= 6", unless="held") == [
        "10.00",
        "0.00",
        "0.00",
        "0.00",
        "10.00",
    ]


def test_a_guard_may_look_at_the_scoring_date() -> None:
    people = [{"age": 1, "valid_to": dt.date(2021, 11, day)} for day in (9, 10)]
    assert points(
        {"each": {"unit": "1", "points": "1"}}, people, fact="age", when="valid_to >= as_of + 10"
    ) == [
        "0.00",
        "1.00",
    ]


@pytest.mark.promise("points-43", "`at_most` limits one fact by another")
def test_at_most_takes_the_lesser_fact_and_needs_both() -> None:
    people = [
        {"months": months, "insured": insured}
        for months, insured in [(24, 12), (12, 24), (24, None), (None, 24)]
    ]
    rule = {"each": {"unit": "12", "points": "2"}}
    assert points(rule, people, fact="months", at_most="insured") == [
        "2.00",
        "2.00",
        "0.00",
        "0.00",
    ]
